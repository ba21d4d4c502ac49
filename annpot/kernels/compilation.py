"""How kernels are compiled, and where the result is kept for the next run."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config, event

SOURCES = Path(__file__).parent


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function on its first call, and keeps that.

    numba looks only at the file of a function to tell whether what it kept is still
    valid. Kernels contain functions of other files, so the folder depends on all.
    """

    def decorate(function: Any) -> Any:
        given = config.CACHE_DIR
        config.CACHE_DIR = cache_folder(given)
        try:
            return numba.njit(cache=True, error_model="numpy", **options)(function)
        finally:
            config.CACHE_DIR = given

    return decorate


@cache
def cache_folder(given: str) -> str:
    """Return the folder for compiled kernels: as numba is told, or the first usable."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        digest.update(path.read_bytes())
    root = Path(given) if given else _usable_root()
    return str(root / digest.hexdigest()[:16])


def _usable_root() -> Path:
    """Return the first folder that can be written: by the source, the user's, any."""
    for root in (SOURCES / "__pycache__", Path.home() / ".cache" / "annpot"):
        existing = root
        while not existing.exists():
            existing = existing.parent
        if os.access(existing, os.W_OK):
            return root
    return _temporary_folder()


def _temporary_folder() -> Path:
    """Return a folder of this user's own; what others wrote would be run as code."""
    folder = Path(tempfile.gettempdir()) / f"annpot-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700:
        return folder
    return Path(tempfile.mkdtemp(prefix="annpot-kernels-"))


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
