"""Forces of triplet functions: a vector times their derivatives.

For each triplet the derivatives of the features of `annpot.kernels.triplets` are
contracted over features: the slopes by the three sides and the cosine lead to forces.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear
from annpot.kernels.lanes import WIDTH, any_positive, load, scatter, splat, store, total
from annpot.kernels.radial import inline
from annpot.kernels.triplet_recipe import COSINE, DX, R_INVERSE, SIDE, UX, R
from annpot.kernels.triplet_slots import (
    list_near,
    near_block,
    place_neighbours,
    scalars,
    slots_of,
    vectors,
)
from annpot.kernels.triplets import (
    set_active,
    set_common_bells,
    set_factors,
    species_of,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def _add_to(sums: Any, i: int, value: Any) -> None:
    store(sums, i, load(sums, i) + value)


@inline
def _contract(i: int, first_entry: int, k: int, recipe: Any, work: Any) -> Any:
    """Return ``sum_e g_e Q_e`` and ``sum_e g_e dQ_e/dcos`` over a term's entries."""
    value, slope = splat(0.0), splat(0.0)
    for e in range(recipe.first_entry_i[i], recipe.first_entry_i[i + 1]):
        at = recipe.angular_e[e] * work.stride + k
        g = work.g_e[e - first_entry]
        value = value + g * load(work.angular, at)
        slope = slope + g * load(work.angular_slopes, at)
    return value, slope


@inline
def _contract_terms(
    p: int, first_entry: int, row: int, k: int, recipe: Any, work: Any
) -> Any:
    """Return the same over the terms of a product with their bells.

    And ``sum_e 2 eta g_e Q_e``, for the slopes of the bells.
    """
    value, slope, decay = splat(0.0), splat(0.0), splat(0.0)
    for i in range(recipe.first_term_p[p], recipe.first_term_p[p + 1]):
        v, d = _contract(i, first_entry, k, recipe, work)
        bell = recipe.bell_i[i]
        if bell >= 0:
            e = load(work.common, (row + 1 + bell) * work.stride + k)
            v, d = v * e, d * e
            decay = decay + (2.0 * recipe.eta_i[i]) * v
        value, slope = value + v, slope + d
    return value, slope, decay


@inline
def _common_row(h: int, p: int, recipe: Any) -> Any:
    """Return the row of ``common`` of a product when all have their own."""
    first = recipe.first_product_h[h]
    return p - first + recipe.first_step_p[p] - recipe.first_step_p[first]


@inline
def _slopes(
    h: int,
    j: int,
    k: int,
    near: Any,
    n_active: int,
    first_entry: int,
    recipe: Any,
    work: Any,
) -> Any:
    """Return dE/dr_ij, dE/dr_ik, dE/dr_jk and dE/dcos of eight triplets."""
    zero, stride = splat(0.0), work.stride
    by_j, by_k, by_side, by_cosine = zero, zero, zero, zero
    r_j = work.place[R * stride + j]
    r_k = near_block(work.place, R * stride, k, near, work)
    for m in range(n_active):
        p = work.active_m[m]
        a, c = recipe.radial_p[p] * stride, recipe.side_p[p]
        g = near_block(work.radial, a, k, near, work)
        if not any_positive(g):
            continue
        row = _common_row(h, p, recipe)
        value, slope, decay = _contract_terms(p, first_entry, row, k, recipe, work)
        f, dfdr = work.radial[a + j], work.radial_slopes[a + j]
        dgdr = near_block(work.radial_slopes, a, k, near, work)
        if c >= 0:
            side = load(work.side, c * stride + k)
            dside = load(work.side_slopes, c * stride + k)
            by_side = by_side + value * (f * g) * dside
            g, dgdr = g * side, dgdr * side
            rs, decay = recipe.rs_p[p], decay * (f * g)
            r_jk = load(work.triplet, SIDE * stride + k)
            by_side = by_side - decay * (r_jk - rs)
            by_j = by_j - (r_j - rs) * decay
            by_k = by_k - decay * (r_k - rs)
        by_j = by_j + value * (dfdr * g)
        by_k = by_k + value * (f * dgdr)
        by_cosine = by_cosine + slope * (f * g)
    return by_j, by_k, by_side, by_cosine


@inline
def _set_across(
    h: int, j: int, near: Any, n_active: int, first_entry: int, recipe: Any, work: Any
) -> Any:
    """Set the derivatives of each triplet, and return their sum along u_j."""
    stride, (has_side, start, count) = work.stride, near
    r_j, inverse_j = work.place[R * stride + j], work.place[R_INVERSE * stride + j]
    for m in range(n_active):
        p = work.active_m[m]
        row = _common_row(h, p, recipe)
        set_common_bells(p, j, near, count, row, recipe, work)
    along = splat(0.0)
    for k in range(0, count, WIDTH):
        by_j, by_k, by_side, by_cosine = _slopes(
            h, j, k, near, n_active, first_entry, recipe, work
        )
        if has_side:
            by_side = by_side / load(work.triplet, SIDE * stride + k)
        cosine = load(work.triplet, COSINE * stride + k)
        r_k = near_block(work.place, R * stride, k, near, work)
        across_j = by_cosine * inverse_j
        across_k = by_cosine * near_block(work.place, R_INVERSE * stride, k, near, work)
        along = along + by_j - cosine * across_j + by_side * r_j
        along_k = by_k - cosine * across_k + by_side * r_k
        across_j, across_k = across_j - by_side * r_k, across_k - by_side * r_j
        if has_side:
            scatter(work.across, 0, work.slot_k, k, along_k)
            scatter(work.across, stride, work.slot_k, k, across_j)
            scatter(work.across, 2 * stride, work.slot_k, k, across_k)
        else:
            store(work.across, start + k, along_k)
            store(work.across, stride + start + k, across_j)
            store(work.across, 2 * stride + start + k, across_k)
    return along


@inline
def _clear_across(start: int, stop: int, work: Any) -> None:
    zero = splat(0.0)
    for row in range(3):
        for k in range(start, stop, WIDTH):
            store(work.across, row * work.stride + k, zero)


@kernel
def add_gradients(h: int, n_species: int, recipe: Any, work: Any) -> None:
    """Add the derivatives by D_j and D_k of the triplets of group ``h``."""
    t, v = species_of(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride, across = work.stride, work.across
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        slots = slots_of(t, v, j, work)
        near = list_near(h, j, slots, recipe, work)
        set_factors(h, n_species, near[2], True, recipe, work)
        start, stop, _ = slots
        if near[0]:
            _clear_across(start, stop, work)
        along = _set_across(h, j, near, n_active, first_entry, recipe, work)
        x, y, z = scalars(work, UX, j)
        gx, gy, gz = along * x, along * y, along * z
        for k in range(start, stop, WIDTH):
            ux, uy, uz = vectors(work, UX, k)
            along_k, across_j = load(across, k), load(across, stride + k)
            across_k = load(across, 2 * stride + k)
            gx, gy, gz = gx + across_j * ux, gy + across_j * uy, gz + across_j * uz
            _add_to(work.gradient, k, along_k * ux + across_k * x)
            _add_to(work.gradient, stride + k, along_k * uy + across_k * y)
            _add_to(work.gradient, 2 * stride + k, along_k * uz + across_k * z)
        work.gradient[j] += total(gx)
        work.gradient[stride + j] += total(gy)
        work.gradient[2 * stride + j] += total(gz)


@kernel
def _add_forces_of_atom(
    n: int, neighbours: Any, work: Any, F_nc: Any, shift: int, virial_cc: Any
) -> None:
    """Add what the gradients by the pairs of atom ``n`` amount to."""
    stride = work.stride
    for t in range(neighbours.n_species):
        g = (n * neighbours.n_species + t) * neighbours.n_shells
        first, base = neighbours.first_g[g], work.base_t[t]
        for i in range(work.count_t[t]):
            j = neighbours.j_p[first + i] + shift
            for c in range(3):
                gradient = work.gradient[c * stride + base + i]
                F_nc[n + shift, c] += gradient
                F_nc[j, c] -= gradient
                for b in range(len(virial_cc)):
                    D = work.place[(DX + b) * stride + base + i]
                    virial_cc[b, c] -= D * gradient


@kernel
def add_forces(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    dEdG_kf: Any,
    F_knc: Any,
    virial_kncc: Any,
) -> None:
    """Add forces and virials as `annpot.kernels.moment_forces.add_forces` does."""
    for i in range(len(chunk_ki)):
        shift = chunk_ki[i, 4] - chunk_ki[i, 2]
        for n in range(chunk_ki[i, 0], chunk_ki[i, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
                continue
            place_neighbours(n, neighbours, recipe, True, work)
            for k in range(len(dEdG_kf)):
                clear(work.gradient, len(work.gradient) // WIDTH)
                for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                    first = recipe.first_entry_p[recipe.first_product_h[h]]
                    last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
                    for e in range(first, last):
                        g = dEdG_kf[k, f + recipe.feature_e[e]]
                        work.g_e[e - first] = recipe.weight_e[e] * g
                    add_gradients(h, neighbours.n_species, recipe, work)
                virial_cc = work.nothing_cc
                if virial_kncc.shape[1] > 0:
                    virial_cc = virial_kncc[k, n]
                _add_forces_of_atom(n, neighbours, work, F_knc[k], shift, virial_cc)
