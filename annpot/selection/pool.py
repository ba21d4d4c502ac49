"""A pool of structures to choose from, read again for each pass, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import numpy as np

from annpot.convert.structure_files import structures_of_set
from annpot.descriptors import Descriptor, Features
from annpot.errors import FileFormatError, StructureError
from annpot.fingerprints import FingerprintSet
from annpot.predictor import Predictor
from annpot.structures.reading import SourceFile, read_files
from annpot.structures.structure import Array, Integers, Structure, check_species, stack

BATCH_ATOMS = 5000


@dataclass(frozen=True)
class Candidate:
    """One structure of a pool."""

    number: int
    """Counted through the pool."""
    structure: Structure
    G_s: tuple[Array, ...]
    """Features of its atoms of each species, ``G_nf``."""
    atoms_s: tuple[Integers, ...]
    """Numbers of these atoms."""
    deviation_s: tuple[Array, ...] | None = None
    """Deviation of the forces on them among a committee, eV/angstrom."""

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        structure = 48 * len(self.structure)
        return structure + sum(G_nf.nbytes for G_nf in self.G_s)

    def copy(self) -> Candidate:
        """Return the candidate without the arrays of its batch."""
        deviation_s = self.deviation_s
        if deviation_s is not None:
            deviation_s = tuple(deviation_n.copy() for deviation_n in deviation_s)
        return replace(
            self,
            G_s=tuple(G_nf.copy() for G_nf in self.G_s),
            atoms_s=tuple(atoms.copy() for atoms in self.atoms_s),
            deviation_s=deviation_s,
        )


class Pool(Protocol):
    """What structures are chosen from."""

    def structures(self) -> Iterator[Structure]:
        """Yield all structures, in the same order each time."""


@dataclass
class FilePool:
    """The structures of files, in the order of the files' names.

    Parameters
    ----------
    files
        What `annpot.structures.reading.find_files` found.
    skip
        Whether to leave out what cannot be used.
    progress
        Wraps the list of files while it is worked off.
    """

    files: list[SourceFile]
    skip: bool = False
    progress: Callable[[list[SourceFile]], Iterable[SourceFile]] = iter
    species: tuple[str, ...] | None = None
    """Structures with others are not usable; ``None``: all are."""
    skipped: list[str] = field(default_factory=list)
    """Takes a message on each that was left out in the last pass."""

    def structures(self) -> Iterator[Structure]:
        """Yield all structures, in the same order each time."""
        self.skipped.clear()
        files = sorted(self.files, key=lambda file: str(file.path))
        found = read_files(
            self.progress(files),
            on_error="skip" if self.skip else "stop",
            skipped=self.skipped,
            require=self._check,
        )
        for structure, _ in found:
            yield structure

    def _check(self, structure: Structure) -> None:
        if self.species is not None:
            check_species(structure, self.species)


@dataclass(frozen=True)
class SetPool:
    """The structures of a fingerprint set."""

    fingerprints: FingerprintSet

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the set."""
        return self.fingerprints.descriptor

    def structures(self) -> Iterator[Structure]:
        """Yield all structures, in the same order each time."""
        return structures_of_set(self.fingerprints)


def find_species(pool: Pool) -> set[str]:
    """Return the species of all structures.

    Raises
    ------
    StructureError
        If there is no structure.
    """
    found: set[str] = set()
    for structure in pool.structures():
        found.update(structure.symbols)
    if not found:
        raise StructureError("the pool holds no structure that can be used")
    return found


Compute = Callable[[list[Structure]], tuple[Features, Array | None]]
"""Gives features and, if wanted, the deviations of forces of some structures."""


def by_descriptor(descriptor: Descriptor) -> Compute:
    """Return what computes the features alone."""

    def compute(structures: list[Structure]) -> tuple[Features, Array | None]:
        batch = stack(structures, descriptor.species)
        return descriptor.compute_features(batch), None

    return compute


def by_committee(predictor: Predictor) -> Compute:
    """Return what computes the deviations, too.

    Raises
    ------
    FileFormatError
        If it is not a committee.
    """

    def compute(structures: list[Structure]) -> tuple[Features, Array | None]:
        result = predictor.evaluate(stack(structures, predictor.species))
        if result.F_std_n is None:
            raise FileFormatError("a potential alone has no deviations")
        return result.features, result.F_std_n

    return compute


def iterate_features(pool: Pool, compute: Compute) -> Iterator[list[Array]]:
    """Yield the features ``G_nf`` of each species, batch by batch."""
    for structures in _batches(pool):
        features, _ = compute(structures)
        yield features.blocks(features.G_f)


def iterate_candidates(pool: Pool, compute: Compute) -> Iterator[Candidate]:
    """Yield each structure with its features."""
    number = 0
    for structures in _batches(pool):
        features, deviation_n = compute(structures)
        yield from _cut(structures, features, deviation_n, number)
        number += len(structures)


def _batches(pool: Pool) -> Iterator[list[Structure]]:
    structures = pool.structures()
    while first := list(islice(structures, 1)):
        batch, size = first, len(first[0])
        while size < BATCH_ATOMS and (following := next(structures, None)):
            batch.append(following)
            size += len(following)
        yield batch


def _cut(
    structures: list[Structure],
    features: Features,
    deviation_n: Array | None,
    number: int,
) -> Iterator[Candidate]:
    """Yield the part of each structure in the arrays of a batch."""
    blocks = features.blocks(features.G_f)
    first_s = features.batch.first_s
    starts = [np.searchsorted(atoms, first_s) for atoms in features.atoms_s]
    for k, structure in enumerate(structures):
        rows = [slice(start[k], start[k + 1]) for start in starts]
        atoms = [a[r] for a, r in zip(features.atoms_s, rows, strict=True)]
        yield Candidate(
            number=number + k,
            structure=structure,
            G_s=tuple(G_nf[r] for G_nf, r in zip(blocks, rows, strict=True)),
            atoms_s=tuple(a - first_s[k] for a in atoms),
            deviation_s=None
            if deviation_n is None
            else tuple(deviation_n[a] for a in atoms),
        )
