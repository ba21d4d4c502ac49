"""What was converted, against what it was before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annpot.errors import AnnpotError
from annpot.predictor import Predictor
from annpot.structures.structure import Array, Batch, Structure

TOLERANCE = 1e-9
"""Largest difference that is allowed: eV/atom, eV/angstrom, angstrom."""


@dataclass(frozen=True)
class Difference:
    """The largest differences between two potentials."""

    n_structures: int
    energy: float
    """eV/atom."""
    force: float
    """eV/angstrom."""

    def check(self, what: str) -> None:
        """Check that they are small enough.

        Raises
        ------
        AnnpotError
            If not, or if one is not a number.
        """
        if not (self.energy <= TOLERANCE and self.force <= TOLERANCE):
            raise AnnpotError(
                f"{what}: read back, energies differ by up to {self.energy:.1e} "
                f"eV/atom and forces by {self.force:.1e} eV/angstrom, "
                f"{TOLERANCE:.0e} allowed: nothing was written"
            )


def compare(
    before: Predictor, after: Predictor, batches: Sequence[Batch]
) -> Difference:
    """Return the largest differences of energies and forces on some structures."""
    dE = dF = 0.0
    for batch in batches:
        one = before.evaluate(batch.with_species(before.species))
        other = after.evaluate(batch.with_species(after.species))
        assert one.F_nc is not None
        assert other.F_nc is not None
        dE_s = np.abs(one.E_s - other.E_s) / batch.atoms_s
        dE = max(dE, float(dE_s.max(initial=0.0)))
        dF = max(dF, float(np.abs(one.F_nc - other.F_nc).max(initial=0.0)))
        if not np.isfinite([*dE_s, *other.F_nc.ravel()]).all():
            dE = dF = np.nan
    return Difference(sum(batch.n_structures for batch in batches), dE, dF)


def check_structures(
    before: Iterator[Structure], after: Iterator[Structure], what: str
) -> None:
    """Check that structures that were written are the same when they are read back.

    What a format cannot hold (cells that are not periodic, stresses, ...) is left out.

    Raises
    ------
    AnnpotError
        If one is missing or differs.
    """
    for number, (one, other) in enumerate(itertools.zip_longest(before, after)):
        where = f"{what}, structure {number}"
        if one is None or other is None or one.symbols != other.symbols:
            raise AnnpotError(
                f"{where}: read back, there are other atoms: nothing was written"
            )
        difference = _largest_difference(one, other)
        if not difference <= TOLERANCE:
            raise AnnpotError(
                f"{where}: read back, numbers differ by up to {difference:.1e}, "
                f"{TOLERANCE:.0e} allowed: nothing was written"
            )


def _largest_difference(one: Structure, other: Structure) -> float:
    """Return the largest of positions, cell vectors, energy per atom and forces."""
    periodic_c = one.pbc_c
    pairs: list[tuple[Array | float | None, Array | float | None]] = [
        (one.positions_nc, other.positions_nc),
        (one.cell_cc[periodic_c], other.cell_cc[periodic_c]),
        (_energy(one), _energy(other)),
        (one.forces_nc, other.forces_nc),
    ]
    if (one.pbc_c != other.pbc_c).any():
        return np.inf
    differences = [
        np.inf if b is None else float(np.abs(np.subtract(a, b)).max(initial=0.0))
        for a, b in pairs
        if a is not None
    ]
    return max(differences)


def _energy(structure: Structure) -> float | None:
    """Return the energy per atom, total or else cohesive."""
    energy = structure.energy
    if energy is None:
        energy = structure.cohesive_energy
    return None if energy is None else energy / len(structure)
