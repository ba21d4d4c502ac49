"""Cutoff functions, compact functions, and the elementary functions they need."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from direct_triplets import compact_function as compact_value
from direct_triplets import cutoff_function as cutoff_value

from annpot.kernels.cutoffs import (
    arccosine,
    compact_function,
    cutoff_function,
    exponential,
)
from annpot.kernels.lanes import load, store

CORES = {"e": 4, "p1": 5, "p2": 6, "p3": 7, "p4": 8}


@numba.njit
def exponentials(x_n, y_n):
    for i in range(0, len(x_n), 8):
        store(y_n, i, exponential(load(x_n, i)))


@numba.njit
def arccosines(x_n, y_n):
    for i in range(0, len(x_n), 8):
        store(y_n, i, arccosine(load(x_n, i)))


@numba.njit
def cutoffs(shape, r_n, radius, alpha, f_n, slope_n):
    for i in range(0, len(r_n), 8):
        f, slope = cutoff_function(shape, load(r_n, i), radius, alpha)
        store(f_n, i, f)
        store(slope_n, i, slope)


@numba.njit
def compacts(core, r_n, low, high, bend, f_n, slope_n):
    for i in range(0, len(r_n), 8):
        f, slope = compact_function(core, load(r_n, i), low, high, bend)
        store(f_n, i, f)
        store(slope_n, i, slope)


def central_slopes(function, r_n, step=1e-4):
    return np.array(
        [
            (8 * (function(r + step) - function(r - step)))
            - (function(r + 2 * step) - function(r - 2 * step))
            for r in r_n
        ]
    ) / (12 * step)


def test_exponential_is_exact_to_round_off():
    x_n = np.concatenate(
        [np.linspace(-700, 700, 80_000), np.linspace(-2, 2, 8_000), [0.0] * 8]
    )
    y_n = np.empty_like(x_n)
    exponentials(x_n, y_n)
    np.testing.assert_allclose(y_n, np.exp(x_n), rtol=5e-16)


def test_exponential_of_hugely_negative_numbers_is_zero():
    y_n = np.empty(8)
    exponentials(
        np.array([-709.0, -745, -800, -1e4, -1e10, -1e300, -np.inf, -750]), y_n
    )
    assert not y_n.any()


def test_arccosine_is_exact_to_round_off():
    close = np.geomspace(1e-16, 0.1, 4_000)
    x_n = np.concatenate([np.linspace(-1, 1, 80_000), 1 - close, close - 1])
    y_n = np.empty_like(x_n)
    arccosines(x_n, y_n)
    np.testing.assert_allclose(y_n, np.arccos(x_n), rtol=5e-16, atol=5e-16)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("shape", range(9))
def test_cutoff_functions(shape, alpha):
    radius = 4.3
    r_n = np.linspace(0.002, 1.2 * radius, 800)
    f_n, slope_n = np.empty((2, len(r_n)))
    cutoffs(shape, r_n, radius, alpha, f_n, slope_n)

    def expected(r):
        return cutoff_value(shape, r, radius, alpha)

    np.testing.assert_allclose(f_n, [expected(r) for r in r_n], rtol=0, atol=1e-12)
    smooth_n = np.minimum(abs(r_n - radius), abs(r_n - alpha * radius)) > 1e-3
    slopes_n = central_slopes(expected, r_n)
    np.testing.assert_allclose(slope_n[smooth_n], slopes_n[smooth_n], atol=1e-7)
    assert not f_n[r_n >= radius].any()
    assert not slope_n[r_n >= radius].any()


@pytest.mark.parametrize("bend", [False, True])
@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("window", [(-4.0, 4.0), (1.0, 3.5)])
def test_compact_functions(name, bend, window):
    r_n = np.linspace(0.002, 5.0, 800)
    f_n, slope_n = np.empty((2, len(r_n)))
    compacts(CORES[name], r_n, *window, bend, f_n, slope_n)

    def expected(r):
        return compact_value(name, r, *window, bend)

    np.testing.assert_allclose(f_n, [expected(r) for r in r_n], rtol=0, atol=1e-12)
    smooth_n = abs(abs(r_n - sum(window) / 2) - np.ptp(window) / 2) > 1e-3
    smooth_n &= abs(r_n - sum(window) / 2) > 1e-3
    slopes_n = central_slopes(expected, r_n)
    np.testing.assert_allclose(slope_n[smooth_n], slopes_n[smooth_n], atol=1e-7)
