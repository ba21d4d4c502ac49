"""Angular symmetry functions summed directly, one triplet and function at a time."""

from __future__ import annotations

import itertools
import math

import direct_sum


def core(name, x):
    """The cores of Bircher et al., as their polynomials are printed."""
    if name == "e":
        return math.exp(1 - 1 / (1 - x * x))
    return {
        "p1": 2 * x**3 - 3 * x**2 + 1,
        "p2": -6 * x**5 + 15 * x**4 - 10 * x**3 + 1,
        "p3": 20 * x**7 - 70 * x**6 + 84 * x**5 - 35 * x**4 + 1,
        "p4": -70 * x**9 + 315 * x**8 - 540 * x**7 + 420 * x**6 - 126 * x**5 + 1,
    }[name]


def cutoff_function(shape, r, radius, alpha):
    """Cutoff functions by n2p2's numbers."""
    if r >= radius:
        return 0.0
    if shape == 2:
        return math.tanh(1 - r / radius) ** 3
    if shape == 3:
        c = ((math.e + 1 / math.e) / (math.e - 1 / math.e)) ** 3
        return c * math.tanh(1 - r / radius) ** 3
    x = max(0.0, (r - alpha * radius) / (radius - alpha * radius))
    if shape == 0:
        return 1.0
    if shape == 1:
        return 0.5 * (math.cos(math.pi * x) + 1)
    return core(["e", "p1", "p2", "p3", "p4"][shape - 4], x)


def compact_function(name, x, low, high, bend=False):
    x = abs(x - 0.5 * (low + high)) / (0.5 * (high - low))
    if x >= 1:
        return 0.0
    return core(name, (2 - x) * x if bend else x)


def radial_factor(function, r):
    if (c := function.compact) is not None:
        return compact_function(c.core, r, c.r_low, c.r_high, c.asymmetric)
    gaussian = math.exp(-function.eta * (r - function.rs) ** 2)
    return gaussian * cutoff_function(
        function.cutoff.shape, r, function.cutoff.radius, function.cutoff.alpha
    )


def angular_factor(function, cosine):
    if (c := function.compact) is not None:
        theta = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        return compact_function(c.core, theta, c.theta_low, c.theta_high)
    x = 1 + function.lambda_ * cosine
    return 2 ** (1 - function.zeta) * x**function.zeta if x > 0 else 0.0


def value(function, near, species, weights_t):
    """Return the feature of an atom; near: symbols, vectors, distances of neighbours"""
    total = 0.0
    for (a, D, r), (b, E, q) in itertools.combinations(near, 2):
        t, v = species.index(a), species.index(b)
        if function.pair is None:
            weight = weights_t[t] * weights_t[v]
        elif sorted(function.pair) == sorted((t, v)):
            weight = 1.0
        else:
            continue
        term = weight * radial_factor(function, r) * radial_factor(function, q)
        if function.r_jk:
            term *= radial_factor(function, math.dist(D, E))
        if term:
            total += term * angular_factor(function, (D @ E) / (r * q))
    return total


def features(structure, functions_s, species, weights_t, r_cut):
    """Return a list of the features of each atom."""
    found = []
    for i, symbol in enumerate(structure.symbols):
        near = direct_sum.neighbourhood(structure, i, r_cut)
        functions = functions_s[species.index(symbol)]
        found.append([value(f, near, species, weights_t) for f in functions])
    return found
