"""Energies that are unlike the others."""

from __future__ import annotations

import numpy as np

from annpot.checks.findings import (
    Finding,
    Flags,
    Severity,
    places,
    robust_scale,
)
from annpot.checks.subject import Subject
from annpot.structures.structure import Array
from annpot.units import ENERGIES

MIN_STRUCTURES = 8
COMPOSITION_LIMIT = 5.0
"""Robust standard deviations from the energy of the composition."""
FEATURE_LIMIT = 10.0
"""Robust standard deviations from the energy by the features. Of 7700 structures in
sets from the literature the furthest was at 8.5."""
GROSS = 40.0
"""Such deviations that are an error."""
LEAST_SCALE = 1e-3
"""eV/atom: a set whose energies scatter less is not measured by its own scatter."""
UNIT_TOLERANCE = 0.03
WIDE = 30.0
"""eV/atom: a spread that no set of structures of one composition has."""
RIDGE = 1e-3


def check_energies(subject: Subject) -> list[Finding]:
    """Find energies that neither composition nor surroundings explain.

    Method: energies per atom are fitted to the composition by least absolute
    deviations (iterated least squares, which outliers do not move); the rest is fitted
    to the means of the features by ridge regression without the outliers. An energy
    beyond `COMPOSITION_LIMIT` of the first and `FEATURE_LIMIT` of the second, in robust
    standard deviations (median deviation, leave-one-out), is a warning, from `GROSS` on
    or if it is right in other units (to `UNIT_TOLERANCE`) an error.
    """
    sample = subject.sample
    known = np.flatnonzero(np.isfinite(sample.energy_s))
    if len(known) < MIN_STRUCTURES:
        return []
    atoms_s = sample.batch.atoms_s[known]
    share_st = sample.counts_st[known] / atoms_s[:, None]
    energy_s = sample.energy_s[known] / atoms_s
    by_composition_s = share_st @ fit_robustly(share_st, energy_s)
    rest_s = energy_s - by_composition_s
    z_s = _deviations(rest_s)
    inputs_sf = np.concatenate(
        [subject.surroundings.vector_sd[known], share_st], axis=1
    )
    fitted_s = z_s < 4 * COMPOSITION_LIMIT
    error_s = _leave_one_out(inputs_sf, rest_s, fitted_s)
    z_features_s = _deviations(error_s)
    score_s = np.minimum(z_s / COMPOSITION_LIMIT, z_features_s / FEATURE_LIMIT)
    found = np.flatnonzero(score_s > 1)
    if not len(found):
        return []
    expected_s = (energy_s - error_s)[found]
    units = [
        _guess_unit(e, x) for e, x in zip(energy_s[found], expected_s, strict=True)
    ]
    texts = [
        f"{e:.6g} eV/atom, expected about {x:.6g}{f': in {unit}?' if unit else ''}"
        for e, x, unit in zip(energy_s[found], expected_s, units, strict=True)
    ]
    gross = bool((z_features_s[found] > GROSS).any()) or any(units)
    return [
        Finding(
            "energy outliers",
            Severity.ERROR if gross else Severity.WARNING,
            float(score_s.max()),
            f"{len(found)} of {len(known)} energies are far from what composition and "
            "surroundings let expect",
            "check these calculations and their units, or leave them out",
            places(known[found], score_s[found], texts),
        )
    ]


def check_spread(subject: Subject) -> list[Finding]:
    """Find energies that scatter too much to be in eV.

    Method: the central 90 % of the energies per atom, less the fit to the composition,
    spread over more than `WIDE`: a warning. No structures of solids or molecules do.
    """
    sample = subject.sample
    known = np.flatnonzero(np.isfinite(sample.energy_s))
    if len(known) < MIN_STRUCTURES:
        return []
    share_st = sample.counts_st[known] / sample.batch.atoms_s[known][:, None]
    energy_s = sample.energy_s[known] / sample.batch.atoms_s[known]
    rest_s = energy_s - share_st @ fit_robustly(share_st, energy_s)
    low, high = np.percentile(rest_s, [5, 95])
    if high - low < WIDE:
        return []
    return [
        Finding(
            "spread of energies",
            Severity.WARNING,
            float((high - low) / WIDE),
            f"energies of equal compositions differ by {high - low:.3g} eV/atom",
            "check their units, and that all come from the same kind of calculation",
        )
    ]


def fit_robustly(share_st: Array, energy_s: Array) -> Array:
    """Return the energies of the species that minimise the sum of absolute errors.

    By iterated least squares with weights 1/|error|, Schlossmacher, J. Am. Stat. Assoc.
    68, 857 (1973), DOI 10.1080/01621459.1973.10481436.
    """
    weight_s: Array = np.ones(len(energy_s))
    fit_t: Array = np.zeros(share_st.shape[1])
    centre = np.median(energy_s)
    for _ in range(30):
        root_s = np.sqrt(weight_s)
        weighted_s = (energy_s - centre) * root_s
        found = np.linalg.lstsq(share_st * root_s[:, None], weighted_s, rcond=1e-8)
        fit_t = np.asarray(found[0], dtype=np.float64)
        error_s = np.abs(energy_s - centre - share_st @ fit_t)
        weight_s = 1.0 / np.maximum(error_s, 1e-4)
    return fit_t + centre


def _deviations(error_s: Array) -> Array:
    median, scale = robust_scale(error_s)
    return np.abs(error_s - median) / max(scale, LEAST_SCALE)


def _leave_one_out(inputs_sf: Array, values_s: Array, fitted_s: Flags) -> Array:
    """Return values minus what a ridge regression without them predicts."""
    X_sf = inputs_sf - inputs_sf[fitted_s].mean(axis=0)
    X_sf = np.concatenate([X_sf, np.ones((len(X_sf), 1))], axis=1)
    used_sf = X_sf[fitted_s]
    n = max(len(used_sf), 1)
    matrix_ff = used_sf.T @ used_sf / n + RIDGE * np.eye(X_sf.shape[1])
    weights_f = np.linalg.solve(matrix_ff, used_sf.T @ values_s[fitted_s] / n)
    inverse_ff = np.linalg.inv(matrix_ff)
    leverage_s = np.einsum("sf,fg,sg->s", X_sf, inverse_ff, X_sf) / n
    error_s = values_s - X_sf @ weights_f
    without_s: Array = error_s / np.maximum(1 - leverage_s, 0.1)
    return np.where(fitted_s, without_s, error_s)


def _guess_unit(energy: float, expected: float) -> str:
    """Return the unit in which an energy would be what is expected."""
    for unit, ev in ENERGIES.items():
        error = abs(energy * ev - expected)
        if unit != "ev" and error < UNIT_TOLERANCE * abs(expected):
            return unit
    return ""
