"""What the moments kernel reads and works with: recipe, pairs, layout, work arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.lanes import WIDTH, load, splat, square_root, store, where_first
from annpot.kernels.radial import inline

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Recipe(NamedTuple):
    """What the kernel computes for each central species ``s``; order -1: no such part.

    Distances in angstrom; a shell is the index of a cutoff in the pair list.
    """

    radial_order_s: Integers
    radial_cutoff_s: Array
    radial_shell_s: Integers
    angular_order_s: Integers
    angular_cutoff_s: Array
    angular_shell_s: Integers
    weights_sct: Array
    legendre_al: Array
    """``T_a = sum_l M_al P_l``, padded to the largest order."""
    harmonics: Array
    """`annpot.kernels.harmonics.recurrence_table`."""


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
def count_pairs(neighbours: Any, recipe: Any, n: int, s: int, t: int) -> Any:
    """Return first pair of atom n with species t; pairs of radial and angular part."""
    base = (n * neighbours.n_species + t) * neighbours.n_shells
    first = neighbours.first_g[base]
    radial, angular = 0, 0
    if recipe.radial_order_s[s] >= 0:
        radial = neighbours.first_g[base + recipe.radial_shell_s[s] + 1] - first
    if recipe.angular_order_s[s] >= 0:
        angular = neighbours.first_g[base + recipe.angular_shell_s[s] + 1] - first
    return first, radial, angular


@inline
def clear(lanes: Any, count: int) -> None:
    """Set the first lane accumulators to zero."""
    for i in range(count):
        store(lanes, i * WIDTH, splat(0.0))


@inline
def add_to_channels(
    group: Any, count: int, weights_ct: Any, t: int, channels: Any
) -> None:
    """Add the accumulators of species ``t`` to each channel, and clear them."""
    for i in range(count):
        value = load(group, i * WIDTH)
        store(group, i * WIDTH, splat(0.0))
        for c in range(len(weights_ct)):
            k = (c * count + i) * WIDTH
            store(channels, k, load(channels, k) + weights_ct[c, t] * value)


@inline
def add_self(weights_ct: Any, t: int, value: float, self_c: Any) -> None:
    """Add a sum of squares of species ``t`` to each channel."""
    for c in range(len(weights_ct)):
        self_c[c] += weights_ct[c, t] ** 2 * value


class Workspace(NamedTuple):
    """What one thread needs while it works on a chunk of atoms."""

    radial_group: Array
    radial_channels: Array
    moment_group: Array
    moment_channels: Array
    self_c: Array
    radial_ak: Array
    B_cm: Array
    B_m: Array
    B_mlk: Array
    block: Array
    virial: Array
    nothing_cc: Array


def make_workspace(recipe: Recipe) -> Workspace:
    """Return the work arrays of one thread."""
    n_radial = int(recipe.radial_order_s.max()) + 1
    n_angular = int(recipe.angular_order_s.max()) + 1
    n_channels = recipe.weights_sct.shape[1]
    return Workspace(
        np.zeros(2 * n_radial * WIDTH),
        np.zeros(n_channels * 2 * n_radial * WIDTH),
        np.zeros(n_angular**2 * WIDTH),
        np.zeros(n_channels * n_angular**2 * WIDTH),
        np.zeros(n_channels),
        np.zeros((n_radial, 2)),
        np.zeros((n_channels, n_angular**2)),
        np.zeros(n_angular**2),
        np.zeros((n_angular, n_angular, 4)),
        np.zeros(3 * WIDTH),
        np.zeros(9 * WIDTH),
        np.zeros((0, 3)),
    )
