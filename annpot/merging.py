"""Parts -> fingerprint set: their rows one after the other, in a fixed order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from annpot.descriptors import Descriptor
from annpot.errors import StructureError
from annpot.format import container, reading, writing
from annpot.parts import (
    open_part,
    read_part_environments,
    read_part_statistics,
    read_structures,
)
from annpot.set_writing import (
    feature_layout,
    structure_layout,
    write_end,
    write_recipe,
)
from annpot.tally import Tally

Watch = Callable[[int, int], None]
"""Takes how many of how many portions are done, often; may raise."""


def merge(
    portions: Sequence[Sequence[Path]],
    output: Path,
    descriptor: Descriptor,
    settings: str,
    tally: Tally,
    watch: Watch,
) -> list[str]:
    """Write the set ``output`` of the parts of each portion; count what is in it.

    What it holds in memory does not grow with the number of atoms. The parts stay.

    Parameters
    ----------
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
        path: _iterate_features(parts, path, n_features, step)
        for path, n_features in layout.items()
    }
    kind = container.FINGERPRINTS
    with writing.create(output, kind, settings, streams=streams) as file:
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
    datasets = {
        path: writing.create_rows(file, path, shape, dtype)
        for path, (shape, dtype) in structure_layout().items()
    }
    n_rows = dict.fromkeys(feature_layout(descriptor), 0)
    skipped: list[str] = []
    for portion in portions:
        for part in portion:
            with open_part(part) as found:
                rows = read_structures(found)
                n_species = len(descriptor.species)
                tally.add_structures(rows, read_part_environments(found, n_species))
                skipped += reading.read_strings(found, container.SKIPPED)
                for path, n_features in feature_layout(descriptor).items():
                    shape = (None, n_features)
                    n_rows[path] += len(reading.read_dataset(found, path, shape))
                if part == portion[-1]:
                    tally.add_statistics(read_part_statistics(found, descriptor))
            for path, dataset in datasets.items():
                writing.append(dataset, rows[path])
            step()
    file.flush()  # of a dataset that is closed, HDF5 cannot say that the disk is full
    return n_rows, skipped


def _iterate_features(
    parts: Sequence[Path], path: str, n_features: int, step: Callable[[], None]
) -> Iterator[npt.NDArray[Any]]:
    for part in parts:
        with open_part(part) as file:
            yield reading.read_array(file, path, (None, n_features))
        step()
