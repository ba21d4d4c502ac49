"""Lines that people read and programs take apart: ``key=value key="two words"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[^\s\"'\\=]+")


def format_line(values: Mapping[str, object]) -> str:
    """Return ``key=value`` words in one line, numbers with six digits.

    What holds blanks, quotes or ``=`` stands in double quotes, with a backslash before
    quotes and backslashes, as `shlex.split` understands it.
    """
    return " ".join(f"{key}={_quote(value)}" for key, value in values.items())


def _quote(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
