"""The records of aenet's training sets, .train and .train.ascii.

A binary set begins with 7 records on the whole, has 3 records for each structure and 5
for each atom, and ends with 3 records and the set-ups of all species (trainset.f90 of
aenet 2.0.4). As text, as trnset2ASCII.x writes it, all but the set-ups is there, and
what is known of the whole stands at the beginning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from annpot.convert.aenet.networks import (
    MAX_COUNT,
    MAX_FEATURES,
    MAX_SPECIES,
    Setup,
    read_setup,
    write_setup,
)
from annpot.convert.aenet.records import (
    BinaryWriter,
    Layout,
    Records,
    TextRecords,
    TextWriter,
    find_layout,
    find_lengths,
    open_records,
)
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.structures.structure import Array, Integers

MAX_NAME = 4096
"""Longest name of a structure file, bytes."""
_LINE = 1024


@dataclass(frozen=True)
class Header:
    """What a set says of all structures."""

    species: tuple[str, ...]
    reference_energies: Array
    """Energies of single atoms, eV."""
    normalized: bool
    """Whether features and energies are scaled."""
    scale: float
    shift: float
    """Scaled energies are ``scale (E - N shift)``."""
    n_structures: int


@dataclass(frozen=True)
class StoredStructure:
    """One structure as it stands in the file."""

    name: str
    """Of the file that it comes from; bytes as characters of Latin-1."""
    species_n: Integers
    energy: float
    """Cohesive energy, eV, or scaled."""
    positions_nc: Array
    """Wrapped into the cell, angstrom."""
    forces_nc: Array
    """eV/angstrom, or scaled."""
    features: Sequence[Array]
    """Of each atom, perhaps scaled."""


@dataclass(frozen=True)
class Sums:
    """What is known after the last structure."""

    n_atoms: int
    energies: tuple[float, float, float]
    """Mean over the structures, least and largest cohesive energy per atom, eV."""


def is_binary_set(head: bytes) -> bool:
    """Return whether a file begins like a .train file."""
    layout = find_layout(head)
    if layout is None:
        return False
    n = layout.marker(head[layout.marker_bytes :][:4])
    expected = [4, 4, 2 * n, 8 * n, 4, 8, 8]
    return find_lengths(head, layout)[: len(expected)] == expected


def is_text_set(head: bytes) -> bool:
    """Return whether a file begins like a training set as text, whoever wrote it."""
    return _is_of_aenet(head) or _is_of_pytorch(head)


def _is_of_aenet(head: bytes) -> bool:
    """Return whether a file begins like an output of trnset2ASCII.x."""
    lines = [line.split() for line in head.split(b"\n")[:6]]
    return (
        len(lines) == 6
        and lines[1] in ([b"T"], [b"F"])
        and all(len(line) == 1 and _is_number(line[0]) for line in lines[2:4])
        and len(lines[4]) == 1
        and lines[4][0].isdigit()
        and _are_symbols(lines[5])
    )


def _is_of_pytorch(head: bytes) -> bool:
    """Return whether a file begins like an output of aenet-PyTorch's trainbin2ASCII.x.

    It has the records of a binary set in their order, but the set-ups before the
    structures.
    """
    lines = [line.split() for line in head.split(b"\n")[:4]]
    return (
        len(lines) == 4
        and all(len(line) == 1 and line[0].isdigit() for line in lines[:2])
        and _are_symbols(lines[2])
        and (_are_symbols(lines[3]) or all(map(_is_number, lines[3])))
    )


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _are_symbols(words: Sequence[bytes]) -> bool:
    names = [word.decode("latin-1") for word in words]
    return bool(names) and all(name in SYMBOLS[1:] for name in names)


class SetReader:
    """Reads a training set from its beginning to its end."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._text = text = isinstance(records, TextRecords)
        self._n_atoms, self._announced = 0, 0
        self.n_features_s: dict[int, int] = {}
        """Number of features by species, of those that occurred."""
        self.header = self._read_text_header() if text else self._read_header()

    def _read_header(self) -> Header:
        records = self._records
        n_species = records.integer("number of species", 1, MAX_SPECIES)
        n_structures = records.integer("number of structures", 1, MAX_COUNT)
        species = self._read_species(n_species)
        energies = records.floats("energies of atoms", n_species)
        return Header(species, energies, *self._read_scaling(), n_structures)

    def _read_text_header(self) -> Header:
        records = self._records
        records.line("name of the set", _LINE)
        scaling = self._read_scaling()
        n_species = records.integer("number of species", 1, MAX_SPECIES)
        species = self._read_species(n_species)
        energies = records.floats("energies of atoms", n_species)
        self._announced = records.integer("number of atoms", 1, MAX_COUNT)
        n_structures = records.integer("number of structures", 1, MAX_COUNT)
        records.floats("least, largest, mean energy", 3)
        return Header(species, energies, *scaling, n_structures)

    def _read_species(self, n_species: int) -> tuple[str, ...]:
        species = self._records.symbols("species", n_species)
        if len(set(species)) < n_species:
            self._records.fail(f"{', '.join(species)}: the same species twice")
        return species

    def _read_scaling(self) -> tuple[bool, float, float]:
        normalized = self._records.logical("whether the set is scaled")
        scale = self._records.number("scale of energies")
        if not 1e-100 < abs(scale) < 1e100:
            self._records.fail(f"{scale:g}, expected another number than 0")
        return normalized, scale, self._records.number("shift of energies")

    def structures(self) -> Iterator[StoredStructure]:
        """Yield all structures."""
        for _ in range(self.header.n_structures):
            yield self._read_structure()
        if self._text:
            self._check_count(self._announced)
            self._records.end()

    def _read_structure(self) -> StoredStructure:
        records = self._records
        length = MAX_NAME
        if not self._text:
            length = records.integer("length of a file name", 1, MAX_NAME)
        name = records.line("name of a structure file", length)
        if not name or "\0" in name:
            records.fail(f"{name!a:.40}, expected the name of a file")
        n_atoms = int(records.integers("numbers of atoms and species", 2)[0])
        if not 1 <= n_atoms <= MAX_COUNT:
            records.fail(f"{n_atoms} atoms, expected at least 1")
        energy = records.number("energy")
        species, positions, forces, features = [], [], [], []
        for _ in range(n_atoms):
            s = records.integer("species of an atom", 1, len(self.header.species)) - 1
            species.append(s)
            positions.append(records.floats("position", 3))
            forces.append(records.floats("force", 3))
            features.append(self._read_features(s))
        self._n_atoms += n_atoms
        return StoredStructure(
            name,
            np.array(species),
            energy,
            np.array(positions),
            np.array(forces),
            features,
        )

    def _read_features(self, s: int) -> Array:
        n_features = self._records.integer("number of features", 1, MAX_FEATURES)
        expected = self.n_features_s.setdefault(s, n_features)
        if n_features != expected:
            symbol = self.header.species[s]
            self._records.fail(f"{n_features}, other atoms of {symbol} have {expected}")
        return self._records.floats("features", n_features)

    def read_setups(self) -> tuple[Setup, ...] | None:
        """Return the set-ups of the species if there are any, after the structures.

        Raises
        ------
        FileFormatError
            If they do not fit the structures.
        """
        if self._text:
            return None
        records, species = self._records, self.header.species
        self._check_count(records.integer("number of atoms", 1, MAX_COUNT))
        records.floats("mean, least, largest energy", 3)
        if not records.logical("whether there are set-ups"):
            records.end()
            return None
        setups: dict[int, Setup] = {}
        for _ in species:
            s = records.integer("species of a set-up", 1, len(species)) - 1
            if s in setups:
                records.fail(f"{s + 1}: a second set-up for {species[s]}")
            setups[s] = read_setup(records)
            self._check_setup(setups[s], s)
        records.end()
        return tuple(setups[s] for s in range(len(species)))

    def _check_setup(self, setup: Setup, s: int) -> None:
        symbol, n_features = self.header.species[s], len(setup.kinds_f)
        if setup.symbol != symbol:
            self._records.fail(f"the set-up is for {setup.symbol}, expected {symbol}")
        if set(setup.environment) != set(self.header.species):
            self._records.fail(
                f"the set-up for {symbol} is for neighbours "
                f"{', '.join(setup.environment)}, the set has "
                f"{', '.join(self.header.species)}"
            )
        expected = self.n_features_s.get(s, n_features)
        if n_features != expected:
            self._records.fail(
                f"the set-up for {symbol} has {n_features} features, its atoms "
                f"{expected}"
            )

    def _check_count(self, announced: int) -> None:
        if announced != self._n_atoms:
            self._records.fail(
                f"{announced} atoms announced, but the structures have {self._n_atoms}"
            )


@contextlib.contextmanager
def open_set(path: Path) -> Iterator[SetReader]:
    """Give the reader of a training set, binary or text.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is no such set.
    """
    head = _read_head(path)
    if not is_binary_set(head) and not _is_of_aenet(head):
        if _is_of_pytorch(head):
            raise FileFormatError(
                f"'{path}': text in the layout of aenet-PyTorch's trainbin2ASCII.x, "
                "which annpot does not read: please give the binary .train file"
            )
        raise FileFormatError(f"'{path}' does not begin like a training set of aenet")
    with open_records(path) as records:
        yield SetReader(records)


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None


class SetWriter(Protocol):
    """Writes a training set; the order of the calls is that of the methods."""

    def header(self, header: Header, sums: Sums, name: str) -> None:
        """Write what is said of all structures."""

    def structure(self, structure: StoredStructure) -> None:
        """Write one structure."""

    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write the end."""


class BinarySetWriter:
    """Writes a .train file, see `SetWriter`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self._out = BinaryWriter(file, layout)

    def header(self, header: Header, sums: Sums, name: str) -> None:
        """Write the first 7 records."""
        out = self._out
        out.integers([len(header.species)])
        out.integers([header.n_structures])
        out.symbols(header.species)
        out.floats(header.reference_energies)
        out.logical(header.normalized)
        out.floats([header.scale])
        out.floats([header.shift])

    def structure(self, structure: StoredStructure) -> None:
        """Write 3 records, and 5 for each atom."""
        out, species_n = self._out, structure.species_n
        length = max(1, len(structure.name))
        out.integers([length])
        out.line(structure.name, length)
        out.integers([len(species_n), len(set(species_n.tolist()))])
        out.floats([structure.energy])
        for n, G_f in enumerate(structure.features):
            out.integers([int(species_n[n]) + 1])
            out.floats(structure.positions_nc[n])
            out.floats(structure.forces_nc[n])
            out.integers([len(G_f)])
            out.floats(G_f)

    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write 3 records, and 18 for each species."""
        out = self._out
        out.integers([sums.n_atoms])
        out.floats(sums.energies)
        out.logical(True)
        for s, setup in enumerate(setups):
            out.integers([s + 1])
            write_setup(out, setup)


class TextSetWriter:
    """Writes a .train.ascii file as trnset2ASCII.x does, see `SetWriter`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._out = file, TextWriter(file)

    def header(self, header: Header, sums: Sums, name: str) -> None:
        """Write the lines before the structures."""
        out = self._out
        self._lines(name)
        out.logical(header.normalized)
        out.floats([header.scale])
        out.floats([header.shift])
        out.integers([len(header.species)])
        self._lines(*(f"{symbol:2}" for symbol in header.species))
        E = header.reference_energies
        self._lines(*(_join(E[i : i + 4]) for i in range(0, len(E), 4)))
        out.integers([sums.n_atoms])
        out.integers([header.n_structures])
        mean, least, largest = sums.energies
        out.floats([least, largest, mean])

    def structure(self, structure: StoredStructure) -> None:
        """Write 3 lines, and 5 for each atom."""
        out, species_n = self._out, structure.species_n
        self._lines(structure.name)
        out.integers([len(species_n), len(set(species_n.tolist()))])
        out.floats([structure.energy])
        for n, G_f in enumerate(structure.features):
            out.integers([int(species_n[n]) + 1])
            out.floats(structure.positions_nc[n])
            out.floats(structure.forces_nc[n])
            out.integers([len(G_f)])
            self._lines(f"{_join(G_f)} ")

    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write nothing: set-ups have no place in this form."""

    def _lines(self, *lines: str) -> None:
        for line in lines:
            self._file.write(line.encode("latin-1", "replace") + b"\n")


def _join(values: Array) -> str:
    return "".join(f" {value:24.17E}" for value in values.tolist())
