"""The keeper of checkpoints: when they are written, found again, and removed."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from annpot.checkpoints import file as checkpoint_file
from annpot.checkpoints.checkpoint import Checkpoint
from annpot.checkpoints.progress import Progress
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import FingerprintSet
from annpot.runs.mishaps import Mishaps
from annpot.settings import TrainSettings

SUFFIX, PREVIOUS = ".checkpoint", ".checkpoint.previous"
RETRY = 60.0
"""Seconds after which to try again what could not be written."""


def names(output: Path) -> tuple[Path, Path]:
    """Return the newest checkpoint of a potential to be, and the one before."""
    return (
        output.with_name(output.name + SUFFIX),
        output.with_name(output.name + PREVIOUS),
    )


def exist(output: Path) -> bool:
    """Return whether there are checkpoints."""
    try:
        return any(path.exists() for path in names(output))
    except OSError:  # the file system has gone
        return False


class Found(NamedTuple):
    """A checkpoint, and where it was."""

    checkpoint: Checkpoint
    path: Path
    complaint: str | None
    """Why it is not the newest."""


def find(output: Path) -> Found | None:
    """Return the newest checkpoint that can be read, if there are any.

    Raises
    ------
    FileFormatError
        If none can be read.
    """
    newest, previous = names(output)
    if not exist(output):
        return None
    try:
        return Found(checkpoint_file.load(newest), newest, None)
    except FileFormatError as error:
        if not previous.exists():
            raise
        complaint = f"{error}; taking '{previous}'"
    return Found(checkpoint_file.load(previous), previous, complaint)


def take(output: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """Return the same to go on from; it replaces a newer one that cannot be read.

    Otherwise, the next checkpoint would replace the only sound one by a damaged one.
    """
    found = find(output)
    if found is None:
        return None
    if found.complaint is not None:
        say(found.complaint)
        os.replace(found.path, names(output)[0])
    return found.checkpoint


def remove(output: Path) -> None:
    """Remove all checkpoints, and what a crash left of writing one."""
    newest, previous = names(output)
    with contextlib.suppress(OSError):
        for path in (
            newest,
            previous,
            *newest.parent.glob(f"{glob.escape(newest.name)}.*.partial"),
        ):
            path.unlink(missing_ok=True)


class Keeper:
    """Writes the checkpoints of a training, in intervals and on demand.

    Parameters
    ----------
    output
        The potential to be.
    say
        Takes a line about what goes wrong: the training goes on all the same.
    """

    def __init__(
        self,
        output: Path,
        fingerprints: FingerprintSet,
        settings: TrainSettings,
        say: Callable[[str], None],
    ) -> None:
        self._paths = names(output)
        self._fingerprints, self._settings = fingerprints, settings
        self._mishaps = Mishaps(say)
        self._next = time.monotonic() + settings.checkpoint_every
        self._n_done: int | None = None

    def offer(self, progress: Progress) -> None:
        """Write a checkpoint if it is time, or a member is done."""
        if self._n_done is None:
            self._n_done = progress.n_done
        if progress.n_done > self._n_done or time.monotonic() >= self._next:
            self.save(progress)

    def save_last(self, progress: Progress) -> None:
        """Write a checkpoint before the end; if that fails, it is said in any case."""
        self._mishaps.clear()
        self.save(progress)

    def save(self, progress: Progress) -> None:
        """Write a checkpoint, if there is something worth it."""
        if not _is_worth(progress):
            return
        every = self._settings.checkpoint_every
        try:
            checkpoint_file.save(
                *self._paths,
                Checkpoint.of(self._fingerprints, self._settings, progress),
            )
        except AnnpotError as error:
            self._mishaps.report(f"no checkpoint: {error}")
            every = min(every, RETRY)
        else:
            self._mishaps.clear()
            self._n_done = progress.n_done
        self._next = time.monotonic() + every


def _is_worth(progress: Progress) -> bool:
    """Return whether something is done, and can go on."""
    state = progress.state
    if state is None:
        return bool(progress.kept)
    return all(np.isfinite(values).all() for values in state.arrays().values())
