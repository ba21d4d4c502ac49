"""Lines of small text files that people write, with their numbers for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from annpot.convert.plain_text import parse_count, parse_number, read_lines
from annpot.elements import SYMBOL_OF, SYMBOLS
from annpot.errors import FileFormatError, did_you_mean

MAX_LINES = 300_000
MAX_UNKNOWN = 20
"""How many lines with unknown keywords are listed."""
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")


@dataclass(frozen=True)
class TextLine:
    """A line of a file.

    Parameters
    ----------
    text
        Without blanks before and after.
    """

    path: Path
    number: int
    text: str

    @cached_property
    def words(self) -> list[str]:
        """Its words up to a comment; quotes around a word are gone."""
        words = []
        for word in _WORD.findall(self.text):
            if word[0] in "!#%":
                break
            quoted = len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]
            words.append(word[1:-1] if quoted else word)
        return words

    @property
    def keyword(self) -> str:
        """The first word in capitals."""
        return self.words[0].upper() if self.words else ""

    def error(self, text: str) -> FileFormatError:
        """Return the error that something is wrong with the line."""
        return FileFormatError(f"'{self.path}', line {self.number}: {text}")

    def note(self, text: str) -> str:
        """Return a note on the line, for standard error."""
        return f"'{self.path}', line {self.number}: {text}"

    def comment(self, text: str) -> str:
        """Return a note on the line, for a comment in the settings."""
        return f"{self.path.name}, line {self.number}: {text}"

    def float(self, word: str, what: str) -> float:
        """Return the number that a word is.

        Raises
        ------
        FileFormatError
            If it is none.
        """
        value = parse_number(word)
        if value is None:
            raise self.error(f"{what} {word!a:.40}, expected a number")
        return value

    def count(self, word: str, what: str, least: int, most: int) -> int:
        """Return the integer that a word is.

        Raises
        ------
        FileFormatError
            If it is none from ``least`` to ``most``.
        """
        value = parse_count(word, most)
        if value is None or value < least:
            raise self.error(
                f"{what} {word!a:.40}, expected an integer from {least} to {most}"
            )
        return value

    def symbol(self, word: str) -> str:
        """Return the chemical symbol that a word is, or that of an atomic number.

        Raises
        ------
        FileFormatError
            If it is none.
        """
        if word not in SYMBOL_OF:
            near = word.capitalize()
            hint = (
                f", did you mean '{near}'?"
                if near in SYMBOL_OF
                else did_you_mean(word, SYMBOLS[1:])
            )
            raise self.error(f"{word!a:.40} is not a chemical element{hint}")
        return SYMBOL_OF[word]


def read_text(path: Path) -> list[TextLine]:
    """Return the lines of a text file that are neither empty nor comments.

    Raises
    ------
    FileFormatError
        If it cannot be read, is too large or no text.
    """
    found = []
    for number, line in read_lines(path):
        if number > MAX_LINES:
            raise FileFormatError(f"'{path}': more than {MAX_LINES} lines")
        if "\0" in line:
            raise FileFormatError(f"'{path}', line {number}: binary data, not text")
        text = _decode(line).strip()
        if text and text[0] not in "!#%":
            found.append(TextLine(path, number, text))
    if not found:
        raise FileFormatError(f"'{path}': nothing in it, expected keywords")
    return found


def _decode(line: str) -> str:
    """Return a line that was read byte by byte as UTF-8, if that is what it is."""
    try:
        return line.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return line


def note_unknown(
    lines: Iterable[TextLine], known: Iterable[str], consequence: str, notes: list[str]
) -> None:
    """Note lines whose keyword is not known, of many only the first."""
    lines, known = list(lines), list(known)
    for line in lines[:MAX_UNKNOWN]:
        word = line.text.split()[0]
        hint = did_you_mean(word.upper(), known)
        notes.append(line.note(f"unknown keyword {word!a:.40}{hint}: {consequence}"))
    if len(lines) > MAX_UNKNOWN:
        more = len(lines) - MAX_UNKNOWN
        notes.append(f"'{lines[0].path}': {more} more lines with unknown keywords")
