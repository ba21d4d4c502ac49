"""The loss over a set of structures, and its exact gradient in every weight.

The loss of `annpot.objective` plus ``l2 |weights|^2``, summed up shard by shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from annpot.model import Forward, Model
from annpot.objective import Objective, Targets, Values, join_values
from annpot.shards import Shard
from annpot.structures.structure import Array, Integers


@dataclass(frozen=True)
class Loss:
    """Loss and gradient for one set of structures as functions of the weights.

    The weights of all networks form one vector.
    """

    model: Model
    objective: Objective
    targets: Targets
    """Of the whole set."""
    shards: Sequence[Shard]

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return self.targets.batch.n_structures

    @cached_property
    def first_k(self) -> Integers:
        """First structure of each shard, and the number of structures."""
        sizes = [shard.targets.batch.n_structures for shard in self.shards]
        return np.concatenate([[0], np.cumsum(sizes)])

    def compute_values(self, weights_w: Array) -> Values:
        """Return energies and, if fitted, forces and stresses of all structures."""
        runs = (self._forward(weights_w, shard, None) for shard in self.shards)
        return join_values([run.values for run in runs])

    def compute_loss(self, values: Values) -> float:
        """Return the loss, without the term of the weights, of given values."""
        return self.objective.compute_slopes(values, self.targets).loss

    def compute(self, weights_w: Array) -> tuple[float, Array, Values]:
        """Return the loss, its gradient and the values.

        Forces are not computed if nothing but energies is fitted.
        """
        loss, gradient_w = self._regularisation(weights_w)
        parts = []
        for shard in self.shards:
            part, part_w, values = self._compute_shard(weights_w, shard, None, 1.0)
            loss += part
            gradient_w += part_w
            parts.append(values)
        return loss, gradient_w, join_values(parts)

    def compute_share(
        self, weights_w: Array, structures: Integers
    ) -> tuple[float, Array]:
        """Return the loss and its gradient of some structures.

        Scaled such that the mean over shares of equal size is the loss. Structures
        of shards that are not ready are prepared alone.
        """
        loss, gradient_w = self._regularisation(weights_w)
        share = len(structures) / self.n_structures
        shard_s = np.searchsorted(self.first_k, structures, side="right") - 1
        for k in np.unique(shard_s):
            shard, chosen = self.shards[k], structures[shard_s == k] - self.first_k[k]
            if not shard.ready(forces=self.objective.with_forces):
                shard, chosen = shard.take(chosen), np.arange(len(chosen))
            part, part_w, _ = self._compute_shard(weights_w, shard, chosen, share)
            loss += part
            gradient_w += part_w
        return loss, gradient_w

    def _regularisation(self, weights_w: Array) -> tuple[float, Array]:
        l2 = self.objective.weights.l2
        return l2 * float(weights_w @ weights_w), 2 * l2 * weights_w

    def _compute_shard(
        self,
        weights_w: Array,
        shard: Shard,
        structures: Integers | None,
        share: float,
    ) -> tuple[float, Array, Values]:
        run = self._forward(weights_w, shard, structures)
        slopes = self.objective.compute_slopes(
            run.values, shard.targets, structures, share
        )
        gradient_w = shard.model(self.model).backward(
            run, slopes, self.objective.with_forces
        )
        return slopes.loss, gradient_w, run.values

    def _forward(
        self, weights_w: Array, shard: Shard, structures: Integers | None
    ) -> Forward:
        forces = self.objective.with_forces
        return shard.model(self.model).forward(
            weights_w,
            shard.open(self.model, forces=forces),
            forces=forces,
            virials=self.objective.with_stress,
            structures=structures,
        )
