"""The keywords of generate.in, train.in and predict.in, the inputs of aenet.

As aenet 2.0.4 reads them, and aenet-PyTorch where it has more. Where aenet reads
something else than what is written, what is written counts, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annpot.convert.text_lines import TextLine, note_unknown, read_text
from annpot.elements import SYMBOL_OF
from annpot.errors import FileFormatError, did_you_mean

MAX_FILES = 1_000_000

KEYWORDS: Mapping[str, Mapping[str, str]] = {
    "generate.in": {
        "OUTPUT": "value",
        "TYPES": "types",
        "SETUPS": "species",
        "FORCES": "flag",
        "FORCESPERCENT": "value",
        "TIMING": "flag",
        "DEBUG": "flag",
        "VERBOSITY": "value",
        "FILES": "files",
    },
    "train.in": {
        "TRAININGSET": "value",
        "TESTPERCENT": "value",
        "ITERATIONS": "value",
        "MAXENERGY": "value",
        "SAMPLING": "value",
        "TIMING": "flag",
        "DEBUG": "flag",
        "SAVE_ENERGIES": "flag",
        "VERBOSITY": "value",
        "METHOD": "next",
        "NETWORKS": "species",
        # of aenet-PyTorch
        "ITERWRITE": "value",
        "BATCHSIZE": "value",
        "NPSEED": "value",
        "PHSEED": "value",
        "FORCES": "next",
        "MEMORY_MODE": "value",
        "SAVE_FORCES": "flag",
        "VERBOSE": "flag",
        "REGULARIZATION": "value",
        "MAXFORCES": "value",
        "MODE": "value",
        "SAVE_BATCHES": "flag",
        "LOAD_BATCHES": "flag",
    },
    "predict.in": {
        "TYPES": "types",
        "NETWORKS": "species",
        "FORCES": "flag",
        "PRINT_ATOMIC_ENERGIES": "flag",
        "RELAX": "next",
        "TIMING": "flag",
        "DEBUG": "flag",
        "VERBOSITY": "value",
        "FILES": "files",
    },
}
"""How the keywords of each input are followed by what belongs to them."""

_TELLING = {
    "generate.in": {"OUTPUT", "SETUPS", "FORCESPERCENT"},
    "train.in": {"TRAININGSET", "TESTPERCENT", "ITERATIONS", "METHOD"},
    "predict.in": {"PRINT_ATOMIC_ENERGIES", "RELAX", "NETWORKS"},
}
"""Keywords that tell the inputs apart; the first that has one."""


@dataclass(frozen=True)
class Block:
    """A keyword with what belongs to it: words behind it, lines below it."""

    line: TextLine
    words: tuple[str, ...] = ()
    rows: tuple[TextLine, ...] = ()


@dataclass(frozen=True)
class Keywords:
    """One input of aenet."""

    path: Path
    kind: str
    """One of `KEYWORDS`."""
    blocks: Mapping[str, Block]

    def find(self, keyword: str) -> Block | None:
        """Return the block of a keyword, if it is there."""
        return self.blocks.get(keyword)

    def need(self, keyword: str) -> Block:
        """Return the block of a keyword.

        Raises
        ------
        FileFormatError
            If it is not there.
        """
        if keyword not in self.blocks:
            raise FileFormatError(f"'{self.path}': no keyword {keyword}, expected one")
        return self.blocks[keyword]


def recognise_keywords(words: set[str]) -> str:
    """Return the kind of input with these first words of lines; '' for none."""
    for kind, telling in _TELLING.items():
        if words & telling:
            return kind
    return ""


def read_keywords(path: Path, notes: list[str]) -> Keywords:
    """Return the keywords of an input with what belongs to each.

    Raises
    ------
    FileFormatError
        If something is missing or wrong.
    """
    lines = read_text(path)
    kind = recognise_keywords({line.keyword for line in lines})
    if not kind:
        raise FileFormatError(
            f"'{path}': neither generate.in, train.in nor predict.in of aenet: one of "
            "the keywords SETUPS, TRAININGSET, METHOD, NETWORKS expected"
        )
    return _Reader(path, kind, lines, notes).read()


class _Reader:
    """Goes through the lines of an input."""

    def __init__(
        self, path: Path, kind: str, lines: Sequence[TextLine], notes: list[str]
    ) -> None:
        self.path, self.kind, self.notes = path, kind, notes
        self.lines, self.at = lines, 0
        self.forms = KEYWORDS[kind]
        self.blocks: dict[str, Block] = {}

    def read(self) -> Keywords:
        """Return all blocks."""
        unknown = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.keyword not in self.forms:
                unknown.append(line)
                continue
            block = self._block(line)
            first = self.blocks.setdefault(line.keyword, block)
            if first is not block:
                number = first.line.number
                self._note(line, f"{line.keyword} again: that of line {number} counts")
        note_unknown(unknown, self.forms, "left out, as aenet does", self.notes)
        return Keywords(self.path, self.kind, self.blocks)

    def _note(self, line: TextLine, text: str) -> None:
        self.notes.append(line.note(text))

    def _block(self, line: TextLine) -> Block:
        """Return the block that begins with a line, and move on behind it."""
        match self.forms[line.keyword]:
            case "value":
                return self._value(line)
            case "next":
                return self._next(line)
            case "types":
                return Block(line, rows=self._counted(line, len(SYMBOL_OF)))
            case "files":
                return self._files(line)
            case "species":
                return Block(line, rows=self._species(line))
        if len(line.text.split()) > 1:
            self._note(
                line,
                f"{line.keyword} with something behind it, at which aenet stops: read "
                "as if it stood alone",
            )
        return Block(line)

    def _value(self, line: TextLine) -> Block:
        if len(line.words) < 2 or not line.words[1]:
            raise line.error(f"a value expected after {line.keyword}, found none")
        self._check_path(line, line.words[1])
        return Block(line, tuple(line.words[1:2]))

    def _check_path(self, line: TextLine, word: str) -> None:
        """Note a path that aenet would cut."""
        if "/" in word and not any(quote in line.text for quote in "\"'"):
            cut = word.split("/")[0]
            self._note(
                line,
                f"{word!a:.200} is read whole; aenet reads {cut!a:.60}, up to the '/', "
                "unless the path stands in quotes",
            )

    def _next(self, line: TextLine) -> Block:
        """Return a block of options, which are in the next line, if there are any."""
        words = tuple(line.words[1:])
        if words or self.at == len(self.lines):
            return Block(line, words)
        following = self.lines[self.at]
        if following.keyword in self.forms:
            return Block(line)
        if line.keyword != "METHOD" and "=" not in following.text:
            return Block(line)
        self.at += 1
        return Block(line, rows=(following,))

    def _counted(self, line: TextLine, most: int) -> tuple[TextLine, ...]:
        """Return as many lines as the keyword, or the line after it, says."""
        place, word = line, line.words[1] if len(line.words) > 1 else ""
        if not word:
            if self.at == len(self.lines):
                raise line.error(f"a number expected after {line.keyword}, found none")
            place = self.lines[self.at]
            word = place.words[0]
            self.at += 1
        count = place.count(word, f"number of {line.keyword}", 1, most)
        rows = self.lines[self.at : self.at + count]
        ends = [n for n, row in enumerate(rows) if row.keyword in self.forms]
        rows = rows[: ends[0]] if ends else rows
        if len(rows) < count:
            again = ": aenet would read the last one again and again"
            raise place.error(
                f"{line.keyword} {count}, but {len(rows)} lines follow"
                f"{again if line.keyword == 'FILES' else ''}; correct the number"
            )
        self.at += count
        return tuple(rows)

    def _files(self, line: TextLine) -> Block:
        if line.words[0] != line.keyword:
            self._note(
                line, f"'{line.words[0]}' not in capitals: aenet would never end"
            )
        rows = self._counted(line, MAX_FILES)
        start = self.at
        while (
            self.at < len(self.lines)
            and self.lines[self.at].keyword not in self.forms
            and len(self.lines[self.at].words) == 1
        ):
            self.at += 1
        if self.at > start:
            self._note(
                self.lines[start],
                f"{self.at - start} more lines than the number of FILES, {len(rows)}: "
                "left out, as aenet does",
            )
        return Block(line, rows=rows)

    def _species(self, line: TextLine) -> tuple[TextLine, ...]:
        """Return the lines that begin with a chemical element."""
        start = self.at
        while self.at < len(self.lines):
            row = self.lines[self.at]
            word = row.words[0] if row.words else ""
            if row.keyword in self.forms or len(row.words) < 2:
                break
            if word not in SYMBOL_OF:
                if did_you_mean(row.keyword, self.forms):
                    break
                row.symbol(word)
            self._check_path(row, row.words[1])
            self.at += 1
        rows = tuple(self.lines[start : self.at])
        if not rows:
            raise line.error(
                f"lines with an element and a file expected after {line.keyword}, "
                "found none"
            )
        return rows
