"""Adam: each step sees a few structures; Kingma, Ba, arXiv:1412.6980."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from annpot.loss import Loss
from annpot.optimizers.reader import Read
from annpot.settings import AdamSettings
from annpot.structures.structure import Array, Integers

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


@dataclass(frozen=True)
class State:
    """All that the iteration goes on from, but for the random numbers to come."""

    epoch: int
    """Epochs that are done."""
    count: int
    """Steps so far."""
    order: Integers
    """The structures of the epoch that is not done in their random order; empty: all
    are done."""
    position: int
    """Steps of that epoch."""
    raw_w: Array
    """The weights."""
    mean_w: Array
    """Moving average of the gradient."""
    square_w: Array
    """Moving average of its square."""
    average_w: Array
    """Moving average of the weights, not corrected for its start."""
    averaging: float
    """Its decay per step."""

    @property
    def complete(self) -> bool:
        """Whether the last epoch is done."""
        return not len(self.order)

    @property
    def weights_w(self) -> Array:
        """The weights to judge: the average."""
        return np.asarray(self.average_w / (1.0 - self.averaging**self.count))

    @property
    def sound(self) -> bool:
        """Whether the state can be one that arose, read from wherever it was."""
        n = len(self.order)
        return (
            self.count > 0
            and 0.0 <= self.averaging < 1.0
            and 0 <= self.position <= n
            and np.array_equal(np.sort(self.order), np.arange(n))
        )

    def arrays(self) -> dict[str, Array]:
        """Return what `read` takes, by name."""
        return {
            "count": np.array(self.count),
            "order": self.order,
            "position": np.array(self.position),
            "weights": self.raw_w,
            "mean": self.mean_w,
            "square": self.square_w,
            "average": self.average_w,
            "averaging": np.array(self.averaging),
        }

    @classmethod
    def read(cls, read: Read, epoch: int, n_weights: int) -> State:
        """Return the state whose `arrays` are read."""
        shape = (n_weights,)
        return cls(
            epoch,
            int(read("count", (), np.int64)),
            read("order", (None,), np.int64),
            int(read("position", (), np.int64)),
            read("weights", shape, np.float64),
            read("mean", shape, np.float64),
            read("square", shape, np.float64),
            read("average", shape, np.float64),
            float(read("averaging", (), np.float64)),
        )


def start(weights_w: Array, averaging: float) -> State:
    """Return the state before the first step."""
    zero_w = np.zeros_like(weights_w)
    nothing = np.zeros(0, np.int64)
    return State(0, 0, nothing, 0, weights_w, zero_w, zero_w, zero_w, averaging)


def iterate(
    loss: Loss,
    state: State,
    epochs: int,
    settings: AdamSettings,
    rng: np.random.Generator,
) -> Generator[State, None, None]:
    """Minimise ``loss``: yield the state after each step."""
    n_structures = loss.n_structures
    n_steps = -(-n_structures // settings.batch)
    while state.epoch < epochs:
        if state.complete:
            state = replace(state, order=rng.permutation(n_structures))
        shares = np.array_split(state.order, n_steps)
        for chosen in shares[state.position :]:
            progress = state.count / (epochs * n_steps)
            rate = learning_rate(settings.schedule, settings.learning_rate, progress)
            _, gradient_w = loss.compute_share(state.raw_w, np.sort(chosen))
            state = _step(state, gradient_w, rate)
            if state.position == n_steps:
                nothing = np.zeros(0, np.int64)
                state = replace(state, epoch=state.epoch + 1, order=nothing, position=0)
            yield state


def _step(state: State, gradient_w: Array, rate: float) -> State:
    count = state.count + 1
    mean_w = state.mean_w + (1.0 - BETA_1) * (gradient_w - state.mean_w)
    square_w = state.square_w + (1.0 - BETA_2) * (gradient_w**2 - state.square_w)
    size_w = np.sqrt(square_w / (1.0 - BETA_2**count)) + EPSILON
    raw_w = state.raw_w - rate * mean_w / (1.0 - BETA_1**count) / size_w
    change_w = (1.0 - state.averaging) * (raw_w - state.average_w)
    return replace(
        state,
        count=count,
        position=state.position + 1,
        raw_w=raw_w,
        mean_w=mean_w,
        square_w=square_w,
        average_w=state.average_w + change_w,
    )
