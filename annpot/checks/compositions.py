"""What the set covers: compositions, species, features, labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annpot.checks.findings import Finding, Place, Severity
from annpot.checks.subject import Subject
from annpot.structures.structure import Array

FEW_ATOMS = 100
"""Atoms of a species, below which its network learns little."""
VERY_FEW_ATOMS = 20
RANK_TOLERANCE = 1e-6


def check_compositions(subject: Subject) -> list[Finding]:
    """Find reference energies that the compositions do not determine.

    Method: singular values of the shares of the species with fitted reference energies,
    below `RANK_TOLERANCE` of the largest. A note, which names the combinations that are
    determined: energies are right only for those.
    """
    sample = subject.sample
    fitted = [sample.batch.species.index(s) for s in sample.fitted]
    if not fitted:
        return []
    counts_st = sample.counts_st[:, fitted]
    share_st = counts_st / sample.batch.atoms_s[:, None]
    _, values, rows = np.linalg.svd(np.unique(share_st, axis=0), full_matrices=True)
    values = np.append(values, np.zeros(len(fitted) - len(values)))
    rank = int((values > RANK_TOLERANCE * values[0]).sum())
    if rank == len(fitted):
        return []
    combinations = [_word(sample.fitted, row) for row in _reduce(rows[:rank])]
    return [
        Finding(
            "collinear compositions",
            Severity.NOTE,
            float(len(fitted) - rank),
            f"the compositions determine only {rank} of {len(fitted)} reference "
            f"energies: those of {', '.join(combinations)}",
            "nothing, if only such compositions matter; else add others or give "
            "energies of free atoms under 'species'",
        )
    ]


def _reduce(rows: Array) -> Array:
    """Return the same space as rows in echelon form: simple numbers, if there are."""
    rows = rows.copy()
    lead = 0
    for i in range(len(rows)):
        while lead < rows.shape[1] and np.abs(rows[i:, lead]).max() < 1e-9:
            lead += 1
        pivot = i + int(np.abs(rows[i:, lead]).argmax())
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] /= rows[i, lead]
        for j in range(len(rows)):
            if j != i:
                rows[j] -= rows[j, lead] * rows[i]
        lead += 1
    return rows


def _word(species: tuple[str, ...], row: Array) -> str:
    terms = [
        f"{'' if abs(x - 1) < 1e-9 else f'{x:.4g} '}{symbol}"
        for symbol, x in zip(species, row, strict=True)
        if abs(x) > 1e-9
    ]
    return " + ".join(terms).replace("+ -", "- ")


def check_species(subject: Subject) -> list[Finding]:
    """Find species with few atoms.

    Method: fewer than `FEW_ATOMS` are a note, fewer than `VERY_FEW_ATOMS` a warning.
    """
    sample = subject.sample
    count_t = sample.counts_st.sum(axis=0)
    few = np.flatnonzero(count_t < FEW_ATOMS)
    if not len(few):
        return []
    listed = ", ".join(f"{int(count_t[t])} {sample.batch.species[t]}" for t in few)
    return [
        Finding(
            "rare species",
            Severity.WARNING if count_t.min() < VERY_FEW_ATOMS else Severity.NOTE,
            float(FEW_ATOMS / max(count_t.min(), 1.0)),
            f"few atoms of some species: {listed}",
            "add structures with them",
        )
    ]


def check_features(subject: Subject) -> list[Finding]:
    """Find features that do not vary, which tell a network nothing.

    Method: deviation over all atoms below 1e-10 of the largest value; a note.
    """
    statistics = subject.surroundings.statistics
    species = subject.sample.batch.species
    listed = [
        f"{int(s.constant_f.sum())} of {len(s.constant_f)} of {symbol}"
        for symbol, s in zip(species, statistics, strict=True)
        if s.n_atoms and s.constant_f.any()
    ]
    if not listed:
        return []
    return [
        Finding(
            "constant features",
            Severity.NOTE,
            1.0,
            f"some features are the same for all atoms: {', '.join(listed)}",
            "nothing: they are left out; more different structures make them count",
        )
    ]


def check_labels(subject: Subject) -> list[Finding]:
    """Find structures without energy or forces, and files that cannot be read.

    Method: a missing energy, or a file that cannot be read, ends ``annpot generate``:
    an error. If some structures have forces and others not, it is a note.
    """
    sample = subject.sample
    findings = _find_unreadable(sample.unreadable)
    lacking = np.flatnonzero(~np.isfinite(sample.energy_s))
    if len(lacking):
        findings.append(
            Finding(
                "missing energies",
                Severity.ERROR,
                float(len(lacking)),
                f"{len(lacking)} structures have no energy",
                "leave them out; if the files have cohesive energies, give energies "
                "of free atoms under species",
                tuple(Place(int(s), "no energy") for s in lacking),
            )
        )
    without = np.flatnonzero(~sample.has_forces_s)
    if 0 < len(without):
        all_ = len(without) == sample.batch.n_structures
        findings.append(
            Finding(
                "missing forces",
                Severity.NOTE,
                1.0,
                f"{len(without)} of {sample.batch.n_structures} structures have no "
                "forces",
                "add them if you can: they say far more than energies",
                () if all_ else tuple(Place(int(s), "no forces") for s in without),
            )
        )
    return findings


def _find_unreadable(messages: Sequence[str]) -> list[Finding]:
    if not messages:
        return []
    return [
        Finding(
            "unreadable",
            Severity.ERROR,
            float(len(messages)),
            f"{len(messages)} structures or files cannot be used, the first: "
            f"{messages[0]}",
            "mend them, or leave them out by generate.on_error: skip",
        )
    ]
