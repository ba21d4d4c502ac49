"""The records of aenet's files: unformatted Fortran files, and the same as text.

An unformatted sequential file is a row of records, each between two markers that say
its length in bytes. Which program on which machine has written it shows in the
markers: 4 or 8 bytes, either byte order. As text, a record is numbers and words in as
many lines as the writer liked. Readers check all that is read: what is told of a file
is its name, the record and what was found there.
"""

from __future__ import annotations

import contextlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, NoReturn, TypeVar

import numpy as np

from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.structures.structure import Array, Integers

T = TypeVar("T")

_WORD = re.compile(rb"\s*(\S+)")

SYMBOL_BYTES = 2
_HEAD_BYTES = 24
"""Enough for the first record of any layout."""
MAX_WORD, MAX_LINE = 1024, 2**27
"""Longest word and longest line in bytes that are read from text."""


class Layout(NamedTuple):
    """How records are written."""

    order: Literal["little", "big"] = "little"
    marker_bytes: Literal[4, 8] = 4

    def kind(self, letter: str, size: int) -> str:
        """Return numpy's name of a type of numbers."""
        return f"{'<' if self.order == 'little' else '>'}{letter}{size}"

    def marker(self, content: bytes) -> int:
        """Return the number in a marker."""
        return int.from_bytes(content, self.order, signed=True)


LAYOUTS = (Layout(), Layout("big"), Layout("little", 8), Layout("big", 8))
LAYOUT_NAMES = {f"{x.order}{x.marker_bytes}": x for x in LAYOUTS}


def find_layout(head: bytes) -> Layout | None:
    """Return how the records of a file are written; ``None`` if it has none.

    All files of aenet begin with a record of one integer that is not 0.
    """
    for layout in LAYOUTS:
        n = layout.marker_bytes
        first, number, last = head[:n], head[n : n + 4], head[n + 4 : 2 * n + 4]
        marked = layout.marker(first) == layout.marker(last) == 4
        if len(last) == n and marked and any(number):
            return layout
    return None


def find_lengths(head: bytes, layout: Layout) -> list[int]:
    """Return the lengths of the records whose first marker lies in ``head``."""
    lengths, at, n = [], 0, layout.marker_bytes
    while at + n <= len(head):
        lengths.append(layout.marker(head[at : at + n]))
        if lengths[-1] < 0:
            break
        at += lengths[-1] + 2 * n
    return lengths


class Records(ABC):
    """Reads one record after the other.

    ``what`` names a record in messages. All methods raise `FileFormatError` if the
    record is not what is asked for.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name, self.what = file, name, ""

    def integers(self, what: str, count: int) -> Integers:
        """Return a record of integers."""
        self.what = what
        return self._read_integers(count)

    def integer(self, what: str, low: int, high: int) -> int:
        """Return a record of one integer between two limits, both included."""
        value = int(self.integers(what, 1)[0])
        if not low <= value <= high:
            self.fail(f"{value}, expected {low} to {high}")
        return value

    def floats(self, what: str, count: int, *, finite: bool = True) -> Array:
        """Return a record of numbers, none of them infinite or NaN if ``finite``."""
        self.what = what
        values = self._read_floats(count)
        if finite and not np.isfinite(values).all():
            n = int(np.flatnonzero(~np.isfinite(values))[0])
            self.fail(f"number {n + 1} is {values[n]}, expected a finite one")
        return values

    def number(self, what: str) -> float:
        """Return a record of one number."""
        return float(self.floats(what, 1)[0])

    def logical(self, what: str) -> bool:
        """Return a record that is true or false."""
        self.what = what
        return self._read_logical()

    def symbols(self, what: str, count: int) -> tuple[str, ...]:
        """Return a record of chemical symbols, in text separated or not."""
        self.what = what
        names = self._read_symbols(count)
        for name in names:
            if name not in SYMBOLS[1:]:
                self.fail(f"{name!a:.40} is not a chemical symbol")
        return tuple(names)

    def word(self, what: str, size: int) -> str:
        """Return a record of ``size`` bytes with one word in it."""
        self.what = what
        return self._read_word(size)

    def line(self, what: str, size: int) -> str:
        """Return a record of ``size`` bytes, in text up to the end of the line.

        Any bytes, as characters of Latin-1; without the blanks behind.
        """
        self.what = what
        return self._read_line(size)

    @abstractmethod
    def end(self) -> None:
        """Check that there are no more records."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the record stands that was read last."""

    def fail(self, problem: str) -> NoReturn:
        """Raise the error that tells of a problem with the record read last."""
        raise FileFormatError(f"'{self.name}', {self.place} ({self.what}): {problem}")

    @abstractmethod
    def _read_integers(self, count: int) -> Integers: ...

    @abstractmethod
    def _read_floats(self, count: int) -> Array: ...

    @abstractmethod
    def _read_logical(self) -> bool: ...

    @abstractmethod
    def _read_symbols(self, count: int) -> list[str]: ...

    @abstractmethod
    def _read_word(self, size: int) -> str: ...

    @abstractmethod
    def _read_line(self, size: int) -> str: ...


class BinaryRecords(Records):
    """The records of an unformatted file.

    Parameters
    ----------
    file
        Open at its beginning.

    Raises
    ------
    FileFormatError
        If the file does not begin like one of aenet.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(file, name)
        self.n_records = 0
        layout = find_layout(file.read(_HEAD_BYTES))
        if layout is None:
            raise FileFormatError(
                f"'{name}' does not begin with a record of one integer, expected an "
                "unformatted Fortran file of aenet"
            )
        self.layout = layout
        self.left = file.seek(0, os.SEEK_END)
        file.seek(0)

    @property
    def place(self) -> str:
        """The number of the record, from 1."""
        return f"record {self.n_records}"

    def end(self) -> None:
        """Check that there are no more records."""
        if self.left:
            self.fail(f"{self.left} bytes follow, expected the end of the file")

    def _read_integers(self, count: int) -> Integers:
        return self._numbers("i", 4, count).astype(np.int64)

    def _read_floats(self, count: int) -> Array:
        return self._numbers("f", 8, count).astype(np.float64)

    def _read_logical(self) -> bool:
        return bool(self._read_integers(1)[0])

    def _read_symbols(self, count: int) -> list[str]:
        text = self._characters(count * SYMBOL_BYTES)
        return [text[i : i + SYMBOL_BYTES].strip() for i in range(0, len(text), 2)]

    def _read_word(self, size: int) -> str:
        return self._characters(size).strip()

    def _read_line(self, size: int) -> str:
        return self._characters(size).rstrip(" ")

    def _numbers(self, letter: str, size: int, count: int) -> np.ndarray:
        length = self._begin()
        if length != count * size:
            n, rest = divmod(length, size)
            found = f"{length} bytes" if rest or length < 0 else f"{n}"
            noun = "integer" if letter == "i" else "number"
            plural = "" if count == 1 else "s"
            self.fail(f"{count} {noun}{plural} expected, found {found}")
        content = self._finish(length)
        return np.frombuffer(content, self.layout.kind(letter, size))

    def _characters(self, size: int) -> str:
        length = self._begin()
        if length != size:
            self.fail(f"{size} characters expected, found {length}")
        return self._finish(length).decode("latin-1")

    def _begin(self) -> int:
        """Return the length of the next record."""
        self.n_records += 1
        return self._marker()

    def _finish(self, length: int) -> bytes:
        """Return the record; its length is one that was expected."""
        if length + self.layout.marker_bytes > self.left:
            self.fail(
                f"{length} bytes expected, but the file ends after {self.left}: is it "
                "cut short?"
            )
        content = self.file.read(length)
        self.left -= len(content)
        closing = self._marker()
        if closing != length:
            self.fail(
                f"the markers around it, {length} and {closing}, differ: the file is "
                "damaged"
            )
        return content

    def _marker(self) -> int:
        n = self.layout.marker_bytes
        content = self.file.read(n)
        if len(content) < n:
            self.fail("the file ends before it: is it cut short?")
        self.left -= n
        return self.layout.marker(content)


class TextRecords(Records):
    """The same records as text; lines are read as they are needed."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(file, name)
        self.n_lines = 0
        self.current, self.at = b"", 0
        """The current line, and how far it has been read."""

    @property
    def place(self) -> str:
        """The number of the line, from 1."""
        return f"line {self.n_lines}"

    def end(self) -> None:
        """Check that nothing follows but blanks, and the last number is complete."""
        while (word := self._word()) is None:
            if not self._next_line():
                if not self.current.endswith(b"\n"):
                    self.fail("no end of line: is the file cut off? If not, add one")
                return
        self.fail(f"{_show(word)} follows, expected the end of the file")

    def _read_integers(self, count: int) -> Integers:
        return np.fromiter(self._words(count, self._integer), np.int64)

    def _integer(self, word: bytes) -> int:
        if re.fullmatch(rb"[-+]?[0-9]{1,18}", word) is None:
            self.fail(f"{_show(word)} is no integer")
        return int(word)

    def _read_floats(self, count: int) -> Array:
        return np.fromiter(self._words(count, self._float), np.float64)

    def _float(self, word: bytes) -> float:
        """Return a number, also of forms of Fortran alone: 1.5D-3, 1.5-300."""
        if b"_" in word:  # Python takes 1_0 for ten
            self.fail(f"{_show(word)} is no number")
        try:
            return float(word)
        except ValueError:
            pass
        try:
            return float(re.sub(rb"(?i)d|(?<=[0-9.])(?=[-+])", b"e", word))
        except ValueError:
            self.fail(f"{_show(word)} is no number")

    def _read_logical(self) -> bool:
        (word,) = self._words(1, bytes)
        name = word.lower().strip(b".")
        if name not in (b"t", b"f", b"true", b"false"):
            self.fail(f"{_show(word)}, expected T or F")
        return name.startswith(b"t")

    def _read_symbols(self, count: int) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            # written without blanks between them, only short names end with one
            word = self._read_word(SYMBOL_BYTES)
            names += [word[i : i + 2] for i in range(0, len(word), SYMBOL_BYTES)]
        if len(names) > count:
            self.fail(
                f"{count} chemical symbols expected, found {''.join(names)!a:.40}"
            )
        return names

    def _read_word(self, size: int) -> str:
        (word,) = self._words(1, bytes)
        return word.decode("latin-1")

    def _read_line(self, size: int) -> str:
        if not self.current[self.at :].strip() and not self._next_line():
            self._fail_at_end(1)
        start, self.at = self.at, len(self.current)
        content = self.current[start:].rstrip(b"\r\n")
        text = content.decode("latin-1").rstrip(" ")
        # Fortran begins lines with a blank
        return (text.lstrip(" ") if start else text.removeprefix(" "))[:size]

    def _words(self, count: int, convert: Callable[[bytes], T]) -> Iterator[T]:
        """Yield the next words, converted one by one."""
        while count:
            word = self._word()
            if word is not None:
                yield convert(word)
                count -= 1
            elif not self._next_line():
                self._fail_at_end(count)

    def _word(self) -> bytes | None:
        """Return the next word of the line, if there is one."""
        found = _WORD.match(self.current, self.at)
        if found is None:
            return None
        self.at = found.end()
        if found.end() - found.start(1) > MAX_WORD:
            self.fail(f"a word of more than {MAX_WORD} characters")
        return found[1]

    def _next_line(self) -> bool:
        """Go on to the next line, if there is one."""
        line = self.file.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            self.fail(f"a line of more than {MAX_LINE} bytes")
        if line:
            self.current, self.at = line, 0
            self.n_lines += 1
        return bool(line)

    def _fail_at_end(self, missing: int) -> NoReturn:
        self.fail(f"the file ends, {missing} more expected: is it cut short?")


def _show(word: bytes) -> str:
    return f"{word.decode('latin-1')!a:.40}"


@contextlib.contextmanager
def open_records(path: Path) -> Iterator[Records]:
    """Give the records of a file, which is text if there is no zero in its beginning.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is none of aenet.
    """
    try:
        with path.open("rb") as file:
            text = b"\0" not in file.read(_HEAD_BYTES)
            file.seek(0)
            yield (TextRecords if text else BinaryRecords)(file, str(path))
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None
