"""Signals that ask a command to end, so that it can save what it has first."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
"""Ctrl-C, batch systems that end a job, their warning before, a lost terminal."""

GOES_ON, INTERRUPTED = 75, 130
"""Exit codes: ``--resume`` goes on (EX_TEMPFAIL: batch systems try again); or not."""

ECHO = 1.0
"""Seconds in which a second Ctrl-C counts as the first: launchers of MPI repeat it."""


class Stopped(BaseException):
    """A signal asks for the end: no error, so nothing that handles errors swallows it.

    Parameters
    ----------
    number
        Of the signal.
    goes_on
        How the work can go on later, in words; ``None`` if it cannot.
    """

    def __init__(self, number: int, goes_on: str | None = None) -> None:
        super().__init__(number, goes_on)
        self.number, self.goes_on = number, goes_on

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return INTERRUPTED if self.goes_on is None else GOES_ON

    def __str__(self) -> str:
        """Return what to tell the user, in one line."""
        words = f"stopped by {signal.Signals(self.number).name}"
        return words if self.goes_on is None else f"{words}; {self.goes_on}"


def ignore() -> None:
    """Ignore the `SIGNALS` from now on: this process has done its part."""
    for name in SIGNALS:
        known = getattr(signal, name, None)
        if known is not None:
            signal.signal(known, signal.SIG_IGN)


@dataclass
class Stop:
    """What signals asked for so far."""

    number: int | None = None
    """Of the first one."""
    raising: bool = True
    """False: it is only noted, for the block to look at: ranks of MPI must stop at the
    same place."""


@contextlib.contextmanager
def stoppable(raising: bool = True) -> Iterator[Stop]:
    """Let the first of the `SIGNALS` raise `Stopped`, once, where the block just is.

    Later ones are ignored, so that there is time to save; but a second Ctrl-C ends at
    once. A signal that was ignored before, as 'nohup' does, stays so.

    Parameters
    ----------
    raising
        Of the `Stop`, which the block may change.
    """
    stop = Stop(raising=raising)
    first = 0.0

    def handle(number: int, _: object) -> None:
        nonlocal first
        if stop.number is None:
            stop.number, first = number, time.monotonic()
            if stop.raising:
                raise Stopped(number)
        elif number == signal.SIGINT and time.monotonic() - first > ECHO:
            raise KeyboardInterrupt

    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                known = getattr(signal, name, None)
                if known is not None and signal.getsignal(known) != signal.SIG_IGN:
                    before[known] = signal.getsignal(known)
                    signal.signal(known, handle)
        yield stop
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
