"""What is going on in a folder: runs, what they left, and what is finished."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from annpot import growing
from annpot.checkpoints import keeper
from annpot.errors import AnnpotError, FileFormatError, ForeignFileError
from annpot.finished import Finished, summarise
from annpot.generation import parts
from annpot.runs import records
from annpot.runs.records import Record, observe

SIDES = (
    records.SUFFIX,
    keeper.PREVIOUS,
    keeper.SUFFIX,
    parts.SUFFIX,
    growing.SUFFIX,
)
"""What follows the name of an output in the names of files beside it."""
SUFFIXES = (".h5", ".hdf5", ".json", ".jsonl")
"""Of finished files; others are not opened, unless they are asked for."""
CENTURY = 3.2e9
"""Seconds; no end is foretold that is farther away."""


@dataclass(frozen=True)
class Left:
    """What a run left, or leaves just now, to go on from."""

    file: str
    command: str
    """The subcommand of annpot that goes on from it."""
    age: float | None
    """Seconds since it was written; ``None`` if it is gone in the meantime."""
    parts: int | None = None
    """Of a set: the batches that are complete."""
    structures: int | None = None
    """Of predictions: those that are complete."""
    epochs: int | None = None
    """Of a training, all members together."""
    seconds: float | None = None
    """That the training took."""
    problem: str | None = None
    """Why nothing can go on from it, or why it is not the newest one."""
    usable: bool = True


@dataclass(frozen=True)
class Status:
    """What is known of an output."""

    output: str
    state: str
    """running, dead (ended without a word), stopped, failed, unfinished (nothing is
    known but what was left), finished, unreadable."""
    record: Record | None
    left: Left | None
    finished: Finished | None
    problem: str | None
    """Why the output or the record cannot be read."""

    @property
    def resumable(self) -> bool:
        """Whether --resume can go on."""
        return self.state != "running" and self.left is not None and self.left.usable

    @property
    def wants_care(self) -> bool:
        """Whether something ended that was not finished, or cannot be read."""
        return self.state not in ("running", "finished")

    @property
    def expected_end(self) -> datetime | None:
        """When the run will be done, if it goes on as it did so far."""
        if self.state != "running" or self.record is None:
            return None
        progress = self.record.progress
        if progress is None or not progress.total or not progress.seconds_per_unit:
            return None
        seconds = (progress.total - progress.done) * progress.seconds_per_unit
        if abs(seconds) > CENTURY:
            return None
        return self.record.updated + timedelta(seconds=seconds)


def find_statuses(path: Path) -> list[Status]:
    """Return what is known of each output in a folder, or of one output.

    Raises
    ------
    AnnpotError
        If there is no such folder, and nothing is known of such a file.
    """
    try:
        if path.is_dir():
            names = sorted({_output_name(entry) for entry in path.iterdir()} - {""})
            found = [_look(path / name) for name in names]
        else:
            found = [_look(path.with_name(_output_name(path) or path.name))]
    except OSError as error:
        raise AnnpotError(f"'{path}' cannot be read: {error.strerror}") from None
    statuses = [status for status in found if status is not None]
    if not statuses and not path.is_dir():
        what = "no such file or folder"
        if path.exists():
            what = "neither a set nor a potential nor predictions"
        raise AnnpotError(f"'{path}': {what}, and no run towards it")
    return statuses


def _output_name(entry: Path) -> str:
    """Return the output that a file belongs to; '' for none."""
    for suffix in SIDES:
        if entry.name.endswith(suffix) and entry.name != suffix:
            return entry.name.removesuffix(suffix)
    return entry.name if entry.suffix.lower() in SUFFIXES else ""


def _look(output: Path) -> Status | None:
    """Return what is known of an output; ``None`` if there is nothing."""
    record, problem, alive = None, None, False
    path = records.path_of(output)
    try:
        if path.exists():
            record, alive = observe(path)
    except FileFormatError as error:
        problem = str(error) if path.exists() else None
    left = _find_left(output)
    finished = None
    try:
        finished = summarise(output)
    except ForeignFileError:  # HDF5 of others: none of our business
        pass
    except FileFormatError as error:
        problem = problem or str(error)
    if record is not None and record.state == "running":
        state = "running" if alive else "dead"
    elif record is not None:
        state = record.state
    elif left is not None:
        state = "unfinished"
    elif finished is not None:
        state = "finished"
    elif problem is not None:
        state = "unreadable"
    else:
        return None
    return Status(output.name, state, record, left, finished, problem)


def _find_left(output: Path) -> Left | None:
    folder, journal = parts.PartsFolder(output), growing.journal_of(output)
    if folder.path.is_dir():
        n_parts, age = folder.count(), _age(folder.path)
        name = folder.path.name
        return Left(name, "generate", age, parts=n_parts, usable=n_parts > 0)
    if journal.exists():
        state = growing.last_state(journal)
        count = state.get("n_structures") if isinstance(state, dict) else None
        n = count if isinstance(count, int) else None
        return Left(journal.name, "predict", _age(journal), structures=n)
    try:
        found = keeper.find(output)
    except FileFormatError as error:
        newest = keeper.names(output)[0]
        age = _age(newest)
        return Left(newest.name, "train", age, problem=str(error), usable=False)
    if found is None:
        return None
    progress = found.checkpoint.progress
    return Left(
        found.path.name,
        "train",
        _age(found.path),
        epochs=progress.n_epochs,
        seconds=progress.seconds,
        problem=found.complaint,
    )


def _age(path: Path) -> float | None:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


def to_json(status: Status) -> dict[str, Any]:
    """Return the status as it is printed for programs."""
    record, left, finished = status.record, status.left, status.finished
    end = status.expected_end
    values = None if record is None else record.model_dump(mode="json")
    return {
        "output": status.output,
        "state": status.state,
        "resumable": status.resumable,
        "expected_end": None if end is None else end.isoformat(timespec="seconds"),
        "run": values,
        "left": None if left is None else vars(left),
        "finished": None if finished is None else vars(finished),
        "problem": status.problem,
    }
