"""Batch and cutoffs -> neighbour pairs, in the order that the kernels read.

The search itself is vesin's, which handles any cell, partial periodicity and cells
smaller than the cutoff.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import vesin

from annpot.kernels.distances import nearest_distances
from annpot.kernels.environment import Neighbours
from annpot.kernels.lanes import WIDTH
from annpot.kernels.sorting import count_pairs, fill_pairs
from annpot.structures.structure import Array, Batch, Integers


def find_pairs(batch: Batch, cutoffs: Sequence[float], skin: float = 0.0) -> Neighbours:
    """Return all directed pairs of each structure up to the largest cutoff.

    Parameters
    ----------
    cutoffs
        Ascending radii of the shells, angstrom.
    skin
        Added to each cutoff, angstrom: the pairs stay complete until an atom has moved
        by half of it.

    Returns
    -------
    Neighbours
        Pairs with ``D_cp = r_j - r_i + S @ cell``, periodic images included.
    """
    shells_k = np.asarray(cutoffs, dtype=float) + skin
    squares_k = shells_k**2
    n_species = len(batch.species)
    n_groups = batch.n_atoms * n_species * len(shells_k)
    first_g = np.zeros(n_groups + 1, dtype=np.int64)
    search = vesin.NeighborList(cutoff=shells_k[-1], full_list=False, n_threads=1)
    halves = []
    for s in range(batch.n_structures):
        first, last = batch.first_s[s : s + 2]
        i_p, j_p, D_pc = search.compute(
            batch.positions_nc[first:last], batch.cells_scc[s], batch.pbc_sc[s], "ijD"
        )
        half = (i_p.view(np.int64), j_p.view(np.int64), D_pc, first)
        halves.append(half)
        count_pairs(*half, batch.species_n, n_species, squares_k, first_g)
    np.cumsum(first_g, out=first_g)
    j_p = np.empty(first_g[-1], dtype=np.int32)
    D_cp = np.zeros((3, first_g[-1] + WIDTH))
    next_g = first_g[:-1].copy()
    for half in halves:
        fill_pairs(*half, batch.species_n, n_species, squares_k, next_g, j_p, D_cp)
    return Neighbours(n_species, len(shells_k), batch.species_n, first_g, j_p, D_cp)


def move_pairs(neighbours: Neighbours, shift_nc: Array) -> Neighbours:
    """Return the same pairs after atoms moved by ``shift_nc``."""
    D_cp = neighbours.D_cp.copy()
    n_groups = neighbours.n_species * neighbours.n_shells
    counts_n = np.diff(neighbours.first_g[::n_groups])
    for c in range(3):
        moved_p = shift_nc[neighbours.j_p, c] - np.repeat(shift_nc[:, c], counts_n)
        D_cp[c, : len(moved_p)] += moved_p
    return neighbours._replace(D_cp=D_cp)


def plan_chunks(batch: Batch) -> Integers:
    """Return the chunks of atoms that threads work on; shape=(n_chunks, 5).

    First and last + 1 atom; first and last + 1 atom that their pairs reach; and the
    first of the rows in a buffer where the forces on those are added up. Chunks end
    where structures end, unless a structure is large; they depend on the
    batch alone, so results do not depend on the number of threads.
    """
    first_s, n_atoms = batch.first_s, batch.n_atoms
    if n_atoms == 0:
        return np.zeros((0, 5), dtype=np.int64)
    size = max(16, min(256, n_atoms // 32))
    cuts = np.arange(0, n_atoms, size)
    after = first_s[np.searchsorted(first_s, cuts)]
    starts = [after]
    for first, last in itertools.pairwise(first_s):
        if last - first > 2 * size:
            starts.append(np.arange(first, last, max(size, (last - first) // 32)))
    start_k = np.unique(np.concatenate(starts))
    start_k = start_k[start_k < n_atoms]
    stop_k = np.append(start_k[1:], n_atoms)
    low_k = first_s[np.searchsorted(first_s, start_k, side="right") - 1]
    high_k = first_s[np.searchsorted(first_s, stop_k, side="left")]
    rows_k = np.cumsum(high_k - low_k) - (high_k - low_k)
    return np.stack([start_k, stop_k, low_k, high_k, rows_k], axis=1)


def find_nearest(neighbours: Neighbours) -> Array:
    """Return the distance of each atom to its nearest neighbour of each species, r_nt.

    In angstrom; infinite without such a neighbour among the pairs.
    """
    r_nt = np.empty((len(neighbours.species_n), neighbours.n_species))
    nearest_distances(
        neighbours.n_species,
        neighbours.n_shells,
        neighbours.first_g,
        neighbours.D_cp,
        r_nt,
    )
    return r_nt
