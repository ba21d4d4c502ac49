"""The loss over a set of structures, and its exact gradient in every weight.

The loss of `annpot.objective` plus ``l2 |weights|^2``, summed up shard by shard: by
threads, and by ranks that hold some shards each. Sums have the same bits whoever works
on a shard, and whenever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from annpot.accuracy import Errors, mean_errors, sum_errors
from annpot.exact_sums import ExactSum
from annpot.kernels.threads import work_on_each
from annpot.model import Forward, Model, Weighted
from annpot.objective import Objective, Slopes, Targets
from annpot.parallel import ALONE, Ranks
from annpot.shards import Shard
from annpot.structures.structure import Array, Integers

T = TypeVar("T")


@dataclass(frozen=True)
class Pass:
    """What a visit to all structures says of some weights."""

    loss: float
    gradient_w: Array
    errors: Errors


@dataclass(frozen=True)
class Loss:
    """Loss and gradient for one set of structures as functions of the weights.

    The weights of all networks form one vector. All ranks are asked together, with the
    same weights; what rank 0 finds counts, others may round differently.
    """

    model: Model
    objective: Objective
    targets: Targets
    """Of the whole set."""
    shards: Sequence[Shard]
    """Those that are this rank's part; together the ranks have all structures."""
    ranks: Ranks = ALONE
    at_once: int | None = None
    """Most shards that may be worked on at the same time; ``None``: any number."""

    @property
    def n_structures(self) -> int:
        """Number of structures of the whole set."""
        return self.targets.batch.n_structures

    def compute(self, weights_w: Array) -> Pass:
        """Return the loss, its gradient, and the errors.

        Forces are not computed if nothing but energies is fitted.
        """
        weighted = self.model.weigh(weights_w)

        def visit(shard: Shard) -> Array:
            run = self._forward(weighted, shard)
            slopes = self.objective.compute_slopes(run.values, shard.targets)
            sums = self._sum_errors(run, shard)
            gradient = self._backward(run, slopes, shard)
            return np.concatenate([[slopes.loss], sums, gradient])

        total = self._total(visit, self.shards)
        loss, gradient_w = self._regularise(weights_w, total[0], total[7:])
        return Pass(loss, gradient_w, mean_errors(total[1:7]))

    def measure(self, weights_w: Array) -> tuple[float, Errors]:
        """Return the loss without the term of the weights, and the errors."""
        weighted = self.model.weigh(weights_w)

        def visit(shard: Shard) -> Array:
            run = self._forward(weighted, shard)
            slopes = self.objective.compute_slopes(run.values, shard.targets)
            return np.append(slopes.loss, self._sum_errors(run, shard))

        total = self._total(visit, self.shards)
        return float(total[0]), mean_errors(total[1:])

    def compute_share(
        self, weights_w: Array, structures: Integers
    ) -> tuple[float, Array]:
        """Return the loss and its gradient of some structures.

        Scaled such that the mean over shares of equal size is the loss. Structures
        of shards that are not ready are prepared alone.
        """
        weighted = self.model.weigh(weights_w)
        share = len(structures) / self.n_structures

        def visit(task: tuple[Shard, Integers]) -> Array:
            shard, chosen = task
            if not shard.ready(forces=self.objective.with_forces):
                shard, chosen = shard.take(chosen), np.arange(len(chosen))
            run = self._forward(weighted, shard, chosen)
            slopes = self.objective.compute_slopes(
                run.values, shard.targets, chosen, share
            )
            return np.append(slopes.loss, self._backward(run, slopes, shard))

        total = self._total(visit, self._find(structures))
        return self._regularise(weights_w, total[0], total[1:])

    def _find(self, structures: Integers) -> list[tuple[Shard, Integers]]:
        """Return the shards of this rank with their part of some structures."""
        firsts = [shard.first for shard in self.shards]
        shard_s = np.searchsorted(firsts, structures, side="right") - 1
        found = []
        for k in np.unique(shard_s[shard_s >= 0]):
            chosen = structures[shard_s == k] - firsts[k]
            chosen = chosen[chosen < self.shards[k].targets.batch.n_structures]
            if len(chosen):
                found.append((self.shards[k], chosen))
        return found

    def _regularise(
        self, weights_w: Array, loss: float, gradient: Array
    ) -> tuple[float, Array]:
        l2 = self.objective.weights.l2
        gradient_w = self.model.unfold(gradient) + 2 * l2 * weights_w
        return float(loss) + l2 * float(weights_w @ weights_w), gradient_w

    def _total(self, visit: Callable[[T], Array], tasks: Sequence[T]) -> Array:
        """Return the sum of what visits give, on all ranks."""
        totals: list[ExactSum] = []  # one for each thread

        def work(task: T) -> None:
            part = visit(task)
            try:
                total = totals.pop()
            except IndexError:
                total = ExactSum(part.shape)
            total.add(part)
            totals.append(total)

        work_on_each(work, tasks, self.at_once)
        for other in totals[1:]:
            totals[0].merge(other)
        return self.ranks.combine(totals[0] if totals else None).value()

    def _sum_errors(self, run: Forward, shard: Shard) -> Array:
        known, values = shard.targets.references, run.values
        F_nc = values.F_nc if self.objective.with_forces else np.nan
        atoms_s = shard.targets.batch.atoms_s
        return sum_errors(values.E_s - known.E_s, atoms_s, F_nc - known.F_nc)

    def _forward(
        self, weighted: Weighted, shard: Shard, structures: Integers | None = None
    ) -> Forward:
        forces = self.objective.with_forces
        return shard.model(self.model).forward(
            weighted,
            shard.open(self.model, forces=forces),
            forces=forces,
            virials=self.objective.with_stress,
            structures=structures,
        )

    def _backward(self, run: Forward, slopes: Slopes, shard: Shard) -> Array:
        model = shard.model(self.model)
        return model.backward(run, slopes, self.objective.with_forces)
