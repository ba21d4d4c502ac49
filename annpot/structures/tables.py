"""Tables of numbers and names in text files, read by a compiled loop.

Nearly always all rows of a table are in order. If not, `read_rows` gives up, and the
caller reads them again one by one, which finds the line at fault, or what is rare.
"""

from __future__ import annotations

import numpy as np

from annpot.elements import SYMBOL_OF, SYMBOLS
from annpot.errors import did_you_mean
from annpot.kernels.number_rows import parse_rows
from annpot.structures.checks import LARGEST
from annpot.structures.lines import Lines, parse_number, show
from annpot.structures.structure import Array, Integers

SYMBOL_OF_CODE = {
    int.from_bytes(name.encode(), "big"): symbol for name, symbol in SYMBOL_OF.items()
}
"""`SYMBOL_OF` for names as `parse_rows` delivers them."""


def read_rows(
    lines: Lines, n_rows: int, n_numbers: int, name_columns: Integers
) -> tuple[Integers, Array] | None:
    """Return names and numbers of the next rows, and move on.

    Parameters
    ----------
    n_rows
        The caller sees to it that the file is long enough for as many.
    name_columns
        Ascending numbers of the columns that hold names.

    Returns
    -------
    Codes of the names, shape=(n_rows, n_names), and the numbers, shape=(n_rows,
    n_numbers); ``None``, and no move, if any row is unusual.
    """
    code_ra = np.empty((n_rows, len(name_columns)), dtype=np.int64)
    values = np.empty((n_rows, n_numbers))
    end, inexact = parse_rows(
        lines.bytes_b, lines.at, LARGEST, name_columns, code_ra, values
    )
    if end < 0:
        return None
    if inexact:
        words = np.array(lines.text[lines.at : end].split()).reshape(n_rows, -1)
        numbers = np.delete(words, name_columns, axis=1).ravel().tolist()
        try:
            values[:] = np.reshape([*map(parse_number, numbers)], values.shape)
        except ValueError:
            return None
    lines.at = end
    return code_ra, values


def find_symbol(lines: Lines, word: str) -> str:
    """Return the element that ``word`` of the current line names."""
    symbol = SYMBOL_OF.get(word) or SYMBOL_OF.get(word.capitalize())
    if symbol is None:
        expected = "expected a chemical symbol or an atomic number from 1 to 118"
        hint = did_you_mean(word[:8], SYMBOLS[1:])
        raise lines.error(f"unknown element {show(word)}, {expected}{hint}")
    return symbol
