"""How well a potential reproduces the structures of a set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from annpot.accuracy import Errors, mean_errors, sum_errors
from annpot.calibration import Deviations, fit_calibration
from annpot.committee import Committee
from annpot.dataset import Split, references
from annpot.fingerprints import FingerprintSet
from annpot.parallel import ALONE, Ranks, deal
from annpot.potential import Evaluation
from annpot.predictor import Predictor
from annpot.structures.structure import Array, Batch, Integers

BATCH_ATOMS = 1000
"""As in a shard: tables need no more memory than the training before."""


@dataclass(frozen=True)
class Row:
    """Errors of some structures (all of a set, a group of it) or atoms (a species)."""

    set: str
    kind: Literal["all", "group", "species"]
    part: str
    n_structures: int
    n_atoms: int
    errors: Errors


@dataclass(frozen=True)
class _Found:
    """What is predicted for some structures of a set, and how wrong it is."""

    places: Integers
    """Where they are among the structures of the set; consecutive."""
    batch: Batch
    evaluation: Evaluation
    E_error_s: Array
    F_error_nc: Array
    """NaN: no reference."""


def error_table(
    potential: Predictor,
    fingerprints: FingerprintSet,
    parts: Split,
    ranks: Ranks = ALONE,
) -> list[Row]:
    """Return the errors of each set: of all structures, each group and each species."""
    return [
        row
        for name, structures in asdict(parts).items()
        if len(structures)
        for row in _rows(name, structures, potential, fingerprints, ranks)
    ]


def _rows(
    name: str,
    structures: Integers,
    potential: Predictor,
    fingerprints: FingerprintSet,
    ranks: Ranks,
) -> Iterator[Row]:
    batch = fingerprints.batch.take(structures)
    groups = np.array([fingerprints.labels.groups[s] for s in structures])
    masks = [("all", "all", np.ones(len(structures), dtype=bool))]
    masks += [("group", g, groups == g) for g in sorted(set(groups)) if g]

    def sum_up(found: _Found) -> Array:
        dE_s, dF_nc, atoms_s = found.E_error_s, found.F_error_nc, found.batch.atoms_s
        sums = []
        for *_, mask_s in masks:
            chosen_s = mask_s[found.places]
            chosen_n = np.repeat(chosen_s, atoms_s)
            sums.append(sum_errors(dE_s[chosen_s], atoms_s[chosen_s], dF_nc[chosen_n]))
        for s in range(len(batch.species)):
            of_species = dF_nc[found.batch.species_n == s]
            sums.append(sum_errors(dE_s[:0], atoms_s[:0], of_species))
        return np.array(sums)

    sums = ranks.total(
        sum_up(found) for found in _evaluate(structures, potential, fingerprints, ranks)
    )
    for (kind, part, mask_s), row in zip(masks, sums, strict=False):
        atoms_s = batch.atoms_s[mask_s]
        n_structures, n_atoms = len(atoms_s), int(atoms_s.sum())
        yield Row(name, kind, part, n_structures, n_atoms, mean_errors(row))  # type: ignore[arg-type]
    for s, symbol in enumerate(batch.species):
        mask_n = batch.species_n == s
        errors = mean_errors(sums[len(masks) + s])
        n_structures = len(np.unique(batch.structure_n[mask_n]))
        yield Row(name, "species", symbol, n_structures, int(mask_n.sum()), errors)


def calibrate(
    committee: Committee,
    fingerprints: FingerprintSet,
    structures: Integers,
    ranks: Ranks = ALONE,
) -> Committee:
    """Return the committee, calibrated by structures that it was not trained on.

    Their deviations are also the measure of what is unusual.

    Without any it is returned as it is.
    """
    if not len(structures):
        return committee
    batch = fingerprints.batch.take(structures)
    by_structure = np.zeros((2, batch.n_structures))
    by_atom = np.zeros((2, batch.n_atoms))
    for found in _evaluate(structures, committee, fingerprints, ranks):
        first, last = found.places[[0, -1]]
        atoms = slice(*batch.first_s[[first, last + 1]])
        by_structure[:, found.places] = found.E_error_s, found.evaluation.E_std_s
        error_n = np.linalg.norm(found.F_error_nc, axis=1)
        by_atom[:, atoms] = error_n, found.evaluation.F_std_n
    # other ranks have zeros where this one has numbers
    by_structure, by_atom = ranks.total([by_structure]), ranks.total([by_atom])
    deviations = Deviations(
        energy_error_s=by_structure[0] / batch.atoms_s,
        E_std_s=by_structure[1] / batch.atoms_s,
        force_error_n=by_atom[0],
        F_std_n=by_atom[1],
        species_n=batch.species_n,
    )
    calibration = fit_calibration(deviations, len(batch.species))
    return replace(committee, calibration=calibration).with_deviation_limits(
        deviations.F_std_n, deviations.species_n
    )


def _evaluate(
    structures: Integers,
    potential: Predictor,
    fingerprints: FingerprintSet,
    ranks: Ranks,
) -> Iterator[_Found]:
    """Yield what is predicted for the batches that fall to this rank."""
    sizes_s = fingerprints.batch.atoms_s[structures]
    firsts = np.unique(np.cumsum(sizes_s) // BATCH_ATOMS, return_index=True)[1]
    batches = np.split(np.arange(len(structures)), firsts[1:])
    costs = np.array([sizes_s[places].sum() for places in batches])
    for k in deal(costs, ranks):
        batch = fingerprints.batch.take(structures[batches[k]])
        known = references(fingerprints, structures[batches[k]])
        result = potential.evaluate(batch)
        assert result.F_nc is not None
        counts_st = np.zeros((batch.n_structures, len(batch.species)))
        np.add.at(counts_st, (batch.structure_n, batch.species_n), 1.0)
        dE_s = result.E_s - counts_st @ potential.reference_energies - known.E_s
        yield _Found(batches[k], batch, result, dE_s, result.F_nc - known.F_nc)
