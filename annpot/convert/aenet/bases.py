"""The bases of aenet's features <-> parts of a descriptor.

Chebyshev polynomials tell species apart by weights that go by their places in a list,
the environment; symmetry functions name theirs by these places. In files, symmetry
functions stand as the user listed them, but features and their statistics in aenet's
own order (symmfunc.f90): for each species G1, G2, G3, then G4 and G5 of the pairs with
it and each species behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annpot.convert.aenet.networks import (
    N_NEIGHBOURS,
    N_PARAMETERS,
    Setup,
)
from annpot.descriptors import Behler, Chebyshev
from annpot.descriptors.base import Part
from annpot.descriptors.chebyshev import (
    MAX_CUTOFF,
    MAX_ORDER,
    Expansion,
    plain_and_weighted,
)
from annpot.descriptors.species_weights import aenet_weights
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.structures.structure import Array, Integers

PARAMETERS = {
    1: ("cutoff",),
    2: ("cutoff", "r_s", "eta"),
    3: ("cutoff", "kappa"),
    4: ("cutoff", "lambda", "zeta", "eta"),
    5: ("cutoff", "lambda", "zeta", "eta"),
}
"""Parameters of each type of symmetry functions in their order in the file."""

TRAINABLE = (
    "potentials for aenet are trained with descriptor: {angular: {radial_order: none}, "
    "weights: aenet}, or with symmetry functions G1 to G5 with cosine cutoffs"
)


@dataclass(frozen=True)
class Basis:
    """The features of one species as they stand in a file."""

    environment: tuple[str, ...]
    name: str
    cutoff: float
    kinds_f: Integers
    parameters_fk: Array
    neighbours_fk: Integers
    order_f: Integers
    """Which feature of the potential each feature of aenet is."""


def read_part(setups: Sequence[Setup], legacy: bool) -> Part:
    """Return the part of the descriptor of all species; see `check_basis`.

    Parameters
    ----------
    legacy
        Whether the argument of the angular polynomials is that of aenet up to 2.0.3.

    Raises
    ------
    ValueError
        If there is something that annpot cannot express, or that makes no sense.
    """
    species = tuple(setup.symbol for setup in setups)
    if not setups[0].is_chebyshev:
        return Behler(species, tuple(tuple(read_functions(setup)) for setup in setups))
    expansions = [read_expansions(setup, legacy) for setup in setups]
    return Chebyshev(
        species=species,
        radial_s=tuple(radial for radial, _ in expansions),
        angular_s=tuple(angular for _, angular in expansions),
        weights_sct=tuple(_channels(setup, species) for setup in setups),
    )


def check_basis(setup: Setup) -> None:
    """Check that annpot can express the basis of a species.

    Raises
    ------
    ValueError
        If not, or if it makes no sense.
    """
    if setup.is_chebyshev:
        read_expansions(setup)
    else:
        read_functions(setup)


def read_expansions(setup: Setup, legacy: bool = False) -> tuple[Expansion, Expansion]:
    """Return the radial and the angular part of a Chebyshev basis.

    Raises
    ------
    ValueError
        If there is none.
    """
    numbers = setup.parameters_fk[0].tolist()
    for order in numbers[1::2]:
        if not 0 <= order <= MAX_ORDER or order != int(order):
            raise ValueError(f"order {order:g}, expected 0 to {MAX_ORDER}")
    for cutoff in numbers[::2]:
        if not 0.0 < cutoff <= MAX_CUTOFF:
            raise ValueError(f"cutoff {cutoff:g}, expected up to {MAX_CUTOFF} angstrom")
    radial = Expansion(int(numbers[1]), numbers[0])
    angular = Expansion(int(numbers[3]), numbers[2], legacy=legacy)
    n = (radial.order + angular.order + 2) * min(len(setup.environment), 2)
    if n != len(setup.kinds_f):
        raise ValueError(
            f"orders {radial.order} and {angular.order} with "
            f"{len(setup.environment)} species make {n} features, but the file says "
            f"{len(setup.kinds_f)}"
        )
    return radial, angular


def _channels(setup: Setup, species: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    weights = aenet_weights(len(species))
    weight_of = dict(zip(setup.environment, weights, strict=True))
    return plain_and_weighted([weight_of[symbol] for symbol in species])


def read_functions(setup: Setup) -> list[SymmetryFunction]:
    """Return the symmetry functions of a set-up in the order of the features.

    Raises
    ------
    ValueError
        If annpot cannot express one.
    """
    return [_read_function(setup, int(f)) for f in order_functions(setup)]


def order_functions(setup: Setup) -> Integers:
    """Return the number in the file of the function of each feature."""
    kinds_f, neighbours_fk = setup.kinds_f, setup.neighbours_fk
    angular_f = kinds_f > 3
    low_f = np.where(angular_f, neighbours_fk.min(axis=1), neighbours_fk[:, 0])
    high_f = np.where(angular_f, neighbours_fk.max(axis=1), 0)
    return np.lexsort((kinds_f, high_f, low_f))


def _read_function(setup: Setup, f: int) -> SymmetryFunction:
    kind, where = int(setup.kinds_f[f]), f"symmetry function {f + 1}"
    if kind not in PARAMETERS:
        raise ValueError(f"{where}: type G{kind}, expected G1 to G5")
    places = setup.neighbours_fk[f, : 1 + (kind > 3)].tolist()
    for place in places:
        if not 1 <= place <= len(setup.environment):
            raise ValueError(
                f"{where}: its neighbours are species {place}, expected 1 to "
                f"{len(setup.environment)}"
            )
    recipe = dict(zip(PARAMETERS[kind], setup.parameters_fk[f].tolist(), strict=False))
    symbols = [setup.environment[place - 1] for place in places]
    try:
        return SymmetryFunction.from_dict(
            {"type": f"G{kind}", "neighbours": symbols, **recipe}
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def make_basis(part: Part, s: int) -> Basis:
    """Return the basis of one species of a part of a descriptor.

    Raises
    ------
    ValueError
        If aenet has none like that.
    """
    try:
        if isinstance(part, Chebyshev):
            return _chebyshev_basis(part, s)
        if isinstance(part, Behler):
            return _behler_basis(part, s)
    except ValueError as error:
        raise ValueError(f"aenet has no {error}: {TRAINABLE}") from None
    raise ValueError(f"aenet has no descriptor of type {part.type}: {TRAINABLE}")


def _chebyshev_basis(part: Chebyshev, s: int) -> Basis:
    radial, angular = part.radial_s[s], part.angular_s[s]
    if angular.radial_order is not None:
        raise ValueError("angles that are resolved by distances")
    if min(radial.order, angular.order) < 0:
        raise ValueError("descriptor of distances or angles alone")
    if len({expansion.legacy for expansion in part.angular_s}) > 1:
        raise ValueError("angular argument that differs from species to species")
    if angular.cutoff > radial.cutoff and len(part.species) > 1:
        # the species of neighbours beyond the radial cutoff would be mistaken
        raise ValueError(
            f"angular cutoff beyond the radial one ({angular.cutoff:g} and "
            f"{radial.cutoff:g} angstrom) that is right with several species"
        )
    n = int(part.n_features_s[s])
    parameters_fk = np.zeros((n, N_PARAMETERS))
    parameters_fk[0] = radial.cutoff, radial.order, angular.cutoff, angular.order
    return Basis(
        environment=_environment(part, s),
        name="Chebyshev",
        cutoff=max(radial.cutoff, angular.cutoff),
        kinds_f=np.zeros(n, dtype=np.int64),
        parameters_fk=parameters_fk,
        neighbours_fk=np.zeros((n, N_NEIGHBOURS), dtype=np.int64),
        order_f=np.arange(n),
    )


def _environment(part: Chebyshev, s: int) -> tuple[str, ...]:
    """Return the species in the order of which aenet gives them their weights."""
    species, weights_ct = part.species, part.weights_sct[s]
    aenets = aenet_weights(len(species))
    weighted_t = weights_ct[-1] if len(species) > 1 else aenets
    if sorted(weighted_t) != aenets or weights_ct != plain_and_weighted(weighted_t):
        raise ValueError("channels of species with such weights")
    return tuple(species[weighted_t.index(weight)] for weight in aenets)


def _behler_basis(part: Behler, s: int) -> Basis:
    functions, species = part.functions_s[s], part.species
    if not functions:
        raise ValueError(f"network without inputs, as that of {species[s]}")
    for function in functions:
        _check_function(function)
    n = len(functions)
    kinds_f = np.array([int(function.type[1:]) for function in functions])
    parameters_fk = np.zeros((n, N_PARAMETERS))
    neighbours_fk = np.zeros((n, N_NEIGHBOURS), dtype=np.int64)
    for f, function in enumerate(functions):
        places = [species.index(symbol) + 1 for symbol in function.neighbours]
        neighbours_fk[f, : len(places)] = sorted(places)
        recipe = function.to_dict()
        values = [recipe[key] for key in PARAMETERS[int(kinds_f[f])]]
        parameters_fk[f, : len(values)] = values
    order_f = np.lexsort((kinds_f, neighbours_fk[:, 1], neighbours_fk[:, 0]))
    return Basis(
        environment=species,
        name="Behler2011",
        cutoff=max(function.cutoff for function in functions),
        kinds_f=kinds_f[order_f],
        parameters_fk=parameters_fk[order_f],
        neighbours_fk=neighbours_fk[order_f],
        order_f=order_f,
    )


def _check_function(function: SymmetryFunction) -> None:
    if function.type not in [f"G{kind}" for kind in PARAMETERS]:
        raise ValueError(f"symmetry functions of type {function.type}")
    if function.cutoff_function != "cosine" or function.alpha:
        raise ValueError(
            f"cutoff function but cosine from 0 on ({function.cutoff_function}, alpha "
            f"{function.alpha:g})"
        )
    if function.kind.angular and function.r_s:
        raise ValueError(f"r_s ({function.r_s:g}) in angular symmetry functions")
