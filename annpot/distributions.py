"""Distribution functions around an atom, and their expansions in Chebyshev polynomials.

    radial   f(r) = sum_j     s_j     fc(r_j)         delta(r - r_j)
    angular  f(x) = sum_{j<k} s_j s_k fc(r_j) fc(r_k) delta(x - cos theta_jk)

The features of `annpot.descriptors.chebyshev` are their inner products with the
polynomials, ``c_a = int f T_a``, and the functions dual to those give f back,
``f = sum_a c_a T~_a``: Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017),
doi:10.1103/PhysRevB.96.014112.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from annpot.descriptors.chebyshev import Chebyshev, Expansion, aenet_weights
from annpot.elements import SYMBOLS
from annpot.errors import InputError
from annpot.pairs import find_pairs
from annpot.structures.structure import Array, Structure, stack


def dual_series(coefficients_a: Array, x: Array, low: float, high: float) -> Array:
    """Return ``sum_a c_a T~_a(x)``, with ``int T~_a T_b dx = delta_ab`` on [low, high].

    ``T~_a = (2 - delta_a0) / pi  T_a(u) / sqrt(1 - u^2)  du/dx`` with u from -1 to 1:
    the orthogonality of the polynomials, their weight and the jacobian. Infinite at
    both ends.
    """
    slope = 2.0 / (high - low)
    u = slope * (x - low) - 1.0
    factor_a = np.full(len(coefficients_a), 2.0 / np.pi)
    factor_a[0] = 1.0 / np.pi
    series = chebyshev.chebval(u, factor_a * coefficients_a)
    return np.asarray(slope * series / np.sqrt(1.0 - u**2), dtype=float)


@dataclass(frozen=True)
class Distribution:
    """A distribution function: a sum of delta functions, and its coefficients."""

    kind: str
    """radial or angular, possibly followed by weighted: as the features are called."""
    low: float
    high: float
    """Where it is expanded: a distance in angstrom, or cos theta from -1 to 1."""
    places_k: Array
    weights_k: Array
    """``f = sum_k weight_k delta(x - place_k)``."""
    coefficients_a: Array
    """The features."""

    def resolution(self, order: int) -> float:
        """Return the width of a Gaussian as high as a peak of the expansion is.

        In the middle of the interval, where the expansion of a delta function reaches
        ``(2 order + 1) / (2 pi) 2 / (high - low)``.
        """
        return float(np.sqrt(np.pi / 2) * (self.high - self.low) / (2 * order + 1))

    def broaden(self, x: Array, width: float) -> Array:
        """Return the exact function with Gaussians of standard deviation ``width``."""
        f: Array = np.zeros_like(x)
        for place, weight in zip(self.places_k, self.weights_k, strict=True):
            f += weight * np.exp(-0.5 * ((x - place) / width) ** 2)
        f /= width * np.sqrt(2 * np.pi)
        return f

    def reconstruct(self, x: Array, order: int) -> Array:
        """Return what the coefficients up to ``order`` tell of the function."""
        return dual_series(self.coefficients_a[: order + 1], x, self.low, self.high)


def compute_distributions(
    structure: Structure,
    atom: int,
    order: int,
    radial_cutoff: float,
    angular_cutoff: float,
) -> list[Distribution]:
    """Return the distribution functions around an atom, with their features.

    Radial and angular; for several species also both weighted by aenet's weights.

    Raises
    ------
    InputError
        If there is no such atom.
    """
    if not 0 <= atom < len(structure):
        raise InputError(
            f"{structure.label}: atom {atom}, expected 0 to {len(structure) - 1}"
        )
    species = tuple(sorted(set(structure.symbols), key=SYMBOLS.index))
    weights = tuple(aenet_weights(len(species)))
    descriptor = Chebyshev(
        species=species,
        radial_s=(Expansion(order, radial_cutoff),) * len(species),
        angular_s=(Expansion(order, angular_cutoff),) * len(species),
        weights_st=(weights,) * len(species),
    )
    batch = stack([structure], species)
    neighbours = find_pairs(batch, descriptor.cutoffs)
    features = descriptor.compute_features(batch, neighbours)
    first = features.feature_n[atom]
    n_groups = neighbours.n_species * neighbours.n_shells
    pairs = slice(*neighbours.first_g[[atom * n_groups, (atom + 1) * n_groups]])
    D_pc = neighbours.D_cp[:, pairs].T
    species_p = neighbours.species_n[neighbours.j_p[pairs]]
    found = []
    kinds = ("", " weighted") if len(species) > 1 else ("",)
    for c, suffix in enumerate(kinds):
        s_p = np.array(weights)[species_p] if suffix else np.ones(len(D_pc))
        c_a = features.G_f[first + 2 * c * (order + 1) :]
        places, values = _radial_peaks(D_pc, s_p, radial_cutoff)
        found.append(
            Distribution(
                f"radial{suffix}", 0.0, radial_cutoff, places, values, c_a[: order + 1]
            )
        )
        places, values = _angular_peaks(D_pc, s_p, angular_cutoff)
        c_a = c_a[order + 1 : 2 * (order + 1)]
        found.append(Distribution(f"angular{suffix}", -1.0, 1.0, places, values, c_a))
    return found


def _radial_peaks(D_pc: Array, s_p: Array, cutoff: float) -> tuple[Array, Array]:
    r_p = np.linalg.norm(D_pc, axis=1)
    inside_p = r_p < cutoff
    r_p = r_p[inside_p]
    return r_p, s_p[inside_p] * 0.5 * (1.0 + np.cos(np.pi * r_p / cutoff))


def _angular_peaks(D_pc: Array, s_p: Array, cutoff: float) -> tuple[Array, Array]:
    r_p = np.linalg.norm(D_pc, axis=1)
    inside_p = r_p < cutoff
    _, w_p = _radial_peaks(D_pc, s_p, cutoff)
    u_pc = D_pc[inside_p] / r_p[inside_p, None]
    j_t, k_t = np.triu_indices(len(u_pc), 1)
    cosine_t = np.clip(np.sum(u_pc[j_t] * u_pc[k_t], axis=1), -1.0, 1.0)
    return cosine_t, w_p[j_t] * w_p[k_t]
