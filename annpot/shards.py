"""Shards: consecutive structures of a set, worked on at once, and what is kept of them.

What is not kept is computed again at each visit. Kept or computed again, the inputs of
the networks have the same bits, because the shards are always the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.kernels.environment import Neighbours
from annpot.model import Model
from annpot.objective import Targets
from annpot.pairs import (
    PackedPairs,
    find_packed_pairs,
    take_pairs,
    unpack_pairs,
)
from annpot.structures.structure import Array, Integers

NO_PAIRS = Neighbours(
    0,
    0,
    np.zeros(0, dtype=np.int64),
    np.zeros(1, dtype=np.int64),
    np.zeros(0, dtype=np.int32),
    np.zeros((3, 0)),
)
"""In the place of pairs that are kept elsewhere, or not at all."""


@dataclass(frozen=True)
class Shard:
    """Consecutive structures of a set, with what is kept of them."""

    targets: Targets
    first: int = 0
    """Number of the first structure in the set."""
    pairs: PackedPairs | Neighbours | None = None
    inputs: Features | None = None
    """Scaled features, without their pairs."""
    caching: Descriptor | None = None
    """The descriptor of which derivatives are kept with the inputs, if any are."""

    def model(self, model: Model) -> Model:
        """Return the model that uses what is kept of this shard."""
        return replace(model, descriptor=self.caching) if self.caching else model

    def find_pairs(self, descriptor: Descriptor) -> Neighbours:
        """Return the pairs with their vectors."""
        pairs, batch = self.pairs, self.targets.batch
        if pairs is None:
            pairs = find_packed_pairs(batch, descriptor.cutoffs)
        if isinstance(pairs, PackedPairs):
            pairs = unpack_pairs(pairs, batch)
        return pairs

    def compute_features(self, descriptor: Descriptor) -> Features:
        """Return the features before scaling."""
        pairs = self.find_pairs(descriptor)
        return descriptor.compute_features(self.targets.batch, pairs)

    def open(self, model: Model, *, forces: bool) -> Features:
        """Return the inputs of the networks; without ``forces``, those alone."""
        if self.inputs is None:
            return model.scale_features(self.compute_features(model.descriptor))
        if not forces:
            return self.inputs
        return replace(self.inputs, neighbours=self.find_pairs(model.descriptor))

    def ready(self, *, forces: bool) -> bool:
        """Return whether a visit computes nothing again."""
        pairs = isinstance(self.pairs, Neighbours) or not forces
        return pairs and self.inputs is not None

    def take(self, structures: Integers) -> Shard:
        """Return some structures with their pairs, if those are kept packed."""
        pairs = None
        if isinstance(self.pairs, PackedPairs):
            pairs = take_pairs(self.pairs, self.targets.batch, structures)
        return Shard(self.targets.take(structures), pairs=pairs)


def cut(cost_s: Array) -> list[tuple[int, int]]:
    """Return first and last + 1 structure of shards that cost about the same.

    Parameters
    ----------
    cost_s
        Of each structure, as a share of a shard; one that costs more than 1 is a shard
        of its own.
    """
    n_shards = max(1, int(np.ceil(cost_s.sum())))
    after_s = np.cumsum(cost_s)
    ends = np.searchsorted(after_s, after_s[-1] * np.arange(1, n_shards) / n_shards)
    edges: Sequence[int] = np.unique([0, *(ends + 1), len(cost_s)]).tolist()
    return list(itertools.pairwise(edges))
