"""Compiled loops over atoms and neighbours: arrays in, arrays out.

Kernels know integers, doubles and contiguous arrays; no files, units or errors. The
callers (``annpot.pairs`` and ``annpot.descriptors``) check shapes and dtypes, and
allocate the results.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def _can_write(folder: Path) -> bool:
    """Return whether files can be made in ``folder``, which may have to be made."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _temporary_folder() -> str:
    """Return a folder of this user's own; what others wrote would be run as code."""
    folder = Path(tempfile.gettempdir()) / f"annpot-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700:
        return str(folder)
    return tempfile.mkdtemp(prefix="annpot-kernels-")


# Compiled kernels are kept beside the source or in the user's folder for caches. Where
# neither can be written, numba would refuse to work.
if "NUMBA_CACHE_DIR" not in os.environ and not (
    _can_write(Path(__file__).parent) or _can_write(Path.home() / ".cache")
):
    os.environ["NUMBA_CACHE_DIR"] = _temporary_folder()
