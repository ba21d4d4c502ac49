"""Rows of numbers, perhaps with a name in front, read from the bytes of a text.

Each line of ``text_b`` ends with a newline, so no loop runs beyond its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from annpot.kernels.compilation import compiled

EXACT = 2**53
"""Integers up to here are doubles, like the powers of ten in `POWERS`."""
POWERS = np.array([float(f"1e{k}") for k in range(23)])
POINT, MINUS, PLUS, NEWLINE, BLANK, TAB = (ord(c) for c in ".-+\n \t")
EXPONENT = tuple(ord(c) for c in "eEdD")


@compiled()
def _skip_digits(text_b: Any, at: int, digits: int) -> tuple[int, int]:
    """Return the first offset that is no digit, and the integer read so far."""
    while 48 <= text_b[at] <= 57:
        if digits < 10 * EXACT:  # beyond, the number is left to Python
            digits = 10 * digits + text_b[at] - 48
        at += 1
    return at, digits


@compiled()
def parse_number(text_b: Any, at: int) -> tuple[int, float]:
    """Return the offset behind the number at ``at``, -1 if it is none, and the number.

    It is rounded correctly, like Python's ``float``, because it is the product or the
    ratio of two integers that are doubles; NaN if it is not.
    """
    negative = text_b[at] == MINUS
    if negative or text_b[at] == PLUS:
        at += 1
    start = at
    at, digits = _skip_digits(text_b, at, 0)
    n_digits, power = at - start, 0
    if text_b[at] == POINT:
        start = at + 1
        at, digits = _skip_digits(text_b, start, digits)
        n_digits, power = n_digits + at - start, start - at
    if n_digits == 0:
        return -1, 0.0
    if text_b[at] in EXPONENT:
        at += 1
        sign = -1 if text_b[at] == MINUS else 1
        if text_b[at] == MINUS or text_b[at] == PLUS:
            at += 1
        start = at
        at, exponent = _skip_digits(text_b, at, 0)
        if at == start:
            return -1, 0.0
        power += sign * exponent
    if digits > EXACT or abs(power) >= len(POWERS):
        return at, np.nan
    number = digits * POWERS[power] if power >= 0 else digits / POWERS[-power]
    return at, -number if negative else number


@compiled()
def _read_name(text_b: Any, at: int) -> tuple[int, int]:
    """Return the offset behind the word at ``at``, and its last seven bytes."""
    name = 0
    while text_b[at] > BLANK:
        name = (name << 8 | text_b[at]) & 0xFFFFFFFFFFFFFF
        at += 1
    return at, name


@compiled()
def _skip_blanks(text_b: Any, at: int) -> int:
    while text_b[at] == BLANK or text_b[at] == TAB:
        at += 1
    return at


@compiled()
def parse_rows(
    text_b: Any, at: int, largest: float, name_columns: Any, name_ra: Any, x_rk: Any
) -> tuple[int, bool]:
    """Set the names ``name_ra`` and the numbers ``x_rk`` of the rows at ``at``.

    Names stand in the ``name_columns``, ascending, numbers in all others; the last
    seven bytes of a name are taken as an integer. Return the offset behind the rows, -1
    if anything is unusual or a number not below ``largest``, and whether some are NaN,
    see `parse_number`.
    """
    inexact = False
    for r in range(len(x_rk)):
        if at >= len(text_b):
            return -1, False
        a = 0
        for column in range(len(name_columns) + x_rk.shape[1]):
            at = _skip_blanks(text_b, at)
            if a < len(name_columns) and column == name_columns[a]:
                at, name_ra[r, a] = _read_name(text_b, at)
                a += 1
                continue
            at, number = parse_number(text_b, at)
            if at < 0 or text_b[at] > BLANK or abs(number) >= largest:
                return -1, False
            x_rk[r, column - a] = number
            inexact |= number != number
        at = _skip_blanks(text_b, at)
        if text_b[at] != NEWLINE:
            return -1, False
        at += 1
    return at, inexact


@compiled()
def count_rows(text_b: Any, at: int, word_b: Any) -> int:
    """Return how many of the lines from ``at`` on begin with a word, in a row."""
    n_rows = 0
    while at < len(text_b):
        at = _skip_blanks(text_b, at)
        for byte in word_b:
            if text_b[at] != byte:
                return n_rows
            at += 1
        if text_b[at] > BLANK:
            return n_rows
        while text_b[at] != NEWLINE:
            at += 1
        at += 1
        n_rows += 1
    return n_rows
