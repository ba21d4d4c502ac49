"""The tables in an XSF file: cell vectors, and atoms with or without forces.

Nearly always all rows of a table are in order, and a compiled loop reads them from the
bytes of the file. Otherwise they are read again one by one, which finds the line at
fault, or reads what is rare: comments between atoms, ``TI`` for Ti.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annpot.elements import SYMBOL_OF, SYMBOLS
from annpot.errors import did_you_mean
from annpot.kernels.number_rows import parse_rows
from annpot.structures.checks import LARGEST
from annpot.structures.structure import Array
from annpot.structures.xsf_lines import Energies, Lines, parse_number, show

AtomTable = tuple[tuple[str, ...], Array]
"""Symbols, and an array with the 3 or 6 numbers of each atom."""

COLUMNS = "4 (element x y z) or 7 (element x y z fx fy fz)"
SYMBOL_OF_CODE = {
    int.from_bytes(name.encode(), "big"): symbol for name, symbol in SYMBOL_OF.items()
}
"""`SYMBOL_OF` for names as `parse_rows` delivers them."""
NO_NAMES = np.zeros(0, dtype=np.int64)


def read_cell(lines: Lines, energies: Energies) -> Array:
    """Return the cell in the lines after ``PRIMVEC``, and move on."""
    lines.skip()
    cell_cc = _read_rows(lines, 3, 3, NO_NAMES)
    if cell_cc is not None:
        return cell_cc
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


def read_atoms(lines: Lines, n_atoms: int, energies: Energies) -> AtomTable:
    """Return the next ``n_atoms`` atoms, and move on."""
    n_columns, at = len(lines.words()), lines.at
    # A count too large for the file must not be allocated: 8 bytes is 'H 0 0 0'.
    if n_columns in (4, 7) and 8 * n_atoms <= len(lines.content) - at:
        code_n = np.empty(n_atoms, dtype=np.int64)
        values = _read_rows(lines, n_atoms, n_columns - 1, code_n)
        if values is not None:
            try:
                return tuple(map(SYMBOL_OF_CODE.__getitem__, code_n.tolist())), values
            except KeyError:
                lines.at = at
    return _read_one_by_one(lines, n_atoms, energies)


def _read_rows(
    lines: Lines, n_rows: int, n_numbers: int, code_n: NDArray[np.int64]
) -> Array | None:
    """Return the numbers of the next rows, and move on; ``None`` if any is unusual."""
    values = np.empty((n_rows, n_numbers))
    end, inexact = parse_rows(lines.bytes_b, lines.at, LARGEST, code_n, values)
    if end < 0:
        return None
    if inexact:
        words = np.array(lines.text[lines.at : end].split()).reshape(n_rows, -1)
        numbers = words[:, -n_numbers:].ravel().tolist()
        try:
            values[:] = np.reshape([*map(parse_number, numbers)], values.shape)
        except ValueError:
            return None
    lines.at = end
    return values


def _read_one_by_one(lines: Lines, n_atoms: int, energies: Energies) -> AtomTable:
    """Return what `read_atoms` returns, slowly; name the line at fault."""
    above = lines.at - 1
    symbols: list[str] = []
    rows: list[list[float]] = []
    while len(rows) < n_atoms:
        words = lines.skip_comments(energies)
        if not words or is_keyword(words[0]):
            found = f"{n_atoms} atoms expected after PRIMCOORD, found {len(rows)}"
            raise lines.error(f"{found}: is the file truncated?", above)
        symbols.append(_find_symbol(lines, words[0]))
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


def _find_symbol(lines: Lines, word: str) -> str:
    symbol = SYMBOL_OF.get(word) or SYMBOL_OF.get(word.capitalize())
    if symbol is None:
        expected = "expected a chemical symbol or an atomic number from 1 to 118"
        hint = did_you_mean(word[:8], SYMBOLS[1:])
        raise lines.error(f"unknown element {show(word)}, {expected}{hint}")
    return symbol
