"""The file of one species in aenet <-> the network of a species of a potential."""

from __future__ import annotations

import numpy as np

from annpot.convert.aenet.bases import TRAINABLE, Basis, make_basis
from annpot.convert.aenet.networks import (
    ACTIVATIONS,
    MAX_COUNT,
    NetworkFile,
    Setup,
    TrainingInfo,
    count_weights,
)
from annpot.errors import FileFormatError
from annpot.extrapolation import Domain
from annpot.networks import Network
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.scaling import Statistics
from annpot.structures.structure import Array
from annpot.version import __version__

LEAST_DEVIATION = 1e-10
"""Features that deviate less are constant for aenet (sfsetup.f90)."""

LEAST_RATIO = 1e-3
"""Least deviation, in means, that is written: of less, ``mean_square - mean^2`` would
lose digits, the more the less."""

LEAST_DISTANCE, MOST_DISTANCE, SHARE = 0.4, 1.0, 0.75
"""Distance in angstrom that aenet takes for the least when it makes room for
neighbours, and its share of the least in the training set."""


def make_model(file: NetworkFile) -> SpeciesModel:
    """Return what turns the features of the species into atomic energies."""
    setup = file.setup
    deviation_f = compute_deviation(setup)
    constant_f = deviation_f == 0.0
    scale_f = np.where(constant_f, 0.0, 1.0 / np.where(constant_f, 1.0, deviation_f))
    domain = None
    # aenet-python knows the ranges, but counts no atoms
    if setup.n_atoms or (setup.min_f < setup.max_f).any():
        statistics = Statistics(
            setup.n_atoms,
            setup.min_f,
            setup.max_f,
            setup.mean_f,
            np.diag(_compute_variance(setup)),
        )
        domain = Domain(statistics)
    return SpeciesModel(setup.mean_f, scale_f, make_network(file), domain)


def compute_deviation(setup: Setup) -> Array:
    """Return the deviation of each feature, by which aenet divides; 0: constant."""
    deviation_f: Array = np.sqrt(_compute_variance(setup))
    deviation_f[deviation_f <= LEAST_DEVIATION] = 0.0
    return deviation_f


def _compute_variance(setup: Setup) -> Array:
    with np.errstate(over="ignore"):
        variance_f: Array = setup.mean_square_f - setup.mean_f * setup.mean_f
    return np.maximum(variance_f, 0.0)


def make_network(file: NetworkFile) -> Network:
    """Return the network: matrices lie by columns, biases are the last of them."""
    parts = np.split(file.weights_w, count_weights(file.nodes)[1:-1])
    weights, biases = [], []
    for part_w, n_out in zip(parts, file.nodes[1:], strict=True):
        columns = part_w.reshape(-1, n_out)
        weights.append(np.ascontiguousarray(columns[:-1].T))
        biases.append(columns[-1].copy())
    names = tuple(ACTIVATIONS[code] for code in file.codes[:-1])
    return Network(names, tuple(weights), tuple(biases))


def flatten_network(network: Network) -> tuple[tuple[int, ...], tuple[int, ...], Array]:
    """Return nodes, activation functions and weights as they stand in a file."""
    for name in network.activations:
        if name not in ACTIVATIONS:
            raise FileFormatError(
                f"aenet has no activation function {name}, only "
                f"{', '.join(ACTIVATIONS)}: please set train.activation to one of them"
            )
    codes = [ACTIVATIONS.index(name) for name in network.activations]
    parts = [
        np.column_stack([W, b]).ravel(order="F")
        for W, b in zip(network.weights, network.biases, strict=True)
    ]
    return (*network.sizes,), (*codes, 0), np.concatenate(parts)


def make_file(potential: Potential, s: int) -> NetworkFile:
    """Return the file of one species of a potential that aenet has not made."""
    if len(potential.descriptor.parts) > 1:
        raise FileFormatError(
            f"aenet has no descriptor of {len(potential.descriptor.parts)} parts: "
            f"{TRAINABLE}"
        )
    try:
        basis = make_basis(potential.descriptor.parts[0], s)
    except ValueError as error:
        raise FileFormatError(str(error)) from None
    setup, ratio_f = _make_setup(potential, s, basis)
    network = potential.models[s].network
    first = network.weights[0][:, basis.order_f] * ratio_f
    nodes, codes, weights_w = flatten_network(
        Network(network.activations, (first, *network.weights[1:]), network.biases)
    )
    if not potential.energy_scale:
        raise FileFormatError("aenet cannot scale energies by 0, as here")
    domains = [model.domain for model in potential.models if model.domain is not None]
    n_atoms = sum(domain.statistics.n_atoms for domain in domains)
    training = TrainingInfo(
        file="annpot",
        normalized=True,
        scale=1.0 / potential.energy_scale,
        shift=potential.energy_shift,
        species=potential.species,
        reference_energies=potential.reference_energies,
        n_atoms=min(n_atoms, MAX_COUNT),
        n_structures=0,
        energies=np.array([-1.0, 1.0, 0.0]),
    )
    return NetworkFile(nodes, codes, weights_w, setup, training)


def choose_least_distance(nearest: float) -> float:
    """Return the distance that aenet is to take for the least.

    Parameters
    ----------
    nearest
        The shortest distance in the training set, infinite if not known, angstrom.
    """
    if not np.isfinite(nearest):
        return LEAST_DISTANCE
    return min(max(SHARE * nearest, LEAST_DISTANCE), MOST_DISTANCE)


def _make_setup(potential: Potential, s: int, basis: Basis) -> tuple[Setup, Array]:
    """Return the set-up, and what the weights of each feature have to be multiplied by.

    aenet's scale comes from means and mean squares; the weights make up for what it
    differs, and are 0 for features that the potential does not use.
    """
    model = potential.models[s]
    shift_f, scale_f = model.shift_f[basis.order_f], model.scale_f[basis.order_f]
    used_f = scale_f != 0.0
    deviation_f = 1.0 / np.where(used_f, np.maximum(np.abs(scale_f), 1e-50), 1.0)
    least_f = np.maximum(LEAST_RATIO * np.abs(shift_f), 100.0 * LEAST_DEVIATION)
    mean_square_f = np.maximum(deviation_f, least_f) ** 2 + shift_f * shift_f
    aenets_f = np.sqrt(mean_square_f - shift_f * shift_f)
    n_atoms, min_f, max_f = 0, shift_f, shift_f
    if model.domain is not None:
        statistics = model.domain.statistics
        n_atoms = min(statistics.n_atoms, MAX_COUNT)
        min_f, max_f = (f[basis.order_f] for f in (statistics.min_f, statistics.max_f))
    setup = Setup(
        description=f"made by annpot {__version__}$$",
        symbol=potential.species[s],
        environment=basis.environment,
        r_min=choose_least_distance(float(potential.shortest_st[s].min())),
        cutoff=basis.cutoff,
        basis=basis.name,
        kinds_f=basis.kinds_f,
        parameters_fk=basis.parameters_fk,
        neighbours_fk=basis.neighbours_fk,
        n_atoms=n_atoms,
        min_f=min_f,
        max_f=max_f,
        mean_f=shift_f,
        mean_square_f=mean_square_f,
    )
    return setup, np.where(used_f, scale_f * aenets_f, 0.0)
