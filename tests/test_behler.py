"""Symmetry functions in the kernels: each type against its sum, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import systems
from direct_symmetry import behler_features
from finite_difference import assert_tangents, imbalance
from systems import STRUCTURES
from test_loss import assert_gradient, make_loss
from test_moments import compute_features, features_of_atoms, structures_for

from annpot.descriptors import Descriptor
from annpot.descriptors.behler import MAX_ZETA, Behler, factorises
from annpot.descriptors.behler_sets import make_behler
from annpot.descriptors.symmetry_functions import (
    CORES,
    CUTOFF_FUNCTIONS,
    KINDS,
    SymmetryFunction,
)
from annpot.settings.behler import BehlerSettings
from annpot.structures.structure import Structure


def behler(*central):
    """Return a descriptor; one list of recipes for each of the species Ti, O, N."""
    functions_s = tuple(tuple(map(SymmetryFunction.from_dict, c)) for c in central)
    return Descriptor((Behler(("Ti", "O", "N")[: len(central)], functions_s),))


GAUSSIAN = {"eta": 0.3, "r_s": 0.4, "cutoff": 3.7}
ANGLE = {"eta": 0.07, "lambda": -1.0, "zeta": 3.0, "cutoff": 3.5}
COMPACT = {
    "r_low": 0.9,
    "cutoff": 3.6,
    "theta_low": 35.0,
    "theta_high": 140.0,
    "core": "p2",
}


def two_of(kind, **parameters):
    """Return a descriptor with functions of one type that differ for each species."""
    count = KINDS[kind].n_neighbours
    neighbours = {
        0: [{}],
        1: [{"neighbours": ["O"]}, {"neighbours": ["Ti"]}],
        2: [{"neighbours": p} for p in (["O", "O"], ["O", "Ti"], ["Ti", "Ti"])],
    }[count]
    first = [{"type": kind, **parameters, **n} for n in neighbours]
    changed = {"cutoff": 0.93 * parameters["cutoff"]}
    changed |= {
        key: 1.3 * parameters[key] for key in ("eta", "kappa") if key in parameters
    }
    if "lambda" in parameters:
        changed["lambda"] = -0.9 * parameters["lambda"]
    second = [{**function, **changed} for function in first[-1:] + first]
    return behler(first, second[:-1] + second[:1] if count else second[:1])


DESCRIPTORS = {
    "G1": two_of("G1", cutoff=3.8),
    "G2": two_of("G2", **GAUSSIAN),
    "G3": two_of("G3", kappa=2.9, cutoff=3.8),
    "G4": two_of("G4", **ANGLE),
    "G4, shifted": two_of("G4", **ANGLE, r_s=1.1),
    "G4, zeta not integer": two_of("G4", **{**ANGLE, "zeta": 2.4}),
    "G5": two_of("G5", **ANGLE),
    "G5, zeta not integer": two_of("G5", **{**ANGLE, "zeta": 1.7}),
    "G5, zeta large": two_of("G5", **{**ANGLE, "zeta": MAX_ZETA + 1.0}),
    "G5, zeta 1": two_of("G5", **{**ANGLE, "zeta": 1.0}),
    "G5, lambda beyond 1": two_of("G5", **{**ANGLE, "lambda": 1.5}),
    "G12": two_of("G12", **GAUSSIAN),
    "G13": two_of("G13", **ANGLE, r_s=0.6),
    "G20": two_of("G20", core="p1a", r_low=1.2, cutoff=3.9),
    "G21": two_of("G21", **COMPACT),
    "G22": two_of("G22", **COMPACT),
    "G23": two_of("G23", core="e", cutoff=3.9),
    "G24": two_of("G24", **{**COMPACT, "core": "p3a"}),
    "G25": two_of("G25", **{**COMPACT, "theta_low": -120.0, "theta_high": 120.0}),
    "G22 about 180 degrees": two_of("G22", **{**COMPACT, "theta_high": 325.0}),
}
DESCRIPTORS |= {
    f"cutoff function {name}, alpha {alpha}": behler(
        [
            {"type": "G2", "neighbours": ["O"], **GAUSSIAN, **cut},
            {"type": "G5", "neighbours": ["O", "Ti"], **ANGLE, **cut},
            {"type": "G4", "neighbours": ["O", "O"], **ANGLE, **cut},
        ],
        [{"type": "G3", "neighbours": ["Ti"], "kappa": 1.0, "cutoff": 3.9, **cut}],
    )
    for name in CUTOFF_FUNCTIONS
    for alpha in (0.0, 0.3)
    for cut in [{"cutoff_function": name, "alpha": alpha}]
}
DESCRIPTORS |= {
    f"core {core}": behler(
        [
            {"type": "G20", "neighbours": ["O"], "cutoff": 3.8, "core": core},
            {"type": "G22", "neighbours": ["O", "O"], **COMPACT, "core": core},
        ],
        [{"type": "G24", **COMPACT, "core": core}],
    )
    for core in CORES
}
DESCRIPTORS |= {
    "all together": behler(
        *(
            [f.to_dict() for d in two.values() for f in d.parts[0].functions_s[s]]
            for two in [{k: DESCRIPTORS[k] for k in KINDS}]
            for s in (0, 1)
        )
    ),
    "defaults": Descriptor(
        (make_behler(BehlerSettings.model_validate({"cutoff": 3.8}), systems.SPECIES),)
    ),
    "one blind species": behler(
        [], [{"type": "G4", "neighbours": ["Ti", "O"], **ANGLE}]
    ),
    "three species": behler(
        [{"type": "G5", "neighbours": ["N", "Ti"], **ANGLE}],
        [
            {"type": "G5", "neighbours": ["N", "N"], **ANGLE, "r_s": 1.0},
            {"type": "G5", "neighbours": ["N", "O"], **ANGLE},
            {"type": "G5", "neighbours": ["Ti", "O"], **ANGLE, "zeta": 1.0},
        ],
        [
            {"type": "G4", "neighbours": ["N", "Ti"], **ANGLE},
            {"type": "G2", "neighbours": ["N"], **GAUSSIAN},
            {"type": "G5", "neighbours": ["Ti", "N"], **ANGLE, "r_s": -0.3},
        ],
    ),
    "an angle that does not count": behler(
        [
            {"type": "G5", "neighbours": ["O", "O"], **ANGLE, "lambda": 0, "zeta": 1},
            {"type": "G2", "neighbours": ["O"], **GAUSSIAN},
        ],
        [{"type": "G5", "neighbours": ["Ti", "Ti"], **ANGLE, "lambda": 0, "zeta": 1}],
    ),
    "beside Chebyshev": Descriptor(
        (*systems.SMALL.parts, *two_of("G4", **ANGLE).parts, *systems.SMALL.parts)
    ),
}
each_descriptor = pytest.mark.parametrize(
    "descriptor", DESCRIPTORS.values(), ids=DESCRIPTORS
)


def smooth(descriptor):
    """Return whether all functions go to 0 smoothly."""
    return not any(
        f.cutoff_function == "hard" for fs in _functions_s(descriptor) for f in fs
    )


def _functions_s(descriptor):
    return [
        fs
        for part in descriptor.parts
        if isinstance(part, Behler)
        for fs in part.functions_s
    ]


each_smooth = pytest.mark.parametrize(
    "descriptor",
    list(filter(smooth, DESCRIPTORS.values())),
    ids=[name for name, d in DESCRIPTORS.items() if smooth(d)],
)


def test_each_type_is_tested():
    types = {f.type for d in DESCRIPTORS.values() for fs in _functions_s(d) for f in fs}
    assert types == set(KINDS)


@each_descriptor
def test_features_are_the_sums(descriptor):
    structures = structures_for(descriptor)
    features = compute_features(descriptor, structures)
    expected = [
        behler_features(part, structure, i)
        for structure in structures
        for i in range(len(structure))
        for part in descriptor.parts
        if isinstance(part, Behler)
    ]
    first_s = np.zeros(len(descriptor.species), dtype=int)
    for part in descriptor.parts:
        if isinstance(part, Behler):
            break
        first_s = first_s + part.n_features_s
    found = features_of_atoms(features)
    largest = max(np.abs(G).max(initial=0.0) for G in expected)
    assert largest > 1e-3
    for n, G_f in enumerate(expected):
        first = first_s[features.batch.species_n[n]]
        np.testing.assert_allclose(
            found[n][first : first + len(G_f)], G_f, rtol=0, atol=1e-12 * largest
        )


@each_smooth
def test_tangents_are_the_derivatives_along_a_motion(descriptor):
    assert_tangents(descriptor, structures_for(descriptor), 1e-7)


@each_descriptor
def test_forces_and_virials_are_adjoint_to_tangents(descriptor):
    features = compute_features(descriptor, structures_for(descriptor))
    assert imbalance(descriptor, features, np.random.default_rng(2)) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_loss_gradient(kind):
    loss, weights_w = make_loss(
        descriptor=DESCRIPTORS[kind], hidden=(2,), structures=STRUCTURES[:3]
    )
    assert_gradient(loss, weights_w)


def test_what_factorises():
    functions = {
        name: [f for fs in _functions_s(d) for f in fs]
        for name, d in DESCRIPTORS.items()
    }
    quick = {name for name in KINDS if all(map(factorises, functions[name]))}
    assert quick == {"G1", "G2", "G3", "G5", "G12", "G20", "G23"}
    for name in ("zeta not integer", "zeta large", "lambda beyond 1"):
        assert not factorises(functions[f"G5, {name}"][0])


def test_too_many_moments_become_triplets(monkeypatch):
    descriptor = DESCRIPTORS["all together"]
    structures = structures_for(descriptor)[:4]
    expected = compute_features(descriptor, structures).G_f
    monkeypatch.setattr("annpot.descriptors.behler.MAX_MOMENTS", 10)
    other = Descriptor((Behler.from_dict(descriptor.parts[0].to_dict()),))
    (_, many), (_, none) = (d.operators[0] for d in (descriptor, other))
    assert many.recipe.l_max_s.max() == 3
    assert none.recipe.l_max_s.max() == -1
    np.testing.assert_allclose(
        compute_features(other, structures).G_f, expected, rtol=0, atol=1e-11
    )


def test_straight_and_flat_angles():
    straight = Structure(
        ("Ti", "O", "O", "O"),
        np.array([[0.0, 0, 0], [0, 0, 1.7], [0, 0, -1.7], [0, 0, 2.9]]),
        np.zeros((3, 3)),
        np.zeros(3, dtype=bool),
    )
    for descriptor in filter(smooth, DESCRIPTORS.values()):
        features = compute_features(
            descriptor, [systems.as_species(straight, ("Ti", "O"))]
        )
        F_nc, virial_scc = descriptor.compute_forces(
            features, np.ones_like(features.G_f), virials=True
        )
        for values in (features.G_f, F_nc, virial_scc):
            assert np.isfinite(values).all()
        np.testing.assert_allclose(F_nc[:, :2], 0.0, atol=1e-12)
