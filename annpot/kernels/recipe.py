"""What the moments kernel computes for an atom: radial functions, and sparse maps.

A group ``g = s * n_species + t`` holds the neighbours of species t around a central
atom of species s. Counts and shells may differ from group to group.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.lanes import (
    WIDTH,
    add_to_element,
    aligned_zeros,
    element,
    splat,
)
from annpot.kernels.radial import inline, set_chebyshev
from annpot.kernels.symmetry import set_symmetry

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

CHEBYSHEV, SQUEEZED = 0, 4
"""Kinds of radial functions: ``fc(r) T_a(x)``, a = 0, 1, .., with x = 2 r / Rc - 1, and
with x = 2 (1 - r / Rc)^2 - 1 as in NEP (Z. Fan et al., Phys. Rev. B 104, 104309 (2021),
doi:10.1103/PhysRevB.104.104309), which resolves short distances better. Others are in
`annpot.kernels.symmetry`."""


class RadialTable(NamedTuple):
    """Rows of radial functions; functions of a row share kind and cutoff function."""

    first_g: Integers
    """Rows of group g are ``first_g[g]:first_g[g + 1]``."""
    kind_i: Integers
    first_i: Integers
    """Number of a row's first function among the two-body or the moment functions."""
    count_i: Integers
    cutoff_i: Array
    """Radius in angstrom."""
    shape_i: Integers
    """Cutoff function."""
    alpha_i: Array
    """Share of the radius inside which the cutoff function is 1."""
    start_i: Integers
    """First of a row's numbers in `parameters`."""
    parameters: Array


class SparseMap(NamedTuple):
    """``target[to_i] += weight_i source[from_i]``; the entries of g lie together."""

    first_g: Integers
    from_i: Integers
    to_i: Integers
    weight_i: Array


@inline
def add_mapped(
    sparse: Any, g: int, source: Any, from_0: int, target: Any, to_0: int
) -> None:
    """Add what a map makes of ``source[from_0:]`` to ``target[to_0:]``."""
    for i in range(sparse.first_g[g], sparse.first_g[g + 1]):
        value = element(source, from_0 + element(sparse.from_i, i))
        value = element(sparse.weight_i, i) * value
        add_to_element(target, to_0 + element(sparse.to_i, i), value)


@inline
def add_unmapped(
    sparse: Any, g: int, target: Any, to_0: int, source: Any, from_0: int
) -> None:
    """Add to ``source[from_0:]`` by the transpose of a map from ``target[to_0:]``."""
    for i in range(sparse.first_g[g], sparse.first_g[g + 1]):
        value = element(target, to_0 + element(sparse.to_i, i))
        value = element(sparse.weight_i, i) * value
        add_to_element(source, from_0 + element(sparse.from_i, i), value)


class Recipe(NamedTuple):
    """What is computed; see `annpot.kernels.moments`."""

    radial: RadialTable
    middle_g: Integers
    """First row of the moment functions."""
    n_two_g: Integers
    n_three_g: Integers
    """Number of two-body functions and of moment functions."""
    shell_two_g: Integers
    shell_three_g: Integers
    """Cutoff shell of either in the pair list; -1: there are none."""
    r_far: float
    """A distance beyond all cutoffs, angstrom."""
    l_max_s: Integers
    """Highest degree of the moments; -1: none."""
    block_si: Integers
    """Blocks of channels of s: ``block_si[s]:block_si[s + 1]``."""
    start_i: Integers
    stop_i: Integers
    """First channel of each block, counted within s, and the one behind its last."""
    n_channels_s: Integers
    n_padded: int
    """The largest number of channels, up to a multiple of 8."""
    n_padded_lm: int
    """The largest number of components lm, up to a multiple of 8."""
    features_of_two: SparseMap
    """From two-body sums to features."""
    channels_of_moments: SparseMap
    """From moment functions to channels."""
    first_square_g: Integers
    square_ik: Integers
    """Pairs of moment functions whose products are summed over neighbours."""
    selves_of_squares: SparseMap
    """From those sums to the products of channels that they are removed from."""
    features_of_products: SparseMap
    """From ``q (l_max + 1) + l`` to features, by central species."""
    first_feature_s: Integers
    """If that map takes all products one to one, in order: the first; else -1."""
    harmonics: Array
    """`annpot.kernels.harmonics.recurrence_table`."""


@inline
def set_radial(
    table: Any, rows: Any, r: Any, with_slopes: bool, phi: Any, slopes: Any
) -> None:
    """Set the functions of some rows at eight distances, and their derivatives."""
    for i in range(rows[0], rows[1]):
        kind, slope = table.kind_i[i], 1.0 / table.cutoff_i[i]
        if CHEBYSHEV < kind < SQUEEZED:
            set_symmetry(table, i, r, with_slopes, phi, slopes)
            continue
        x, dxdr = (2.0 * slope) * r - 1.0, splat(2.0 * slope)
        if kind == SQUEEZED:
            y = 1.0 - slope * r
            x, dxdr = 2.0 * y * y - 1.0, (-4.0 * slope) * y
        functions = table.first_i[i], table.count_i[i], with_slopes
        set_chebyshev(r, table.cutoff_i[i], x, dxdr, functions, phi, slopes)


class Workspace(NamedTuple):
    """What one thread needs while it works on a chunk of atoms."""

    phi: Array
    slopes: Array
    two: Array
    """Lane accumulators of two-body sums, then their totals."""
    moments: Array
    squares: Array
    Y: Array
    Ydot: Array
    two_k: Array
    moment_ki: Array
    square_i: Array
    self_q: Array
    U: Array
    columns: Array
    more_columns: Array
    Adot: Array
    row: Array
    block: Array
    two_mk: Array
    """From here on of each member: derivatives by the sums of a group,"""
    moment_mki: Array
    square_mi: Array
    self_mq: Array
    """by the self terms"""
    B_mi: Array
    """and by the channels;"""
    own_mi: Array
    """lane accumulators of the force on the atom itself"""
    virial_mi: Array
    nothing_cc: Array


def make_workspace(recipe: Recipe, n_members: int = 1) -> Workspace:
    """Return the work arrays of one thread, for so many energies at once."""
    n_two = int(recipe.n_two_g.max())
    n_three = int(recipe.n_three_g.max())
    l_max = int(recipe.l_max_s.max())
    n_lm = (l_max + 1) ** 2
    n_squares = int(np.diff(recipe.first_square_g).max())
    n_channels = int(recipe.n_channels_s.max())
    n_products = 0
    for s in range(len(recipe.l_max_s)):
        blocks = slice(*recipe.block_si[s : s + 2])
        sizes = recipe.stop_i[blocks] - recipe.start_i[blocks]
        n_products = max(n_products, int((sizes * (sizes + 1) // 2).sum()))

    def lanes(count: int) -> Array:
        return aligned_zeros(-(-count // WIDTH) * WIDTH * WIDTH)

    def numbers(count: int) -> Array:
        return aligned_zeros(count + WIDTH)

    def rows(count: int) -> Array:
        size = -(-count // WIDTH) * WIDTH
        return aligned_zeros(n_members * size).reshape(n_members, size)

    return Workspace(
        phi=lanes(max(n_two, n_three)),
        slopes=lanes(max(n_two, n_three)),
        two=lanes(n_two),
        moments=lanes(n_three * n_lm),
        squares=lanes(n_squares),
        Y=lanes(n_lm),
        Ydot=lanes(n_lm),
        two_k=numbers(n_two),
        moment_ki=numbers(n_three * n_lm),
        square_i=numbers(n_squares),
        self_q=numbers(n_products),
        U=numbers(n_products * (l_max + 1)),
        columns=numbers(n_lm * recipe.n_padded),
        more_columns=numbers(n_lm * recipe.n_padded),
        Adot=numbers(n_channels * recipe.n_padded_lm),
        row=numbers(recipe.n_padded),
        block=aligned_zeros(3 * WIDTH),
        two_mk=rows(n_two),
        moment_mki=rows(n_three * recipe.n_padded_lm),
        square_mi=rows(n_squares),
        self_mq=rows(n_products),
        B_mi=rows(n_channels * recipe.n_padded_lm),
        own_mi=rows(3 * WIDTH),
        virial_mi=rows(9 * WIDTH),
        nothing_cc=np.zeros((0, 3)),
    )
