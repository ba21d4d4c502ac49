"""What goes into a fingerprint set: rows of its datasets, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from annpot.descriptors import Descriptor, Features
from annpot.fingerprints import (
    SETS,
    Environments,
    write_environments,
    write_statistics,
)
from annpot.format import container, writing
from annpot.pairs import find_nearest
from annpot.scaling import Statistics, compute_statistics
from annpot.structures.structure import Array, Structure, stack

Rows = Mapping[str, npt.NDArray[Any]]
"""What is appended to each dataset, by its path."""

_COLUMNS: dict[str, tuple[tuple[int, ...], npt.DTypeLike]] = {
    container.N_ATOMS: ((), np.int64),
    container.SPECIES_INDEX: ((), np.int64),
    container.POSITIONS: ((3,), np.float64),
    container.CELLS: ((3, 3), np.float64),
    container.PERIODIC: ((3,), np.uint8),
    container.ENERGY: ((), np.float64),
    container.FORCES: ((3,), np.float64),
    container.STRESS: ((6,), np.float64),
    container.WEIGHT: ((), np.float64),
    container.FILES: ((), np.uint8),
    container.INDEX: ((), np.int64),
    container.GROUPS: ((), np.uint8),
    container.SET: ((), np.uint8),
}


@dataclass(frozen=True)
class Entry:
    """One structure of a set with what its group says of it."""

    structure: Structure
    energy: float
    group: str
    set: str
    weight: float


@dataclass(frozen=True)
class SetPart:
    """What some structures add to a set."""

    rows: Rows
    environments: Environments
    statistics: list[Statistics]
    """Of the features of each species."""


def structure_path(column: str) -> str:
    """Return the path of a dataset with a row, or several, for each structure."""
    return f"/{container.STRUCTURES}/{column}"


def feature_path(symbol: str) -> str:
    """Return the path of the dataset of the features of a species."""
    return f"/{container.FEATURES}/{symbol}"


def structure_layout() -> dict[str, tuple[tuple[int, ...], npt.DTypeLike]]:
    """Return shape and type of a row of each dataset of structures, by its path."""
    return {structure_path(name): row for name, row in _COLUMNS.items()}


def feature_layout(descriptor: Descriptor) -> dict[str, int]:
    """Return the number of features of each dataset of features, by its path."""
    return {feature_path(symbol): n for symbol, n in descriptor.n_features.items()}


def make_part(
    entries: Sequence[Entry], descriptor: Descriptor
) -> tuple[SetPart, Features]:
    """Return what some structures add to a set, and their features."""
    batch = stack([entry.structure for entry in entries], descriptor.species)
    features = descriptor.compute_features(batch)
    neighbours = features.neighbours
    n_groups = neighbours.n_species * neighbours.n_shells
    counts_n = np.diff(neighbours.first_g[::n_groups])
    blocks = features.blocks(features.G_f)
    part = SetPart(
        rows=_make_rows(entries, features),
        environments=_find_environments(features, find_nearest(neighbours), counts_n),
        statistics=[compute_statistics(G_nf) for G_nf in blocks],
    )
    return part, features


def _find_environments(
    features: Features, nearest_nt: Array, counts_n: npt.NDArray[Any]
) -> Environments:
    n_species = len(features.atoms_s)
    shortest_st = np.full((n_species, n_species), np.inf)
    neighbours_s = np.zeros((n_species, 3))
    for s, atoms in enumerate(features.atoms_s):
        if len(atoms):
            shortest_st[s] = nearest_nt[atoms].min(axis=0)
            counts = counts_n[atoms]
            neighbours_s[s] = counts.min(), counts.mean(), counts.max()
    return Environments(shortest_st, neighbours_s)


def _make_rows(entries: Sequence[Entry], features: Features) -> Rows:
    batch = features.batch
    structures = [entry.structure for entry in entries]
    columns: dict[str, npt.ArrayLike] = {
        container.N_ATOMS: batch.atoms_s,
        container.SPECIES_INDEX: batch.species_n,
        container.POSITIONS: batch.positions_nc,
        container.CELLS: batch.cells_scc,
        container.PERIODIC: batch.pbc_sc,
        container.ENERGY: [entry.energy for entry in entries],
        container.FORCES: np.concatenate([_forces(s) for s in structures]),
        container.STRESS: [_stress(s) for s in structures],
        container.WEIGHT: [entry.weight for entry in entries],
        container.FILES: writing.join_strings(s.file for s in structures),
        container.INDEX: [s.index for s in structures],
        container.GROUPS: writing.join_strings(entry.group for entry in entries),
        container.SET: [SETS.index(entry.set) for entry in entries],
    }
    rows = {
        structure_path(name): np.asarray(values, dtype=_COLUMNS[name][1])
        for name, values in columns.items()
    }
    blocks = features.blocks(features.G_f)
    paths = map(feature_path, batch.species)
    return rows | dict(zip(paths, blocks, strict=True))


def _forces(structure: Structure) -> Array:
    if structure.forces_nc is None:
        return np.full((len(structure), 3), np.nan)
    return structure.forces_nc


def _stress(structure: Structure) -> Array:
    return np.full(6, np.nan) if structure.stress_v is None else structure.stress_v


def make_empty_part(descriptor: Descriptor) -> SetPart:
    """Return what no structures add to a set."""
    rows = {
        path: np.zeros((0, *shape), dtype=dtype)
        for path, (shape, dtype) in structure_layout().items()
    }
    layout = feature_layout(descriptor)
    blocks = {path: np.zeros((0, n_features)) for path, n_features in layout.items()}
    n_species = len(blocks)
    return SetPart(
        rows=rows | blocks,
        environments=Environments(
            np.full((n_species, n_species), np.inf), np.zeros((n_species, 3))
        ),
        statistics=[compute_statistics(G_nf) for G_nf in blocks.values()],
    )


def iterate_batches(entries: Iterable[Entry], n_atoms: int) -> Iterator[list[Entry]]:
    """Yield lists of entries with about ``n_atoms`` atoms."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.structure)
        if size >= n_atoms:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_recipe(file: h5py.File, descriptor: Descriptor) -> None:
    """Write the descriptor and its species."""
    writing.write_text(file, container.DESCRIPTOR, descriptor.recipe)
    writing.write_strings(file, container.SPECIES, descriptor.species)


def write_end(
    file: h5py.File,
    species: tuple[str, ...],
    reference_energies: Array,
    statistics: Sequence[Statistics],
    environments: Environments,
) -> None:
    """Write what is known only after the last structure."""
    writing.write_array(file, container.REFERENCE_ENERGIES, reference_energies)
    group = file.create_group(container.STATISTICS)
    write_environments(group, environments)
    for symbol, values in zip(species, statistics, strict=True):
        write_statistics(group.create_group(symbol), values)


class Writer:
    """Writes a set batch by batch; what it holds in memory does not grow."""

    def __init__(self, file: h5py.File, descriptor: Descriptor) -> None:
        self._file, self._species = file, descriptor.species
        write_recipe(file, descriptor)
        self._datasets = {
            path: writing.create_rows(file, path, shape, dtype)
            for path, (shape, dtype) in structure_layout().items()
        }
        for path, n_features in feature_layout(descriptor).items():
            self._datasets[path] = writing.create_rows(file, path, (n_features,))

    def append(self, rows: Rows) -> None:
        """Append a batch and flush it to the disk."""
        for path, dataset in self._datasets.items():
            writing.append(dataset, rows[path])
        self._file.flush()

    def finish(
        self,
        reference_energies: Array,
        statistics: Sequence[Statistics],
        environments: Environments,
    ) -> None:
        """Write what is known only after the last structure."""
        write_end(
            self._file, self._species, reference_energies, statistics, environments
        )


@contextmanager
def create_set(path: Path, descriptor: Descriptor, settings: str) -> Iterator[Writer]:
    """Write the set ``path``; it gets its name when the with-block ends."""
    with writing.create(path, container.FINGERPRINTS, settings) as file:
        yield Writer(file, descriptor)
