"""How well a potential reproduces the structures of a set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from annpot.accuracy import Errors, compute_errors
from annpot.calibration import Deviations, fit_calibration
from annpot.committee import Committee
from annpot.dataset import Split, references
from annpot.fingerprints import FingerprintSet
from annpot.potential import Evaluation
from annpot.predictor import Predictor
from annpot.structures.structure import Array, Integers

BATCH_ATOMS = 5000


@dataclass(frozen=True)
class Row:
    """Errors of some structures (all of a set, a group of it) or atoms (a species)."""

    set: str
    kind: Literal["all", "group", "species"]
    part: str
    n_structures: int
    n_atoms: int
    errors: Errors


def error_table(
    potential: Predictor, fingerprints: FingerprintSet, parts: Split
) -> list[Row]:
    """Return the errors of each set: of all structures, each group and each species."""
    return [
        row
        for name, structures in asdict(parts).items()
        if len(structures)
        for row in _rows(name, structures, potential, fingerprints)
    ]


def _rows(
    name: str,
    structures: Integers,
    potential: Predictor,
    fingerprints: FingerprintSet,
) -> Iterator[Row]:
    batch = fingerprints.batch.take(structures)
    found = list(_evaluate(structures, potential, fingerprints))
    dE_s = np.concatenate([dE_s for _, dE_s, _ in found])
    dF_nc = np.concatenate([dF_nc for *_, dF_nc in found])
    groups = np.array([fingerprints.labels.groups[s] for s in structures])
    every = np.ones(len(structures), dtype=bool)
    masks = [("all", "all", every)]
    masks += [("group", g, groups == g) for g in sorted(set(groups)) if g]
    for kind, part, mask_s in masks:
        atoms_s = batch.atoms_s[mask_s]
        mask_n = np.repeat(mask_s, batch.atoms_s)
        errors = compute_errors(dE_s[mask_s], atoms_s, dF_nc[mask_n])
        n_structures, n_atoms = len(atoms_s), int(atoms_s.sum())
        yield Row(name, kind, part, n_structures, n_atoms, errors)  # type: ignore[arg-type]
    for s, symbol in enumerate(batch.species):
        mask_n = batch.species_n == s
        errors = compute_errors(dE_s[:0], batch.atoms_s[:0], dF_nc[mask_n])
        n_structures = len(np.unique(batch.structure_n[mask_n]))
        yield Row(name, "species", symbol, n_structures, int(mask_n.sum()), errors)


def calibrate(
    committee: Committee, fingerprints: FingerprintSet, structures: Integers
) -> Committee:
    """Return the committee, calibrated by structures that it was not trained on.

    Their deviations are also the measure of what is unusual.

    Without any it is returned as it is.
    """
    if not len(structures):
        return committee
    atoms_s = fingerprints.batch.atoms_s[structures]
    atoms = fingerprints.batch.atoms_of(structures)
    parts = list(_evaluate(structures, committee, fingerprints))
    deviations = Deviations(
        energy_error_s=np.concatenate([dE_s for _, dE_s, _ in parts]) / atoms_s,
        E_std_s=np.concatenate([found.E_std_s for found, _, _ in parts]) / atoms_s,
        force_error_n=np.concatenate(
            [np.linalg.norm(dF_nc, axis=1) for *_, dF_nc in parts]
        ),
        F_std_n=np.concatenate([found.F_std_n for found, _, _ in parts]),
        species_n=fingerprints.batch.species_n[atoms],
    )
    n_species = len(fingerprints.batch.species)
    calibration = fit_calibration(deviations, n_species)
    return replace(committee, calibration=calibration).with_deviation_limits(
        deviations.F_std_n, deviations.species_n
    )


def _evaluate(
    structures: Integers, potential: Predictor, fingerprints: FingerprintSet
) -> Iterator[tuple[Evaluation, Array, Array]]:
    """Yield what is predicted batch by batch, and the errors of energies and forces."""
    sizes_s = fingerprints.batch.atoms_s[structures]
    firsts = np.unique(np.cumsum(sizes_s) // BATCH_ATOMS, return_index=True)[1]
    for part in np.split(structures, firsts[1:]):
        batch = fingerprints.batch.take(part)
        known = references(fingerprints, part)
        result = potential.evaluate(batch)
        assert result.F_nc is not None
        counts_st = np.zeros((batch.n_structures, len(batch.species)))
        np.add.at(counts_st, (batch.structure_n, batch.species_n), 1.0)
        dE_s = result.E_s - counts_st @ potential.reference_energies - known.E_s
        yield result, dE_s, result.F_nc - known.F_nc
