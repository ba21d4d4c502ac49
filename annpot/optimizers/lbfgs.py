"""L-BFGS: each step sees all structures, an epoch is one step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from annpot.loss import Loss
from annpot.objective import Values
from annpot.structures.structure import Array

Step = Callable[[Array, float, Values], bool]
"""Called after each epoch with weights, loss and values; true: go on."""


REASONS = {0: "converged", 2: "the line search found no smaller loss"}
"""Why scipy stops on its own, before the last epoch."""


def run_lbfgs(
    loss: Loss, weights_w: Array, epochs: int, memory: int, step: Step
) -> str | None:
    """Minimise ``loss`` by scipy's L-BFGS-B; return why it stopped on its own."""
    seen: dict[bytes, Values] = {}

    def function(weights_w: Array) -> tuple[float, Array]:
        value, gradient_w, values = loss.compute(weights_w)
        # of the points of a line search, the accepted one is the last
        seen.clear()
        seen[weights_w.tobytes()] = values
        return value, gradient_w

    def callback(intermediate_result: OptimizeResult) -> None:
        weights_w = intermediate_result.x
        values = seen.get(weights_w.tobytes()) or loss.compute(weights_w)[2]
        if not step(weights_w.copy(), float(intermediate_result.fun), values):
            raise StopIteration

    result = minimize(
        function,
        np.array(weights_w),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={
            "maxcor": memory,
            "maxiter": epochs,
            "maxfun": 100 * epochs,
            "ftol": 0.0,
            "gtol": 1e-9,
        },
    )
    if result.nit == 0 and result.status == 0:  # nothing to improve: no callback
        step(result.x, float(result.fun), loss.compute(result.x)[2])
    return REASONS.get(result.status)
