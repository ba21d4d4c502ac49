"""Structures that are there twice, with equal or with conflicting labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from annpot.checks.findings import Finding, Flags, Severity, places
from annpot.checks.steps import Steps
from annpot.checks.subject import Subject
from annpot.structures.structure import Array, Integers

SAME_DISTANCE = 1e-5
"""In features: below, two structures are the same, turned or renumbered."""
SAME_DISPLACEMENT, SAME_STRAIN = 1e-4, 1e-5
"""angstrom; round-off in files of few digits."""
NEAR_DISPLACEMENT, NEAR_STRAIN = 0.02, 1e-3
"""angstrom; forces change by about 0.1 eV/angstrom on such a way."""
GROSS = 5.0
"""Such tolerances that are an error."""
ENERGY_TOLERANCE = 1e-3
"""eV/atom."""
FORCE_TOLERANCE = 0.05
"""eV/angstrom, root mean square of the components."""


class Pairs(NamedTuple):
    """Pairs of structures."""

    a_k: Integers
    b_k: Integers


def find_duplicates(subject: Subject) -> Pairs:
    """Return the pairs of equal structures, also turned or renumbered ones.

    Equal are those without displacement and strain (`SAME_DISPLACEMENT`,
    `SAME_STRAIN`), and those that do not correspond atom by atom but have equal
    features (`SAME_DISTANCE`).
    """
    steps, twins = subject.steps, subject.twins
    same_k = _is_same(steps)
    by_step = np.stack([steps.a_k[same_k], steps.b_k[same_k]], axis=1)
    alike_k = twins.distance_k < SAME_DISTANCE
    by_features = np.stack([twins.a_k[alike_k], twins.b_k[alike_k]], axis=1)
    joined = np.unique(np.concatenate([by_step, by_features]), axis=0)
    return Pairs(joined[:, 0], joined[:, 1])


def _is_same(steps: Steps) -> Flags:
    same_k = steps.displacement_k < SAME_DISPLACEMENT
    return same_k & (steps.strain_k < SAME_STRAIN)


def find_near(subject: Subject) -> Pairs:
    """Return the pairs that differ by little more than noise, duplicates included.

    By at most `NEAR_DISPLACEMENT` and `NEAR_STRAIN`.
    """
    steps = subject.steps
    near_k = (steps.displacement_k < NEAR_DISPLACEMENT) & (steps.strain_k < NEAR_STRAIN)
    same = find_duplicates(subject)
    rows = np.concatenate(
        [
            np.stack(same, axis=1),
            np.stack([steps.a_k[near_k], steps.b_k[near_k]], axis=1),
        ]
    )
    joined = np.unique(rows, axis=0)
    return Pairs(joined[:, 0], joined[:, 1])


def check_duplicates(subject: Subject) -> list[Finding]:
    """Find structures that are there twice.

    Method: `find_duplicates`. Their energies per atom must agree to `ENERGY_TOLERANCE`
    and their forces (in the root mean square over all components, so that turned ones
    can be compared) to `FORCE_TOLERANCE`: else it is a warning, an error from `GROSS`
    times that, which no fit can resolve; the median difference over the root of 2
    estimates the noise of the labels.
    Duplicates that agree only count twice: a warning if they are more than 1 % of the
    structures, else a note.
    """
    pairs = find_duplicates(subject)
    if not len(pairs.a_k):
        return []
    dE_k, dF_k = _differences(subject, pairs)
    score_k = np.fmax(dE_k / ENERGY_TOLERANCE, dF_k / FORCE_TOLERANCE)
    wrong_k = score_k > 1
    findings = []
    if wrong_k.any():
        findings.append(_conflict(subject, pairs, wrong_k, score_k, dE_k, dF_k))
    agreeing = Pairs(pairs.a_k[~wrong_k], pairs.b_k[~wrong_k])
    if len(agreeing.a_k):
        findings.append(_agreement(subject, agreeing))
    return findings


def _differences(subject: Subject, pairs: Pairs) -> tuple[Array, Array]:
    """Return the differences of energies per atom and of forces; NaN if not known."""
    sample = subject.sample
    per_atom_s = sample.energy_s / sample.batch.atoms_s
    dE_k = np.abs(per_atom_s[pairs.b_k] - per_atom_s[pairs.a_k])
    size_s = force_sizes(subject)
    dF_k = np.abs(size_s[pairs.b_k] - size_s[pairs.a_k])
    steps = subject.steps
    exact = {
        (a, b): dF
        for a, b, dF, same in zip(
            steps.a_k.tolist(),
            steps.b_k.tolist(),
            steps.force_change_k.tolist(),
            _is_same(steps).tolist(),
            strict=True,
        )
        if same  # else one is a turned or mirrored copy, with other components
    }
    for k, pair in enumerate(zip(pairs.a_k.tolist(), pairs.b_k.tolist(), strict=True)):
        dF_k[k] = exact.get(pair, dF_k[k])
    return dE_k, dF_k


def force_sizes(subject: Subject) -> Array:
    """Return the root mean square of the components of the forces; NaN without."""
    sample = subject.sample
    squares_n = (sample.forces_nc**2).mean(axis=1)
    sums_s = np.add.reduceat(squares_n, sample.batch.first_s[:-1])
    return np.sqrt(sums_s / sample.batch.atoms_s)


def _conflict(
    subject: Subject,
    pairs: Pairs,
    wrong_k: Flags,
    score_k: Array,
    dE_k: Array,
    dF_k: Array,
) -> Finding:
    sample = subject.sample
    texts = []
    for a, dE, dF in zip(pairs.a_k[wrong_k], dE_k[wrong_k], dF_k[wrong_k], strict=True):
        known = [f"{1e3 * dE:.3g} meV/atom"] if np.isfinite(dE) else []
        known += [f"{dF:.3g} eV/angstrom"] if np.isfinite(dF) else []
        texts.append(f"{', '.join(known)} from {sample.name(int(a))}")
    known_k, noise = wrong_k & np.isfinite(dE_k), ""
    if known_k.any():
        size = 1e3 * float(np.median(dE_k[known_k])) / np.sqrt(2)
        noise = f" (noise of the energies about {size:.3g} meV/atom)"
    return Finding(
        "conflicting duplicates",
        Severity.ERROR if np.nanmax(score_k) > GROSS else Severity.WARNING,
        float(np.nanmax(score_k)),
        f"{wrong_k.sum()} pairs of equal structures have different energies or forces"
        f"{noise}",
        "keep those from the more accurate calculations, all with the same settings",
        places(pairs.b_k[wrong_k], score_k[wrong_k], texts),
    )


def _agreement(subject: Subject, pairs: Pairs) -> Finding:
    sample = subject.sample
    share = len(np.unique(pairs.b_k)) / sample.batch.n_structures
    texts = [f"equals {sample.name(a)}" for a in pairs.a_k]
    return Finding(
        "duplicates",
        Severity.WARNING if share > 0.01 else Severity.NOTE,
        100 * share,
        f"{len(np.unique(pairs.b_k))} structures equal others",
        "leave them out: they count twice, and may test what they train",
        places(pairs.b_k, np.zeros(len(pairs.b_k)), texts),
    )
