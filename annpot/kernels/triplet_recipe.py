"""What the triplet kernel computes for an atom, and its work arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.environment import Neighbours
from annpot.kernels.lanes import WIDTH, aligned_zeros, lane_table

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
