"""All checks of ``annpot check``, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from annpot.checks.compositions import (
    check_compositions,
    check_features,
    check_labels,
    check_species,
)
from annpot.checks.consistency import (
    check_energies_along_steps,
    check_units_of_forces,
)
from annpot.checks.distances import (
    check_cells,
    check_isolated,
    check_short_distances,
    check_units_of_length,
)
from annpot.checks.duplicates import check_duplicates
from annpot.checks.energies import check_energies, check_spread
from annpot.checks.findings import Finding, rank
from annpot.checks.forces import check_large_forces, check_net_forces, check_torques
from annpot.checks.leakage import check_leakage
from annpot.checks.stresses import check_stresses
from annpot.checks.subject import Subject

CHECKS: tuple[Callable[[Subject], list[Finding]], ...] = (
    check_labels,
    check_duplicates,
    check_leakage,
    check_energies,
    check_spread,
    check_units_of_forces,
    check_energies_along_steps,
    check_net_forces,
    check_torques,
    check_large_forces,
    check_stresses,
    check_short_distances,
    check_units_of_length,
    check_cells,
    check_isolated,
    check_compositions,
    check_species,
    check_features,
)


def check(subject: Subject) -> list[Finding]:
    """Return all that was found, the worst first."""
    return rank(finding for check_one in CHECKS for finding in check_one(subject))
