"""Preparation of the shards for training: statistics, scaled inputs, what is kept.

Each shard is worked on alone, so that no more is in memory at once than the plan says.
Each rank works on its own shards; what they are like altogether has the same bits
however the shards are dealt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.descriptors.cached_triplets import CachingDescriptor
from annpot.exact_sums import ExactSum
from annpot.extrapolation import Domain, begin_domain
from annpot.model import Model
from annpot.pairs import (
    find_nearest,
    find_packed_pairs,
    unpack_pairs,
)
from annpot.parallel import ALONE, Ranks
from annpot.planning import Ledger, Seconds, Size, count_bytes
from annpot.scaling import Statistics, compute_statistics
from annpot.shards import NO_PAIRS, Shard
from annpot.structures.structure import Array, Batch, Integers

DOMAIN_FLOOR = 1e-4
"""Floor of the variances for distances from the training data."""


def load_kernels(caching: CachingDescriptor, batch: Batch) -> float:
    """Work on a few structures; return what derivatives need, bytes per atom.

    The memory of compiled code does not grow any more afterwards.
    """
    descriptor = Descriptor(caching.parts)
    features = descriptor.compute_features(batch)
    neighbours = features.neighbours
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
    shards_of: Sequence[Sequence[Shard]],
    ledger: Ledger,
    make_model: Callable[[list[Statistics]], Model],
    ranks: Ranks = ALONE,
) -> Prepared:
    """Return the shards of each set, the training set first.

    Parameters
    ----------
    shards_of
        The shards of each set that are this rank's part, nothing kept of them yet.
    caching
        Keeps derivatives where the ledger says so.
    ledger
        Decides what is kept; it counts the shards through all sets.
    make_model
        Makes the model when the statistics of the training set are known.
    """
    descriptor = Descriptor(caching.parts)
    survey = Survey(descriptor.n_features_s)
    drafts = [
        _draft(caching, shard, k, ledger, survey.look)
        for k, shard in enumerate(shards_of[0])
    ]
    statistics = survey.statistics(ranks)
    shortest_st = ranks.minimum(survey.shortest_st)
    del survey  # the distances of all atoms take its room
    model = make_model(statistics)
    domains = [begin_domain(found, DOMAIN_FLOOR) for found in statistics]
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
        domain.with_limits(_gather(found, ranks))
        for domain, found in zip(domains, squares_s, strict=True)
    ]
    prepared, k = [training], len(training)
    for shards in shards_of[1:]:
        others = []
        for bare in shards:
            shard, raw = bare, None
            if ledger.foresees(k):
                shard, raw = _draft(caching, bare, k, ledger, lambda _: None)
            others.append(_finish(shard, raw, model, ledger.forces))
            k += 1
        prepared.append(others)
    return Prepared(model, prepared, domains, shortest_st)


def _gather(parts: list[Array], ranks: Ranks) -> Array:
    """Return the numbers of all ranks, in any order."""
    own = np.concatenate([np.zeros(0), *parts])
    return np.concatenate([np.frombuffer(raw) for raw in ranks.gather(own.tobytes())])


def _draft(
    caching: CachingDescriptor,
    shard: Shard,
    k: int,
    ledger: Ledger,
    look: Callable[[Features], None],
) -> tuple[Shard, Features | None]:
    """Return shard ``k``, and its raw features, without pairs, if they are kept."""
    descriptor = Descriptor(caching.parts)
    batch, clock = shard.targets.batch, [time.perf_counter()]
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
    if kept.packed:
        shard = replace(shard, pairs=neighbours if kept.vectors else packed)
    if kept.derivatives:
        features = caching.compute_features(batch, neighbours)
        shard = replace(shard, caching=caching)
    raw = replace(features, neighbours=NO_PAIRS) if kept.inputs else None
    return shard, raw


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

    def __init__(self, n_features_s: Integers) -> None:
        n_species = len(n_features_s)
        self.shortest_st = np.full((n_species, n_species), np.inf)
        self._means: list[list[tuple[int, Array]]] = [[] for _ in range(n_species)]
        """Number of atoms and mean features of each species in each shard."""
        self._limits = [np.full((2, int(n)), np.inf) for n in n_features_s]
        """Of each species the smallest features, and minus the largest."""
        self._squares: list[ExactSum | None] = [None] * n_species

    def look(self, features: Features) -> None:
        """Take the atoms of a shard into account."""
        for s, G_nf in enumerate(features.blocks(features.G_f)):
            found = compute_statistics(G_nf)
            squares = self._squares[s] or ExactSum(found.covariance_ff.shape)
            squares.add(found.n_atoms * found.covariance_ff)
            self._squares[s] = squares
            if found.n_atoms:
                self._means[s].append((found.n_atoms, found.mean_f))
                limits = self._limits[s]
                np.minimum(limits, [found.min_f, -found.max_f], out=limits)
        nearest_nt = find_nearest(features.neighbours)
        np.minimum.at(self.shortest_st, features.batch.species_n, nearest_nt)

    def statistics(self, ranks: Ranks) -> list[Statistics]:
        """Return the statistics of each species over the shards of all ranks."""
        return [
            _merge(means, limits, squares, ranks)
            for means, limits, squares in zip(
                self._means, self._limits, self._squares, strict=True
            )
        ]


def _merge(
    means: Sequence[tuple[int, Array]],
    limits: Array,
    squares: ExactSum | None,
    ranks: Ranks,
) -> Statistics:
    """Return the statistics of many shards; the same bits whoever has which."""
    sums = (np.append(n, n * part_f) for n, part_f in means)
    nothing = np.zeros(1 + limits.shape[1])
    n_atoms, *sum_f = ranks.total(chain([nothing], sums))
    mean_f = np.array(sum_f) / max(1.0, n_atoms)
    squares_ff = ranks.combine(squares).value()
    steps = ((n, part_f - mean_f) for n, part_f in means)
    between = (n * np.outer(step_f, step_f) for n, step_f in steps)
    squares_ff += ranks.total(chain([np.zeros_like(squares_ff)], between))
    min_f, minus_max_f = ranks.minimum(limits)
    return Statistics(
        n_atoms=int(n_atoms),
        min_f=min_f,
        max_f=-minus_max_f,
        mean_f=mean_f,
        covariance_ff=squares_ff / max(1.0, n_atoms),
    )


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
