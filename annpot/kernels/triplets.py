"""The triplet kernel: angular symmetry functions that do not factorise.

For each central atom i and each pair of species of its neighbours, features are

    G_e = w_e sum_{j<k} P_p(r_ij, r_ik, r_jk) Q_q(cos theta_jik),
    P_p = R_a(r_ij) R_a(r_ik) [R_a(r_jk)],

with few distinct radial functions R, products P and angular functions Q among many
features e = (p, q). Radial functions of r_ij are computed once per pair. Each triplet
is visited once for all features, eight neighbours k at a time for one neighbour j; what
lies beyond the cutoff of r_jk, or of r_ij, is found before anything is computed.

Derivatives are contracted over features for each triplet: the slopes by the three sides
and the cosine lead to forces. As in `annpot.kernels.moments`, each sum has a fixed
order.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear, load_block
from annpot.kernels.lanes import (
    WIDTH,
    any_less,
    load,
    splat,
    square_root,
    store,
    total,
    where_first,
    where_less,
)
from annpot.kernels.radial import inline
from annpot.kernels.triplet_recipe import (
    DX,
    DY,
    DZ,
    R_DOT,
    R_INVERSE,
    U_DOT,
    UX,
    UY,
    UZ,
    VX,
    R,
    set_angulars,
    set_radials,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@kernel
def _place_neighbours(n: int, neighbours: Any, recipe: Any, work: Any) -> None:
    """Give each neighbour of atom ``n`` a slot, and set its radial functions.

    Behind those of each species come up to 15 that contribute nothing.
    """
    s = neighbours.species_n[n]
    stride, base = work.stride, 0
    for t in range(neighbours.n_species):
        g = (n * neighbours.n_species + t) * neighbours.n_shells
        first = neighbours.first_g[g]
        count = neighbours.first_g[g + recipe.shell_s[s] + 1] - first
        work.base_t[t], work.count_t[t] = base, count
        for b in range(0, count, WIDTH):
            i, r_far = base + b, recipe.r_far
            u, r, r_inverse = load_block(neighbours.D_cp, first + b, count - b, r_far)
            x, y, z = u
            store(work.place, UX * stride + i, x)
            store(work.place, UY * stride + i, y)
            store(work.place, UZ * stride + i, z)
            # far from all others, so that no r_jk is zero
            far = splat(4.0 * r_far)
            store(work.place, DX * stride + i, where_first(count - b, r * x, far))
            store(work.place, DY * stride + i, r * y)
            store(work.place, DZ * stride + i, r * z)
            store(work.place, R * stride + i, r)
            store(work.place, R_INVERSE * stride + i, r_inverse)
            set_radials(recipe.rows, s, r, i, stride, work.radial, work.radial_slopes)
        base += (count + WIDTH - 1) // WIDTH * WIDTH
        _place_nobody(base, recipe, s, work)
        base += WIDTH


@inline
def _place_nobody(i: int, recipe: Any, s: int, work: Any) -> None:
    """Fill eight slots with neighbours that contribute nothing."""
    zero = splat(0.0)
    for row in range(U_DOT + 3):
        store(work.place, row * work.stride + i, zero)
    store(work.place, DX * work.stride + i, splat(4.0 * recipe.r_far))
    store(work.place, R * work.stride + i, splat(recipe.r_far))
    store(work.place, R_INVERSE * work.stride + i, splat(1.0 / recipe.r_far))
    for a in range(recipe.n_radial_s[s]):
        store(work.radial, a * work.stride + i, zero)
        store(work.radial_slopes, a * work.stride + i, zero)


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
def _scalars(work: Any, row: int, j: int) -> Any:
    """Return three rows of slot ``j``."""
    i, stride = row * work.stride + j, work.stride
    return work.place[i], work.place[i + stride], work.place[i + 2 * stride]


@inline
def _vectors(work: Any, row: int, k: int) -> Any:
    """Return three rows of eight slots from ``k`` on."""
    i, stride = row * work.stride + k, work.stride
    return (
        load(work.place, i),
        load(work.place, i + stride),
        load(work.place, i + 2 * stride),
    )


@inline
def _square_of_side(work: Any, j: int, k: int) -> Any:
    """Return r_jk^2 for eight k."""
    (x, y, z), (dx, dy, dz) = _scalars(work, DX, j), _vectors(work, DX, k)
    dx, dy, dz = dx - x, dy - y, dz - z
    return dx * dx + dy * dy + dz * dz


@inline
def _cosine(work: Any, j: int, k: int) -> Any:
    """Return cos theta_jik for eight k, at most 1 and at least -1."""
    (x, y, z), (ux, uy, uz) = _scalars(work, UX, j), _vectors(work, UX, k)
    cosine = x * ux + y * uy + z * uz
    one = splat(1.0)
    cosine = where_less(cosine, 1.0, cosine, one)
    return where_less(0.0 - cosine, 1.0, cosine, 0.0 - one)


@kernel
def _sum_group(h: int, s: int, n_species: int, recipe: Any, work: Any) -> None:
    """Sum the features of group ``h`` over its triplets."""
    t, v = _species(recipe, h, work)
    first_j, first_k = work.base_t[t], work.base_t[v]
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(first_j, first_j + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        start = j + 1 if t == v else first_k
        for k in range(start, first_k + work.count_t[v], WIDTH):
            if recipe.has_side_h[h]:
                square = _square_of_side(work, j, k)
                if not any_less(square, recipe.reach_h[h]):
                    continue
                r = square_root(square)
                set_radials(
                    recipe.rows,
                    n_species + h,
                    r,
                    0,
                    WIDTH,
                    work.side,
                    work.side_slopes,
                )
            set_angulars(recipe, h, _cosine(work, j, k), work)
            for m in range(n_active):
                p = work.active_m[m]
                a, c = recipe.radial_p[p] * stride, recipe.side_p[p]
                product = work.radial[a + j] * load(work.radial, a + k)
                if c >= 0:
                    product = product * load(work.side, c * WIDTH)
                for e in range(recipe.first_entry_p[p], recipe.first_entry_p[p + 1]):
                    i = (e - first_entry) * WIDTH
                    f = load(work.angular, recipe.angular_e[e] * WIDTH)
                    store(work.sums, i, load(work.sums, i) + product * f)


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
            _place_neighbours(n, neighbours, recipe, work)
            for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                first = recipe.first_entry_p[recipe.first_product_h[h]]
                last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
                clear(work.sums, last - first)
                _sum_group(h, s, neighbours.n_species, recipe, work)
                for e in range(first, last):
                    value = total(load(work.sums, (e - first) * WIDTH))
                    G_f[f + recipe.feature_e[e]] += recipe.weight_e[e] * value


@inline
def _contract(p: int, first_entry: int, recipe: Any, work: Any) -> Any:
    """Return ``sum_e g_e Q_e`` and ``sum_e g_e dQ_e/dcos`` over a product's entries."""
    value, slope = splat(0.0), splat(0.0)
    for e in range(recipe.first_entry_p[p], recipe.first_entry_p[p + 1]):
        g, q = work.g_e[e - first_entry], recipe.angular_e[e] * WIDTH
        value = value + g * load(work.angular, q)
        slope = slope + g * load(work.angular_slopes, q)
    return value, slope


@inline
def _slopes(
    j: int, k: int, n_active: int, first_entry: int, recipe: Any, work: Any
) -> Any:
    """Return dE/dr_ij, dE/dr_ik, dE/dr_jk and dE/dcos of eight triplets."""
    zero = splat(0.0)
    by_j, by_k, by_side, by_cosine = zero, zero, zero, zero
    for m in range(n_active):
        p = work.active_m[m]
        a, c = recipe.radial_p[p] * work.stride, recipe.side_p[p]
        value, slope = _contract(p, first_entry, recipe, work)
        f, dfdr = work.radial[a + j], work.radial_slopes[a + j]
        g, dgdr = load(work.radial, a + k), load(work.radial_slopes, a + k)
        if c >= 0:
            side = load(work.side, c * WIDTH)
            dside = load(work.side_slopes, c * WIDTH)
            by_side = by_side + value * (f * g) * dside
            g, dgdr = g * side, dgdr * side
        by_j = by_j + value * (dfdr * g)
        by_k = by_k + value * (f * dgdr)
        by_cosine = by_cosine + slope * (f * g)
    return by_j, by_k, by_side, by_cosine


@inline
def _add_to(sums: Any, i: int, value: Any) -> None:
    store(sums, i, load(sums, i) + value)


@kernel
def _add_gradients(h: int, s: int, n_species: int, recipe: Any, work: Any) -> None:
    """Add the derivatives by D_j and D_k of the triplets of group ``h``."""
    t, v = _species(recipe, h, work)
    first_j, first_k = work.base_t[t], work.base_t[v]
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(first_j, first_j + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        x, y, z = _scalars(work, UX, j)
        r_j, inverse_j = work.place[R * stride + j], work.place[R_INVERSE * stride + j]
        along, gx, gy, gz = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        start = j + 1 if t == v else first_k
        for k in range(start, first_k + work.count_t[v], WIDTH):
            r, inverse = splat(1.0), splat(1.0)
            if recipe.has_side_h[h]:
                square = _square_of_side(work, j, k)
                if not any_less(square, recipe.reach_h[h]):
                    continue
                r = square_root(square)
                inverse = 1.0 / r
                set_radials(
                    recipe.rows,
                    n_species + h,
                    r,
                    0,
                    WIDTH,
                    work.side,
                    work.side_slopes,
                )
            cosine = _cosine(work, j, k)
            set_angulars(recipe, h, cosine, work)
            by_j, by_k, by_side, by_cosine = _slopes(
                j, k, n_active, first_entry, recipe, work
            )
            by_side = by_side * inverse
            r_k = load(work.place, R * stride + k)
            across_j = by_cosine * inverse_j
            across_k = by_cosine * load(work.place, R_INVERSE * stride + k)
            along = along + by_j - cosine * across_j + by_side * r_j
            along_k = by_k - cosine * across_k + by_side * r_k
            across_j = across_j - by_side * r_k
            across_k = across_k - by_side * r_j
            ux, uy, uz = _vectors(work, UX, k)
            gx, gy, gz = gx + across_j * ux, gy + across_j * uy, gz + across_j * uz
            _add_to(work.gradient, k, along_k * ux + across_k * x)
            _add_to(work.gradient, stride + k, along_k * uy + across_k * y)
            _add_to(work.gradient, 2 * stride + k, along_k * uz + across_k * z)
        work.gradient[j] += total(gx + along * x)
        work.gradient[stride + j] += total(gy + along * y)
        work.gradient[2 * stride + j] += total(gz + along * z)


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
    dEdG_f: Any,
    F_nc: Any,
    virial_ncc: Any,
) -> None:
    """Add forces and virials as `annpot.kernels.moments.add_forces` does."""
    for i in range(len(chunk_ki)):
        shift = chunk_ki[i, 4] - chunk_ki[i, 2]
        for n in range(chunk_ki[i, 0], chunk_ki[i, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
                continue
            _place_neighbours(n, neighbours, recipe, work)
            clear(work.gradient, len(work.gradient) // WIDTH)
            for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                first = recipe.first_entry_p[recipe.first_product_h[h]]
                last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
                for e in range(first, last):
                    g = dEdG_f[f + recipe.feature_e[e]]
                    work.g_e[e - first] = recipe.weight_e[e] * g
                _add_gradients(h, s, neighbours.n_species, recipe, work)
            virial_cc = virial_ncc[n] if len(virial_ncc) > 0 else work.nothing_cc
            _add_forces_of_atom(n, neighbours, work, F_nc, shift, virial_cc)


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
            ux, uy, uz = _vectors(work, UX, k)
            vx, vy, vz = _vectors(work, VX, k)
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
def _rates(j: int, k: int, work: Any) -> Any:
    """Return the rates of r_jk^2 / 2 and of the cosine of eight triplets."""
    (x, y, z), (ux, uy, uz) = _scalars(work, UX, j), _vectors(work, UX, k)
    (p, q, s), (px, py, pz) = _scalars(work, U_DOT, j), _vectors(work, U_DOT, k)
    cosine = ux * p + uy * q + uz * s + px * x + py * y + pz * z
    (x, y, z), (dx, dy, dz) = _scalars(work, DX, j), _vectors(work, DX, k)
    (p, q, s), (vx, vy, vz) = _scalars(work, VX, j), _vectors(work, VX, k)
    side = (dx - x) * (vx - p) + (dy - y) * (vy - q) + (dz - z) * (vz - s)
    return side, cosine


@kernel
def _sum_tangents(h: int, s: int, n_species: int, recipe: Any, work: Any) -> None:
    """Sum the rates of the features of group ``h`` over its triplets."""
    t, v = _species(recipe, h, work)
    first_j, first_k = work.base_t[t], work.base_t[v]
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(first_j, first_j + work.count_t[t]):
        n_active = _set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        start = j + 1 if t == v else first_k
        for k in range(start, first_k + work.count_t[v], WIDTH):
            side_dot, cosine_dot = _rates(j, k, work)
            if recipe.has_side_h[h]:
                square = _square_of_side(work, j, k)
                if not any_less(square, recipe.reach_h[h]):
                    continue
                r = square_root(square)
                side_dot = side_dot / r
                set_radials(
                    recipe.rows,
                    n_species + h,
                    r,
                    0,
                    WIDTH,
                    work.side,
                    work.side_slopes,
                )
            set_angulars(recipe, h, _cosine(work, j, k), work)
            for m in range(n_active):
                p = work.active_m[m]
                a, c = recipe.radial_p[p] * stride, recipe.side_p[p]
                f, f_dot = work.radial[a + j], work.radial_slopes[a + j]
                g, g_dot = load(work.radial, a + k), load(work.radial_slopes, a + k)
                product, product_dot = f * g, f * g_dot + f_dot * g
                if c >= 0:
                    side = load(work.side, c * WIDTH)
                    rate = side_dot * load(work.side_slopes, c * WIDTH)
                    product_dot = product_dot * side + product * rate
                    product = product * side
                product = product * cosine_dot
                for e in range(recipe.first_entry_p[p], recipe.first_entry_p[p + 1]):
                    q = recipe.angular_e[e] * WIDTH
                    rate = product_dot * load(work.angular, q)
                    rate = rate + product * load(work.angular_slopes, q)
                    _add_to(work.sums, (e - first_entry) * WIDTH, rate)


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
            _place_neighbours(n, neighbours, recipe, work)
            _place_velocities(n, neighbours, recipe, V_nc, strain_cc, work)
            for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
                first = recipe.first_entry_p[recipe.first_product_h[h]]
                last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
                clear(work.sums, last - first)
                _sum_tangents(h, s, neighbours.n_species, recipe, work)
                for e in range(first, last):
                    value = total(load(work.sums, (e - first) * WIDTH))
                    Gdot_f[f + recipe.feature_e[e]] += recipe.weight_e[e] * value
