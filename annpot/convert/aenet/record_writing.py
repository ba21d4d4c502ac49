"""Writers of the records that `annpot.convert.aenet.records` reads."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from annpot.convert.aenet.records import LAYOUTS, SYMBOL_BYTES, Layout
from annpot.errors import FileFormatError
from annpot.structures.structure import Array, Integers


class Writer(Protocol):
    """Writes one record after the other."""

    def integers(self, values: Sequence[int] | Integers) -> None:
        """Write a record of integers."""

    def floats(self, values: Sequence[float] | Array) -> None:
        """Write a record of numbers, arrays by rows."""

    def logical(self, flag: bool) -> None:
        """Write a record that is true or false."""

    def symbols(self, names: Sequence[str], *, lines: bool = False) -> None:
        """Write a record of chemical symbols, in text each in its line if ``lines``."""

    def line(self, text: str, size: int) -> None:
        """Write a record of ``size`` bytes; what is longer is cut."""


class BinaryWriter:
    """Writes an unformatted file, see `Writer`."""

    def __init__(self, file: BinaryIO, layout: Layout = LAYOUTS[0]) -> None:
        self.file, self.layout = file, layout

    def integers(self, values: Sequence[int] | Integers) -> None:
        """Write a record of integers."""
        self._record(np.asarray(values, self.layout.kind("i", 4)).tobytes())

    def floats(self, values: Sequence[float] | Array) -> None:
        """Write a record of numbers, arrays by rows."""
        self._record(np.asarray(values, self.layout.kind("f", 8)).tobytes())

    def logical(self, flag: bool) -> None:
        """Write a record that is true or false."""
        self.integers([int(flag)])

    def symbols(self, names: Sequence[str], *, lines: bool = False) -> None:
        """Write a record of chemical symbols."""
        self._record(b"".join(_pad(name, SYMBOL_BYTES) for name in names))

    def line(self, text: str, size: int) -> None:
        """Write a record of ``size`` bytes; what is longer is cut."""
        self._record(_pad(text, size))

    def _record(self, content: bytes) -> None:
        order, size = self.layout
        marker = len(content).to_bytes(size, order, signed=True)
        self.file.write(marker + content + marker)


class TextWriter:
    """Writes the records in lines, as nnASCII2bin.x of aenet does, see `Writer`.

    But symbols are separated, so that nnASCII2bin.x can read them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def integers(self, values: Sequence[int] | Integers) -> None:
        """Write a record of integers."""
        self._line("".join(f"{value:12d}" for value in values))

    def floats(self, values: Sequence[float] | Array) -> None:
        """Write a record of numbers, arrays by rows."""
        self._line("".join(map(format_float, np.ravel(values).tolist())))

    def logical(self, flag: bool) -> None:
        """Write a record that is true or false."""
        self._line(" T" if flag else " F")

    def symbols(self, names: Sequence[str], *, lines: bool = False) -> None:
        """Write a record of chemical symbols."""
        padded = [f"{name:{SYMBOL_BYTES}}" for name in names]
        self._line("\n".join(padded) if lines else " " + " ".join(padded))

    def line(self, text: str, size: int) -> None:
        """Write a record of ``size`` bytes; what is longer is cut."""
        if not text.strip() or text.lstrip()[0] in "'\"":
            # Fortran would read on in the next line
            text = "$$" + text
        line = _pad(text, size).decode("latin-1")
        self._line(" " + re.sub(r"[\r\n]", " ", line))

    def _line(self, text: str) -> None:
        self.file.write(text.encode("latin-1") + b"\n")


@contextlib.contextmanager
def open_writer(path: Path, *, text: bool, layout: Layout) -> Iterator[Writer]:
    """Give the writer of a file; ``layout`` is that of a binary one.

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    try:
        with path.open("wb") as file:
            yield TextWriter(file) if text else BinaryWriter(file, layout)
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be written: {error.strerror}") from None


def _pad(text: str, size: int) -> bytes:
    return text.encode("latin-1", errors="replace")[:size].ljust(size)


def format_float(value: float) -> str:
    """Return a number in 26 characters and with 17 digits, as gfortran prints it."""
    digits = f"{value:.16e}"
    exponent = int(digits[-3:])
    if value == 0.0:
        return f"{value:21.16f}     "
    if -1 <= exponent < 17:
        return f"{value:#21.{16 - exponent}f}     "
    mantissa, _, power = digits.partition("e")
    return f"{mantissa}E{int(power):+04d}".rjust(26)
