"""Radial functions: the cutoff, Chebyshev polynomials and their derivatives."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from finite_difference import differentiate

from annpot.kernels.lanes import load, splat, store
from annpot.kernels.radial import (
    add_chebyshev,
    contract_chebyshev,
    cosine_cutoff,
    set_derivative_coefficients,
    sine_cosine,
)


@numba.njit
def sines_and_cosines(y_n, sine_n, cosine_n):
    for i in range(0, len(y_n), 8):
        sine, cosine = sine_cosine(load(y_n, i))
        store(sine_n, i, sine)
        store(cosine_n, i, cosine)


@numba.njit
def cutoffs(r_n, r_cut, f_n, slope_n):
    for i in range(0, len(r_n), 8):
        f, slope = cosine_cutoff(load(r_n, i), r_cut)
        store(f_n, i, f)
        store(slope_n, i, slope)


@numba.njit
def chebyshev_sums(x_n, order, sums):
    for i in range(0, len(x_n), 8):
        add_chebyshev(load(x_n, i), splat(1.0), order, sums)


@numba.njit
def chebyshev_contraction(x_n, g_ak, value_n, slope_n):
    set_derivative_coefficients(len(g_ak) - 1, g_ak)
    for i in range(0, len(x_n), 8):
        value, slope = contract_chebyshev(load(x_n, i), len(g_ak) - 1, g_ak)
        store(value_n, i, value)
        store(slope_n, i, slope)


def test_sine_and_cosine_are_exact_to_round_off():
    y_n = np.linspace(-np.pi / 2, np.pi / 2, 80_000)
    sine_n, cosine_n = np.empty((2, len(y_n)))
    sines_and_cosines(y_n, sine_n, cosine_n)
    np.testing.assert_allclose(sine_n, np.sin(y_n), rtol=0, atol=4e-16)
    np.testing.assert_allclose(cosine_n, np.cos(y_n), rtol=0, atol=4e-16)


def test_cutoff_function():
    r_cut = 4.3
    r_n = np.linspace(0.0, 1.2 * r_cut, 800)
    f_n, slope_n = np.empty((2, len(r_n)))
    cutoffs(r_n, r_cut, f_n, slope_n)
    inside_n = r_n < r_cut
    phase_n = np.pi * r_n / r_cut
    expected = np.where(inside_n, 0.5 * (1 + np.cos(phase_n)), 0.0)
    np.testing.assert_allclose(f_n, expected, rtol=0, atol=1e-15)
    expected = np.where(inside_n, -0.5 * np.pi / r_cut * np.sin(phase_n), 0.0)
    np.testing.assert_allclose(slope_n, expected, rtol=0, atol=1e-15)


def test_cutoff_function_is_zero_from_the_cutoff_on():
    r_n = np.array([4.3, np.nextafter(4.3, 5.0), 5.3, 1e3, np.inf, 4.3, 4.3, 4.3])
    f_n, slope_n = np.empty((2, 8))
    cutoffs(r_n, 4.3, f_n, slope_n)
    assert not f_n.any()
    assert not slope_n.any()


@pytest.mark.parametrize("order", [0, 1, 2, 20])
def test_chebyshev_polynomials(order):
    x_n = np.linspace(-1.0, 1.0, 8)
    sums = np.zeros(8 * (order + 1))
    chebyshev_sums(x_n, order, sums)
    expected = np.polynomial.chebyshev.chebvander(x_n, order).T
    np.testing.assert_allclose(sums.reshape(-1, 8), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 20])
def test_contraction_and_its_derivative(order):
    x_n = np.linspace(-0.99, 0.99, 8)
    g_ak = np.zeros((order + 1, 2))
    g_ak[:, 0] = np.random.default_rng(0).normal(size=order + 1)
    value_n, slope_n = np.empty((2, 8))
    chebyshev_contraction(x_n, g_ak, value_n, slope_n)

    def series(t):
        return np.polynomial.chebyshev.chebval(x_n + t, g_ak[:, 0])

    np.testing.assert_allclose(value_n, series(0.0), rtol=0, atol=1e-13)
    size = max(1.0, np.abs(slope_n).max())
    np.testing.assert_allclose(slope_n, differentiate(series), atol=1e-9 * size)
