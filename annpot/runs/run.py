"""Runs: a record of how far they are, and a lock against two towards one output."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from annpot.errors import AnnpotError, FileFormatError
from annpot.runs.interruption import Stopped
from annpot.runs.mishaps import Mishaps
from annpot.runs.records import (
    Progress,
    Record,
    birth,
    clean,
    is_at,
    path_of,
    read_record,
    shows_life,
    try_lock,
)

INTERVAL = 2.0
"""Seconds between two reports that are written."""
BEAT = 15.0
"""Seconds between heartbeats."""
TRIALS, PAUSE = 10, 0.05
"""To get the lock: 'annpot status' may hold it for a moment."""


class Run:
    """The record of this process, from `record`."""

    def __init__(
        self, path: Path, record: Record, descriptor: int, say: Callable[[str], None]
    ) -> None:
        self._path, self._record, self._descriptor = path, record, descriptor
        self._mishaps = Mishaps(say)
        self._ended = threading.Event()
        self._written = -float("inf")
        self._first: tuple[float, int] | None = None
        """Time and place of the first report."""

    def report(
        self, done: int, total: int | None, unit: str, **more: float | str
    ) -> None:
        """Tell how far the run is; written at most every two seconds.

        What cannot be written is said once, and tried again with the next report.
        """
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        since, before = self._first
        pace = (now - since) / (done - before) if done > before else None
        progress = Progress(
            done=done, total=total, unit=unit, seconds_per_unit=pace, more={**more}
        )
        self._record = self._record.model_copy(update={"progress": progress})
        if now - self._written < INTERVAL:
            return
        self._written = now
        try:
            self._write()
            self._mishaps.clear()
        except OSError as error:
            self._mishaps.report(f"'{self._path}' cannot be written: {error.strerror}")

    def _write(self) -> None:
        """Replace the record, the new file being locked before it gets its name."""
        self._record = self._record.model_copy(update={"updated": _now()})
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        descriptor = os.open(partial, flags, 0o666)
        try:
            with contextlib.suppress(OSError):  # there may be no locks here
                try_lock(descriptor, exclusive=True)
            raw = self._record.model_dump_json().encode() + b"\n"
            if os.write(descriptor, raw) < len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.replace(partial, self._path)
            # at once: a signal may raise anywhere, and the lock must stay with the name
            self._descriptor, descriptor = descriptor, self._descriptor
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def begin(self) -> None:
        """Write the first record, and show signs of life from then on."""
        try:
            for left in self._path.parent.glob(
                f"{glob.escape(self._path.name)}.*.partial"
            ):
                left.unlink(missing_ok=True)  # by a process that was killed
            self._write()
        except OSError:
            self.end()
            raise
        threading.Thread(target=self._beat, daemon=True).start()

    def end(
        self, state: Literal["stopped", "failed"] | None = None, message: str = ""
    ) -> None:
        """Write the last record, or remove it if there is no ``state`` to tell."""
        self._ended.set()
        update = {"state": state, "message": clean(message)[:1000]}
        with contextlib.suppress(OSError):
            if state is None:
                self._path.unlink(missing_ok=True)
            else:
                self._record = self._record.model_copy(update=update)
                self._write()
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextlib.contextmanager
def record(
    output: Path,
    command: str,
    resumable: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Run]:
    """Hold the record of ``output`` while a command works towards it.

    It is removed at the end, unless the block raises and something is there to go on
    from: then it tells why. A `Stopped` on its way out learns how to go on.

    Parameters
    ----------
    command
        The subcommand of annpot.
    resumable
        Whether ``--resume`` of the command can go on from what is there.
    say
        Takes a line about what goes wrong on the side.

    Raises
    ------
    AnnpotError
        If another process works towards the same output, or the folder cannot be
        written.
    """
    path = path_of(output)
    try:
        run = Run(path, _new_record(output, command), _acquire(path, output), say)
        run.begin()
    except OSError as error:
        raise AnnpotError(f"'{path}' cannot be written: {error.strerror}") from None
    try:
        yield run
    except BaseException as error:
        if not resumable():
            run.end()
            raise
        if isinstance(error, Stopped | KeyboardInterrupt):
            run.end("stopped", str(error))
        else:
            run.end("failed", " ".join(str(error).split()) or type(error).__name__)
        if isinstance(error, Stopped) and error.goes_on is None:
            error.goes_on = f"the same 'annpot {command}' with --resume goes on"
        raise
    else:
        run.end()


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def _new_record(output: Path, command: str) -> Record:
    return Record(
        command=command,
        output=output.name,
        host=socket.gethostname(),
        pid=os.getpid(),
        birth=birth(os.getpid()),
        started=_now(),
        updated=_now(),
        state="running",
        message="",
        progress=None,
    )


def _acquire(path: Path, output: Path) -> int:
    """Return the descriptor of the record, locked where there are locks."""
    for _ in range(TRIALS):
        descriptor, locks = os.open(path, os.O_RDWR | os.O_CREAT, 0o666), True
        try:
            ours = try_lock(descriptor, exclusive=True)
        except OSError:
            ours, locks = True, False
        if ours and is_at(descriptor, path):
            break
        os.close(descriptor)  # of somebody else, or replaced in the meantime
        time.sleep(PAUSE)
    else:
        raise _occupied(path, output)
    with contextlib.suppress(FileFormatError):  # of a process that died while it wrote
        if shows_life(path, read_record(path), locks=locks):
            os.close(descriptor)
            raise _occupied(path, output)
    return descriptor


def _occupied(path: Path, output: Path) -> AnnpotError:
    try:
        found = read_record(path)
    except FileFormatError:
        return AnnpotError(f"'{output}': another process is writing it")
    return AnnpotError(
        f"'{output}': 'annpot {found.command}', process {found.pid} on {found.host}, "
        f"is writing it since {found.started:%Y-%m-%d %H:%M:%S %Z}: please wait for "
        "its end, or choose another output"
    )
