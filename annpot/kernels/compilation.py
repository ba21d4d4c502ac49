"""Tells when kernels are compiled: the first run on a machine takes some seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import event


class _Announcer(event.Listener):  # type: ignore[misc]
    """Calls back at the first compilation."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def on_start(self, event: Any) -> None:
        """Call back once."""
        if self._callback is not None:
            self._callback()
            self._callback = None

    def on_end(self, event: Any) -> None:
        """Do nothing."""


def announce_compilation(callback: Callable[[], None]) -> None:
    """Call ``callback`` once, before the first kernel that is not in the cache."""
    event.register("numba:compile", _Announcer(callback))
