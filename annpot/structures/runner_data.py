"""Reader of ``input.data``, the structures of RuNNer and n2p2.

A structure is a block of lines, each a keyword and its values::

    begin [set=train|set=test]
    comment ...
    lattice ax ay az               three times, or not at all: not periodic
    atom x y z El charge n fx fy fz
    energy E
    charge Q
    end

Source: n2p2's documentation, https://compphysvienna.github.io/n2p2/topics/cfg_file.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annpot.errors import StructureError, did_you_mean
from annpot.kernels.number_rows import count_rows
from annpot.structures.archives import name_unpacked, read_start
from annpot.structures.lines import BYTE_ORDER_MARK, Lines, show
from annpot.structures.structure import Array, Structure
from annpot.structures.tables import SYMBOL_OF_CODE, find_symbol, read_rows
from annpot.units import Units

ATOM = np.frombuffer(b"atom", dtype=np.uint8)
NAME_COLUMNS = np.array([0, 4])
N_COLUMNS = 10
COLUMNS = "10 (atom x y z element charge n fx fy fz)"
SETS = ("train", "test")
BOUNDARY = re.compile(r"^[ \t]*end(?:[ \t].*)?\n\s*(?=begin\s)", re.MULTILINE)
"""What is between two structures; `annpot.kernels.block_lines` looks for the same."""


def is_runner(path: Path) -> bool:
    """Return whether ``path``, perhaps compressed, is called or begins like the format.

    That is: ``input.data``, or the first word of the file is ``begin``.
    """
    if name_unpacked(path) == "input.data":
        return True
    start = read_start(path).removeprefix(BYTE_ORDER_MARK)
    return start.split(None, 1)[:1] == [b"begin"]


def read_blocks(
    content: bytes, name: str, units: Units, first_line: int = 0, number: int = 0
) -> Iterator[Structure | StructureError]:
    """Yield the structures of a part of an ``input.data``; an error for a wrong one.

    Parameters
    ----------
    first_line, number
        Numbers of the line and the structure with which ``content`` begins.
    """
    try:
        lines = Lines(content, name, "input.data", first_line)
    except StructureError as error:
        yield error
        return
    while words := lines.skip_blank():
        start = lines.at
        try:
            if words[0] != "begin":
                hint = did_you_mean(words[0][:20], ["begin"])
                found = f"'begin' expected, found {show(words[0])}{hint}"
                raise lines.error(found)
            yield _read_block(lines).structure(lines, units, number)
        except StructureError as error:
            yield error
            following = BOUNDARY.search(lines.text, start)
            lines.at = len(lines.text) if following is None else following.end()
        number += 1


@dataclass
class _Block:
    """What the lines of one structure have said so far; places are offsets."""

    begin_at: int
    set: str | None
    cell: list[list[float]] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    tables: list[Array] = field(default_factory=list)
    """x, y, z, charge, n, fx, fy, fz of some atoms each."""
    energy: float | None = None
    seen: dict[str, int] = field(default_factory=dict)
    """The offset of each keyword that may stand once."""

    def structure(self, lines: Lines, units: Units, index: int) -> Structure:
        """Return the structure, in angstrom and eV."""
        values = np.concatenate(self.tables)
        cell_cc = np.array(self.cell) if self.cell else np.zeros((3, 3))
        return Structure(
            symbols=tuple(self.symbols),
            positions_nc=values[:, :3] * units.angstrom,
            cell_cc=cell_cc * units.angstrom,
            pbc_c=np.full(3, bool(self.cell)),
            energy=None if self.energy is None else self.energy * units.ev,
            forces_nc=values[:, 5:] * (units.ev / units.angstrom),
            file=lines.name,
            index=index,
            set=self.set,
        )


def _read_block(lines: Lines) -> _Block:
    """Return the structure whose ``begin`` is the current line, and move on."""
    block = _Block(lines.at, _read_set(lines))
    lines.skip()
    while words := lines.skip_blank():
        word = words[0]
        if word == "end":
            _check_complete(lines, block)
            lines.skip()
            return block
        if word == "begin":
            where = f"line {lines.number(block.begin_at)}"
            raise lines.error(
                f"'end' expected, found another 'begin': the structure of {where} has "
                "none"
            )
        if word not in READERS:
            known = [*READERS, "begin", "end"]
            hint = did_you_mean(word[:20], known) or f" (keywords: {', '.join(known)})"
            raise lines.error(f"a keyword expected, found {show(word)}{hint}")
        READERS[word](lines, words, block)
    message = "'begin' without 'end' before the end of the file: is it truncated?"
    raise lines.error(message, block.begin_at)


def _read_set(lines: Lines) -> str | None:
    found: str | None = None
    for word in lines.words()[1:]:
        key, _, value = word.partition("=")
        if key != "set" or value not in SETS or found not in (None, value):
            expected = "nothing, set=train or set=test expected after 'begin'"
            raise lines.error(f"{expected}, found {show(word)}")
        found = value
    return found


def _read_comment(lines: Lines, words: list[str], block: _Block) -> None:
    lines.skip()


def _read_vector(lines: Lines, words: list[str], block: _Block) -> None:
    if len(block.cell) == 3:
        raise lines.error("a fourth 'lattice', expected 3 in a structure, or none")
    if len(words) != 4:
        found = f"found {show(' '.join(words[1:]))}"
        raise lines.error(f"3 numbers expected after 'lattice', {found}")
    block.cell.append([lines.parse(word) for word in words[1:]])
    lines.skip()


def _read_scalar(lines: Lines, words: list[str], block: _Block) -> None:
    keyword = words[0]
    if keyword in block.seen:
        where = f"found another in line {lines.number(block.seen[keyword])}"
        raise lines.error(f"one '{keyword}' expected in a structure, {where}")
    if len(words) != 2:
        found = f"found {show(' '.join(words[1:]))}"
        raise lines.error(f"one number expected after '{keyword}', {found}")
    block.seen[keyword] = lines.at
    number = _parse_energy(lines, words[1])
    if keyword == "energy":
        block.energy = number
    lines.skip()


def _parse_energy(lines: Lines, word: str) -> float:
    """Return a number that may be large: that of all atoms."""
    try:
        number = float(word.replace("D", "E").replace("d", "e"))
    except ValueError:
        number = np.nan
    if not np.isfinite(number) or "_" in word:
        raise lines.error(f"a finite number expected, found {show(word)}")
    return number


def _read_atoms(lines: Lines, words: list[str], block: _Block) -> None:
    """Add the atoms in the current line and those that follow it, and move on."""
    n_atoms, at = int(count_rows(lines.bytes_b, lines.at, ATOM)), lines.at
    table = read_rows(lines, n_atoms, N_COLUMNS - 2, NAME_COLUMNS)
    if table is not None:
        code_na, values = table
        try:
            symbols = list(map(SYMBOL_OF_CODE.__getitem__, code_na[:, 1].tolist()))
        except KeyError:
            lines.at = at
        else:
            block.symbols += symbols
            block.tables.append(values)
            return
    _read_one_by_one(lines, n_atoms, block)


def _read_one_by_one(lines: Lines, n_atoms: int, block: _Block) -> None:
    """Do what `_read_atoms` does, slowly; name the line at fault."""
    rows = []
    for _ in range(n_atoms):
        words = lines.words()
        if len(words) != N_COLUMNS:
            raise lines.error(f"{len(words)} columns found, expected {COLUMNS}")
        block.symbols.append(find_symbol(lines, words[4]))
        rows.append([lines.parse(word) for word in (*words[1:4], *words[5:])])
        lines.skip()
    block.tables.append(np.array(rows))


READERS: dict[str, Callable[[Lines, list[str], _Block], None]] = {
    "comment": _read_comment,
    "lattice": _read_vector,
    "atom": _read_atoms,
    "energy": _read_scalar,
    "charge": _read_scalar,
}
"""By keyword: what reads its line, and moves on."""


def _check_complete(lines: Lines, block: _Block) -> None:
    """Check at ``end`` that nothing is missing."""
    if not block.symbols:
        raise lines.error("at least one 'atom' expected before 'end', found none")
    if len(block.cell) not in (0, 3):
        expected = "3 lines 'lattice' expected (periodic), or none"
        raise lines.error(f"{expected}, found {len(block.cell)}", block.begin_at)
