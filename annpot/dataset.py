"""Which structures of a set train, validate and test, and what they are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annpot.errors import TrainingError
from annpot.fingerprints import SETS, FingerprintSet
from annpot.objective import References
from annpot.structures.structure import Integers


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
    """Return the split of a set, see `split_labels`.

    Raises
    ------
    TrainingError
        If no structure is left for training.
    """
    try:
        sets = fingerprints.labels.sets
        return split_labels(sets, test_fraction, validation_fraction, rng)
    except TrainingError as error:
        raise TrainingError(f"'{fingerprints.path}': {error}") from None


def split_labels(
    sets: Sequence[str],
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
    labels = np.array(sets)
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
            f"no structure is left for training, with {len(validation)} for "
            f"validation and {len(test)} for testing: please leave some without 'set', "
            "or label them 'set: train'"
        )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def references(fingerprints: FingerprintSet, structures: Integers) -> References:
    """Return what some structures are fitted to."""
    batch, labels = fingerprints.batch, fingerprints.labels
    counts_st = np.zeros((batch.n_structures, len(batch.species)))
    np.add.at(counts_st, (batch.structure_n, batch.species_n), 1.0)
    E_s = labels.energy_s - counts_st @ fingerprints.reference_energies
    return References(
        E_s=E_s[structures],
        F_nc=labels.forces_nc[batch.atoms_of(structures)],
        stress_sv=labels.stress_sv[structures],
        weight_s=labels.weight_s[structures],
    )
