"""Errors of energies and forces over whole sets, never means of errors of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from annpot.structures.structure import Array, Integers


@dataclass(frozen=True)
class Errors:
    """Root mean square and mean absolute errors over all structures of a set.

    Energies in eV/atom, components of forces in eV/angstrom; NaN without references.
    """

    energy_rmse: float
    energy_mae: float
    force_rmse: float
    force_mae: float


def sum_errors(dE_s: Array, atoms_s: Integers, dF_nc: Array) -> Array:
    """Return number, sum of squares and sum of sizes: of energies, of components.

    Of the errors of total energies, per atom, and of forces; NaN: no reference. Sums
    over parts of a set give `mean_errors`.
    """
    sums = []
    for error in (dE_s / atoms_s, dF_nc):
        known = error[np.isfinite(error)]
        sums += [len(known), np.sum(known**2), np.sum(np.abs(known))]
    return np.array(sums, dtype=float)


def mean_errors(sums: Array) -> Errors:
    """Return the errors of which `sum_errors` gave the sums; NaN without any."""
    n_E, square_E, size_E, n_F, square_F, size_F = sums.tolist()
    n_E, n_F = n_E or np.nan, n_F or np.nan
    return Errors(
        (square_E / n_E) ** 0.5, size_E / n_E, (square_F / n_F) ** 0.5, size_F / n_F
    )


class RunningErrors:
    """Sums up errors of structures one by one, without keeping them."""

    def __init__(self) -> None:
        self.n_energies = self.n_forces = 0
        self._sums = np.zeros(4)
        self._n_components = 0

    def add_energy(self, dE: float, n_atoms: int) -> None:
        """Add the error of a total energy, eV."""
        self.n_energies += 1
        self._sums[:2] += (dE / n_atoms) ** 2, abs(dE / n_atoms)

    def add_forces(self, dF_nc: Array) -> None:
        """Add the errors of the forces of a structure, eV/angstrom."""
        self.n_forces += 1
        self._n_components += dF_nc.size
        self._sums[2:] += np.sum(dF_nc**2), np.sum(np.abs(dF_nc))

    def add(self, other: RunningErrors) -> None:
        """Add what was summed up elsewhere."""
        self.n_energies += other.n_energies
        self.n_forces += other.n_forces
        self._sums += other._sums
        self._n_components += other._n_components

    def to_json(self) -> list[float]:
        """Return all that is known, as numbers."""
        return [self.n_energies, self.n_forces, self._n_components, *self._sums]

    @classmethod
    def from_json(cls, numbers: Any) -> RunningErrors:
        """Return what `to_json` described.

        Raises
        ------
        ValueError
            If it cannot be that.
        """
        known = isinstance(numbers, list)
        if not known or [*map(type, numbers)] != [int] * 3 + [float] * 4:
            raise ValueError("seven sums of errors expected")
        if any(x < 0 for x in numbers):
            raise ValueError("sums of errors that cannot be")
        errors = cls()
        errors.n_energies, errors.n_forces, errors._n_components = numbers[:3]
        errors._sums[:] = numbers[3:]
        return errors

    def errors(self) -> Errors:
        """Return the errors of all that was added; NaN if nothing was."""
        n_E, n_F = self.n_energies or np.nan, self._n_components or np.nan
        means = self._sums / (n_E, n_E, n_F, n_F)
        return Errors(means[0] ** 0.5, means[1], means[2] ** 0.5, means[3])
