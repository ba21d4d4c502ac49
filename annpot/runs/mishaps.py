"""What goes wrong on the side, and must neither end the work nor flood the screen."""

from __future__ import annotations

import time
from collections.abc import Callable

SILENCE = 600.0
"""Seconds before the same is said again."""


class Mishaps:
    """Says that something fails: the first time, then at most every ten minutes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = -float("inf")

    def report(self, text: str) -> None:
        """Say it, unless it was said a short time ago."""
        if time.monotonic() - self._last >= SILENCE:
            self._last = time.monotonic()
            self._say(text)

    def clear(self) -> None:
        """Note that it works again: the next failure is news."""
        self._last = -float("inf")
