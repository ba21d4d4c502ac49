"""Lines that people read and programs take apart: ``key=value key="two words"``.

Names of files may hold any character: here they do not end a line or move a cursor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[^\s\"'\\=]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(text: str) -> str:
    """Return ``text`` in one line, with what cannot be printed as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Return ``text`` with escapes for control characters and ends of lines alone.

    Bytes of names that are no text stay, so that they can be written as they were.
    """
    return _CONTROL.sub(lambda match: printable(match[0]), text)


def format_line(values: Mapping[str, object]) -> str:
    """Return ``key=value`` words in one line, numbers with six digits.

    What holds blanks, quotes or ``=`` stands in double quotes, with a backslash before
    quotes and backslashes, as `shlex.split` understands it.
    """
    return " ".join(f"{key}={_quote(value)}" for key, value in values.items())


def _quote(value: object) -> str:
    text = printable(f"{value:.6g}" if isinstance(value, float) else str(value))
    if _PLAIN.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
