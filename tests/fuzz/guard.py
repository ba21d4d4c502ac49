"""Reads a file that may do anything, with limits on processor time and memory."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import warnings
from pathlib import Path

from annpot.errors import AnnpotError

SECONDS = 20
"""Of processor time for one file; most take milliseconds."""
MEMORY = 1 << 30
"""Bytes of address space beyond what the process has."""


class HangError(BaseException):
    """The limit of processor time is over; not to be caught by what is tested."""


def _size():
    if sys.platform != "linux":
        return None
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def limits():
    """Raise `HangError` or MemoryError if the block needs more than it may."""

    def stop(*_):
        raise HangError(f"not done after {SECONDS} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    old = resource.getrlimit(resource.RLIMIT_AS)
    held = _size()
    if held is not None:
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, old[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, old)
        signal.signal(signal.SIGPROF, before)


def check(read):
    """Run ``read``; any error but annpot's own, in one line, is a failure."""
    try:
        with limits(), warnings.catch_warnings():
            warnings.simplefilter("error")
            # with a NumPy that is newer than ASE
            warnings.filterwarnings("ignore", "", DeprecationWarning, r"ase\.")
            read()
    except AnnpotError as error:
        lines = str(error).splitlines()
        assert lines
        assert len(lines) == 1 or "problems" in lines[0]
