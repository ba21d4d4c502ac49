"""Where structures begin in texts that hold many, found without parsing them.

Each text ends with a newline, so no loop runs beyond its end.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.number_rows import BLANK, NEWLINE, TAB

COUNT_EXPECTED = -1
"""Instead of an offset: a line that is no number of atoms,"""
TOO_MANY_ATOMS = -2
"""or one that announces more of them than there are bytes."""
MOST_DIGITS = 18
"""Of a number that fits into an integer."""
RETURN = ord("\r")
V, E = (ord(letter) for letter in "VE")


@compiled()
def _skip_line(text_b: Any, at: int) -> int:
    while text_b[at] != NEWLINE:
        at += 1
    return at + 1


@compiled()
def _skip_blanks(text_b: Any, at: int) -> int:
    while text_b[at] == BLANK or text_b[at] == TAB or text_b[at] == RETURN:
        at += 1
    return at


@compiled()
def find_xyz(
    text_b: Any, at: int, rest: int, state_k: Any, at_f: Any, line_f: Any
) -> tuple[int, int]:
    """Find frames of an XYZ file: lines with a number of atoms, and what belongs to it.

    Parameters
    ----------
    rest
        How many bytes follow behind the text in the file.
    state_k
        Lines that are left of a frame, lines ``VEC`` that may follow it, the number of
        the current line from 0, and its offset; kept from text to text.
    at_f, line_f
        Take the offsets and the lines of as many frames as fit in.

    Returns
    -------
    How many were found, and the offset of what was not looked at: the end of the text,
    unless ``at_f`` is full; or one of the codes above, and ``state_k`` tells where.
    """
    n_found = 0
    while at < len(text_b) and n_found < len(at_f):
        if state_k[0] > 0:
            at = _skip_line(text_b, at)
            state_k[0] -= 1
            state_k[2] += 1
            continue
        state_k[3] = at
        start = _skip_blanks(text_b, at)
        is_vector = text_b[start] == V and text_b[start + 1] == E
        if text_b[start] == NEWLINE or (is_vector and state_k[1] > 0):
            state_k[1] -= is_vector
            at = _skip_line(text_b, start)
            state_k[2] += 1
            continue
        count, n_digits = 0, 0
        while 48 <= text_b[start] <= 57 and n_digits <= MOST_DIGITS:
            count = 10 * count + text_b[start] - 48
            start += 1
            n_digits += 1
        start = _skip_blanks(text_b, start)
        if n_digits > MOST_DIGITS:
            return n_found, TOO_MANY_ATOMS
        if n_digits == 0 or text_b[start] != NEWLINE:
            return n_found, COUNT_EXPECTED
        if count > len(text_b) - at + rest:
            return n_found, TOO_MANY_ATOMS
        at_f[n_found], line_f[n_found] = at, state_k[2]
        n_found += 1
        state_k[0], state_k[1] = count + 1, 3
        at = start + 1
        state_k[2] += 1
    return n_found, at


@compiled()
def _starts_with(text_b: Any, at: int, word_b: Any) -> bool:
    for byte in word_b:
        if text_b[at] != byte:
            return False
        at += 1
    return bool(text_b[at] <= BLANK)


@compiled()
def find_blocks(
    text_b: Any,
    at: int,
    begin_b: Any,
    end_b: Any,
    state_k: Any,
    at_f: Any,
    line_f: Any,
) -> tuple[int, int]:
    """Find blocks of lines: a line ``begin``, the first or next to a line ``end``.

    As `find_xyz`. ``state_k``: whether the last line that was not blank was an ``end``,
    nothing, and the number of the current line.
    """
    n_found = 0
    while at < len(text_b) and n_found < len(at_f):
        start = _skip_blanks(text_b, at)
        if text_b[start] != NEWLINE:
            if state_k[0] and _starts_with(text_b, start, begin_b):
                at_f[n_found], line_f[n_found] = at, state_k[2]
                n_found += 1
            state_k[0] = _starts_with(text_b, start, end_b)
        at = _skip_line(text_b, start)
        state_k[2] += 1
    return n_found, at
