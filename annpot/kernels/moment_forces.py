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
from annpot.kernels.lanes import WIDTH, load, splat, store, total
from annpot.kernels.moments import rows_of
from annpot.kernels.radial import inline
from annpot.kernels.recipe import set_radial

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def _add_rows(
    l: int,  # noqa: E741
    channels: Any,
    stride: int,
    first: int,
    H: Any,
    A: Any,
    B: Any,
) -> None:
    """Add the products of the moments of degree ``l`` with a matrix of eight columns.

    Two rows at a time, which share what they load: m = -l, then the other 2 l.
    """
    start, stop, v = channels
    m = l * l * stride
    row = load(B, m + v)
    for a in range(start, stop):
        row = row + A[m + a] * load(H, first + (a - start) * stride)
    store(B, m + v, row)
    for m in range((l * l + 1) * stride, (l + 1) ** 2 * stride, 2 * stride):
        row, next_row = load(B, m + v), load(B, m + stride + v)
        for a in range(start, stop):
            h = load(H, first + (a - start) * stride)
            row = row + A[m + a] * h
            next_row = next_row + A[m + stride + a] * h
        store(B, m + v, row)
        store(B, m + stride + v, next_row)


@inline
def _set_matrices(
    n_l: int, channels: Any, U: Any, first_U: int, H: Any, self_q: Any, q: int
) -> None:
    """Set ``dE/d(A_a,lm A_b,lm)`` of a block, a matrix for each l, and ``dE/dself``."""
    start, stop, stride = channels
    size = (stop - start) * stride
    for a in range(start, stop):
        for b in range(a, stop):
            sum_l, twice = 0.0, 1.0 + (a == b)
            at, across = (a - start) * stride + b, (b - start) * stride + a
            for l in range(n_l):  # noqa: E741
                h = 0.5 * U[first_U + q * n_l + l]
                sum_l += h
                H[l * size + at] = twice * h
                H[l * size + across] = twice * h
            self_q[q] = -sum_l
            q += 1


@kernel
def _set_channel_gradient(
    s: int, l_max: int, recipe: Any, work: Any, dEdG_f: Any, f: int, A: Any, own: Any
) -> None:
    """Set ``dE/dA`` in ``own.B`` and ``dE/dself`` in ``own.self_q`` of a member."""
    B, self_q = own
    stride, n_l = recipe.n_padded, l_max + 1
    to = recipe.features_of_products
    U, first_U = work.U, 0
    if recipe.first_feature_s[s] >= 0:
        U, first_U = dEdG_f, f + recipe.first_feature_s[s]
    else:
        U[:] = 0.0
        for i in range(to.first_g[s], to.first_g[s + 1]):
            U[to.from_i[i]] += to.weight_i[i] * dEdG_f[f + to.to_i[i]]
    B[: n_l * n_l * stride] = 0.0
    q = 0
    for block in range(recipe.block_si[s], recipe.block_si[s + 1]):
        start, stop = recipe.start_i[block], recipe.stop_i[block]
        low = start // WIDTH * WIDTH
        size = (stop - start) * stride
        work.H[: n_l * size] = 0.0
        if n_l == USUAL:  # a constant lets the compiler unroll
            _set_matrices(USUAL, (start, stop, stride), U, first_U, work.H, self_q, q)
        else:
            _set_matrices(n_l, (start, stop, stride), U, first_U, work.H, self_q, q)
        q += (stop - start) * (stop - start + 1) // 2
        for l in range(n_l):  # noqa: E741
            for v in range(low, stop, WIDTH):
                _add_rows(l, (start, stop, v), stride, l * size + v, work.H, A, B)


@inline
def _set_group_gradient(
    g: int, n_lm: int, recipe: Any, work: Any, k: int, dEdG_f: Any, f: int
) -> None:
    """Set the derivatives by the sums over neighbours of group ``g`` of a member."""
    two_k, moment_ki, square_i = work.two_mk[k], work.moment_mki[k], work.square_mi[k]
    B, self_q = work.B_mi[k], work.self_mq[k]
    two_k[:] = 0.0
    to = recipe.features_of_two
    for i in range(to.first_g[g], to.first_g[g + 1]):
        two_k[to.from_i[i]] += to.weight_i[i] * dEdG_f[f + to.to_i[i]]
    stride = recipe.n_padded_three
    moment_ki[: n_lm * stride] = 0.0
    to = recipe.runs_of_channels
    for i in range(to.first_g[g], to.first_g[g + 1]):
        weights, first, a = load(to.weights_iv, i * WIDTH), to.from_i[i], to.to_i[i]
        for m in range(n_lm):
            sums = load(moment_ki, m * stride + first)
            sums = sums + weights * load(B, m * recipe.n_padded + a)
            store(moment_ki, m * stride + first, sums)
    square_i[:] = 0.0
    to = recipe.selves_of_squares
    for i in range(to.first_g[g], to.first_g[g + 1]):
        square_i[to.from_i[i]] += to.weight_i[i] * self_q[to.to_i[i]]


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
            dEdr = dEdr + two_k[i] * load(work.two, i * WIDTH)
    if parts[1]:
        along, (dx, dy, dz) = contract_harmonics(
            block[0],
            l_max,
            (recipe.n_three_g[g], work.phi, work.slopes),
            (recipe.n_padded_three, work.moment_mki[k]),
            (work.Y, work.Ydot),
        )
        square_i = work.square_mi[k]
        for i in range(recipe.first_square_g[g + 1] - recipe.first_square_g[g]):
            along = along + square_i[i] * load(work.squares, i * WIDTH)
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
            for k in range(len(dEdG_kf)):
                own = work.B_mi[k], work.self_mq[k]
                _set_channel_gradient(
                    s, l_max, recipe, work, dEdG_kf[k], f, A_ni[n], own
                )
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
