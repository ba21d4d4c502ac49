"""How far outside the training data an atom is: tests that cost next to nothing.

* range: a feature lies below the least or above the largest value of the training set;
* distance: the squared Mahalanobis distance from the training atoms of the species,
  which also sees combinations of features that never occurred together;
* pair: two atoms are closer than any two of their species in the training set;
* committee: the members of a committee disagree about the force on the atom.

Each test has two limits. Level 1 (low): at the edge of the training data or outside.
Level 2 (high): so far outside that energies and forces are guesses. The excess is 0 at
the first limit and 1 at the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.descriptors import Descriptor, Features
from annpot.logfmt import format_line
from annpot.pairs import find_nearest
from annpot.scaling import (
    Scaling,
    Statistics,
    compute_statistics,
    fit_whitening,
)
from annpot.structures.structure import Array, Batch, Integers

LEVELS = ("none", "low", "high")
KINDS = ("range", "distance", "pair", "committee")

QUANTILE = 0.999
"""Share of the training atoms that are below the limit of level low (distance,
committee). How the limits were chosen: format/README.md, 'Extrapolation'."""
FAR = 1.5
"""The limit of level high is this many times the largest of the training atoms."""
FAR_PAIR = 0.95
"""A pair closer than this many times the shortest distance is level high."""


class Limits(NamedTuple):
    """Where level low and level high begin."""

    low: float
    high: float


RANGE_LIMITS = Limits(0.1, 0.3)
"""Of features outside their range, in widths of the range."""


def fit_limits(values_n: Array) -> Limits:
    """Return the limits for a quantity that has these values for the training atoms.

    The order of the atoms does not matter. Of less than 1000, none is level low.
    """
    if not len(values_n):
        return Limits(0.0, 0.0)
    low = np.quantile(values_n, QUANTILE, method="higher")
    return Limits(float(low), FAR * float(values_n.max()))


@dataclass(frozen=True)
class Domain:
    """Where the training atoms of one species lie."""

    statistics: Statistics
    whitening: Scaling | None = None
    """``None``: distances are unknown, as those of potentials of other programs."""
    low: float = 0.0
    """Squared Mahalanobis distances above are level low."""
    high: float = 0.0
    range: Limits = RANGE_LIMITS

    def compute_squares(self, G_nf: Array) -> Array:
        """Return the squared Mahalanobis distance of each atom; NaN if unknown."""
        if self.whitening is None:
            return np.full(len(G_nf), np.nan)
        squares_n: Array = np.sum(self.whitening.apply(G_nf) ** 2, axis=1)
        return squares_n

    def with_limits(self, squares_n: Array) -> Domain:
        """Return the domain with limits for the squares of all its training atoms."""
        low, high = fit_limits(squares_n)
        return replace(self, low=low, high=high)


def begin_domain(statistics: Statistics, floor: float) -> Domain:
    """Return the domain of atoms of known statistics, see `Domain.with_limits`."""
    return Domain(statistics, fit_whitening(statistics, floor))


def fit_domain(G_nf: Array, floor: float) -> Domain:
    """Return the domain of training atoms with features ``G_nf``."""
    domain = begin_domain(compute_statistics(G_nf), floor)
    return domain.with_limits(domain.compute_squares(G_nf))


class Nearest(NamedTuple):
    """The training atom that is most like another one."""

    file: str
    frame: int
    atom: int
    distance: float
    """Between their features, whitened: in standard deviations."""


@dataclass(frozen=True)
class Finding:
    """What one test found about one atom."""

    level: int
    atom: int
    """Counted from 0 in its structure."""
    species: str
    kind: str
    """One of `KINDS`."""
    feature: str
    """Which feature, pair of species or other quantity, in words."""
    value: float
    least: float
    largest: float
    """What level none reaches to: from ``least`` to ``largest``."""
    excess: float
    """0 where level low begins, 1 where level high begins; infinite for an atom about
    which nothing is known."""
    nearest: Nearest | None = None

    @property
    def limit(self) -> float:
        """The limit that was crossed."""
        return self.least if self.value < self.least else self.largest

    def to_dict(self) -> dict[str, Any]:
        """Return all there is to say, JSON-ready."""
        values: dict[str, Any] = {
            "level": LEVELS[self.level],
            "atom": self.atom,
            "species": self.species,
            "kind": self.kind,
            "feature": self.feature,
            "value": self.value,
            "limit": self.limit,
            "min": self.least,
            "max": self.largest,
            "excess": self.excess,
        }
        if self.nearest is not None:
            values["nearest"] = self.nearest._asdict()
        return values

    def line(self, n_flagged: int, n_atoms: int, **where: object) -> str:
        """Return the line about a structure of which this is the worst.

        Parameters
        ----------
        n_flagged, n_atoms
            How many atoms of the structure extrapolate, and how many there are.
        where
            What tells the structure from others.
        """
        values = self.to_dict()
        del values["limit"]
        if (nearest := values.pop("nearest", None)) is not None:
            values |= {f"nearest_{key}": value for key, value in nearest.items()}
        values["n_atoms"] = f"{n_flagged}/{n_atoms}"
        return format_line({"level": values.pop("level"), **where, **values})


@dataclass(frozen=True)
class _Test:
    """One test of all atoms."""

    kind: str
    columns_kn: Array
    """Excess, value, least, largest."""
    what_n: Integers
    """Number of the feature or of the neighbour's species."""


@dataclass(frozen=True)
class Assessment:
    """The result for a batch."""

    level_n: Integers
    distance_n: Array
    """Squared Mahalanobis distance of each atom, in units of the limit of level low;
    NaN where that is unknown."""
    excess_kn: Array
    """Of each test."""
    descriptor: Descriptor = field(repr=False)
    batch: Batch = field(repr=False)
    tests: list[_Test] = field(repr=False)
    nearest: Mapping[int, Nearest] = field(default_factory=dict)
    """Of atoms of the batch, see `annpot.explanation`."""

    @cached_property
    def findings(self) -> list[Finding | None]:
        """The worst of each structure; ``None`` if it does not extrapolate."""
        first_s, worst_n = self.batch.first_s, self.excess_kn.max(axis=0)
        findings: list[Finding | None] = [None] * self.batch.n_structures
        for s in np.flatnonzero(self.count_atoms()):
            n = first_s[s] + int(worst_n[first_s[s] : first_s[s + 1]].argmax())
            findings[s] = self._find(int(self.excess_kn[:, n].argmax()), int(n))
        return findings

    def count_atoms(self) -> Integers:
        """Return the number of atoms of each structure that extrapolate."""
        starts_s = self.batch.first_s[:-1]
        return np.add.reduceat(self.level_n > 0, starts_s, dtype=np.int64)

    def find_all(self, s: int) -> list[Finding]:
        """Return what each test found about each atom of structure ``s``."""
        first, last = self.batch.first_s[s : s + 2]
        if not self.level_n[first:last].any():
            return []
        found = np.argwhere(self.excess_kn[:, first:last].T > 0.0)
        return [self._find(int(k), int(first + n)) for n, k in found]

    def _find(self, k: int, n: int) -> Finding:
        test, s = self.tests[k], np.searchsorted(self.batch.first_s, n, "right") - 1
        species = self.batch.species[self.batch.species_n[n]]
        _, value, least, largest = map(float, test.columns_kn[:, n])
        excess = float(self.excess_kn[k, n])
        return Finding(
            level=2 if excess > 1.0 else 1,
            atom=int(n - self.batch.first_s[s]),
            species=species,
            kind=test.kind,
            feature=self._name(species, test.kind, int(test.what_n[n])),
            value=value,
            least=least,
            largest=largest,
            excess=excess,
            nearest=self.nearest.get(n),
        )

    def _name(self, species: str, kind: str, what: int) -> str:
        if kind == "range":
            return self._words[species][what]
        if kind == "pair":
            return f"{species}-{self.descriptor.species[what]}"
        return "all" if kind == "distance" else "force"

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        """The features of each species in words."""
        return {s: self.descriptor.words(s) for s in self.descriptor.species}


def assess(
    descriptor: Descriptor,
    domains: Sequence[Domain],
    shortest_st: Array,
    features: Features,
    deviation_n: Array | None = None,
    limits_s: Sequence[Limits] = (),
) -> Assessment:
    """Return how far the atoms of a batch are outside the training data.

    Parameters
    ----------
    deviation_n
        Standard deviation of the force on each atom among the members of a committee,
        eV/angstrom.
    limits_s
        Its limits for each species; without them it is not tested.
    """
    tests = [
        *_test_features(features, domains),
        _test_pairs(features, shortest_st),
    ]
    if deviation_n is not None and len(limits_s):
        tests.append(_test_deviations(features.batch, deviation_n, limits_s))
    excess_kn = np.stack([test.columns_kn[0] for test in tests])
    # what is not a number, as with atoms on top of each other, is far outside
    excess_kn = np.where(np.isnan(excess_kn), np.inf, excess_kn)
    worst_n = excess_kn.max(axis=0)
    level_n = np.where(worst_n > 1.0, 2, np.where(worst_n > 0.0, 1, 0))
    _, square_n, _, low_n = tests[1].columns_kn
    distance_n = square_n / np.maximum(low_n, 1e-300)
    return Assessment(level_n, distance_n, excess_kn, descriptor, features.batch, tests)


def _test_features(features: Features, domains: Sequence[Domain]) -> list[_Test]:
    """Return the tests of range and distance."""
    n_atoms = features.batch.n_atoms
    range_kn, distance_kn = np.zeros((2, 4, n_atoms))
    what_n = np.zeros(n_atoms, dtype=np.int64)
    blocks = features.blocks(features.G_f)
    for atoms, G_nf, domain in zip(features.atoms_s, blocks, domains, strict=True):
        if not len(atoms):
            continue
        what_n[atoms], range_kn[:, atoms] = _compare_ranges(G_nf, domain)
        square_n = domain.compute_squares(G_nf)
        excess_n = _compute_excess(square_n, Limits(domain.low, domain.high))
        distance_kn[0, atoms] = -1.0 if domain.whitening is None else excess_n
        distance_kn[1, atoms] = square_n
        distance_kn[3, atoms] = domain.low
    return [_Test("range", range_kn, what_n), _Test("distance", distance_kn, what_n)]


def _compare_ranges(G_nf: Array, domain: Domain) -> tuple[NDArray[np.intp], Array]:
    """Return the worst feature of each atom, and the columns of the test."""
    least_f, most_f = domain.statistics.min_f, domain.statistics.max_f
    low, high = domain.range
    # a margin of round-off lets the training set itself pass
    slack_f = 1e-9 * np.maximum(np.abs(least_f), np.abs(most_f))
    width_f = np.maximum(most_f - least_f, slack_f) + 1e-300
    outside_nf = np.maximum(least_f - slack_f - G_nf, G_nf - most_f - slack_f)
    excess_nf = (outside_nf / width_f - low) / (high - low)
    worst_n = excess_nf.argmax(axis=1)
    rows = np.arange(len(G_nf)), worst_n
    margin_n = low * width_f[worst_n]
    columns_kn = [
        excess_nf[rows],
        G_nf[rows],
        least_f[worst_n] - margin_n,
        most_f[worst_n] + margin_n,
    ]
    return worst_n, np.stack(columns_kn)


def _compute_excess(value_n: Array, limits: Limits) -> Array:
    """Return the excess of values that may not be large."""
    span = max(limits.high - limits.low, 1e-300)
    return np.asarray((value_n - limits.low * (1.0 + 1e-9)) / span)


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


def _test_deviations(
    batch: Batch, deviation_n: Array, limits_s: Sequence[Limits]
) -> _Test:
    low_n, high_n = np.array(limits_s)[batch.species_n].T
    span_n = np.maximum(high_n - low_n, 1e-300)
    excess_n = (deviation_n - low_n * (1.0 + 1e-9)) / span_n
    columns_kn = np.stack([excess_n, deviation_n, np.zeros_like(low_n), low_n])
    return _Test("committee", columns_kn, np.zeros(batch.n_atoms, dtype=np.int64))
