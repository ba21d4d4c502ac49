"""What the triplet kernel computes for an atom, and its work arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.cutoffs import (
    arccosine,
    compact_function,
    core_function,
    cutoff_function,
    exponential,
)
from annpot.kernels.environment import Neighbours
from annpot.kernels.lanes import (
    WIDTH,
    absolute,
    load,
    splat,
    square_root,
    store,
    where_less,
)
from annpot.kernels.radial import inline

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

GAUSSIANS, COMPACT = 0, 1
"""Kinds of rows: ``exp(-eta (r - rs)^2) fc(r)`` for several eta, rs; one window."""

POWER, REAL_POWER, WINDOW = 0, 1, 2
"""Kinds of angular functions: ``(1 + lambda cos)^zeta`` with integer zeta, with any
zeta, and a window of the angle."""


class RadialRows(NamedTuple):
    """Rows of radial functions that share a cutoff function, in sets of rows."""

    first_g: Integers
    """Rows of set g are ``first_g[g]:first_g[g + 1]``."""
    kind_i: Integers
    shape_i: Integers
    """Cutoff function, or core."""
    first_i: Integers
    """Number of a row's first function in its set."""
    count_i: Integers
    start_i: Integers
    """First of a row's numbers in `parameters`: radius, alpha and eta, rs of each; or
    the ends of the window, and 1 if it is bent."""
    parameters: Array


class AngularFunctions(NamedTuple):
    """Functions of the angle; those of a group of triplets lie together."""

    kind_q: Integers
    power_q: Integers
    """Zeta as integer, or core."""
    parameters_qk: Array
    """Lambda, zeta; or centre of the window and its half width, radians."""


class TripletRecipe(NamedTuple):
    """Products of radial functions and, for each, the angular functions to multiply.

    A group h holds the triplets of a central species s with neighbours of two species.
    Its products ``R_a(r_ij) R_a(r_ik)``, some times ``R_a(r_jk)``, number p; each has
    entries e, which are an angular function q, a feature and a weight.
    """

    rows: RadialRows
    """Set s: all of central species s; set n_species + h: those of r_jk of group h."""
    angular: AngularFunctions
    n_radial_s: Integers
    shell_s: Integers
    r_far: float
    first_group_s: Integers
    species_hk: Integers
    reach_h: Array
    """Square of the r_jk beyond which a triplet contributes nothing."""
    has_side_h: Integers
    """Whether any product depends on r_jk."""
    has_window_h: Integers
    first_angular_h: Integers
    first_product_h: Integers
    radial_p: Integers
    side_p: Integers
    """Number of the function of r_jk in its set, or -1."""
    first_entry_p: Integers
    angular_e: Integers
    """Counted from the first of the group."""
    feature_e: Integers
    weight_e: Array


class TripletWorkspace(NamedTuple):
    """What one thread needs; neighbours of one atom have slots, padded by species."""

    base_t: Integers
    count_t: Integers
    stride: int
    """Number of slots."""
    place: Array
    """Rows of slots: unit vectors, distance vectors, r, 1/r; rates of D, r and u."""
    radial: Array
    radial_slopes: Array
    gradient: Array
    active_m: Integers
    angular: Array
    angular_slopes: Array
    side: Array
    side_slopes: Array
    sums: Array
    g_e: Array
    block: Array
    virial: Array
    nothing_cc: Array


UX, UY, UZ, DX, DY, DZ, R, R_INVERSE, VX, VY, VZ, R_DOT, U_DOT = range(13)
"""Rows of `TripletWorkspace.place`; U_DOT is the first of three."""


def make_triplet_workspace(
    recipe: TripletRecipe, neighbours: Neighbours
) -> TripletWorkspace:
    """Return the work arrays of one thread, for atoms with these neighbours."""
    starts = neighbours.first_g[:: neighbours.n_shells]
    count_nt = np.diff(starts).reshape(-1, neighbours.n_species)
    slots_nt = -(-count_nt // WIDTH) * WIDTH + WIDTH
    stride = int(slots_nt.sum(axis=1).max(initial=WIDTH))
    n_radial = int(recipe.n_radial_s.max(initial=0))
    n_angular = int(np.diff(recipe.first_angular_h).max(initial=0))
    n_products = int(np.diff(recipe.first_product_h).max(initial=0))
    n_entries = int(
        np.diff(recipe.first_entry_p[recipe.first_product_h]).max(initial=0)
    )
    return TripletWorkspace(
        base_t=np.zeros(neighbours.n_species, dtype=np.int64),
        count_t=np.zeros(neighbours.n_species, dtype=np.int64),
        stride=stride,
        place=np.zeros(15 * stride),
        radial=np.zeros(n_radial * stride),
        radial_slopes=np.zeros(n_radial * stride),
        gradient=np.zeros(3 * stride),
        active_m=np.zeros(n_products, dtype=np.int64),
        angular=np.zeros(n_angular * WIDTH),
        angular_slopes=np.zeros(n_angular * WIDTH),
        side=np.zeros(n_radial * WIDTH),
        side_slopes=np.zeros(n_radial * WIDTH),
        sums=np.zeros(n_entries * WIDTH),
        g_e=np.zeros(n_entries),
        block=np.zeros(2 * WIDTH),
        virial=np.zeros(9 * WIDTH),
        nothing_cc=np.zeros((0, 3)),
    )


@inline
def set_radials(
    rows: Any, g: int, r: Any, i: int, stride: int, phi: Any, slopes: Any
) -> None:
    """Set the functions of set ``g`` and their slopes; function a at a stride + i."""
    for row in range(rows.first_g[g], rows.first_g[g + 1]):
        start, shape, at = rows.start_i[row], rows.shape_i[row], rows.first_i[row]
        if rows.kind_i[row] == COMPACT:
            low, high = rows.parameters[start], rows.parameters[start + 1]
            bend = rows.parameters[start + 2] != 0.0
            f, dfdr = compact_function(shape, r, low, high, bend)
            store(phi, at * stride + i, f)
            store(slopes, at * stride + i, dfdr)
        else:
            radius, alpha = rows.parameters[start], rows.parameters[start + 1]
            f, dfdr = cutoff_function(shape, r, radius, alpha)
            for k in range(rows.count_i[row]):
                eta = rows.parameters[start + 2 + 2 * k]
                offset = r - rows.parameters[start + 3 + 2 * k]
                slope = (-eta) * offset
                bell = exponential(slope * offset)
                store(phi, (at + k) * stride + i, f * bell)
                slope = (slope + slope) * f + dfdr
                store(slopes, (at + k) * stride + i, slope * bell)


@inline
def integer_power(x: Any, n: int) -> Any:
    """Return ``x ** n``, n >= 0, by squaring."""
    power = splat(1.0)
    while n > 0:
        if n % 2 == 1:
            power = power * x
        x = x * x
        n //= 2
    return power


@inline
def real_power(x: Any, exponent: float, block: Any) -> Any:
    """Return ``x ** exponent`` in lanes where x > 0, else 0."""
    store(block, 0, x)
    for i in range(WIDTH):
        block[i] = block[i] ** exponent if block[i] > 0.0 else 0.0
    return load(block, 0)


@inline
def set_angulars(recipe: Any, h: int, cosine: Any, work: Any) -> None:
    """Set the angular functions of group ``h`` and their slopes by the cosine."""
    functions, first = recipe.angular, recipe.first_angular_h[h]
    theta, sine_inverse = cosine, cosine
    if recipe.has_window_h[h]:
        theta = arccosine(cosine)
        square = 1.0 - cosine * cosine
        # on a line the slope by theta is 0, and moving across does not change cos
        square = where_less(square, 1e-16, splat(1e-16), square)
        sine_inverse = 1.0 / square_root(square)
    for q in range(first, recipe.first_angular_h[h + 1]):
        kind, n = functions.kind_q[q], functions.power_q[q]
        parameters = functions.parameters_qk[q]
        if kind == WINDOW:
            f, slope = window(n, theta, parameters[0], parameters[1])
            slope = slope * sine_inverse
        else:
            f, slope = angular_power(kind, n, cosine, parameters, work.block)
        store(work.angular, (q - first) * WIDTH, f)
        store(work.angular_slopes, (q - first) * WIDTH, slope)


@inline
def window(core: int, theta: Any, centre: float, half_width: float) -> Any:
    """Return a window of the angle, and minus its slope."""
    scale = 1.0 / half_width
    offset = scale * theta - scale * centre
    x = absolute(offset)
    x = where_less(x, 1.0, x, splat(1.0))
    f, dfdx = core_function(core, x)
    zero = splat(0.0)
    slope = dfdx * where_less(offset, 0.0, splat(scale), splat(-scale))
    return where_less(x, 1.0, f, zero), where_less(x, 1.0, slope, zero)


@inline
def angular_power(kind: int, n: int, cosine: Any, parameters: Any, block: Any) -> Any:
    """Return ``(1 + lambda cos)^zeta`` and its slope by cos; 0 if not positive."""
    lambda_, zeta = parameters[0], parameters[1]
    x = lambda_ * cosine + 1.0
    zero = splat(0.0)
    if kind == POWER:
        power = integer_power(x, n - 1)
    else:
        power = real_power(x, zeta - 1.0, block)
    slope = (zeta * lambda_) * power
    minus = 0.0 - x
    f = where_less(minus, 0.0, power * x, zero)
    return f, where_less(minus, 0.0, slope, zero)
