"""The neighbours of atoms as kernels read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.lanes import WIDTH, load, splat, square_root, store, where_first
from annpot.kernels.radial import inline

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Neighbours(NamedTuple):
    """Directed pairs, grouped by central atom, neighbour species and cutoff shell.

    Group ``(n * n_species + t) * n_shells + k`` holds the pairs
    ``first_g[group]:first_g[group + 1]``. ``D_cp`` is padded by 8 pairs.
    """

    n_species: int
    n_shells: int
    species_n: Integers
    first_g: Integers
    j_p: NDArray[np.int32]
    D_cp: Array


@inline
def load_block(D_cp: Any, p: int, count: int, r_far: float) -> Any:
    """Return unit vectors, r and 1/r of eight pairs; r = r_far beyond ``count``."""
    x, y, z = load(D_cp[0], p), load(D_cp[1], p), load(D_cp[2], p)
    r = square_root(where_first(count, x * x + y * y + z * z, splat(r_far * r_far)))
    r_inverse = 1.0 / r
    return (x * r_inverse, y * r_inverse, z * r_inverse), r, r_inverse


@inline
def count_pairs(neighbours: Any, recipe: Any, n: int, g: int, t: int) -> Any:
    """Return first pair of atom n with species t; pairs of two-body sums, moments."""
    base = (n * neighbours.n_species + t) * neighbours.n_shells
    first = neighbours.first_g[base]
    two, three = 0, 0
    if recipe.shell_two_g[g] >= 0:
        two = neighbours.first_g[base + recipe.shell_two_g[g] + 1] - first
    if recipe.shell_three_g[g] >= 0:
        three = neighbours.first_g[base + recipe.shell_three_g[g] + 1] - first
    return first, two, three


@inline
def clear(lanes: Any, count: int) -> None:
    """Set the first lane accumulators to zero."""
    for i in range(count):
        store(lanes, i * WIDTH, splat(0.0))
