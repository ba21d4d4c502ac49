"""The triplet kernel: angular symmetry functions that do not factorise.

For each central atom i and each pair of species of its neighbours, features are

    G_e = w_e sum_{j<k} P_p(r_ij, r_ik, r_jk) Q_q(cos theta_jik),
    P_p = R_a(r_ij) R_a(r_ik) [R_a(r_jk) bell(r_ij, r_ik, r_jk)],

with few distinct radial functions R, products P and angular functions Q among many
features e = (p, q). With r_jk, the Gaussians of the three sides are one, the bell;
otherwise those of r_ij belong to R and are computed once per pair. Each triplet is
visited once for all features, eight neighbours k at a time for one neighbour j; what
lies beyond the cutoff of r_jk, or of r_ij, is found before anything is computed.

Their derivatives are in `annpot.kernels.triplet_forces`, `triplet_tangents` and
`triplet_jacobians`. As in `annpot.kernels.moments`, each sum has a fixed order.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.cutoffs import exponential
from annpot.kernels.environment import clear
from annpot.kernels.lanes import WIDTH, any_positive, load, store, total
from annpot.kernels.radial import inline
from annpot.kernels.triplet_factors import integer_power, set_angulars, set_radials
from annpot.kernels.triplet_recipe import SIDE, R
from annpot.kernels.triplet_slots import (
    list_near,
    near_block,
    place_neighbours,
    slots_of,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def set_active(recipe: Any, h: int, j: int, work: Any) -> int:
    """List the products that are not zero for neighbour ``j``; return how many."""
    count = 0
    for p in range(recipe.first_product_h[h], recipe.first_product_h[h + 1]):
        if work.radial[recipe.radial_p[p] * work.stride + j] != 0.0:
            work.active_m[count] = p
            count += 1
    return count


@inline
def species_of(recipe: Any, h: int, work: Any) -> Any:
    """Return the species of j and of k: more neighbours k fill the lanes better."""
    t, v = recipe.species_hk[h, 0], recipe.species_hk[h, 1]
    if work.count_t[t] > work.count_t[v]:
        return v, t
    return t, v


@inline
def set_factors(
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
    t, v = species_of(recipe, h, work)
    first_entry = recipe.first_entry_p[recipe.first_product_h[h]]
    stride = work.stride
    for j in range(work.base_t[t], work.base_t[t] + work.count_t[t]):
        n_active = set_active(recipe, h, j, work)
        if n_active == 0:
            continue
        near = list_near(h, j, slots_of(t, v, j, work), recipe, work)
        set_factors(h, n_species, near[2], False, recipe, work)
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
            set_common_bells(p, j, near, last, 0, recipe, work)
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
def set_common_bells(
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
def clear_sums(h: int, recipe: Any, work: Any) -> None:
    """Set the sums of group ``h`` to zero."""
    first, last = _entries(h, recipe)
    clear(work.sums, last - first)


@inline
def add_sums(h: int, recipe: Any, work: Any, G_f: Any, f: int) -> None:
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
                clear_sums(h, recipe, work)
                _sum_group(h, neighbours.n_species, recipe, work)
                add_sums(h, recipe, work, G_f, f)
