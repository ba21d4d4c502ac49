"""Spherical harmonics: addition theorem and derivatives."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from finite_difference import differentiate

from annpot.kernels.harmonics import (
    add_harmonic_tangents,
    add_harmonics,
    contract_harmonics,
    recurrence_table,
    set_contraction,
)
from annpot.kernels.lanes import load, splat, store

L_MAX = 20
TABLE = recurrence_table(L_MAX)


@numba.njit
def harmonics_of_eight(u_cn, table, C_mn):
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    add_harmonics(u, splat(1.0), len(table) - 1, table, C_mn)


@numba.njit
def contraction_of_eight(u_cn, table, B_m, f_kn):
    b_mlk = np.zeros((len(table), len(table), 4))
    set_contraction(len(table) - 1, table, B_m, b_mlk)
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    f, (dx, dy, dz) = contract_harmonics(u, len(table) - 1, table, b_mlk)
    store(f_kn[0], 0, f)
    store(f_kn[1], 0, dx)
    store(f_kn[2], 0, dy)
    store(f_kn[3], 0, dz)


@numba.njit
def tangents_of_eight(u_cn, udot_cn, w_n, wdot_n, table, C_mn):
    u = load(u_cn[0], 0), load(u_cn[1], 0), load(u_cn[2], 0)
    udot = load(udot_cn[0], 0), load(udot_cn[1], 0), load(udot_cn[2], 0)
    w, wdot = load(w_n, 0), load(wdot_n, 0)
    add_harmonic_tangents(u, udot, w, wdot, len(table) - 1, table, C_mn)


def compute_harmonics(u_cn):
    """Return C_lm of eight directions; shape=((l_max + 1)^2, 8)."""
    C_mn = np.zeros((L_MAX + 1) ** 2 * 8)
    harmonics_of_eight(u_cn, TABLE, C_mn)
    return C_mn.reshape(-1, 8)


def compute_contraction(u_cn, B_m):
    """Return f = sum B_lm C_lm and its gradient; shapes (8,) and (3, 8)."""
    f_kn = np.zeros((4, 8))
    contraction_of_eight(u_cn, TABLE, B_m, f_kn)
    return f_kn[0], f_kn[1:]


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


def test_contraction_sums_the_harmonics(u_cn):
    B_m = np.random.default_rng(2).normal(size=(L_MAX + 1) ** 2)
    f_n, _ = compute_contraction(u_cn, B_m)
    np.testing.assert_allclose(f_n, B_m @ compute_harmonics(u_cn), rtol=0, atol=1e-12)


def test_gradient_of_the_contraction(u_cn, udot_cn):
    B_m = np.random.default_rng(3).normal(size=(L_MAX + 1) ** 2)
    _, gradient_cn = compute_contraction(u_cn, B_m)
    expected = differentiate(
        lambda t: compute_contraction(turn(u_cn, udot_cn, t), B_m)[0]
    )
    found = np.sum(gradient_cn * udot_cn, axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_tangents_of_each_harmonic(u_cn, udot_cn):
    rng = np.random.default_rng(4)
    w_n, wdot_n = rng.normal(size=(2, 8))
    C_mn = np.zeros((L_MAX + 1) ** 2 * 8)
    tangents_of_eight(u_cn, udot_cn, w_n, wdot_n, TABLE, C_mn)
    expected = differentiate(
        lambda t: (w_n + t * wdot_n) * compute_harmonics(turn(u_cn, udot_cn, t))
    )
    np.testing.assert_allclose(C_mn.reshape(-1, 8), expected, rtol=0, atol=1e-8)
