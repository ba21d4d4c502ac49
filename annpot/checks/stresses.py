"""Do energies change by the work of the stress? Its units and its sign."""

from __future__ import annotations

import numpy as np

from annpot.checks.findings import Finding, Severity
from annpot.checks.subject import Subject
from annpot.units import ENERGIES, LENGTHS

MIN_PAIRS = 5
RATIO_TOLERANCE = 0.15
SHIFT_SHARE = 0.3
"""Of the work of the stress, which that of the forces may have."""
UNITS = {
    "GPa": 160.2176634,
    "kbar": 1602.176634,
    "hartree/bohr^3": LENGTHS["bohr"] ** 3 / ENERGIES["hartree"],
}
"""Of 1 eV/angstrom^3, by unit."""


def check_stresses(subject: Subject) -> list[Finding]:
    """Find stresses of the wrong sign or in other units.

    Method: the median of ``dE + F . dR`` over ``V stress : strain`` along pairs of
    structures with the same atoms in slightly different cells. 1 is right; -1: the sign
    is the other one (pressure is positive in VASP, negative here). Pairs count if the
    work is larger than the bend and `SHIFT_SHARE` covers the work of the forces; with
    fewer than `MIN_PAIRS` nothing is said.
    """
    steps, sample = subject.steps, subject.sample
    dE_k = sample.energy_s[steps.b_k] - sample.energy_s[steps.a_k]
    rest_k = dE_k - np.nan_to_num(steps.force_work_k)
    work_k = steps.stress_work_k
    atoms_k = sample.batch.atoms_s[steps.a_k]
    good_k = (steps.strain_k > 1e-4) & np.isfinite(work_k) & np.isfinite(rest_k)
    good_k &= np.abs(steps.force_work_k) < SHIFT_SHARE * np.abs(rest_k)
    good_k &= np.abs(rest_k) > 1e-3 * atoms_k
    good_k &= np.abs(work_k) > steps.bend_k
    if good_k.sum() < MIN_PAIRS:
        return []
    ratio = float(np.median(work_k[good_k] / rest_k[good_k]))
    if abs(ratio - 1) < RATIO_TOLERANCE:
        return []
    reason = _explain(ratio)
    return [
        Finding(
            "units of stresses",
            Severity.ERROR if reason else Severity.WARNING,
            max(abs(ratio), 1 / abs(ratio)) if ratio else np.inf,
            f"between {good_k.sum()} pairs of strained structures, the work of the "
            f"stress is {ratio:.3g} times the change of the energies{reason}",
            "annpot expects dE/dstrain / volume in eV/angstrom^3: negative under "
            "pressure",
        )
    ]


def _explain(ratio: float) -> str:
    sign = ", of the wrong sign" if ratio < 0 else ""
    if abs(abs(ratio) - 1) < RATIO_TOLERANCE:
        return f": {sign.removeprefix(', ')}"
    for unit, factor in UNITS.items():
        if abs(abs(ratio) / factor - 1) < RATIO_TOLERANCE:
            return f": in {unit}{sign}"
    return ""
