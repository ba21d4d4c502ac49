"""A descriptor: parts that turn the environment of an atom into features.

The parts say which features there are; their operators compute them, and what is needed
of their derivatives, for chunks of atoms. The descriptor puts the features of all parts
one after the other, and deals the chunks to threads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.kernels.environment import Neighbours
from annpot.kernels.threads import share
from annpot.pairs import find_pairs, plan_chunks
from annpot.structures.structure import Array, Batch, Integers


@dataclass(frozen=True)
class Features:
    """The features of all atoms of a batch, and what their derivatives need.

    Features lie in one flat array: those of all atoms of the first species, then of the
    second. ``blocks(G_f)`` gives the matrix of each species as a view.
    """

    batch: Batch
    neighbours: Neighbours
    atoms_s: list[Integers]
    """Atoms of each species, in the order of the rows of its matrix."""
    n_features_s: Integers
    feature_n: Integers
    """First feature of each atom in the flat array."""
    G_f: Array
    states: list[Any]
    """What each operator keeps for derivatives (of the size of the features)."""

    def blocks(self, G_f: Array) -> list[Array]:
        """Return the matrices ``G_nf`` of each species in the flat array ``G_f``."""
        sizes_s = [len(atoms) for atoms in self.atoms_s]
        ends_s = np.cumsum(sizes_s * self.n_features_s)
        return [
            block.reshape(size, -1) if size else block.reshape(0, n_features)
            for block, size, n_features in zip(
                np.split(G_f, ends_s[:-1]), sizes_s, self.n_features_s, strict=True
            )
        ]


class Task(NamedTuple):
    """Some chunks of atoms, and where their features lie."""

    chunk_ki: Integers
    """Rows of `annpot.pairs.plan_chunks`."""
    neighbours: Neighbours
    feature_n: Integers
    """First feature of the part for each atom in the flat array of features."""


class Motion(NamedTuple):
    """A direction in which atoms and cells move."""

    V_nc: Array
    structure_n: Integers
    strain_scc: Array
    """Strain rates: a pair moves by ``V_j - V_i + D @ strain``. Empty: none."""


class Operator(Protocol):
    """Computes some features of each atom; adds to arrays that are zero at first.

    All operations cost O(neighbours) unless said otherwise; none stores derivatives.
    """

    def make_state(self, n_atoms: int) -> Any:
        """Return the arrays that features leave for their derivatives."""

    def add_features(self, task: Task, state: Any, G_f: Array) -> None:
        """Add the features of the atoms of some chunks, and set their state."""

    def add_forces(
        self,
        task: Task,
        state: Any,
        dEdG_kf: Array,
        F_knc: Array,
        virial_kncc: Array,
    ) -> None:
        """Add ``-sum_f dE/dG_f dG_f/dR`` to the rows of a buffer that the chunks say.

        For each of several energies k. ``virial_kncc`` gets ``-sum_p D_p dE/dD_p`` over
        the pairs of each central atom; shape=(.., 0, 3, 3) if not wanted.
        """

    def add_tangents(
        self, task: Task, state: Any, motion: Motion, Gdot_f: Array
    ) -> None:
        """Add ``sum dG_f/dR V + dG_f/dstrain strain``."""


class Part(Protocol):
    """A recipe for some features of each atom."""

    type: ClassVar[str]

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species that the part knows."""

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom."""

    @property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""

    def labels(self, species: str) -> list[str]:
        """Return a short name of each feature of a central species, in order."""

    def words(self, species: str) -> list[str]:
        """Return each feature of a central species in words, in order."""

    def operators(self, shells: tuple[float, ...]) -> list[Operator]:
        """Return what computes the features, for pair lists with these shells."""

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""

    @classmethod
    def from_dict(cls, recipe: Mapping[str, Any]) -> Part:
        """Return the part that ``to_dict`` described.

        Raises
        ------
        FileFormatError
            If the recipe is malformed.
        """


@contextmanager
def reading_recipe(name: str) -> Iterator[None]:
    """Tell whatever may go wrong with a recipe that anybody may have written.

    Raises
    ------
    FileFormatError
        Instead of what is raised inside.
    """
    try:
        yield
    except KeyError as error:
        raise FileFormatError(f"malformed {name} descriptor: no {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"malformed {name} descriptor: {error}") from None


def read_species(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the central species of a recipe, in order.

    Raises
    ------
    ValueError
        If there is none, or something that is no chemical element.
    """
    species = tuple(recipe["central"])
    if not species:
        raise ValueError("no species")
    strangers = [symbol for symbol in species if symbol not in SYMBOLS[1:]]
    if strangers:
        raise ValueError(f"{strangers[0]!r:.40} is not a chemical element")
    return species


@dataclass(frozen=True)
class Descriptor:
    """One part or several, whose features follow each other for each atom."""

    parts: tuple[Part, ...]
    more_cutoffs: tuple[float, ...] = ()
    """Further shells of the pair list, which others need who share it."""

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species that the descriptor knows."""
        return self.parts[0].species

    @cached_property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom: the shells of the pair list."""
        own = {cutoff for part in self.parts for cutoff in part.cutoffs}
        return tuple(sorted(own.union(self.more_cutoffs)))

    @cached_property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""
        return np.asarray(sum(part.n_features_s for part in self.parts))

    @property
    def n_features(self) -> dict[str, int]:
        """The same by the symbols of the species, in their order."""
        return dict(zip(self.species, self.n_features_s.tolist(), strict=True))

    @cached_property
    def operators(self) -> list[tuple[Integers, Operator]]:
        """All operators, with the first feature of their part by central species."""
        first_s = np.zeros(len(self.species), dtype=np.int64)
        operators = []
        for part in self.parts:
            operators += [(first_s, op) for op in part.operators(self.cutoffs)]
            first_s = first_s + part.n_features_s
        return operators

    def labels(self, species: str) -> list[str]:
        """Return a short name of each feature of a central species, in order.

        Names that several parts have also tell the part, ``radial 0 part=1``, which is
        ``descriptor[1]`` in the settings.
        """
        named = [
            (label, k)
            for k, part in enumerate(self.parts)
            for label in part.labels(species)
        ]
        count = Counter(label for label, _ in named)
        return [
            f"{label} part={k}" if count[label] > 1 else label for label, k in named
        ]

    def words(self, species: str) -> list[str]:
        """Return each feature of a central species in words, in order."""
        return self._words[species]

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        return {
            species: [
                f"{words} in descriptor[{k}]" if len(self.parts) > 1 else words
                for k, part in enumerate(self.parts)
                for words in part.words(species)
            ]
            for species in self.species
        }

    def compute_features(
        self, batch: Batch, neighbours: Neighbours | None = None
    ) -> Features:
        """Return the features of all atoms.

        Parameters
        ----------
        neighbours
            `annpot.pairs.find_pairs` of ``cutoffs``; searched for if not given.
        """
        if neighbours is None:
            neighbours = find_pairs(batch, self.cutoffs)
        atoms_s, feature_n = _lay_out(batch, self.n_features_s)
        sizes_s = np.array([len(atoms) for atoms in atoms_s])
        features = Features(
            batch,
            neighbours,
            atoms_s,
            self.n_features_s,
            feature_n,
            np.zeros(int(sizes_s @ self.n_features_s)),
            [operator.make_state(batch.n_atoms) for _, operator in self.operators],
        )
        chunk_ki = plan_chunks(batch)

        def work(chunks: Sequence[int]) -> None:
            for operator, task, state in self._tasks(features, chunk_ki[chunks]):
                operator.add_features(task, state, features.G_f)

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        return features

    def compute_forces(
        self,
        features: Features,
        dEdG_f: Array,
        *,
        virials: bool = False,
        structures: Integers | None = None,
    ) -> tuple[Array, Array | None]:
        """Return forces and, if wanted, the virials of the structures.

        Parameters
        ----------
        dEdG_f
            Derivative of the energy by each feature, laid out as ``features.G_f``.
        structures
            Only these structures of the batch; rows of others are zero.

        Returns
        -------
        F_nc, virial_scc
            ``F = -sum_f dE/dG_f dG_f/dR`` and ``virial = -dE/dstrain``.
        """
        F_knc, virial_kscc = self.compute_all_forces(
            features, dEdG_f[None], virials=virials, structures=structures
        )
        return F_knc[0], None if virial_kscc is None else virial_kscc[0]

    def compute_all_forces(
        self,
        features: Features,
        dEdG_kf: Array,
        *,
        virials: bool = False,
        structures: Integers | None = None,
    ) -> tuple[Array, Array | None]:
        """Return the same of several energies, ``F_knc`` and ``virial_kscc``.

        In one pass over the pairs; with the bits that `compute_forces` gives of each.
        """
        dEdG_kf = np.ascontiguousarray(dEdG_kf)  # kernels take that for granted
        batch, K = features.batch, len(dEdG_kf)
        n_atoms, chunk_ki = batch.n_atoms, _chunks(batch, structures)
        rows = chunk_ki[:, 3] - chunk_ki[:, 2]
        n_rows = n_atoms if structures is not None else int(rows.sum())
        buffer = np.zeros((K, n_rows, 3))
        virial_kncc = np.zeros((K, n_atoms if virials else 0, 3, 3))

        def work(chunks: Sequence[int]) -> None:
            for operator, task, state in self._tasks(features, chunk_ki[chunks]):
                operator.add_forces(task, state, dEdG_kf, buffer, virial_kncc)

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        F_knc = buffer
        if n_rows != n_atoms:
            F_knc = np.zeros((K, n_atoms, 3))
            for (_, _, low, high, row), size in zip(chunk_ki, rows, strict=True):
                F_knc[:, low:high] += buffer[:, row : row + size]
        if not virials:
            return F_knc, None
        virial_kscc = np.zeros((K, batch.n_structures, 3, 3))
        for virial_scc, virial_ncc in zip(virial_kscc, virial_kncc, strict=True):
            np.add.at(virial_scc, batch.structure_n, virial_ncc)
        return F_knc, virial_kscc

    def compute_tangents(
        self,
        features: Features,
        V_nc: Array,
        strain_scc: Array | None = None,
        *,
        structures: Integers | None = None,
    ) -> Array:
        """Return ``sum dG_f/dR V + dG_f/dstrain strain``, laid out as the features.

        With ``structures``, values of atoms in other structures are zero.
        """
        chunk_ki = _chunks(features.batch, structures)
        Gdot_f = np.zeros_like(features.G_f)
        if strain_scc is None:
            strain_scc = np.zeros((0, 3, 3))
        motion = Motion(V_nc, features.batch.structure_n, strain_scc)

        def work(chunks: Sequence[int]) -> None:
            for operator, task, state in self._tasks(features, chunk_ki[chunks]):
                operator.add_tangents(task, state, motion, Gdot_f)

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        return Gdot_f

    def _tasks(
        self, features: Features, chunk_ki: Integers
    ) -> list[tuple[Operator, Task, Any]]:
        """Return each operator with its task and its state."""
        neighbours, species_n = features.neighbours, features.batch.species_n
        return [
            (
                operator,
                Task(chunk_ki, neighbours, features.feature_n + first_s[species_n]),
                state,
            )
            for (first_s, operator), state in zip(
                self.operators, features.states, strict=True
            )
        ]

    @cached_property
    def recipe(self) -> str:
        """The recipe as JSON; the same for descriptors that compute the same."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""
        recipes = [part.to_dict() for part in self.parts]
        if len(recipes) == 1:
            return recipes[0]
        return {"type": "concatenation", "parts": recipes}


def _lay_out(batch: Batch, n_features_s: Integers) -> tuple[list[Integers], Integers]:
    """Return the atoms of each species and the first feature of each atom."""
    atoms_s = [np.flatnonzero(batch.species_n == s) for s in range(len(batch.species))]
    feature_n = np.zeros(batch.n_atoms, dtype=np.int64)
    first = 0
    for atoms, n_features in zip(atoms_s, n_features_s, strict=True):
        feature_n[atoms] = first + n_features * np.arange(len(atoms))
        first += n_features * len(atoms)
    return atoms_s, feature_n


def _chunks(batch: Batch, structures: Integers | None) -> Integers:
    """Return the chunks of all atoms, or one for each of some structures.

    Each of the latter adds to the rows of its own atoms.
    """
    if structures is None:
        return plan_chunks(batch)
    first, last = batch.first_s[structures], batch.first_s[structures + 1]
    return np.stack([first, last, first, last, first], axis=1)


def _count_atoms(chunk_ki: Integers) -> int:
    return int((chunk_ki[:, 1] - chunk_ki[:, 0]).sum())
