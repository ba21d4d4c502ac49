"""What is going on in a folder: runs, what they left, and what is finished."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py

from annpot import growing
from annpot.checkpoints import keeper
from annpot.errors import AnnpotError, FileFormatError
from annpot.format import container, reading
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
SUFFIXES = (".h5", ".hdf5", ".json")
"""Of finished files; others are not opened."""
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
    epochs: int | None = None
    """Of a training, all members together."""
    seconds: float | None = None
    """That the training took."""
    problem: str | None = None
    """Why nothing can go on from it, or why it is not the newest one."""
    usable: bool = True


@dataclass(frozen=True)
class Finished:
    """A file that is complete."""

    kind: str
    created: str
    summary: str
    """What is in it, in a line."""


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
        """Whether something ended that was not finished."""
        return self.state in ("dead", "stopped", "failed", "unfinished")

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
            what = "neither a set nor a potential"
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
        finished = _summarise(output)
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
        return Left(journal.name, "predict", _age(journal))
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


def _summarise(path: Path) -> Finished | None:
    """Return what is in a finished file, if there is one; little of it is read."""
    if not path.is_file() or not reading.is_annpot_file(path):
        return None
    with reading.open_checked(path) as file:
        kind = reading.read_attribute(file, container.KIND, str)
        created = reading.read_attribute(file, container.CREATED, str)
        if kind == container.FINGERPRINTS:
            summary = _summarise_set(file)
        else:
            summary = _summarise_potential(file, kind)
    return Finished(kind, created, summary)


def _summarise_set(file: h5py.File) -> str:
    group = reading.read_group(file, container.STRUCTURES)
    n_atoms = reading.read_dataset(group, container.POSITIONS, (None, 3)).shape[0]
    n_structures = reading.read_dataset(group, container.ENERGY, (None,)).shape[0]
    species = " ".join(reading.read_strings(file, container.SPECIES))
    return f"{n_structures} structures, {n_atoms} atoms of {species}"


def _summarise_potential(file: h5py.File, kind: str) -> str:
    group, words = file, container.KINDS[kind].noun
    if kind == container.COMMITTEE:
        members = reading.read_group(file, container.MEMBERS)
        group, words = reading.read_group(members, "0"), f"{len(members)} members"
    species = " ".join(reading.read_strings(group, container.SPECIES))
    known = next((g for g in (file, group) if container.PROVENANCE in g), None)
    errors = {} if known is None else _read_errors(known)
    for name in ("test", "validation", "train"):
        dE, dF = (_number(errors, name, f"{what}_rmse") for what in ("energy", "force"))
        if dE is not None:
            words += f", {name} errors {1000 * dE:.2f} meV/atom"
            words += "" if dF is None else f", {1000 * dF:.2f} meV/angstrom"
            break
    return f"{words} of {species}" if "error" not in words else f"{species}: {words}"


def _read_errors(group: h5py.Group) -> Any:
    try:
        provenance = json.loads(reading.read_text(group, container.PROVENANCE))
    except (ValueError, RecursionError):
        return {}
    return provenance.get("errors") if isinstance(provenance, dict) else {}


def _number(errors: Any, *keys: str) -> float | None:
    """Return a number in nested objects that are not to be trusted."""
    for key in keys:
        errors = errors.get(key) if isinstance(errors, dict) else None
    return float(errors) if isinstance(errors, int | float) else None


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
