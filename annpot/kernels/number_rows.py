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
def parse_rows(
    text_b: Any, at: int, largest: float, name_r: Any, x_rk: Any
) -> tuple[int, bool]:
    """Set the numbers ``x_rk`` of the rows at ``at``, and the names before them.

    There are none if ``name_r`` is empty; else it takes the last four bytes of each as
    an integer. Return the offset behind the rows, -1 if anything is unusual or a number
    not below ``largest``, and whether some are NaN, see `parse_number`.
    """
    inexact = False
    for r in range(len(x_rk)):
        if at >= len(text_b):
            return -1, False
        for k in range(-1 if len(name_r) else 0, x_rk.shape[1]):
            while text_b[at] == BLANK or text_b[at] == TAB:
                at += 1
            if k < 0:
                name = 0
                while text_b[at] > BLANK:
                    name = (name << 8 | text_b[at]) & 0xFFFFFFFF
                    at += 1
                name_r[r] = name
                continue
            at, number = parse_number(text_b, at)
            if at < 0 or text_b[at] > BLANK or abs(number) >= largest:
                return -1, False
            x_rk[r, k] = number
            inexact |= number != number
        while text_b[at] == BLANK or text_b[at] == TAB:
            at += 1
        if text_b[at] != NEWLINE:
            return -1, False
        at += 1
    return at, inexact
