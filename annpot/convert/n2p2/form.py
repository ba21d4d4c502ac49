"""A potential in the form that n2p2 knows: its units, its order, its scaling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annpot.convert.n2p2.functions import restore_function
from annpot.convert.n2p2.networks import letters_of, simplify_network
from annpot.convert.n2p2.scaling_data import WIDE, Ranges, compute_scaling, ranges_of
from annpot.convert.n2p2.setup import ScalingMode
from annpot.convert.plain_text import invert
from annpot.descriptors import Descriptor
from annpot.descriptors.behler import Behler
from annpot.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    SymmetryFunction,
    sort_functions,
)
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.networks import Network
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.structures.structure import Integers
from annpot.units import Units

LEAST, LARGEST = 1e-100, 1e100
"""Limits of sense for scales, whose inverse is written."""

SIGMA = ScalingMode("sigma")
MODES = (SIGMA, *map(ScalingMode, ("scale center", "scale", "center", "none")))
"""How n2p2 may scale with the numbers of the training set, the likeliest first."""


@dataclass(frozen=True)
class Form:
    """What stands in the files; lengths and energies in their units."""

    species: tuple[str, ...]
    """By atomic number."""
    functions_s: tuple[tuple[SymmetryFunction, ...], ...]
    """In n2p2's order, which that of the ranges and the inputs of the networks is."""
    cutoff_type: tuple[int, float]
    """Number and alpha."""
    scaling: ScalingMode
    ranges_s: tuple[Ranges, ...]
    networks: tuple[Network, ...]
    letters: str
    """Activation functions of the hidden layers."""
    atom_energies: tuple[float, ...]


def make_form(potential: Potential, units: Units, notes: list[str]) -> Form:
    """Return a potential as n2p2 would have it.

    Raises
    ------
    FileFormatError
        If it cannot.
    """
    _check_scales(potential)
    given = potential.species
    species = tuple(sorted(given, key=SYMBOLS.index))
    functions_s, models = [], []
    for symbol in species:
        s = given.index(symbol)
        functions = _restore(_functions(potential.descriptor, s), units)
        ordered = tuple(sort_functions(functions))
        functions_s.append(ordered)
        order = _find_order(functions, ordered)
        models.append(_reorder(potential.models[s], order))
    _tell(potential, notes)
    scaling, ranges_s = _choose_scaling(models)
    ev = units.ev
    networks = tuple(
        _network_of(model, potential.energy_scale / ev, potential.energy_shift / ev)
        for model in models
    )
    atom_energies = {
        symbol: invert(energy, lambda x: ev * x, lambda x: x / ev)
        for symbol, energy in zip(given, potential.reference_energies, strict=True)
    }
    return Form(
        species=species,
        functions_s=tuple(functions_s),
        cutoff_type=_cutoff_type(functions_s),
        scaling=scaling,
        ranges_s=ranges_s,
        networks=networks,
        letters=_common_letters(species, networks),
        atom_energies=tuple(atom_energies[symbol] for symbol in species),
    )


def _check_scales(potential: Potential) -> None:
    """Check that n2p2 can divide by the scales of the features."""
    for symbol, model in zip(potential.species, potential.models, strict=True):
        for scale in model.scale_f:
            if scale and not LEAST < scale < LARGEST:
                raise FileFormatError(
                    f"a symmetry function of {symbol} is scaled by {scale:g}, which "
                    "n2p2 cannot express"
                )


def _tell(potential: Potential, notes: list[str]) -> None:
    """Say what n2p2's files do not hold, and which versions read them."""
    if len({model.network.sizes[1:] for model in potential.models}) > 1:
        notes.append(
            "networks of different sizes: element_nodes_short is written for RuNNer, "
            "LAMMPS and n2p2 2; the development version of n2p2 reads it otherwise"
        )
    domains = [model.domain for model in potential.models]
    if None in domains:
        notes.append(
            "the ranges of the symmetry functions are not known: n2p2 and LAMMPS will "
            "not warn of extrapolation"
        )
    if any(domain is not None and domain.whitening is not None for domain in domains):
        notes.append(
            "n2p2 knows the least and largest values of symmetry functions only: "
            "covariances and shortest distances of the training set are not kept"
        )


def _functions(descriptor: Descriptor, s: int) -> list[SymmetryFunction]:
    """Return all functions of a species in the order of the features."""
    functions: list[SymmetryFunction] = []
    for part in descriptor.parts:
        if not isinstance(part, Behler):
            raise FileFormatError(
                f"n2p2 knows symmetry functions only, this is a potential of type "
                f"'{part.type}': train one with descriptor: {{type: behler}}"
            )
        functions += part.functions_s[s]
    if not functions:
        raise FileFormatError(
            f"{descriptor.species[s]} has no symmetry functions: n2p2 needs one"
        )
    return functions


def _restore(
    functions: Sequence[SymmetryFunction], units: Units
) -> list[SymmetryFunction]:
    """Return the functions in the units of the files."""
    restored = []
    for function in functions:
        try:
            restored.append(restore_function(function, units.angstrom))
        except ValueError as error:
            raise FileFormatError(
                f"n2p2 cannot have '{function.label}' in {units.length}: {error}"
            ) from None
    return restored


def _find_order(
    functions: Sequence[SymmetryFunction], ordered: Sequence[SymmetryFunction]
) -> Integers:
    """Return which function stands at each place of the order."""
    places: dict[SymmetryFunction, list[int]] = defaultdict(list)
    for n, function in reversed(list(enumerate(functions))):
        places[function].append(n)
    return np.array([places[function].pop() for function in ordered])


def _reorder(model: SpeciesModel, order: Integers) -> SpeciesModel:
    """Return the model of features in another order."""
    first, *others = model.network.weights
    network = replace(model.network, weights=(first[:, order], *others))
    domain = model.domain
    if domain is not None:
        statistics = domain.statistics
        statistics = replace(
            statistics,
            min_f=statistics.min_f[order],
            max_f=statistics.max_f[order],
            mean_f=statistics.mean_f[order],
            covariance_ff=statistics.covariance_ff[np.ix_(order, order)],
        )
        domain = replace(domain, statistics=statistics, whitening=None)
    return SpeciesModel(model.shift_f[order], model.scale_f[order], network, domain)


def _cutoff_type(
    functions_s: Sequence[Sequence[SymmetryFunction]],
) -> tuple[int, float]:
    """Return number and alpha of the one cutoff function that n2p2 has."""
    found = {
        (f.cutoff_function, f.alpha)
        for functions in functions_s
        for f in functions
        if not f.core
    }
    if len(found) > 1:
        names = " and ".join(f"'{name}' (alpha {a:g})" for name, a in sorted(found))
        raise FileFormatError(
            f"cutoff functions {names}: n2p2 has one for all symmetry functions"
        )
    name, alpha = found.pop() if found else ("cosine", 0.0)
    return CUTOFF_FUNCTIONS.index(name), alpha


def _choose_scaling(
    models: Sequence[SpeciesModel],
) -> tuple[ScalingMode, tuple[Ranges, ...]]:
    """Return how n2p2 scales the functions exactly as the models do.

    With the numbers of the training set, if that is possible; else with numbers that
    do it.
    """
    known = [_known_ranges(model) for model in models]
    for mode in MODES:
        if all(
            ranges is not None and _scales(mode, ranges, model)
            for ranges, model in zip(known, models, strict=True)
        ):
            return mode, tuple(ranges for ranges in known if ranges is not None)
    return SIGMA, tuple(_made_ranges(model) for model in models)


def _known_ranges(model: SpeciesModel) -> Ranges | None:
    """Return the ranges of the training set.

    What does not count gets the standard deviation 1, by which n2p2 can divide.
    """
    if model.domain is None:
        return None
    ranges = ranges_of(model.domain)
    return replace(ranges, sigma_f=np.where(model.scale_f, ranges.sigma_f, 1.0))


def _scales(mode: ScalingMode, ranges: Ranges, model: SpeciesModel) -> bool:
    """Return whether a mode scales as the model does, where features count."""
    try:
        shift_f, scale_f = compute_scaling(mode, ranges)
    except ValueError:
        return False
    counts_f = model.scale_f != 0.0
    return np.array_equal(shift_f[counts_f], model.shift_f[counts_f]) and (
        np.array_equal(scale_f[counts_f], model.scale_f[counts_f])
    )


def _made_ranges(model: SpeciesModel) -> Ranges:
    """Return ranges with a mean and a standard deviation that scale as the model."""
    wide_f = np.full_like(model.shift_f, WIDE)
    min_f, max_f = -wide_f, wide_f
    if model.domain is not None:
        min_f, max_f = model.domain.statistics.min_f, model.domain.statistics.max_f
    sigma_f = [
        invert(scale, lambda x: 1.0 / x, lambda x: 1.0 / x) if scale else 1.0
        for scale in model.scale_f
    ]
    return Ranges(min_f, max_f, model.shift_f, np.array(sigma_f))


def _network_of(model: SpeciesModel, scale: float, shift: float) -> Network:
    """Return the network that gives energies in units of the file.

    Scale and shift go into the output layer: mean_energy and conv_energy, which would
    hold them as well, are unknown to RuNNer and to CP2K. Inputs that do not count are
    left out by zero weights.
    """
    weights, biases = list(model.network.weights), list(model.network.biases)
    weights[0] = np.where(model.scale_f != 0.0, weights[0], 0.0)
    weights[-1] = scale * weights[-1]
    biases[-1] = scale * biases[-1] + shift
    network = replace(model.network, weights=tuple(weights), biases=tuple(biases))
    return simplify_network(network)


def _common_letters(species: Sequence[str], networks: Sequence[Network]) -> str:
    """Return the letters of the activation functions, which all networks must share."""
    letters_s = [letters_of(network) for network in networks]
    if len(set(letters_s)) > 1:
        found = ", ".join(
            f"{symbol}: {' '.join(network.activations)}"
            for symbol, network in zip(species, networks, strict=True)
        )
        raise FileFormatError(
            f"hidden layers differ ({found}): n2p2 has the same number of layers and "
            "the same activation functions for all elements"
        )
    return letters_s[0]
