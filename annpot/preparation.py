"""Preparation of the shards for training: statistics, scaled inputs, what is kept.

Each shard is worked on alone, so that no more is in memory at once than the plan says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.descriptors.cached_triplets import CachingDescriptor
from annpot.extrapolation import Domain, begin_domain
from annpot.kernels.environment import Neighbours
from annpot.model import Model
from annpot.objective import Targets
from annpot.pairs import (
    PackedPairs,
    find_nearest,
    find_packed_pairs,
    find_pairs,
    unpack_pairs,
)
from annpot.planning import Ledger, Seconds, Size, count_bytes
from annpot.scaling import Statistics, compute_statistics
from annpot.shards import NO_PAIRS, Shard
from annpot.structures.structure import Array, Batch

DOMAIN_FLOOR = 1e-4
"""Floor of the variances for distances from the training data."""


def load_kernels(caching: CachingDescriptor, batch: Batch) -> float:
    """Work on a few structures; return what derivatives need, bytes per atom.

    The memory of compiled code does not grow any more afterwards.
    """
    descriptor = Descriptor(caching.parts)
    neighbours = find_pairs(batch, descriptor.cutoffs)
    features = descriptor.compute_features(batch, neighbours)
    F_nc, _ = descriptor.compute_forces(features, features.G_f, virials=True)
    descriptor.compute_tangents(features, F_nc, np.zeros((batch.n_structures, 3, 3)))
    find_nearest(neighbours)
    if caching.caches:
        features = caching.compute_features(batch, neighbours)
        caching.compute_forces(features, features.G_f)
        caching.compute_tangents(features, F_nc)
        features = descriptor.compute_features(batch, neighbours)
    return count_bytes(features.states) / batch.n_atoms


@dataclass(frozen=True)
class Prepared:
    """The shards of the training set and of others, and what the first are like."""

    model: Model
    shards_of: list[list[Shard]]
    domains: list[Domain]
    shortest_st: Array


def prepare(
    caching: CachingDescriptor,
    parts_of: Sequence[Sequence[Targets]],
    ledger: Ledger,
    make_model: Callable[[list[Statistics]], Model],
) -> Prepared:
    """Return the shards of each set, the training set first.

    Parameters
    ----------
    parts_of
        The structures of each shard of each set.
    caching
        Keeps derivatives where the ledger says so.
    ledger
        Decides what is kept; it counts the shards through all sets.
    make_model
        Makes the model when the statistics of the training set are known.
    """
    descriptor = Descriptor(caching.parts)
    survey = Survey(len(descriptor.species))
    drafts = [
        _draft(caching, part, k, ledger, survey.look)
        for k, part in enumerate(parts_of[0])
    ]
    model = make_model(survey.statistics)
    domains = [begin_domain(found, DOMAIN_FLOOR) for found in survey.statistics]
    squares_s: list[list[Array]] = [[] for _ in domains]
    training: list[Shard] = []
    while drafts:  # one by one: raw features make room for scaled ones
        shard, raw = drafts.pop(0)
        features = shard.compute_features(descriptor) if raw is None else raw
        blocks = features.blocks(features.G_f)
        for found, domain, G_nf in zip(squares_s, domains, blocks, strict=True):
            found.append(domain.compute_squares(G_nf))
        training.append(_finish(shard, raw, model, ledger.forces))
        del raw, features, blocks
    domains = [
        domain.with_limits(np.concatenate(found))
        for domain, found in zip(domains, squares_s, strict=True)
    ]
    shards_of, k = [training], len(training)
    for parts in parts_of[1:]:
        shards = []
        for part in parts:
            shard, raw = Shard(part), None
            if ledger.foresees(k):
                shard, raw = _draft(caching, part, k, ledger, lambda _: None)
            shards.append(_finish(shard, raw, model, ledger.forces))
            k += 1
        shards_of.append(shards)
    return Prepared(model, shards_of, domains, survey.shortest_st)


def _draft(
    caching: CachingDescriptor,
    targets: Targets,
    k: int,
    ledger: Ledger,
    look: Callable[[Features], None],
) -> tuple[Shard, Features | None]:
    """Return shard ``k``, and its raw features, without pairs, if they are kept."""
    descriptor = Descriptor(caching.parts)
    batch, clock = targets.batch, [time.perf_counter()]
    packed = find_packed_pairs(batch, descriptor.cutoffs)
    clock.append(time.perf_counter())
    neighbours = unpack_pairs(packed, batch)
    clock.append(time.perf_counter())
    features = descriptor.compute_features(batch, neighbours)
    clock.append(time.perf_counter())
    look(features)
    if caching.caches:
        clock.append(_time_derivatives(descriptor, features) + clock[-1])
    n_pairs = len(packed.j_p)
    seconds = Seconds(*(np.diff(clock) / max(n_pairs, 1)).tolist())
    needed = sum(cache.bytes_needed(neighbours) for cache in caching.caches)
    kept = ledger.admit(k, n_pairs, seconds, float(needed))
    pairs: PackedPairs | Neighbours | None = None
    if kept.packed:
        pairs = neighbours if kept.vectors else packed
    if kept.derivatives:
        features = caching.compute_features(batch, neighbours)
    raw = replace(features, neighbours=NO_PAIRS) if kept.inputs else None
    return Shard(targets, pairs, caching=caching if kept.derivatives else None), raw


def _time_derivatives(descriptor: Descriptor, features: Features) -> float:
    """Return the seconds of forces and tangents, which take about equally long."""
    start = time.perf_counter()
    descriptor.compute_forces(features, features.G_f)
    return 2 * (time.perf_counter() - start)


def _finish(shard: Shard, raw: Features | None, model: Model, forces: bool) -> Shard:
    """Return the shard with scaled features, if they are kept."""
    if raw is None:
        return shard
    inputs = model.scale_features(raw)
    return replace(shard, inputs=inputs if forces else replace(inputs, states=[]))


class Survey:
    """What the features of the training set are like, shard by shard."""

    def __init__(self, n_species: int) -> None:
        self.statistics: list[Statistics] = []
        self.shortest_st = np.full((n_species, n_species), np.inf)

    def look(self, features: Features) -> None:
        """Take the atoms of a shard into account."""
        found = [compute_statistics(G) for G in features.blocks(features.G_f)]
        if self.statistics:
            found = [a.merge(b) for a, b in zip(self.statistics, found, strict=True)]
        self.statistics = found
        nearest_nt = find_nearest(features.neighbours)
        np.minimum.at(self.shortest_st, features.batch.species_n, nearest_nt)


def size_structures(
    descriptor: CachingDescriptor,
    batch: Batch,
    neighbours_s: Array,
    nodes_s: Sequence[int],
    state_bytes: float,
) -> Size:
    """Return the sizes of the structures of a batch, as far as can be foreseen.

    Parameters
    ----------
    neighbours_s
        Mean number of neighbours of atoms of each species.
    nodes_s
        Nodes in all hidden layers of the network of each species.
    state_bytes
        What derivatives need, per atom.
    """
    atoms_s = batch.atoms_s.astype(float)

    def sum_up(value_t: Array) -> Array:
        return np.add.reduceat(value_t[batch.species_n], batch.first_s[:-1])

    pairs_s = sum_up(neighbours_s)
    row_bytes_s = np.zeros(len(descriptor.species))
    for cache in descriptor.caches:
        row_bytes_s += cache.row_bytes_s
    # one row for each distinct atom among the neighbours
    rows_s = np.minimum(atoms_s, pairs_s / atoms_s + 1)
    n_groups = len(descriptor.species) * len(descriptor.cutoffs)
    return Size(
        n_atoms=atoms_s,
        n_pairs=pairs_s,
        n_features=sum_up(descriptor.n_features_s.astype(float)),
        n_groups=n_groups * atoms_s,
        state_bytes=state_bytes * atoms_s,
        trace_bytes=sum_up(8.0 * (4 * np.array(nodes_s) + 2)),
        derivatives=sum_up(row_bytes_s) * rows_s,
    )
