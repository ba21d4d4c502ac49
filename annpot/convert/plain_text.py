"""Text files of C and Fortran programs: their lines, and the numbers in them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from annpot.errors import FileFormatError

MAX_LINE, MAX_BYTES = 100_000, 200_000_000
"""Longest line and largest file that are read."""

MAX_DIGITS = 400
"""Longest number that is read."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
_INTEGER = re.compile("[0-9]{1,18}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line of a file, with its end, one at a time.

    Raises
    ------
    FileFormatError
        If it cannot be read, or is too large.
    """
    size = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(
                iter(lambda: file.readline(MAX_LINE), b""), 1
            ):
                size += len(line)
                if len(line) == MAX_LINE or size > MAX_BYTES:
                    raise FileFormatError(
                        f"'{path}', line {number}: too long, expected a text file"
                    )
                # each byte is a character: comments may be in any encoding
                yield number, line.decode("latin-1")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise FileFormatError(f"'{path}': {reason}") from None


def check_ended(path: Path, number: int, text: str) -> None:
    """Check that a line, which may be the last, is complete.

    Raises
    ------
    FileFormatError
        If it does not end like a line.
    """
    if not text.endswith("\n"):
        raise FileFormatError(
            f"'{path}', line {number}: no end of line: is the file cut off? If not, "
            "add one"
        )


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
