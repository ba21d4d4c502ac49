"""The structures to check, with what is known of them: from settings or from a set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from annpot.descriptors import Descriptor
from annpot.descriptors.building import make_descriptor
from annpot.elements import SYMBOLS
from annpot.errors import StructureError
from annpot.fingerprints import load_set
from annpot.settings import Settings, SpeciesSettings
from annpot.structures.reading import Source, find_all_files, read_files
from annpot.structures.structure import (
    Array,
    Batch,
    Integers,
    Structure,
    check_species,
    stack,
)

Item = TypeVar("Item")


class Progress(Protocol):
    """Wraps what is worked off, to show how far that is."""

    def __call__(self, items: Sequence[Item], what: str, unit: str) -> Iterable[Item]:
        """Return the items; ``what`` is done with them, each is one ``unit``."""


def show_nothing(items: Sequence[Item], what: str, unit: str) -> Sequence[Item]:
    """Return the items."""
    return items


@dataclass(frozen=True)
class Sample:
    """Structures and their labels; NaN stands where there is none."""

    descriptor: Descriptor
    batch: Batch
    energy_s: Array
    """Total energies, eV."""
    forces_nc: Array
    """eV/angstrom."""
    stress_sv: Array
    """eV/angstrom^3, Voigt order, ``dE/dstrain / volume``."""
    files: list[str]
    index_s: Integers
    sets: list[str]
    """One of `annpot.fingerprints.SETS` for each structure."""
    fitted: tuple[str, ...]
    """Species whose reference energies are fitted."""
    unreadable: tuple[str, ...] = ()
    """Why structures or files are not among these."""

    @property
    def counts_st(self) -> Array:
        """Number of atoms of each species in each structure."""
        counts_st = np.zeros((self.batch.n_structures, len(self.batch.species)))
        np.add.at(counts_st, (self.batch.structure_n, self.batch.species_n), 1.0)
        return counts_st

    @property
    def has_forces_s(self) -> NDArray[np.bool_]:
        """Whether each structure has forces on all atoms."""
        known_n = np.isfinite(self.forces_nc).all(axis=1)
        known_s: NDArray[np.bool_] = np.logical_and.reduceat(
            known_n, self.batch.first_s[:-1]
        )
        return known_s

    def name(self, s: int) -> str:
        """Return the file of structure ``s``, and its number there if not the first."""
        index = self.index_s[s]
        return f"'{self.files[s]}'" + (f", structure {index}" if index else "")


def load_sample(path: Path) -> Sample:
    """Return the structures of the fingerprint set ``path``."""
    fingerprints = load_set(path)
    labels, species = fingerprints.labels, fingerprints.batch.species
    return Sample(
        descriptor=fingerprints.descriptor,
        batch=fingerprints.batch,
        energy_s=labels.energy_s,
        forces_nc=labels.forces_nc,
        stress_sv=labels.stress_sv,
        files=labels.files,
        index_s=labels.index_s,
        sets=labels.sets,
        fitted=_fitted(fingerprints.settings, species),
    )


def _fitted(settings: str, species: tuple[str, ...]) -> tuple[str, ...]:
    """Return the species whose energies the settings in a file leave open."""
    try:
        given = json.loads(settings)["species"]
        return tuple(s for s in species if given[s]["energy"] == "fit")
    except (ValueError, KeyError, TypeError, RecursionError):
        return species


def read_sample(
    settings: Settings, base: Path, progress: Progress = show_nothing
) -> Sample:
    """Return the structures that ``settings`` name; what cannot be read is noted.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.

    Raises
    ------
    StructureError
        If no structure can be read.
    """
    sources = [Source(**dict(group)) for group in settings.structures]
    files = find_all_files(sources, base)
    unreadable: list[str] = []
    known = settings.species

    def require(structure: Structure) -> None:
        if known is not None:
            check_species(structure, tuple(known))

    structures, sets = [], []
    for structure, source in read_files(
        progress(files, "structures", "file"),
        on_error="skip",
        skipped=unreadable,
        require=require,
    ):
        structures.append(structure)
        sets.append(source.set or structure.set or "")
    if not structures:
        raise StructureError(unreadable[0] if unreadable else "no structure found")
    if known is None:
        found = {symbol for s in structures for symbol in s.symbols}
        symbols = sorted(found, key=SYMBOLS.index)
        known = {symbol: SpeciesSettings() for symbol in symbols}
    return make_sample(
        structures, sets, make_descriptor(settings.descriptor, tuple(known)),
        {s: known[s].energy for s in known}, tuple(unreadable),
    )  # fmt: skip


def make_sample(
    structures: list[Structure],
    sets: list[str],
    descriptor: Descriptor,
    energies: dict[str, float | str],
    unreadable: tuple[str, ...] = (),
) -> Sample:
    """Return the sample of some structures.

    Parameters
    ----------
    energies
        Reference energy in eV of each species, or ``fit``; needed for structures with
        cohesive energies.
    """

    def energy(structure: Structure) -> float:
        if structure.energy is not None:
            return structure.energy
        given = [energies[symbol] for symbol in structure.symbols]
        if structure.cohesive_energy is None or "fit" in given:
            return np.nan
        return structure.cohesive_energy + sum(map(float, given))

    def known(values: Array | None, shape: tuple[int, ...]) -> Array:
        return np.full(shape, np.nan) if values is None else values

    return Sample(
        descriptor=descriptor,
        batch=stack(structures, descriptor.species),
        energy_s=np.array([energy(s) for s in structures]),
        forces_nc=np.concatenate([known(s.forces_nc, (len(s), 3)) for s in structures]),
        stress_sv=np.array([known(s.stress_v, (6,)) for s in structures]),
        files=[s.file for s in structures],
        index_s=np.array([s.index for s in structures]),
        sets=sets,
        fitted=tuple(s for s, energy in energies.items() if energy == "fit"),
        unreadable=unreadable,
    )
