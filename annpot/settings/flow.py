"""Values in one line of YAML, and comments of many."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from annpot.logfmt import printable

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./*-]*")
_WORDS = ("true", "false", "null")
"""Words that would not be read as text."""


def yaml_of(value: Any) -> str:
    """Return ``value`` as YAML in one line, which `parse_value` reads back."""
    if isinstance(value, dict):
        inner = (f"{yaml_of(key)}: {yaml_of(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(yaml_of, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(map(_escape, value)) + '"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def comment_lines(text: str, pad: str = "") -> list[str]:
    """Return the lines of a comment, each beginning with ``pad``."""
    return textwrap.wrap(
        printable(text),
        width=88,
        initial_indent=f"{pad}# ",
        subsequent_indent=f"{pad}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
