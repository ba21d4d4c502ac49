"""Tangents of triplet functions: their derivatives times a vector.

How fast the features of `annpot.kernels.triplets` change when atoms and cell move.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.lanes import WIDTH, any_positive, load, store
from annpot.kernels.radial import inline
from annpot.kernels.triplet_recipe import (
    DX,
    R_DOT,
    R_INVERSE,
    SIDE,
    SIDE_DOT,
    U_DOT,
    UX,
    VX,
    R,
)
from annpot.kernels.triplet_slots import (
    list_near,
    near_block,
    place_neighbours,
    scalars,
    slots_of,
    vectors,
)
from annpot.kernels.triplets import (
    add_sums,
    clear_sums,
    set_active,
    set_common_bells,
    set_factors,
    species_of,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@kernel
def _place_velocities(
    n: int, neighbours: Any, recipe: Any, V_nc: Any, strain_cc: Any, work: Any
) -> None:
    """Set the rates of D, r and u of the neighbours; slopes of R become rates."""
    stride, place = work.stride, work.place
    s = neighbours.species_n[n]
    for t in range(neighbours.n_species):
        g = (n * neighbours.n_species + t) * neighbours.n_shells
        first, base = neighbours.first_g[g], work.base_t[t]
        for i in range(base, base + work.count_t[t]):
            j = neighbours.j_p[first + i - base]
            for c in range(3):
                v = V_nc[j, c] - V_nc[n, c]
                for b in range(len(strain_cc)):
                    v += place[(DX + b) * stride + i] * strain_cc[b, c]
                place[(VX + c) * stride + i] = v
        for k in range(base, base + work.count_t[t], WIDTH):
            ux, uy, uz = vectors(work, UX, k)
            vx, vy, vz = vectors(work, VX, k)
            r_dot = ux * vx + uy * vy + uz * vz
            inverse = load(place, R_INVERSE * stride + k)
            store(place, R_DOT * stride + k, r_dot)
            store(place, U_DOT * stride + k, inverse * (vx - r_dot * ux))
            store(place, (U_DOT + 1) * stride + k, inverse * (vy - r_dot * uy))
            store(place, (U_DOT + 2) * stride + k, inverse * (vz - r_dot * uz))
            for a in range(recipe.n_radial_s[s]):
                slope = load(work.radial_slopes, a * stride + k)
                store(work.radial_slopes, a * stride + k, slope * r_dot)


@inline
def _set_rates(j: int, slots: Any, work: Any) -> None:
    """Set the rates of the cosine and of r_jk^2 / 2 for all slots of k."""
    stride, across = work.stride, work.across
    (x, y, z), (p, q, s) = scalars(work, UX, j), scalars(work, U_DOT, j)
    (dx, dy, dz), (vx, vy, vz) = scalars(work, DX, j), scalars(work, VX, j)
    start, stop, nobody = slots
    for k in range(start, stop, WIDTH):
        (a, b, c), (ka, kb, kc) = vectors(work, UX, k), vectors(work, U_DOT, k)
        cosine = a * p + b * q + c * s + ka * x + kb * y + kc * z
        store(across, k, cosine)
        (a, b, c), (ka, kb, kc) = vectors(work, DX, k), vectors(work, VX, k)
        side = (a - dx) * (ka - vx) + (b - dy) * (kb - vy) + (c - dz) * (kc - vz)
        store(across, stride + k, side)
    across[nobody], across[stride + nobody] = 0.0, 0.0


@kernel
def _sum_tangents(h: int, n_species: int, recipe: Any, work: Any) -> None:
    """Sum the rates of the features of group ``h`` over its triplets."""
    t, v = species_of(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        slots = slots_of(t, v, j, work)
        near = list_near(h, j, slots, recipe, work)
        set_factors(h, n_species, near[2], True, recipe, work)
        _set_rates(j, slots, work)
        if near[0]:
            for k in range(0, near[2], WIDTH):
                rate = near_block(work.across, stride, k, near, work)
                rate = rate / load(work.triplet, SIDE * stride + k)
                store(work.triplet, SIDE_DOT * stride + k, rate)
        for m in range(n_active):
            p = work.active_m[m]
            last = _set_products(p, j, near, recipe, work)
            set_common_bells(p, j, near, last, 0, recipe, work)
            for i in range(recipe.first_term_p[p], recipe.first_term_p[p + 1]):
                at = _rates_with_bell(i, last, recipe, work)
                for e in range(recipe.first_entry_i[i], recipe.first_entry_i[i + 1]):
                    q = recipe.angular_e[e] * stride
                    value = load(work.sums, (e - first_entry) * WIDTH)
                    for k in range(0, last, WIDTH):
                        rate = load(work.product, at + stride + k)
                        value = value + rate * load(work.angular, q + k)
                        product = load(work.product, at + k)
                        value = value + product * load(work.angular_slopes, q + k)
                    store(work.sums, (e - first_entry) * WIDTH, value)


@inline
def _rates_with_bell(i: int, count: int, recipe: Any, work: Any) -> Any:
    """Multiply product and rate by the bell of a term; return where the results are.

    Row 4 of ``product`` holds the product alone, row 5 the rate of the exponent.
    """
    bell, stride = recipe.bell_i[i], work.stride
    if bell < 0:
        return 0
    for k in range(0, count, WIDTH):
        e = load(work.common, (1 + bell) * stride + k)
        decay = load(work.product, 4 * stride + k) * load(work.product, 5 * stride + k)
        rate = load(work.product, stride + k) - recipe.eta_i[i] * decay
        store(work.product, 2 * stride + k, e * load(work.product, k))
        store(work.product, 3 * stride + k, e * rate)
    return 2 * stride


@inline
def _set_products(p: int, j: int, near: Any, recipe: Any, work: Any) -> int:
    """Set product times rate of the cosine, and rate of the product.

    Returns the number of neighbours up to the last one that matters.
    """
    stride, last = work.stride, 0
    a, c = recipe.radial_p[p] * stride, recipe.side_p[p] * stride
    f, f_dot = work.radial[a + j], work.radial_slopes[a + j]
    for k in range(0, near[2], WIDTH):
        g = near_block(work.radial, a, k, near, work)
        g_dot = near_block(work.radial_slopes, a, k, near, work)
        product, rate = f * g, f * g_dot + f_dot * g
        last = k + WIDTH if any_positive(g) else last
        if c >= 0:
            side = load(work.side, c + k)
            side_dot = load(work.triplet, SIDE_DOT * stride + k)
            side_dot = side_dot * load(work.side_slopes, c + k)
            rate = rate * side + product * side_dot
            product = product * side
            _set_exponent_rate(p, j, k, near, recipe, work)
        store(work.product, 4 * stride + k, product)
        store(work.product, stride + k, rate)
        store(work.product, k, product * near_block(work.across, 0, k, near, work))
    return last


@inline
def _set_exponent_rate(
    p: int, j: int, k: int, near: Any, recipe: Any, work: Any
) -> None:
    """Set the rate of the sum of squares of three sides, less rs."""
    stride, place, rs = work.stride, work.place, recipe.rs_p[p]
    own = (place[R * stride + j] - rs) * place[R_DOT * stride + j]
    r = near_block(place, R * stride, k, near, work) - rs
    rate = r * near_block(place, R_DOT * stride, k, near, work) + own
    side = load(work.triplet, SIDE * stride + k) - rs
    rate = rate + side * load(work.triplet, SIDE_DOT * stride + k)
    store(work.product, 5 * stride + k, rate + rate)


@kernel
def add_tangents(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    V_nc: Any,
    structure_n: Any,
    strain_scc: Any,
    Gdot_f: Any,
) -> None:
    """Add the directional derivatives as `annpot.kernels.moment_tangents`."""
    for i in range(len(chunk_ki)):
        for n in range(chunk_ki[i, 0], chunk_ki[i, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
                continue
            strain_cc = work.nothing_cc
            if len(strain_scc) > 0:
                strain_cc = strain_scc[structure_n[n]]
            place_neighbours(n, neighbours, recipe, True, work)
            _place_velocities(n, neighbours, recipe, V_nc, strain_cc, work)
            for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                clear_sums(h, recipe, work)
                _sum_tangents(h, neighbours.n_species, recipe, work)
                add_sums(h, recipe, work, Gdot_f, f)
