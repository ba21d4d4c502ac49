"""The fingerprint set, as generate leaves it: what it holds, and how it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from annpot.descriptors import Descriptor, descriptor_from_dict
from annpot.errors import FileFormatError
from annpot.format import container, reading, writing
from annpot.scaling import Statistics
from annpot.structures.checks import CLOSEST, LARGEST
from annpot.structures.structure import Array, Batch, Integers

SETS = ("", "train", "validation", "test")
"""Names of the codes in ``/structures/set``; the first: not assigned."""


@dataclass(frozen=True)
class Labels:
    """What is known of each structure beside its geometry."""

    energy_s: Array
    """Total energies, eV."""
    forces_nc: Array
    """eV/angstrom; NaN where a structure has none."""
    stress_sv: Array
    """eV/angstrom^3, Voigt order, ``dE/dstrain / volume``; NaN where not known."""
    weight_s: Array
    files: list[str]
    index_s: Integers
    groups: list[str]
    """Name of the group of each structure, possibly empty."""
    sets: list[str]
    """One of `SETS` for each structure."""


@dataclass(frozen=True)
class Environments:
    """What a set tells about the surroundings of its atoms."""

    shortest_st: Array
    """Shortest distance between species s and t, angstrom; infinite if none."""
    neighbours_s: Array
    """Least, mean and largest number of neighbours; shape=(n_species, 3)."""


@dataclass(frozen=True)
class FingerprintSet:
    """A set as loaded; the features stay in the file, `load_features` reads them."""

    path: Path
    sha256: str
    settings: str
    descriptor: Descriptor
    reference_energies: Array
    batch: Batch
    labels: Labels
    statistics: list[Statistics]
    environments: Environments


def write_statistics(group: h5py.Group, statistics: Statistics) -> None:
    """Write the statistics of one species."""
    writing.write_attribute(group, container.N_ATOMS, statistics.n_atoms)
    writing.write_array(group, container.MIN, statistics.min_f)
    writing.write_array(group, container.MAX, statistics.max_f)
    writing.write_array(group, container.MEAN, statistics.mean_f)
    writing.write_array(group, container.COVARIANCE, statistics.covariance_ff)


def write_environments(group: h5py.Group, environments: Environments) -> None:
    """Write what is known of the surroundings of atoms."""
    writing.write_array(group, container.SHORTEST, environments.shortest_st)
    writing.write_array(group, container.NEIGHBOURS, environments.neighbours_s)


def read_environments(group: h5py.Group, n_species: int) -> Environments:
    """Return what is known of the surroundings of atoms."""
    shape = (n_species, n_species)
    return Environments(
        reading.read_array(group, container.SHORTEST, shape, finite=False),
        reading.read_array(group, container.NEIGHBOURS, (n_species, 3)),
    )


def read_statistics(group: h5py.Group, n_features: int) -> Statistics:
    """Return the statistics of one species."""
    n_atoms, n = reading.read_attribute(group, container.N_ATOMS, int), (n_features,)
    if n_atoms < 0:
        where = f"'{group.file.filename}', {group.name}"
        raise FileFormatError(f"{where}: {container.N_ATOMS} {n_atoms}, expected 0 up")
    return Statistics(
        n_atoms=n_atoms,
        min_f=reading.read_array(group, container.MIN, n),
        max_f=reading.read_array(group, container.MAX, n),
        mean_f=reading.read_array(group, container.MEAN, n),
        covariance_ff=reading.read_array(group, container.COVARIANCE, n * 2),
    )


def read_all_statistics(group: h5py.Group, descriptor: Descriptor) -> list[Statistics]:
    """Return the statistics of each species, in the order of the descriptor."""
    return [
        read_statistics(reading.read_group(group, symbol), n_features)
        for symbol, n_features in descriptor.n_features.items()
    ]


def read_descriptor(group: h5py.Group) -> Descriptor:
    """Return the descriptor of a set, a potential or a member of a committee.

    Raises
    ------
    FileFormatError
        If it is malformed, or of a type that this annpot does not know.
    """
    text = reading.read_text(group, container.DESCRIPTOR)
    where = f"'{group.file.filename}', {group.name.rstrip('/')}/{container.DESCRIPTOR}"
    try:
        recipe = json.loads(text)
        if not isinstance(recipe, dict):
            raise FileFormatError("the descriptor is no JSON object")
        descriptor = descriptor_from_dict(recipe)
    except (ValueError, RecursionError, FileFormatError) as error:
        raise FileFormatError(f"{where}: {error}") from None
    if tuple(reading.read_strings(group, container.SPECIES)) != descriptor.species:
        raise FileFormatError(f"{where}: its species differ from those beside it")
    return descriptor


def load_set(path: Path) -> FingerprintSet:
    """Return the fingerprint set ``path``.

    Raises
    ------
    FileFormatError
        If the file is damaged, of another kind or of a newer version.
    """
    with reading.open_checked(path, container.FINGERPRINTS) as file:
        descriptor = read_descriptor(file)
        n_species = len(descriptor.species)
        statistics = reading.read_group(file, container.STATISTICS)
        structures = reading.read_group(file, container.STRUCTURES)
        batch = read_batch(structures, descriptor.species)
        if not batch.n_structures:
            raise FileFormatError(f"'{path}': no structures in this set")
        return FingerprintSet(
            path=path,
            sha256=reading.read_attribute(file, container.SHA256, str),
            settings=reading.read_text(file, container.SETTINGS),
            descriptor=descriptor,
            reference_energies=reading.read_array(
                file, container.REFERENCE_ENERGIES, (n_species,)
            ),
            batch=batch,
            labels=read_labels(reading.read_group(file, container.STRUCTURES), batch),
            statistics=read_all_statistics(statistics, descriptor),
            environments=read_environments(statistics, n_species),
        )


def read_batch(group: h5py.Group, species: tuple[str, ...]) -> Batch:
    """Return the geometry of the structures in ``group``.

    Raises
    ------
    FileFormatError
        If counts or indices do not fit together.
    """
    where = f"'{group.file.filename}', {group.name}"
    atoms_s = reading.read_array(group, container.N_ATOMS, (None,), np.int64)
    n_rows = reading.read_dataset(
        group, container.SPECIES_INDEX, (None,), np.int64
    ).shape[0]
    if atoms_s.min(initial=1) < 1 or atoms_s.max(initial=1) > n_rows:
        raise FileFormatError(
            f"{where}: a structure with an impossible number of atoms"
        )
    n_structures, n_atoms = len(atoms_s), int(atoms_s.sum())
    species_n = reading.read_array(group, container.SPECIES_INDEX, (n_atoms,), np.int64)
    if species_n.min(initial=0) < 0 or species_n.max(initial=0) >= len(species):
        raise FileFormatError(f"{where}: an index that is not in the table of species")
    batch = Batch(
        species=species,
        species_n=species_n,
        positions_nc=reading.read_array(group, container.POSITIONS, (n_atoms, 3)),
        cells_scc=reading.read_array(group, container.CELLS, (n_structures, 3, 3)),
        pbc_sc=reading.read_array(
            group, container.PERIODIC, (n_structures, 3), np.uint8
        ).astype(bool),
        first_s=np.concatenate([[0], np.cumsum(atoms_s)]),
    )
    _check_geometry(batch, where)
    return batch


def _check_geometry(batch: Batch, where: str) -> None:
    """Refuse what would end or endlessly occupy the search for neighbours."""
    for what, values in (("position", batch.positions_nc), ("cell", batch.cells_scc)):
        if np.abs(values).max(initial=0.0) >= LARGEST:
            raise FileFormatError(f"{where}: a {what} beyond {LARGEST:.0e} angstrom")
    lengths_sc = np.linalg.norm(batch.cells_scc, axis=2)
    crystal_s = batch.pbc_sc.all(axis=1)
    volume_s = np.abs(np.linalg.det(batch.cells_scc))
    # even densely packed, atoms do not come closer than this
    least_s = batch.atoms_s * CLOSEST**3 / np.sqrt(2.0)
    if (volume_s < least_s)[crystal_s].any() or (
        batch.pbc_sc & (lengths_sc < CLOSEST)
    ).any():
        raise FileFormatError(f"{where}: a periodic cell without room for its atoms")


def read_labels(group: h5py.Group, batch: Batch) -> Labels:
    """Return what else is known of the structures in ``group``.

    Raises
    ------
    FileFormatError
        If it does not fit to them, or cannot be true.
    """
    n_structures, where = batch.n_structures, f"'{group.file.filename}'"
    set_s = reading.read_array(group, container.SET, (n_structures,), np.uint8)
    if set_s.max(initial=0) >= len(SETS):
        raise FileFormatError(f"{where}: code {set_s.max()} is not of a set")
    labels = Labels(
        energy_s=reading.read_array(group, container.ENERGY, (n_structures,)),
        forces_nc=reading.read_array(
            group, container.FORCES, (batch.n_atoms, 3), finite=False
        ),
        stress_sv=reading.read_array(
            group, container.STRESS, (n_structures, 6), finite=False
        ),
        weight_s=reading.read_array(group, container.WEIGHT, (n_structures,)),
        files=reading.read_strings(group, container.FILES),
        index_s=reading.read_array(group, container.INDEX, (n_structures,), np.int64),
        groups=reading.read_strings(group, container.GROUPS),
        sets=[SETS[code] for code in set_s],
    )
    largest = {
        "energy per atom": labels.energy_s / batch.atoms_s,
        "force": labels.forces_nc,
        "stress": labels.stress_sv,
        "weight": labels.weight_s,
    }
    for what, values in largest.items():
        if (np.abs(values) >= LARGEST).any():  # false for NaN
            raise FileFormatError(f"{where}: {what} beyond {LARGEST:.0e}")
    if labels.weight_s.min(initial=1.0) <= 0.0:
        raise FileFormatError(f"{where}: a weight that is not positive")
    if not len(labels.files) == len(labels.groups) == n_structures:
        raise FileFormatError(
            f"{where}: {len(labels.files)} file names and "
            f"{len(labels.groups)} groups found, {n_structures} expected"
        )
    return labels


def load_features(path: Path) -> list[Array]:
    """Return the features ``G_nf`` of the atoms of each species, in the set's order."""
    with reading.open_checked(path, container.FINGERPRINTS) as file:
        descriptor = read_descriptor(file)
        group = reading.read_group(file, container.FEATURES)
        return [
            reading.read_array(group, symbol, (None, n_features))
            for symbol, n_features in descriptor.n_features.items()
        ]
