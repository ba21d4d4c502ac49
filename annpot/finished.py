"""What is in a file that is complete, in a line; little of it is read."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py

from annpot.errors import FileFormatError
from annpot.format import container, reading
from annpot.memory import say_size

PREDICTIONS = {
    "table": rb"# file frame atoms energy",
    "JSON lines": rb'\{"file": "([^"\\]|\\.)*", "frame": \d+, "n_atoms": \d+, "symb',
    "extended XYZ": rb"\d+\n[^\n]*\bextrapolation=(none|low|high|unknown)\b",
}
"""How files of predictions begin."""
BEGINNING = 65536
"""Bytes of them that are read."""


@dataclass(frozen=True)
class Finished:
    """A file that is complete."""

    kind: str
    created: str
    summary: str
    """What is in it, in a line."""


def summarise(path: Path) -> Finished | None:
    """Return what is in a finished file, if it is one of annpot.

    Raises
    ------
    FileFormatError
        If it is damaged, or a `ForeignFileError` if it is HDF5 of others.
    """
    if not path.is_file():
        return None
    if not reading.is_annpot_file(path):
        return _summarise_predictions(path)
    with reading.open_checked(path) as file:
        kind = reading.read_attribute(file, container.KIND, str)
        created = reading.read_attribute(file, container.CREATED, str)
        if kind == container.FINGERPRINTS:
            summary = _summarise_set(file)
        elif kind in (container.POTENTIAL, container.COMMITTEE):
            summary = _summarise_potential(file, kind)
        else:  # a checkpoint or part that was renamed
            summary = container.KINDS[kind].noun
    return Finished(kind, created, summary)


def _summarise_predictions(path: Path) -> Finished | None:
    """Return what is told of predictions, if it is those: how large the file is."""
    try:
        with path.open("rb") as file:
            beginning, status = file.read(BEGINNING), os.fstat(file.fileno())
    except FileNotFoundError:  # since a moment ago
        return None
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None
    for form, pattern in PREDICTIONS.items():
        if re.match(pattern, beginning):
            written = datetime.fromtimestamp(status.st_mtime, timezone.utc)
            summary = f"predictions as {form}, {say_size(status.st_size)}"
            time_ = written.isoformat(timespec="seconds")
            return Finished("predictions", time_, summary)
    return None


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
