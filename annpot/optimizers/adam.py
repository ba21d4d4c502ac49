"""Adam: each step sees a few structures; Kingma, Ba, arXiv:1412.6980."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from annpot.loss import Loss
from annpot.structures.structure import Array

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def learning_rate(schedule: str, start: float, progress: float) -> float:
    """Return the learning rate when a share ``progress`` of the training is done.

    ``cosine`` ends at 0, ``exponential`` at a thousandth of the start.
    """
    if schedule == "cosine":
        return start * 0.5 * (1.0 + float(np.cos(np.pi * progress)))
    if schedule == "exponential":
        return start * float(1e-3**progress)
    return start


def run_adam(
    loss: Loss,
    weights_w: Array,
    epochs: int,
    *,
    start: float,
    schedule: str,
    batch: int,
    averaging: float,
    rng: np.random.Generator,
    step: Callable[[Array], bool],
) -> None:
    """Minimise ``loss``; ``step`` gets the averaged weights after each epoch.

    Parameters
    ----------
    start, schedule
        Learning rate; see `learning_rate`.
    batch
        Structures in a step.
    averaging
        Decay per step of the moving average of the weights, corrected for its start.
    """
    weights_w = weights_w.copy()
    mean_w, square_w = np.zeros_like(weights_w), np.zeros_like(weights_w)
    average_w = np.zeros_like(weights_w)
    n_structures = loss.n_structures
    n_steps = -(-n_structures // batch)
    count = 0
    for _ in range(epochs):
        for chosen in np.array_split(rng.permutation(n_structures), n_steps):
            rate = learning_rate(schedule, start, count / (epochs * n_steps))
            count += 1
            _, gradient_w = loss.compute_share(weights_w, np.sort(chosen))
            mean_w += (1.0 - BETA_1) * (gradient_w - mean_w)
            square_w += (1.0 - BETA_2) * (gradient_w**2 - square_w)
            size_w = np.sqrt(square_w / (1.0 - BETA_2**count)) + EPSILON
            weights_w -= rate * mean_w / (1.0 - BETA_1**count) / size_w
            average_w += (1.0 - averaging) * (weights_w - average_w)
        if not step(average_w / (1.0 - averaging**count)):
            return
