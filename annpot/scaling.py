"""Features -> network inputs: statistics, and the map fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annpot.structures.structure import Array


@dataclass(frozen=True)
class Statistics:
    """Statistics of the features of all atoms of one species."""

    n_atoms: int
    min_f: Array
    max_f: Array
    mean_f: Array
    covariance_ff: Array

    @property
    def constant_f(self) -> NDArray[np.bool_]:
        """Which features do not vary beyond round-off; boolean."""
        deviation_f = np.sqrt(np.diag(self.covariance_ff))
        size_f = np.maximum(np.abs(self.min_f), np.abs(self.max_f))
        return deviation_f <= 1e-10 * np.maximum(size_f, 1e-300)

    def merge(self, other: Statistics) -> Statistics:
        """Return the statistics of both sets of atoms together."""
        if not self.n_atoms or not other.n_atoms:
            return self if self.n_atoms else other
        n = self.n_atoms + other.n_atoms
        a, b = self.n_atoms / n, other.n_atoms / n
        step_f = other.mean_f - self.mean_f
        return Statistics(
            n_atoms=n,
            min_f=np.minimum(self.min_f, other.min_f),
            max_f=np.maximum(self.max_f, other.max_f),
            mean_f=self.mean_f + b * step_f,
            covariance_ff=a * self.covariance_ff
            + b * other.covariance_ff
            + a * b * np.outer(step_f, step_f),
        )


def compute_statistics(G_nf: Array) -> Statistics:
    """Return the statistics of a block of features; ``n_atoms`` may be 0."""
    n_atoms, n_features = G_nf.shape
    if n_atoms == 0:
        zero_f = np.zeros(n_features)
        return Statistics(0, zero_f, zero_f, zero_f, np.zeros((n_features,) * 2))
    mean_f = G_nf.mean(axis=0)
    D_nf = G_nf - mean_f
    return Statistics(
        n_atoms=n_atoms,
        min_f=G_nf.min(axis=0),
        max_f=G_nf.max(axis=0),
        mean_f=mean_f,
        covariance_ff=D_nf.T @ D_nf / n_atoms,
    )


def merge_statistics(
    statistics: list[Statistics], more: list[Statistics]
) -> list[Statistics]:
    """Return the statistics of each species in both; none at first."""
    if not statistics:
        return more
    return [old.merge(new) for old, new in zip(statistics, more, strict=True)]


@dataclass(frozen=True)
class Scaling:
    """An affine map of the features of one species, ``X = (G - shift) @ matrix``."""

    shift_f: Array
    matrix_ff: Array

    def apply(self, G_nf: Array) -> Array:
        """Return the inputs ``X_nf`` of the network."""
        return (G_nf - self.shift_f) @ self.matrix_ff


def fit_zscore(statistics: Statistics) -> Scaling:
    """Return the map to mean 0 and variance 1; constant features become 0."""
    constant_f = statistics.constant_f
    deviation_f = np.sqrt(np.diag(statistics.covariance_ff))
    scale_f = np.where(constant_f, 0.0, 1.0 / np.where(constant_f, 1.0, deviation_f))
    return Scaling(statistics.mean_f, np.diag(scale_f))


def fit_whitening(statistics: Statistics, floor: float) -> Scaling:
    """Return the map to uncorrelated inputs of variance 1 (principal components).

    Features are brought to variance 1 first. Components whose variance is below
    ``floor`` times the largest are scaled as if they had that variance: they carry
    little but noise. Constant features do not contribute.
    """
    zscore = fit_zscore(statistics)
    correlation_ff = zscore.matrix_ff @ statistics.covariance_ff @ zscore.matrix_ff
    variance_f, components_ff = np.linalg.eigh(correlation_ff)
    largest = max(variance_f[-1], 1e-300)
    scale_f = 1.0 / np.sqrt(np.maximum(variance_f, floor * largest))
    return Scaling(zscore.shift_f, zscore.matrix_ff @ components_ff * scale_f)
