"""The file of a checkpoint, in the annpot format, trusted as little as any other."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from annpot.accuracy import Errors
from annpot.checkpoints.checkpoint import Checkpoint
from annpot.checkpoints.progress import METHODS, Epoch, Progress, State
from annpot.errors import FileFormatError
from annpot.format import container, reading, writing
from annpot.structures.structure import Array

GENERATORS = ("weights", "order")


def save(path: Path, previous: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one that it replaces gets the name ``previous``."""
    progress = checkpoint.progress
    settings = json.dumps({"train": checkpoint.settings})
    with writing.create(
        path, container.CHECKPOINT, settings, in_memory=True, previous=previous
    ) as file:
        writing.write_attribute(file, container.SET_FILE, checkpoint.set_name)
        writing.write_attribute(file, container.SET_SHA256, checkpoint.set_sha256)
        writing.write_text(file, container.DESCRIPTOR, checkpoint.recipe)
        writing.write_attribute(file, container.MEMBERS_DONE, progress.n_done)
        writing.write_attribute(file, container.EPOCHS, progress.n_epochs)
        writing.write_attribute(file, container.SECONDS, progress.seconds)
        writing.write_attribute(file, container.REASON, progress.reason)
        if np.isfinite(progress.best_loss):
            best = float(progress.best_loss)
            writing.write_attribute(file, container.BEST_LOSS, best)
        random = file.create_group(container.RANDOM)
        for name in GENERATORS:
            writing.write_text(random, name, json.dumps(progress.random[name]))
        _write_kept(file.create_group(container.KEPT), progress.kept)
        if progress.state is not None:
            _write_state(file.create_group(container.OPTIMISER), progress.state)


def _write_kept(group: h5py.Group, kept: tuple[tuple[Epoch, Array], ...]) -> None:
    epochs = [epoch for epoch, _ in kept]
    for name in (container.NUMBER, container.MEMBER):
        values = np.array([getattr(epoch, name) for epoch in epochs], np.int64)
        writing.write_array(group, name, values)
    for name in (container.LOSS, container.SECONDS):
        writing.write_array(group, name, [float(getattr(e, name)) for e in epochs])
    for name in (container.TRAIN, container.VALIDATION):
        rows = [list(asdict(getattr(epoch, name)).values()) for epoch in epochs]
        shape = (len(epochs), len(fields(Errors)))
        writing.write_array(group, name, np.array(rows, float).reshape(shape))
    weights = [weights_w for _, weights_w in kept] or np.zeros((0, 0))
    writing.write_array(group, container.WEIGHTS, np.array(weights))


def _write_state(group: h5py.Group, state: State) -> None:
    method = next(name for name, kind in METHODS.items() if isinstance(state, kind))
    writing.write_attribute(group, container.METHOD, method)
    writing.write_attribute(group, container.EPOCHS, state.epoch)
    for name, values in state.arrays().items():
        writing.write_array(group, name, values)


def load(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises
    ------
    FileFormatError
        If it is damaged, of another kind or of a newer version.
    """
    with reading.open_checked(path, container.CHECKPOINT) as file:
        reading.verify_checksum(file)
        settings = _read_json(file, container.SETTINGS).get("train")
        if not isinstance(settings, dict):
            raise FileFormatError(f"'{path}', settings: no section train")
        set_sha256 = reading.read_attribute(file, container.SET_SHA256, str)
        if not re.fullmatch("[0-9a-f]{64}", set_sha256):
            raise FileFormatError(f"'{path}': no sha256 of the set")
        return Checkpoint(
            reading.read_attribute(file, container.SET_FILE, str),
            set_sha256,
            reading.read_text(file, container.DESCRIPTOR),
            settings,
            reading.read_attribute(file, container.WRITER, str),
            _read_progress(file),
        )


def _read_progress(file: h5py.File) -> Progress:
    kept, state, best_loss = _read_kept(file), None, np.inf
    if container.OPTIMISER in file:
        state = _read_state(reading.read_group(file, container.OPTIMISER))
    if container.BEST_LOSS in file.attrs:
        best_loss = reading.read_attribute(file, container.BEST_LOSS, float)
    random = reading.read_group(file, container.RANDOM)
    progress = Progress(
        random={name: _read_random(random, name) for name in GENERATORS},
        n_done=reading.read_attribute(file, container.MEMBERS_DONE, int),
        n_epochs=reading.read_attribute(file, container.EPOCHS, int),
        seconds=reading.read_attribute(file, container.SECONDS, float),
        kept=kept,
        best_loss=best_loss,
        state=state,
        reason=reading.read_attribute(file, container.REASON, str),
    )
    if not _agrees(progress):
        raise FileFormatError(f"'{file.filename}': members and epochs do not agree")
    return progress


def _agrees(progress: Progress) -> bool:
    """Return whether the numbers of members and epochs fit together."""
    members = [epoch.member for epoch, _ in progress.kept]
    n_begun = progress.n_done + bool(np.isfinite(progress.best_loss))
    return (
        min(progress.n_done, progress.n_epochs, progress.seconds) >= 0
        and members == sorted(set(members))
        and all(1 <= member <= n_begun for member in members)
        and (n_begun == progress.n_done or members[-1:] == [n_begun])
        and all(1 <= epoch.number <= progress.n_epochs for epoch, _ in progress.kept)
    )


def _read_kept(file: h5py.File) -> tuple[tuple[Epoch, Array], ...]:
    group = reading.read_group(file, container.KEPT)
    numbers = reading.read_array(group, container.NUMBER, (None,), np.int64)
    n = len(numbers)
    members = reading.read_array(group, container.MEMBER, (n,), np.int64)
    losses = reading.read_array(group, container.LOSS, (n,))
    seconds = reading.read_array(group, container.SECONDS, (n,))
    train, validation = (
        reading.read_array(group, name, (n, len(fields(Errors))), finite=False)
        for name in (container.TRAIN, container.VALIDATION)
    )
    weights_kw = reading.read_array(group, container.WEIGHTS, (n, None))
    return tuple(
        (
            Epoch(
                int(numbers[k]),
                int(members[k]),
                float(losses[k]),
                Errors(*train[k].tolist()),
                Errors(*validation[k].tolist()),
                float(seconds[k]),
                best=True,
            ),
            weights_kw[k].copy(),
        )
        for k in range(n)
    )


def _read_state(group: h5py.Group) -> State:
    where = f"'{group.file.filename}', group {group.name}"
    method = reading.read_attribute(group, container.METHOD, str)
    if method not in METHODS:
        raise FileFormatError(f"{where}: unknown method {method!a:.50}")
    epoch = reading.read_attribute(group, container.EPOCHS, int)
    n_weights = reading.read_dataset(group, container.WEIGHTS, (None,)).shape[0]
    state = METHODS[method].read(partial(reading.read_array, group), epoch, n_weights)
    if epoch < 0 or not state.sound:
        raise FileFormatError(f"{where}: numbers that cannot be")
    return state


def _read_random(group: h5py.Group, name: str) -> dict[str, Any]:
    """Return the state of a generator, after a try."""
    state = _read_json(group, name)
    try:
        np.random.PCG64().state = state  # type: ignore[assignment]
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError):
        raise FileFormatError(
            f"'{group.file.filename}', {group.name}/{name}: not the state of a PCG64"
        ) from None
    return state


def _read_json(group: h5py.Group, name: str) -> dict[str, Any]:
    try:
        value = json.loads(reading.read_text(group, name))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FileFormatError(
            f"'{group.file.filename}', {name}: a JSON object expected"
        )
    return value
