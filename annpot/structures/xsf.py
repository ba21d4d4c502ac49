"""Reader of XSF files (XCrySDen) with aenet's energies in their comments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from annpot.elements import SYMBOL_OF
from annpot.errors import StructureError, did_you_mean
from annpot.structures.lines import show
from annpot.structures.structure import Array, Structure
from annpot.structures.xsf_lines import Energies, XsfLines, is_count
from annpot.structures.xsf_table import AtomTable, is_keyword, read_atoms, read_cell

PERIODIC = {
    "CRYSTAL": (True, True, True),
    "SLAB": (True, True, False),
    "POLYMER": (True, False, False),
    "MOLECULE": (False, False, False),
}
STOPS = ("PRIMVEC", "PRIMCOORD", "ATOMS")
"""The keywords with which a structure begins."""


@dataclass
class _Header:
    """What the file has said so far, valid until said anew; places are offsets."""

    dimension: str = "CRYSTAL"
    dimension_at: int | None = None
    cell_cc: Array | None = None
    cell_is_new: bool = False
    n_structures: int | None = None
    steps_at: int = 0


def read_xsf(content: bytes | str, name: str) -> Iterator[Structure]:
    """Yield the structures of an XSF file, whose ``content`` was read from ``name``.

    Positions and cells are in angstrom, forces in eV/angstrom, and energies in eV: the
    comments ``# total energy = ... eV`` and ``# cohesive energy = ... eV``, before or
    between the lines of the structure (after them, too, if it is the only one). These
    are aenet's conventions. ASE, like XCrySDen, takes forces in Hartree/angstrom.

    ``PRIMVEC`` and ``PRIMCOORD`` give a structure that is periodic in all directions
    (``CRYSTAL``, or none of these words), along the first two cell vectors (``SLAB``),
    along the first (``POLYMER``) or not at all (``MOLECULE``); aenet ignores these
    words and takes all four as periodic in three directions. ``ATOMS`` gives an
    isolated structure. ``CONVVEC``, ``CONVCOORD`` and data grids are skipped. In a file
    with several structures a cell is valid until the next ``PRIMVEC``.

    Raises
    ------
    StructureError
        If the file is not as it should be; an absent energy is no error here.
    """
    lines = XsfLines(content.encode() if isinstance(content, str) else content, name)
    header, energies, before = _Header(), Energies(), Energies()
    last: Structure | None = None
    n_read = 0
    while keyword := _skip_header(lines, header, energies):
        if last is not None:
            _check_between(lines, header, n_read, before, energies)
            yield last
            last = None
        if keyword == "PRIMVEC":
            if header.cell_is_new:
                found = "found another PRIMVEC"
                raise lines.error(f"PRIMCOORD expected after a cell, {found}")
            header.cell_cc, header.cell_is_new = read_cell(lines, energies), True
            continue
        last = _read_structure(lines, header, keyword, energies, n_read)
        before, energies, header.cell_is_new = energies, Energies(), False
        n_read += 1
    _check_end(lines, header, n_read)
    if last is not None:
        yield _add_energies(lines, last, before, energies)


def _skip_header(lines: XsfLines, header: _Header, energies: Energies) -> str:
    """Move on to a line with one of `STOPS`, which is returned; ``""``: the file ends.

    What stands before it is taken in.
    """
    while words := lines.skip_comments(energies):
        word = words[0]
        if word in STOPS:
            return word
        if word in PERIODIC:
            header.dimension, header.dimension_at = word, lines.at
            lines.skip()
        elif word == "ANIMSTEPS":
            _read_steps(lines, words, header)
        elif word == "CONVVEC":
            lines.skip(4)
        elif word == "CONVCOORD":
            lines.skip()
            lines.skip(1 + _read_count(lines, lines.words(), "CONVCOORD"))
        elif word.startswith("BEGIN_"):
            _skip_block(lines, word)
        elif energies.add_line(lines):
            lines.skip()
        else:
            raise _unknown(lines, words)
    return ""


def _read_steps(lines: XsfLines, words: list[str], header: _Header) -> None:
    if header.n_structures is not None:
        found = f"found another in line {lines.number(header.steps_at)}"
        raise lines.error(f"one ANIMSTEPS expected, {found}")
    if len(words) != 2 or not is_count(words[1]):
        found = f"found {show(' '.join(words[1:]))}"
        raise lines.error(f"the number of structures expected after ANIMSTEPS, {found}")
    header.n_structures, header.steps_at = int(words[1]), lines.at
    lines.skip()


def _read_count(lines: XsfLines, words: list[str], keyword: str) -> int:
    """Return the number of atoms in the current line, the one below ``keyword``."""
    if len(words) not in (1, 2) or not is_count(words[0]):
        found = f"found {show(' '.join(words))}"
        raise lines.error(f"the number of atoms expected after {keyword}, {found}")
    return int(words[0])


def _skip_block(lines: XsfLines, word: str) -> None:
    """Move on behind the ``END_...`` of the ``BEGIN_...`` in the current line."""
    begin, end = lines.at, word.replace("BEGIN", "END", 1)
    lines.skip()
    while lines.at < len(lines.text):
        found = lines.line().strip().startswith(end)
        lines.skip()
        if found:
            return
    message = f"{show(word)} without {show(end)}: is the file truncated?"
    raise lines.error(message, begin)


def _unknown(lines: XsfLines, words: list[str]) -> StructureError:
    if words[0] in SYMBOL_OF and len(words) in (4, 7):
        hint = "correct the number of atoms after PRIMCOORD, or delete the line"
        return lines.error(f"one atom more than expected: {hint}")
    known = [*PERIODIC, *STOPS, "CONVVEC", "ANIMSTEPS"]
    hint = did_you_mean(words[0][:20].upper(), known)
    message = f"a keyword or a comment (#) expected, found {show(words[0])}"
    return lines.error(message + (hint or f" (keywords: {', '.join(known)})"))


def _read_structure(
    lines: XsfLines, header: _Header, keyword: str, energies: Energies, index: int
) -> Structure:
    """Return the structure whose ``PRIMCOORD`` or ``ATOMS`` is the current line."""
    if keyword == "PRIMCOORD":
        symbols, values = _read_periodic(lines, header, energies)
        cell_cc, dimension = header.cell_cc, header.dimension
    else:
        symbols, values = _read_isolated(lines, header, energies)
        cell_cc, dimension = None, "MOLECULE"
    return Structure(
        symbols=symbols,
        positions_nc=values[:, :3].copy(),
        cell_cc=np.zeros((3, 3)) if cell_cc is None else cell_cc.copy(),
        pbc_c=np.array(PERIODIC[dimension]),
        energy=energies.get("total"),
        cohesive_energy=energies.get("cohesive"),
        forces_nc=values[:, 3:].copy() if values.shape[1] == 6 else None,
        file=lines.name,
        index=index,
    )


def _read_periodic(lines: XsfLines, header: _Header, energies: Energies) -> AtomTable:
    if header.cell_cc is None:
        hint = "add it, or write ATOMS if the structure is isolated"
        raise lines.error(f"PRIMVEC expected before PRIMCOORD: {hint}")
    lines.skip()
    words = lines.skip_comments(energies)
    n_atoms = _read_count(lines, words, "PRIMCOORD")
    lines.skip()
    return read_atoms(lines, n_atoms, energies)


def _read_isolated(lines: XsfLines, header: _Header, energies: Energies) -> AtomTable:
    if header.cell_cc is not None:
        hint = "write PRIMCOORD, or leave PRIMVEC out"
        raise lines.error(f"ATOMS (isolated) after PRIMVEC (periodic): {hint}")
    if header.dimension_at is not None and header.dimension != "MOLECULE":
        where = f"{header.dimension} in line {lines.number(header.dimension_at)}"
        raise lines.error(f"PRIMVEC expected after {where}, found ATOMS (isolated)")
    keyword_at = lines.at
    lines.skip()
    words = lines.skip_comments(energies)
    start, n_atoms = lines.at, 0
    while words and words[0][0] != "#" and not is_keyword(words[0]):
        n_atoms += 1
        lines.skip()
        words = lines.words()
    if n_atoms == 0:
        raise lines.error("atoms expected after ATOMS, found none", keyword_at)
    lines.at = start
    return read_atoms(lines, n_atoms, energies)


def _check_between(
    lines: XsfLines, header: _Header, n_read: int, before: Energies, energies: Energies
) -> None:
    """Check what is known where another structure begins in the current line."""
    if n_read == header.n_structures:
        announced = f"ANIMSTEPS {n_read} in line {lines.number(header.steps_at)}"
        raise lines.error(f"one structure more than expected from {announced}")
    if n_read == 1 and energies and not before:
        # Before or behind its atoms? A wrong guess would shift all energies by one.
        raise _misplaced(lines, energies)


def _misplaced(lines: XsfLines, energies: Energies) -> StructureError:
    expected = "expected each energy before the atoms it belongs to"
    message = f"an energy behind the atoms of a structure, {expected}"
    return lines.error(message, min(at for _, at in energies.found.values()))


def _check_end(lines: XsfLines, header: _Header, n_read: int) -> None:
    """Check the number of structures at the end of the file."""
    if header.cell_is_new or n_read == 0:
        expected = "PRIMCOORD or ATOMS expected before the end of the file"
        raise lines.error(f"{expected}: is it truncated?")
    n_expected = header.n_structures
    if n_expected is not None and n_read < n_expected:
        expected = f"{n_expected} structures expected after ANIMSTEPS"
        message = f"{expected}, found {n_read}: is the file truncated?"
        raise lines.error(message, header.steps_at)


def _add_energies(
    lines: XsfLines, last: Structure, before: Energies, behind: Energies
) -> Structure:
    """Return ``last`` with the energies behind it, if it is the only structure."""
    if not behind:
        return last
    if last.index > 0:
        raise _misplaced(lines, behind)
    before.add(lines, behind)
    return dataclasses.replace(
        last, energy=before.get("total"), cohesive_energy=before.get("cohesive")
    )
