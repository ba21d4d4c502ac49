"""Output files that are not in the annpot format: whole, or as far as they got."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from annpot.format.outputs import check_writable
from annpot.format.writing import errors_naming, resolve


@contextlib.contextmanager
def open_output(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Give a function that writes to ``path``, which appears when the block ends.

    If the block ends by an error, the file holds what was written before; if nothing
    was, an older file stays as it was.
    """
    target = resolve(path)
    special = target.exists() and not (target.is_file() or target.is_dir())
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    if not special:
        check_writable(path)
    whole, done = 0, False
    # special: /dev/stdout, a pipe
    file = open(target if special else partial, "wb", buffering=0)

    def write(raw: bytes) -> None:
        nonlocal whole
        with errors_naming(path):
            if file.write(raw) < len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole += len(raw)

    try:
        yield write
        done = True
    finally:
        file.close()
        if not special and (done or whole):
            os.truncate(partial, whole)
            os.replace(partial, target)
        elif not special:
            partial.unlink(missing_ok=True)
