"""The annpot format, version 1: its names, the walk over a file, and the checksum.

`writing` makes such files, `reading` opens them; ``README.md`` specifies the format.
Each attribute, group and dataset name that a kind of file uses is spelled here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from annpot.errors import FileFormatError

# Attributes of the root: the header. Later versions keep the first two as they are,
# so that an old annpot can always say which version it met.
FORMAT = "format"
VERSION = "version"
KIND = "kind"
UNITS = "units"
WRITER = "writer"
CREATED = "created"
SHA256 = "sha256"
COMPLETE = "complete"
MADE_OF = "made_of"
# Text dataset of the root: an attribute could not hold more than 64 kB.
SETTINGS = "settings"

# Sets and potentials.
DESCRIPTOR = "descriptor"
SPECIES = "species"
REFERENCE_ENERGIES = "reference_energies"
STATISTICS = "statistics"
N_ATOMS = "n_atoms"
MIN, MAX, MEAN, COVARIANCE = "min", "max", "mean", "covariance"
SHORTEST = "shortest_distance"
NEIGHBOURS = "neighbours"
# Structures: of a fingerprint set, and the test vectors of a potential.
STRUCTURES = "structures"
SPECIES_INDEX = "species_index"
POSITIONS = "positions"
CELLS = "cells"
PERIODIC = "periodic"
ENERGY = "energy"
FORCES = "forces"
STRESS = "stress"
WEIGHT = "weight"
FILES, INDEX, GROUPS, SET = "file", "index", "group", "set"
# Fingerprint sets.
FEATURES = "features"
# Parts of fingerprint sets.
SKIPPED = "skipped"
# Committees.
MEMBERS = "members"
CALIBRATION = "calibration"
LEVEL = "level"
ENERGY_FACTOR, ENERGY_FLOOR, N_ENERGIES = "energy_factor", "energy_floor", "n_energies"
FORCE_FACTORS, FORCE_FLOORS = "force_factors", "force_floors"
N_FORCES = "n_forces"
DEVIATION_LIMITS = "deviation_limits"
# Potentials.
NETWORKS = "networks"
ACTIVATIONS = "activations"
WEIGHTS, BIASES = "weights", "biases"
FEATURE_SHIFT, FEATURE_SCALE = "feature_shift", "feature_scale"
ENERGY_SHIFT, ENERGY_SCALE = "energy_shift", "energy_scale"
WHITENING = "whitening"
DISTANCE_LOW, DISTANCE_HIGH = "distance_low", "distance_high"
RANGE_LOW, RANGE_HIGH = "range_low", "range_high"
PROVENANCE = "provenance"
TEST_VECTORS = "test_vectors"

# Checkpoints.
SET_FILE, SET_SHA256 = "set_file", "set_sha256"
MEMBERS_DONE, EPOCHS, SECONDS, REASON = "members_done", "epochs", "seconds", "reason"
BEST_LOSS = "best_loss"
RANDOM, KEPT, OPTIMISER = "random", "kept", "optimiser"
METHOD = "method"
NUMBER, MEMBER, LOSS, TRAIN, VALIDATION = (
    "number", "member", "loss", "train", "validation",
)  # fmt: skip

# Text datasets, not attributes, that hold JSON: objects in the text form of a file.
JSON_TEXTS = (SETTINGS, DESCRIPTOR, PROVENANCE)

FORMAT_NAME = "annpot"
UNITS_TEXT = "energy eV, length angstrom"
# Version 2 comes with a function _from_v1_to_v2(header) in reading.py.
NEWEST_VERSION = 1


class Kind(NamedTuple):
    """What a file holds and how the user makes one, for the messages."""

    noun: str
    command: str


FINGERPRINTS = "fingerprints"
PART = "part"
POTENTIAL = "potential"
COMMITTEE = "committee"
CHECKPOINT = "checkpoint"
KINDS = {
    FINGERPRINTS: Kind("a fingerprint set", "annpot generate"),
    PART: Kind("a part of a fingerprint set", "annpot generate --resume"),
    POTENTIAL: Kind("a potential", "annpot train"),
    COMMITTEE: Kind("a committee of potentials", "annpot train"),
    CHECKPOINT: Kind("the checkpoint of a training", "annpot train"),
}

MAX_OBJECTS = 10_000
MAX_DEPTH = 16
"""Of groups in groups: full names would grow with the square of it."""
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 64 * 1024
MAX_RANK = 8
NAME = re.compile(r"[\w.+ -]{1,200}", re.ASCII)
_BLOCK_BYTES = 16 * 2**20

Streams = Mapping[str, Iterable[npt.NDArray[Any]]]
"""Blocks of rows of datasets, by their paths."""
NO_STREAMS: Streams = MappingProxyType({})


def check_version(name: str, version: int) -> None:
    """Check that a file is of a version that this annpot reads."""
    if version > NEWEST_VERSION:
        raise FileFormatError(
            f"'{name}' was written by annpot format version {version}, this annpot "
            f"reads up to {NEWEST_VERSION}: please upgrade annpot"
        )
    if version < 1:
        raise FileFormatError(f"'{name}': there is no annpot format version {version}")


def iterate_objects(file: h5py.File) -> Iterator[h5py.Group | h5py.Dataset]:
    """Yield the root and each group and dataset below it, in no particular order.

    A link that leaves the file or leads to an object a second time (a cycle, an alias),
    a strange name and an object of another type raise a `FileFormatError`. Nothing
    is read but the links.
    """
    root = file["/"]
    groups = [(root, 0)]
    seen = {root.id}
    yield root
    while groups:
        group, depth = groups.pop()
        if depth > MAX_DEPTH:
            raise FileFormatError(
                f"'{file.filename}': groups nested more than {MAX_DEPTH} deep"
            )
        if len(group) + len(seen) > MAX_OBJECTS:
            raise FileFormatError(
                f"'{file.filename}': more than {MAX_OBJECTS} groups and datasets"
            )
        for name in group:
            item = _follow_link(group, name)
            if item.id in seen:
                raise FileFormatError(f"'{file.filename}': two links to {item.name}")
            seen.add(item.id)
            yield item
            if isinstance(item, h5py.Group):
                groups.append((item, depth + 1))


def _follow_link(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    where = f"'{group.file.filename}', {name!a:.200} in {group.name}"
    if not NAME.fullmatch(name):
        raise FileFormatError(f"{where}: not a name of the annpot format")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise FileFormatError(f"{where}: a soft or external link, which is not allowed")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise FileFormatError(f"{where}: neither a group nor a dataset")
    return item


def raw_attribute(item: h5py.Group | h5py.Dataset, name: str) -> npt.NDArray[Any]:
    """Return an attribute as the array that the file holds."""
    attribute = item.attrs.get_id(name)
    value = np.empty(attribute.shape, attribute.dtype)
    attribute.read(value)
    return value


def compute_sha256(file: h5py.File, streams: Streams = NO_STREAMS) -> str:
    r"""Return the hexadecimal SHA-256 of all that a file holds.

    Datasets named in ``streams`` are not read, but written with these rows meanwhile.

    The digest is fed with, for each group and dataset in ASCII order of the full paths,

    * ``group PATH\n`` or ``dataset PATH TYPE SHAPE\n``,
    * for each attribute in ASCII order of the names ``attribute NAME TYPE SHAPE\n`` and
      its bytes, without ``created``, ``made_of``, ``sha256`` and ``complete`` of the
      root,
    * the bytes of the dataset.

    TYPE is NumPy's name (``<f8``, ``|S12``), SHAPE the lengths joined by commas
    (``3,4``, nothing for a scalar); bytes are little-endian, in C order, strings filled
    with NULs. Chunks and compression do not matter: a repacked file keeps its digest.
    """
    digest = hashlib.sha256()
    for item in sorted(iterate_objects(file), key=lambda item: str(item.name)):
        if isinstance(item, h5py.Group):
            digest.update(f"group {item.name}\n".encode())
        else:
            digest.update(f"dataset {item.name} {_type_and_shape(item)}\n".encode())
        skipped = {CREATED, MADE_OF, SHA256, COMPLETE} if item.name == "/" else set()
        for name in sorted(set(item.attrs) - skipped):
            value = raw_attribute(item, name)
            digest.update(f"attribute {name} {_type_and_shape(value)}\n".encode())
            digest.update(value.tobytes())
        if isinstance(item, h5py.Dataset):
            rows = streams.get(str(item.name))
            blocks = _iterate_blocks(item) if rows is None else _write(item, rows)
            for block in blocks:
                digest.update(
                    np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
                )
    return digest.hexdigest()


def _type_and_shape(array: Any) -> str:
    return f"{array.dtype.str} {','.join(map(str, array.shape))}"


def _write(
    dataset: h5py.Dataset, blocks: Iterable[npt.NDArray[Any]]
) -> Iterator[npt.NDArray[Any]]:
    """Write the rows of a dataset, and yield them."""
    start = 0
    for block in blocks:
        dataset[start : start + len(block)] = block
        start += len(block)
        yield block.astype(dataset.dtype, copy=False)
    if start != len(dataset):
        raise ValueError(f"{start} rows for {dataset.name}, which has {len(dataset)}")


def _iterate_blocks(dataset: h5py.Dataset) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of a dataset, as many whole chunks at once as fit in a block."""
    if dataset.ndim == 0 or dataset.size == 0:
        yield np.asarray(dataset[()])
        return
    row_bytes = dataset.nbytes // len(dataset)
    chunk_rows = dataset.chunks[0] if dataset.chunks else 1
    step = max(1, _BLOCK_BYTES // (row_bytes * chunk_rows)) * chunk_rows
    for start in range(0, len(dataset), step):
        yield np.asarray(dataset[start : start + step])
