"""Angular symmetry functions that do not factorise, computed triplet by triplet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Cutoff(NamedTuple):
    """A cutoff function: n2p2's number 0-8, radius in angstrom, inner fraction."""

    shape: int
    radius: float
    alpha: float = 0.0


@dataclass(frozen=True)
class Compact:
    """Windows of a compact function: radii in angstrom, angles in degrees."""

    r_low: float
    r_high: float
    theta_low: float
    theta_high: float
    core: str
    """One of ``e``, ``p1``, ``p2``, ``p3``, ``p4``."""
    asymmetric: bool = False
    """Whether the radial window is bent; the angular one never is."""


@dataclass(frozen=True)
class TripletFunction:
    """One angular symmetry function of one central species, a sum over j < k.

    Either ``2^(1-zeta) (1 + lambda cos)^zeta`` times
    ``exp(-eta (r - rs)^2) fc(r)`` of r_ij, r_ik and, if ``r_jk``, of the third side;
    or, with ``compact``, an angular window times radial windows of the same sides.
    """

    feature: int
    """Number of the feature within the part."""
    pair: tuple[int, int] | None
    """Neighbour species, unordered; None: all, each weighted by its own weight."""
    r_jk: bool
    eta: float = 0.0
    rs: float = 0.0
    lambda_: float = 1.0
    zeta: float = 1.0
    cutoff: Cutoff | None = None
    compact: Compact | None = None
