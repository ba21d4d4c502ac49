"""The neighbours of one atom in slots, and which of them are near to another.

Each neighbour has a slot in the rows of `TripletWorkspace.place` and of the radial
functions; those of each species are padded with some that contribute nothing. For one
neighbour j, the slots of the neighbours k within the reach of r_jk are listed, so that
what follows works on full blocks of eight.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import load_block
from annpot.kernels.lanes import (
    WIDTH,
    gather,
    list_less,
    load,
    splat,
    square_root,
    store,
    where_first,
)
from annpot.kernels.radial import inline
from annpot.kernels.triplet_factors import set_radials
from annpot.kernels.triplet_recipe import (
    COSINE,
    DX,
    DY,
    DZ,
    R_INVERSE,
    SIDE,
    U_DOT,
    UX,
    UY,
    UZ,
    R,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@kernel
def place_neighbours(
    n: int, neighbours: Any, recipe: Any, with_slopes: bool, work: Any
) -> None:
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
        set_radials(
            recipe.rows,
            s,
            (work.place, R * stride + base),
            (work.radial, work.radial_slopes, base),
            (count + WIDTH - 1) // WIDTH,
            with_slopes,
            work,
        )
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
def scalars(work: Any, row: int, j: int) -> Any:
    """Return three rows of slot ``j``."""
    i, stride = row * work.stride + j, work.stride
    return work.place[i], work.place[i + stride], work.place[i + 2 * stride]


@inline
def vectors(work: Any, row: int, k: int) -> Any:
    """Return three rows of eight slots from ``k`` on."""
    i, stride = row * work.stride + k, work.stride
    return (
        load(work.place, i),
        load(work.place, i + stride),
        load(work.place, i + 2 * stride),
    )


@inline
def slots_of(t: int, v: int, j: int, work: Any) -> Any:
    """Return the slots of k for `list_near`: behind j, if of the same species."""
    first, stop = work.base_t[v], work.base_t[v] + work.count_t[v]
    nobody = first + (work.count_t[v] + WIDTH - 1) // WIDTH * WIDTH
    return j + 1 if t == v else first, stop, nobody


@inline
def list_near(h: int, j: int, slots: Any, recipe: Any, work: Any) -> Any:
    """List the neighbours k that are near ``j``; set r_jk and the cosines of those.

    ``slots``: first slot k, the one behind the last, and one without a neighbour.
    Without limit of r_jk, all are listed. Returns what `near_block` needs, with the
    number of those listed; the last eight of the list are filled up with nobody.
    """
    stride, place, triplet = work.stride, work.place, work.triplet
    (ux, uy, uz), (x, y, z) = scalars(work, UX, j), scalars(work, DX, j)
    has_side, reach = recipe.has_side_h[h], recipe.reach_h[h]
    start, stop, nobody = slots
    count = 0
    for k in range(start, stop, WIDTH):
        cosine = ux * load(place, UX * stride + k)
        cosine = cosine + uy * load(place, UY * stride + k)
        cosine = cosine + uz * load(place, UZ * stride + k)
        if has_side:
            dx, dy, dz = vectors(work, DX, k)
            dx, dy, dz = dx - x, dy - y, dz - z
            square = dx * dx + dy * dy + dz * dz
            store(work.across, k, square)
            store(work.across, stride + k, cosine)
            count = list_less(square, reach, k, work.table, work.slot_k, count)
        else:
            store(triplet, COSINE * stride + k - start, cosine)
    if not has_side:
        return has_side, start, stop - start
    work.across[nobody], work.across[stride + nobody] = recipe.r_far**2, 0.0
    for i in range(count, count + WIDTH):
        work.slot_k[i] = nobody
    for i in range(0, count, WIDTH):
        side = square_root(gather(work.across, 0, work.slot_k, i))
        store(triplet, SIDE * stride + i, side)
        cosine = gather(work.across, stride, work.slot_k, i)
        store(triplet, COSINE * stride + i, cosine)
    return has_side, start, count


@inline
def near_block(source: Any, at: int, k: int, listed: Any, work: Any) -> Any:
    """Return eight listed slots of a row, from number ``k`` of the list on."""
    has_side, start, _ = listed
    if has_side:
        return gather(source, at, work.slot_k, k)
    return load(source, at + start + k)
