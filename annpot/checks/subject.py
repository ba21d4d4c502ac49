"""All that the checks look at, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annpot.checks.sample import Progress, Sample, show_nothing
from annpot.checks.steps import Steps, find_steps
from annpot.checks.surroundings import Surroundings, compute_surroundings
from annpot.checks.twins import Twins, find_twins
from annpot.dataset import Split, split_labels
from annpot.errors import TrainingError
from annpot.settings import TrainSettings


@dataclass(frozen=True)
class Subject:
    """A sample, the surroundings of its atoms, and its pairs of near structures."""

    sample: Sample
    surroundings: Surroundings
    twins: Twins
    steps: Steps
    split: Split | None
    """What would train, validate and test; None if nothing would be left to train."""


def examine(
    sample: Sample, training: TrainSettings, progress: Progress = show_nothing
) -> Subject:
    """Return the subject of all checks.

    Parameters
    ----------
    training
        Its fractions and its seed decide the split, as in ``annpot train``.
    progress
        Wraps what takes long.
    """
    surroundings = compute_surroundings(sample, progress)
    twins = find_twins(sample, surroundings, progress)
    steps = find_steps(sample, twins, progress)
    # the first of the generators that a training makes of its seed
    (rng,) = np.random.default_rng(training.seed).spawn(1)
    fractions = training.test_fraction, training.validation_fraction
    try:
        split = split_labels(sample.sets, *fractions, rng)
    except TrainingError:
        split = None
    return Subject(sample, surroundings, twins, steps, split)
