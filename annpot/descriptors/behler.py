"""Symmetry functions of Behler and Parrinello as a part of a descriptor.

What factorises is computed from moments in O(neighbours): two-body functions, and wide
angular ones (G5) whose angular factor is a polynomial,

    2^(1 - zeta) (1 + lambda x)^zeta = sum_l c_l P_l(x),   x = cos theta

All others are sums over triplets. Formulas: ``annpot/descriptors/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from annpot.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    SymmetryFunction,
)
from annpot.descriptors.triplets import (
    Compact,
    Cutoff,
    TripletFunction,
    TripletsOperator,
)
from annpot.elements import SYMBOLS
from annpot.kernels.symmetry import COMPACT, COSINE, GAUSSIAN
from annpot.structures.structure import Array, Integers

MAX_FUNCTIONS, MAX_CUTOFFS = 5000, 200
"""Limits of sense per species, so that a malformed file cannot ask for all memory."""

MAX_ZETA = 16
"""Beyond, (zeta + 1)^2 moments cost more than the triplets that they replace."""

MAX_MOMENTS = 20_000
"""Largest number of moments of an atom; more would not fit into memory."""


def power_coefficients(zeta: int, lambda_: float) -> Array:
    """Return ``c_l`` with ``2^(1 - zeta) (1 + lambda x)^zeta = sum_l c_l P_l(x)``.

    One factor ``(1 + lambda x) / 2`` at a time, with
    ``x P_l = [(l + 1) P_l+1 + l P_l-1] / (2 l + 1)``: all terms of a ``c_l`` have the
    same sign, so nothing cancels.
    """
    c_l = np.zeros(zeta + 2)
    c_l[0] = 2.0
    l = np.arange(zeta + 2)  # noqa: E741
    for _ in range(zeta):
        shifted = np.zeros(zeta + 2)
        shifted[1:] += c_l[:-1] * l[1:] / (2 * l[:-1] + 1)
        shifted[:-1] += c_l[1:] * l[1:] / (2 * l[1:] + 1)
        c_l = 0.5 * (c_l + lambda_ * shifted)
    return c_l[:-1]


def factorises(function: SymmetryFunction) -> bool:
    """Return whether moments give the function."""
    if not function.kind.angular:
        return True
    return (
        function.type == "G5"
        and function.zeta <= MAX_ZETA
        and function.zeta == int(function.zeta)
        and abs(function.lambda_) <= 1.0
    )


@dataclass(frozen=True)
class Behler:
    """Symmetry functions for given species, in the given order.

    Parameters
    ----------
    species
        Chemical symbols.
    functions_s
        Functions of each central species.
    """

    type: ClassVar[str] = "behler"

    species: tuple[str, ...]
    functions_s: tuple[tuple[SymmetryFunction, ...], ...]

    @cached_property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom."""
        return tuple(sorted({f.cutoff for fs in self.functions_s for f in fs}))

    @cached_property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""
        return np.array([len(functions) for functions in self.functions_s])

    def labels(self, species: str) -> list[str]:
        """Return each function of a central species in a line."""
        return [f.label for f in self.functions_s[self.species.index(species)]]

    def words(self, species: str) -> list[str]:
        """Return the same in words."""
        return [f"symmetry function {label}" for label in self.labels(species)]

    def operators(self, shells: tuple[float, ...]) -> list[Operator]:
        """Return what computes the features, for pair lists with these shells."""
        smooth_s, others_s = zip(*map(_split, self.functions_s), strict=True)
        operators: list[Operator] = []
        if any(smooth_s):
            centrals = [_central(functions, self.species) for functions in smooth_s]
            operators.append(MomentsOperator(centrals, shells))
        if any(others_s):
            triplets_s = [
                [_triplet_function(f, n, self.species) for n, f in functions]
                for functions in others_s
            ]
            weights_t = [float(SYMBOLS.index(symbol)) for symbol in self.species]
            operators.append(TripletsOperator(triplets_s, weights_t, shells))
        return operators

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""
        return {
            "type": self.type,
            "central": {
                symbol: [function.to_dict() for function in functions]
                for symbol, functions in zip(
                    self.species, self.functions_s, strict=True
                )
            },
        }

    @classmethod
    def from_dict(cls, recipe: Mapping[str, Any]) -> Behler:
        """Return the part that `to_dict` described.

        Raises
        ------
        FileFormatError
            If the recipe is malformed.
        """
        with reading_recipe("Behler-Parrinello"):
            species = read_species(recipe)
            functions_s = [_functions(recipe["central"][s], species) for s in species]
            part = cls(species, tuple(functions_s))
            if not 0 < len(part.cutoffs) <= MAX_CUTOFFS:
                raise ValueError(
                    f"{len(part.cutoffs)} cutoffs, expected 1 to {MAX_CUTOFFS}"
                )
        return part


def _functions(recipes: Any, species: Sequence[str]) -> tuple[SymmetryFunction, ...]:
    """Return the functions of one central species.

    Raises
    ------
    ValueError
        If something is wrong with them.
    """
    if not isinstance(recipes, list) or len(recipes) > MAX_FUNCTIONS:
        raise ValueError(f"a list of at most {MAX_FUNCTIONS} functions expected")
    functions = tuple(SymmetryFunction.from_dict(recipe) for recipe in recipes)
    for function in functions:
        if not set(function.neighbours) <= set(species):
            raise ValueError(
                f"neighbours {'-'.join(function.neighbours)}, species are "
                f"{', '.join(species)}"
            )
    return functions


Family = tuple[int, float, int, float]
"""Kind, cutoff, cutoff function and alpha that the functions of a row share."""

Radial = tuple[Family, tuple[float, ...]]
"""A function of the distance: its family, and its own parameters."""


def _radial(function: SymmetryFunction) -> Radial:
    """Return the factor of one distance in a function."""
    cutoff = function.cutoff
    shape = CUTOFF_FUNCTIONS.index(function.cutoff_function)
    if function.core:
        shape = CUTOFF_FUNCTIONS.index(_core_shape(function.core))
        asymmetric = float(function.core.endswith("a"))
        return (COMPACT, cutoff, shape, 0.0), (function.r_low, asymmetric)
    if function.type == "G3":
        return (COSINE, cutoff, shape, function.alpha), (function.kappa,)
    parameters = function.eta, function.r_s
    return (GAUSSIAN, cutoff, shape, function.alpha), parameters


def _core_shape(core: str) -> str:
    """Return the cutoff function that falls from 1 to 0 as the core does."""
    return "exponential" if core == "e" else f"poly{core[1]}"


class _Rows:
    """Collects different radial functions, and numbers them row by row."""

    def __init__(self, radials: Iterable[Radial]) -> None:
        families: dict[Family, dict[tuple[float, ...], None]] = {}
        for family, parameters in radials:
            families.setdefault(family, {})[parameters] = None
        self.rows = []
        self.number: dict[Radial, int] = {}
        for (kind, cutoff, shape, alpha), members in families.items():
            values = tuple(value for member in members for value in member)
            self.rows.append(Row(kind, len(members), cutoff, shape, alpha, values))
            for parameters in members:
                radial = ((kind, cutoff, shape, alpha), parameters)
                self.number[radial] = len(self.number)


def _central(
    functions: list[tuple[int, SymmetryFunction]], species: tuple[str, ...]
) -> Central:
    """Return what the moments operator computes around one central species."""
    two_body = [(n, f) for n, f in functions if not f.kind.angular]
    angular = [(n, f) for n, f in functions if f.kind.angular]
    # one channel for each radial function and species that belong together in a block
    blocks: dict[Radial, dict[str, None]] = {}
    for _, f in angular:
        blocks.setdefault(_radial(f), {}).update(dict.fromkeys(f.neighbours))
    channels = [(radial, t) for radial, ts in blocks.items() for t in ts]
    number = {
        (channels[a], channels[b]): q
        for q, (a, b) in enumerate(products([len(ts) for ts in blocks.values()]))
    }
    return Central(
        l_max=max((int(f.zeta) for _, f in angular), default=-1),
        neighbourhoods=[_neighbourhood(t, two_body, channels) for t in species],
        blocks=[len(ts) for ts in blocks.values()],
        features=[_product_feature(n, f, number) for n, f in angular],
    )


def _neighbourhood(
    symbol: str,
    two_body: list[tuple[int, SymmetryFunction]],
    channels: list[tuple[Radial, str]],
) -> Neighbourhood:
    """Return what neighbours of one species contribute."""
    seen = [(n, f) for n, f in two_body if f.neighbours in ((), (symbol,))]
    rows = _Rows(_radial(f) for _, f in seen)
    three = _Rows(radial for radial, t in channels if t == symbol)
    return Neighbourhood(
        two_body=rows.rows,
        moments=three.rows,
        to_features=[
            Entry(
                rows.number[_radial(f)],
                n,
                1.0 if f.neighbours else float(SYMBOLS.index(symbol)),
            )
            for n, f in seen
        ],
        to_channels=[
            Entry(three.number[radial], a, 1.0)
            for a, (radial, t) in enumerate(channels)
            if t == symbol
        ],
    )


def _product_feature(
    feature: int,
    function: SymmetryFunction,
    number: Mapping[tuple[tuple[Radial, str], tuple[Radial, str]], int],
) -> tuple[int, int, list[float]]:
    """Return a wide angular function as a combination of products of moments."""
    radial = _radial(function)
    one, other = ((radial, t) for t in function.neighbours)
    c_l = power_coefficients(int(function.zeta), function.lambda_)
    if one == other:
        return feature, number[one, other], c_l.tolist()
    q = number.get((one, other), number.get((other, one), -1))
    return feature, q, (2.0 * c_l).tolist()


def _split(
    functions: Sequence[SymmetryFunction],
) -> tuple[list[tuple[int, SymmetryFunction]], list[tuple[int, SymmetryFunction]]]:
    """Return the functions that moments give and the others, with their numbers."""
    numbered = list(enumerate(functions))
    smooth = [(n, f) for n, f in numbered if factorises(f)]
    angular = [f for _, f in smooth if f.kind.angular]
    for max_zeta in range(MAX_ZETA, -1, -1):
        channels = {
            (_radial(f), t) for f in angular if f.zeta <= max_zeta for t in f.neighbours
        }
        if len(channels) * (max_zeta + 1) ** 2 <= MAX_MOMENTS:
            break
    smooth = [(n, f) for n, f in smooth if not f.kind.angular or f.zeta <= max_zeta]
    numbers = {n for n, _ in smooth}
    return smooth, [(n, f) for n, f in numbered if n not in numbers]


def _triplet_function(
    function: SymmetryFunction, feature: int, species: tuple[str, ...]
) -> TripletFunction:
    """Return an angular function as the triplets operator reads it."""
    compact = None
    if function.core:
        compact = Compact(
            function.r_low,
            function.cutoff,
            function.theta_low,
            function.theta_high,
            function.core.rstrip("a"),
            function.core.endswith("a"),
        )
    shape = CUTOFF_FUNCTIONS.index(function.cutoff_function)
    pair = [species.index(symbol) for symbol in function.neighbours]
    return TripletFunction(
        feature=feature,
        pair=(pair[0], pair[1]) if pair else None,
        r_jk=function.type in ("G4", "G13", "G21", "G24"),
        eta=function.eta,
        rs=function.r_s,
        lambda_=function.lambda_,
        zeta=function.zeta,
        cutoff=Cutoff(shape, function.cutoff, function.alpha),
        compact=compact,
    )
