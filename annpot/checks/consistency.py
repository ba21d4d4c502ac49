"""Do energies change by the work of the forces? Units, signs, single errors."""

from __future__ import annotations

import itertools

import numpy as np

from annpot.checks.findings import Finding, Flags, Severity, places
from annpot.checks.subject import Subject
from annpot.structures.structure import Array, Integers
from annpot.units import ENERGIES, LENGTHS

RATIO_DISPLACEMENT = 0.2
"""angstrom: between structures further apart the ratio says little."""
LINEAR_DISPLACEMENT, LINEAR_STRAIN = 0.1, 0.03
"""Up to these (angstrom) the trapezoid rule holds to a part of the bend."""
BEND_SHARE = 0.5
"""Of the bend, which the energy may differ from the work. In sets of metals, oxides
and molecules from the literature it was below a quarter."""
ENERGY_TOLERANCE = 2e-3
"""eV/atom that it may differ on top."""
MIN_PAIRS = 6
"""Pairs that tell the ratio of energies and works."""
RATIO_TOLERANCE = 0.12
"""Of a ratio that is explained by units."""
GROSS = 5.0
"""Score from which on a contradiction is an error."""


def check_units_of_forces(subject: Subject) -> list[Finding]:
    """Find energies, forces and positions that are not in units that belong together.

    Method: `compute_ratio`, the median of dE over ``-F . dR`` along pairs of near
    structures. 1 is right, -1 are gradients in place of forces; the ratios of other
    units are listed by `explain_ratio`. An error, if it is further than
    `RATIO_TOLERANCE` from 1.
    """
    ratio, spread, n_pairs = compute_ratio(subject)
    if n_pairs < MIN_PAIRS or abs(ratio - 1) < max(RATIO_TOLERANCE, spread):
        return []
    reason = explain_ratio(ratio)
    return [
        Finding(
            "units of forces",
            Severity.ERROR if reason else Severity.WARNING,
            max(abs(ratio), 1 / abs(ratio)) if ratio else np.inf,
            f"between {n_pairs} pairs of near structures, energies change by "
            f"{ratio:.3g} times the work of the forces{reason and f': {reason}'}",
            "check the units and signs of energies, forces and positions",
        )
    ]


def compute_ratio(subject: Subject) -> tuple[float, float, int]:
    """Return the median of dE over the work of the forces, its spread, and of how many.

    Only pairs of equal cells count that are at most `RATIO_DISPLACEMENT` apart and have
    a work of at least half the bend, if work or dE is at least 1 meV/atom.
    The spread is half the distance of the quartiles, over the root of the number.
    """
    steps, sample = subject.steps, subject.sample
    dE_k = sample.energy_s[steps.b_k] - sample.energy_s[steps.a_k]
    work_k = steps.force_work_k
    atoms_k = sample.batch.atoms_s[steps.a_k]
    good_k = (steps.strain_k < 1e-6) & np.isfinite(work_k) & np.isfinite(dE_k)
    good_k &= steps.displacement_k < RATIO_DISPLACEMENT
    good_k &= np.abs(work_k) > BEND_SHARE * steps.bend_k
    # either may be tiny in other units
    good_k &= np.fmax(np.abs(work_k), np.abs(dE_k)) > 1e-3 * atoms_k
    if not good_k.any():
        return 1.0, 0.0, 0
    ratio_k = dE_k[good_k] / work_k[good_k]
    low, high = np.percentile(ratio_k, [25, 75])
    spread = (high - low) / 2 / np.sqrt(len(ratio_k))
    return float(np.median(ratio_k)), float(spread), len(ratio_k)


def explain_ratio(ratio: float) -> str:
    """Return which units give a ratio of energies and works, the simplest first.

    With energies, forces and positions in units e, f and r of what they should be in,
    the ratio is ``f r / e``.
    """
    if abs(ratio + 1) < RATIO_TOLERANCE:
        return "gradients in place of forces, or energies of the other sign"
    found = []
    for of_E, of_F, per, of_R in itertools.product(
        ENERGIES, ENERGIES, ("angstrom", "bohr"), ("angstrom", "bohr")
    ):
        if "ev" not in (of_E, of_F) and of_E != of_F:
            continue  # no program writes two energies that are not its own
        n_odd = (of_E != "ev") + (of_F != "ev" or per != "angstrom")
        n_odd += of_R != "angstrom"
        # the work in eV is larger than what is computed by these factors
        value = ENERGIES[of_F] / LENGTHS[per] * LENGTHS[of_R] / ENERGIES[of_E]
        if n_odd and abs(ratio / value - 1) < RATIO_TOLERANCE:
            text = f"energies in {of_E}, forces in {of_F}/{per}, positions in {of_R}"
            found.append((n_odd, abs(ratio / value - 1), text))
    found.sort()
    return " or ".join(text for n, _, text in found[:2] if n == found[0][0])


def check_energies_along_steps(subject: Subject) -> list[Finding]:
    """Find single energies or forces that contradict each other.

    Method: between near structures (displacements below `LINEAR_DISPLACEMENT`, strains
    below `LINEAR_STRAIN`) the energy changes by the work of the forces and the stress,
    by the trapezoid rule, to within `BEND_SHARE` of the bend (`Steps.bend_k`) plus
    `ENERGY_TOLERANCE`. A pair beyond is a warning, an error from `GROSS` times that.
    If all energies are in other units (`check_units_of_forces`), that is allowed for.
    """
    steps, sample = subject.steps, subject.sample
    atoms_k = sample.batch.atoms_s[steps.a_k]
    ratio, _, n_pairs = compute_ratio(subject)
    scale = ratio if n_pairs >= MIN_PAIRS and explain_ratio(ratio) else 1.0
    dE_k = (sample.energy_s[steps.b_k] - sample.energy_s[steps.a_k]) / scale
    work_k = steps.force_work_k + steps.stress_work_k
    score_k = np.abs(dE_k - work_k) / (
        BEND_SHARE * steps.bend_k + ENERGY_TOLERANCE * atoms_k
    )
    near_k = steps.displacement_k < LINEAR_DISPLACEMENT
    near_k &= steps.strain_k < LINEAR_STRAIN
    wrong_k = near_k & (score_k > 1)  # false for NaN
    if not wrong_k.any():
        return []
    known = int((near_k & np.isfinite(score_k)).sum())
    k = np.flatnonzero(wrong_k)
    worst = float(score_k[k].max())
    texts = [
        f"{dE:.4g} eV, but {work:.4g} eV by its forces, from {sample.name(a)}, "
        f"{distance:.2g} angstrom away"
        for dE, work, a, distance in zip(
            dE_k[k], work_k[k], steps.a_k[k], steps.displacement_k[k], strict=True
        )
    ]
    return [
        Finding(
            "energies against forces",
            Severity.ERROR if worst > GROSS else Severity.WARNING,
            worst,
            f"{len(k)} of {known} pairs of near structures have energies that do not "
            f"agree with their forces{_culprits(subject, k, near_k, score_k)}",
            "check these calculations: convergence, settings, mixed-up files",
            places(steps.b_k[k], score_k[k], texts),
        )
    ]


def _culprits(subject: Subject, k: Integers, near_k: Flags, score_k: Array) -> str:
    """Return the structures that all wrong pairs have in common, if there are few."""
    steps, sample = subject.steps, subject.sample
    n = sample.batch.n_structures
    ends = np.concatenate([steps.a_k[k], steps.b_k[k]])
    wrong_s = np.bincount(ends, minlength=n)
    good = near_k & (score_k <= 1)
    right_s = np.bincount(
        np.concatenate([steps.a_k[good], steps.b_k[good]]), minlength=n
    )
    blamed = np.flatnonzero((wrong_s > right_s) & (wrong_s > 1))
    if not 0 < len(blamed) <= 3:
        return ""
    return f": {', '.join(sample.name(int(s)) for s in blamed)}"
