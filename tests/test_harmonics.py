"""Spherical harmonics: addition theorem and derivatives."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from finite_difference import differentiate

from annpot.kernels.harmonics import (
    USUAL,
    contract_harmonics,
    recurrence_table,
    set_harmonic_tangents,
    set_harmonics,
    set_legendre,
)
from annpot.kernels.lanes import load, store

L_MAX = 20
TABLE = recurrence_table(L_MAX)


@numba.njit
def harmonics_of_eight(u_cn, table, C_mn):
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    set_harmonics(u, len(table) - 1, table, C_mn)


@numba.njit
def contraction_of_eight(u_cn, table, radial, moments, legendre, f_kn):
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    set_legendre(u[2], len(table) - 1, table, legendre[0], legendre[1])
    f, (dx, dy, dz) = contract_harmonics(u, len(table) - 1, radial, moments, legendre)
    store(f_kn[0], 0, f)
    store(f_kn[1], 0, dx)
    store(f_kn[2], 0, dy)
    store(f_kn[3], 0, dz)


@numba.njit
def tangents_of_eight(u_cn, udot_cn, table, C_mn, Cdot_mn):
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    udot = load(udot_cn[0], 0), load(udot_cn[1], 0), load(udot_cn[2], 0)
    set_harmonic_tangents(u, udot, len(table) - 1, table, C_mn, Cdot_mn)


def compute_harmonics(u_cn):
    """Return C_lm of eight directions; shape=((l_max + 1)^2, 8)."""
    C_mn = np.full((L_MAX + 1) ** 2 * 8, np.nan)
    harmonics_of_eight(u_cn, TABLE, C_mn)
    return C_mn.reshape(-1, 8)


def compute_contraction(u_cn, phi_kn, slope_kn, moment_mk):
    """Return f = sum D_lm C_lm, and the gradient of sum B_lm C_lm.

    ``B_lm = sum_k moment_lm,k phi_k`` of eight pairs, ``D_lm`` the same of the slopes.
    """
    stride = len(moment_mk) + 2
    padded_km = np.full((moment_mk.shape[1], stride), np.nan)
    padded_km[:, :-2] = moment_mk.T
    legendre = np.full((2, len(moment_mk) * 8), np.nan)
    f_kn = np.zeros((4, 8))
    contraction_of_eight(
        u_cn,
        TABLE,
        (len(phi_kn), phi_kn.ravel(), slope_kn.ravel()),
        (stride, padded_km.ravel()),
        (legendre[0], legendre[1]),
        f_kn,
    )
    return f_kn[0], f_kn[1:]


each_number = pytest.mark.parametrize("n", [1, 4, USUAL])
"""Of radial functions."""


def make_functions(n):
    rng = np.random.default_rng(n)
    return *rng.normal(size=(2, n, 8)), rng.normal(size=((L_MAX + 1) ** 2, n))


@pytest.fixture
def u_cn():
    """Return eight directions, three of them along the axes."""
    u_cn = np.random.default_rng(0).normal(size=(3, 8))
    u_cn[:, :3] = np.diag([1.0, -1.0, -1.0])
    return u_cn / np.linalg.norm(u_cn, axis=0)


@pytest.fixture
def udot_cn(u_cn):
    """Return tangential velocities of the directions."""
    udot_cn = np.random.default_rng(1).normal(size=(3, 8))
    return udot_cn - u_cn * np.sum(u_cn * udot_cn, axis=0)


def turn(u_cn, udot_cn, t):
    """Return the directions after time ``t``."""
    moved_cn = u_cn + t * udot_cn
    return moved_cn / np.linalg.norm(moved_cn, axis=0)


def test_addition_theorem(u_cn):
    C_mn = compute_harmonics(u_cn)
    P_nnl = np.polynomial.legendre.legvander(u_cn.T @ u_cn, L_MAX)
    for l in range(L_MAX + 1):  # noqa: E741
        C = C_mn[l * l : (l + 1) ** 2]
        np.testing.assert_allclose(C.T @ C, P_nnl[..., l], rtol=0, atol=1e-13)


def test_first_harmonics(u_cn):
    x, y, z = u_cn
    C_mn = compute_harmonics(u_cn)
    expected = [np.ones(8), y, z, x, np.sqrt(3) * x * y, np.sqrt(3) * y * z]
    np.testing.assert_allclose(C_mn[:6], expected, rtol=0, atol=1e-15)


@each_number
def test_contraction_sums_the_harmonics(u_cn, n):
    phi_kn, slope_kn, moment_mk = make_functions(n)
    f_n, _ = compute_contraction(u_cn, phi_kn, slope_kn, moment_mk)
    D_mn = moment_mk @ slope_kn
    expected_n = np.sum(D_mn * compute_harmonics(u_cn), axis=0)
    np.testing.assert_allclose(f_n, expected_n, rtol=0, atol=1e-12)


@each_number
def test_gradient_of_the_contraction(u_cn, udot_cn, n):
    phi_kn, slope_kn, moment_mk = make_functions(n)
    _, gradient_cn = compute_contraction(u_cn, phi_kn, slope_kn, moment_mk)
    B_mn = moment_mk @ phi_kn
    expected = differentiate(
        lambda t: np.sum(B_mn * compute_harmonics(turn(u_cn, udot_cn, t)), axis=0)
    )
    found = np.sum(gradient_cn * udot_cn, axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_tangents_of_each_harmonic(u_cn, udot_cn):
    C_mn, Cdot_mn = np.full((2, (L_MAX + 1) ** 2 * 8), np.nan)
    tangents_of_eight(u_cn, udot_cn, TABLE, C_mn, Cdot_mn)
    np.testing.assert_array_equal(C_mn.reshape(-1, 8), compute_harmonics(u_cn))
    expected = differentiate(lambda t: compute_harmonics(turn(u_cn, udot_cn, t)))
    np.testing.assert_allclose(Cdot_mn.reshape(-1, 8), expected, rtol=0, atol=1e-8)
