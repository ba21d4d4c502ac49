"""Numbers as they stand in text files of C and Fortran programs."""

from __future__ import annotations

import math
import re

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
