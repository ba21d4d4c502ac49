"""The potential: descriptor, scaling and networks; evaluated, saved and loaded.

G'_f = (G_f - shift_f) scale_f
E_i  = energy_scale network(G'_i) + energy_shift + E_reference(species of i)
F    = -dE/dR,   stress = dE/dstrain / volume
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.errors import FileFormatError
from annpot.extrapolation import Assessment, Domain, Limits, assess
from annpot.fingerprints import (
    read_batch,
    read_descriptor,
    read_statistics,
    write_statistics,
)
from annpot.format import container, reading, writing
from annpot.kernels.environment import Neighbours
from annpot.networks import ACTIVATIONS, Network
from annpot.pairs import find_pairs
from annpot.scaling import Scaling, fit_zscore
from annpot.stacks import Member, Room, Stack, evaluate
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


@dataclass(frozen=True)
class Evaluation:
    """Energies (eV), forces (eV/angstrom) and stresses (eV/angstrom^3) of a batch."""

    E_s: Array
    E_n: Array
    """Atomic energies, which sum to the energies."""
    F_nc: Array | None
    stress_sv: Array | None
    """Voigt order; NaN for structures that are not periodic in all directions."""
    features: Features
    E_std_s: Array | None = None
    """Standard deviations of the energies, eV; of committees only."""
    F_std_n: Array | None = None
    """The same of the force on each atom, eV/angstrom: the root of the sum of the
    variances of its components."""
    E_error_s: Array | None = None
    """Bounds below which 90 % of the errors of energies lie, eV; of calibrated
    committees only, and for structures like those of the calibration."""
    F_error_n: Array | None = None
    """The same of the lengths of the errors of forces, eV/angstrom."""


@dataclass(frozen=True)
class Potential:
    """A trained potential."""

    descriptor: Descriptor
    reference_energies: Array
    """Energy of the isolated atom of each species, eV."""
    models: tuple[SpeciesModel, ...]
    energy_shift: float
    energy_scale: float
    shortest_st: Array
    """Shortest distances in the training data, angstrom; infinite where unknown."""
    provenance: dict[str, Any]
    """How the potential was made: sets with hashes, split, errors, settings."""
    test_vectors: TestVectors | None = None
    settings: str = "{}"
    """JSON text of the settings that led to it."""

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species that the potential knows."""
        return self.descriptor.species

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom: the shells of the pair list."""
        return self.descriptor.cutoffs

    def evaluate(
        self,
        batch: Batch,
        neighbours: Neighbours | None = None,
        *,
        forces: bool = True,
        stress: bool = False,
    ) -> Evaluation:
        """Return energies, forces and stresses of all structures of ``batch``."""
        if neighbours is None:
            neighbours = find_pairs(batch, self.cutoffs)
        features = self.descriptor.compute_features(batch, neighbours)
        values = evaluate(
            self.stacks, self.descriptor, features, forces=forces, stress=stress
        )
        return Evaluation(
            E_s=values.E_ks[0],
            E_n=values.E_kn[0],
            F_nc=None if values.F_knc is None else values.F_knc[0],
            stress_sv=None if values.stress_ksv is None else values.stress_ksv[0],
            features=features,
        )

    @cached_property
    def stacks(self) -> list[Stack]:
        """The networks of each species."""
        return [Stack((member,)) for member in self.networks]

    @property
    def networks(self) -> list[Member]:
        """What turns features into atomic energies, for each species."""
        return [
            Member(
                model.shift_f,
                model.scale_f,
                model.network,
                self.energy_scale,
                self.energy_shift + float(reference),
            )
            for model, reference in zip(
                self.models, self.reference_energies, strict=True
            )
        ]

    def evaluate_species(self, s: int, G_nf: Array) -> tuple[Array, Array]:
        """Return atomic energies of atoms of species ``s``, and their ``dEdG_nf``."""
        E_n, dEdG_nf = np.empty(len(G_nf)), np.empty_like(G_nf)
        self.stacks[s].evaluate(G_nf, [E_n], [dEdG_nf], Room())
        return E_n, dEdG_nf

    def assess(
        self,
        features: Features,
        deviation_n: Array | None = None,
        limits_s: Sequence[Limits] = (),
    ) -> Assessment | None:
        """Return how far atoms are outside the training data, if those are known.

        Parameters
        ----------
        deviation_n, limits_s
            What a committee knows: see `annpot.extrapolation.assess`.
        """
        domains = [model.domain for model in self.models if model.domain is not None]
        if len(domains) < len(self.models):
            return None
        return assess(
            self.descriptor, domains, self.shortest_st, features, deviation_n, limits_s
        )

    @property
    def guard(self) -> Potential:
        """The potential whose training data `assess` compares with: this one."""
        return self

    def with_settings(self, settings: str) -> Potential:
        """Return the potential with the JSON text of the settings that led to it."""
        return replace(self, settings=settings)

    def with_test_vectors(self, batch: Batch) -> Potential:
        """Return the potential with what it gives for ``batch`` as test vectors."""
        result = self.evaluate(batch)
        assert result.F_nc is not None
        return replace(self, test_vectors=TestVectors(batch, result.E_s, result.F_nc))

    def verify(self) -> tuple[float, float]:
        """Return the largest deviations from the test vectors: eV/atom, eV/angstrom.

        Raises
        ------
        FileFormatError
            If there are none.
        """
        if self.test_vectors is None:
            raise FileFormatError("the potential has no test vectors")
        result = self.evaluate(self.test_vectors.batch)
        assert result.F_nc is not None
        dE_s = (result.E_s - self.test_vectors.E_s) / result.features.batch.atoms_s
        dF_nc = result.F_nc - self.test_vectors.F_nc
        return float(np.abs(dE_s).max()), float(np.abs(dF_nc).max())

    def save(self, path: Path) -> None:
        """Write the potential; the file gets its name only when it is complete.

        Names that end with ``.json`` get the text form.
        """
        with writing.create(
            path, container.POTENTIAL, self.settings, in_memory=True
        ) as file:
            write_potential(file, self)

    @classmethod
    def load(cls, path: Path | str) -> Potential:
        """Return the potential in a file.

        Raises
        ------
        FileFormatError
            If the file is damaged, of another kind or of a newer version.
        """
        with reading.open_checked(Path(path), container.POTENTIAL) as file:
            return read_potential(file)


def write_potential(
    group: h5py.Group, potential: Potential, first: Potential | None = None
) -> None:
    """Write all of a potential but its settings.

    Parameters
    ----------
    first
        The first member of the committee that it belongs to, if that is another one:
        statistics that are the same bit for bit are left out.
    """
    writing.write_text(group, container.DESCRIPTOR, potential.descriptor.recipe)
    writing.write_strings(group, container.SPECIES, potential.species)
    writing.write_array(
        group, container.REFERENCE_ENERGIES, potential.reference_energies
    )
    writing.write_attribute(group, container.ENERGY_SHIFT, potential.energy_shift)
    writing.write_attribute(group, container.ENERGY_SCALE, potential.energy_scale)
    writing.write_text(group, container.PROVENANCE, json.dumps(potential.provenance))
    _write_networks(group.create_group(container.NETWORKS), potential)
    if first is None or not _same_statistics(potential, first):
        _write_statistics(group.create_group(container.STATISTICS), potential)
    if potential.test_vectors is not None:
        _write_test_vectors(
            group.create_group(container.TEST_VECTORS), potential.test_vectors
        )


def _write_networks(networks: h5py.Group, potential: Potential) -> None:
    for symbol, model in zip(potential.species, potential.models, strict=True):
        group = networks.create_group(symbol)
        writing.write_array(group, container.FEATURE_SHIFT, model.shift_f)
        writing.write_array(group, container.FEATURE_SCALE, model.scale_f)
        writing.write_strings(group, container.ACTIVATIONS, model.network.activations)
        for k, (W, b) in enumerate(
            zip(model.network.weights, model.network.biases, strict=True)
        ):
            writing.write_array(group, f"{container.WEIGHTS} {k}", W)
            writing.write_array(group, f"{container.BIASES} {k}", b)


def _write_statistics(statistics: h5py.Group, potential: Potential) -> None:
    writing.write_array(statistics, container.SHORTEST, potential.shortest_st)
    for symbol, model in zip(potential.species, potential.models, strict=True):
        if model.domain is not None:
            _write_domain(statistics.create_group(symbol), model.domain)


def _same_statistics(one: Potential, other: Potential) -> bool:
    """Return whether two potentials saw the same training atoms, bit for bit."""
    return one.descriptor.recipe == other.descriptor.recipe and all(
        _same_bits(a, b)
        for a, b in zip(
            [one.shortest_st, *(model.domain for model in one.models)],
            [other.shortest_st, *(model.domain for model in other.models)],
            strict=True,
        )
    )


def _same_bits(a: Any, b: Any) -> bool:
    """Return whether two arrays, numbers or dataclasses of them are the same."""
    if a is b or type(a) is not type(b):
        return a is b
    if is_dataclass(a):
        return all(
            _same_bits(getattr(a, field.name), getattr(b, field.name))
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


def _write_test_vectors(group: h5py.Group, vectors: TestVectors) -> None:
    batch = vectors.batch
    writing.write_array(group, container.N_ATOMS, batch.atoms_s)
    writing.write_array(group, container.SPECIES_INDEX, batch.species_n)
    writing.write_array(group, container.POSITIONS, batch.positions_nc)
    writing.write_array(group, container.CELLS, batch.cells_scc)
    writing.write_array(group, container.PERIODIC, batch.pbc_sc.astype(np.uint8))
    writing.write_array(group, container.ENERGY, vectors.E_s)
    writing.write_array(group, container.FORCES, vectors.F_nc)


def read_potential(group: h5py.Group, first: Potential | None = None) -> Potential:
    """Return the potential that `write_potential` wrote.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    descriptor = read_descriptor(group)
    if container.STATISTICS not in group and first is not None:
        shortest_st, domains = _take_statistics(group, descriptor, first)
    else:
        shortest_st, domains = _read_statistics(group, descriptor)
    networks = reading.read_group(group, container.NETWORKS)
    return Potential(
        descriptor=descriptor,
        reference_energies=reading.read_array(
            group, container.REFERENCE_ENERGIES, (len(descriptor.species),)
        ),
        models=tuple(
            _read_model(networks, symbol, int(n_features), domain)
            for symbol, n_features, domain in zip(
                descriptor.species, descriptor.n_features_s, domains, strict=True
            )
        ),
        energy_shift=reading.read_attribute(group, container.ENERGY_SHIFT, float),
        energy_scale=reading.read_attribute(group, container.ENERGY_SCALE, float),
        shortest_st=shortest_st,
        provenance=_read_json(group, container.PROVENANCE),
        test_vectors=_read_test_vectors(group, descriptor.species),
        settings=reading.read_text(group, container.SETTINGS),
    )


def _take_statistics(
    group: h5py.Group, descriptor: Descriptor, first: Potential
) -> tuple[Array, list[Domain | None]]:
    """Return those of the first member, which the file has only once."""
    if descriptor.recipe != first.descriptor.recipe:
        raise FileFormatError(
            f"'{group.file.filename}', {group.name}: no {container.STATISTICS}, "
            "expected some as its descriptor is not that of the first member"
        )
    return first.shortest_st, [model.domain for model in first.models]


def _read_statistics(
    group: h5py.Group, descriptor: Descriptor
) -> tuple[Array, list[Domain | None]]:
    """Return the shortest distances, and the domain of each species if it is known."""
    statistics = reading.read_group(group, container.STATISTICS)
    n_species = len(descriptor.species)
    shortest_st = reading.read_array(
        statistics, container.SHORTEST, (n_species,) * 2, finite=False
    )
    return shortest_st, [
        _read_domain(reading.read_group(statistics, symbol), int(n_features))
        if symbol in statistics
        else None
        for symbol, n_features in zip(
            descriptor.species, descriptor.n_features_s, strict=True
        )
    ]


def _read_json(group: h5py.Group, name: str) -> dict[str, Any]:
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


def _read_model(
    networks: h5py.Group, symbol: str, n_features: int, domain: Domain | None
) -> SpeciesModel:
    group = reading.read_group(networks, symbol)
    return SpeciesModel(
        shift_f=reading.read_array(group, container.FEATURE_SHIFT, (n_features,)),
        scale_f=reading.read_array(group, container.FEATURE_SCALE, (n_features,)),
        network=_read_network(group, n_features),
        domain=domain,
    )


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


def _read_test_vectors(
    parent: h5py.Group, species: tuple[str, ...]
) -> TestVectors | None:
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


def assemble(
    descriptor: Descriptor,
    networks: Sequence[Network],
    scalings: Sequence[Scaling],
    domains: Sequence[Domain],
    **rest: Any,
) -> Potential:
    """Return the potential of networks whose inputs are ``(G - shift) @ matrix``.

    The matrix goes into the weights of the first layer, so that the file holds
    networks of features that are scaled one by one.
    """
    models = []
    for network, scaling, domain in zip(networks, scalings, domains, strict=True):
        scale_f = np.diag(fit_zscore(domain.statistics).matrix_ff)
        inverse_f = 1.0 / np.where(scale_f > 0.0, scale_f, np.inf)
        first = network.weights[0] @ (scaling.matrix_ff * inverse_f[:, None]).T
        folded = replace(network, weights=(first, *network.weights[1:]))
        models.append(SpeciesModel(scaling.shift_f, scale_f, folded, domain))
    return Potential(descriptor, models=tuple(models), **rest)
