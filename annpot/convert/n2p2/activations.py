"""The activation functions of n2p2 and RuNNer, by their letters."""

from __future__ import annotations

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
"""Letter and factor of each activation function of annpot that n2p2 has."""
