"""What a check found: how bad it is, where, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annpot.structures.structure import Array, Integers

Flags = NDArray[np.bool_]


class Severity(enum.IntEnum):
    """How bad a finding is."""

    NOTE = 0
    """Worth knowing, often intended."""
    WARNING = 1
    """Probably not meant, or it limits what the fit can reach."""
    ERROR = 2
    """Wrong: a fit to this would be spoilt."""

    @property
    def word(self) -> str:
        """Its name as it is printed."""
        return self.name.lower()


@dataclass(frozen=True)
class Place:
    """A structure that shows what was found."""

    structure: int
    """Its number in the sample."""
    text: str
    """What was found there; the name of the file is not in it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found, in one or many structures."""

    check: str
    """Name of the kind of finding, the same in each run."""
    severity: Severity
    score: float
    """How far beyond its threshold the worst place is; 1: just there."""
    found: str
    """What was found, a sentence without its full stop."""
    advice: str
    """What to do about it."""
    places: tuple[Place, ...] = ()
    """Where, the worst first; none if the finding concerns the whole set."""


def rank(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the worst first; equal ones in the order of their names."""
    return sorted(findings, key=lambda f: (-f.severity, -f.score, f.check))


def places(
    structures: Sequence[int] | Integers, score_k: Array, texts: Sequence[str]
) -> tuple[Place, ...]:
    """Return places in descending order of their scores."""
    order = np.argsort(-np.asarray(score_k), kind="stable")
    return tuple(Place(int(structures[k]), texts[k]) for k in order)


def robust_scale(values: Array) -> tuple[float, float]:
    """Return median and standard deviation, the latter from the median deviation.

    The factor 1.4826 makes both estimates agree for normally distributed values.
    """
    median = float(np.median(values))
    return median, 1.4826 * float(np.median(np.abs(values - median)))
