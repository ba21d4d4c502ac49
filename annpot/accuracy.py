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


def compute_errors(
    dE_s: Array, atoms_s: Integers, dF_nc: Array, mask_n: Any = slice(None)
) -> Errors:
    """Return the errors of total energies and forces; NaN: no reference."""
    dE_s = dE_s / atoms_s
    dE_s = dE_s[np.isfinite(dE_s)]
    dF = dF_nc[mask_n]
    dF = dF[np.isfinite(dF)]

    def rmse(x: Array) -> float:
        return float(np.sqrt(np.mean(x**2))) if x.size else np.nan

    def mae(x: Array) -> float:
        return float(np.mean(np.abs(x))) if x.size else np.nan

    return Errors(rmse(dE_s), mae(dE_s), rmse(dF), mae(dF))
