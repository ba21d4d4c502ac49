"""The scanner: steps through a JSON text, a hostile one included, value by value."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from annpot.errors import FileFormatError

_SPACE = re.compile(r"[ \t\r\n]*")
_ROW = re.compile(r'\[[^][{}"]*\]')
_TEXTS = re.compile(r'\[[ \t\r\n]*["\]]')


class Scanner:
    """A place in a JSON text.

    Parameters
    ----------
    name
        Of the file, for messages.
    text
        All of it.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._position = 0
        self.keys: list[str] = []
        """Those that led here, for messages; kept by the caller."""

    def peek(self) -> str:
        """Return the next character that is no white space; '' at the end."""
        space = _SPACE.match(self._text, self._position)
        assert space is not None
        self._position = space.end()
        return self._text[self._position : self._position + 1]

    def take(self, expected: str) -> str:
        """Step over the next character, which is one of those ``expected``."""
        character = self.peek()
        if not character or character not in expected:
            self.fail(f"{' or '.join(map(repr, expected))} expected")
        self._position += 1
        return character

    def at_row(self) -> bool:
        """Return whether a list of numbers, true, false and null is next."""
        return _ROW.match(self._text, self._position) is not None

    def at_texts(self) -> bool:
        """Return whether an empty list is next, or one that begins with a text."""
        return _TEXTS.match(self._text, self._position) is not None

    def decode(self) -> Any:
        """Return the next value, and step over it."""
        self.peek()
        try:
            value, self._position = _DECODER.raw_decode(self._text, self._position)
        except json.JSONDecodeError as error:
            self._position = error.pos
            self.fail(f"{error.msg} (JSON)")
        except (ValueError, RecursionError) as error:
            self.fail(str(error))
        return value

    def fail(self, what: str) -> NoReturn:
        """Raise a `FileFormatError` that names the place, and what is there."""
        line = self._text.count("\n", 0, self._position) + 1
        where = f"'{self._name}', line {line}"
        if self.keys:
            where += f", {'.'.join(self.keys)}"
        raise FileFormatError(f"{where}: {what}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key twice in one object")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
