"""The loss: its value written out, its gradient, and the parts of training."""

from __future__ import annotations

import itertools
from dataclasses import astuple, replace

import numpy as np
import pytest
import systems
from finite_difference import gradient
from systems import SMALL, STRUCTURES, SYSTEMS

from annpot.loss import Loss
from annpot.model import Model
from annpot.networks import ACTIVATIONS, initial_network
from annpot.objective import LossWeights, Objective, References, Targets, Values
from annpot.pairs import find_packed_pairs, unpack_pairs
from annpot.scaling import compute_statistics, fit_whitening
from annpot.shards import NO_PAIRS, Shard

TERMS = {
    "energies": LossWeights(energy=3.0, force=0.0, stress=0.0, l2=0.0),
    "forces": LossWeights(energy=0.0, force=0.7, stress=0.0, l2=0.0),
    "stress": LossWeights(energy=0.0, force=0.0, stress=50.0, l2=0.0),
    "regularisation": LossWeights(energy=0.0, force=0.0, stress=0.0, l2=0.1),
    "all": LossWeights(energy=3.0, force=0.7, stress=50.0, l2=0.01),
}
SUBSET = np.array([2, 5, 7, 8])
each_term = pytest.mark.parametrize("weights", TERMS.values(), ids=TERMS)


def random_references(batch, seed=0):
    """Return references with structure weights, some of them missing."""
    rng = np.random.default_rng(seed)
    references = References(
        E_s=rng.normal(size=batch.n_structures),
        F_nc=rng.normal(size=(batch.n_atoms, 3)),
        stress_sv=0.1 * rng.normal(size=(batch.n_structures, 6)),
        weight_s=rng.uniform(0.2, 3.0, size=batch.n_structures),
    )
    references.E_s[1:2] = np.nan
    references.F_nc[np.isin(batch.structure_n, [2, 8])] = np.nan
    references.stress_sv[~batch.pbc_sc.all(axis=1)] = np.nan
    references.stress_sv[3:4] = np.nan
    references.weight_s[4:5] = 0.0
    return references


def assemble(model, batch, references, weights, n_shards=1, keep=True):
    """Return the loss over shards of which all or nothing is kept."""
    targets = Targets.of(batch, references)
    edges = np.linspace(0, batch.n_structures, n_shards + 1).astype(int)
    shards = [Shard(targets.part(*edge), edge[0]) for edge in itertools.pairwise(edges)]
    if keep:
        shards = [kept(shard, model) for shard in shards]
    return Loss(model, Objective.of(weights, targets), targets, shards)


def kept(shard, model, *, packed=False):
    """Return a shard with all that can be kept of it."""
    batch = shard.targets.batch
    packed_pairs = find_packed_pairs(batch, model.descriptor.cutoffs)
    pairs = unpack_pairs(packed_pairs, batch)
    raw = model.descriptor.compute_features(batch, pairs)
    inputs = replace(model.scale_features(raw), neighbours=NO_PAIRS)
    return replace(shard, pairs=packed_pairs if packed else pairs, inputs=inputs)


def make_loss(
    weights=TERMS["all"],
    activation="tanh",
    hidden=(2, 2),
    structures=None,
    descriptor=SMALL,
):
    """Return a loss for the standard systems and weights to evaluate it at."""
    batch = systems.stack_all(structures or STRUCTURES)
    features = descriptor.compute_features(batch)
    rng = np.random.default_rng(1)
    scalings, networks = [], []
    for G_nf in features.blocks(features.G_f):
        n_features = G_nf.shape[1]
        cloud_nf = rng.normal(size=(99, n_features)) @ rng.normal(
            size=(n_features,) * 2
        )
        cloud_nf = np.concatenate([3.0 * cloud_nf, G_nf])
        scalings.append(fit_whitening(compute_statistics(cloud_nf), 1e-4))
        networks.append(initial_network((n_features, *hidden, 1), activation, rng))
    model = Model(descriptor, networks, scalings, 0.7)
    loss = assemble(model, batch, random_references(batch), weights)
    weights_w = model.flatten()
    return loss, weights_w + 0.2 * rng.normal(size=weights_w.shape)


def compute_values(loss, weights_w):
    """Return energies, forces and stresses of all structures."""
    weighted, parts = loss.model.weigh(weights_w), []
    for shard in loss.shards:
        inputs = shard.open(loss.model, forces=True)
        run = loss.model.forward(
            weighted, inputs, forces=True, virials=loss.objective.with_stress
        )
        parts.append(run.values)
    return Values(
        np.concatenate([part.E_s for part in parts]),
        np.concatenate([part.F_nc for part in parts]),
        np.concatenate([part.stress_sv for part in parts])
        if loss.objective.with_stress
        else None,
    )


def evaluate(loss, weights_w, structures=None):
    """Return the loss and its gradient."""
    if structures is None:
        found = loss.compute(weights_w)
        return found.loss, found.gradient_w
    return loss.compute_share(weights_w, structures)


def loss_alone(loss, weights_w, structures=None):
    """Return the loss, if possible without computing its gradient."""
    if structures is not None:
        return evaluate(loss, weights_w, structures)[0]
    value, _ = loss.measure(weights_w)
    return value + loss.objective.weights.l2 * np.sum(weights_w**2)


def assert_gradient(loss, weights_w, structures=None):
    """Check the derivative of the loss by every weight."""
    value, found_w = evaluate(loss, weights_w, structures)
    expected_w = gradient(lambda w: loss_alone(loss, w, structures), weights_w)
    assert value > 0.0
    assert np.abs(expected_w).max() > 1e-3
    size = np.abs(expected_w).max()
    np.testing.assert_allclose(found_w, expected_w, rtol=1e-6, atol=1e-8 * size)


def written_out(loss, weights_w, structures=None):
    """Return the loss by its formula, from the values that the loss gives."""
    batch, references = loss.targets.batch, loss.targets.references
    weights = loss.objective.weights
    values = compute_values(loss, weights_w)
    chosen = range(batch.n_structures) if structures is None else structures
    share = batch.n_structures / len(chosen)
    total = weights.l2 * np.sum(weights_w**2)
    if weights.energy:
        known_s = np.isfinite(references.E_s)
        square_s = ((values.E_s - references.E_s) / batch.atoms_s) ** 2
        norm = references.weight_s[known_s].sum()
        for s in chosen:
            if known_s[s]:
                term = references.weight_s[s] * square_s[s]
                total += share * weights.energy * term / norm
    if weights.force:
        known_n = np.isfinite(references.F_nc).all(axis=1)
        weight_n = references.weight_s[batch.structure_n]
        square_n = np.mean((values.F_nc - references.F_nc) ** 2, axis=1)
        norm = weight_n[known_n].sum()
        for n in range(batch.n_atoms):
            if known_n[n] and batch.structure_n[n] in chosen:
                total += share * weights.force * weight_n[n] * square_n[n] / norm
    if weights.stress:
        known_s = np.isfinite(references.stress_sv).all(axis=1)
        square_s = np.mean((values.stress_sv - references.stress_sv) ** 2, axis=1)
        norm = references.weight_s[known_s].sum()
        for s in chosen:
            if known_s[s]:
                term = references.weight_s[s] * square_s[s]
                total += share * weights.stress * term / norm
    return total


# The value.


@each_term
@pytest.mark.parametrize("structures", [None, SUBSET], ids=["all", "some"])
def test_loss_is_that_of_the_formula(weights, structures):
    loss, weights_w = make_loss(weights)
    value, _ = evaluate(loss, weights_w, structures)
    expected = written_out(loss, weights_w, structures)
    assert value == pytest.approx(expected, rel=1e-12)


def test_values_are_those_of_the_networks():
    loss, weights_w = make_loss()
    values = compute_values(loss, weights_w)
    E_n = np.empty(loss.targets.batch.n_atoms)
    features = loss.shards[0].compute_features(SMALL)
    for atoms, G_nf, scaling, network in zip(
        features.atoms_s,
        features.blocks(features.G_f),
        loss.model.scalings,
        loss.model.split(weights_w),
        strict=True,
    ):
        X_nf = (G_nf - scaling.shift_f) @ scaling.matrix_ff
        E_n[atoms] = 0.7 * network.forward(X_nf).E_n
    expected_s = np.bincount(loss.targets.batch.structure_n, E_n)
    np.testing.assert_allclose(values.E_s, expected_s, rtol=1e-12)
    crystals_s = loss.targets.batch.pbc_sc.all(axis=1)
    np.testing.assert_array_equal(np.isfinite(values.stress_sv).all(axis=1), crystals_s)


def test_an_exact_fit_has_no_loss():
    loss, weights_w = make_loss(replace(TERMS["all"], l2=0.0))
    values = compute_values(loss, weights_w)
    exact = References(
        values.E_s, values.F_nc, values.stress_sv, loss.targets.references.weight_s
    )
    fitted = assemble(loss.model, loss.targets.batch, exact, loss.objective.weights)
    value, gradient_w = evaluate(fitted, weights_w)
    assert value == pytest.approx(0.0, abs=1e-25)
    np.testing.assert_allclose(gradient_w, 0.0, atol=1e-12)


def test_the_loss_without_its_gradient_has_the_same_bits():
    loss, weights_w = make_loss(replace(TERMS["all"], l2=0.0))
    found, (value, errors) = loss.compute(weights_w), loss.measure(weights_w)
    assert value == found.loss
    assert errors == found.errors


def test_errors_are_those_of_the_values():
    loss, weights_w = make_loss()
    values, known = compute_values(loss, weights_w), loss.targets.references
    dE = (values.E_s - known.E_s) / loss.targets.batch.atoms_s
    dF = values.F_nc - known.F_nc
    dE, dF = dE[np.isfinite(dE)], dF[np.isfinite(dF)]
    rms = [np.sqrt(np.mean(x**2)) for x in (dE, dF)]
    expected = [rms[0], np.mean(abs(dE)), rms[1], np.mean(abs(dF))]
    np.testing.assert_allclose(astuple(loss.measure(weights_w)[1]), expected)
    energies, weights_w = make_loss(TERMS["energies"])
    errors = energies.measure(weights_w)[1]
    assert np.isfinite([errors.energy_rmse, errors.energy_mae]).all()
    assert np.isnan([errors.force_rmse, errors.force_mae]).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_potential_that_gives_no_number_is_no_good_fit(wrong):
    loss, weights_w = make_loss()
    weights_w[-1] = wrong  # the bias of the last network
    with np.errstate(invalid="ignore"):
        assert np.isnan(loss.measure(weights_w)[0])
        assert np.isnan(loss.compute(weights_w).loss)


# The gradient.


@each_term
@pytest.mark.parametrize("structures", [None, SUBSET], ids=["all", "some"])
def test_gradient_in_every_weight(weights, structures):
    loss, weights_w = make_loss(weights)
    assert_gradient(loss, weights_w, structures)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_with_every_activation(activation):
    loss, weights_w = make_loss(activation=activation, structures=STRUCTURES[:3])
    assert_gradient(loss, weights_w)


@pytest.mark.parametrize("hidden", [(), (2,), (2, 2, 2)], ids=str)
def test_gradient_with_any_number_of_layers(hidden):
    loss, weights_w = make_loss(hidden=hidden, structures=STRUCTURES[:3])
    assert_gradient(loss, weights_w)


@pytest.mark.parametrize("name", SYSTEMS)
def test_gradient_of_each_system_alone(name):
    loss, weights_w = make_loss(structures=[SYSTEMS[name]])
    assert_gradient(loss, weights_w)


def test_gradient_does_not_depend_on_the_order_of_a_subset():
    loss, weights_w = make_loss()
    value, gradient_w = evaluate(loss, weights_w, SUBSET)
    again, turned_w = evaluate(loss, weights_w, SUBSET[::-1].copy())
    assert again == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(turned_w, gradient_w, rtol=1e-10, atol=1e-13)


@each_term
def test_mean_over_shares_is_the_loss(weights):
    loss, weights_w = make_loss(weights)
    expected, expected_w = evaluate(loss, weights_w)
    order = np.random.default_rng(2).permutation(loss.targets.batch.n_structures)
    shares = np.split(order, 5)
    values, gradients = zip(
        *(evaluate(loss, weights_w, share) for share in shares), strict=True
    )
    assert np.mean(values) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        np.mean(gradients, axis=0), expected_w, rtol=1e-9, atol=1e-12
    )


def test_input_is_not_modified():
    loss, weights_w = make_loss()
    before_w, references = weights_w.copy(), random_references(loss.targets.batch)
    evaluate(loss, weights_w)
    evaluate(loss, weights_w, SUBSET)
    np.testing.assert_array_equal(weights_w, before_w)
    for name, expected in vars(references).items():
        np.testing.assert_array_equal(getattr(loss.targets.references, name), expected)


def test_evaluations_do_not_influence_each_other():
    loss, weights_w = make_loss()
    value, gradient_w = evaluate(loss, weights_w)
    evaluate(loss, weights_w + 1.0)
    evaluate(loss, weights_w, SUBSET)
    again, again_w = evaluate(loss, weights_w)
    assert again == value
    np.testing.assert_array_equal(again_w, gradient_w)


def test_missing_references_have_no_influence():
    loss, weights_w = make_loss()
    expected, expected_w = evaluate(loss, weights_w)
    for name in ("E_s", "F_nc", "stress_sv"):
        values = getattr(loss.targets.references, name)
        values[np.isnan(values)] = np.inf
    value, gradient_w = evaluate(loss, weights_w)
    assert value == expected
    np.testing.assert_array_equal(gradient_w, expected_w)


def test_a_partly_known_force_does_not_count():
    loss, weights_w = make_loss(TERMS["forces"])
    loss.targets.references.F_nc[3, 1] = np.nan
    value, gradient_w = evaluate(loss, weights_w)
    loss.targets.references.F_nc[3] = np.nan
    again, again_w = evaluate(loss, weights_w)
    assert value == again
    np.testing.assert_array_equal(gradient_w, again_w)


@pytest.mark.parametrize("missing", ["E_s", "F_nc", "stress_sv"])
def test_a_term_without_any_reference_is_0(missing):
    loss, weights_w = make_loss()
    references = replace(
        loss.targets.references,
        **{missing: np.full_like(getattr(loss.targets.references, missing), np.nan)},
    )
    other = assemble(loss.model, loss.targets.batch, references, loss.objective.weights)
    assert_gradient(other, weights_w)
    assert other.objective.with_stress == (missing != "stress_sv")


# Shards.


@each_term
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "computed again"])
@pytest.mark.parametrize("n_shards", [2, 5])
def test_shards_give_the_loss_of_the_whole(weights, n_shards, keep):
    loss, weights_w = make_loss(weights)
    batch, known = loss.targets.batch, loss.targets.references
    parts = assemble(loss.model, batch, known, weights, n_shards, keep)
    assert len(parts.shards) == n_shards
    for structures in (None, SUBSET, SUBSET[:1]):
        expected, expected_w = evaluate(loss, weights_w, structures)
        value, gradient_w = evaluate(parts, weights_w, structures)
        assert value == pytest.approx(expected, rel=1e-12)
        size = np.abs(expected_w).max()
        np.testing.assert_allclose(gradient_w, expected_w, rtol=0, atol=1e-12 * size)
    whole, whole_errors = loss.measure(weights_w)
    value, errors = parts.measure(weights_w)
    assert value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(astuple(errors), astuple(whole_errors), rtol=1e-12)


def test_what_is_kept_does_not_change_a_bit():
    loss, weights_w = make_loss()
    batch, known = loss.targets.batch, loss.targets.references
    fresh = assemble(
        loss.model, batch, known, loss.objective.weights, n_shards=3, keep=False
    )
    expected, expected_w = evaluate(fresh, weights_w)
    full = [kept(shard, loss.model) for shard in fresh.shards]
    packed = [kept(shard, loss.model, packed=True) for shard in fresh.shards]
    choices = {
        "all": full,
        "packed pairs": packed,
        "pairs alone": [replace(shard, inputs=None) for shard in full],
        "packed pairs alone": [replace(shard, inputs=None) for shard in packed],
        "inputs alone": [replace(shard, pairs=None) for shard in full],
    }
    for shards in choices.values():
        other = replace(fresh, shards=shards)
        value, gradient_w = evaluate(other, weights_w)
        assert value == expected
        np.testing.assert_array_equal(gradient_w, expected_w)
        value, gradient_w = evaluate(other, weights_w, SUBSET)
        again, again_w = evaluate(fresh, weights_w, SUBSET)
        assert value == pytest.approx(again, rel=1e-12)
        np.testing.assert_allclose(gradient_w, again_w, rtol=0, atol=1e-12)


def test_energies_alone_need_no_pairs():
    loss, weights_w = make_loss(TERMS["energies"])
    expected, expected_w = evaluate(loss, weights_w)
    shards = [
        replace(shard, pairs=None, inputs=replace(shard.inputs, states=[]))
        for shard in loss.shards
    ]
    value, gradient_w = evaluate(replace(loss, shards=shards), weights_w)
    assert value == expected
    np.testing.assert_array_equal(gradient_w, expected_w)
