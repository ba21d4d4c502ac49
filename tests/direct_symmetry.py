"""Symmetry functions by the sums over pairs and triplets that define them; slow."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from direct_sum import neighbours_of

from annpot.elements import SYMBOLS

TANH3 = ((math.e + 1 / math.e) / (math.e - 1 / math.e)) ** 3

CORES = {
    "p1": lambda x: (2 * x - 3) * x**2 + 1,
    "p2": lambda x: ((15 - 6 * x) * x - 10) * x**3 + 1,
    "p3": lambda x: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
    "p4": lambda x: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
    "e": lambda x: math.exp(1 - 1 / (1 - x**2)) if x < 1 else 0.0,
}


def cutoff_function(r, r_cut, name, alpha):
    """Return n2p2's cutoff functions 0 to 8."""
    if r >= r_cut:
        return 0.0
    if name.endswith("tanh"):
        return (TANH3 if "scaled" in name else 1.0) * math.tanh(1 - r / r_cut) ** 3
    x = (r - alpha * r_cut) / (r_cut - alpha * r_cut)
    if x < 0 or name == "hard":
        return 1.0
    if name == "cosine":
        return 0.5 * (math.cos(math.pi * x) + 1)
    return CORES["e" if name == "exponential" else name.replace("oly", "")](x)


def compact(x, low, high, core):
    """Return the compact function on [low, high]."""
    x = abs(x - (low + high) / 2) / ((high - low) / 2)
    if core.endswith("a"):
        x = (2 - x) * x if x < 1 else x
    return CORES[core.rstrip("a")](x) if x < 1 else 0.0


def radial_value(f, r):
    """Return what one neighbour at distance r adds to a radial function."""
    if f.core:
        return compact(r, f.r_low, f.cutoff, f.core)
    fc = cutoff_function(r, f.cutoff, f.cutoff_function, f.alpha)
    if f.type == "G3":
        return math.cos(f.kappa * r) * fc
    return math.exp(-f.eta * (r - f.r_s) ** 2) * fc


def angular_value(f, D_j, D_k):
    """Return what two neighbours add to an angular function."""
    r_j, r_k = math.hypot(*D_j), math.hypot(*D_k)
    distances = [r_j, r_k]
    if f.type in ("G4", "G13", "G21", "G24"):
        distances.append(math.hypot(*(D_k - D_j)))
    cos = min(1.0, max(-1.0, D_j @ D_k / (r_j * r_k)))
    value = math.prod(radial_value(f, r) for r in distances)
    if f.core:
        theta = math.degrees(math.acos(cos))
        return value * compact(theta, f.theta_low, f.theta_high, f.core.rstrip("a"))
    base = 1 + f.lambda_ * cos
    return value * (2 ** (1 - f.zeta) * base**f.zeta if base > 0 else 0.0)


def symmetry_function(f, near):
    """Return a symmetry function of an atom with neighbours (symbol, D)."""
    weigh = SYMBOLS.index if not f.neighbours else lambda symbol: 1.0
    near = [(t, D) for t, D in near if math.hypot(*D) < f.cutoff]
    if not f.kind.angular:
        seen = [(t, D) for t, D in near if f.neighbours in ((), (t,))]
        return sum(weigh(t) * radial_value(f, math.hypot(*D)) for t, D in seen)
    total = 0.0
    for (t, D_j), (u, D_k) in itertools.combinations(near, 2):
        if not f.neighbours or sorted((t, u)) == sorted(f.neighbours):
            total += weigh(t) * weigh(u) * angular_value(f, D_j, D_k)
    return total


@functools.cache
def _neighbours_of(i, positions, cell, pbc, r_cut):
    """Return the neighbours of atom i, from the bytes of arrays."""
    positions_nc = np.frombuffer(positions).reshape(-1, 3)
    cell_cc = np.frombuffer(cell).reshape(3, 3)
    return neighbours_of(i, positions_nc, cell_cc, np.frombuffer(pbc, bool), r_cut)


def behler_features(part, structure, i):
    """Return the features of atom i that a part `Behler` describes."""
    geometry = structure.positions_nc, structure.cell_cc, structure.pbc_c
    found = _neighbours_of(i, *(x.tobytes() for x in geometry), max(part.cutoffs))
    near = [(structure.symbols[j], D) for j, D in found]
    s = part.species.index(structure.symbols[i])
    return np.array([symmetry_function(f, near) for f in part.functions_s[s]])
