"""Chebyshev expansions of distances and angles.

    radial   c_a    = sum_j s_j fc(r_j; Rr) T_a(2 r_j / Rr - 1)
    angular  c_nn'l = sum_{j<k} s_j phi_n(r_j) s'_k phi_n'(r_k) P_l(cos theta_jk)
    or       c_a    = sum_{j<k} s_j s_k fc(r_j; Ra) fc(r_k; Ra) T_a(cos theta_jk)

The last line, which does not resolve distances, with the first is the descriptor of
Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017), doi:10.1103/PhysRevB.96.014112,
with the features and the order of aenet 2.0.4. Sums are made in channels, in which the
species of the neighbours have weights s; the size does not grow with their number.
Formulas in full and sources: ``annpot/descriptors/README.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from annpot.descriptors.base import Operator, read_species, reading_recipe
from annpot.descriptors.moments import (
    Central,
    Entry,
    MomentsOperator,
    Neighbourhood,
    Row,
    products,
)
from annpot.descriptors.wording import Term, name_channels, name_term, word_term
from annpot.kernels.recipe import CHEBYSHEV, SQUEEZED
from annpot.structures.structure import Array, Integers

MAX_ORDER, MAX_CUTOFF, MAX_CHANNELS, MAX_FEATURES = 100, 100.0, 120, 10_000
"""Limits of sense, so that a malformed file cannot ask for all memory."""


@dataclass(frozen=True)
class Expansion:
    """Order (-1: none) and cutoff in angstrom of the radial or the angular part."""

    order: int
    cutoff: float
    radial_order: int | None = None
    """Of the angular part: highest order n of ``phi_n``; None: as aenet."""
    legacy: bool = False
    """Of an angular part as aenet's: the polynomials' argument is that of aenet up to
    version 2.0.3, ``2 cos(theta) / pi - 1``, which leaves out most of their domain."""


def plain_and_weighted(weights_t: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Return aenet's channels: all species alike, and weighted if there are several."""
    return ((1.0,) * len(weights_t), tuple(weights_t))[: len(weights_t)]


LEGACY = (2.0 / np.pi, -1.0)
"""Slope and offset of the argument of aenet's polynomials up to version 2.0.3."""


def legendre_matrix(order: int, slope: float = 1.0, offset: float = 0.0) -> Array:
    """Return ``M_al`` with ``T_a(slope x + offset) = sum_l M_al P_l(x)``.

    From ``x P_l = [(l + 1) P_l+1 + l P_l-1] / (2 l + 1)`` in the recurrence of T_a; the
    way through powers of x would lose 5 digits at order 20.
    shape=(order + 1, order + 1).
    """
    M_al = np.zeros((order + 1, order + 2))
    M_al[:1, 0] = 1.0
    l = np.arange(order + 1)  # noqa: E741
    for a in range(1, order + 1):
        shifted = np.zeros(order + 2)
        shifted[1:] += M_al[a - 1, :-1] * (l + 1) / (2 * l + 1)
        shifted[:-2] += M_al[a - 1, 1:-1] * l[1:] / (2 * l[1:] + 1)
        shifted = slope * shifted + offset * M_al[a - 1]
        M_al[a] = shifted if a == 1 else 2 * shifted - M_al[a - 2]
    return np.ascontiguousarray(M_al[:, :-1])


@dataclass(frozen=True)
class Chebyshev:
    """The part for given species, with parameters for each central species.

    Parameters
    ----------
    species
        Chemical symbols.
    radial_s, angular_s
        Order and cutoff of both parts for each central species.
    weights_sct
        Weight of neighbour species ``t`` around central species ``s`` in channel ``c``.
    mixed
        Whether a resolved angular part also multiplies different channels.
    """

    type: ClassVar[str] = "chebyshev"

    species: tuple[str, ...]
    radial_s: tuple[Expansion, ...]
    angular_s: tuple[Expansion, ...]
    weights_sct: tuple[tuple[tuple[float, ...], ...], ...]
    mixed: bool = True

    @cached_property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom."""
        parts = [p for p in self.radial_s + self.angular_s if p.order >= 0]
        return tuple(sorted({part.cutoff for part in parts}))

    @cached_property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""
        return np.array([len(self.labels(symbol)) for symbol in self.species])

    def labels(self, species: str) -> list[str]:
        """Return a short name of each feature of a central species, in order."""
        s = self.species.index(species)
        n_channels = len(self.weights_sct[s])
        return [name_term(term, n_channels) for term in self._terms(s)]

    def words(self, species: str) -> list[str]:
        """Return each feature of a central species in words, in order."""
        s = self.species.index(species)
        channels = name_channels(species, self.species, self.weights_sct[s])
        return [word_term(term, channels) for term in self._terms(s)]

    def _terms(self, s: int) -> list[Term]:
        """Return the features of a central species in order."""
        radial, angular = self.radial_s[s], self.angular_s[s]
        n_channels = range(len(self.weights_sct[s]))
        radials = [
            [Term("radial", a, ((None, c),)) for a in range(radial.order + 1)]
            for c in n_channels
        ]
        if angular.radial_order is None:
            angulars = [
                [Term("angular", a, ((None, c),)) for a in range(angular.order + 1)]
                for c in n_channels
            ]
            pairs = zip(radials, angulars, strict=True)
            return [term for pair in pairs for part in pair for term in part]
        names = [(n, c) for c in n_channels for n in range(angular.radial_order + 1)]
        return [term for part in radials for term in part] + [
            Term("angular", l, (names[a], names[b]))
            for a, b in products(self._blocks(s))
            for l in range(angular.order + 1)  # noqa: E741
        ]

    def check_size(self) -> None:
        """Check that there are not absurdly many features.

        Raises
        ------
        ValueError
            If there are.
        """
        for s, (radial, angular) in enumerate(
            zip(self.radial_s, self.angular_s, strict=True)
        ):
            n = sum(m * (m + 1) // 2 for m in self._blocks(s)) * (angular.order + 1)
            n += len(self.weights_sct[s]) * (radial.order + 1)
            if n > MAX_FEATURES:
                raise ValueError(f"{n} features, expected up to {MAX_FEATURES}")

    def _blocks(self, s: int) -> list[int]:
        """Return the sizes of the blocks of channels that are multiplied."""
        n, channels = (self.angular_s[s].radial_order or 0) + 1, self.weights_sct[s]
        if self.angular_s[s].order < 0:
            return []
        if self.mixed and self.angular_s[s].radial_order is not None:
            return [n * len(channels)]
        return [n] * len(channels)

    def operators(self, shells: tuple[float, ...]) -> list[Operator]:
        """Return what computes the features, for pair lists with these shells."""
        centrals = [self._central(s) for s in range(len(self.species))]
        return [MomentsOperator(centrals, shells)]

    def _central(self, s: int) -> Central:
        return Central(
            l_max=self.angular_s[s].order,
            neighbourhoods=[
                self._neighbourhood(s, t) for t in range(len(self.species))
            ],
            blocks=self._blocks(s),
            features=self._features_of_products(s),
        )

    def _stride(self, s: int) -> int:
        """Return from the radial features of a channel to those of the next."""
        radial, angular = self.radial_s[s], self.angular_s[s]
        between = 0 if angular.radial_order is not None else angular.order + 1
        return radial.order + 1 + between

    def _neighbourhood(self, s: int, t: int) -> Neighbourhood:
        """Return what atoms of species ``t`` around one of species ``s`` add to."""
        radial, angular = self.radial_s[s], self.angular_s[s]
        n_radial, stride = radial.order + 1, self._stride(s)
        n = (angular.radial_order or 0) + 1 if angular.order >= 0 else 0
        kind = CHEBYSHEV if angular.radial_order is None else SQUEEZED
        weights_c = [weights_t[t] for weights_t in self.weights_sct[s]]
        return Neighbourhood(
            two_body=[Row(CHEBYSHEV, n_radial, radial.cutoff)] if n_radial else [],
            moments=[Row(kind, n, angular.cutoff)] if n else [],
            to_features=[
                Entry(a, c * stride + a, weight)
                for c, weight in enumerate(weights_c)
                for a in range(n_radial)
            ],
            to_channels=[
                Entry(k, c * n + k, weight)
                for c, weight in enumerate(weights_c)
                for k in range(n)
            ],
        )

    def _features_of_products(self, s: int) -> list[tuple[int, int, Sequence[float]]]:
        """Return the angular features, see `Central`."""
        angular, blocks = self.angular_s[s], self._blocks(s)
        n_radial, n_angular = self.radial_s[s].order + 1, angular.order + 1
        if angular.radial_order is not None:
            first = n_radial * len(self.weights_sct[s])
            return [
                (first + q * n_angular + l, q, np.eye(n_angular)[l])
                for q in range(len(products(blocks)))
                for l in range(n_angular)  # noqa: E741
            ]
        legacy = LEGACY if angular.legacy else ()
        M_al = legendre_matrix(max(angular.order, 0), *legacy)
        return [
            (c * self._stride(s) + n_radial + a, c, M_al[a])
            for c in range(len(blocks))
            for a in range(n_angular)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""
        return {
            "type": self.type,
            "mixed": self.mixed,
            "central": {
                symbol: {
                    "radial": {"order": radial.order, "cutoff": radial.cutoff},
                    "angular": _angular_recipe(angular),
                    "channels": [
                        dict(zip(self.species, weights_t, strict=True))
                        for weights_t in weights_ct
                    ],
                }
                for symbol, radial, angular, weights_ct in zip(
                    self.species,
                    self.radial_s,
                    self.angular_s,
                    self.weights_sct,
                    strict=True,
                )
            },
        }

    @classmethod
    def from_dict(cls, recipe: Mapping[str, Any]) -> Chebyshev:
        """Return the part that `to_dict` described.

        Raises
        ------
        FileFormatError
            If the recipe is malformed.
        """
        with reading_recipe("Chebyshev"):
            species = read_species(recipe)
            central_s = [recipe["central"][symbol] for symbol in species]
            part = cls(
                species=species,
                radial_s=tuple(_expansion(c["radial"]) for c in central_s),
                angular_s=tuple(_expansion(c["angular"]) for c in central_s),
                weights_sct=tuple(_channels(c, species) for c in central_s),
                mixed=bool(recipe.get("mixed", True)),
            )
            part.check_size()
            if not part.cutoffs:
                raise ValueError("neither radial nor angular features")
        return part


def _angular_recipe(angular: Expansion) -> dict[str, Any]:
    recipe = asdict(angular)
    if not angular.legacy:
        del recipe["legacy"]
    return recipe


def _expansion(part: Mapping[str, Any]) -> Expansion:
    order, cutoff = part["order"], float(part["cutoff"])
    radial_order = part.get("radial_order")
    if type(order) is not int or not -1 <= order <= MAX_ORDER:
        raise ValueError(f"order {order!r}, expected -1 to {MAX_ORDER}")
    if radial_order is not None and (
        type(radial_order) is not int or not 0 <= radial_order <= MAX_ORDER
    ):
        raise ValueError(f"radial_order {radial_order!r}, expected 0 to {MAX_ORDER}")
    if not 0.0 < cutoff <= MAX_CUTOFF:
        raise ValueError(f"cutoff {cutoff!r}, expected up to {MAX_CUTOFF} angstrom")
    legacy = part.get("legacy", False)
    if type(legacy) is not bool or (legacy and radial_order is not None):
        raise ValueError(
            f"legacy {legacy!r:.20}, expected true only without radial_order"
        )
    return Expansion(order, cutoff, radial_order, legacy)


def _channels(
    central: Mapping[str, Any], species: tuple[str, ...]
) -> tuple[tuple[float, ...], ...]:
    """Return the weights of each channel; `weights` is what aenet's sets had alone."""
    if "channels" in central:
        rows = central["channels"]
    else:
        rows = [dict.fromkeys(species, 1.0), central["weights"]][: len(species)]
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_CHANNELS:
        raise ValueError(f"channels, expected 1 to {MAX_CHANNELS}")
    weights_ct = tuple(tuple(float(row[t]) for t in species) for row in rows)
    if not np.isfinite(weights_ct).all():
        raise ValueError("weight not finite")
    return weights_ct
