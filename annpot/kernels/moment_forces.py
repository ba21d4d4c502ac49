"""Forces of features that factorise: a vector times their derivatives.

With the derivatives of an energy by the features of `annpot.kernels.moments`, those by
the products of channels, then by the channels, then by the moments of each neighbour
species are set; then one pass over the neighbours gives the forces.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear, count_pairs, load_block
from annpot.kernels.harmonics import USUAL, contract_harmonics, set_legendre
from annpot.kernels.lane_rows import add_products, by_degree, load_row, store_row
from annpot.kernels.lanes import (
    WIDTH,
    element,
    load,
    splat,
    spread,
    store,
    total,
    where_first,
)
from annpot.kernels.moments import rows_of
from annpot.kernels.radial import inline
from annpot.kernels.recipe import add_unmapped, set_radial

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)

USUAL_ROW = -(-(USUAL**2) // WIDTH)
"""Registers of the components lm of the usual degrees."""

UNUSED = WIDTH - USUAL
"""Lanes that the usual degrees leave."""


@inline
def _degrees(v: int, l_max: int) -> Any:
    """Return the degree l of the first of eight components lm from ``v`` on.

    Then how far the two next degrees are, if there are any, and where they begin.
    """
    l = 0  # noqa: E741
    while (l + 1) ** 2 <= v:
        l += 1  # noqa: E741
    steps = min(1, l_max - l), min(2, l_max - l)
    return l, steps, ((l + 1) ** 2 - v, (l + 2) ** 2 - v)


@inline
def _slopes_of_products(U: Any, i: int, degrees: Any) -> Any:
    """Return ``dE/dU_ab,l`` for eight components lm, the first of which is ``U[i]``."""
    _, (step, next_step), (second, third) = degrees
    slopes = spread(U, i + step)
    if third < WIDTH:
        slopes = where_first(third, slopes, spread(U, i + next_step))
    return where_first(second, spread(U, i), slopes)


@inline
def _set_gradient_of_block(
    channels: Any, v: int, l_max: int, stride: int, U: Any, first_U: int, A: Any, B: Any
) -> None:
    """Set ``dE/dA_a,lm = sum_b dE/dU_ab,l A_b,lm / 2`` of a block, a = b twice.

    Of eight components lm from ``v`` on; ``B`` is zero before.
    """
    start, stop = channels
    degrees = _degrees(v, l_max)
    i = first_U + degrees[0]
    for a in range(start, stop):
        A_a = load(A, a * stride + v)
        slopes = _slopes_of_products(U, i, degrees)
        sums = load(B, a * stride + v) + slopes * (A_a + A_a)
        i += l_max + 1
        for b in range(a + 1, stop):
            slopes = _slopes_of_products(U, i, degrees)
            i += l_max + 1
            at = b * stride + v
            sums = sums + slopes * load(A, at)
            store(B, at, load(B, at) + slopes * A_a)
        store(B, a * stride + v, 0.5 * sums)


@inline
def _set_gradient_of_usual_block(
    channels: Any, stride: int, U: Any, i: int, A: Any, B: Any
) -> None:
    """Set the same for all components lm of the usual degrees, from ``U[i]`` on.

    Reads two numbers before that, rather than behind the last one.
    """
    start, stop = channels
    for a in range(start, stop):
        A_a = load_row(A, a * stride, USUAL_ROW)
        sums = load_row(B, a * stride, USUAL_ROW)
        slopes = by_degree(load(U, i - UNUSED), UNUSED, A_a)
        sums = add_products(sums, slopes, A_a)
        i += USUAL
        for b in range(a + 1, stop):
            slopes = by_degree(0.5 * load(U, i - UNUSED), UNUSED, A_a)
            i += USUAL
            sums = add_products(sums, slopes, load_row(A, b * stride, USUAL_ROW))
            others = load_row(B, b * stride, USUAL_ROW)
            store_row(B, b * stride, add_products(others, slopes, A_a))
        store_row(B, a * stride, sums)


@inline
def _set_self_gradient(n_products: int, n_l: int, U: Any, i: int, self_q: Any) -> None:
    """Set ``dE/dself_q = -sum_l dE/dU_q,l / 2``."""
    for q in range(n_products):
        sum_l = 0.0
        for l in range(n_l):  # noqa: E741
            sum_l += element(U, i + l)
        self_q[q] = -0.5 * sum_l
        i += n_l


@inline
def _set_channel_gradient(
    s: int, l_max: int, recipe: Any, work: Any, k: int, dEdG_f: Any, f: int, A: Any
) -> None:
    """Set the derivatives by the channels, and by their self terms, of a member."""
    B, self_q = work.B_mi[k], work.self_mq[k]
    stride, n_l = recipe.n_padded_lm, l_max + 1
    U, first_U = work.U, 0
    if recipe.first_feature_s[s] >= 0:
        U, first_U = dEdG_f, f + recipe.first_feature_s[s]
    else:
        U[:] = 0.0
        add_unmapped(recipe.features_of_products, s, dEdG_f, f, U, 0)
    B[:] = 0.0
    q = 0
    for block in range(recipe.block_si[s], recipe.block_si[s + 1]):
        start, stop = recipe.start_i[block], recipe.stop_i[block]
        first = first_U + q * n_l
        if n_l == USUAL and first >= UNUSED:
            _set_gradient_of_usual_block((start, stop), stride, U, first, A, B)
        else:
            for v in range(0, n_l * n_l, WIDTH):
                _set_gradient_of_block((start, stop), v, l_max, stride, U, first, A, B)
        q += (stop - start) * (stop - start + 1) // 2
    if n_l == USUAL:  # a constant lets the compiler unroll
        _set_self_gradient(q, USUAL, U, first_U, self_q)
    else:
        _set_self_gradient(q, n_l, U, first_U, self_q)


@kernel
def _set_channel_gradients(
    s: int, l_max: int, recipe: Any, work: Any, dEdG_kf: Any, f: int, A: Any
) -> None:
    """Set the same of all members: a call copies recipe and work, which takes time."""
    for k in range(len(dEdG_kf)):
        _set_channel_gradient(s, l_max, recipe, work, k, dEdG_kf[k], f, A)


@inline
def _set_group_gradient(
    g: int, n_lm: int, recipe: Any, work: Any, k: int, dEdG_f: Any, f: int
) -> None:
    """Set the derivatives by the sums over neighbours of group ``g`` of a member."""
    two_k, moment_ki, square_i = work.two_mk[k], work.moment_mki[k], work.square_mi[k]
    B, self_q, stride = work.B_mi[k], work.self_mq[k], recipe.n_padded_lm
    two_k[:] = 0.0
    add_unmapped(recipe.features_of_two, g, dEdG_f, f, two_k, 0)
    moment_ki[:] = 0.0
    to = recipe.channels_of_moments
    for i in range(to.first_g[g], to.first_g[g + 1]):
        weight, first, a = to.weight_i[i], to.from_i[i] * stride, to.to_i[i] * stride
        for v in range(0, n_lm, WIDTH):
            sums = load(moment_ki, first + v) + weight * load(B, a + v)
            store(moment_ki, first + v, sums)
    square_i[:] = 0.0
    add_unmapped(recipe.selves_of_squares, g, self_q, 0, square_i, 0)


@inline
def _set_pair_functions(
    g: int, l_max: int, block: Any, parts: Any, recipe: Any, work: Any
) -> None:
    """Set what the gradients of all members need of eight pairs.

    ``parts``: are there two-body sums, moments.
    """
    u, r, _ = block
    two_rows, three_rows = rows_of(recipe, g)
    if parts[0]:
        set_radial(recipe.radial, two_rows, r, True, work.phi, work.two)
    if parts[1]:
        set_radial(recipe.radial, three_rows, r, True, work.phi, work.slopes)
        set_legendre(u[2], l_max, recipe.harmonics, work.Y, work.Ydot)
        square = recipe.first_square_g[g]
        for i in range(recipe.first_square_g[g + 1] - square):
            k, q = recipe.square_ik[square + i]
            slope = load(work.slopes, k * WIDTH) * load(work.phi, q * WIDTH)
            slope = slope + load(work.phi, k * WIDTH) * load(work.slopes, q * WIDTH)
            store(work.squares, i * WIDTH, slope)


@inline
def _pair_gradient(
    g: int, l_max: int, block: Any, parts: Any, recipe: Any, work: Any, k: int
) -> Any:
    """Return dE/dD of eight pairs and member ``k``, after `_set_pair_functions`."""
    (x, y, z), _, r_inverse = block
    dEdr = splat(0.0)
    gx, gy, gz = dEdr, dEdr, dEdr
    if parts[0]:
        two_k = work.two_mk[k]
        for i in range(recipe.n_two_g[g]):
            dEdr = dEdr + spread(two_k, i) * load(work.two, i * WIDTH)
    if parts[1]:
        along, (dx, dy, dz) = contract_harmonics(
            block[0],
            l_max,
            (recipe.n_three_g[g], work.phi, work.slopes),
            (recipe.n_padded_lm, work.moment_mki[k]),
            (work.Y, work.Ydot),
        )
        square_i = work.square_mi[k]
        for i in range(recipe.first_square_g[g + 1] - recipe.first_square_g[g]):
            along = along + spread(square_i, i) * load(work.squares, i * WIDTH)
        gx, gy, gz = r_inverse * dx, r_inverse * dy, r_inverse * dz
        dEdr = dEdr + (along - (x * gx + y * gy + z * gz))
    return gx + dEdr * x, gy + dEdr * y, gz + dEdr * z


@inline
def _add_virial(u: Any, r: Any, gradient: Any, virial: Any) -> None:
    """Subtract ``D_a dE/dD_b`` from accumulator ``3 a + b``."""
    x, y, z = u
    gx, gy, gz = gradient
    _subtract(r * x * gx, 0, virial)
    _subtract(r * x * gy, 1, virial)
    _subtract(r * x * gz, 2, virial)
    _subtract(r * y * gx, 3, virial)
    _subtract(r * y * gy, 4, virial)
    _subtract(r * y * gz, 5, virial)
    _subtract(r * z * gx, 6, virial)
    _subtract(r * z * gy, 7, virial)
    _subtract(r * z * gz, 8, virial)


@inline
def _subtract(value: Any, i: int, sums: Any) -> None:
    store(sums, i * WIDTH, load(sums, i * WIDTH) - value)


@inline
def _add_block(
    first: int, count: int, j_p: Any, shift: int, gradient: Any, room: Any, F_nc: Any
) -> None:
    """Subtract the gradients of up to eight pairs from the rows of the neighbours."""
    for c in range(3):
        store(room, c * WIDTH, gradient[c])
    for p in range(min(WIDTH, count)):
        j = j_p[first + p] + shift
        for c in range(3):
            F_nc[j, c] -= room[c * WIDTH + p]


@kernel
def _add_forces_of_atom(
    n: int,
    neighbours: Any,
    recipe: Any,
    work: Any,
    dEdG_kf: Any,
    f: int,
    F_knc: Any,
    shift: int,
    with_virial: bool,
) -> None:
    """Add the forces on atom ``n`` and its neighbours to rows ``n + shift`` etc.

    And set the lane accumulators of its own forces and virials.
    """
    s = neighbours.species_n[n]
    l_max = recipe.l_max_s[s]
    for t in range(neighbours.n_species):
        g = s * neighbours.n_species + t
        first, two, three = count_pairs(neighbours, recipe, n, g, t)
        count = max(two, three)
        if count == 0:
            continue
        for k in range(len(dEdG_kf)):
            _set_group_gradient(g, (l_max + 1) ** 2, recipe, work, k, dEdG_kf[k], f)
        for b in range(0, count, WIDTH):
            block = load_block(neighbours.D_cp, first + b, count - b, recipe.r_far)
            parts = b < two, b < three
            _set_pair_functions(g, l_max, block, parts, recipe, work)
            for k in range(len(dEdG_kf)):
                gradient = _pair_gradient(g, l_max, block, parts, recipe, work, k)
                own = work.own_mi[k]
                for c in range(3):
                    _subtract(gradient[c], c, own)
                _add_block(
                    first + b,
                    count - b,
                    neighbours.j_p,
                    shift,
                    gradient,
                    work.block,
                    F_knc[k],
                )
                if with_virial:
                    _add_virial(block[0], block[1], gradient, work.virial_mi[k])


@kernel
def add_forces(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    A_ni: Any,
    dEdG_kf: Any,
    F_knc: Any,
    virial_kncc: Any,
) -> None:
    """Add the forces that the environments of the atoms of some chunks exert.

    Of several energies k at once, as of the members of a committee: what depends on
    the pairs alone is computed once. Each gets the bits that it gets alone.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`; they say which rows of ``F_knc`` to add to.
    work
        Of as many members as there are energies.
    A_ni
        Moments from `add_features`.
    dEdG_kf
        Derivatives of the energies by the features, laid out as those.
    F_knc
        Buffer to which ``-sum_f dE/dG_f dG_f/dR`` is added.
    virial_kncc
        ``-sum_p D_p dE/dD_p`` over the pairs of each central atom is added; minus their
        sum is the derivative of the energy by a strain of the cell. Empty,
        shape=(.., 0, 3, 3), if not wanted.
    """
    with_virial = virial_kncc.shape[1] > 0
    for i in range(len(chunk_ki)):
        shift = chunk_ki[i, 4] - chunk_ki[i, 2]
        for n in range(chunk_ki[i, 0], chunk_ki[i, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            l_max = recipe.l_max_s[s]
            _set_channel_gradients(s, l_max, recipe, work, dEdG_kf, f, A_ni[n])
            for k in range(len(dEdG_kf)):
                clear(work.own_mi[k], 3)
                clear(work.virial_mi[k], 9)
            _add_forces_of_atom(
                n, neighbours, recipe, work, dEdG_kf, f, F_knc, shift, with_virial
            )
            for k in range(len(dEdG_kf)):
                for c in range(3):
                    F_knc[k, n + shift, c] -= total(load(work.own_mi[k], c * WIDTH))
                if with_virial:
                    for c in range(9):
                        sum_p = total(load(work.virial_mi[k], c * WIDTH))
                        virial_kncc[k, n, c // 3, c % 3] += sum_p
