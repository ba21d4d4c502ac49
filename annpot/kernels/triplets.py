"""The triplet kernel: angular symmetry functions that do not factorise.

For each central atom i and each pair of species of its neighbours, features are

    G_e = w_e sum_{j<k} P_p(r_ij, r_ik, r_jk) Q_q(cos theta_jik),
    P_p = R_a(r_ij) R_a(r_ik) [R_a(r_jk) bell(r_ij, r_ik, r_jk)],

with few distinct radial functions R, products P and angular functions Q among many
features e = (p, q). With r_jk, the Gaussians of the three sides are one, the bell;
otherwise those of r_ij belong to R and are computed once per pair. Each triplet is
visited once for all features, eight neighbours k at a time for one neighbour j; what
lies beyond the cutoff of r_jk, or of r_ij, is found before anything is computed.

Derivatives are contracted over features for each triplet: the slopes by the three sides
and the cosine lead to forces. As in `annpot.kernels.moments`, each sum has a fixed
order.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.cutoffs import exponential
from annpot.kernels.environment import clear
from annpot.kernels.lanes import (
    WIDTH,
    any_positive,
    load,
    scatter,
    splat,
    store,
    total,
)
from annpot.kernels.radial import inline
from annpot.kernels.triplet_factors import integer_power, set_angulars, set_radials
from annpot.kernels.triplet_recipe import (
    COSINE,
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

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def _set_active(recipe: Any, h: int, j: int, work: Any) -> int:
    """List the products that are not zero for neighbour ``j``; return how many."""
    count = 0
    for p in range(recipe.first_product_h[h], recipe.first_product_h[h + 1]):
        if work.radial[recipe.radial_p[p] * work.stride + j] != 0.0:
            work.active_m[count] = p
            count += 1
    return count


@inline
def _species(recipe: Any, h: int, work: Any) -> Any:
    """Return the species of j and of k: more neighbours k fill the lanes better."""
    t, v = recipe.species_hk[h, 0], recipe.species_hk[h, 1]
    if work.count_t[t] > work.count_t[v]:
        return v, t
    return t, v


@inline
def _add_to(sums: Any, i: int, value: Any) -> None:
    store(sums, i, load(sums, i) + value)


@inline
def _set_factors(
    h: int, n_species: int, count: int, with_slopes: bool, recipe: Any, work: Any
) -> None:
    """Set the functions of r_jk and of the angle for the listed neighbours."""
    n_blocks = (count + WIDTH - 1) // WIDTH
    if recipe.has_side_h[h]:
        set_radials(
            recipe.rows,
            n_species + h,
            (work.triplet, SIDE * work.stride),
            (work.side, work.side_slopes, 0),
            n_blocks,
            with_slopes,
            work,
        )
    set_angulars(recipe, h, n_blocks, with_slopes, work)


@kernel
def _sum_group(h: int, n_species: int, recipe: Any, work: Any) -> None:
    """Sum the features of group ``h`` over its triplets."""
    t, v = _species(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        near = list_near(h, j, slots_of(t, v, j, work), recipe, work)
        _set_factors(h, n_species, near[2], False, recipe, work)
        for m in range(n_active):
            p = work.active_m[m]
            a, c = recipe.radial_p[p] * stride, recipe.side_p[p] * stride
            f, last = work.radial[a + j], 0
            for k in range(0, near[2], WIDTH):
                product = f * near_block(work.radial, a, k, near, work)
                if c >= 0:
                    product = product * load(work.side, c + k)
                store(work.product, k, product)
                last = k + WIDTH if any_positive(product) else last
            _set_common_bells(p, j, near, last, 0, recipe, work)
            for i in range(recipe.first_term_p[p], recipe.first_term_p[p + 1]):
                at = _times_bell(recipe.bell_i[i], last, work)
                for e in range(recipe.first_entry_i[i], recipe.first_entry_i[i + 1]):
                    q = recipe.angular_e[e] * stride
                    value = load(work.sums, (e - first_entry) * WIDTH)
                    for k in range(0, last, WIDTH):
                        f_k = load(work.angular, q + k)
                        value = value + load(work.product, at + k) * f_k
                    store(work.sums, (e - first_entry) * WIDTH, value)


@inline
def _set_common_bells(
    p: int, j: int, near: Any, count: int, row: int, recipe: Any, work: Any
) -> None:
    """Set the bells of all three sides together, for the first ``count`` listed.

    Into rows of ``common`` behind ``row``, where their exponent is.
    """
    first, last = recipe.first_step_p[p], recipe.first_step_p[p + 1]
    if first == last:
        return
    stride, common, rs = work.stride, work.common, recipe.rs_p[p]
    own = (work.place[R * stride + j] - rs) ** 2
    for k in range(0, count, WIDTH):
        r = near_block(work.place, R * stride, k, near, work) - rs
        side = load(work.triplet, SIDE * stride + k) - rs
        store(common, row * stride + k, r * r + side * side + own)
    for step in range(first, last):
        at = (row + 1 + step - first) * stride
        source, n = recipe.powers_sk[step, 0], recipe.powers_sk[step, 1]
        if source >= 0:
            source = (row + 1 + source) * stride
            for k in range(0, count, WIDTH):
                store(common, at + k, integer_power(load(common, source + k), n))
        else:
            eta = -recipe.eta_s[step]
            for k in range(0, count, WIDTH):
                square = load(common, row * stride + k)
                store(common, at + k, exponential(eta * square))


@inline
def _times_bell(bell: int, count: int, work: Any) -> Any:
    """Multiply the product by a bell; return the row where the result is."""
    if bell < 0:
        return 0
    stride = work.stride
    for k in range(0, count, WIDTH):
        value = load(work.product, k) * load(work.common, (1 + bell) * stride + k)
        store(work.product, stride + k, value)
    return stride


@inline
def _entries(h: int, recipe: Any) -> Any:
    """Return the first entry of a group, and the one behind its last."""
    first, last = recipe.first_product_h[h], recipe.first_product_h[h + 1]
    return recipe.first_entry_p[first], recipe.first_entry_p[last]


@inline
def _clear_sums(h: int, recipe: Any, work: Any) -> None:
    first, last = _entries(h, recipe)
    clear(work.sums, last - first)


@inline
def _add_sums(h: int, recipe: Any, work: Any, G_f: Any, f: int) -> None:
    """Add the totals of a group's sums to the features from ``f`` on."""
    first, last = _entries(h, recipe)
    for e in range(first, last):
        value = total(load(work.sums, (e - first) * WIDTH))
        G_f[f + recipe.feature_e[e]] += recipe.weight_e[e] * value


@kernel
def add_features(
    chunk_ki: Any, neighbours: Any, recipe: Any, feature_n: Any, work: Any, G_f: Any
) -> None:
    """Add the features of the atoms of some chunks, `annpot.pairs.plan_chunks`."""
    for i in range(len(chunk_ki)):
        for n in range(chunk_ki[i, 0], chunk_ki[i, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
                continue
            place_neighbours(n, neighbours, recipe, False, work)
            for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                _clear_sums(h, recipe, work)
                _sum_group(h, neighbours.n_species, recipe, work)
                _add_sums(h, recipe, work, G_f, f)


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
        _set_common_bells(p, j, near, count, row, recipe, work)
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
def _add_gradients(h: int, n_species: int, recipe: Any, work: Any) -> None:
    """Add the derivatives by D_j and D_k of the triplets of group ``h``."""
    t, v = _species(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride, across = work.stride, work.across
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        slots = slots_of(t, v, j, work)
        near = list_near(h, j, slots, recipe, work)
        _set_factors(h, n_species, near[2], True, recipe, work)
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
    """Add forces and virials as `annpot.kernels.moments.add_forces` does."""
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
                    _add_gradients(h, neighbours.n_species, recipe, work)
                virial_cc = work.nothing_cc
                if virial_kncc.shape[1] > 0:
                    virial_cc = virial_kncc[k, n]
                _add_forces_of_atom(n, neighbours, work, F_knc[k], shift, virial_cc)


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
    t, v = _species(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        slots = slots_of(t, v, j, work)
        near = list_near(h, j, slots, recipe, work)
        _set_factors(h, n_species, near[2], True, recipe, work)
        _set_rates(j, slots, work)
        if near[0]:
            for k in range(0, near[2], WIDTH):
                rate = near_block(work.across, stride, k, near, work)
                rate = rate / load(work.triplet, SIDE * stride + k)
                store(work.triplet, SIDE_DOT * stride + k, rate)
        for m in range(n_active):
            p = work.active_m[m]
            last = _set_products(p, j, near, recipe, work)
            _set_common_bells(p, j, near, last, 0, recipe, work)
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
    """Add the directional derivatives as `annpot.kernels.moments.add_tangents`."""
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
                _clear_sums(h, recipe, work)
                _sum_tangents(h, neighbours.n_species, recipe, work)
                _add_sums(h, recipe, work, Gdot_f, f)


@kernel
def set_jacobian(
    neighbours: Any,
    recipe: Any,
    work: Any,
    column_e: Any,
    row_p: Any,
    first_pair: int,
    jacobian: Any,
) -> None:
    """Add the derivatives of the features of some atoms to ``jacobian``, zero before.

    Parameters
    ----------
    column_e
        For each entry the number of its feature among those of the central species.
    row_p
        For each pair from ``first_pair`` on the row of its neighbour; that of the
        central atom is the first.
    jacobian
        `annpot.kernels.jacobians.Jacobian`.
    """
    for m in range(len(jacobian.first_n) - 1):
        n = m + jacobian.first_atom
        s = neighbours.species_n[n]
        if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
            continue
        n_rows = jacobian.first_row_n[m + 1] - jacobian.first_row_n[m]
        size = (jacobian.first_n[m + 1] - jacobian.first_n[m]) // (
            3 * n_rows + (9 if jacobian.has_strain else 0)
        )
        place_neighbours(n, neighbours, recipe, True, work)
        for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
            first = recipe.first_entry_p[recipe.first_product_h[h]]
            last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
            work.g_e[: last - first] = 0.0
            for e in range(first, last):
                clear(work.gradient, len(work.gradient) // WIDTH)
                work.g_e[e - first] = recipe.weight_e[e]
                _add_gradients(h, neighbours.n_species, recipe, work)
                work.g_e[e - first] = 0.0
                at = jacobian.first_n[m] + column_e[e]
                _add_derivatives(
                    n,
                    m,
                    at,
                    (size, n_rows),
                    neighbours,
                    work,
                    (row_p, first_pair),
                    jacobian,
                )


@kernel
def _add_derivatives(
    n: int,
    m: int,
    at: int,
    shape: Any,
    neighbours: Any,
    work: Any,
    rows: Any,
    jacobian: Any,
) -> None:
    """Add the gradients by the pairs of atom ``n`` to one column of its derivatives."""
    (size, n_rows), stride, values = shape, work.stride, jacobian.values
    row_p, first_pair = rows
    for t in range(neighbours.n_species):
        g = (n * neighbours.n_species + t) * neighbours.n_shells
        first, base = neighbours.first_g[g], work.base_t[t]
        for i in range(work.count_t[t]):
            row = row_p[first + i - first_pair] - jacobian.first_row_n[m]
            for c in range(3):
                gradient = work.gradient[c * stride + base + i]
                values[at + (3 * row + c) * size] += gradient
                values[at + c * size] -= gradient
                if jacobian.has_strain:
                    for b in range(3):
                        D = work.place[(DX + b) * stride + base + i]
                        k = 3 * n_rows + 3 * b + c
                        values[at + k * size] += D * gradient
