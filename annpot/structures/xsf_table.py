"""The tables in an XSF file: cell vectors, and atoms with or without forces.

They are read by `read_rows`, or one row after the other if that gives up, which also
reads what is rare: comments between atoms, ``TI`` for Ti.
"""

from __future__ import annotations

import numpy as np

from annpot.structures.lines import show
from annpot.structures.structure import Array
from annpot.structures.tables import SYMBOL_OF_CODE, find_symbol, read_rows
from annpot.structures.xsf_lines import Energies, XsfLines

AtomTable = tuple[tuple[str, ...], Array]
"""Symbols, and an array with the 3 or 6 numbers of each atom."""

COLUMNS = "4 (element x y z) or 7 (element x y z fx fy fz)"
NO_NAMES = np.zeros(0, dtype=np.int64)
NAME_FIRST = np.zeros(1, dtype=np.int64)


def read_cell(lines: XsfLines, energies: Energies) -> Array:
    """Return the cell in the lines after ``PRIMVEC``, and move on."""
    lines.skip()
    table = read_rows(lines, 3, 3, NO_NAMES)
    if table is not None:
        return table[1]
    rows = []
    for _ in range(3):
        words = lines.skip_comments(energies)
        if len(words) != 3:
            found = f"found {show(' '.join(words))}"
            expected = "3 numbers of a cell vector expected after PRIMVEC"
            raise lines.error(f"{expected}, {found}")
        rows.append([lines.parse(word) for word in words])
        lines.skip()
    return np.array(rows)


def read_atoms(lines: XsfLines, n_atoms: int, energies: Energies) -> AtomTable:
    """Return the next ``n_atoms`` atoms, and move on."""
    n_columns, at = len(lines.words()), lines.at
    # A count too large for the file must not be allocated: 8 bytes is 'H 0 0 0'.
    if n_columns in (4, 7) and 8 * n_atoms <= len(lines.content) - at:
        table = read_rows(lines, n_atoms, n_columns - 1, NAME_FIRST)
        if table is not None:
            code_n, values = table[0][:, 0], table[1]
            try:
                return tuple(map(SYMBOL_OF_CODE.__getitem__, code_n.tolist())), values
            except KeyError:
                lines.at = at
    return _read_one_by_one(lines, n_atoms, energies)


def _read_one_by_one(lines: XsfLines, n_atoms: int, energies: Energies) -> AtomTable:
    """Return what `read_atoms` returns, slowly; name the line at fault."""
    above = lines.at - 1
    symbols: list[str] = []
    rows: list[list[float]] = []
    while len(rows) < n_atoms:
        words = lines.skip_comments(energies)
        if not words or is_keyword(words[0]):
            found = f"{n_atoms} atoms expected after PRIMCOORD, found {len(rows)}"
            raise lines.error(f"{found}: is the file truncated?", above)
        symbols.append(find_symbol(lines, words[0]))
        if len(words) not in (4, 7):
            raise lines.error(f"{len(words)} columns found, expected {COLUMNS}")
        rows.append([lines.parse(word) for word in words[1:]])
        if len(rows[-1]) != len(rows[0]):
            has = "a force" if len(rows[-1]) == 6 else "no force"
            contrast = "no force" if len(rows[0]) == 3 else "one"
            message = f"this atom has {has}, but the first atom has {contrast}"
            raise lines.error(f"{message}: expected forces on all atoms or none")
        lines.skip()
    return tuple(symbols), np.array(rows)


def is_keyword(word: str) -> bool:
    """Return whether ``word`` is an XSF keyword, rather than an element."""
    return len(word) > 2 and word[0].isalpha() and word.isupper()
