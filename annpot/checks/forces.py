"""Forces that no calculation gives: not summing to zero, turning molecules, huge."""

from __future__ import annotations

import numpy as np

from annpot.checks.duplicates import force_sizes
from annpot.checks.findings import Finding, Severity, places
from annpot.checks.subject import Subject
from annpot.structures.structure import Array

NET_FORCE = 0.01
"""eV/angstrom times the root of the number of atoms: sum that is left by round-off."""
NET_SHARE = 0.05
"""Of the size of all forces of the structure."""
GROSS_SHARE = 0.3
TORQUE = 0.03
"""eV, times the root of the number of atoms and the radius in angstrom."""
LARGE_FORCE = 30.0
"""eV/angstrom."""
HUGE_FORCE = 200.0


def check_net_forces(subject: Subject) -> list[Finding]:
    """Find forces that do not sum to zero.

    Method: without an external field the sum vanishes, but for the noise of grids. A
    sum beyond `NET_FORCE` and `NET_SHARE` of the root of the sum of squares is a
    warning, beyond `GROSS_SHARE` of it an error. If more than half of the structures
    are concerned, atoms may have been held, and it is a warning.
    """
    sample = subject.sample
    first_s, atoms_s = sample.batch.first_s[:-1], sample.batch.atoms_s
    net_sc = np.add.reduceat(sample.forces_nc, first_s)
    net_s = np.linalg.norm(net_sc, axis=1)
    size_s = force_sizes(subject) * np.sqrt(3 * atoms_s)
    return _report_sums(
        net_s, NET_FORCE * np.sqrt(atoms_s), size_s, "net forces",
        "eV/angstrom", "forces that do not sum to zero",
    )  # fmt: skip


def check_torques(subject: Subject) -> list[Finding]:
    """Find forces that turn molecules.

    Method: without an external field, the torque about the centre vanishes for
    structures without periodicity; limits as for sums, times the root mean square
    distance from the centre.
    """
    sample, batch = subject.sample, subject.sample.batch
    first_s, atoms_s = batch.first_s[:-1], batch.atoms_s
    free_s = ~batch.pbc_sc.any(axis=1) & (atoms_s > 1)
    if not free_s.any():
        return []
    centre_sc = np.add.reduceat(batch.positions_nc, first_s) / atoms_s[:, None]
    arm_nc = batch.positions_nc - np.repeat(centre_sc, atoms_s, axis=0)
    torque_sc = np.add.reduceat(np.cross(arm_nc, sample.forces_nc), first_s)
    radius_s = np.sqrt(np.add.reduceat((arm_nc**2).sum(axis=1), first_s) / atoms_s)
    torque_s = np.where(free_s, np.linalg.norm(torque_sc, axis=1), 0.0)
    size_s = force_sizes(subject) * np.sqrt(3 * atoms_s) * radius_s
    return _report_sums(
        torque_s, TORQUE * np.sqrt(atoms_s) * radius_s, size_s, "torques",
        "eV", "forces that turn them as a whole, though they are not periodic",
    )  # fmt: skip


def _report_sums(
    sum_s: Array,
    limit_s: Array,
    size_s: Array,
    check: str,
    unit: str,
    what: str,
) -> list[Finding]:
    score_s = sum_s / np.maximum(np.maximum(limit_s, NET_SHARE * size_s), 1e-300)
    found = np.flatnonzero(score_s > 1)  # false for NaN
    if not len(found):
        return []
    share_s = sum_s / np.maximum(size_s, 1e-300)
    n_known = int(np.isfinite(sum_s).sum())
    common = len(found) > n_known / 2
    gross = bool((share_s[found] > GROSS_SHARE).any()) and not common
    texts = [f"{sum_s[s]:.3g} {unit}, {share_s[s]:.0%} of their size" for s in found]
    advice = "check these structures: is a force wrong, or an atom missing?"
    if common:
        advice = "were atoms held, or was there a field? Then fit without these forces"
    return [
        Finding(
            check,
            Severity.ERROR if gross else Severity.WARNING,
            float(score_s[found].max()),
            f"{len(found)} of {n_known} structures have {what}",
            advice,
            places(found, score_s[found], texts),
        )
    ]


def check_large_forces(subject: Subject) -> list[Finding]:
    """Find the largest forces.

    Method: atoms with forces above `LARGE_FORCE` dominate a fit: a warning; above
    `HUGE_FORCE` the structure or its units are wrong: an error.
    """
    sample, batch = subject.sample, subject.sample.batch
    size_n = np.linalg.norm(np.nan_to_num(sample.forces_nc), axis=1)
    largest_s = np.maximum.reduceat(size_n, batch.first_s[:-1])
    found = np.flatnonzero(largest_s > LARGE_FORCE)
    if not len(found):
        return []
    worst = float(largest_s.max())
    return [
        Finding(
            "large forces",
            Severity.ERROR if worst > HUGE_FORCE else Severity.WARNING,
            worst / LARGE_FORCE,
            f"{len(found)} structures have forces above {LARGE_FORCE:g} eV/angstrom",
            "leave them out, unless such collisions matter, and check the units",
            places(
                found,
                largest_s[found],
                [f"up to {largest_s[s]:.4g} eV/angstrom" for s in found],
            ),
        )
    ]
