"""Which structures of a set train, validate and test, and what they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annpot.errors import TrainingError
from annpot.fingerprints import SETS, FingerprintSet
from annpot.loss import References
from annpot.structures.structure import Batch, Integers


@dataclass(frozen=True)
class Split:
    """Numbers of the structures, ascending."""

    train: Integers
    validation: Integers
    test: Integers


def split(
    fingerprints: FingerprintSet,
    test_fraction: float,
    validation_fraction: float,
    rng: np.random.Generator,
) -> Split:
    """Return the split: as labelled, the structures without label at random.

    Of those, a share tests if no structure is labelled so, and a share validates if no
    structure is labelled so; the rest trains.

    Raises
    ------
    TrainingError
        If no structure is left for training.
    """
    labels = np.array(fingerprints.labels.sets)
    train, validation, test = (np.flatnonzero(labels == name) for name in SETS[1:])
    free = rng.permutation(np.flatnonzero(labels == ""))
    n_test = 0 if len(test) else round(test_fraction * len(free))
    n_validation = 0 if len(validation) else round(validation_fraction * len(free))
    more_test, more_validation, rest = np.split(free, [n_test, n_test + n_validation])
    train = np.concatenate([train, rest])
    test = np.concatenate([test, more_test])
    validation = np.concatenate([validation, more_validation])
    if not len(train):
        raise TrainingError(
            f"'{fingerprints.path}': no structure is left for training, with "
            f"{len(validation)} for validation and {len(test)} for testing: please "
            "leave some without 'set', or label them 'set: train'"
        )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def subset(batch: Batch, structures: Integers) -> Batch:
    """Return the batch of some structures."""
    atoms = atoms_of(batch, structures)
    return replace(
        batch,
        species_n=batch.species_n[atoms],
        positions_nc=batch.positions_nc[atoms],
        cells_scc=batch.cells_scc[structures],
        pbc_sc=batch.pbc_sc[structures],
        first_s=np.concatenate([[0], np.cumsum(batch.atoms_s[structures])]),
    )


def atoms_of(batch: Batch, structures: Integers) -> Integers:
    """Return the numbers of the atoms of some structures."""
    if not len(structures):
        return np.zeros(0, dtype=np.int64)
    first_s = batch.first_s
    return np.concatenate([np.arange(first_s[s], first_s[s + 1]) for s in structures])


def references(fingerprints: FingerprintSet, structures: Integers) -> References:
    """Return what some structures are fitted to."""
    batch, labels = fingerprints.batch, fingerprints.labels
    counts_st = np.zeros((batch.n_structures, len(batch.species)))
    np.add.at(counts_st, (batch.structure_n, batch.species_n), 1.0)
    E_s = labels.energy_s - counts_st @ fingerprints.reference_energies
    return References(
        E_s=E_s[structures],
        F_nc=labels.forces_nc[atoms_of(batch, structures)],
        stress_sv=labels.stress_sv[structures],
        weight_s=labels.weight_s[structures],
    )
