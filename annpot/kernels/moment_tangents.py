"""Tangents of features that factorise: their derivatives times a vector.

How fast the features of `annpot.kernels.moments` change when atoms and cell move.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear, count_pairs, load_block
from annpot.kernels.harmonics import set_harmonic_tangents
from annpot.kernels.lanes import WIDTH, load, store
from annpot.kernels.moments import (
    add_group,
    add_products,
    reduce,
    rows_of,
    set_products,
)
from annpot.kernels.radial import inline
from annpot.kernels.recipe import set_radial

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def _pair_tangent(
    block: Any, n: int, p: int, count: int, j_p: Any, motion: Any, velocities: Any
) -> Any:
    """Return dr/dt and the tangential part of du/dt of eight pairs."""
    V_nc, strain_cc = motion
    for c in range(3):
        for i in range(WIDTH):
            velocities[c * WIDTH + i] = 0.0
        for i in range(min(WIDTH, count)):
            velocities[c * WIDTH + i] = V_nc[j_p[p + i], c] - V_nc[n, c]
    (x, y, z), r, r_inverse = block
    vx, vy, vz = (
        load(velocities, 0),
        load(velocities, WIDTH),
        load(velocities, 2 * WIDTH),
    )
    if len(strain_cc) > 0:
        e = strain_cc
        vx = vx + r * (x * e[0, 0] + y * e[1, 0] + z * e[2, 0])
        vy = vy + r * (x * e[0, 1] + y * e[1, 1] + z * e[2, 1])
        vz = vz + r * (x * e[0, 2] + y * e[1, 2] + z * e[2, 2])
    rdot = x * vx + y * vy + z * vz
    return rdot, (
        r_inverse * (vx - rdot * x),
        r_inverse * (vy - rdot * y),
        r_inverse * (vz - rdot * z),
    )


@inline
def _add_moment_tangents(
    g: int, l_max: int, u: Any, udot: Any, rdot: Any, recipe: Any, work: Any
) -> None:
    """Add the tangents of moments and squares of eight pairs."""
    n_lm = (l_max + 1) ** 2
    set_harmonic_tangents(u, udot, l_max, recipe.harmonics, work.Y, work.Ydot)
    for k in range(recipe.n_three_g[g]):
        f = load(work.phi, k * WIDTH)
        fdot = load(work.slopes, k * WIDTH) * rdot
        store(work.slopes, k * WIDTH, fdot)
        for m in range(n_lm):
            i = (k * n_lm + m) * WIDTH
            moment = load(work.moments, i) + fdot * load(work.Y, m * WIDTH)
            store(work.moments, i, moment + f * load(work.Ydot, m * WIDTH))
    square = recipe.first_square_g[g]
    for i in range(recipe.first_square_g[g + 1] - square):
        k, q = recipe.square_ik[square + i]
        rate = load(work.slopes, k * WIDTH) * load(work.phi, q * WIDTH)
        rate = rate + load(work.phi, k * WIDTH) * load(work.slopes, q * WIDTH)
        store(work.squares, i * WIDTH, load(work.squares, i * WIDTH) + rate)


@kernel
def _sum_group_tangents(
    n: int,
    g: int,
    l_max: int,
    pairs: Any,
    neighbours: Any,
    recipe: Any,
    motion: Any,
    work: Any,
) -> None:
    """Sum the tangents of what `_sum_group` sums."""
    first, two, three = pairs
    n_two, n_three, n_lm = recipe.n_two_g[g], recipe.n_three_g[g], (l_max + 1) ** 2
    n_squares = recipe.first_square_g[g + 1] - recipe.first_square_g[g]
    two_rows, three_rows = rows_of(recipe, g)
    clear(work.two, n_two)
    clear(work.moments, n_three * n_lm)
    clear(work.squares, n_squares)
    count = max(two, three)
    for b in range(0, count, WIDTH):
        p = first + b
        block = load_block(neighbours.D_cp, p, count - b, recipe.r_far)
        rdot, udot = _pair_tangent(
            block, n, p, count - b, neighbours.j_p, motion, work.block
        )
        if b < two:
            set_radial(recipe.radial, two_rows, block[1], True, work.phi, work.slopes)
            for k in range(n_two):
                i = k * WIDTH
                store(work.two, i, load(work.two, i) + rdot * load(work.slopes, i))
        if b < three:
            set_radial(recipe.radial, three_rows, block[1], True, work.phi, work.slopes)
            _add_moment_tangents(g, l_max, block[0], udot, rdot, recipe, work)
    reduce(work.two, n_two, work.two_k)
    reduce(work.moments, n_three * n_lm, work.moment_ki)
    reduce(work.squares, n_squares, work.square_i)


@kernel
def add_tangents(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    A_ni: Any,
    V_nc: Any,
    structure_n: Any,
    strain_scc: Any,
    Gdot_f: Any,
) -> None:
    """Add the directional derivatives of the features of the atoms of some chunks.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`.
    A_ni
        Moments from `add_features`.
    V_nc
        Velocities of the atoms, the direction.
    structure_n, strain_scc
        Structure of each atom, and strain rates: a pair moves by
        ``V_j - V_i + D @ strain``. Empty, shape=(0, 3, 3), for none.
    Gdot_f
        ``sum dG_f/dR V + dG_f/dstrain strain`` is added, laid out as the features.
    """
    for k in range(len(chunk_ki)):
        for n in range(chunk_ki[k, 0], chunk_ki[k, 1]):
            strain_cc = work.nothing_cc
            if len(strain_scc) > 0:
                strain_cc = strain_scc[structure_n[n]]
            s, f = neighbours.species_n[n], feature_n[n]
            l_max = recipe.l_max_s[s]
            n_lm = (l_max + 1) ** 2
            work.self_q[:] = 0.0
            work.Adot[:] = 0.0
            for t in range(neighbours.n_species):
                g = s * neighbours.n_species + t
                pairs = count_pairs(neighbours, recipe, n, g, t)
                if max(pairs[1], pairs[2]) == 0:
                    continue
                _sum_group_tangents(
                    n, g, l_max, pairs, neighbours, recipe, (V_nc, strain_cc), work
                )
                add_group(g, n_lm, recipe, work, Gdot_f, f, work.Adot)
            set_products(s, l_max, recipe, work, A_ni[n], work.Adot, True)
            add_products(s, recipe, work, Gdot_f, f)
