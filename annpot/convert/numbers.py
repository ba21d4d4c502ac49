"""Numbers as they stand in text files of C and Fortran programs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

MAX_DIGITS = 400
"""Longest number that is read."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
_INTEGER = re.compile("[0-9]{1,18}")


def parse_number(word: str) -> float | None:
    """Return a finite number (``0.5``, ``1.0D-3``), or ``None`` if it is none."""
    if len(word) > MAX_DIGITS or not _NUMBER.fullmatch(word):
        return None
    value = float(word.lower().replace("d", "e"))
    return value if math.isfinite(value) else None


def parse_count(word: str, most: int) -> int | None:
    """Return an integer from 0 to ``most``, or ``None`` if it is none."""
    if not _INTEGER.fullmatch(word) or int(word) > most:
        return None
    return int(word)


def invert(
    value: float, forward: Callable[[float], float], backward: Callable[[float], float]
) -> float:
    """Return a number that ``forward`` turns into ``value``, with few digits.

    Not every value is the result of a rounded product or quotient: if it is none, the
    number belongs to the nearest that is. Either way, a number that is read and written
    again stays the same.

    Parameters
    ----------
    backward
        The inverse of ``forward`` but for rounding.
    """
    value = float(value)
    for _ in range(4):
        guess = backward(value)
        for digits in (15, 16, 17):
            number = float(f"{guess:.{digits}g}")
            if forward(number) == value:
                return number
        value = forward(guess)
    return guess
