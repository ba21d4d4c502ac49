"""The lines of one XSF file, and the numbers and energies that stand in them."""

from __future__ import annotations

import math
import re

import numpy as np

from annpot.errors import StructureError
from annpot.structures.checks import LARGEST

# Bounded repetitions: a hostile line must not make the search quadratic.
ENERGY = re.compile(
    r"(total|cohesive)[ \t_]{1,20}energy[^=]{0,80}=[ \t]*([^ \t]*)[ \t]*([^ \t]*)",
    re.IGNORECASE,
)
FOREIGN_UNITS = (
    "ha hartree hartrees ry ryd rydberg a.u au kcal/mol kj/mol mev j k ev/atom "
    "mev/atom ev/f.u ev/fu"
).split()


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


def is_count(word: str) -> bool:
    """Return whether ``word`` is a positive number of atoms or structures."""
    return word.isascii() and word.isdecimal() and len(word) < 19 and int(word) > 0


class Lines:
    """The lines of the file ``name``, read one after the other.

    Not split, because most of them are read by a kernel: ``at`` is the offset of the
    current line in ``content`` (bytes) and ``text`` (the same as characters).
    """

    def __init__(self, content: bytes, name: str) -> None:
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # Each line ends with a newline, on which the kernel relies.
        self.content = content if content.endswith(b"\n") else content + b"\n"
        self.text = self.content.decode("latin-1")
        self.bytes_b = np.frombuffer(self.content, dtype=np.uint8)
        self.name = name
        self.at = 0
        if "\0" in self.text:
            expected = "binary data, expected text in XSF format"
            raise self.error(expected, self.text.index("\0"))
        if self.text.isspace():
            expected = "expected a structure in XSF format"
            raise StructureError(f"'{name}': empty file, {expected}")

    def number(self, at: int) -> int:
        """Return the number, from 1, of the line at the offset ``at``."""
        return self.text.count("\n", 0, at) + 1

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

    def skip_comments(self, energies: Energies) -> list[str]:
        """Move on to a line that is neither blank nor comment; return its words.

        Energies in the comments are added to ``energies``. No words: the file ends.
        """
        while self.at < len(self.text):
            end = self.text.index("\n", self.at)
            words = self.text[self.at : end].split()
            if words and words[0][0] != "#":
                return words
            if words:
                energies.add_line(self)
            self.at = end + 1
        return []

    def parse(self, word: str) -> float:
        """Return the number that ``word`` of the current line is."""
        try:
            return parse_number(word)
        except ValueError:
            expected = f"expected a finite number (below {LARGEST:.0e})"
            raise self.error(f"{expected}, found {show(word)}") from None


class Energies:
    """The energies (eV) that the comments of one structure give."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, int]] = {}
        """The energy and the offset of its line, for ``"total"`` and ``"cohesive"``."""

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.found)

    def get(self, kind: str) -> float | None:
        """Return the ``"total"`` or ``"cohesive"`` energy, eV, if there is one."""
        return self.found[kind][0] if kind in self.found else None

    def add_line(self, lines: Lines) -> bool:
        """Add the energies in the current line; say whether there were any.

        ``total energy`` without ``=`` behind it is prose.
        """
        is_any = False
        for kind, token, unit in ENERGY.findall(lines.line()):
            is_any = True
            if unit.rstrip(".,;)").lower() in FOREIGN_UNITS:
                expected = "expected the energy of all atoms in eV"
                raise lines.error(f"{kind} energy in {show(unit)}, {expected}")
            try:
                energy = float(token.rstrip(",;").replace("D", "E").replace("d", "e"))
            except ValueError:
                energy = math.nan
            if not math.isfinite(energy) or "_" in token:
                found = show(token) if token else "nothing"
                expected = f"a number in eV expected after '{kind} energy ='"
                raise lines.error(f"{expected}, found {found}")
            self._add(lines, kind.lower(), energy, lines.at)
        return is_any

    def add(self, lines: Lines, other: Energies) -> None:
        """Add the energies of ``other``, which must not contradict these."""
        for kind, (energy, at) in other.found.items():
            self._add(lines, kind, energy, at)

    def _add(self, lines: Lines, kind: str, energy: float, at: int) -> None:
        before, where = self.found.setdefault(kind, (energy, at))
        if energy != before:
            found = f"{energy!r} eV here, but {before!r} eV in line"
            expected = f"{lines.number(where)}: expected one per structure"
            raise lines.error(f"{kind} energy is {found} {expected}", at)
