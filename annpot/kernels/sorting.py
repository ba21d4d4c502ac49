"""Pairs of neighbours, sorted into the groups that the kernels read."""

from __future__ import annotations

import math
from typing import Any

import numba


@numba.njit(cache=True, error_model="numpy", inline="always")
def _shell(D_c: Any, shells_k: Any) -> int:
    """Return the index of the first cutoff that is not below the length of ``D_c``."""
    r = math.sqrt(D_c[0] ** 2 + D_c[1] ** 2 + D_c[2] ** 2)
    k = 0
    while k < len(shells_k) - 1 and r > shells_k[k]:
        k += 1
    return k


@numba.njit(cache=True, error_model="numpy")
def count_pairs(
    i_p: Any,
    j_p: Any,
    D_pc: Any,
    first: int,
    species_n: Any,
    n_species: int,
    shells_k: Any,
    count_g: Any,
) -> None:
    """Count both directions of each pair of a half list into its group, plus one.

    ``i_p``, ``j_p`` number the atoms of one structure that starts at atom ``first``.
    """
    n_shells = len(shells_k)
    for p in range(len(i_p)):
        k = _shell(D_pc[p], shells_k)
        i, j = first + i_p[p], first + j_p[p]
        count_g[(i * n_species + species_n[j]) * n_shells + k + 1] += 1
        count_g[(j * n_species + species_n[i]) * n_shells + k + 1] += 1


@numba.njit(cache=True, error_model="numpy")
def fill_pairs(
    i_p: Any,
    j_p: Any,
    D_pc: Any,
    first: int,
    species_n: Any,
    n_species: int,
    shells_k: Any,
    next_g: Any,
    sorted_j_p: Any,
    sorted_D_cp: Any,
) -> None:
    """Write both directions of each pair to the next free place of its group."""
    n_shells = len(shells_k)
    for p in range(len(i_p)):
        k = _shell(D_pc[p], shells_k)
        i, j = first + i_p[p], first + j_p[p]
        for a, b, sign in ((i, j, 1.0), (j, i, -1.0)):
            group = (a * n_species + species_n[b]) * n_shells + k
            q = next_g[group]
            next_g[group] = q + 1
            sorted_j_p[q] = b
            for c in range(3):
                sorted_D_cp[c, q] = sign * D_pc[p, c]
