"""How far a training is: all that it goes on from, after an interruption as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from annpot.accuracy import Errors
from annpot.optimizers import adam, lbfgs
from annpot.structures.structure import Array

State = lbfgs.State | adam.State
METHODS: dict[str, type[State]] = {"lbfgs": lbfgs.State, "adam": adam.State}
"""By their names in the settings."""
INTERRUPTED, TIME_LIMIT = "interrupted", "time limit"
UNFINISHED = (INTERRUPTED, TIME_LIMIT)
"""Why a training ended that can go on."""


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch."""

    number: int
    member: int
    """Counted from 1, as epochs are; those run on from member to member."""
    loss: float
    train: Errors
    validation: Errors
    seconds: float
    best: bool
    """Whether no epoch before had a smaller validation loss."""


@dataclass(frozen=True)
class Progress:
    """A training so far."""

    random: dict[str, dict[str, Any]]
    """States of the generators of random numbers, by their name."""
    n_done: int = 0
    """Members that are done."""
    n_epochs: int = 0
    """Of all members."""
    seconds: float = 0.0
    """That it took, earlier jobs included."""
    kept: tuple[tuple[Epoch, Array], ...] = ()
    """The best epoch of each member, with its weights."""
    best_loss: float = np.inf
    """Validation loss of that of the member that is not done; infinite: none yet."""
    state: State | None = None
    """Of the optimiser for that member; ``None`` before its first step."""
    reason: str = "all epochs done"
    """Why the last member ended."""
