"""Bootstrap: what each member of a committee sees of the training set.

As many structures as the set has are drawn with replacement, by the counts of which the
weights of the structures in the loss are multiplied.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from annpot.loss import Loss
from annpot.objective import Objective, Targets
from annpot.shards import Shard
from annpot.structures.structure import Array

SPAWN_KEY = 3
"""Of the random numbers; those before are of the split, the weights, the order."""


def draw_counts(seed: int, member: int, n_structures: int) -> Array:
    """Return how often each structure is drawn for a member, counted from 0.

    It depends on nothing else, so that a training can go on from any member.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(SPAWN_KEY, member))
    rng = np.random.default_rng(sequence)
    drawn = rng.integers(n_structures, size=n_structures)
    return np.bincount(drawn, minlength=n_structures).astype(float)


def resample(loss: Loss, seed: int, member: int) -> Loss:
    """Return the loss over the structures that are drawn for a member."""
    return reweigh(loss, draw_counts(seed, member, loss.n_structures))


def reweigh(loss: Loss, factor_s: Array) -> Loss:
    """Return the loss with the weight of each structure multiplied by a factor."""
    targets = _reweigh_targets(loss.targets, factor_s)
    return replace(
        loss,
        targets=targets,
        objective=Objective.of(loss.objective.weights, targets),
        shards=[_reweigh_shard(shard, factor_s) for shard in loss.shards],
    )


def _reweigh_shard(shard: Shard, factor_s: Array) -> Shard:
    factor_s = factor_s[shard.first :][: shard.targets.batch.n_structures]
    return replace(shard, targets=_reweigh_targets(shard.targets, factor_s))


def _reweigh_targets(targets: Targets, factor_s: Array) -> Targets:
    known = targets.references
    weighted = replace(known, weight_s=known.weight_s * factor_s)
    return replace(targets, references=weighted)
