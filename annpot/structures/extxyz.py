"""Reader of (extended) XYZ files, by frames; what is unusual in one is left to ASE.

Usual are the lines that programs write: ``key=value``, ``key="values"`` and words, and
a name and numbers for each atom. All else, brackets, escapes, ``VEC``, constraints, is
read by ASE, frame by frame; a structure is the same in both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.elements import SYMBOLS
from annpot.errors import StructureError
from annpot.structures.lines import Lines
from annpot.structures.references import (
    COMPONENTS,
    ENERGY_LABELS,
    PLAIN_ENERGY,
    STRESS_LABELS,
    VIRIAL_LABELS,
    find_energy,
    find_forces,
    find_stress,
)
from annpot.structures.structure import Array, Integers, Structure, make_label
from annpot.structures.tables import read_rows

TOKEN = re.compile(
    r"\s*([^\s\"'{}\[\]\\=]+)"  # a key, and perhaps a value
    r"(?:=(?:\"([^\"\\]*)\"|([^\s\"'{}\[\]\\=]+)))?(?=\s|$)"
)
TAKEN = frozenset(
    "pos species Z charge positions numbers symbols initial_charges move_mask".split()
)
"""Columns with a meaning of their own to ASE, besides species and pos."""
RESULTS = frozenset("energy free_energy stress dipole magmom polarization".split())
"""What ASE takes for results of a calculator, rather than for remarks."""
MATRICES = frozenset(("stress", "virial"))
NUMERIC = frozenset(
    (*ENERGY_LABELS, *PLAIN_ENERGY, *STRESS_LABELS, *VIRIAL_LABELS, *MATRICES, *RESULTS)
)
"""Keys whose values matter."""
DIRECTIONS = {"T": True, "F": False}
PLAIN = "species:S:1:pos:R:3"
SYMBOL_OF_CODE = {int.from_bytes(s.encode(), "big"): s for s in SYMBOLS[1:]}


class _Unusual(Exception):  # noqa: N818 - not an error: ASE reads it
    """What is read is left to ASE."""


class Columns(NamedTuple):
    """What the columns of a table of atoms are."""

    names: Integers
    """Numbers of the columns with words."""
    places: dict[str, slice]
    """Where the numbers called so are among the numbers of a row."""
    n_numbers: int
    integers: Integers
    """Which of the numbers are integers."""


@dataclass
class _Frame:
    """A frame as `annpot.structures.references` wants it: like ``ase.Atoms``."""

    n_atoms: int
    pbc: NDArray[np.bool_]
    cell_cc: Array
    info: dict[str, Any]
    results: dict[str, Any]
    arrays: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.n_atoms

    @property
    def calc(self) -> _Frame:
        """What has the ``results``."""
        return self

    @property
    def cell(self) -> _Frame:
        """And the ``volume``."""
        return self

    @property
    def volume(self) -> float:
        """Volume in angstrom^3, as ASE computes it."""
        return float(np.abs(np.linalg.det(self.cell_cc)))


def read_xyz(
    content: bytes, name: str, format_: str, first_line: int = 0, number: int = 0
) -> Iterator[Structure | StructureError]:
    """Yield the structures of some whole frames; an error in place of a wrong one.

    Parameters
    ----------
    content
        A part of the file ``name``, from a line with a number of atoms on.
    format_
        ``extxyz``, or ``xyz`` to take no notice of the comments.
    first_line, number
        Numbers of the line and the frame with which ``content`` begins.
    """
    try:
        lines = Lines(content, name, "XYZ", first_line)
        while lines.skip_blank():
            start, stop, n_atoms = lines.at, *_find_end(lines)
            found: Structure | StructureError
            try:
                found = _read_frame(lines, format_, n_atoms, stop, number)
            except StructureError as error:
                found = error
            except _Unusual:
                lines.at = start
                found = _read_with_ase(lines, format_, stop, number)
            yield found
            lines.at, number = stop, number + 1
    except StructureError as error:
        yield error


def _find_end(lines: Lines) -> tuple[int, int]:
    """Return where the frame of the current line ends, and its number of atoms."""
    text, n_atoms = lines.text, int(lines.line())
    stop = lines.at
    for n_read in range(-2, n_atoms):
        stop = text.find("\n", stop) + 1
        if stop == 0:
            found = f"{n_atoms} atoms expected, found {max(0, n_read)}"
            raise lines.error(f"{found}: is the file truncated?")
    while text[stop : stop + 64].lstrip().startswith("VEC"):
        stop = text.index("\n", stop) + 1
    return stop, n_atoms


def _read_frame(
    lines: Lines, format_: str, n_atoms: int, stop: int, number: int
) -> Structure:
    """Return the structure of the frame that begins in the current line.

    Raises
    ------
    _Unusual
        If it is not of the usual kind, or wrong.
    """
    lines.skip()
    values = _parse_comment(lines.line()) if format_ == "extxyz" else {}
    frame = _begin(values, n_atoms)
    columns = _parse_columns(values.get("Properties", PLAIN))
    lines.skip()
    # A count too large for the file must not be allocated.
    if n_atoms == 0 or 2 * n_atoms * columns.n_numbers > stop - lines.at:
        raise _Unusual
    table = read_rows(lines, n_atoms, columns.n_numbers, columns.names)
    if table is None or lines.at != stop:
        raise _Unusual
    numbers = table[1]
    integers = numbers[:, columns.integers]
    if (integers != np.floor(integers)).any():
        raise _Unusual
    try:
        symbols = tuple([SYMBOL_OF_CODE[code] for code in table[0][:, 0].tolist()])
    except KeyError:
        raise _Unusual from None
    for key, where in columns.places.items():
        (frame.results if key == "forces" else frame.arrays)[key] = numbers[:, where]
    label = make_label(lines.name, number)
    return Structure(
        symbols=symbols,
        positions_nc=np.ascontiguousarray(numbers[:, columns.places["pos"]]),
        cell_cc=frame.cell_cc,
        pbc_c=frame.pbc,
        energy=find_energy(frame, label),
        forces_nc=find_forces(frame, label),
        stress_v=find_stress(frame, label),
        file=lines.name,
        index=number,
    )


def _parse_comment(line: str) -> dict[str, str]:
    """Return the values of the keys, ``""`` for a word without one."""
    values: dict[str, str] = {}
    line, at = line.rstrip(), 0
    if not line.isascii():
        raise _Unusual
    while at < len(line):
        found = TOKEN.match(line, at)
        if found is None:
            raise _Unusual
        key, quoted, word = found.groups()
        values[key] = quoted or word or ""
        at = found.end()
    return values


def _begin(values: dict[str, str], n_atoms: int) -> _Frame:
    """Return what the comment says of a structure."""
    lattice, pbc = values.get("Lattice"), values.get("pbc")
    cell_cc = np.zeros((3, 3))
    if lattice is not None:
        cell_cc[:] = _parse_numbers(lattice, 9).reshape(3, 3)
    directions_c = [lattice is not None] * 3
    if pbc is not None:
        try:
            directions_c = [DIRECTIONS[word] for word in pbc.split()]
        except KeyError:
            raise _Unusual from None
        if len(directions_c) != 3:
            raise _Unusual
    info: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for key in NUMERIC.intersection(values):
        numbers = _parse_numbers(values[key], 9 if key in MATRICES else None)
        # the three rows, columns in the file, are those of a symmetric matrix
        if key in MATRICES:
            numbers = numbers.reshape(3, 3).T
        if key == "stress":
            numbers = numbers[COMPONENTS]
        target = results if key in RESULTS else info
        target[key] = numbers if numbers.size > 1 else float(numbers[0])
    return _Frame(n_atoms, np.array(directions_c), cell_cc, info, results)


def _parse_numbers(text: str, n_numbers: int | None = None) -> Array:
    """Return the numbers in a value, at least one."""
    words = text.replace(",", " ").split()
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        raise _Unusual from None
    if "_" in text or len(words) != (n_numbers or max(1, len(words))):
        raise _Unusual
    return numbers


@lru_cache
def _parse_columns(properties: str) -> Columns:
    """Return what ``species:S:1:pos:R:3:...`` says of the columns."""
    parts = properties.split(":")
    names, kinds, counts = parts[::3], parts[1::3], parts[2::3]
    if (
        not properties.startswith(PLAIN)
        or len(parts) % 3
        or len(set(names)) < len(names)
    ):
        raise _Unusual
    words: list[int] = []
    integers: list[int] = []
    places: dict[str, slice] = {}
    column, n_numbers = 0, 0
    for name, kind, count in zip(names, kinds, counts, strict=True):
        if name not in names[:2] and name in TAKEN | RESULTS:
            raise _Unusual
        if not (count.isdecimal() and 0 < len(count) < 3 and int(count) > 0):
            raise _Unusual
        n = int(count)
        if kind in ("S", "L"):
            words += range(column, column + n)
        elif kind in ("R", "I"):
            places[name] = slice(n_numbers, n_numbers + n)
            if kind == "I":
                integers += range(n_numbers, n_numbers + n)
            n_numbers += n
        else:
            raise _Unusual
        column += n
    return Columns(
        np.array(words), places, n_numbers, np.array(integers, dtype=np.int64)
    )


def _read_with_ase(
    lines: Lines, format_: str, stop: int, number: int
) -> Structure | StructureError:
    """Return the structure that begins in the current line and ends at ``stop``."""
    from annpot.structures.ase_reading import from_atoms, read_frame

    content, line = lines.content[lines.at : stop], lines.number(lines.at)
    try:
        atoms = read_frame(content, format_, lines.name, number, line)
        return from_atoms(atoms, lines.name, number)
    except StructureError as error:
        return error
