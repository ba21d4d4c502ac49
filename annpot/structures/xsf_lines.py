"""The lines of one XSF file, and the energies that stand in them."""

from __future__ import annotations

import math
import re

from annpot.structures.lines import Lines, show

# Bounded repetitions: a hostile line must not make the search quadratic.
ENERGY = re.compile(
    r"(total|cohesive)[ \t_]{1,20}energy[^=]{0,80}=[ \t]*([^ \t]*)[ \t]*([^ \t]*)",
    re.IGNORECASE,
)
FOREIGN_UNITS = (
    "ha hartree hartrees ry ryd rydberg a.u au kcal/mol kj/mol mev j k ev/atom "
    "mev/atom ev/f.u ev/fu"
).split()


def is_count(word: str) -> bool:
    """Return whether ``word`` is a positive number of atoms or structures."""
    return word.isascii() and word.isdecimal() and len(word) < 19 and int(word) > 0


class XsfLines(Lines):
    """The lines of the XSF file ``name``."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content, name, "XSF")

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

    def add_line(self, lines: XsfLines) -> bool:
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

    def add(self, lines: XsfLines, other: Energies) -> None:
        """Add the energies of ``other``, which must not contradict these."""
        for kind, (energy, at) in other.found.items():
            self._add(lines, kind, energy, at)

    def _add(self, lines: XsfLines, kind: str, energy: float, at: int) -> None:
        before, where = self.found.setdefault(kind, (energy, at))
        if energy != before:
            found = f"{energy!r} eV here, but {before!r} eV in line"
            expected = f"{lines.number(where)}: expected one per structure"
            raise lines.error(f"{kind} energy is {found} {expected}", at)
