"""Against aenet 2.0.4: features, energies and forces of 20 TiO2 structures."""

from __future__ import annotations

import functools

import aenet_files
import numpy as np
import pytest
from aenet_files import DATA
from systems import aenet_descriptor

from annpot.descriptors.chebyshev import Expansion
from annpot.structures.structure import stack

POTENTIALS = {
    "trained by aenet": ("15t-15t.nn", "15t-15t.predict.out.xz"),
    "trained by aenet-PyTorch": ("pytorch.nn.ascii", "pytorch.predict.out.xz"),
    "made binary": ("pytorch.nn", "pytorch.predict.out.xz"),
    "symmetry functions": ("behler.nn", "behler.predict.out.xz"),
}


def chebyshev():
    return aenet_descriptor(
        ("Ti", "O"),
        (Expansion(16, 8.0),) * 2,
        (Expansion(4, 6.5),) * 2,
        ((-1.0, 1.0),) * 2,
    )


def symmetry_functions():
    return aenet_files.read_potential("behler.nn").descriptor


@pytest.mark.parametrize(
    ("make", "file"),
    [
        (chebyshev, "TiO2-20.train.ascii.xz"),
        (symmetry_functions, "behler.train.ascii.xz"),
    ],
    ids=["Chebyshev", "symmetry functions"],
)
def test_features(make, file):
    names, expected = aenet_files.read_features(DATA / file)
    structures = aenet_files.read_structures(names)
    descriptor = make()
    batch = stack(structures, descriptor.species)
    features = descriptor.compute_features(batch)
    rows = [row for atoms in expected for row in atoms]
    assert len(names) == 20
    assert batch.n_atoms == len(rows) == 621
    np.testing.assert_array_equal(batch.species_n, [kind - 1 for kind, _ in rows])
    expected_nf = np.array([G_f for _, G_f in rows])
    found_nf = np.empty_like(expected_nf)
    for atoms, G_nf in zip(
        features.atoms_s, features.blocks(features.G_f), strict=True
    ):
        found_nf[atoms] = G_nf
    largest_f = np.abs(expected_nf).max(axis=0)
    error_f = np.abs(found_nf - expected_nf).max(axis=0)
    assert (error_f < 1e-10 * largest_f).all()


@functools.cache
def compare(networks, output):
    """Return structures, what annpot gives for them and what aenet printed."""
    potential = aenet_files.read_potential(networks)
    predictions = aenet_files.read_predictions(DATA / output)
    structures = aenet_files.read_structures([p.name for p in predictions])
    batch = stack(structures, potential.species)
    return potential, structures, potential.evaluate(batch), predictions


@pytest.fixture(params=POTENTIALS.values(), ids=POTENTIALS)
def comparison(request):
    return compare(*request.param)


def test_structures_are_the_same(comparison):
    _, structures, _, predictions = comparison
    assert len(predictions) == 20
    for structure, prediction in zip(structures, predictions, strict=True):
        assert structure.symbols == prediction.symbols
        # aenet wraps positions into the cell
        shift_nc = prediction.positions_nc - structure.positions_nc
        shift_nc = shift_nc @ np.linalg.inv(structure.cell_cc)
        np.testing.assert_allclose(shift_nc, np.rint(shift_nc), rtol=0, atol=1e-12)


def test_energies(comparison):
    potential, structures, result, predictions = comparison
    references = dict(zip(potential.species, potential.reference_energies, strict=True))
    for structure, E, prediction in zip(
        structures, result.E_s, predictions, strict=True
    ):
        assert E == pytest.approx(prediction.total_energy, rel=1e-12)
        cohesive = E - sum(references[symbol] for symbol in structure.symbols)
        assert cohesive == pytest.approx(prediction.cohesive_energy, rel=1e-10)


def test_atomic_energies(comparison):
    _, _, result, predictions = comparison
    expected = np.concatenate([p.E_n for p in predictions])
    np.testing.assert_allclose(result.E_n, expected, rtol=1e-12)
    assert np.ptp(expected[result.features.atoms_s[0]]) > 0.05


def test_nothing_extrapolates(comparison):
    """The structures are of the training sets, whose ranges the files know."""
    potential, _, result, _ = comparison
    assessment = potential.assess(result.features)
    assert not assessment.level_n.any()
    assert np.isnan(assessment.distance_n).all()


def test_forces(comparison):
    _, _, result, predictions = comparison
    expected = np.concatenate([p.F_nc for p in predictions])
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result.F_nc, expected, rtol=0, atol=1e-10 * largest)
