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

Three operations, each one pass over the neighbours: features here, the product of a
vector with their derivatives in `annpot.kernels.moment_forces`, and of the derivatives
with a vector in `annpot.kernels.moment_tangents`. Nothing that grows with neighbours x
features is stored.

Atoms are dealt to threads in chunks that do not depend on the number of threads, and
each sum has a fixed order: results are the same bits on any number of threads.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear, count_pairs, load_block
from annpot.kernels.harmonics import set_harmonics
from annpot.kernels.lanes import WIDTH, load, splat, spread, store, totals
from annpot.kernels.radial import inline
from annpot.kernels.recipe import add_mapped, set_radial

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@inline
def reduce(lanes: Any, count: int, sums: Any) -> None:
    """Set ``sums`` to the totals of lane accumulators."""
    for i in range(0, count, WIDTH):
        store(sums, i, totals(lanes, i * WIDTH))


@inline
def rows_of(recipe: Any, g: int) -> Any:
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
    two_rows, three_rows = rows_of(recipe, g)
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
    reduce(work.two, n_two, work.two_k)
    reduce(work.moments, n_three * n_lm, work.moment_ki)
    reduce(work.squares, squares - square, work.square_i)


@inline
def add_group(
    g: int, n_lm: int, recipe: Any, work: Any, G_f: Any, f: int, A: Any
) -> None:
    """Add the sums of a group to features, channels and self terms."""
    add_mapped(recipe.features_of_two, g, work.two_k, 0, G_f, f)
    to = recipe.channels_of_moments
    for i in range(to.first_g[g], to.first_g[g + 1]):
        weight, first, a = to.weight_i[i], to.from_i[i] * n_lm, to.to_i[i]
        for m in range(n_lm):
            A[a * recipe.n_padded_lm + m] += weight * work.moment_ki[first + m]
    add_mapped(recipe.selves_of_squares, g, work.square_i, 0, work.self_q, 0)


@inline
def _set_columns(n_channels: int, n_lm: int, recipe: Any, A: Any, columns: Any) -> None:
    """Set the moments so that those of all channels for the same lm lie together."""
    for a in range(n_channels):
        for m in range(n_lm):
            columns[m * recipe.n_padded + a] = A[a * recipe.n_padded_lm + m]


@inline
def _row_of_product(
    degree: int, A: Any, first: int, columns: Any, stride: int, v: int
) -> Any:
    """Return ``sum_m A_a,lm B_b,lm`` for eight channels b from ``v`` on."""
    row = splat(0.0)
    for m in range(degree**2, (degree + 1) ** 2):
        row = row + spread(A, first + m) * load(columns, m * stride + v)
    return row


@kernel
def set_products(
    s: int, l_max: int, recipe: Any, work: Any, A: Any, B: Any, both: bool
) -> None:
    """Set the products of channels ``A`` and ``B`` in ``work.U``.

    With ``both`` those of B and A are added: the tangents if B is that of A.
    """
    q, stride, columns = 0, recipe.n_padded, work.columns
    n_channels, n_lm = recipe.n_channels_s[s], (l_max + 1) ** 2
    _set_columns(n_channels, n_lm, recipe, B, columns)
    if both:
        _set_columns(n_channels, n_lm, recipe, A, work.more_columns)
    for block in range(recipe.block_si[s], recipe.block_si[s + 1]):
        start, stop = recipe.start_i[block], recipe.stop_i[block]
        for a in range(start, stop):
            first = a * recipe.n_padded_lm
            for l in range(l_max + 1):  # noqa: E741
                for v in range(a // WIDTH * WIDTH, stop, WIDTH):
                    row = _row_of_product(l, A, first, columns, stride, v)
                    if both:
                        more = work.more_columns
                        row = row + _row_of_product(l, B, first, more, stride, v)
                    store(work.row, v, row)
                for b in range(a, stop):
                    U = work.row[b] - work.self_q[q + b - a]
                    work.U[(q + b - a) * (l_max + 1) + l] = 0.5 * U
            q += stop - a


@inline
def add_products(s: int, recipe: Any, work: Any, G_f: Any, f: int) -> None:
    """Add the products of channels to the features."""
    add_mapped(recipe.features_of_products, s, work.U, 0, G_f, f)


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
        Zeros, for the moments in all channels: ``A_a,lm`` at ``a n_padded_lm + lm``.
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
                add_group(g, (l_max + 1) ** 2, recipe, work, G_f, f, A)
            set_products(s, l_max, recipe, work, A, A, False)
            add_products(s, recipe, work, G_f, f)
