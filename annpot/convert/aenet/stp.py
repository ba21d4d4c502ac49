"""Set-up files of aenet's descriptors, .stp: one for each central species."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annpot.convert.text_lines import TextLine, note_unknown, read_text
from annpot.descriptors.behler import MAX_FUNCTIONS
from annpot.descriptors.chebyshev import MAX_CUTOFF, MAX_ORDER, Expansion
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError, did_you_mean

KEYWORDS = ("DESCR", "END", "ATOM", "ENV", "RMIN", "BASIS", "FUNCTIONS", "SYMMFUNC")

CHEBYSHEV = ("radial_Rc", "radial_N", "angular_Rc", "angular_N")
PARAMETERS = {
    "G1": ("type2", "Rc"),
    "G2": ("type2", "Rc", "Rs", "eta"),
    "G3": ("type2", "Rc", "kappa"),
    "G4": ("type2", "type3", "Rc", "lambda", "zeta", "eta"),
    "G5": ("type2", "type3", "Rc", "lambda", "zeta", "eta"),
}
"""What a line of each type of symmetry function gives; Rs may be missing: 0."""
NAMES = ("G", "type2", "type3", "Rc", "Rs", "eta", "kappa", "lambda", "zeta")
KEYS = {"Rc": "cutoff", "Rs": "r_s"}
"""annpot's names of parameters, where they differ."""


@dataclass(frozen=True)
class Function:
    """A symmetry function as keys of annpot, and the line that it stands in."""

    line: TextLine
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class Setup:
    """The descriptor of one central species."""

    path: Path
    symbol: str
    environment: tuple[str, ...]
    """Species of the neighbours, in the order of ENV."""
    description: tuple[str, ...]
    basis: TextLine
    """The line that begins the parameters."""
    radial: Expansion | None
    angular: Expansion | None
    """Of a Chebyshev basis; else ``None``."""
    functions: tuple[Function, ...]
    """Of type Behler2011, in the order of the file."""


def read_setup(path: Path, notes: list[str]) -> Setup:
    """Return the content of a set-up file.

    Raises
    ------
    FileFormatError
        If something is missing or wrong.
    """
    return _Reader(path, read_text(path), notes).read()


class _Reader:
    """Goes through the lines of a set-up file."""

    def __init__(self, path: Path, lines: Sequence[TextLine], notes: list[str]) -> None:
        self.path, self.lines, self.notes = path, lines, notes
        self.at = 0
        self.found: dict[str, Any] = {}

    def read(self) -> Setup:
        """Return all that the lines say."""
        unknown = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            match line.keyword:
                case "DESCR":
                    self._keep(line, "description", self._description(line))
                case "ATOM":
                    self._keep(line, "symbol", line.symbol(self._word(line, 1)))
                case "ENV":
                    self._keep(line, "environment", self._environment(line))
                case "RMIN":
                    line.float(self._word(line, 1), "RMIN")
                case "BASIS":
                    self._keep(line, "basis", (line, self._chebyshev(line)))
                case "FUNCTIONS" | "SYMMFUNC":
                    self._keep(line, "basis", (line, tuple(self._functions(line))))
                case _:
                    unknown.append(line)
        note_unknown(unknown, KEYWORDS, "left out, as aenet does", self.notes)
        return self._setup()

    def _setup(self) -> Setup:
        for key, keyword in (
            ("symbol", "ATOM"),
            ("environment", "ENV"),
            ("basis", "BASIS or FUNCTIONS"),
        ):
            if key not in self.found:
                raise FileFormatError(
                    f"'{self.path}': no {keyword}, expected one in a set-up of aenet"
                )
        basis, content = self.found["basis"]
        chebyshev = isinstance(content[0], Expansion)
        return Setup(
            path=self.path,
            symbol=self.found["symbol"],
            environment=self.found["environment"],
            description=self.found.get("description", ()),
            basis=basis,
            radial=content[0] if chebyshev else None,
            angular=content[1] if chebyshev else None,
            functions=() if chebyshev else content,
        )

    def _keep(self, line: TextLine, key: str, value: Any) -> None:
        if key in self.found:
            raise line.error(f"{line.keyword} is given twice")
        self.found[key] = value

    def _word(self, line: TextLine, n: int) -> str:
        if len(line.words) <= n:
            raise line.error(f"more expected after {line.keyword}")
        return line.words[n]

    def _rows(self, line: TextLine, count: int, noun: str) -> list[TextLine]:
        """Return the next lines, and move on behind them."""
        rows = list(self.lines[self.at : self.at + count])
        if len(rows) < count:
            raise line.error(
                f"{count} {noun} expected, the file ends after {len(rows)}"
            )
        self.at += count
        return rows

    def _description(self, line: TextLine) -> tuple[str, ...]:
        start = self.at
        while self.at < len(self.lines):
            self.at += 1
            if self.lines[self.at - 1].text.upper().split()[:2] == ["END", "DESCR"]:
                return tuple(row.text for row in self.lines[start : self.at - 1])
        raise line.error("DESCR without END DESCR")

    def _environment(self, line: TextLine) -> tuple[str, ...]:
        count = line.count(self._word(line, 1), "ENV", 1, len(SYMBOLS))
        rows = self._rows(line, count, "species")
        symbols = tuple(row.symbol(row.words[0] if row.words else "") for row in rows)
        for n, row in enumerate(rows):
            if symbols[n] in symbols[:n]:
                raise row.error(f"{symbols[n]} is given twice")
        return symbols

    def _type(self, line: TextLine, expected: str) -> None:
        """Check the type of a basis."""
        found = dict(_assignments(line.text)).get("type", "")
        if found.lower() != expected.lower():
            raise line.error(
                f"{line.keyword} of type {found!a:.40}, expected type={expected}"
            )
        if found != expected:
            self.notes.append(
                line.note(f"type={found}, which aenet does not know: {expected}")
            )

    def _chebyshev(self, line: TextLine) -> tuple[Expansion, Expansion]:
        self._type(line, "Chebyshev")
        (row,) = self._rows(line, 1, "line of parameters")
        given = read_parameters(row, CHEBYSHEV, self.notes)
        parts = []
        for part in ("radial", "angular"):
            cutoff, order = f"{part}_Rc", f"{part}_N"
            for name in (cutoff, order):
                if name not in given:
                    raise row.error(f"{name}= is missing, which aenet reads as 0")
            parts.append(
                Expansion(
                    row.count(given[order], order, 0, MAX_ORDER),
                    _radius(row, given[cutoff], cutoff),
                )
            )
        return parts[0], parts[1]

    def _functions(self, line: TextLine) -> Iterator[Function]:
        self._type(line, "Behler2011")
        (row,) = self._rows(line, 1, "number of functions")
        count = row.count(row.words[0], "number of functions", 1, MAX_FUNCTIONS)
        for row in self._rows(line, count, "functions"):
            yield _function(row, self.notes)


def _function(line: TextLine, notes: list[str]) -> Function:
    """Return the symmetry function that a line describes."""
    given = read_parameters(line, NAMES, notes)
    kind = f"G{given.get('G', '')}"
    if kind not in PARAMETERS:
        raise line.error(
            f"G={given.get('G', '')!a:.20}, expected one of G=1 to G=5 in each of as "
            "many lines as there are functions"
        )
    recipe: dict[str, Any] = {"type": kind, "neighbours": []}
    for name in PARAMETERS[kind]:
        if name not in given:
            if name == "Rs":
                continue
            raise line.error(f"{kind} needs {name}=")
        if name.startswith("type"):
            recipe["neighbours"].append(line.symbol(given[name]))
        elif name == "Rc":
            recipe["cutoff"] = _radius(line, given[name], name)
        else:
            recipe[KEYS.get(name, name)] = line.float(given[name], name)
    for name in given:
        if name not in ("G", *PARAMETERS[kind]):
            notes.append(line.note(f"{kind} has no {name}: left out, as aenet does"))
    return Function(line, recipe)


def _radius(line: TextLine, word: str, name: str) -> float:
    radius = line.float(word, name)
    if not 0.0 < radius <= MAX_CUTOFF:
        raise line.error(f"{name} {radius:g}, expected 0 to {MAX_CUTOFF:g} angstrom")
    return radius


_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\s*=\s*([^\s=,]*)")


def _assignments(text: str) -> list[tuple[str, str]]:
    """Return all ``name = value`` in a line, comments left out."""
    return _ASSIGNMENT.findall(re.split("[!#]", text, maxsplit=1)[0])


def read_parameters(
    line: TextLine, names: Sequence[str], notes: list[str]
) -> dict[str, str]:
    """Return the values of the names in a line ``eta=0.5 Rc=6.0``.

    aenet takes what follows the first place where a name occurs, be it within another
    name: a note says where it reads something else than is written.
    """
    given: dict[str, str] = {}
    lower = {name.lower(): name for name in names}
    for written, value in _assignments(line.text):
        name = lower.get(written.lower())
        if name is None:
            hint = did_you_mean(written, names)
            notes.append(
                line.note(f"unknown parameter {written!a:.40}{hint}: left out")
            )
        elif value and name not in given:
            given[name] = value
    for name, value in given.items():
        read = _aenet_reads(line.text, name)
        if read != value:
            notes.append(
                line.note(
                    f"{name}={value} is taken, as it is written; aenet, which finds "
                    f"{name!r} {'elsewhere in the line' if read else 'nowhere'}, reads "
                    f"{read or '0'}"
                )
            )
    return given


def _aenet_reads(text: str, name: str) -> str:
    """Return what stands where aenet looks for the value of a parameter."""
    at = text.find(name)
    if at < 0 or "=" not in text[at:]:
        return ""
    words = text[text.index("=", at) + 1 :].replace(",", " ").split()
    return words[0] if words else ""
