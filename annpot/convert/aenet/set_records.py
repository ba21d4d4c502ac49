"""Writers of the records of training sets, see `annpot.convert.aenet.set_files`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import BinaryIO

from annpot.convert.aenet.networks import Setup, write_setup
from annpot.convert.aenet.record_writing import BinaryWriter, TextWriter, Writer
from annpot.convert.aenet.records import Layout
from annpot.convert.aenet.set_files import Header, StoredStructure, Sums
from annpot.structures.structure import Array


class SetWriter(ABC):
    """Writes a training set; the order of the calls is that of the methods."""

    def __init__(self, out: Writer) -> None:
        self._out = out

    @abstractmethod
    def header(self, header: Header, sums: Sums, name: str) -> None:
        """Write what is said of all structures."""

    def structure(self, structure: StoredStructure) -> None:
        """Write 3 records, and 5 for each atom."""
        out, species_n = self._out, structure.species_n
        self._write_name(structure.name)
        out.integers([len(species_n), len(set(species_n.tolist()))])
        out.floats([structure.energy])
        for n, G_f in enumerate(structure.features):
            out.integers([int(species_n[n]) + 1])
            out.floats(structure.positions_nc[n])
            out.floats(structure.forces_nc[n])
            out.integers([len(G_f)])
            self._write_features(G_f)

    @abstractmethod
    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write the end."""

    @abstractmethod
    def _write_name(self, name: str) -> None: ...

    @abstractmethod
    def _write_features(self, G_f: Array) -> None: ...


class BinarySetWriter(SetWriter):
    """Writes a .train file."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(BinaryWriter(file, layout))

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

    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write 3 records, and 18 for each species."""
        out = self._out
        out.integers([sums.n_atoms])
        out.floats(sums.energies)
        out.logical(True)
        for s, setup in enumerate(setups):
            out.integers([s + 1])
            write_setup(out, setup)

    def _write_name(self, name: str) -> None:
        length = max(1, len(name))
        self._out.integers([length])
        self._out.line(name, length)

    def _write_features(self, G_f: Array) -> None:
        self._out.floats(G_f)


class TextSetWriter(SetWriter):
    """Writes a .train.ascii file as trnset2ASCII.x does."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(TextWriter(file))
        self._file = file

    def header(self, header: Header, sums: Sums, name: str) -> None:
        """Write the lines before the structures."""
        out = self._out
        self._write_name(name)
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

    def finish(self, sums: Sums, setups: Sequence[Setup]) -> None:
        """Write nothing: set-ups have no place in this form."""

    def _write_name(self, name: str) -> None:
        self._lines(name)

    def _write_features(self, G_f: Array) -> None:
        self._lines(f"{_join(G_f)} ")

    def _lines(self, *lines: str) -> None:
        for line in lines:
            self._file.write(line.encode("latin-1", "replace") + b"\n")


def _join(values: Array) -> str:
    return "".join(f" {value:24.17E}" for value in values.tolist())
