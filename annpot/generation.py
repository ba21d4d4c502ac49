"""Structure files -> fingerprint set: what ``annpot generate`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.descriptors.building import make_descriptor
from annpot.elements import SYMBOLS
from annpot.errors import InputError, StructureError
from annpot.fingerprints import Entry, Environments, Writer, create_set
from annpot.pairs import find_nearest, find_pairs
from annpot.scaling import Statistics, compute_statistics
from annpot.settings import Settings, SpeciesSettings
from annpot.structures.reading import (
    Source,
    SourceFile,
    find_all_files,
    read_files,
    require_references,
)
from annpot.structures.structure import Array, Batch, Structure, check_species, stack

Progress = Callable[[list[SourceFile], str], Iterable[SourceFile]]
"""Wraps the list of files, with a word on what is done, to show progress."""


@dataclass(frozen=True)
class Summary:
    """What went into a set."""

    path: Path
    species: tuple[str, ...]
    n_files: int
    n_structures: int
    n_atoms_s: Array
    reference_energies: Array
    rank: int
    """Rank of the compositions, if reference energies were fitted to them."""
    n_fitted: int
    energy_range: tuple[float, float]
    """Least and largest energy per atom minus the reference energies, eV."""
    force_range: tuple[float, float]
    """Least and largest size of a force on an atom, eV/angstrom; NaN without forces."""
    n_with_forces: int
    n_with_stress: int
    statistics: list[Statistics]
    labels: dict[str, list[str]]
    """Names of the features of each species."""
    constant: dict[str, list[str]]
    """Names of the constant features of each species that has such."""
    environments: Environments
    skipped: list[str]


def generate(
    settings: Settings,
    base: Path,
    progress: Progress = lambda files, _: files,
) -> Summary:
    """Write the fingerprint set that ``settings`` describe.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.
    progress
        Wraps the list of files while it is worked off.

    Raises
    ------
    AnnpotError
        On the first wrong structure, unless those are to be skipped.
    """
    files = _find_files(settings, base)
    _check_output(settings.generate.output, files)
    species = settings.species
    if species is None:
        found = _read_species(progress(files, "species"))
        species = {symbol: SpeciesSettings() for symbol in found}
    symbols = tuple(species)
    descriptor = make_descriptor(settings.descriptor, symbols)
    tally = Tally(symbols, [species[symbol].energy for symbol in symbols])
    skipped: list[str] = []
    entries = (
        tally.entry(structure, source)
        for structure, source in read_files(
            progress(files, "fingerprints"),
            on_error=settings.generate.on_error,
            skipped=skipped,
            require=tally.check,
        )
    )
    with create_set(settings.generate.output, descriptor, settings.to_json()) as writer:
        for batch_of in iterate_batches(entries, settings.generate.batch_atoms):
            add_batch(batch_of, descriptor, writer, tally)
        if not tally.atoms_s:
            raise StructureError(
                f"no structure is left to make fingerprints of: {len(skipped)} skipped"
                f", the first because of {skipped[0] if skipped else 'nothing'}"
            )
        energies = tally.finish(writer)
    return tally.summary(
        settings.generate.output, len(files), energies, descriptor, skipped
    )


def _check_output(output: Path, files: list[SourceFile]) -> None:
    if output.exists() and any(file.path.samefile(output) for file in files):
        raise InputError(
            f"generate.output: '{output}' is one of the files with structures, "
            "expected another name"
        )


def _find_files(settings: Settings, base: Path) -> list[SourceFile]:
    return find_all_files(
        [Source(**dict(group)) for group in settings.structures], base
    )


def find_species(settings: Settings, base: Path) -> tuple[str, ...]:
    """Return the species of the settings, or else those of the structures.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.
    """
    if settings.species is not None:
        return tuple(settings.species)
    return _read_species(_find_files(settings, base))


def _read_species(files: Iterable[SourceFile]) -> tuple[str, ...]:
    """Return the species of all structures that can be read, by atomic number."""
    skipped: list[str] = []
    found: set[str] = set()
    require = require_references
    for structure, _ in read_files(
        files, on_error="skip", skipped=skipped, require=require
    ):
        found.update(structure.symbols)
    if not found:
        raise StructureError(skipped[0] if skipped else "no structure found")
    return tuple(sorted(found, key=SYMBOLS.index))


def iterate_batches(entries: Iterator[Entry], n_atoms: int) -> Iterator[list[Entry]]:
    """Yield lists of entries with about ``n_atoms`` atoms."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.structure)
        if size >= n_atoms:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def add_batch(
    entries: list[Entry], descriptor: Descriptor, writer: Writer, tally: Tally
) -> Features:
    """Append some structures to a set, and return their features."""
    batch = stack([entry.structure for entry in entries], descriptor.species)
    neighbours = find_pairs(batch, descriptor.cutoffs)
    features = descriptor.compute_features(batch, neighbours)
    writer.append(entries, features)
    nearest_nt = find_nearest(neighbours)
    n_groups = neighbours.n_species * neighbours.n_shells
    counts_n = np.diff(neighbours.first_g[::n_groups])
    statistics = [compute_statistics(G) for G in features.blocks(features.G_f)]
    tally.add_environments(batch, nearest_nt, counts_n, statistics)
    return features


@dataclass
class Tally:
    """What is counted while structures pass; its size does not grow with atoms."""

    species: tuple[str, ...]
    given: list[float | str]
    """Reference energy of each species, or ``fit``."""
    energy_s: list[float] = field(default_factory=list)
    atoms_s: list[list[int]] = field(default_factory=list)
    force_range: tuple[float, float] = (np.inf, 0.0)
    n_with_forces: int = 0
    n_with_stress: int = 0
    statistics: list[Statistics] = field(default_factory=list)
    shortest_st: Array = field(default_factory=lambda: np.zeros((0, 0)))
    counts: list[list[float]] = field(default_factory=list)
    """Least, sum and largest number of neighbours of each species."""

    def check(self, structure: Structure) -> None:
        """Check that a structure can be used.

        Raises
        ------
        StructureError
            If it cannot.
        """
        require_references(structure, energy=True)
        check_species(structure, self.species)
        if "fit" in self.given and structure.energy is None:
            raise StructureError(
                f"{structure.label}: cohesive energy found, which needs energies of "
                "free atoms: give the reference energies of all species"
            )

    def entry(self, structure: Structure, source: Source) -> Entry:
        """Return the entry of a structure, and count its energy and forces."""
        counts = [structure.symbols.count(symbol) for symbol in self.species]
        energy = structure.energy
        if energy is None:
            assert structure.cohesive_energy is not None
            free_atoms = np.dot(counts, np.array(self.given, dtype=float))
            energy = structure.cohesive_energy + float(free_atoms)
        self.energy_s.append(energy)
        self.atoms_s.append(counts)
        if structure.forces_nc is not None:
            size_n = np.linalg.norm(structure.forces_nc, axis=1)
            low, high = self.force_range
            self.force_range = min(low, size_n.min()), max(high, size_n.max())
            self.n_with_forces += 1
        self.n_with_stress += structure.stress_v is not None
        set_ = source.set or structure.set or ""
        return Entry(structure, energy, source.group or "", set_, source.weight)

    def add_environments(
        self,
        batch: Batch,
        nearest_nt: Array,
        counts_n: Any,
        statistics: list[Statistics],
    ) -> None:
        """Add the distances, neighbours and features of a batch."""
        if not self.statistics:
            n = len(self.species)
            self.shortest_st = np.full((n, n), np.inf)
            self.counts = [[np.inf, 0.0, 0.0] for _ in self.species]
            self.statistics = statistics
        else:
            pairs = zip(self.statistics, statistics, strict=True)
            self.statistics = [old.merge(new) for old, new in pairs]
        np.minimum.at(self.shortest_st, batch.species_n, nearest_nt)
        for s, count in enumerate(self.counts):
            of_species = counts_n[batch.species_n == s]
            if len(of_species):
                count[0] = min(count[0], of_species.min())
                count[1] += of_species.sum()
                count[2] = max(count[2], of_species.max())

    def neighbours(self) -> Array:
        """Return least, mean and largest number of neighbours of each species."""
        return np.array(
            [
                [low, total / s.n_atoms, high] if s.n_atoms else [0.0, 0.0, 0.0]
                for (low, total, high), s in zip(
                    self.counts, self.statistics, strict=True
                )
            ]
        )

    def fit_reference_energies(self) -> Array:
        """Return the reference energies; those not given by least squares.

        Of all that fit equally well, the ones closest to equal: where compositions do
        not tell species apart, only their sums in the structures have a meaning.
        """
        energies = np.array([0.0 if e == "fit" else float(e) for e in self.given])
        free = np.array([e == "fit" for e in self.given])
        atoms_sk = np.array(self.atoms_s, dtype=float)
        if free.any():
            share_sk = atoms_sk / atoms_sk.sum(axis=1, keepdims=True)
            rest_s = np.array(self.energy_s) / atoms_sk.sum(axis=1)
            rest_s = rest_s - share_sk @ energies
            share = share_sk[:, free].sum(axis=1).mean()
            mean = rest_s.mean() / share if share > 0.0 else 0.0
            centred_s = rest_s - share_sk[:, free].sum(axis=1) * mean
            fit, *_ = np.linalg.lstsq(share_sk[:, free], centred_s, rcond=1e-8)
            energies[free] = fit + mean
        return energies

    def finish(self, writer: Writer) -> Array:
        """Write what is known only now, and return the reference energies."""
        energies = self.fit_reference_energies()
        environments = Environments(self.shortest_st, self.neighbours())
        writer.finish(energies, self.statistics, environments)
        return energies

    def summary(
        self,
        path: Path,
        n_files: int,
        energies: Array,
        descriptor: Descriptor,
        skipped: list[str],
    ) -> Summary:
        """Return all that was counted."""
        atoms_sk = np.array(self.atoms_s, dtype=float)
        per_atom_s = np.array(self.energy_s) - atoms_sk @ energies
        per_atom_s /= atoms_sk.sum(axis=1)
        free = np.array([e == "fit" for e in self.given])
        constant = {
            symbol: [
                label
                for label, flag in zip(
                    descriptor.labels(symbol), statistics.constant_f, strict=True
                )
                if flag
            ]
            for symbol, statistics in zip(self.species, self.statistics, strict=True)
            if statistics.n_atoms
        }
        return Summary(
            path=path,
            species=self.species,
            n_files=n_files,
            n_structures=len(self.energy_s),
            n_atoms_s=atoms_sk.sum(axis=0).astype(int),
            reference_energies=energies,
            rank=int(np.linalg.matrix_rank(atoms_sk[:, free])) if free.any() else 0,
            n_fitted=int(free.sum()),
            energy_range=(float(per_atom_s.min()), float(per_atom_s.max())),
            force_range=self.force_range if self.n_with_forces else (np.nan, np.nan),
            n_with_forces=self.n_with_forces,
            n_with_stress=self.n_with_stress,
            statistics=self.statistics,
            labels={symbol: descriptor.labels(symbol) for symbol in self.species},
            constant={symbol: names for symbol, names in constant.items() if names},
            environments=Environments(self.shortest_st, self.neighbours()),
            skipped=skipped,
        )
