"""What a converted potential gives, against what it gave before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annpot.errors import AnnpotError
from annpot.predictor import Predictor
from annpot.structures.structure import Batch

TOLERANCE = 1e-9
"""Largest difference that is allowed: eV/atom and eV/angstrom."""


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
