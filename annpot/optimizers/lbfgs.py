"""L-BFGS: each step sees all structures, an epoch is one step.

D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989), doi:10.1007/BF01589116, with the
line search of scipy. The iteration is annpot's own because a training that goes on
later needs the whole state of it, which scipy's does not give away.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import line_search

from annpot.loss import Loss
from annpot.objective import Values
from annpot.structures.structure import Array

Step = Callable[[Array, float, Values], bool]
"""Called after each epoch with weights, loss and values; true: go on."""

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
    values: Values


@dataclass
class Curvature:
    """The last steps and changes of the gradient, oldest first."""

    memory: int
    """How many are kept."""
    steps: list[Array] = field(default_factory=list)
    changes: list[Array] = field(default_factory=list)

    def add(self, step_w: Array, change_w: Array) -> None:
        """Take a further step, if the loss is convex along it."""
        if step_w @ change_w <= np.finfo(float).eps * (change_w @ change_w):
            return
        self.steps.append(step_w)
        self.changes.append(change_w)
        del self.steps[: -self.memory], self.changes[: -self.memory]

    def clear(self) -> None:
        """Forget all."""
        self.steps.clear()
        self.changes.clear()

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


def run_lbfgs(
    loss: Loss, weights_w: Array, epochs: int, memory: int, step: Step
) -> str | None:
    """Minimise ``loss``; return why it stopped on its own, before the last epoch."""
    here = _evaluate(loss, np.array(weights_w))
    curvature = Curvature(memory)
    for epoch in range(epochs):
        if np.abs(here.gradient_w).max(initial=0.0) <= SMALLEST_GRADIENT:
            if epoch == 0:  # nothing to improve
                step(here.weights_w, here.loss, here.values)
            return "converged"
        there = _search(loss, here, curvature)
        if there is None:
            return "the line search found no smaller loss"
        curvature.add(
            there.weights_w - here.weights_w, there.gradient_w - here.gradient_w
        )
        here = there
        if not step(here.weights_w.copy(), here.loss, here.values):
            return None
    return None


def _evaluate(loss: Loss, weights_w: Array) -> Point:
    value, gradient_w, values = loss.compute(weights_w)
    return Point(weights_w, value, gradient_w, values)


def _search(loss: Loss, here: Point, curvature: Curvature) -> Point | None:
    """Return a better point, if need be along the gradient itself."""
    found = _search_along(loss, here, curvature.direction(here.gradient_w))
    if found is None and curvature.steps:
        curvature.clear()
        found = _search_along(loss, here, curvature.direction(here.gradient_w))
    return found


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
