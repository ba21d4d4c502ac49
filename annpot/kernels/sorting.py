"""Pairs of neighbours, sorted into the groups that the kernels read.

A pair is kept as atom ``j`` and the integer shift ``S`` of its periodic image; its
vector ``D = r_j - r_i + S @ cell`` is always computed here, so that it has the same
bits whether pairs are fresh or were kept packed.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled

sorting = compiled(nogil=True)


@sorting
def _component(r_i: Any, r_j: Any, S: Any, p: int, cell_cc: Any, c: int) -> Any:
    """Return one component of the vector of pair ``p`` with shift ``S_cp[:, p]``."""
    shift = S[0, p] * cell_cc[0, c] + S[1, p] * cell_cc[1, c] + S[2, p] * cell_cc[2, c]
    return (r_j - r_i) + shift


@sorting
def _shell(i: int, j: int, S_cp: Any, p: int, geometry: Any) -> int:
    """Return the index of the first cutoff that is not below the pair's length."""
    positions_nc, cell_cc, squares_k = geometry
    r2 = 0.0
    for c in range(3):
        x = _component(positions_nc[i, c], positions_nc[j, c], S_cp, p, cell_cc, c)
        r2 += x * x
    k = 0
    while k < len(squares_k) - 1 and r2 > squares_k[k]:
        k += 1
    return k


@sorting
def count_pairs(
    pairs_pi: Any,
    S_cp: Any,
    first: int,
    species_n: Any,
    n_species: int,
    geometry: Any,
    count_g: Any,
) -> None:
    """Count both directions of each pair of a half list into its group, plus one.

    ``pairs_pi`` numbers the atoms of one structure that starts at atom ``first``;
    ``geometry`` is all positions, the cell and the squares of the cutoffs.
    """
    n_shells = len(geometry[2])
    for p in range(len(pairs_pi)):
        i, j = first + pairs_pi[p, 0], first + pairs_pi[p, 1]
        k = _shell(i, j, S_cp, p, geometry) + 1
        count_g[(i * n_species + species_n[j]) * n_shells + k] += 1
        count_g[(j * n_species + species_n[i]) * n_shells + k] += 1


@sorting
def fill_pairs(
    pairs_pi: Any,
    S_cp: Any,
    first: int,
    species_n: Any,
    n_species: int,
    geometry: Any,
    next_g: Any,
    sorted_j_p: Any,
    sorted_S_cp: Any,
) -> None:
    """Write both directions of each pair to the next free place of its group."""
    n_shells = len(geometry[2])
    for p in range(len(pairs_pi)):
        i, j = first + pairs_pi[p, 0], first + pairs_pi[p, 1]
        k = _shell(i, j, S_cp, p, geometry)
        group = (i * n_species + species_n[j]) * n_shells + k
        q = next_g[group]
        next_g[group] = q + 1
        sorted_j_p[q] = j
        for c in range(3):
            sorted_S_cp[c, q] = S_cp[c, p]
        group = (j * n_species + species_n[i]) * n_shells + k
        q = next_g[group]
        next_g[group] = q + 1
        sorted_j_p[q] = i
        for c in range(3):
            sorted_S_cp[c, q] = -S_cp[c, p]


@sorting
def compute_vectors(
    start: int,
    stop: int,
    first_n: Any,
    j_p: Any,
    S_cp: Any,
    positions_nc: Any,
    cells_scc: Any,
    structure_n: Any,
    D_cp: Any,
) -> None:
    """Set the vectors of the pairs of some central atoms.

    Those of atom ``n`` are ``first_n[n]:first_n[n + 1]``.
    """
    for n in range(start, stop):
        cell_cc = cells_scc[structure_n[n]]
        for c in range(3):
            r_i = positions_nc[n, c]
            for p in range(first_n[n], first_n[n + 1]):
                r_j = positions_nc[j_p[p], c]
                D_cp[c, p] = _component(r_i, r_j, S_cp, p, cell_cc, c)
