"""weights.ZZZ.data: the network of an element of n2p2, and that of annpot.

The first column holds, layer by layer, the weights of each node of the layer before to
all nodes of the layer, and the biases of the layer; the second says ``a`` for a weight,
``b`` for a bias. Lines that begin with ``#`` are skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from annpot.convert.n2p2.setup import Layout
from annpot.convert.plain_text import check_ended, parse_number, read_lines
from annpot.errors import FileFormatError
from annpot.networks import MTANH_A, MTANH_B, Network
from annpot.structures.structure import Array

ACTIVATIONS = {
    "l": ("linear", 1.0),
    "t": ("tanh", 1.0),
    "s": ("sigmoid", 1.0),
    "S": ("sigmoid", -1.0),
    "p": ("softplus", 1.0),
    "r": ("relu", 1.0),
    "g": ("gaussian", 0.5**0.5),
    "c": ("cosine", 1.0),
    "e": ("exponential", 1.0),
    "h": ("square", 1.0),
}
"""Activation function and factor of its argument, by n2p2's letters: ``g`` is
exp(-x^2 / 2), ``S`` 1 - 1 / (1 + exp(-x)); the others are the same."""

LETTERS = {
    name: (letter, factor)
    for letter, (name, factor) in ACTIVATIONS.items()
    if letter != "S"
}


MAX_WEIGHTS = 5_000_000
"""Of the network of an element."""


class Weights(NamedTuple):
    """The numbers of a file, and what it says that they are."""

    numbers_w: Array
    kinds: str
    """``a`` and ``b``, or empty if a line does not tell."""


def read_weights(path: Path, most: int) -> Weights:
    """Return the numbers in a file of weights.

    Parameters
    ----------
    most
        So many can be used; of more, one is read besides.

    Raises
    ------
    FileFormatError
        If it cannot be read, or something is no finite number.
    """
    numbers, kinds = [], []
    for n, text in read_lines(path):
        words = text.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        check_ended(path, n, text)
        value = parse_number(words[0])
        if value is None:
            raise FileFormatError(
                f"'{path}', line {n}: {words[0]!a:.40}, expected a finite number"
            )
        numbers.append(value)
        kinds.append(words[1] if words[1:] and words[1] in ("a", "b") else "?")
        if (kinds[0] == "?") != (kinds[-1] == "?"):
            raise FileFormatError(
                f"'{path}', line {n}: weight (a) or bias (b), the second column: "
                "expected in all lines or in none"
            )
        if len(numbers) > most:
            break
    return Weights(np.array(numbers), "" if "?" in kinds else "".join(kinds))


def _sizes(layout: Layout, n_inputs: int) -> list[tuple[int, int]]:
    """Return the numbers of nodes before and behind each layer of weights."""
    return list(itertools.pairwise([n_inputs, *layout.nodes, 1]))


def _count(layout: Layout, n_inputs: int) -> int:
    return sum((n + 1) * m for n, m in _sizes(layout, n_inputs))


def _fits(weights: Weights, layout: Layout, n_inputs: int) -> bool:
    """Return whether these may be the weights of such a network."""
    if _count(layout, n_inputs) != len(weights.numbers_w):
        return False
    kinds = "".join("a" * (n * m) + "b" * m for n, m in _sizes(layout, n_inputs))
    return weights.kinds in ("", kinds)


def read_network(
    path: Path,
    layouts: Sequence[Layout],
    n_inputs: int,
    normalize_nodes: bool,
    notes: list[str],
) -> Network:
    """Return the network in a file of weights.

    Parameters
    ----------
    layouts
        What it may look like; the first that fits the file is taken.
    n_inputs
        Number of symmetry functions.
    normalize_nodes
        Divide the argument of each node by the number of nodes before it.

    Raises
    ------
    FileFormatError
        If none fits, or the file is wrong.
    """
    most = max(_count(layout, n_inputs) for layout in layouts)
    if most > MAX_WEIGHTS:
        raise FileFormatError(
            f"'{path}': a network of {most} weights, expected at most {MAX_WEIGHTS}"
        )
    weights = read_weights(path, most)
    fitting = [layout for layout in layouts if _fits(weights, layout, n_inputs)]
    if not fitting:
        raise _misfit(path, weights, layouts, n_inputs)
    chosen = fitting[0]
    if len(fitting) > 1 or chosen is not layouts[0]:
        other = "".join(f" or {_shape(x, n_inputs)}" for x in fitting[1:])
        notes.append(
            f"'{path}': weights of nodes {_shape(chosen, n_inputs)}{other}: "
            f"element_nodes_short taken as {chosen.syntax}"
        )
    return _make_network(weights.numbers_w, chosen, n_inputs, normalize_nodes)


def _shape(layout: Layout, n_inputs: int) -> str:
    return "-".join(map(str, [n_inputs, *layout.nodes, 1]))


def _misfit(
    path: Path, weights: Weights, layouts: Sequence[Layout], n_inputs: int
) -> FileFormatError:
    found = len(weights.numbers_w)
    counts = [_count(layout, n_inputs) for layout in layouts]
    expected = " or ".join(
        f"{count} for nodes {_shape(layout, n_inputs)}"
        for count, layout in zip(counts, layouts, strict=True)
    )
    if found in counts:
        return FileFormatError(
            f"'{path}': weights (a) and biases (b) in another order than that of "
            f"{expected}"
        )
    number = f"{found}" if found <= max(counts) else f"more than {max(counts)}"
    return FileFormatError(f"'{path}': {number} weights, expected {expected}")


def _make_network(
    numbers_w: Array, layout: Layout, n_inputs: int, normalize_nodes: bool
) -> Network:
    weights, biases = [], []
    at = 0
    for (n, m), letter in zip(
        _sizes(layout, n_inputs), layout.letters + "l", strict=True
    ):
        factor = ACTIVATIONS[letter][1] / (n if normalize_nodes else 1)
        weights.append(factor * numbers_w[at : at + n * m].reshape(n, m).T.copy())
        biases.append(factor * numbers_w[at + n * m : at + (n + 1) * m])
        at += (n + 1) * m
    activations = tuple(ACTIVATIONS[letter][0] for letter in layout.letters)
    return Network(activations, tuple(weights), tuple(biases))


def simplify_network(network: Network) -> Network:
    """Return the same function with tanh for aenet's scaled tanh, a tanh(b z)."""
    weights, biases = list(network.weights), list(network.biases)
    names = list(network.activations)
    for k, name in enumerate(names):
        if name == "mtanh":
            names[k] = "tanh"
            weights[k], biases[k] = MTANH_B * weights[k], MTANH_B * biases[k]
            weights[k + 1] = MTANH_A * weights[k + 1]
    return Network(tuple(names), tuple(weights), tuple(biases))


def letters_of(network: Network) -> str:
    """Return n2p2's letters of the activation functions.

    Raises
    ------
    FileFormatError
        If n2p2 does not have one of them, or there is no hidden layer.
    """
    if not network.activations:
        raise FileFormatError("networks without hidden layers: n2p2 has none")
    for name in network.activations:
        if name not in LETTERS:
            raise FileFormatError(
                f"activation function '{name}': n2p2 has none of that kind, but "
                f"{', '.join(LETTERS)}; train with e.g. --set train.activation=tanh"
            )
    return "".join(LETTERS[name][0] for name in network.activations)


def restore(x: Array, factor: float) -> Array:
    """Return the numbers that times ``factor`` are ``x``, or nearest to that.

    They stay the same when they are multiplied and restored once more.
    """
    if factor == 1.0:
        return x
    result = x / factor
    for _ in range(4):
        again = result * factor / factor
        if np.array_equal(again, result):
            break
        result = again
    return result


def format_weights(network: Network) -> str:
    """Return the content of a file of weights; numbers are exact."""
    lines = []
    count = 0
    factors = [LETTERS[name][1] for name in network.activations]
    for k, (W, b, factor) in enumerate(
        zip(network.weights, network.biases, [*factors, 1.0], strict=True), 1
    ):
        for j, row in enumerate(restore(W, factor).T, 1):
            for i, value in enumerate(row, 1):
                count += 1
                lines.append(
                    f"{value:24.16E} a {count:9d} {k - 1:5d} {j:5d} {k:5d} {i:5d}\n"
                )
        for i, value in enumerate(restore(b, factor), 1):
            count += 1
            lines.append(f"{value:24.16E} b {count:9d} {k:5d} {i:5d}\n")
    return "".join(lines)
