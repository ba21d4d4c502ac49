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
    aligned_zeros,
    lane_table,
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
    first_step_i: Integers
    """The bells of a row are computed in steps: ``exp(-eta (r - rs)^2)``, or a power
    of an earlier one; in `powers_sk` the number of that, or -1, and the power."""
    powers_sk: Integers
    exponents_sk: Array
    """Eta and rs."""
    bell_i: Integers
    """For each function of a row, from ``first_bell_i`` on: the step that it is."""
    first_bell_i: Integers


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
    Its products ``R_a(r_ij) R_a(r_ik)``, some times ``R_a(r_jk)``, number p, have
    terms, times a bell of the three sides or not; each term has entries e, which are an
    angular function q, a feature and a weight.
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
    rs_p: Array
    first_step_p: Integers
    """Steps to the bells of all three sides in one, as in `RadialRows`:
    ``exp(-eta [(r_ij - rs)^2 + (r_ik - rs)^2 + (r_jk - rs)^2])``."""
    powers_sk: Integers
    eta_s: Array
    first_term_p: Integers
    """A term of a product is one bell, or none, and its entries."""
    eta_i: Array
    bell_i: Integers
    """Counted from the first step of the product, or -1."""
    first_entry_i: Integers
    first_entry_p: Integers
    angular_e: Integers
    """Counted from the first of the group."""
    feature_e: Integers
    weight_e: Array


class TripletWorkspace(NamedTuple):
    """What one thread needs; neighbours of one atom have slots, padded by species.

    Arrays hold rows of ``stride`` numbers: one for each slot, or one for each of the
    neighbours k that are near enough to one neighbour j, which are listed.
    """

    base_t: Integers
    count_t: Integers
    stride: int
    place: Array
    """Rows: unit vectors, distance vectors, r, 1/r; rates of D, r and u."""
    radial: Array
    radial_slopes: Array
    gradient: Array
    active_m: Integers
    """Products that neighbour j takes part in."""
    slot_k: Integers
    """The slots that are listed."""
    table: NDArray[np.uint8]
    """`annpot.kernels.lanes.lane_table`."""
    triplet: Array
    """Rows: r_jk, cosine; for windows theta and 1 / sine; for tangents the rate of
    r_jk."""
    across: Array
    """Rows of slots: derivatives along u_k and across both; or r_jk^2 and cosine; or
    their rates."""
    cutoff: Array
    """Rows: value and slope of a cutoff function."""
    bells: Array
    common: Array
    """Rows: sum of the squares of three sides, less rs; bells of that."""
    side: Array
    side_slopes: Array
    angular: Array
    angular_slopes: Array
    product: Array
    """Rows: products of radial functions; their rates; both times a bell."""
    sums: Array
    g_e: Array
    nothing_cc: Array


UX, UY, UZ, DX, DY, DZ, R, R_INVERSE, VX, VY, VZ, R_DOT, U_DOT = range(13)
"""Rows of `TripletWorkspace.place`; U_DOT is the first of three."""

SIDE, COSINE, THETA, SINE_INVERSE, SIDE_DOT = range(5)
"""Rows of `TripletWorkspace.triplet`."""


def make_triplet_workspace(
    recipe: TripletRecipe, neighbours: Neighbours
) -> TripletWorkspace:
    """Return the work arrays of one thread, for atoms with these neighbours."""
    starts = neighbours.first_g[:: neighbours.n_shells]
    count_nt = np.diff(starts).reshape(-1, neighbours.n_species)
    slots_nt = -(-count_nt // WIDTH) * WIDTH + WIDTH
    stride = int(slots_nt.sum(axis=1).max(initial=WIDTH))
    n_radial = int(recipe.n_radial_s.max(initial=0))
    n_steps = int(np.diff(recipe.rows.first_step_i).max(initial=0))
    n_common = int(np.diff(recipe.first_step_p[recipe.first_product_h]).max(initial=0))
    n_angular = int(np.diff(recipe.first_angular_h).max(initial=0))
    n_products = int(np.diff(recipe.first_product_h).max(initial=0))
    n_entries = int(
        np.diff(recipe.first_entry_p[recipe.first_product_h]).max(initial=0)
    )
    return TripletWorkspace(
        base_t=np.zeros(neighbours.n_species, dtype=np.int64),
        count_t=np.zeros(neighbours.n_species, dtype=np.int64),
        stride=stride,
        place=aligned_zeros(15 * stride),
        radial=aligned_zeros(n_radial * stride),
        radial_slopes=aligned_zeros(n_radial * stride),
        gradient=aligned_zeros(3 * stride),
        active_m=np.zeros(n_products, dtype=np.int64),
        slot_k=np.zeros(stride + WIDTH, dtype=np.int64),
        table=lane_table(),
        triplet=aligned_zeros(5 * stride),
        across=aligned_zeros(3 * stride),
        cutoff=aligned_zeros(2 * stride),
        bells=aligned_zeros(2 * n_steps * WIDTH),
        common=aligned_zeros((n_products + n_common) * stride),
        side=aligned_zeros(n_radial * stride),
        side_slopes=aligned_zeros(n_radial * stride),
        angular=aligned_zeros(n_angular * stride),
        angular_slopes=aligned_zeros(n_angular * stride),
        product=aligned_zeros(6 * stride),
        sums=aligned_zeros(n_entries * WIDTH),
        g_e=aligned_zeros(n_entries),
        nothing_cc=np.zeros((0, 3)),
    )


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
def set_radials(
    rows: Any,
    g: int,
    distances: Any,
    target: Any,
    n_blocks: int,
    with_slopes: bool,
    work: Any,
) -> None:
    """Set the functions of set ``g``, and their slopes, for some blocks of distances.

    ``distances`` and ``target`` are an array and where to begin in it, and two arrays
    and where to begin in the row of each function. May write one block more.
    """
    phi, slopes, start = target
    for row in range(rows.first_g[g], rows.first_g[g + 1]):
        at = (phi, slopes, rows.first_i[row] * work.stride + start)
        if rows.kind_i[row] == COMPACT:
            _set_compact(rows, row, distances, at, n_blocks)
        else:
            _set_gaussians(rows, row, distances, at, n_blocks, with_slopes, work)


@inline
def _set_compact(
    rows: Any, row: int, distances: Any, target: Any, n_blocks: int
) -> None:
    """Set the window of a row, and its slope."""
    (r_k, first), (phi, slopes, at) = distances, target
    core, number = rows.shape_i[row], rows.start_i[row]
    low, high = rows.parameters[number], rows.parameters[number + 1]
    bend = rows.parameters[number + 2] != 0.0
    for i in range(0, n_blocks * WIDTH, WIDTH):
        f, dfdr = compact_function(core, load(r_k, first + i), low, high, bend)
        store(phi, at + i, f)
        store(slopes, at + i, dfdr)


@inline
def _set_gaussians(
    rows: Any,
    row: int,
    distances: Any,
    target: Any,
    n_blocks: int,
    with_slopes: bool,
    work: Any,
) -> None:
    """Set the Gaussians of a row times their cutoff function, and their slopes."""
    (r_k, first), (phi, slopes, at) = distances, target
    shape, number, stride = rows.shape_i[row], rows.start_i[row], work.stride
    radius, alpha = rows.parameters[number], rows.parameters[number + 1]
    for i in range(0, n_blocks * WIDTH, WIDTH):
        f, dfdr = cutoff_function(shape, load(r_k, first + i), radius, alpha)
        store(work.cutoff, i, f)
        if with_slopes:
            store(work.cutoff, stride + i, dfdr)
    if rows.first_step_i[row] == rows.first_step_i[row + 1]:
        for i in range(0, n_blocks * WIDTH, WIDTH):
            store(phi, at + i, load(work.cutoff, i))
            if with_slopes:
                store(slopes, at + i, load(work.cutoff, stride + i))
        return
    # two blocks at a time, since each bell waits for those before
    for i in range(0, n_blocks * WIDTH, 2 * WIDTH):
        _set_bells(rows, row, r_k, first + i, work.bells)
        for k in range(rows.count_i[row]):
            bell = 2 * rows.bell_i[rows.first_bell_i[row] + k] * WIDTH
            double_eta = 2.0 * rows.parameters[number + 2 + 2 * k]
            rs = rows.parameters[number + 3 + 2 * k]
            for b in range(0, 2 * WIDTH, WIDTH):
                e, f = load(work.bells, bell + b), load(work.cutoff, i + b)
                store(phi, at + k * stride + i + b, f * e)
                if with_slopes:
                    f = double_eta * ((load(r_k, first + i + b) - rs) * f)
                    f = load(work.cutoff, stride + i + b) - f
                    store(slopes, at + k * stride + i + b, f * e)


@inline
def _set_bells(rows: Any, row: int, r_k: Any, first: int, bells: Any) -> None:
    """Set the Gaussians of a row, as few as possible by an exponential."""
    r, q = load(r_k, first), load(r_k, first + WIDTH)
    first_step = rows.first_step_i[row]
    for step in range(first_step, rows.first_step_i[row + 1]):
        i = 2 * (step - first_step) * WIDTH
        source, n = 2 * rows.powers_sk[step, 0] * WIDTH, rows.powers_sk[step, 1]
        if source >= 0:
            bell = integer_power(load(bells, source), n)
            other = integer_power(load(bells, source + WIDTH), n)
        else:
            eta, rs = -rows.exponents_sk[step, 0], rows.exponents_sk[step, 1]
            bell = exponential(eta * ((r - rs) * (r - rs)))
            other = exponential(eta * ((q - rs) * (q - rs)))
        store(bells, i, bell)
        store(bells, i + WIDTH, other)


@inline
def set_angulars(
    recipe: Any, h: int, n_blocks: int, with_slopes: bool, work: Any
) -> None:
    """Set the angular functions of group ``h``, and their slopes by the cosine."""
    functions, first = recipe.angular, recipe.first_angular_h[h]
    stride, triplet = work.stride, work.triplet
    if recipe.has_window_h[h]:
        for i in range(0, n_blocks * WIDTH, WIDTH):
            theta, sine_inverse = angle(load(triplet, COSINE * stride + i))
            store(triplet, THETA * stride + i, theta)
            store(triplet, SINE_INVERSE * stride + i, sine_inverse)
    for q in range(first, recipe.first_angular_h[h + 1]):
        at = (q - first) * stride
        if functions.kind_q[q] == WINDOW:
            _set_window(functions, q, at, n_blocks * WIDTH, with_slopes, work)
        else:
            _set_power(functions, q, at, n_blocks * WIDTH, work)


@inline
def _set_window(
    functions: Any, q: int, at: int, count: int, with_slopes: bool, work: Any
) -> None:
    """Set a window of the angle, and its slope by the cosine."""
    stride, triplet, core = work.stride, work.triplet, functions.power_q[q]
    centre, half_width = functions.parameters_qk[q, 0], functions.parameters_qk[q, 1]
    for i in range(0, count, WIDTH):
        theta = load(triplet, THETA * stride + i)
        f, slope = window(core, theta, centre, half_width)
        store(work.angular, at + i, f)
        if with_slopes:
            slope = slope * load(triplet, SINE_INVERSE * stride + i)
            store(work.angular_slopes, at + i, slope)


@inline
def _set_power(functions: Any, q: int, at: int, count: int, work: Any) -> None:
    """Set ``(1 + lambda cos)^zeta`` and its slope by the cosine; 0 if not positive."""
    lambda_, zeta = functions.parameters_qk[q, 0], functions.parameters_qk[q, 1]
    is_real, n = functions.kind_q[q] == REAL_POWER, functions.power_q[q]
    cosine_at = COSINE * work.stride
    if is_real:
        _set_real_powers(lambda_, zeta - 1.0, at, count, work)
    for i in range(0, count, WIDTH):
        x = lambda_ * load(work.triplet, cosine_at + i) + 1.0
        power = load(work.angular, at + i) if is_real else integer_power(x, n - 1)
        f, slope = power * x, (zeta * lambda_) * power
        if abs(lambda_) > 1.0:
            f, slope = _where_positive(x, f), _where_positive(x, slope)
        store(work.angular, at + i, f)
        store(work.angular_slopes, at + i, slope)


@inline
def _where_positive(x: Any, value: Any) -> Any:
    """Return ``value`` in lanes where x > 0, else 0."""
    return where_less(0.0 - x, 0.0, value, splat(0.0))


@inline
def _set_real_powers(
    lambda_: float, exponent: float, at: int, count: int, work: Any
) -> None:
    """Set the powers of ``1 + lambda cos`` where that is positive, else 0."""
    for i in range(count):
        x = lambda_ * work.triplet[COSINE * work.stride + i] + 1.0
        work.angular[at + i] = x**exponent if x > 0.0 else 0.0


@inline
def angle(cosine: Any) -> Any:
    """Return theta and 1 / sin theta; a cosine beyond 1 by round-off counts as 1."""
    one = splat(1.0)
    cosine = where_less(cosine, 1.0, cosine, one)
    cosine = where_less(0.0 - cosine, 1.0, cosine, 0.0 - one)
    square = 1.0 - cosine * cosine
    # on a line the slope by theta is 0, and moving across does not change cos
    square = where_less(square, 1e-16, splat(1e-16), square)
    return arccosine(cosine), 1.0 / square_root(square)


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
