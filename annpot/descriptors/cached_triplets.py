"""Triplet functions whose derivatives are kept: products with them cost little."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from annpot.descriptors.base import Descriptor, Motion, Operator, Task
from annpot.descriptors.triplets import TripletsOperator
from annpot.kernels import jacobians, triplet_jacobians
from annpot.kernels.environment import Neighbours
from annpot.kernels.jacobians import Jacobian
from annpot.kernels.triplet_recipe import make_triplet_workspace
from annpot.structures.structure import Array, Integers


class CachedTriplets:
    """A `TripletsOperator` that keeps the derivatives of its features.

    They are computed with the features, one feature at a time, and merged over the
    images of each neighbour. Forces and tangents then are sparse products. Kept in
    single precision, derivatives have relative errors of 6e-8.

    Parameters
    ----------
    strains
        Whether derivatives by strains are kept too; without, virials and tangents of
        moving cells visit the triplets again.
    """

    def __init__(
        self,
        operator: TripletsOperator,
        dtype: DTypeLike = np.float64,
        *,
        strains: bool = False,
    ) -> None:
        self.operator = operator
        self.dtype = np.dtype(dtype)
        self.strains = strains
        self._features, self._column_e = _columns(operator)

    def bytes_needed(self, neighbours: Neighbours) -> int:
        """Return the size of what is kept for atoms with these neighbours."""
        n_atoms = len(neighbours.species_n)
        _, rows_n, j_r = _rows(neighbours, 0, n_atoms)
        sizes_n = self._sizes(neighbours, 0, rows_n)
        size = int(sizes_n.sum()) * self.dtype.itemsize
        return size + int(j_r.nbytes) + 16 * n_atoms

    @property
    def row_bytes_s(self) -> Integers:
        """Bytes for each atom that the features of a central species depend on."""
        return np.asarray(3 * self.dtype.itemsize * np.diff(self._features[0]))

    def make_state(self, n_atoms: int) -> list[Jacobian]:
        """Return an empty list for the derivatives of chunks."""
        return []

    def add_features(self, task: Task, state: list[Jacobian], G_f: Array) -> None:
        """Add the features of some chunks, and keep their derivatives."""
        self.operator.add_features(task, (), G_f)
        for first, last, *_ in task.chunk_ki:
            state.append(self._jacobian(task.neighbours, int(first), int(last)))

    def add_forces(
        self,
        task: Task,
        state: list[Jacobian],
        dEdG_kf: Array,
        F_knc: Array,
        virial_kncc: Array,
    ) -> None:
        """Add forces and virials."""
        if virial_kncc.shape[1] > 0 and not self.strains:
            self.operator.add_forces(task, (), dEdG_kf, F_knc, virial_kncc)
            return
        for shift, piece in self._pieces(task, state):
            for member in zip(dEdG_kf, F_knc, virial_kncc, strict=True):
                jacobians.contract(*piece, shift, *member)

    def add_tangents(
        self, task: Task, state: list[Jacobian], motion: Motion, Gdot_f: Array
    ) -> None:
        """Add the tangents of the features."""
        if len(motion.strain_scc) > 0 and not self.strains:
            self.operator.add_tangents(task, (), motion, Gdot_f)
            return
        for _, piece in self._pieces(task, state):
            jacobians.apply(*piece, *motion, Gdot_f)

    def _pieces(
        self, task: Task, state: list[Jacobian]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the shift of the rows of forces, and what both products begin with."""
        ordered = sorted(state, key=lambda jacobian: jacobian.first_atom)
        layout = (self._features, task.feature_n, task.neighbours.species_n)
        for first, last, low, _, row in task.chunk_ki:
            for jacobian in ordered:
                n_atoms = len(jacobian.first_n) - 1
                start = max(int(first), jacobian.first_atom)
                stop = min(int(last), jacobian.first_atom + n_atoms)
                if start < stop:
                    yield int(row - low), (start, stop, jacobian, *layout)

    def _jacobian(self, neighbours: Neighbours, first: int, last: int) -> Jacobian:
        """Return the derivatives of the features of some atoms."""
        row_p, rows_n, j_r = _rows(neighbours, first, last)
        sizes_n = self._sizes(neighbours, first, rows_n)
        first_n = np.append(0, np.cumsum(sizes_n))
        jacobian = Jacobian(
            first,
            self.strains,
            first_n,
            np.append(0, np.cumsum(rows_n)),
            j_r,
            np.zeros(int(first_n[-1]), dtype=self.dtype),
        )
        recipe = self.operator.recipe
        work = make_triplet_workspace(recipe, neighbours)
        first_pair = int(_first_pairs(neighbours)[first])
        triplet_jacobians.set_jacobian(
            neighbours, recipe, work, self._column_e, row_p, first_pair, jacobian
        )
        return jacobian

    def _sizes(self, neighbours: Neighbours, first: int, rows_n: Integers) -> Integers:
        """Return how many numbers are kept for each atom with so many rows."""
        species_n = neighbours.species_n[first : first + len(rows_n)]
        size_s = np.diff(self._features[0])
        return (3 * rows_n + 9 * self.strains) * size_s[species_n]


@dataclass(frozen=True)
class CachingDescriptor(Descriptor):
    """A descriptor that keeps the derivatives of its triplet functions."""

    strains: bool = False

    @cached_property
    def operators(self) -> list[tuple[Integers, Operator]]:
        """All operators, those of triplets with derivatives that are kept."""
        return [
            (first_s, CachedTriplets(operator, strains=self.strains))
            if isinstance(operator, TripletsOperator)
            else (first_s, operator)
            for first_s, operator in Descriptor(self.parts).operators
        ]

    @property
    def caches(self) -> list[CachedTriplets]:
        """The operators that keep derivatives."""
        return [op for _, op in self.operators if isinstance(op, CachedTriplets)]


def _columns(operator: TripletsOperator) -> tuple[tuple[Integers, Integers], Integers]:
    """Return which features the operator computes for each species.

    First of each species, and their numbers; and for each entry of the recipe where
    its feature is among those of the species.
    """
    recipe = operator.recipe
    first_e = recipe.first_entry_p[recipe.first_product_h[recipe.first_group_s]]
    features_s, column_e = [], np.zeros(len(recipe.feature_e), dtype=np.int64)
    for first, last in itertools.pairwise(first_e):
        numbers, column_e[first:last] = np.unique(
            recipe.feature_e[first:last], return_inverse=True
        )
        features_s.append(numbers)
    first_s = np.append(0, np.cumsum([len(numbers) for numbers in features_s]))
    return (first_s, np.concatenate(features_s)), column_e


def _first_pairs(neighbours: Neighbours) -> Integers:
    """Return the first pair of each atom, and the number of pairs."""
    return neighbours.first_g[:: neighbours.n_species * neighbours.n_shells]


def _rows(
    neighbours: Neighbours, first: int, last: int
) -> tuple[Integers, Integers, Any]:
    """Return the row of each pair of some atoms, rows of each atom, atoms of the rows.

    The first row of each atom is its own.
    """
    first_p = _first_pairs(neighbours)[first : last + 1]
    counts_n = np.diff(first_p)
    j_p = neighbours.j_p[first_p[0] : first_p[-1]].astype(np.int64)
    m_p = np.repeat(np.arange(last - first), counts_n)
    # 0 is the atom itself, j + 1 another
    width = len(neighbours.species_n) + 1
    key_p = m_p * width + np.where(j_p == m_p + first, 0, j_p + 1)
    own_m = np.arange(last - first) * width
    keys, inverse = np.unique(np.concatenate([own_m, key_p]), return_inverse=True)
    m_r, code_r = np.divmod(keys, width)
    j_r = np.where(code_r == 0, m_r + first, code_r - 1).astype(np.int32)
    rows_n = np.bincount(m_r, minlength=last - first)
    return inverse[last - first :], rows_n, j_r
