"""Batch and cutoffs -> neighbour pairs, in the order that the kernels read.

The search itself is vesin's, which handles any cell, partial periodicity and cells
smaller than the cutoff.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import vesin
from numpy.typing import NDArray

from annpot.kernels.distances import nearest_distances
from annpot.kernels.environment import Neighbours
from annpot.kernels.lanes import WIDTH
from annpot.kernels.sorting import compute_vectors, count_pairs, fill_pairs
from annpot.kernels.threads import share
from annpot.structures.structure import Array, Batch, Integers

Shifts = NDArray[np.signedinteger[Any]]


class PackedPairs(NamedTuple):
    """Pairs as in `Neighbours`, but with integer shifts in place of their vectors.

    A quarter of the memory; `unpack_pairs` computes ``D = r_j - r_i + S @ cell``.
    """

    n_species: int
    n_shells: int
    species_n: Integers
    first_g: Integers
    j_p: NDArray[np.int32]
    S_cp: Shifts


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
    return unpack_pairs(find_packed_pairs(batch, cutoffs, skin), batch)


def find_packed_pairs(
    batch: Batch, cutoffs: Sequence[float], skin: float = 0.0
) -> PackedPairs:
    """Return the pairs of `find_pairs`, packed."""
    shells_k = np.asarray(cutoffs, dtype=float) + skin
    n_species = len(batch.species)
    n_groups = batch.n_atoms * n_species * len(shells_k)
    first_g = np.zeros(n_groups + 1, dtype=np.int64)
    halves: list[Any] = [None] * batch.n_structures

    def place(s: int) -> tuple[Any, ...]:
        geometry = (batch.positions_nc, batch.cells_scc[s], shells_k**2)
        return batch.first_s[s], batch.species_n, n_species, geometry

    def search(structures: Sequence[int]) -> None:
        engine = vesin.NeighborList(cutoff=shells_k[-1], full_list=False, n_threads=1)
        for s in structures:
            first, last = batch.first_s[s : s + 2]
            pairs_pi, S_pc = engine.compute(
                batch.positions_nc[first:last],
                batch.cells_scc[s],
                batch.pbc_sc[s],
                "PS",
                copy=False,
            )
            halves[s] = pairs_pi.astype(np.int32), _shorten(S_pc)
            count_pairs(*halves[s], *place(s), first_g)

    share(search, batch.n_structures, batch.n_atoms)
    np.cumsum(first_g, out=first_g)
    j_p = np.empty(first_g[-1], dtype=np.int32)
    short = all(S_cp.dtype == np.int8 for _, S_cp in halves)
    S_cp = np.empty((3, first_g[-1]), dtype=np.int8 if short else np.int32)
    next_g = first_g[:-1].copy()

    def fill(structures: Sequence[int]) -> None:
        for s in structures:
            fill_pairs(*halves[s], *place(s), next_g, j_p, S_cp)

    share(fill, batch.n_structures, batch.n_atoms)
    return PackedPairs(n_species, len(shells_k), batch.species_n, first_g, j_p, S_cp)


def _shorten(S_pc: Shifts) -> Shifts:
    """Return the transposed shifts, as bytes unless atoms are 127 cells away."""
    far = max(S_pc.max(initial=0), -S_pc.min(initial=0)) > 127
    return np.array(S_pc.T, dtype=np.int32 if far else np.int8, order="C")


def unpack_pairs(packed: PackedPairs, batch: Batch) -> Neighbours:
    """Return the pairs of ``batch`` with their vectors."""
    D_cp = np.empty((3, len(packed.j_p) + WIDTH))
    D_cp[:, len(packed.j_p) :] = 0.0
    first_n = packed.first_g[:: packed.n_species * packed.n_shells]
    structure_n = batch.structure_n
    chunk_ki = plan_chunks(batch)

    def work(chunks: Sequence[int]) -> None:
        for start, stop, *_ in chunk_ki[chunks]:
            compute_vectors(
                start,
                stop,
                first_n,
                packed.j_p,
                packed.S_cp,
                batch.positions_nc,
                batch.cells_scc,
                structure_n,
                D_cp,
            )

    share(work, len(chunk_ki), batch.n_atoms)
    return Neighbours(*packed[:5], D_cp)


def take_pairs(packed: PackedPairs, batch: Batch, structures: Integers) -> PackedPairs:
    """Return the pairs of some structures of ``batch``, in the order given."""
    n_groups = packed.n_species * packed.n_shells
    counts_g = np.diff(packed.first_g)
    shift = 0
    species, counts, j, S = [], [np.zeros(1, dtype=np.int64)], [], []
    for first, last in zip(
        batch.first_s[structures], batch.first_s[structures + 1], strict=True
    ):
        groups = slice(first * n_groups, last * n_groups)
        pairs = slice(packed.first_g[groups.start], packed.first_g[groups.stop])
        species.append(packed.species_n[first:last])
        counts.append(counts_g[groups])
        j.append(packed.j_p[pairs] + np.int32(shift - first))
        S.append(packed.S_cp[:, pairs])
        shift += last - first
    return packed._replace(
        species_n=np.concatenate(species),
        first_g=np.cumsum(np.concatenate(counts)),
        j_p=np.concatenate(j),
        S_cp=np.concatenate(S, axis=1),
    )


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
