"""Networks: activations, energies, and derivatives by inputs and weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from finite_difference import differentiate, gradient

from annpot.networks import ACTIVATIONS, Network, average, initial_network

SIZES = {
    "no hidden layer": (5, 1),
    "one": (5, 4, 1),
    "two": (5, 4, 3, 1),
    "three": (5, 2, 4, 3, 1),
}
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_size = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)

EXPLICIT = {
    "linear": lambda z: z,
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gaussian": lambda z: np.exp(-(z**2)),
    "relu": lambda z: np.where(z > 0, z, 0),
    "cosine": np.cos,
    "exponential": lambda z: np.exp(-z),
    "square": lambda z: z**2,
    "mtanh": lambda z: 1.7159 * np.tanh(0.666666666666667 * z),
    "twist": lambda z: 1.7159 * np.tanh(0.666666666666667 * z) + 0.1 * z,
}
"""mtanh and twist with the constants of aenet 2.0.4, feedforward.f90."""


def random_network(sizes, activation, seed=0):
    """Return a network with random biases, too."""
    rng = np.random.default_rng(seed)
    network = initial_network(sizes, activation, rng)
    size = 0.3 if activation in ("exponential", "square") else 1.0  # which explode
    return network.with_weights(size * rng.normal(size=network.n_weights))


@pytest.fixture(name="X_nf")
def inputs():
    return np.random.default_rng(1).normal(size=(7, 5))


# Activations.


@each_activation
def test_activations_are_what_their_names_say(activation):
    z = np.linspace(-4.0, 4.0, 81)
    f, _, _ = ACTIVATIONS[activation](z)
    np.testing.assert_allclose(f, EXPLICIT[activation](z), rtol=1e-13, atol=1e-14)


@each_activation
def test_derivatives_of_activations(activation):
    z = np.linspace(-4.0, 4.0, 80)  # not 0, where relu has a kink
    _, slope, curvature = ACTIVATIONS[activation](z)
    for order, found in ((0, slope), (1, curvature)):
        expected = differentiate(lambda t, k=order: ACTIVATIONS[activation](z + t)[k])
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-10)


@each_activation
def test_activations_stay_finite_far_out(activation):
    z = np.array([-1e3, -40.0, 40.0, 1e3])
    for values in ACTIVATIONS[activation](z):
        assert np.isfinite(values).all()


def test_all_activations_are_tested():
    assert set(EXPLICIT) == set(ACTIVATIONS)


# Energies and their gradients.


def test_energies_are_those_of_the_formula(X_nf):
    network = random_network((5, 4, 3, 1), "tanh")
    (W_0, W_1, W_2), (b_0, b_1, b_2) = network.weights, network.biases
    for x, E in zip(X_nf, network.forward(X_nf).E_n, strict=True):
        expected = W_2 @ np.tanh(W_1 @ np.tanh(W_0 @ x + b_0) + b_1) + b_2
        assert E == pytest.approx(expected[0], rel=1e-14)


def test_each_layer_has_its_own_activation(X_nf):
    network = random_network((5, 4, 3, 1), "tanh")
    network = Network(("gaussian", "silu"), network.weights, network.biases)
    (W_0, W_1, W_2), (b_0, b_1, b_2) = network.weights, network.biases
    first_nh = EXPLICIT["gaussian"](X_nf @ W_0.T + b_0)
    expected_n = EXPLICIT["silu"](first_nh @ W_1.T + b_1) @ W_2[0] + b_2[0]
    np.testing.assert_allclose(network.forward(X_nf).E_n, expected_n, rtol=1e-13)


@each_size
@each_activation
def test_gradient_by_the_inputs(sizes, activation, X_nf):
    network = random_network(sizes, activation)
    found_nf = network.forward(X_nf).deltas[0] @ network.weights[0]
    # an energy depends on its own inputs only
    expected_nf = gradient(lambda x: network.forward(x).E_n.sum(), X_nf)
    np.testing.assert_allclose(found_nf, expected_nf, rtol=0, atol=1e-9)


def gradient_by_the_weights(network, X_nf, Ebar_n, Xdot_nf):
    """Return what `Network.weight_gradient` gives with what it leaves to the caller."""
    trace = network.forward(X_nf)
    Zdot_nh = Xdot_nf @ network.weights[0].T
    gradient_w = network.weight_gradient(trace, Ebar_n, Zdot_nh)
    first = trace.deltas[0].T @ Xdot_nf
    gradient_w[: first.size] += first.ravel()
    return gradient_w


@each_size
@each_activation
def test_gradient_by_the_weights(sizes, activation, X_nf):
    network = random_network(sizes, activation)
    rng = np.random.default_rng(2)
    Ebar_n, Xdot_nf = rng.normal(size=len(X_nf)), rng.normal(size=X_nf.shape)

    def loss(weights_w):
        candidate = network.with_weights(weights_w)
        trace = candidate.forward(X_nf)
        slopes_nf = trace.deltas[0] @ candidate.weights[0]
        return Ebar_n @ trace.E_n + np.sum(slopes_nf * Xdot_nf)

    found_w = gradient_by_the_weights(network, X_nf, Ebar_n, Xdot_nf)
    expected_w = gradient(loss, network.flatten())
    size = max(1.0, np.abs(expected_w).max())
    np.testing.assert_allclose(found_w, expected_w, rtol=0, atol=1e-9 * size)


def test_no_atoms():
    network = random_network((5, 4, 1), "tanh")
    X_nf = np.zeros((0, 5))
    assert network.forward(X_nf).E_n.shape == (0,)
    gradient_w = gradient_by_the_weights(network, X_nf, np.zeros(0), X_nf)
    np.testing.assert_array_equal(gradient_w, np.zeros(network.n_weights))


def test_input_is_not_modified(X_nf):
    network = random_network((5, 4, 3, 1), "tanh")
    X_before, weights_w = X_nf.copy(), network.flatten()
    Ebar_n, Xdot_nf = np.ones(len(X_nf)), np.ones_like(X_nf)
    gradient_by_the_weights(network, X_nf, Ebar_n, Xdot_nf)
    np.testing.assert_array_equal(X_nf, X_before)
    np.testing.assert_array_equal(network.flatten(), weights_w)
    assert (Ebar_n == 1.0).all()
    assert (Xdot_nf == 1.0).all()


# Weights as one vector.


@each_size
def test_weights_survive_the_way_through_a_vector(sizes, X_nf):
    network = random_network(sizes, "tanh")
    weights_w = network.flatten()
    n_expected = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert network.n_weights == len(weights_w) == n_expected
    assert network.sizes == sizes
    again = initial_network(sizes, "tanh", np.random.default_rng(9))
    again = again.with_weights(weights_w)
    np.testing.assert_array_equal(again.flatten(), weights_w)
    np.testing.assert_array_equal(again.forward(X_nf).E_n, network.forward(X_nf).E_n)
    for W, V in zip(again.weights, network.weights, strict=True):
        np.testing.assert_array_equal(W, V)


def test_initial_weights():
    network = initial_network((400, 300, 1), "tanh", np.random.default_rng(3))
    assert network.activations == ("tanh",)
    assert not any(b.any() for b in network.biases)
    assert network.weights[0].std() == pytest.approx(1 / np.sqrt(400), rel=0.02)
    assert network.weights[1].std() == pytest.approx(1 / np.sqrt(300), rel=0.2)
    same = initial_network((400, 300, 1), "tanh", np.random.default_rng(3))
    np.testing.assert_array_equal(same.flatten(), network.flatten())


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3), (5, 4, 3)])
def test_average_of_networks(hidden):
    rng = np.random.default_rng(7)
    networks = [initial_network((6, *hidden, 1), "tanh", rng) for _ in range(3)]
    networks = [
        n.with_weights(n.flatten() + 0.1 * rng.normal(size=n.n_weights))
        for n in networks
    ]
    X_nf = rng.normal(size=(5, 6))
    merged = average(networks)
    assert merged.sizes == (6, *(3 * n for n in hidden), 1)
    trace, traces = merged.forward(X_nf), [n.forward(X_nf) for n in networks]
    expected_n = np.mean([t.E_n for t in traces], axis=0)
    np.testing.assert_allclose(trace.E_n, expected_n, rtol=0, atol=1e-14)
    slopes = [t.deltas[0] @ n.weights[0] for t, n in zip(traces, networks, strict=True)]
    found = trace.deltas[0] @ merged.weights[0]
    np.testing.assert_allclose(found, np.mean(slopes, axis=0), rtol=0, atol=1e-14)
