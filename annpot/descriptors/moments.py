"""The operator of features that factorise: a part's wishes -> the kernel's recipe.

See `annpot.kernels.moments` for what is computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annpot.descriptors.base import Motion, Task
from annpot.descriptors.tables import firsts, integers
from annpot.kernels import moment_forces, moment_tangents, moments
from annpot.kernels.harmonics import recurrence_table
from annpot.kernels.lanes import WIDTH, aligned_zeros
from annpot.kernels.recipe import (
    RadialTable,
    Recipe,
    SparseMap,
    make_workspace,
)
from annpot.structures.structure import Array


class Row(NamedTuple):
    """Radial functions that share their kind and their cutoff function."""

    kind: int
    size: int
    """Number of functions."""
    cutoff: float
    """Angstrom."""
    shape: int = 1
    alpha: float = 0.0
    parameters: tuple[float, ...] = ()


class Entry(NamedTuple):
    """An element of a sparse map."""

    source: int
    target: int
    weight: float


@dataclass(frozen=True)
class Neighbourhood:
    """What neighbours of one species contribute to a central atom of another."""

    two_body: list[Row]
    moments: list[Row]
    to_features: list[Entry]
    """From two-body functions to features of the part."""
    to_channels: list[Entry]
    """From moment functions to channels."""


@dataclass(frozen=True)
class Central:
    """What is computed for central atoms of one species."""

    l_max: int
    """Highest degree of the moments; -1: none."""
    neighbourhoods: list[Neighbourhood]
    """For each neighbour species."""
    blocks: list[int]
    """Sizes of blocks of consecutive channels. Products are those of two channels of
    the same block, numbered row by row through the upper triangle of each block."""
    features: list[tuple[int, int, Sequence[float]]]
    """Feature of the part, number of a product, and coefficients for l = 0, 1, ..: the
    feature is the sum of ``c_l U_l``, with each pair of neighbours counted once if both
    channels are the same."""


class MomentsOperator:
    """Computes two-body sums and products of moments."""

    def __init__(self, centrals: Sequence[Central], shells: tuple[float, ...]) -> None:
        self.recipe = make_recipe(centrals, shells)
        self._n_state = int(self.recipe.n_channels_s.max()) * self.recipe.n_padded_lm

    def make_state(self, n_atoms: int) -> Array:
        """Return zeros for the moments of all atoms."""
        return aligned_zeros(n_atoms * self._n_state).reshape(n_atoms, self._n_state)

    def add_features(self, task: Task, state: Array, G_f: Array) -> None:
        """Add the features of some chunks, and set their moments."""
        moments.add_features(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_workspace(self.recipe),
            G_f,
            state,
        )

    def add_forces(
        self,
        task: Task,
        state: Array,
        dEdG_kf: Array,
        F_knc: Array,
        virial_kncc: Array,
    ) -> None:
        """Add forces and virials."""
        moment_forces.add_forces(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_workspace(self.recipe, len(dEdG_kf)),
            state,
            dEdG_kf,
            F_knc,
            virial_kncc,
        )

    def add_tangents(
        self, task: Task, state: Array, motion: Motion, Gdot_f: Array
    ) -> None:
        """Add the tangents of the features."""
        moment_tangents.add_tangents(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_workspace(self.recipe),
            state,
            motion.V_nc,
            motion.structure_n,
            motion.strain_scc,
            Gdot_f,
        )


def make_recipe(centrals: Sequence[Central], shells: tuple[float, ...]) -> Recipe:
    """Return what the kernel reads, for pair lists with the given shells."""
    groups = [hood for central in centrals for hood in central.neighbourhoods]
    l_max_s = np.array([central.l_max for central in centrals])
    squares, selves = zip(
        *(_squares(c, hood) for c in centrals for hood in c.neighbourhoods),
        strict=True,
    )
    starts, stops = _block_bounds(centrals)
    n_channels_s = integers(max(channels, default=0) for channels in stops)
    first_square_g = firsts(squares)
    product_entries = [_product_entries(central) for central in centrals]
    return Recipe(
        radial=_table(groups),
        middle_g=firsts([(*g.two_body, *g.moments) for g in groups])[:-1]
        + np.array([len(g.two_body) for g in groups]),
        n_two_g=np.array([_count(g.two_body) for g in groups]),
        n_three_g=np.array([_count(g.moments) for g in groups]),
        shell_two_g=np.array([_shell(g.two_body, shells) for g in groups]),
        shell_three_g=np.array([_shell(g.moments, shells) for g in groups]),
        r_far=max(shells) + 1.0,
        l_max_s=l_max_s,
        block_si=firsts(starts),
        start_i=integers(itertools.chain(*starts)),
        stop_i=integers(itertools.chain(*stops)),
        n_channels_s=n_channels_s,
        n_padded=_pad(int(n_channels_s.max())),
        n_padded_lm=_pad((int(l_max_s.max()) + 1) ** 2),
        features_of_two=_sparse([g.to_features for g in groups]),
        channels_of_moments=_sparse([g.to_channels for g in groups]),
        first_square_g=first_square_g,
        square_ik=np.array(
            [pair for pairs in squares for pair in pairs], dtype=np.int64
        ).reshape(-1, 2),
        selves_of_squares=_sparse(selves),
        features_of_products=_sparse(product_entries),
        first_feature_s=integers(map(_first_feature, centrals, product_entries)),
        harmonics=recurrence_table(max(0, int(l_max_s.max()))),
    )


def _pad(count: int) -> int:
    """Return a count up to a multiple of 8, at least that."""
    return max(1, -(-count // WIDTH)) * WIDTH


def _count(rows: Sequence[Row]) -> int:
    return sum(row.size for row in rows)


def _shell(rows: Sequence[Row], shells: tuple[float, ...]) -> int:
    """Return the shell that holds all pairs that some functions see; -1: none."""
    return shells.index(max(row.cutoff for row in rows)) if rows else -1


def _table(groups: Sequence[Neighbourhood]) -> RadialTable:
    rows = [row for g in groups for row in (*g.two_body, *g.moments)]
    first_i = [
        first
        for g in groups
        for part in (g.two_body, g.moments)
        for first in np.cumsum([0, *(row.size for row in part)])[:-1]
    ]
    return RadialTable(
        first_g=firsts([(*g.two_body, *g.moments) for g in groups]),
        kind_i=integers(row.kind for row in rows),
        first_i=integers(first_i),
        count_i=integers(row.size for row in rows),
        cutoff_i=np.array([row.cutoff for row in rows], dtype=float),
        shape_i=integers(row.shape for row in rows),
        alpha_i=np.array([row.alpha for row in rows], dtype=float),
        start_i=firsts([row.parameters for row in rows])[:-1],
        parameters=np.array([p for row in rows for p in row.parameters], dtype=float),
    )


def _sparse(lists: Sequence[Sequence[Entry]]) -> SparseMap:
    entries = [entry for entries in lists for entry in entries]
    return SparseMap(
        first_g=firsts(lists),
        from_i=integers(e.source for e in entries),
        to_i=integers(e.target for e in entries),
        weight_i=np.array([e.weight for e in entries], dtype=float),
    )


def _first_feature(central: Central, entries: Sequence[Entry]) -> int:
    """Return the first feature of a map of all products, in order; else -1."""
    n_products = sum(size * (size + 1) // 2 for size in central.blocks)
    first = entries[0].target if entries else 0
    plain = [Entry(i, first + i, 1.0) for i in range(n_products * (central.l_max + 1))]
    return first if list(entries) == plain else -1


def _block_bounds(
    centrals: Sequence[Central],
) -> tuple[list[list[int]], list[list[int]]]:
    """Return first channel, and the one behind the last, of the blocks of each."""
    ends = [list(itertools.accumulate(c.blocks)) for c in centrals]
    starts = [
        [end - size for end, size in zip(stops, c.blocks, strict=True)]
        for stops, c in zip(ends, centrals, strict=True)
    ]
    return starts, ends


def products(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Return the two channels of each product, in order."""
    pairs = []
    start = 0
    for size in blocks:
        channels = range(start, start + size)
        pairs += list(itertools.combinations_with_replacement(channels, 2))
        start += size
    return pairs


def _squares(
    central: Central, hood: Neighbourhood
) -> tuple[list[tuple[int, int]], list[Entry]]:
    """Return the pairs of moment functions whose squares are self terms of products.

    And the map from their sums over neighbours of this species to the products.
    """
    number = {pair: q for q, pair in enumerate(products(central.blocks))}
    squares: dict[tuple[int, int], int] = {}
    entries = []
    for (k, a, v), (j, b, w) in itertools.product(hood.to_channels, repeat=2):
        if (a, b) in number:
            square = squares.setdefault((min(k, j), max(k, j)), len(squares))
            entries.append(Entry(square, number[a, b], v * w))
    return list(squares), entries


def _product_entries(central: Central) -> list[Entry]:
    return [
        Entry(q * (central.l_max + 1) + l, feature, float(weight))
        for feature, q, weights_l in central.features
        for l, weight in enumerate(weights_l)  # noqa: E741
        if weight
    ]
