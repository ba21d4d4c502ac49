"""Pairs of neighbours, sorted into the groups that the kernels read."""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled

sorting = compiled(nogil=True)


@sorting
def _shell(x: float, y: float, z: float, squares_k: Any) -> int:
    """Return the index of the first cutoff that is not below the length."""
    r2 = x * x + y * y + z * z
    k = 0
    while k < len(squares_k) - 1 and r2 > squares_k[k]:
        k += 1
    return k


@sorting
def count_pairs(
    i_p: Any,
    j_p: Any,
    D_pc: Any,
    first: int,
    species_n: Any,
    n_species: int,
    squares_k: Any,
    count_g: Any,
) -> None:
    """Count both directions of each pair of a half list into its group, plus one.

    ``i_p``, ``j_p`` number the atoms of one structure that starts at atom ``first``;
    ``squares_k`` are the squares of the cutoffs.
    """
    n_shells = len(squares_k)
    for p in range(len(i_p)):
        k = _shell(D_pc[p, 0], D_pc[p, 1], D_pc[p, 2], squares_k) + 1
        i, j = first + i_p[p], first + j_p[p]
        count_g[(i * n_species + species_n[j]) * n_shells + k] += 1
        count_g[(j * n_species + species_n[i]) * n_shells + k] += 1


@sorting
def fill_pairs(
    i_p: Any,
    j_p: Any,
    D_pc: Any,
    first: int,
    species_n: Any,
    n_species: int,
    squares_k: Any,
    next_g: Any,
    sorted_j_p: Any,
    sorted_D_cp: Any,
) -> None:
    """Write both directions of each pair to the next free place of its group."""
    n_shells = len(squares_k)
    for p in range(len(i_p)):
        x, y, z = D_pc[p, 0], D_pc[p, 1], D_pc[p, 2]
        k = _shell(x, y, z, squares_k)
        i, j = first + i_p[p], first + j_p[p]
        group = (i * n_species + species_n[j]) * n_shells + k
        q = next_g[group]
        next_g[group] = q + 1
        sorted_j_p[q] = j
        sorted_D_cp[0, q] = x
        sorted_D_cp[1, q] = y
        sorted_D_cp[2, q] = z
        group = (j * n_species + species_n[i]) * n_shells + k
        q = next_g[group]
        next_g[group] = q + 1
        sorted_j_p[q] = i
        sorted_D_cp[0, q] = -x
        sorted_D_cp[1, q] = -y
        sorted_D_cp[2, q] = -z
