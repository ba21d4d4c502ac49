"""The moments kernel: features of atomic environments in O(neighbours).

Sums over pairs of neighbours factorise by the addition theorem of spherical harmonics
(``annpot/descriptors/README.md``). For each central atom, with functions ``phi_k`` of
the distance that may depend on the species of central atom and neighbour:

    R_k    = sum_j phi_k(r_j)                         two-body sums
    M_k,lm = sum_j phi_k(r_j) C_lm(u_j)               moments, per neighbour species
    A_a,lm = sum w M_k,lm                             channels: species are mixed here
    U_ab,l = (sum_m A_a,lm A_b,lm - self_ab) / 2      products of channels
           = sum over pairs of neighbours of phi_a phi_b P_l(cos theta), where the
             self term takes out that a neighbour pairs with itself
    G_f    = sum w R_k + sum w U_ab,l                 features, by sparse maps

Three operations, each one pass over the neighbours, side by side: `add_features`,
`add_forces` (the product of a vector with the features' derivatives) and `add_tangents`
(of the derivatives with a vector). Nothing that grows with neighbours x features is
stored.

Atoms are dealt to threads in chunks that do not depend on the number of threads, and
each sum has a fixed order: results are the same bits on any number of threads.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear, count_pairs, load_block
from annpot.kernels.harmonics import (
    USUAL,
    contract_harmonics,
    set_harmonic_tangents,
    set_harmonics,
    set_legendre,
)
from annpot.kernels.lanes import WIDTH, load, splat, store, total, totals
from annpot.kernels.radial import inline
from annpot.kernels.recipe import set_radial

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def _reduce(lanes: Any, count: int, sums: Any) -> None:
    """Set ``sums`` to the totals of lane accumulators."""
    for i in range(0, count, WIDTH):
        store(sums, i, totals(lanes, i * WIDTH))


@inline
def _rows(recipe: Any, g: int) -> Any:
    """Return the rows of two-body and of moment functions of group ``g``."""
    first, middle = recipe.radial.first_g[g], recipe.middle_g[g]
    return (first, middle), (middle, recipe.radial.first_g[g + 1])


@kernel
def _sum_group(
    g: int, l_max: int, pairs: Any, neighbours: Any, recipe: Any, work: Any
) -> None:
    """Sum radial functions, moments and squares over neighbours of one species."""
    first, two, three = pairs
    n_two, n_three, n_lm = recipe.n_two_g[g], recipe.n_three_g[g], (l_max + 1) ** 2
    square, squares = recipe.first_square_g[g], recipe.first_square_g[g + 1]
    two_rows, three_rows = _rows(recipe, g)
    clear(work.two, n_two)
    clear(work.moments, n_three * n_lm)
    clear(work.squares, squares - square)
    count = max(two, three)
    for b in range(0, count, WIDTH):
        p = first + b
        u, r, _ = load_block(neighbours.D_cp, p, count - b, recipe.r_far)
        if b < two:
            set_radial(recipe.radial, two_rows, r, False, work.phi, work.slopes)
            for k in range(n_two):
                i = k * WIDTH
                store(work.two, i, load(work.two, i) + load(work.phi, i))
        if b < three:
            set_radial(recipe.radial, three_rows, r, False, work.phi, work.slopes)
            set_harmonics(u, l_max, recipe.harmonics, work.Y)
            for k in range(n_three):
                f = load(work.phi, k * WIDTH)
                for m in range(n_lm):
                    i = (k * n_lm + m) * WIDTH
                    moment = load(work.moments, i)
                    store(work.moments, i, moment + f * load(work.Y, m * WIDTH))
            for i in range(squares - square):
                k, q = recipe.square_ik[square + i]
                f = load(work.phi, k * WIDTH) * load(work.phi, q * WIDTH)
                store(work.squares, i * WIDTH, load(work.squares, i * WIDTH) + f)
    _reduce(work.two, n_two, work.two_k)
    _reduce(work.moments, n_three * n_lm, work.moment_ki)
    _reduce(work.squares, squares - square, work.square_i)


@inline
def _add_group(
    g: int, n_lm: int, recipe: Any, work: Any, G_f: Any, f: int, A: Any
) -> None:
    """Add the sums of a group to features, channels and self terms."""
    to = recipe.features_of_two
    for i in range(to.first_g[g], to.first_g[g + 1]):
        G_f[f + to.to_i[i]] += to.weight_i[i] * work.two_k[to.from_i[i]]
    to = recipe.channels_of_moments
    for i in range(to.first_g[g], to.first_g[g + 1]):
        weight, first, a = to.weight_i[i], to.from_i[i] * n_lm, to.to_i[i]
        for m in range(n_lm):
            A[m * recipe.n_padded + a] += weight * work.moment_ki[first + m]
    to = recipe.selves_of_squares
    for i in range(to.first_g[g], to.first_g[g + 1]):
        work.self_q[to.to_i[i]] += to.weight_i[i] * work.square_i[to.from_i[i]]


@inline
def _row_of_product(A: Any, B: Any, a: int, degree: int, v: int, stride: int) -> Any:
    """Return ``sum_m A_a,lm B_b,lm`` for eight channels b from ``v`` on."""
    row = splat(0.0)
    for m in range(degree**2, (degree + 1) ** 2):
        row = row + A[m * stride + a] * load(B, m * stride + v)
    return row


@kernel
def _set_products(
    s: int, l_max: int, recipe: Any, work: Any, A: Any, B: Any, both: bool
) -> None:
    """Set the products of channels ``A`` and ``B`` in ``work.U``.

    With ``both`` those of B and A are added: the tangents if B is that of A.
    """
    q, stride = 0, recipe.n_padded
    for block in range(recipe.block_si[s], recipe.block_si[s + 1]):
        start, stop = recipe.start_i[block], recipe.stop_i[block]
        for a in range(start, stop):
            for l in range(l_max + 1):  # noqa: E741
                for v in range(a // WIDTH * WIDTH, stop, WIDTH):
                    row = _row_of_product(A, B, a, l, v, stride)
                    if both:
                        row = row + _row_of_product(B, A, a, l, v, stride)
                    store(work.row, v, row)
                for b in range(a, stop):
                    U = work.row[b] - work.self_q[q + b - a]
                    work.U[(q + b - a) * (l_max + 1) + l] = 0.5 * U
            q += stop - a


@inline
def _add_products(s: int, recipe: Any, work: Any, G_f: Any, f: int) -> None:
    """Add the products of channels to the features."""
    to = recipe.features_of_products
    for i in range(to.first_g[s], to.first_g[s + 1]):
        G_f[f + to.to_i[i]] += to.weight_i[i] * work.U[to.from_i[i]]


@kernel
def add_features(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    G_f: Any,
    A_ni: Any,
) -> None:
    """Add the features, and set the moments, of the atoms of some chunks.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`.
    G_f
        All features; those of atom n from ``feature_n[n]`` on.
    A_ni
        Zeros, for the moments in all channels: ``A_a,lm`` at ``lm n_padded + a``.
    """
    for k in range(len(chunk_ki)):
        for n in range(chunk_ki[k, 0], chunk_ki[k, 1]):
            s, f, A = neighbours.species_n[n], feature_n[n], A_ni[n]
            l_max = recipe.l_max_s[s]
            work.self_q[:] = 0.0
            for t in range(neighbours.n_species):
                g = s * neighbours.n_species + t
                pairs = count_pairs(neighbours, recipe, n, g, t)
                if max(pairs[1], pairs[2]) == 0:
                    continue
                _sum_group(g, l_max, pairs, neighbours, recipe, work)
                _add_group(g, (l_max + 1) ** 2, recipe, work, G_f, f, A)
            _set_products(s, l_max, recipe, work, A, A, False)
            _add_products(s, recipe, work, G_f, f)


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
    two_rows, three_rows = _rows(recipe, g)
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
    two_rows, three_rows = _rows(recipe, g)
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
    _reduce(work.two, n_two, work.two_k)
    _reduce(work.moments, n_three * n_lm, work.moment_ki)
    _reduce(work.squares, n_squares, work.square_i)


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
            work.Adot[: n_lm * recipe.n_padded] = 0.0
            for t in range(neighbours.n_species):
                g = s * neighbours.n_species + t
                pairs = count_pairs(neighbours, recipe, n, g, t)
                if max(pairs[1], pairs[2]) == 0:
                    continue
                _sum_group_tangents(
                    n, g, l_max, pairs, neighbours, recipe, (V_nc, strain_cc), work
                )
                _add_group(g, n_lm, recipe, work, Gdot_f, f, work.Adot)
            _set_products(s, l_max, recipe, work, A_ni[n], work.Adot, True)
            _add_products(s, recipe, work, Gdot_f, f)
