"""The lines of a text file with structures, and the numbers that stand in them."""

from __future__ import annotations

import numpy as np

from annpot.errors import StructureError
from annpot.structures.checks import LARGEST

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def show(token: str) -> str:
    """Return ``token`` as part of a message: short and printable."""
    return ascii(token if len(token) <= 40 else token[:37] + "...")


def parse_number(token: str) -> float:
    """Return the number in ``token``; ``1.0D+00`` of Fortran is one, ``1_0`` is not.

    Raises
    ------
    ValueError
        If it is no number, not finite, or absurdly large.
    """
    try:
        number = float(token)
    except ValueError:
        number = float(token.replace("D", "E").replace("d", "e"))
    if "_" in token or not abs(number) < LARGEST:
        raise ValueError
    return number


class Lines:
    """The lines of the file ``name``, read one after the other.

    Not split, because most of them are read by a kernel: ``at`` is the offset of the
    current line in ``content`` (bytes) and ``text`` (the same as characters).

    Parameters
    ----------
    format_
        What the file should be, for messages.
    first_line
        Number of lines of the file that are before ``content``.
    """

    def __init__(
        self, content: bytes, name: str, format_: str, first_line: int = 0
    ) -> None:
        content = content.removeprefix(BYTE_ORDER_MARK)
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # Each line ends with a newline, on which the kernel relies.
        self.content = content if content.endswith(b"\n") else content + b"\n"
        self.text = self.content.decode("latin-1")
        self.bytes_b = np.frombuffer(self.content, dtype=np.uint8)
        self.name, self.first_line = name, first_line
        self.at = 0
        if "\0" in self.text:
            expected = f"binary data, expected text in {format_} format"
            raise self.error(expected, self.text.index("\0"))
        if self.text.isspace():
            expected = f"expected a structure in {format_} format"
            raise StructureError(f"'{name}': empty file, {expected}")

    def number(self, at: int) -> int:
        """Return the number, from 1, of the line at the offset ``at``."""
        return self.first_line + self.text.count("\n", 0, at) + 1

    def error(self, message: str, at: int | None = None) -> StructureError:
        """Return the error that ``message`` describes, here or at the offset ``at``."""
        number = self.number(self.at if at is None else at)
        return StructureError(f"'{self.name}', line {number}: {message}")

    def line(self) -> str:
        """Return the current line; an empty one after the end of the file."""
        return self.text[self.at : self.text.find("\n", self.at)]

    def words(self) -> list[str]:
        """Return the words of the current line; none after the end of the file."""
        return self.text[self.at : self.text.find("\n", self.at)].split()

    def skip(self, n_lines: int = 1) -> None:
        """Move on by ``n_lines``, at most to the end of the file."""
        while n_lines > 0 and self.at < len(self.text):
            self.at = self.text.index("\n", self.at) + 1
            n_lines -= 1

    def skip_blank(self) -> list[str]:
        """Move on to a line that is not blank; return its words, none at the end."""
        while self.at < len(self.text):
            words = self.words()
            if words:
                return words
            self.skip()
        return []

    def parse(self, word: str) -> float:
        """Return the number that ``word`` of the current line is."""
        try:
            return parse_number(word)
        except ValueError:
            expected = f"expected a finite number (below {LARGEST:.0e})"
            raise self.error(f"{expected}, found {show(word)}") from None
