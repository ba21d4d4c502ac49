"""Potentials with random networks: one of each thing that a potential can be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import systems
from systems import SPECIES

from annpot.descriptors import Chebyshev, Descriptor
from annpot.descriptors.behler import Behler
from annpot.descriptors.chebyshev import Expansion
from annpot.descriptors.symmetry_functions import (
    CORES,
    CUTOFF_FUNCTIONS,
    SymmetryFunction,
)
from annpot.extrapolation import Domain, fit_domain
from annpot.networks import Network
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.scaling import compute_statistics
from annpot.structures.structure import stack


def resolved(species, mixed=True):
    """Return a Chebyshev part whose angles are resolved by distances."""
    channels = [(1.0,) * len(species), tuple(np.linspace(-1.0, 1.4, len(species)))]
    return Chebyshev(
        species,
        (Expansion(4, 4.1),) * len(species),
        tuple(Expansion(2, 3.3 + 0.2 * s, 2) for s in range(len(species))),
        (tuple(channels),) * len(species),
        mixed,
    )


def with_angles(**changes):
    """Return aenet's Chebyshev part with other angular parts."""
    (part,) = systems.DESCRIPTOR.parts
    angular_s = tuple(replace(angular, **changes) for angular in part.angular_s)
    return replace(part, angular_s=angular_s)


def all_symmetry_functions(names=CUTOFF_FUNCTIONS, cores=CORES):
    """Return symmetry functions of all types, with each cutoff function and core."""
    recipes = []
    for name in names:
        cut = {"cutoff": 3.9, "cutoff_function": name, "alpha": 0.1}
        angle = {"eta": 0.05, "lambda": -1.0, "zeta": 2.5, **cut}
        recipes += [
            {"type": "G1", "neighbours": ["O"], **cut},
            {"type": "G2", "neighbours": ["Ti"], "eta": 0.3, "r_s": 0.4, **cut},
            {"type": "G3", "neighbours": ["O"], "kappa": 1.3, **cut},
            {"type": "G4", "neighbours": ["O", "Ti"], **angle},
            {"type": "G5", "neighbours": ["O", "O"], **angle, "r_s": 0.5},
            {"type": "G12", "eta": 0.1, **cut},
            {"type": "G13", **angle, "lambda": 1.0},
        ]
    for core in cores:
        compact = {"cutoff": 3.7, "r_low": 0.8, "core": core}
        angle = {**compact, "theta_low": 20.0, "theta_high": 150.0}
        recipes += [
            {"type": "G20", "neighbours": ["O"], **compact},
            {"type": "G21", "neighbours": ["O", "Ti"], **angle},
            {"type": "G22", "neighbours": ["O", "O"], **angle, "theta_low": -70.0}
            | {"theta_high": 70.0},
            {"type": "G23", **compact, "r_low": -3.7},
            {"type": "G24", **angle},
            {"type": "G25", **angle},
        ]
    functions = tuple(map(SymmetryFunction.from_dict, recipes))
    return Behler(SPECIES, (functions, functions[::2]))


def random_potential(*parts, activations=("tanh", "tanh"), domains="whitening", seed=0):
    """Return a potential with test vectors whose networks know the systems' features.

    Parameters
    ----------
    domains
        ``whitening``, ``ranges`` or ``none``: how much it knows of its training data.
    """
    descriptor, rng = Descriptor(parts), np.random.default_rng(seed)
    structures = [
        systems.as_species(structure, descriptor.species)
        for structure in systems.STRUCTURES
    ]
    batch = stack(structures, descriptor.species)
    features = descriptor.compute_features(batch)
    models = []
    for G_nf in features.blocks(features.G_f):
        sizes = (G_nf.shape[1], *(4 + k for k in range(len(activations))), 1)
        network = Network(
            tuple(activations),
            tuple(
                rng.normal(size=(n_out, n_in)) / n_in
                for n_in, n_out in itertools.pairwise(sizes)
            ),
            tuple(rng.normal(size=n) for n in sizes[1:]),
        )
        deviation_f = G_nf.std(axis=0)
        scale_f = np.where(deviation_f > 0, 1 / np.maximum(deviation_f, 0.1), 0.0)
        domain = {
            "whitening": lambda G_nf=G_nf: fit_domain(G_nf, 1e-4),
            "ranges": lambda G_nf=G_nf: Domain(compute_statistics(G_nf)),
            "none": lambda: None,
        }[domains]()
        models.append(SpeciesModel(G_nf.mean(axis=0), scale_f, network, domain))
    n_species = len(descriptor.species)
    distance = 1.9 if domains == "whitening" else np.inf
    return Potential(
        descriptor=descriptor,
        reference_energies=rng.normal(size=n_species) * 100.0,
        models=tuple(models),
        energy_shift=-1.5,
        energy_scale=0.1,
        shortest_st=np.full((n_species, n_species), distance),
        provenance={"seed": seed, "remark": "Größe", "rate": 1e-05, "none": None},
        settings='{"structures": [], "seed": 1e-07}',
    ).with_test_vectors(batch)


SOME_FUNCTIONS = all_symmetry_functions(["cosine", "poly2"], ["e", "p3a"])

POTENTIALS = {
    "aenet's Chebyshev": lambda: random_potential(*systems.DESCRIPTOR.parts),
    "aenet's old angles": lambda: random_potential(with_angles(legacy=True)),
    "radial only": lambda: random_potential(with_angles(order=-1)),
    "resolved": lambda: random_potential(resolved(SPECIES)),
    "resolved, not mixed": lambda: random_potential(resolved(SPECIES, mixed=False)),
    "symmetry functions": lambda: random_potential(SOME_FUNCTIONS),
    "concatenation": lambda: random_potential(SOME_FUNCTIONS, resolved(SPECIES)),
    "no hidden layer": lambda: random_potential(resolved(SPECIES), activations=()),
    "one species": lambda: random_potential(resolved(("Mo",))),
    "ranges only": lambda: random_potential(resolved(SPECIES), domains="ranges"),
    "no domain": lambda: random_potential(resolved(SPECIES), domains="none"),
}
"""Functions that make them, by what is special."""
