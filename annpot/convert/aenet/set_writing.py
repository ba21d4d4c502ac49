"""Fingerprint sets -> training sets of aenet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from annpot.convert.aenet.bases import TRAINABLE, Basis, make_basis
from annpot.convert.aenet.models import choose_least_distance
from annpot.convert.aenet.networks import Setup
from annpot.convert.aenet.records import LAYOUTS, Layout
from annpot.convert.aenet.set_files import (
    BinarySetWriter,
    Header,
    SetWriter,
    StoredStructure,
    Sums,
    TextSetWriter,
    open_set,
)
from annpot.convert.structure_files import lost_with_set
from annpot.descriptors import Chebyshev
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import FingerprintSet, load_features
from annpot.format.writing import errors_naming
from annpot.structures.structure import Array
from annpot.version import __version__

MARGIN = 1e-6
"""Between an isolated structure and the box that aenet puts it in, angstrom."""
LEAST_RATIO, LEAST_DEVIATION = 1e-6, 1e-9
"""Deviation in means, and at least, that is written of features that do not vary: with
0, rounding gives train.x the root of a negative number, and NaN all over."""


def write_training_set(
    loaded: FingerprintSet,
    output: Path,
    *,
    text: bool,
    layout: Layout = LAYOUTS[0],
    notes: list[str],
) -> None:
    """Write a .train file, or text as trnset2ASCII.x makes it, which has no set-ups.

    Energies become cohesive energies: the reference energies are subtracted.

    Parameters
    ----------
    layout
        How a binary file is written.
    notes
        Takes what gets lost, a line each.

    Raises
    ------
    FileFormatError
        If aenet has no such features.
    AnnpotError
        If the file cannot be written.
    """
    bases = _make_bases(loaded)
    setups = [_make_setup(loaded, s, basis) for s, basis in enumerate(bases)]
    header = Header(
        species=loaded.descriptor.species,
        reference_energies=loaded.reference_energies,
        normalized=False,
        scale=1.0,
        shift=0.0,
        n_structures=loaded.batch.n_structures,
    )
    features = [
        G_nf[:, basis.order_f]
        for G_nf, basis in zip(load_features(loaded.path), bases, strict=True)
    ]
    sums = _sum(loaded)
    with errors_naming(output), output.open("wb") as file:
        writer: SetWriter = (
            TextSetWriter(file) if text else BinarySetWriter(file, layout)
        )
        writer.header(header, sums, output.name)
        for structure in _store(loaded, features):
            writer.structure(structure)
        writer.finish(sums, setups)
    _check_written(output, _store(loaded, features))
    notes += _list_losses(loaded)


def _make_bases(loaded: FingerprintSet) -> list[Basis]:
    parts = loaded.descriptor.parts
    try:
        if len(parts) > 1:
            raise ValueError(
                f"aenet has no descriptor of {len(parts)} parts: {TRAINABLE}"
            )
        return [make_basis(parts[0], s) for s in range(len(loaded.descriptor.species))]
    except ValueError as error:
        raise FileFormatError(f"'{loaded.path}': {error}") from None


def _make_setup(loaded: FingerprintSet, s: int, basis: Basis) -> Setup:
    """Return the set-up of one species with the statistics of its features."""
    statistics, order_f = loaded.statistics[s], basis.order_f
    mean_f = statistics.mean_f[order_f]
    variance_f = np.where(
        statistics.constant_f,
        np.maximum(LEAST_RATIO * np.abs(statistics.mean_f), LEAST_DEVIATION) ** 2,
        np.diag(statistics.covariance_ff),
    )[order_f]
    return Setup(
        description=f"made by annpot {__version__}$$",
        symbol=loaded.descriptor.species[s],
        environment=basis.environment,
        r_min=choose_least_distance(float(loaded.environments.shortest_st[s].min())),
        cutoff=basis.cutoff,
        basis=basis.name,
        kinds_f=basis.kinds_f,
        parameters_fk=basis.parameters_fk,
        neighbours_fk=basis.neighbours_fk,
        n_atoms=statistics.n_atoms,
        min_f=statistics.min_f[order_f],
        max_f=statistics.max_f[order_f],
        mean_f=mean_f,
        mean_square_f=variance_f + mean_f * mean_f,
    )


def _cohesive_energies(loaded: FingerprintSet) -> Array:
    batch = loaded.batch
    free_s = np.add.reduceat(
        loaded.reference_energies[batch.species_n], batch.first_s[:-1]
    )
    E_s: Array = loaded.labels.energy_s - free_s
    return E_s


def _sum(loaded: FingerprintSet) -> Sums:
    per_atom_s = _cohesive_energies(loaded) / loaded.batch.atoms_s
    energies = per_atom_s.mean(), per_atom_s.min(), per_atom_s.max()
    mean, least, largest = map(float, energies)
    return Sums(loaded.batch.n_atoms, (mean, least, largest))


def _store(loaded: FingerprintSet, features: list[Array]) -> Iterator[StoredStructure]:
    """Yield the structures as they stand in the file."""
    batch, labels = loaded.batch, loaded.labels
    energy_s = _cohesive_energies(loaded).tolist()
    next_s = [0] * len(batch.species)
    for i in range(batch.n_structures):
        atoms = slice(int(batch.first_s[i]), int(batch.first_s[i + 1]))
        species_n = batch.species_n[atoms]
        rows = []
        for s in species_n.tolist():
            rows.append(features[s][next_s[s]])
            next_s[s] += 1
        forces_nc = labels.forces_nc[atoms]
        yield StoredStructure(
            name=_as_latin(labels.files[i]),
            species_n=species_n,
            energy=energy_s[i],
            positions_nc=_wrap(
                batch.positions_nc[atoms], batch.cells_scc[i], batch.pbc_sc[i]
            ),
            forces_nc=np.where(np.isfinite(forces_nc).all(), forces_nc, 0.0),
            features=rows,
        )


def _as_latin(name: str) -> str:
    """Return the bytes of a name as characters; it must be one line."""
    raw = " ".join(name.split()).encode("utf-8", "surrogateescape")
    return raw.decode("latin-1") or "?"


def _wrap(positions_nc: Array, cell_cc: Array, pbc_c: Array) -> Array:
    """Return the positions within the cell, or near 0 without a complete one."""
    if not pbc_c.all():
        shifted_nc: Array = positions_nc - positions_nc.min(axis=0) + MARGIN
        return shifted_nc
    fractions_nc = positions_nc @ np.linalg.inv(cell_cc)
    wrapped_nc: Array = (fractions_nc - np.floor(fractions_nc)) @ cell_cc
    return wrapped_nc


def _check_written(output: Path, structures: Iterator[StoredStructure]) -> None:
    """Read a set back, and check that its numbers are what they should be."""
    with open_set(output) as reader:
        for found, expected in zip(reader.structures(), structures, strict=True):
            same = found.energy == expected.energy and all(
                np.array_equal(a, b)
                for a, b in (
                    (found.species_n, expected.species_n),
                    (found.positions_nc, expected.positions_nc),
                    (found.forces_nc, expected.forces_nc),
                    *zip(found.features, expected.features, strict=True),
                )
            )
            if not same:
                raise AnnpotError(
                    f"'{output.name}': read back, structure {expected.name!a:.60} is "
                    "not what it should be"
                )
        reader.read_setups()


def _list_losses(loaded: FingerprintSet) -> list[str]:
    """Return what a training set of aenet has no place for, a line each."""
    batch, labels = loaded.batch, loaded.labels
    lines = lost_with_set(loaded)
    without = int(
        np.add.reduceat(np.isnan(labels.forces_nc).any(axis=1), batch.first_s[:-1])
        .astype(bool)
        .sum()
    )
    if without:
        lines.append(f"{without} structures have no forces: zeros are written")
    if any(labels.sets):
        lines.append("the assignment to training and test sets is not written")
    if np.isfinite(labels.stress_sv).any():
        lines.append("stresses are not written")
    if labels.index_s.any():
        lines.append(
            "structures of one file all get its name, by which nobody can tell them "
            "apart"
        )
    (part,) = loaded.descriptor.parts
    if isinstance(part, Chebyshev) and any(a.legacy for a in part.angular_s):
        lines.append("the features are those of aenet up to 2.0.3: later ones differ")
    return lines
