"""Parts -> fingerprint set: their rows one after the other, in a fixed order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from annpot.descriptors import Descriptor
from annpot.errors import StructureError
from annpot.format import container, writing
from annpot.generation.crew import Watch
from annpot.generation.parts import open_part
from annpot.set_writing import (
    Rows,
    feature_layout,
    structure_layout,
    write_end,
    write_recipe,
)
from annpot.tally import Tally

APPEND_BYTES = 4 * 2**20
"""Rows that wait in memory: to append takes its time, however little it is."""


def merge(
    portions: Sequence[Sequence[Path]],
    output: Path,
    descriptor: Descriptor,
    settings: str,
    made_of: str,
    tally: Tally,
    watch: Watch,
) -> list[str]:
    """Write the set ``output`` of the parts of each portion; count what is in it.

    What it holds in memory does not grow with the number of atoms. The parts stay.

    Parameters
    ----------
    made_of
        What `annpot.generation.manifest.Manifest.made_of` says.
    watch
        Is called after each step: all portions are done; what it raises ends the work.

    Returns
    -------
    The messages of all that was skipped, in order.

    Raises
    ------
    StructureError
        If there is no structure in any part.
    FileFormatError
        If a part is damaged.
    AnnpotError
        If the set cannot be written.
    """
    parts = [part for portion in portions for part in portion]
    layout = feature_layout(descriptor)
    step = functools.partial(watch, len(portions), len(portions))
    streams = {
        path: _iterate_features(parts, descriptor, path, step) for path in layout
    }
    kind = container.FINGERPRINTS
    with writing.create(output, kind, settings, streams=streams) as file:
        writing.write_attribute(file, container.MADE_OF, made_of)
        write_recipe(file, descriptor)
        n_rows, skipped = _merge_structures(file, portions, descriptor, tally, step)
        if not tally.n_structures:
            raise StructureError(
                f"no structure is left to make fingerprints of: {len(skipped)} skipped"
                f", the first because of {skipped[0] if skipped else 'nothing'}"
            )
        for path, n_features in layout.items():
            writing.create_rows(file, path, (n_features,), n_rows=n_rows[path])
        write_end(
            file,
            descriptor.species,
            tally.fit_reference_energies(),
            tally.statistics,
            tally.environments(),
        )
    return skipped


def _merge_structures(
    file: h5py.File,
    portions: Sequence[Sequence[Path]],
    descriptor: Descriptor,
    tally: Tally,
    step: Callable[[], None],
) -> tuple[dict[str, int], list[str]]:
    """Write all but the features; return how many rows of these there are."""
    n_rows = dict.fromkeys(feature_layout(descriptor), 0)
    skipped: list[str] = []
    appender = _Appender(file)
    for portion in portions:
        for part in portion:
            with open_part(part, descriptor) as found:
                rows = found.read_structures()
                environments = found.read_environments()
                skipped += found.read_skipped()
                for path in n_rows:
                    n_rows[path] += found.count(path)
                if part == portion[-1]:
                    tally.add_statistics(found.read_statistics())
            tally.add_structures(rows, environments)
            appender.append(rows)
            step()
    appender.write()
    file.flush()  # of a dataset that is closed, HDF5 cannot say that the disk is full
    return n_rows, skipped


class _Appender:
    """Appends the rows of many small parts to the datasets of a set, some at once."""

    def __init__(self, file: h5py.File) -> None:
        self._datasets = {
            path: writing.create_rows(file, path, shape, dtype)
            for path, (shape, dtype) in structure_layout().items()
        }
        self._waiting: list[Rows] = []
        self._n_bytes = 0

    def append(self, rows: Rows) -> None:
        """Append rows, now or later."""
        self._waiting.append(rows)
        self._n_bytes += sum(values.nbytes for values in rows.values())
        if self._n_bytes > APPEND_BYTES:
            self.write()

    def write(self) -> None:
        """Write all that waits."""
        for path, dataset in self._datasets.items():
            blocks = [rows[path] for rows in self._waiting]
            if blocks:
                writing.append(dataset, np.concatenate(blocks))
        self._waiting, self._n_bytes = [], 0


def _iterate_features(
    parts: Sequence[Path], descriptor: Descriptor, path: str, step: Callable[[], None]
) -> Iterator[npt.NDArray[Any]]:
    for part in parts:
        with open_part(part, descriptor) as found:
            block = found.read(path)
        yield block
        step()
