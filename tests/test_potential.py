"""The potential: derivatives, folding of the scaling, the file, and bad files."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from finite_difference import gradient, move
from systems import DESCRIPTOR, STRUCTURES, SYSTEMS, stack_all

from annpot.errors import FileFormatError
from annpot.extrapolation import Domain, fit_domain
from annpot.format import container
from annpot.networks import ACTIVATIONS, initial_network
from annpot.potential import Potential, assemble
from annpot.scaling import compute_statistics, fit_whitening, fit_zscore
from annpot.structures.structure import compute_volumes

each_system = pytest.mark.parametrize("structure", STRUCTURES, ids=SYSTEMS)


def training_features():
    """Return the features of the standard systems, each distorted several times."""
    rng = np.random.default_rng(0)
    distorted = [
        move(s, 0.1 * rng.normal(size=s.positions_nc.shape), np.zeros((3, 3)), 1.0)
        for s in STRUCTURES * 5
    ]
    batch = stack_all(distorted)
    features = DESCRIPTOR.compute_features(batch)
    return features.blocks(features.G_f)


def make_parts(fit=lambda s: fit_whitening(s, 1e-4), activation="tanh"):
    """Return networks, the scalings of their inputs, and domains."""
    rng = np.random.default_rng(1)
    networks, scalings, domains = [], [], []
    for G_nf in training_features():
        network = initial_network((G_nf.shape[1], 5, 4, 1), activation, rng)
        weights_w = network.flatten() + 0.2 * rng.normal(size=network.n_weights)
        networks.append(network.with_weights(weights_w))
        scalings.append(fit(compute_statistics(G_nf)))
        domains.append(fit_domain(G_nf, 1e-4))
    return networks, scalings, domains


def make_potential(*parts):
    return assemble(
        DESCRIPTOR,
        *(parts or make_parts()),
        reference_energies=np.array([-12.5, 3.0]),
        energy_shift=-1.5,
        energy_scale=0.8,
        shortest_st=np.array([[2.1, 1.6], [1.6, 1.9]]),
        provenance={"seed": 1, "errors": {"test": 0.003}, "sets": ["a.h5"]},
    )


@functools.cache
def standard_potential():
    return make_potential()


@pytest.fixture
def saved(tmp_path):
    """Return a file with the potential, and the potential."""
    potential = standard_potential().with_test_vectors(stack_all())
    potential = replace(potential, settings='{"seed": 1}')
    potential.save(tmp_path / "potential.h5")
    return tmp_path / "potential.h5", potential


# Energies.


def test_atomic_energies_are_those_of_the_networks():
    networks, scalings, _ = make_parts()
    result = standard_potential().evaluate(stack_all())
    blocks = result.features.blocks(result.features.G_f)
    for s, reference in enumerate([-12.5, 3.0]):
        X_nf = (blocks[s] - scalings[s].shift_f) @ scalings[s].matrix_ff
        expected = 0.8 * networks[s].forward(X_nf).E_n - 1.5 + reference
        found = result.E_n[result.features.atoms_s[s]]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert np.ptp(found) > 0.1


@pytest.mark.parametrize("fit", [fit_zscore, lambda s: fit_whitening(s, 1e-6)])
def test_folding_the_scaling_changes_nothing(fit):
    parts = make_parts(fit)
    result = make_potential(*parts).evaluate(stack_all())
    blocks = result.features.blocks(result.features.G_f)
    for network, scaling, G_nf, atoms in zip(
        *parts[:2], blocks, result.features.atoms_s, strict=True
    ):
        expected = 0.8 * network.forward(scaling.apply(G_nf)).E_n
        expected += result.E_n[atoms[0]] - expected[0]
        np.testing.assert_allclose(result.E_n[atoms], expected, rtol=1e-12)


def test_folding_leaves_out_constant_features():
    blocks = training_features()
    networks, _, _ = make_parts()
    for G_nf in blocks:
        G_nf[:, 2] = 0.3
    scalings = [fit_whitening(compute_statistics(G_nf), 1e-4) for G_nf in blocks]
    domains = [fit_domain(G_nf, 1e-4) for G_nf in blocks]
    potential = make_potential(networks, scalings, domains)
    result = potential.evaluate(stack_all())
    for model, network, scaling, atoms, G_nf in zip(
        potential.models,
        networks,
        scalings,
        result.features.atoms_s,
        result.features.blocks(result.features.G_f),
        strict=True,
    ):
        assert np.isfinite(model.network.flatten()).all()
        assert model.scale_f[2] == 0.0
        expected = 0.8 * network.forward(scaling.apply(G_nf)).E_n
        expected += result.E_n[atoms[0]] - expected[0]
        np.testing.assert_allclose(result.E_n[atoms], expected, rtol=1e-12)


def test_energies_are_sums_of_atomic_energies():
    batch = stack_all()
    result = standard_potential().evaluate(batch)
    expected = np.bincount(batch.structure_n, result.E_n)
    np.testing.assert_allclose(result.E_s, expected, rtol=1e-14)


def test_batched_is_one_by_one():
    batch = stack_all()
    together = standard_potential().evaluate(batch, stress=True)
    for s, structure in enumerate(STRUCTURES):
        alone = standard_potential().evaluate(stack_all([structure]), stress=True)
        atoms = slice(batch.first_s[s], batch.first_s[s + 1])
        np.testing.assert_allclose(alone.E_s[0], together.E_s[s], rtol=1e-14)
        np.testing.assert_allclose(alone.E_n, together.E_n[atoms], rtol=1e-14)
        np.testing.assert_allclose(alone.F_nc, together.F_nc[atoms], atol=1e-12)
        np.testing.assert_allclose(
            alone.stress_sv[0], together.stress_sv[s], atol=1e-13
        )


def test_only_what_is_wanted_is_computed():
    batch = stack_all()
    energies = standard_potential().evaluate(batch, forces=False)
    assert energies.F_nc is None
    assert energies.stress_sv is None
    assert standard_potential().evaluate(batch).stress_sv is None
    everything = standard_potential().evaluate(batch, stress=True)
    np.testing.assert_array_equal(everything.E_s, energies.E_s)


def test_an_empty_batch():
    result = standard_potential().evaluate(stack_all([]), stress=True)
    assert result.E_s.shape == result.E_n.shape == (0,)
    assert result.F_nc.shape == (0, 3)
    assert result.stress_sv.shape == (0, 6)


# Derivatives.


def energy(structure, potential=None):
    potential = potential or standard_potential()
    return potential.evaluate(stack_all([structure]), forces=False).E_s[0]


@each_system
def test_forces_are_minus_the_gradient_of_the_energy(structure):
    expected = -gradient(
        lambda R_nc: energy(replace(structure, positions_nc=R_nc)),
        structure.positions_nc,
        step=3e-5,
    )
    found = standard_potential().evaluate(stack_all([structure])).F_nc
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * size)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forces_with_every_activation(activation):
    structure = SYSTEMS["skewed cell"]
    potential = make_potential(*make_parts(activation=activation))
    expected = -gradient(
        lambda R_nc: energy(replace(structure, positions_nc=R_nc), potential),
        structure.positions_nc,
        step=3e-5,
    )
    found = potential.evaluate(stack_all([structure])).F_nc
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * size)


@each_system
def test_stress_is_the_derivative_by_a_strain(structure):
    at_rest = np.zeros_like(structure.positions_nc)
    slope_cc = gradient(
        lambda e_cc: energy(move(structure, at_rest, e_cc, 1.0)),
        np.zeros((3, 3)),
        step=3e-5,
    )
    batch = stack_all([structure])
    (stress_v,) = standard_potential().evaluate(batch, stress=True).stress_sv
    if not structure.pbc_c.all():
        assert np.isnan(stress_v).all()
        return
    volume = compute_volumes(batch)[0]
    assert volume == pytest.approx(abs(np.linalg.det(structure.cell_cc)))
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = (slope_cc + slope_cc.T) / 2 / volume
    np.testing.assert_allclose(stress_v, [xx, yy, zz, yz, xz, xy], rtol=0, atol=1e-8)


# The file.


def test_a_saved_potential_gives_the_same(saved):
    path, potential = saved
    loaded = Potential.load(path)
    batch = stack_all(STRUCTURES[::-1])
    expected = potential.evaluate(batch, stress=True)
    found = loaded.evaluate(batch, stress=True)
    for name in ("E_s", "E_n", "F_nc", "stress_sv"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assessed = potential.assess(expected.features)
    again = loaded.assess(found.features)
    np.testing.assert_array_equal(again.level_n, assessed.level_n)
    np.testing.assert_array_equal(again.distance_n, assessed.distance_n)
    assert again.findings == assessed.findings


def test_a_saved_potential_is_the_same(saved):
    path, potential = saved
    loaded = Potential.load(str(path))
    assert loaded.descriptor == potential.descriptor
    assert loaded.species == potential.species
    assert loaded.provenance == potential.provenance
    assert loaded.settings == potential.settings
    assert loaded.energy_shift == potential.energy_shift
    assert loaded.energy_scale == potential.energy_scale
    np.testing.assert_array_equal(loaded.shortest_st, potential.shortest_st)
    np.testing.assert_array_equal(
        loaded.reference_energies, potential.reference_energies
    )
    for found, expected in zip(loaded.models, potential.models, strict=True):
        assert found.network.activations == expected.network.activations
        np.testing.assert_array_equal(
            found.network.flatten(), expected.network.flatten()
        )


def test_verification(saved):
    path, _ = saved
    dE, dF = Potential.load(path).verify()
    assert dE < 1e-12
    assert dF < 1e-12
    loaded = Potential.load(path)
    dE, dF = replace(loaded, energy_scale=1.001 * loaded.energy_scale).verify()
    assert dE > 1e-6
    assert dF > 1e-6


def test_without_test_vectors_nothing_can_be_verified(tmp_path):
    standard_potential().save(tmp_path / "potential.h5")
    with pytest.raises(FileFormatError, match="no test vectors"):
        Potential.load(tmp_path / "potential.h5").verify()


def test_a_potential_that_does_not_know_its_training_data(tmp_path):
    models = tuple(replace(model, domain=None) for model in standard_potential().models)
    stranger = replace(
        standard_potential(), models=models, shortest_st=np.full((2, 2), np.inf)
    )
    stranger.save(tmp_path / "potential.h5")
    loaded = Potential.load(tmp_path / "potential.h5")
    result = loaded.evaluate(stack_all())
    assert loaded.assess(result.features) is None
    np.testing.assert_array_equal(
        result.E_s, standard_potential().evaluate(stack_all()).E_s
    )


def test_a_potential_that_knows_ranges_only(tmp_path):
    models = tuple(
        replace(model, domain=Domain(model.domain.statistics))
        for model in standard_potential().models
    )
    replace(standard_potential(), models=models).save(tmp_path / "potential.h5")
    loaded = Potential.load(tmp_path / "potential.h5")
    for model, expected in zip(loaded.models, models, strict=True):
        assert model.domain.whitening is None
        np.testing.assert_array_equal(
            model.domain.statistics.max_f, expected.domain.statistics.max_f
        )


# Bad files: well-formed in the container's eyes, but not a potential.


def put(file, name, value):
    """Replace a dataset."""
    del file[name]
    file[name] = value


def put_recipe(file, change):
    """Replace the descriptor by what ``change`` makes of it."""
    recipe = json.loads(file[container.DESCRIPTOR][()])
    text = change(recipe) if callable(change) else change
    put(file, container.DESCRIPTOR, np.bytes_(text))


def without_species(recipe):
    del recipe["central"]["O"]
    return json.dumps(recipe)


def of_lower_order(recipe):
    recipe["central"]["O"]["radial"]["order"] -= 1
    return json.dumps(recipe)


def of_huge_order(recipe):
    recipe["central"]["O"]["radial"]["order"] = 10**9
    return json.dumps(recipe)


def of_type(kind):
    return lambda recipe: json.dumps({**recipe, "type": kind})


def put_nan(name):
    """Return a change that sets one number of a dataset to NaN."""

    def change(file):
        values = file[name][()]
        values.flat[-1] = np.nan
        put(file, name, values)

    return change


def remove(name):
    return lambda file: file.__delitem__(name)


def set_strings(name, *words):
    data = np.frombuffer("".join(f"{word}\0" for word in words).encode(), np.uint8)
    return lambda file: put(file, name, data)


BAD = {
    "weights of another shape": lambda f: put(
        f, "networks/O/weights 0", np.ones((5, 7))
    ),
    "weights transposed": lambda f: put(
        f, "networks/O/weights 1", f["networks/O/weights 1"][()].T
    ),
    "weights flat": lambda f: put(f, "networks/O/weights 0", np.ones(90)),
    "weights that are text": lambda f: put(f, "networks/O/weights 0", np.bytes_("x")),
    "weights of whole numbers": lambda f: put(
        f, "networks/O/weights 0", np.ones((5, 18), dtype=int)
    ),
    "two outputs": lambda f: put(f, "networks/O/weights 2", np.ones((2, 4))),
    "biases of another length": lambda f: put(f, "networks/O/biases 1", np.ones(5)),
    "biases missing": remove("networks/O/biases 2"),
    "weights missing": remove("networks/Ti/weights 1"),
    "NaN among the weights": put_nan("networks/Ti/weights 0"),
    "NaN among the biases": put_nan("networks/Ti/biases 2"),
    "NaN in a scale": put_nan("networks/Ti/feature_scale"),
    "NaN in a shift": put_nan("networks/Ti/feature_shift"),
    "NaN as reference energy": put_nan("reference_energies"),
    "NaN as statistics": put_nan("statistics/O/covariance"),
    "scale of another length": lambda f: put(
        f, "networks/Ti/feature_scale", np.ones(3)
    ),
    "unknown activation": set_strings("networks/Ti/activations", "tanh", "relu7"),
    "too few activations": set_strings("networks/Ti/activations", "tanh"),
    "too many activations": set_strings("networks/Ti/activations", *["tanh"] * 3),
    "no network of a species": remove("networks/O"),
    "no networks": remove("networks"),
    "a network that is a dataset": lambda f: put(f, "networks/O", np.ones(3)),
    "no statistics": remove("statistics"),
    "no shortest distances": remove("statistics/shortest_distance"),
    "shortest distances of three species": lambda f: put(
        f, "statistics/shortest_distance", np.ones((3, 3))
    ),
    "no descriptor": remove("descriptor"),
    "no reference energies": remove("reference_energies"),
    "no energy scale": lambda f: f.attrs.__delitem__("energy_scale"),
    "an energy scale that is text": lambda f: f.attrs.__setitem__(
        "energy_scale", np.bytes_("large")
    ),
    "an energy scale that is NaN": lambda f: f.attrs.__setitem__(
        "energy_scale", np.nan
    ),
    "an energy shift that is infinite": lambda f: f.attrs.__setitem__(
        "energy_shift", np.inf
    ),
    "a distance that is NaN": lambda f: f["statistics/O"].attrs.__setitem__(
        "distance_low", np.nan
    ),
    "descriptor that is no JSON": lambda f: put_recipe(f, "{"),
    "descriptor that is a list": lambda f: put_recipe(f, "[]"),
    "descriptor that is no UTF-8": lambda f: put(
        f, "descriptor", np.bytes_(b"\xff\xfe{}")
    ),
    "descriptor that is nested too deep": lambda f: put_recipe(f, "[" * 100_000),
    "descriptor of an unknown type": lambda f: put_recipe(f, of_type("behler")),
    "descriptor of a type that is a list": lambda f: put_recipe(f, of_type([])),
    "descriptor without a species": lambda f: put_recipe(f, without_species),
    "descriptor of a lower order": lambda f: put_recipe(f, of_lower_order),
    "descriptor of a huge order": lambda f: put_recipe(f, of_huge_order),
    "descriptor without any species": lambda f: put_recipe(
        f, '{"type": "chebyshev", "central": {}}'
    ),
    "provenance that is no JSON": lambda f: put(f, "provenance", np.bytes_("}")),
    "provenance that is a number": lambda f: put(f, "provenance", np.bytes_("7")),
    "test vectors of an unknown species": lambda f: put(
        f, "test_vectors/species_index", np.full(37, 2)
    ),
    "test vectors of too few atoms": lambda f: put(
        f, "test_vectors/positions", np.ones((36, 3))
    ),
    "test vectors with negative counts": lambda f: put(
        f, "test_vectors/n_atoms", np.array([40, -3])
    ),
    "test vectors without forces": remove("test_vectors/forces"),
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_file_is_an_error_that_names_it(saved, change):
    path, _ = saved
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FileFormatError, match=r"potential\.h5") as error:
        Potential.load(path)
    assert "\n" not in str(error.value)
