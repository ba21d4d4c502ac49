"""What a potential consists of, and the form of it in files.

Models of species, the training data that they know, and test vectors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import h5py
import numpy as np

from annpot.descriptors import Descriptor
from annpot.errors import FileFormatError
from annpot.extrapolation import Domain, Limits
from annpot.fingerprints import read_batch, read_statistics, write_statistics
from annpot.format import container, reading, writing
from annpot.networks import ACTIVATIONS, Network
from annpot.scaling import Scaling
from annpot.structures.structure import Array, Batch

MAX_DEPTH = 50
"""Of the JSON in a file."""

OLD_RANGE_LIMITS = Limits(0.0, 0.1)
"""Of files that do not say theirs."""


@dataclass(frozen=True)
class SpeciesModel:
    """What turns the features of one species into atomic energies."""

    shift_f: Array
    scale_f: Array
    network: Network
    domain: Domain | None
    """The training data; ``None`` if the potential does not know them."""


@dataclass(frozen=True)
class TestVectors:
    """Small structures with the energies and forces that the potential gives."""

    __test__ = False  # not for pytest

    batch: Batch
    E_s: Array
    F_nc: Array


def write_models(
    networks: h5py.Group, species: Sequence[str], models: Sequence[SpeciesModel]
) -> None:
    """Write scalings and networks; `write_domains` writes the rest."""
    for symbol, model in zip(species, models, strict=True):
        group = networks.create_group(symbol)
        writing.write_array(group, container.FEATURE_SHIFT, model.shift_f)
        writing.write_array(group, container.FEATURE_SCALE, model.scale_f)
        writing.write_strings(group, container.ACTIVATIONS, model.network.activations)
        for k, (W, b) in enumerate(
            zip(model.network.weights, model.network.biases, strict=True)
        ):
            writing.write_array(group, f"{container.WEIGHTS} {k}", W)
            writing.write_array(group, f"{container.BIASES} {k}", b)


def write_domains(
    statistics: h5py.Group,
    species: Sequence[str],
    shortest_st: Array,
    models: Sequence[SpeciesModel],
) -> None:
    """Write the shortest distances, and the training data that the models know."""
    writing.write_array(statistics, container.SHORTEST, shortest_st)
    for symbol, model in zip(species, models, strict=True):
        if model.domain is not None:
            _write_domain(statistics.create_group(symbol), model.domain)


def same_bits(a: Any, b: Any) -> bool:
    """Return whether two arrays, numbers or dataclasses of them are the same."""
    if a is b or type(a) is not type(b):
        return a is b
    if is_dataclass(a):
        return all(
            same_bits(getattr(a, field.name), getattr(b, field.name))
            for field in fields(a)
        )
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _write_domain(group: h5py.Group, domain: Domain) -> None:
    write_statistics(group, domain.statistics)
    writing.write_attribute(group, container.RANGE_LOW, domain.range.low)
    writing.write_attribute(group, container.RANGE_HIGH, domain.range.high)
    if domain.whitening is None:
        return
    writing.write_array(group, container.WHITENING, domain.whitening.matrix_ff)
    writing.write_attribute(group, container.DISTANCE_LOW, domain.low)
    writing.write_attribute(group, container.DISTANCE_HIGH, domain.high)


def write_test_vectors(group: h5py.Group, vectors: TestVectors) -> None:
    """Write test vectors."""
    batch = vectors.batch
    writing.write_array(group, container.N_ATOMS, batch.atoms_s)
    writing.write_array(group, container.SPECIES_INDEX, batch.species_n)
    writing.write_array(group, container.POSITIONS, batch.positions_nc)
    writing.write_array(group, container.CELLS, batch.cells_scc)
    writing.write_array(group, container.PERIODIC, batch.pbc_sc.astype(np.uint8))
    writing.write_array(group, container.ENERGY, vectors.E_s)
    writing.write_array(group, container.FORCES, vectors.F_nc)


def read_domains(
    group: h5py.Group, descriptor: Descriptor
) -> tuple[Array, list[Domain | None]]:
    """Return the shortest distances, and the domain of each species if it is known."""
    statistics = reading.read_group(group, container.STATISTICS)
    n_species = len(descriptor.species)
    shortest_st = reading.read_array(
        statistics, container.SHORTEST, (n_species,) * 2, finite=False
    )
    return shortest_st, [
        _read_domain(reading.read_group(statistics, symbol), n_features)
        if symbol in statistics
        else None
        for symbol, n_features in descriptor.n_features.items()
    ]


def read_provenance(group: h5py.Group) -> dict[str, Any]:
    """Return how a potential was made.

    Raises
    ------
    FileFormatError
        If it is no JSON object, or nested too deep.
    """
    name = container.PROVENANCE
    where = f"'{group.file.filename}', {group.name.rstrip('/')}/{name}"
    try:
        value = json.loads(reading.read_text(group, name))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{where}: {error}") from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{where}: no JSON object")
    if _depth(value) > MAX_DEPTH:
        raise FileFormatError(f"{where}: nested too deep")
    return value


def _depth(value: Any, above: int = 0) -> int:
    """Return how deep lists and dictionaries are nested, up to the limit."""
    if above > MAX_DEPTH or not isinstance(value, dict | list):
        return above
    items = value.values() if isinstance(value, dict) else value
    return max((_depth(item, above + 1) for item in items), default=above + 1)


def read_models(
    networks: h5py.Group, descriptor: Descriptor, domains: Sequence[Domain | None]
) -> tuple[SpeciesModel, ...]:
    """Return the models of all species, which know these training data."""
    models = []
    sizes = descriptor.n_features.items()
    for (symbol, n_features), domain in zip(sizes, domains, strict=True):
        group = reading.read_group(networks, symbol)
        shift_f = reading.read_array(group, container.FEATURE_SHIFT, (n_features,))
        scale_f = reading.read_array(group, container.FEATURE_SCALE, (n_features,))
        network = _read_network(group, n_features)
        models.append(SpeciesModel(shift_f, scale_f, network, domain))
    return tuple(models)


def _read_network(group: h5py.Group, n_features: int) -> Network:
    where = f"'{group.file.filename}', {group.name}"
    activations = reading.read_strings(group, container.ACTIVATIONS)
    for name in activations:
        if name not in ACTIVATIONS:
            raise FileFormatError(
                f"{where}: activation function {name!a:.40} is unknown, "
                f"expected one of {', '.join(ACTIVATIONS)}"
            )
    weights: list[Array] = []
    biases: list[Array] = []
    n_in = n_features
    for k in range(len(activations) + 1):
        last = k == len(activations)
        weights.append(
            reading.read_array(
                group, f"{container.WEIGHTS} {k}", (1 if last else None, n_in)
            )
        )
        n_in = len(weights[-1])
        biases.append(reading.read_array(group, f"{container.BIASES} {k}", (n_in,)))
    return Network(tuple(activations), tuple(weights), tuple(biases))


def _read_domain(group: h5py.Group, n_features: int) -> Domain:
    statistics, limits = read_statistics(group, n_features), OLD_RANGE_LIMITS
    if container.RANGE_LOW in group.attrs:
        limits = Limits(
            reading.read_attribute(group, container.RANGE_LOW, float),
            reading.read_attribute(group, container.RANGE_HIGH, float),
        )
    if not limits.low < limits.high:
        raise FileFormatError(
            f"'{group.file.filename}', {group.name}: {container.RANGE_LOW} "
            f"{limits.low:g} below {container.RANGE_HIGH} {limits.high:g} expected"
        )
    if container.WHITENING not in group:
        return Domain(statistics, range=limits)
    matrix_ff = reading.read_array(group, container.WHITENING, (n_features,) * 2)
    return Domain(
        statistics=statistics,
        whitening=Scaling(statistics.mean_f, matrix_ff),
        low=reading.read_attribute(group, container.DISTANCE_LOW, float),
        high=reading.read_attribute(group, container.DISTANCE_HIGH, float),
        range=limits,
    )


def read_test_vectors(
    parent: h5py.Group, species: tuple[str, ...]
) -> TestVectors | None:
    """Return the test vectors of a potential; ``None`` if it has none."""
    if container.TEST_VECTORS not in parent:
        return None
    group = reading.read_group(parent, container.TEST_VECTORS)
    batch = read_batch(group, species)
    if not batch.n_structures:
        raise FileFormatError(f"'{group.file.filename}': no structures in {group.name}")
    return TestVectors(
        batch,
        reading.read_array(group, container.ENERGY, (batch.n_structures,)),
        reading.read_array(group, container.FORCES, (batch.n_atoms, 3)),
    )
