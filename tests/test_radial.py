"""Radial functions: the cutoff, Chebyshev polynomials and their derivatives."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from finite_difference import differentiate

from annpot.kernels.lanes import load, splat, store
from annpot.kernels.radial import cosine_cutoff, set_chebyshev, sine_cosine


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
def chebyshev_functions(r_n, r_cut, count, with_slopes, phi, slopes):
    r = load(r_n, 0)
    x, dxdr = (2.0 / r_cut) * r - 1.0, splat(2.0 / r_cut)
    set_chebyshev(r, r_cut, x, dxdr, (1, count, with_slopes), phi, slopes)


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


def compute_functions(r_n, r_cut, count, with_slopes=True):
    """Return values and slopes of eight distances; shapes=(count, 8)."""
    phi, slopes = np.zeros((2, count + 1, 8))
    chebyshev_functions(r_n, r_cut, count, with_slopes, phi.ravel(), slopes.ravel())
    assert not phi[0].any()
    assert not slopes[0].any()
    return phi[1:], slopes[1:]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 21])
def test_chebyshev_functions_and_their_slopes(count):
    r_cut = 4.3
    r_n = np.linspace(0.01, 4.8, 8)
    phi, slopes = compute_functions(r_n, r_cut, count)
    polynomials = np.polynomial.chebyshev.chebvander(2 * r_n / r_cut - 1, 20)
    cutoff_n = np.where(r_n < r_cut, 0.5 + 0.5 * np.cos(np.pi * r_n / r_cut), 0.0)
    expected = cutoff_n * polynomials.T[:count]
    np.testing.assert_allclose(phi, expected, rtol=0, atol=1e-13)
    expected = differentiate(lambda t: compute_functions(r_n + t, r_cut, count)[0])
    size = max(1.0, np.abs(slopes).max(initial=0.0))
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-9 * size)
    alone, untouched = compute_functions(r_n, r_cut, count, with_slopes=False)
    np.testing.assert_array_equal(alone, phi)
    assert not untouched.any()
