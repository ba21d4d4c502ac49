"""Feed-forward networks: one per species, from features to the atomic energy.

    a_0 = x,   z_k = W_k a_k-1 + b_k,   a_k = f(z_k),   e = z_last

Everything is exact and written out as matrix products over all atoms of a species:
energies, their derivatives by the inputs (forces), and the derivatives by the weights
of any function of both (the loss). The latter uses the tangent of the network along
``q = dloss/d(de/dx)``; see Smith, Lubbers, Thompson, Barros, arXiv:2006.05475.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from annpot.structures.structure import Array

Activation = Callable[[Array], tuple[Array, Array, Array]]


def _linear(z: Array) -> tuple[Array, Array, Array]:
    return z, np.ones_like(z), np.zeros_like(z)


def _tanh(z: Array) -> tuple[Array, Array, Array]:
    f = np.tanh(z)
    slope = 1.0 - f * f
    return f, slope, -2.0 * f * slope


def _sigmoid(z: Array) -> tuple[Array, Array, Array]:
    f = 0.5 + 0.5 * np.tanh(0.5 * z)
    slope = f * (1.0 - f)
    return f, slope, slope * (1.0 - 2.0 * f)


def _softplus(z: Array) -> tuple[Array, Array, Array]:
    s, slope, _ = _sigmoid(z)
    return np.logaddexp(0.0, z), s, slope


def _silu(z: Array) -> tuple[Array, Array, Array]:
    s, slope, curvature = _sigmoid(z)
    return z * s, s + z * slope, 2.0 * slope + z * curvature


def _gaussian(z: Array) -> tuple[Array, Array, Array]:
    f = np.exp(-z * z)
    return f, -2.0 * z * f, (4.0 * z * z - 2.0) * f


def _relu(z: Array) -> tuple[Array, Array, Array]:
    return np.maximum(z, 0.0), np.where(z > 0.0, 1.0, 0.0), np.zeros_like(z)


def _cosine(z: Array) -> tuple[Array, Array, Array]:
    f = np.cos(z)
    return f, -np.sin(z), -f


def _exponential(z: Array) -> tuple[Array, Array, Array]:
    f = np.exp(np.minimum(-z, 300.0))
    return f, -f, f.copy()  # the caller changes its copy


def _square(z: Array) -> tuple[Array, Array, Array]:
    return z * z, 2.0 * z, np.full_like(z, 2.0)


MTANH_A, MTANH_B, TWIST_C = 1.7159, 2.0 / 3.0, 0.1
"""aenet's constants (feedforward.f90): a tanh(b z), and a tanh(b z) + c z."""


def _mtanh(z: Array) -> tuple[Array, Array, Array]:
    f, slope, curvature = _tanh(MTANH_B * z)
    return (
        MTANH_A * f,
        MTANH_A * MTANH_B * slope,
        MTANH_A * MTANH_B**2 * curvature,
    )


def _twist(z: Array) -> tuple[Array, Array, Array]:
    f, slope, curvature = _mtanh(z)
    return f + TWIST_C * z, slope + TWIST_C, curvature


ACTIVATIONS: dict[str, Activation] = {
    "linear": _linear,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "silu": _silu,
    "gaussian": _gaussian,
    "mtanh": _mtanh,
    "twist": _twist,
    "relu": _relu,
    "cosine": _cosine,
    "exponential": _exponential,
    "square": _square,
}
"""Value, first and second derivative of each activation function by name."""


@dataclass(frozen=True)
class Network:
    """The network of one species.

    Parameters
    ----------
    activations
        Name of the activation function of each hidden layer.
    weights, biases
        ``W_k`` of shape (n_out, n_in) and ``b_k`` of each layer; the last gives one
        linear output.
    """

    activations: tuple[str, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, of nodes of each hidden layer, and 1."""
        return (self.weights[0].shape[1], *(len(b) for b in self.biases))

    @property
    def n_weights(self) -> int:
        """Number of weights and biases."""
        return sum(W.size + b.size for W, b in self._layers())

    def _layers(self) -> list[tuple[Array, Array]]:
        return list(zip(self.weights, self.biases, strict=True))

    def flatten(self) -> Array:
        """Return all weights and biases in one vector, layer by layer."""
        return np.concatenate([x.ravel() for layer in self._layers() for x in layer])

    def with_weights(self, weights_w: Array) -> Network:
        """Return the same network with weights from a vector (views into it)."""
        weights, biases, i = [], [], 0
        for W, b in self._layers():
            weights.append(weights_w[i : i + W.size].reshape(W.shape))
            i += W.size
            biases.append(weights_w[i : i + b.size])
            i += b.size
        return Network(self.activations, tuple(weights), tuple(biases))

    def restart(self, rng: np.random.Generator) -> Network:
        """Return the same network with random weights, see `initial_network`."""
        fresh = initial_network(self.sizes, "linear", rng)
        return Network(self.activations, fresh.weights, fresh.biases)

    def forward(self, X_nf: Array, Z_nh: Array | None = None) -> Trace:
        """Return the energies and all that derivatives need, for inputs ``X_nf``.

        Parameters
        ----------
        Z_nh
            ``X_nf @ W_1.T``, if it is known.
        """
        values, slopes, bends = [X_nf], [], []
        if Z_nh is None:
            Z_nh = X_nf @ self.weights[0].T
        for name, W, b in zip(
            self.activations, self.weights[1:], self.biases[:-1], strict=True
        ):
            f, slope, curvature = ACTIVATIONS[name](Z_nh + b)
            values.append(f)
            slopes.append(slope)
            bends.append(curvature)
            Z_nh = f @ W.T
        E_n = Z_nh[:, 0] + self.biases[-1][0]
        deltas = [np.ones((len(X_nf), 1))]
        for k in range(len(slopes) - 1, -1, -1):
            back = deltas[-1] @ self.weights[k + 1]
            bends[k] *= back
            deltas.append(slopes[k] * back)
        return Trace(E_n, values, slopes, bends, deltas[::-1])

    def weight_gradient(self, trace: Trace, Ebar_n: Array, Zdot_nh: Array) -> Array:
        """Return the derivative of a loss by all weights, flattened.

        It is that of ``sum_n Ebar_n E_n + Edot_n`` with ``Edot`` the tangent of the
        energies along ``Xdot = dloss/d(dE/dX)``, and ``Ebar = dloss/dE``; both fixed.

        Parameters
        ----------
        Zdot_nh
            ``Xdot @ W_1.T``. The term ``trace.deltas[0].T @ Xdot`` of the first weights
            is left to the caller, who may know ``Xdot`` in a cheaper basis.
        """
        tangents, bends = [], []
        for k, slope in enumerate(trace.slopes):
            bends.append(trace.bends[k] * Zdot_nh)
            tangents.append(slope * Zdot_nh)
            Zdot_nh = tangents[k] @ self.weights[k + 1].T
        gradient = []
        Zbar_nh = Ebar_n[:, None]
        for k in range(len(self.weights) - 1, -1, -1):
            dW = Zbar_nh.T @ trace.values[k]
            if k > 0:
                dW += trace.deltas[k].T @ tangents[k - 1]
            gradient += [Zbar_nh.sum(axis=0), dW.ravel()]
            if k > 0:
                Zbar_nh = trace.slopes[k - 1] * (Zbar_nh @ self.weights[k])
                Zbar_nh += bends[k - 1]
        return np.concatenate(gradient[::-1])


@dataclass(frozen=True)
class Trace:
    """A forward and a backward pass through a network.

    ``E_n`` are the energies; ``values[k]`` the inputs of layer k; ``deltas[k]`` the
    derivatives ``dE/dz_k`` (the input gradient is ``deltas[0] @ W_0``); ``slopes`` are
    ``f'(z_k)`` and ``bends`` are ``f''(z_k) dE/da_k``.
    """

    E_n: Array
    values: list[Array]
    slopes: list[Array]
    bends: list[Array]
    deltas: list[Array]


def initial_network(
    sizes: Sequence[int], activation: str, rng: np.random.Generator
) -> Network:
    """Return a network with random weights of variance 1 / n_in and zero biases."""
    weights = [
        rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    return Network(
        activations=(activation,) * (len(sizes) - 2),
        weights=tuple(weights),
        biases=tuple(np.zeros(n_out) for n_out in sizes[1:]),
    )


def average(networks: Sequence[Network]) -> Network:
    """Return one network that gives the mean of several with the same activations.

    Their hidden layers lie side by side, without weights from one to another.
    """
    weights, biases = [], []
    for k in range(len(networks[0].weights)):
        parts = [network.weights[k] for network in networks]
        weights.append(np.concatenate(parts) if k == 0 else block_diag(*parts))
        biases.append(np.concatenate([network.biases[k] for network in networks]))
    weights[-1] = weights[-1].mean(axis=0, keepdims=True)
    biases[-1] = biases[-1].mean(keepdims=True)
    return Network(networks[0].activations, tuple(weights), tuple(biases))
