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

from annpot.descriptors import Chebyshev, Descriptor
from annpot.descriptors.chebyshev import Expansion, plain_and_weighted
from annpot.descriptors.species_weights import aenet_weights
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

        Far from the ends the expansion of a delta function is a sum of cosines of the
        angle arccos(u), up to ``(2 order + 1) / (2 pi) du/dx`` high in the middle, give
        or take the 1 for its mirror image.
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
    cluster = _surroundings(structure, atom, max(radial_cutoff, angular_cutoff))
    species = tuple(sorted(set(structure.symbols), key=SYMBOLS.index))
    channels = plain_and_weighted(aenet_weights(len(species)))
    part = Chebyshev(
        species=species,
        radial_s=(Expansion(order, radial_cutoff),) * len(species),
        angular_s=(Expansion(order, angular_cutoff),) * len(species),
        weights_sct=(channels,) * len(species),
    )
    descriptor = Descriptor((part,))
    batch = stack([cluster], species)
    features = descriptor.compute_features(batch)
    c_ca = features.blocks(features.G_f)[batch.species_n[0]][0].reshape(-1, order + 1)
    found = []
    for c, weights_t in enumerate(channels):
        suffix = " weighted" if c else ""
        s_p = np.array(weights_t)[batch.species_n[1:]]
        peaks = _radial_peaks(cluster.positions_nc[1:], s_p, radial_cutoff)
        found.append(
            Distribution(f"radial{suffix}", 0.0, radial_cutoff, *peaks, c_ca[2 * c])
        )
        peaks = _angular_peaks(cluster.positions_nc[1:], s_p, angular_cutoff)
        found.append(
            Distribution(f"angular{suffix}", -1.0, 1.0, *peaks, c_ca[2 * c + 1])
        )
    return found


def _surroundings(structure: Structure, atom: int, cutoff: float) -> Structure:
    """Return an atom, at the origin, and its neighbours as a molecule.

    Features of all other atoms of a large structure would cost time and memory.
    """
    batch = stack([structure], tuple(sorted(set(structure.symbols))))
    neighbours = find_pairs(batch, (cutoff,))
    n_species = neighbours.n_species
    first, last = neighbours.first_g[[atom * n_species, (atom + 1) * n_species]]
    j_p = neighbours.j_p[first:last]
    return Structure(
        symbols=tuple(structure.symbols[n] for n in (atom, *j_p)),
        positions_nc=np.vstack([np.zeros(3), neighbours.D_cp[:, first:last].T]),
        cell_cc=np.zeros((3, 3)),
        pbc_c=np.zeros(3, dtype=bool),
    )


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
