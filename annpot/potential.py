"""The potential: descriptor, scaling and networks, evaluated.

G'_f = (G_f - shift_f) scale_f
E_i  = energy_scale network(G'_i) + energy_shift + E_reference(species of i)
F    = -dE/dR,   stress = dE/dstrain / volume
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.errors import FileFormatError
from annpot.extrapolation import Assessment, Domain, Limits, assess
from annpot.fingerprints import read_descriptor
from annpot.format import container, reading, writing
from annpot.kernels.environment import Neighbours
from annpot.networks import Network
from annpot.potential_parts import (
    SpeciesModel,
    TestVectors,
    read_domains,
    read_models,
    read_provenance,
    read_test_vectors,
    same_bits,
    write_domains,
    write_models,
    write_test_vectors,
)
from annpot.scaling import Scaling, fit_zscore
from annpot.stacks import Member, Room, Stack, evaluate
from annpot.structures.structure import Array, Batch


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

    @property
    def domains(self) -> list[Domain] | None:
        """The training data of each species, if all are known."""
        known = [model.domain for model in self.models if model.domain is not None]
        return known if len(known) == len(self.models) else None

    @property
    def whitenings(self) -> list[Scaling] | None:
        """The map that whitens the features of each species, if all are known."""
        found = [domain.whitening for domain in self.domains or ()]
        known = [whitening for whitening in found if whitening is not None]
        return known if len(known) == len(self.models) else None

    def evaluate(
        self,
        batch: Batch,
        neighbours: Neighbours | None = None,
        *,
        forces: bool = True,
        stress: bool = False,
    ) -> Evaluation:
        """Return energies, forces and stresses of all structures of ``batch``."""
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
        domains = self.domains
        if domains is None:
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
    species, models = potential.species, potential.models
    write_models(group.create_group(container.NETWORKS), species, models)
    if first is None or not _same_data(potential, first):
        statistics = group.create_group(container.STATISTICS)
        write_domains(statistics, species, potential.shortest_st, models)
    if potential.test_vectors is not None:
        write_test_vectors(
            group.create_group(container.TEST_VECTORS), potential.test_vectors
        )


def _same_data(one: Potential, other: Potential) -> bool:
    """Return whether two potentials saw the same training atoms, bit for bit."""
    return (
        one.descriptor.recipe == other.descriptor.recipe
        and same_bits(one.shortest_st, other.shortest_st)
        and all(
            same_bits(a.domain, b.domain)
            for a, b in zip(one.models, other.models, strict=True)
        )
    )


def read_potential(group: h5py.Group, first: Potential | None = None) -> Potential:
    """Return the potential that `write_potential` wrote.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    descriptor = read_descriptor(group)
    if container.STATISTICS not in group and first is not None:
        shortest_st, domains = _take_data(group, descriptor, first)
    else:
        shortest_st, domains = read_domains(group, descriptor)
    networks = reading.read_group(group, container.NETWORKS)
    return Potential(
        descriptor=descriptor,
        reference_energies=reading.read_array(
            group, container.REFERENCE_ENERGIES, (len(descriptor.species),)
        ),
        models=read_models(networks, descriptor, domains),
        energy_shift=reading.read_attribute(group, container.ENERGY_SHIFT, float),
        energy_scale=reading.read_attribute(group, container.ENERGY_SCALE, float),
        shortest_st=shortest_st,
        provenance=read_provenance(group),
        test_vectors=read_test_vectors(group, descriptor.species),
        settings=reading.read_text(group, container.SETTINGS),
    )


def _take_data(
    group: h5py.Group, descriptor: Descriptor, first: Potential
) -> tuple[Array, list[Domain | None]]:
    """Return what the first member knows, which the file has only once."""
    if descriptor.recipe != first.descriptor.recipe:
        raise FileFormatError(
            f"'{group.file.filename}', {group.name}: no {container.STATISTICS}, "
            "expected some as its descriptor is not that of the first member"
        )
    return first.shortest_st, [model.domain for model in first.models]


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
