"""The parts of a set that is being made: finished batches in a folder beside it.

A part is a complete file of its own, which appears under its name when all of it is on
the disk; several processes write different ones. What they belong to says the manifest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from annpot.descriptors import Descriptor
from annpot.errors import FileFormatError
from annpot.fingerprints import (
    Environments,
    read_all_statistics,
    read_batch,
    read_descriptor,
    read_environments,
    read_labels,
    write_environments,
    write_statistics,
)
from annpot.format import container, reading, writing
from annpot.generation.manifest import Manifest, read_manifest
from annpot.scaling import Statistics, compute_statistics
from annpot.set_writing import (
    Rows,
    SetPart,
    feature_layout,
    structure_layout,
    write_recipe,
)

SUFFIX = ".parts"
MANIFEST = "manifest.json"
MERGED = ".merged"
"""Ending of the folder when its parts are in the set, until it is removed."""
IN_MEMORY = 64 * 2**20
"""Bytes of a part that is put together in memory, as usual."""
_NAME = re.compile(r"(\d{6})-(\d{5})\.h5")
_OURS = re.compile(rf"({_NAME.pattern}|{re.escape(MANIFEST)})(\..*)?")
"""All names of files in the folder, complete or not."""


@dataclass(frozen=True)
class Mark:
    """What a part is: its place, and what it was made of."""

    origin: str
    """Digest of settings and files of the portion."""
    portion: int
    batch: int
    last: bool
    """Whether it is the last batch of its portion, with the statistics of them all."""
    n_structures: int
    n_skipped: int


class PartsFolder:
    """The folder with the parts of the set ``output``."""

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(output.name + SUFFIX)

    @property
    def manifest(self) -> Path:
        """File that says what the parts are made of."""
        return self.path / MANIFEST

    def part(self, portion: int, batch: int) -> Path:
        """Return the file of a part."""
        return self.path / f"{portion:06d}-{batch:05d}.h5"

    def count(self) -> int:
        """Return the number of parts."""
        return sum(self.list_batches().values())

    def list_batches(self) -> dict[int, int]:
        """Return how many parts there are, without gaps, of each portion."""
        batches: dict[int, set[int]] = {}
        try:
            names = os.listdir(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        for name in names:
            if found := _NAME.fullmatch(name):
                batches.setdefault(int(found[1]), set()).add(int(found[2]))
        return {
            portion: next(n for n in range(len(found) + 1) if n not in found)
            for portion, found in sorted(batches.items())
        }

    def seconds(self) -> float:
        """Return the time in which the parts were made, pauses included."""
        times = [path.stat().st_mtime for path in self.path.glob("*.h5")]
        return max(times, default=0.0) - min(times, default=0.0)

    def begin(self, manifest: Manifest, keep: bool) -> None:
        """Make the folder, if there is none, and write the manifest.

        Parameters
        ----------
        keep
            Whether parts that are there are of this manifest.

        Raises
        ------
        AnnpotError
            If that is impossible.
        """
        shutil.rmtree(self._merged, ignore_errors=True)
        with writing.errors_naming(self.path):
            self.path.mkdir(exist_ok=True)
            if not keep:  # first: nothing may be taken for what it is not
                self.manifest.unlink(missing_ok=True)
            for left in self._list_ours():
                if not keep or left.suffix == ".partial":
                    left.unlink(missing_ok=True)
        writing.write_file(self.manifest, manifest.to_json())

    def discard(self, portion: int, batch: int) -> None:
        """Remove the parts of a portion from a batch on."""
        for path in self.path.glob(f"{portion:06d}-*.h5"):
            found = _NAME.fullmatch(path.name)
            if found and int(found[2]) >= batch:
                path.unlink(missing_ok=True)

    def load_manifest(self) -> Manifest:
        """Return what the parts are made of."""
        return read_manifest(self.manifest)

    def remove(self) -> None:
        """Remove the folder; if that is interrupted, what is left has another name.

        It stays if there are files of others in it.
        """
        shutil.rmtree(self._merged, ignore_errors=True)
        missing = (FileNotFoundError, NotADirectoryError)
        with writing.errors_naming(self.path), suppress(*missing):
            ours = self._list_ours()
            if len(ours) < len(os.listdir(self.path)):
                self.manifest.unlink(missing_ok=True)
                for left in ours:
                    left.unlink(missing_ok=True)
                return
            os.replace(self.path, self._merged)
        shutil.rmtree(self._merged, ignore_errors=True)

    def _list_ours(self) -> list[Path]:
        return [p for p in self.path.iterdir() if _OURS.fullmatch(p.name)]

    @property
    def _merged(self) -> Path:
        return self.path.with_name(self.path.name + MERGED)


def write_part(
    path: Path,
    mark: Mark,
    descriptor: Descriptor,
    part: SetPart,
    skipped: Sequence[str],
) -> None:
    """Write a part; what a crash of the computer damages is made again.

    Parameters
    ----------
    part
        With the statistics of all batches of the portion if it is the last one; else
        without, as they would need as much room as the features.
    skipped
        Messages of what was left out of the batch.
    """
    small = sum(values.nbytes for values in part.rows.values()) < IN_MEMORY
    text = json.dumps(asdict(mark))
    with writing.create(
        path, container.PART, text, in_memory=small, durable=False
    ) as file:
        write_recipe(file, descriptor)
        for name, values in part.rows.items():
            writing.write_array(file, name, values)
        group = file.create_group(container.STATISTICS)
        write_environments(group, part.environments)
        for symbol, statistics in zip(
            descriptor.species, part.statistics, strict=bool(part.statistics)
        ):
            write_statistics(group.create_group(symbol), statistics)
        writing.write_strings(file, container.SKIPPED, skipped)


@dataclass(frozen=True)
class OpenPart:
    """A part that this run has made or checked: it is read without further checks."""

    file: h5py.File
    descriptor: Descriptor

    def read(self, path: str) -> npt.NDArray[Any]:
        """Return the rows that the part adds to a dataset."""
        return np.asarray(self.file[path][()])

    def count(self, path: str) -> int:
        """Return the number of rows that the part adds to a dataset."""
        return int(self.file[path].shape[0])

    def read_structures(self) -> Rows:
        """Return what the part adds to the datasets of structures."""
        return {path: self.read(path) for path in structure_layout()}

    def read_skipped(self) -> list[str]:
        """Return the messages of what was left out."""
        return reading.read_strings(self.file, container.SKIPPED)

    def read_environments(self) -> Environments:
        """Return what surrounds the atoms of the part."""
        group = self.file[container.STATISTICS]
        return read_environments(group, len(self.descriptor.species))

    def read_statistics(self) -> list[Statistics]:
        """Return the statistics of a portion, from its last part."""
        return read_all_statistics(self.file[container.STATISTICS], self.descriptor)

    def recompute_statistics(self) -> list[Statistics]:
        """Return the statistics of the features in the part."""
        paths = feature_layout(self.descriptor)
        return [compute_statistics(self.read(path)) for path in paths]


@contextmanager
def open_part(path: Path, descriptor: Descriptor) -> Iterator[OpenPart]:
    """Open a part that this run has made or checked; the block only reads from it.

    Raises
    ------
    FileFormatError
        If it is gone, cannot be read any more, or is of another descriptor.
    """
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            if reading.read_text(file, container.DESCRIPTOR) != descriptor.recipe:
                raise FileFormatError(f"'{path}' is of another descriptor")
            yield OpenPart(file, descriptor)
    except (OSError, RuntimeError, LookupError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else "it is damaged"
        raise FileFormatError(f"'{path}' cannot be read: {reason}") from None


def check_part(path: Path, origin: str, portion: int, batch: int) -> Mark:
    """Return what a part is; all of it is read and compared with its checksum.

    Raises
    ------
    FileFormatError
        If it is damaged, or of other settings or files.
    """
    with reading.open_checked(path, container.PART) as file:
        text = reading.read_text(file, container.SETTINGS)
        reading.verify_checksum(file)
        mark = _read_mark(text, path)
        if (mark.origin, mark.portion, mark.batch) != (origin, portion, batch):
            raise FileFormatError(f"'{path}' was made of other files or settings")
        _check_content(OpenPart(file, read_descriptor(file)), mark)
    return mark


def _read_mark(text: str, path: Path) -> Mark:
    try:
        mark = Mark(**json.loads(text))
        if [type(value) for value in astuple(mark)] != [str, int, int, bool, int, int]:
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise FileFormatError(f"'{path}' does not say what it is") from None
    return mark


def _check_content(part: OpenPart, mark: Mark) -> None:
    """Check that all that is read of a part later has the shape that it must have."""
    structures = reading.read_group(part.file, container.STRUCTURES)
    batch = read_batch(structures, part.descriptor.species)
    read_labels(structures, batch)
    layout = feature_layout(part.descriptor)
    for s, (path, n_features) in enumerate(layout.items()):
        shape = (int((batch.species_n == s).sum()), n_features)
        reading.read_dataset(part.file, path, shape)
    reading.read_group(part.file, container.STATISTICS)
    part.read_environments()
    part.read_skipped()
    if mark.last:
        part.read_statistics()
    if mark.n_structures != batch.n_structures:
        raise FileFormatError(
            f"'{part.file.filename}': {batch.n_structures} structures found, "
            f"{mark.n_structures} expected"
        )
