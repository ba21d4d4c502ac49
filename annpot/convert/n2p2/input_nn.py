"""input.nn, the settings file of n2p2 and RuNNer, line by line.

A line is a keyword and its arguments; ``#`` and ``!`` begin comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from annpot.convert.n2p2.keywords import (
    ALIASES,
    CHARGES,
    POTENTIAL,
    REFUSED,
    SEVERAL,
    SUSPICIOUS,
    TRAINING,
)
from annpot.convert.plain_text import FileLine, read_lines
from annpot.errors import FileFormatError, InputError, did_you_mean
from annpot.structures.archives import read_start
from annpot.units import Units, parse_units

MAX_LINES = 100_000
"""Of lines with keywords."""
MAX_UNKNOWN, MAX_NOTES = 1000, 20
"""Lines with unknown keywords; beyond the second they are only counted."""

UNITS_MARK = "# Units:"
"""Begins the comment by which annpot says the units of what it writes."""


@dataclass(frozen=True)
class Line(FileLine):
    """A keyword with its arguments."""

    keyword: str
    """Its main name."""
    words: tuple[str, ...]
    written: str
    """The name that stands in the file."""

    def __str__(self) -> str:
        """Return keyword and arguments as they are written, for messages."""
        return " ".join((self.written, *self.words))[:100]

    def argument(self, n: int = 0) -> str:
        """Return an argument.

        Raises
        ------
        FileFormatError
            If there are fewer.
        """
        if len(self.words) <= n:
            raise self.error(
                f"{n + 1} argument{'s' if n else ''} expected after '{self.written}', "
                f"found {len(self.words)}"
            )
        return self.words[n]

    def float(self, n: int = 0) -> float:
        """Return an argument that is a number.

        Raises
        ------
        FileFormatError
            If it is none.
        """
        return self.parse_number(self.argument(n), self.written)

    def count(self, n: int, least: int, most: int) -> int:
        """Return an argument that is an integer from ``least`` to ``most``.

        Raises
        ------
        FileFormatError
            If it is none.
        """
        return self.parse_count(self.argument(n), self.written, least, most)

    def symbol(self, n: int, species: Sequence[str]) -> str:
        """Return an argument that is one of the elements.

        Raises
        ------
        FileFormatError
            If it is not.
        """
        symbol = self.argument(n)
        self.check_symbol(symbol, species)
        return symbol

    def check_symbol(self, symbol: str, species: Sequence[str]) -> None:
        """Check that a word of the line is one of the elements.

        Raises
        ------
        FileFormatError
            If it is not.
        """
        if symbol not in species:
            raise self.error(
                f"{self.written}: {symbol!a:.20} is not among the elements "
                f"{', '.join(species)}"
            )


@dataclass(frozen=True)
class InputNN:
    """The lines of an input.nn."""

    path: Path
    lines: tuple[Line, ...]

    @cached_property
    def _found(self) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.keyword, []).append(line)
        return found

    def find(self, keyword: str) -> Line | None:
        """Return the line of a keyword, the first if there are several."""
        return next(iter(self.find_all(keyword)), None)

    def find_all(self, keyword: str) -> list[Line]:
        """Return all lines of a keyword."""
        return self._found.get(keyword, [])

    def need(self, keyword: str) -> Line:
        """Return the line of a keyword that must be there.

        Raises
        ------
        FileFormatError
            If it is not.
        """
        line = self.find(keyword)
        if line is None:
            raise FileFormatError(f"'{self.path}': no keyword '{keyword}'")
        return line

    def single_number(self, keyword: str, default: float) -> float:
        """Return the number of a keyword, or the default if it is not there."""
        line = self.find(keyword)
        return default if line is None else line.float()


def read_input_nn(path: Path, notes: list[str]) -> InputNN:
    """Return the lines of an input.nn.

    Parameters
    ----------
    notes
        Gets a line for each keyword that is not known.

    Raises
    ------
    FileFormatError
        If a keyword that may stand once stands twice, or belongs to a potential that
        annpot cannot express.
    """
    lines = []
    for number, text in read_lines(path):
        written, *words = re.split("[#!]", text, maxsplit=1)[0].split() or [""]
        if written:
            keyword = ALIASES.get(written, written)
            lines.append(Line(path, number, keyword, tuple(words), written))
            if not text.endswith("\n"):
                notes.append(lines[-1].note("no end of line: is the file complete?"))
        if len(lines) > MAX_LINES:
            raise FileFormatError(
                f"'{path}': more than {MAX_LINES} lines with keywords"
            )
    content = InputNN(path, tuple(lines))
    _check_unknown(content, notes)
    _check_refused(content)
    _check_type(content)
    _check_twice(content)
    return content


def find_stated_units(path: Path) -> Units | None:
    """Return the units that a comment at the beginning of an input.nn states, if any.

    Raises
    ------
    FileFormatError
        If annpot does not know them.
    """
    head = read_start(path).decode("latin-1")
    for line in head.splitlines():
        if line.startswith(UNITS_MARK):
            try:
                return parse_units(line.removeprefix(UNITS_MARK))
            except InputError as error:
                raise FileFormatError(f"'{path}', '{UNITS_MARK}': {error}") from None
    return None


def _check_unknown(content: InputNN, notes: list[str]) -> None:
    """Check that no unknown keyword looks as if it changed energies; note others."""
    known = POTENTIAL | TRAINING | REFUSED.keys() | ALIASES.keys()
    unknown = [line for line in content.lines if line.keyword not in known]
    if len(unknown) > MAX_UNKNOWN:
        raise FileFormatError(
            f"'{content.path}': {len(unknown)} lines with unknown keywords, expected "
            "an input.nn of n2p2 or RuNNer"
        )
    for n, line in enumerate(unknown):
        word = line.written[:60]
        suspicious = did_you_mean(word, POTENTIAL) or any(
            part in word.lower() for part in SUSPICIOUS
        )
        if n >= MAX_NOTES and not suspicious:
            continue
        text, hint = f"unknown keyword {word!a}", did_you_mean(word, known)
        if suspicious:
            raise line.error(
                f"{text}, which may change energies: please correct the line, or "
                f"delete it{hint}"
            )
        notes.append(line.note(f"{text}, ignored{hint}"))
    if len(unknown) > MAX_NOTES:
        notes.append(
            f"'{content.path}': {len(unknown) - MAX_NOTES} more unknown keywords"
        )


def _check_refused(content: InputNN) -> None:
    """Check that there is nothing in the file that annpot cannot express."""
    for line in content.lines:
        if line.keyword in REFUSED:
            raise line.error(f"'{line.written}' {REFUSED[line.keyword]}")


def _check_type(content: InputNN) -> None:
    """Check that the potential has energies of single atoms only."""
    line = content.find("nnp_type")
    if line is not None:
        word = line.argument()
        if word.upper() not in ("0", "2", "2G", "2G-HDNNP"):
            raise line.error(f"'{line.written}' {word!a:.40} {CHARGES}")
    line = content.find("nn_type_short")
    if line is not None and line.argument() != "1":
        raise line.error(
            f"nn_type_short {line.argument()!a:.40}, expected 1: networks of "
            "atoms, not of pairs"
        )


def _check_twice(content: InputNN) -> None:
    """Check that no keyword stands twice that may stand once."""
    seen: dict[str, Line] = {}
    for line in content.lines:
        first = seen.setdefault(line.keyword, line)
        once = line.keyword in POTENTIAL | TRAINING and line.keyword not in SEVERAL
        if once and first is not line:
            raise line.error(
                f"'{line.written}' stands twice, first in line {first.number}; delete "
                "one of the two"
            )
