"""Distances to the nearest neighbours."""

from __future__ import annotations

import math
from typing import Any

from annpot.kernels.compilation import compiled


@compiled()
def nearest_distances(
    n_species: int, n_shells: int, first_g: Any, D_cp: Any, r_nt: Any
) -> None:
    """Set the distance from each atom to its nearest neighbour of each species.

    The arguments are those of `annpot.kernels.environment.Neighbours`; the distance is
    infinite where there is no such neighbour.
    """
    for n in range(len(r_nt)):
        for t in range(n_species):
            base = (n * n_species + t) * n_shells
            least = math.inf
            for p in range(first_g[base], first_g[base + n_shells]):
                r2 = D_cp[0, p] ** 2 + D_cp[1, p] ** 2 + D_cp[2, p] ** 2
                least = min(least, r2)
            r_nt[n, t] = math.sqrt(least)
