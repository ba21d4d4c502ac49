"""How far outside the training data an atom is: three tests, none of them costly.

* range: a feature lies below the least or above the largest value of the training set;
* distance: the squared Mahalanobis distance from the training atoms of the species,
  which also sees combinations of features that never occurred together;
* pair: two atoms are closer than any two of their species in the training set.

Level 1 (low): beyond what the training set holds. Level 2 (high): far beyond; energies
and forces there are guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annpot.descriptors import Descriptor, Features
from annpot.pairs import find_nearest
from annpot.scaling import (
    Scaling,
    Statistics,
    compute_statistics,
    fit_whitening,
)
from annpot.structures.structure import Array

LEVELS = ("none", "low", "high")
FAR_RANGE = 0.1
"""A feature outside its range by more than this share of the range is level high."""
FAR_DISTANCE = 2.0
"""So is a squared distance beyond this many times the largest of the training set,"""
FAR_PAIR = 0.95
"""and a pair closer than this many times the shortest distance."""


@dataclass(frozen=True)
class Domain:
    """Where the training atoms of one species lie."""

    statistics: Statistics
    whitening: Scaling | None = None
    """``None``: distances are unknown, as those of potentials of other programs."""
    low: float = 0.0
    """Squared Mahalanobis distances above are level low: the training maximum."""
    high: float = 0.0

    def compute_squares(self, G_nf: Array) -> Array:
        """Return the squared Mahalanobis distance of each atom; NaN if unknown."""
        if self.whitening is None:
            return np.full(len(G_nf), np.nan)
        squares_n: Array = np.sum(self.whitening.apply(G_nf) ** 2, axis=1)
        return squares_n

    def widen(self, G_nf: Array) -> Domain:
        """Return the domain that reaches as far as these training atoms."""
        return self.reach(float(self.compute_squares(G_nf).max(initial=self.low)))

    def reach(self, low: float) -> Domain:
        """Return the domain with this as the largest squared distance."""
        return replace(self, low=low, high=FAR_DISTANCE * low)


def begin_domain(statistics: Statistics, floor: float) -> Domain:
    """Return the domain of atoms of which the statistics are known; see ``widen``."""
    return Domain(statistics, fit_whitening(statistics, floor), 0.0, 0.0)


def fit_domain(G_nf: Array, floor: float) -> Domain:
    """Return the domain of training atoms with features ``G_nf``."""
    return begin_domain(compute_statistics(G_nf), floor).widen(G_nf)


@dataclass(frozen=True)
class Finding:
    """The worst that was found in one structure."""

    level: int
    n_atoms: int
    """Number of atoms that extrapolate."""
    atom: int
    """The worst atom, counted from 0 in its structure."""
    species: str
    kind: str
    """``range``, ``distance`` or ``pair``."""
    feature: str
    """Which feature or pair of species."""
    value: float
    low: float
    high: float
    """What the training set holds: ``low`` to ``high``."""

    def __str__(self) -> str:
        """Return it as ``key=value`` words."""
        return (
            f"level={LEVELS[self.level]} atom={self.atom} species={self.species} "
            f"kind={self.kind} feature={self.feature.replace(' ', '-')} "
            f"value={self.value:.6g} min={self.low:.6g} max={self.high:.6g} "
            f"n_atoms={self.n_atoms}"
        )


@dataclass(frozen=True)
class Assessment:
    """The result for a batch."""

    level_n: NDArray[np.int64]
    distance_n: Array
    """Squared Mahalanobis distance of each atom, in units of the training maximum; NaN
    where that is unknown."""
    findings: list[Finding | None]
    """For each structure; ``None`` if it does not extrapolate."""


@dataclass(frozen=True)
class _Test:
    """One test of all atoms."""

    kind: str
    columns_kn: Array
    """Excess (0 at the limit, 1 where level high begins), value, least, largest."""
    what_n: NDArray[np.int64]
    """Number of the feature or of the neighbour's species."""


def assess(
    descriptor: Descriptor,
    domains: Sequence[Domain],
    shortest_st: Array,
    features: Features,
) -> Assessment:
    """Return how far the atoms of a batch are outside the training data."""
    tests = [
        *_test_features(features, domains),
        _test_pairs(features, shortest_st),
    ]
    excess_kn = np.stack([test.columns_kn[0] for test in tests])
    # what is not a number, as with atoms on top of each other, is far outside
    excess_kn = np.where(np.isnan(excess_kn), np.inf, excess_kn)
    worst_n = excess_kn.max(axis=0)
    level_n = np.where(worst_n > 1.0, 2, np.where(worst_n > 0.0, 1, 0))
    batch = features.batch
    findings: list[Finding | None] = [None] * batch.n_structures
    n_flagged_s = np.add.reduceat(level_n > 0, batch.first_s[:-1], dtype=np.int64)
    for s in np.flatnonzero(n_flagged_s):
        first, last = batch.first_s[s : s + 2]
        n = first + int(worst_n[first:last].argmax())
        test = tests[int(excess_kn[:, n].argmax())]
        species = batch.species[batch.species_n[n]]
        _, value, least, largest = test.columns_kn[:, n]
        findings[s] = Finding(
            level=int(level_n[n]),
            n_atoms=int(n_flagged_s[s]),
            atom=int(n - first),
            species=species,
            kind=test.kind,
            feature=_name(descriptor, species, test.kind, int(test.what_n[n])),
            value=float(value),
            low=float(least),
            high=float(largest),
        )
    excess_n, square_n = tests[1].columns_kn[:2]
    distance_n = np.where(np.isnan(square_n), np.nan, excess_n + 1.0)
    return Assessment(level_n, distance_n, findings)


def _name(descriptor: Descriptor, species: str, kind: str, what: int) -> str:
    if kind == "range":
        return descriptor.labels(species)[what]
    return "all" if kind == "distance" else f"{species}-{descriptor.species[what]}"


def _test_features(features: Features, domains: Sequence[Domain]) -> list[_Test]:
    """Return the tests of range and distance."""
    n_atoms = features.batch.n_atoms
    range_kn, distance_kn = np.zeros((2, 4, n_atoms))
    what_n = np.zeros(n_atoms, dtype=np.int64)
    blocks = features.blocks(features.G_f)
    for atoms, G_nf, domain in zip(features.atoms_s, blocks, domains, strict=True):
        if not len(atoms):
            continue
        least_f, most_f = domain.statistics.min_f, domain.statistics.max_f
        # a margin of round-off lets the training set itself pass
        slack_f = 1e-9 * np.maximum(np.abs(least_f), np.abs(most_f))
        width_f = np.maximum(most_f - least_f, slack_f) + 1e-300
        outside_nf = np.maximum(least_f - slack_f - G_nf, G_nf - most_f - slack_f)
        excess_nf = outside_nf / (FAR_RANGE * width_f)
        worst_n = excess_nf.argmax(axis=1)
        rows = np.arange(len(atoms)), worst_n
        what_n[atoms] = worst_n
        range_kn[:, atoms] = (
            excess_nf[rows],
            G_nf[rows],
            least_f[worst_n],
            most_f[worst_n],
        )
        square_n = domain.compute_squares(G_nf)
        span = max(domain.high - domain.low, 1e-300)
        excess_n = (square_n - domain.low * (1.0 + 1e-9)) / span
        distance_kn[0, atoms] = -1.0 if domain.whitening is None else excess_n
        distance_kn[1, atoms] = square_n
        distance_kn[3, atoms] = domain.low
    return [_Test("range", range_kn, what_n), _Test("distance", distance_kn, what_n)]


def _test_pairs(features: Features, shortest_st: Array) -> _Test:
    nearest_nt = find_nearest(features.neighbours)
    limit_nt = shortest_st[features.batch.species_n]
    # no such pair in the training set: the features tell how unusual that is
    known_nt = np.isfinite(limit_nt) & np.isfinite(nearest_nt)
    limit_nt = np.where(known_nt, limit_nt, 1.0)
    excess_nt = np.where(
        known_nt,
        (1.0 - 1e-9 - nearest_nt / limit_nt) / (1.0 - FAR_PAIR),
        -1.0,
    )
    worst_n = excess_nt.argmax(axis=1)
    rows = np.arange(len(worst_n)), worst_n
    columns_kn = np.stack(
        [
            excess_nt[rows],
            nearest_nt[rows],
            limit_nt[rows],
            np.full(len(worst_n), np.inf),
        ]
    )
    return _Test("pair", columns_kn, worst_n)
