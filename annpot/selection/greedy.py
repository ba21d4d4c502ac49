"""Which structures of a pool are most worth a reference calculation: greedy choice.

With x the whitened features of an atom, and for each species

    A = NOISE I + sum x x^T   over the atoms that count as known and those chosen

* novelty: the structure is chosen that increases sum log det A most, over all species
  (D-optimality); known are the training atoms of a potential, or none;
* committee: the one with the largest deviation of a force on an atom among the members
  of a committee, times sqrt(NOISE x^T A^-1 x / x^T x), which is close to 0 for atoms
  that are like some that are chosen already (nothing is known at first).

Neither can grow while structures are chosen. So a value from before is a bound, and a
structure whose bound is not the largest need not be looked at (lazy greedy). Only as
many structures are kept in memory as fit, those with the largest values; when the best
of them is worse than one that was left out was, the pool is read again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annpot.errors import FileFormatError
from annpot.potential import Potential
from annpot.preparation import DOMAIN_FLOOR
from annpot.scaling import (
    Scaling,
    Statistics,
    compute_statistics,
    fit_whitening,
    merge_statistics,
)
from annpot.selection.pool import (
    Candidate,
    Compute,
    Pool,
    iterate_candidates,
    iterate_features,
)
from annpot.structures.structure import Array, Structure

MEMORY = 1 << 30
"""Bytes of candidates that are kept."""
NOISE = 0.01
"""Surroundings that differ by less than the root of it, in standard deviations of the
whitened features, are alike: more of them add little."""
DIGITS = 9
"""Values that agree so far are equal: round-off does not decide, but the order."""


@dataclass(frozen=True)
class Choice:
    """A structure that was chosen."""

    structure: Structure
    gain: float
    """Increase of log det A, or the deviation in eV/angstrom with its factor."""
    reason: str
    """What makes it special, in words."""


class Cover:
    """What is known of the surroundings of the atoms of one species."""

    def __init__(self, whitening: Scaling, known_ff: Array | None = None) -> None:
        self.whitening = whitening
        self._A_ff = NOISE * np.eye(len(whitening.shift_f))
        if known_ff is not None:
            self._A_ff += known_ff
        self._root_ff = self._invert()

    def add(self, G_nf: Array) -> None:
        """Count atoms as known."""
        X_nf = self.whitening.apply(G_nf)
        self._A_ff += X_nf.T @ X_nf
        self._root_ff = self._invert()

    def transform(self, G_nf: Array) -> Array:
        """Return ``Y_nf`` with ``Y Y^T = X A^-1 X^T``."""
        return self.whitening.apply(G_nf) @ self._root_ff

    def _invert(self) -> Array:
        """Return R with ``A^-1 = R R^T``."""
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self._A_ff)).T)


def compute_gain(Y_nf: Array) -> float:
    """Return ``log det(I + Y Y^T)``, through the smaller of two matrices."""
    n_atoms, n_features = Y_nf.shape
    square = Y_nf @ Y_nf.T if n_atoms <= n_features else Y_nf.T @ Y_nf
    square[np.diag_indices(len(square))] += 1.0
    return 2.0 * float(np.log(np.diag(np.linalg.cholesky(square))).sum())


Judge = Callable[[Candidate, Sequence[Cover]], tuple[float, str]]
"""Gives the value of a structure and the reason for it."""


def judge_novelty(candidate: Candidate, covers: Sequence[Cover]) -> tuple[float, str]:
    """Return the increase of log det A, and the atom that is least like those known."""
    Y_s = [c.transform(G_nf) for c, G_nf in zip(covers, candidate.G_s, strict=True)]
    gain = sum(compute_gain(Y_nf) for Y_nf in Y_s if len(Y_nf))
    leverage_n = _join([np.sum(Y_nf**2, axis=1) for Y_nf in Y_s], candidate)
    atom = int(leverage_n.argmax())
    return gain, (
        f"{candidate.structure.symbols[atom]} {atom} is least like those known, "
        f"leverage {leverage_n[atom]:.3g}"
    )


def judge_deviation(candidate: Candidate, covers: Sequence[Cover]) -> tuple[float, str]:
    """Return the largest deviation of a force, less if the like is chosen already."""
    assert candidate.deviation_s is not None
    values = []
    for cover, G_nf, deviation_n in zip(
        covers, candidate.G_s, candidate.deviation_s, strict=True
    ):
        square_n = np.sum(cover.whitening.apply(G_nf) ** 2, axis=1)
        rest_n = NOISE * np.sum(cover.transform(G_nf) ** 2, axis=1)
        values.append(deviation_n * np.sqrt(rest_n / np.maximum(square_n, 1e-300)))
    value_n = _join(values, candidate)
    deviation_n = _join(candidate.deviation_s, candidate)
    atom = int(value_n.argmax())
    return float(value_n[atom]), (
        f"force on {candidate.structure.symbols[atom]} {atom} deviates by "
        f"{deviation_n[atom]:.3g} eV/angstrom"
    )


def per_atom(judge: Judge) -> Judge:
    """Return what gives the same value divided by the number of atoms."""

    def divided(candidate: Candidate, covers: Sequence[Cover]) -> tuple[float, str]:
        value, reason = judge(candidate, covers)
        return value / len(candidate.structure), reason

    return divided


def _join(values: Sequence[Array], candidate: Candidate) -> Array:
    """Return values of the atoms of each species in the order of the atoms."""
    value_n = np.empty(len(candidate.structure))
    for atoms, value in zip(candidate.atoms_s, values, strict=True):
        value_n[atoms] = value
    return value_n


def cover_nothing(pool: Pool, compute: Compute) -> list[Cover]:
    """Return the covers that know no atom, whitened by the pool itself."""
    found: list[Statistics] = []
    for blocks in iterate_features(pool, compute):
        new = [compute_statistics(G_nf) for G_nf in blocks]
        found = merge_statistics(found, new)
    return [Cover(fit_whitening(statistics, DOMAIN_FLOOR)) for statistics in found]


def cover_training(potential: Potential, known: bool) -> list[Cover]:
    """Return the covers whitened by the training atoms of a potential.

    Parameters
    ----------
    known
        Whether the training atoms count as known.

    Raises
    ------
    FileFormatError
        If the potential does not know them.
    """
    domains, whitenings = potential.domains, potential.whitenings
    if domains is None or whitenings is None:
        raise FileFormatError(
            "the potential does not say what it was trained on, as those of other "
            "programs: expected one that annpot trained"
        )
    covers = []
    for domain, whitening in zip(domains, whitenings, strict=True):
        W_ff, statistics = whitening.matrix_ff, domain.statistics
        known_ff = statistics.n_atoms * W_ff.T @ statistics.covariance_ff @ W_ff
        covers.append(Cover(whitening, known_ff if known else None))
    return covers


def select(
    pool: Pool,
    compute: Compute,
    covers: list[Cover],
    judge: Judge,
    n: int,
    memory: int = MEMORY,
) -> Iterator[Choice]:
    """Yield the best ``n`` structures of the pool, or all there are, best first.

    Parameters
    ----------
    covers
        What is known of each species; grows.
    memory
        Bytes of the candidates that are kept.
    """
    chosen: set[int] = set()
    while len(chosen) < n:
        kept, bound = _collect(pool, compute, covers, judge, chosen, memory)
        if not kept:
            return
        for candidate, choice in _pick(kept, bound, covers, judge):
            chosen.add(candidate.number)
            yield choice
            if len(chosen) == n:
                return


_Kept = tuple[float, int, Candidate, str]
"""Value, minus the number, the structure and the reason: ordered from worst to best."""


def _collect(
    pool: Pool,
    compute: Compute,
    covers: Sequence[Cover],
    judge: Judge,
    chosen: set[int],
    memory: int,
) -> tuple[list[_Kept], float]:
    """Return the best structures as things stand, and the best value left out."""
    kept: list[_Kept] = []
    size, bound = 0, -np.inf
    for candidate in iterate_candidates(pool, compute):
        if candidate.number in chosen:
            continue
        value, reason = judge(candidate, covers)
        value = _round(value)
        if value < bound:
            continue
        candidate = candidate.copy()
        size += candidate.n_bytes
        heapq.heappush(kept, (value, -candidate.number, candidate, reason))
        while size > memory and len(kept) > 1:
            value, _, worst, _ = heapq.heappop(kept)
            size, bound = size - worst.n_bytes, max(bound, value)
    return kept, bound


def _pick(
    kept: list[_Kept], bound: float, covers: list[Cover], judge: Judge
) -> Iterator[tuple[Candidate, Choice]]:
    """Yield the best of some structures, until one that was left out may be better."""
    heap = [(-value, -minus, 0, c, reason) for value, minus, c, reason in kept]
    heapq.heapify(heap)
    n_chosen = 0
    while heap:
        value, number, when, candidate, reason = heapq.heappop(heap)
        if -value < bound:
            return
        if when < n_chosen:
            new, reason = judge(candidate, covers)
            entry = (-_round(new), number, n_chosen, candidate, reason)
            heapq.heappush(heap, entry)
            continue
        yield candidate, Choice(candidate.structure, -value, reason)
        for cover, G_nf in zip(covers, candidate.G_s, strict=True):
            if len(G_nf):
                cover.add(G_nf)
        n_chosen += 1


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}e}")
