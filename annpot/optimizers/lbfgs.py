"""L-BFGS: each step sees all structures, an epoch is one step.

D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989), doi:10.1007/BF01589116, with the
line search of scipy. The iteration is annpot's own because a training that goes on
later needs the whole state of it, which scipy's does not give away.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import line_search

from annpot.accuracy import Errors
from annpot.loss import Loss
from annpot.optimizers.reader import Read
from annpot.structures.structure import Array

DECREASE, CURVATURE = 1e-3, 0.9
"""Conditions of Wolfe that end the line search."""
SMALLEST_GRADIENT = 1e-9
"""Largest component of the gradient at which there is nothing more to gain."""
MAX_TRIALS = 20
"""Points of a line search."""


@dataclass(frozen=True)
class Point:
    """Weights, and what the loss says of them."""

    weights_w: Array
    loss: float
    gradient_w: Array
    errors: Errors | None
    """``None`` if they are not known any more: nothing that follows needs them."""


@dataclass(frozen=True)
class Curvature:
    """The last steps and changes of the gradient, oldest first."""

    memory: int
    """How many are kept."""
    steps: tuple[Array, ...] = ()
    changes: tuple[Array, ...] = ()

    def add(self, step_w: Array, change_w: Array) -> Curvature:
        """Return it with a further step, if the loss is convex along that."""
        if step_w @ change_w <= np.finfo(float).eps * (change_w @ change_w):
            return self
        steps, changes = (*self.steps, step_w), (*self.changes, change_w)
        return Curvature(self.memory, steps[-self.memory :], changes[-self.memory :])

    def direction(self, gradient_w: Array) -> Array:
        """Return where to go: minus the inverse Hessian times the gradient."""
        q_w = -gradient_w
        if not self.steps:
            return q_w / max(1.0, float(np.linalg.norm(gradient_w)))
        pairs = list(zip(self.steps, self.changes, strict=True))
        shares = []
        for step_w, change_w in reversed(pairs):
            share = (step_w @ q_w) / (step_w @ change_w)
            q_w -= share * change_w
            shares.append(share)
        step_w, change_w = pairs[-1]
        q_w *= (step_w @ change_w) / (change_w @ change_w)
        for (step_w, change_w), share in zip(pairs, reversed(shares), strict=True):
            q_w += (share - (change_w @ q_w) / (step_w @ change_w)) * step_w
        return q_w


@dataclass(frozen=True)
class State:
    """All that the iteration goes on from."""

    epoch: int
    """Epochs so far."""
    point: Point
    curvature: Curvature

    @property
    def complete(self) -> bool:
        """Whether the last epoch is done: always, as it is one step."""
        return True

    @property
    def weights_w(self) -> Array:
        """The weights to judge."""
        return self.point.weights_w

    @property
    def sound(self) -> bool:
        """Whether the state can be one that arose, read from wherever it was."""
        return self.curvature.memory > 0

    def arrays(self) -> dict[str, Array]:
        """Return what `read` takes, by name."""
        none_kw = np.zeros((0, len(self.weights_w)))
        return {
            "memory": np.array(self.curvature.memory),
            "weights": self.point.weights_w,
            "loss": np.array(self.point.loss),
            "gradient": self.point.gradient_w,
            "steps": np.array(self.curvature.steps or none_kw),
            "changes": np.array(self.curvature.changes or none_kw),
        }

    @classmethod
    def read(cls, read: Read, epoch: int, n_weights: int) -> State:
        """Return the state whose `arrays` are read."""
        memory = int(read("memory", (), np.int64))
        steps_kw = read("steps", (None, n_weights), np.float64)
        changes_kw = read("changes", steps_kw.shape, np.float64)
        point = Point(
            read("weights", (n_weights,), np.float64),
            float(read("loss", (), np.float64)),
            read("gradient", (n_weights,), np.float64),
            errors=None,
        )
        steps, changes = (tuple(v.copy() for v in m) for m in (steps_kw, changes_kw))
        return cls(epoch, point, Curvature(memory, steps, changes))


def start(loss: Loss, weights_w: Array, memory: int) -> State:
    """Return the state before the first epoch."""
    return State(0, _evaluate(loss, np.array(weights_w)), Curvature(memory))


def iterate(
    loss: Loss, state: State, epochs: int
) -> Generator[State, None, str | None]:
    """Minimise ``loss``: yield the state after each epoch.

    Returns
    -------
    Why it stopped on its own, before the last epoch.
    """
    while state.epoch < epochs:
        here = state.point
        if np.abs(here.gradient_w).max(initial=0.0) <= SMALLEST_GRADIENT:
            if state.epoch == 0:  # nothing to improve
                yield replace(state, epoch=1)
            return "converged"
        there, curvature = _search(loss, here, state.curvature)
        if there is None:
            return "the line search found no smaller loss"
        curvature = curvature.add(
            there.weights_w - here.weights_w, there.gradient_w - here.gradient_w
        )
        state = State(state.epoch + 1, there, curvature)
        yield state
    return None


def _evaluate(loss: Loss, weights_w: Array) -> Point:
    found = loss.compute(weights_w)
    return Point(weights_w, found.loss, found.gradient_w, found.errors)


def _search(
    loss: Loss, here: Point, curvature: Curvature
) -> tuple[Point | None, Curvature]:
    """Return a better point, if need be along the gradient itself.

    The second is the curvature that was of use.
    """
    found = _search_along(loss, here, curvature.direction(here.gradient_w))
    if found is None and curvature.steps:
        curvature = Curvature(curvature.memory)
        found = _search_along(loss, here, curvature.direction(here.gradient_w))
    return found, curvature


def _search_along(loss: Loss, here: Point, direction_w: Array) -> Point | None:
    seen: dict[bytes, Point] = {here.weights_w.tobytes(): here}

    def at(weights_w: Array) -> Point:
        key = weights_w.tobytes()
        if key not in seen:
            seen[key] = _evaluate(loss, weights_w.copy())
        return seen[key]

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of a search that fails
        length = line_search(
            lambda weights_w: at(weights_w).loss,
            lambda weights_w: at(weights_w).gradient_w,
            here.weights_w,
            direction_w,
            gfk=here.gradient_w,
            old_fval=here.loss,
            c1=DECREASE,
            c2=CURVATURE,
            maxiter=MAX_TRIALS,
        )[0]
    if length is None:
        return None
    return at(here.weights_w + length * direction_w)
