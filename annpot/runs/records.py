"""The record of a run: who works towards which output, how far it is, if it lives.

``<output>.run`` is a line of JSON. The process that writes it holds a lock on it
(flock), which the system releases however the process ends. Where there are no locks,
or only those of one computer, the process itself and its heartbeat (the time of the
file) tell whether it lives.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
)

from annpot.errors import FileFormatError

SUFFIX = ".run"
SILENCE = 60.0
"""Seconds without a heartbeat before a process of another host counts as dead."""
LOOK = 1.0
"""Seconds between two looks for a heartbeat."""
MAX_BYTES = 65536


def clean(text: str) -> str:
    """Return a text in one line that any terminal and any file can take."""
    raw = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in raw)


Line = Annotated[str, AfterValidator(clean)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Moment = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(1970, 1, 2, tzinfo=timezone.utc),
        lt=datetime(9000, 1, 1, tzinfo=timezone.utc),
    ),
]
"""A time that stays one in any time zone."""


class Progress(BaseModel):
    """How far a run is."""

    model_config = ConfigDict(frozen=True)

    done: Count
    total: Count | None
    unit: Line
    """What is counted, plural."""
    seconds_per_unit: FiniteFloat | None
    """Since this process began; ``None`` before it has done one."""
    more: dict[Line, float | Line | None]
    """What else there is to know."""


class Record(BaseModel):
    """What a run says of itself."""

    model_config = ConfigDict(frozen=True)

    command: Line
    """The subcommand of annpot."""
    output: Line
    host: Line
    pid: int
    birth: Line
    """When the process began, as the system counts; empty if it does not tell."""
    started: Moment
    updated: Moment
    state: Literal["running", "stopped", "failed"]
    message: Line
    """Why it failed or stopped."""
    progress: Progress | None


def path_of(output: Path) -> Path:
    """Return the record of the runs that work towards ``output``."""
    return output.with_name(output.name + SUFFIX)


def read_record(path: Path) -> Record:
    """Return what a record says.

    Raises
    ------
    FileFormatError
        If there is none, or it cannot be read.
    """
    with _open(path) as file:
        return _parse(file, path)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None


def _parse(file: BinaryIO, path: Path) -> Record:
    try:
        return Record.model_validate_json(file.read(MAX_BYTES))
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None
    except ValidationError:
        raise FileFormatError(f"'{path}': not the record of a run") from None


def observe(path: Path) -> tuple[Record, bool]:
    """Return what a record says, and whether its process works, as far as is known.

    Both are of one and the same file, although runs replace and remove theirs.

    Raises
    ------
    FileFormatError
        If there is no record, or it cannot be read.
    """
    while True:
        with _open(path) as file:
            record, locks = _parse(file, path), True
            if record.state != "running":
                return record, False
            try:
                if not try_lock(file.fileno(), exclusive=False):
                    return record, True
            except OSError:
                locks = False
            if is_at(file.fileno(), path):
                return record, seems_alive(path, record, locks=locks)


def seems_alive(path: Path, record: Record, *, locks: bool) -> bool:
    """Return whether the process of a record lives although nobody seems to lock it.

    Parameters
    ----------
    locks
        Whether there are locks, at least those of this computer.
    """
    if record.state != "running":
        return False
    if record.host == socket.gethostname():
        return not locks and _runs(record.pid) and birth(record.pid) == record.birth
    try:
        return time.time() - path.stat().st_mtime < SILENCE
    except OSError:
        return False


def shows_life(path: Path, record: Record, *, locks: bool) -> bool:
    """Return the same, after a wait for a further heartbeat from another host.

    A job that was killed there may go on here at once.
    """
    last = _heartbeat(path)
    while seems_alive(path, record, locks=locks):
        if record.host == socket.gethostname() or _heartbeat(path) != last:
            return True
        time.sleep(LOOK)
    return False


def _heartbeat(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is of another user
        pass
    return pid > 0


def birth(pid: int) -> str:
    """Return the time at which a process began, which tells it from a later one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Return whether a lock was to be had; OSError if there are no locks here."""
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
