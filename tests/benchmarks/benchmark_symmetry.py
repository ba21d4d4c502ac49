"""Time the triplet kernel on one thread, against a plain loop over triplets.

Two sets of angular symmetry functions in the shape of published ones: that of water
(Morawietz et al., doi:10.1073/pnas.1602375113; types 2 and 3 of n2p2, 12 bohr), and a
large one of compact functions (type 22) for a molecular liquid.

ANNPOT_NUM_THREADS=1 python tests/benchmarks/benchmark_symmetry.py
"""

import os

os.environ["ANNPOT_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time
from dataclasses import dataclass

import numpy as np
from plain_triplets import features_and_forces, table

from annpot.descriptors.base import Descriptor
from annpot.descriptors.triplets import (
    Compact,
    Cutoff,
    TripletFunction,
    TripletsOperator,
)
from annpot.pairs import find_pairs
from annpot.structures.structure import Structure, stack

BOHR = 0.529177210903
RADII = (3.5, 4.5, 5.5, 6.5, 7.93)
GOALS = {"water": 40.0, "compact": 600.0}


@dataclass(frozen=True)
class Part:
    """The functions of each central species, as a part of a descriptor."""

    species: tuple[str, ...]
    functions_s: tuple[tuple[TripletFunction, ...], ...]
    cutoffs: tuple[float, ...]

    @property
    def n_features_s(self):
        return np.array([len(functions) for functions in self.functions_s])

    def operators(self, shells):
        weights = (1.0,) * len(self.species)
        return [TripletsOperator(self.functions_s, weights, shells)]


def water_functions():
    """Return the 11 and 14 functions of type 3 around H and O."""
    few = [(0.03, 1, 1), (0.03, -1, 1), (0.001, 1, 4), (0.001, -1, 4)]
    many = [(0.07, 1, 1), (0.07, -1, 1), (0.03, 1, 1), (0.03, -1, 1)]
    many += [(0.01, 1, 4), (0.01, -1, 4)]
    of_h = {(0, 1): [(0.2, 1, 1), *many], (1, 1): few}
    of_o = {(0, 0): many, (0, 1): few, (1, 1): few}
    cutoff = Cutoff(2, 12.0 * BOHR)
    return tuple(
        tuple(
            TripletFunction(f, pair, True, eta / BOHR**2, 0.0, lambda_, zeta, cutoff)
            for f, (pair, (eta, lambda_, zeta)) in enumerate(
                (pair, numbers) for pair in sets for numbers in sets[pair]
            )
        )
        for sets in (of_h, of_o)
    )


def water(n=4):
    """Return n^3 molecules at 1 g/cc, each turned at random."""
    rng = np.random.default_rng(0)
    edge = (n**3 * 18.015 / 0.602214) ** (1 / 3)
    molecule = np.array([[0.0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
    positions = []
    for place in np.ndindex(n, n, n):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        middle = (np.array(place) + 0.1 * rng.normal(size=3)) * edge / n
        positions.append(middle + molecule @ turn)
    return Structure(
        ("O", "H", "H") * n**3,
        np.concatenate(positions),
        edge * np.eye(3),
        np.ones(3, dtype=bool),
    )


def compact_functions():
    """Return 300 functions around each of three species: 5 x 10 for each pair."""
    windows = [(c - 45.0, c + 45.0) for c in (0, 45, 90, 135, 180)]
    windows += [(c - 30.0, c + 30.0) for c in (60, 90, 120, 150)] + [(-180.0, 180.0)]
    pairs = [(t, v) for t in range(3) for v in range(t, 3)]
    parameters = [(p, r, w) for p in pairs for r in RADII for w in windows]
    functions = tuple(
        TripletFunction(f, pair, False, compact=Compact(-r, r, *window, "p2"))
        for f, (pair, r, window) in enumerate(parameters)
    )
    return (functions,) * 3


def liquid():
    """Return 256 atoms of C, H and O at the density of anisole."""
    rng = np.random.default_rng(0)
    places = np.array(list(np.ndindex(8, 8, 4)))
    edge = (1 / 0.0886) ** (1 / 3)
    symbols = rng.permutation(["C"] * 112 + ["H"] * 128 + ["O"] * 16)
    return Structure(
        tuple(symbols),
        edge * (places + 0.1 * rng.normal(size=places.shape)),
        edge * np.diag([8.0, 8.0, 4.0]),
        np.ones(3, dtype=bool),
    )


def best(function, repeats=7):
    """Return the result, and the shortest of several CPU times in seconds."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        result = function()
        times.append(time.thread_time() - start)
    return result, min(times)


def compare(name, structure, species, functions_s, cutoffs):
    """Print the times of both ways for one set."""
    descriptor = Descriptor((Part(species, functions_s, cutoffs),))
    batch = stack([structure], species)
    neighbours = find_pairs(batch, descriptor.cutoffs)
    features = descriptor.compute_features(batch, neighbours)
    dEdG_f = np.random.default_rng(1).normal(size=features.G_f.shape)
    descriptor.compute_forces(features, dEdG_f)
    _, t_features = best(lambda: descriptor.compute_features(batch, neighbours))
    _, t_forces = best(lambda: descriptor.compute_forces(features, dEdG_f))

    def plain(atoms):
        return features_and_forces(
            neighbours, features.feature_n, table(functions_s), dEdG_f, atoms
        )

    some = np.arange(0, batch.n_atoms, batch.n_atoms // 16)
    plain(some[:1])
    (G_f, F_nc), t_plain = best(lambda: plain(some), 1)
    mask_f = G_f != 0.0
    forces, _ = descriptor.compute_forces(features, np.where(mask_f, dEdG_f, 0.0))
    np.testing.assert_allclose(features.G_f[mask_f], G_f[mask_f], 1e-8, 1e-11)
    np.testing.assert_allclose(forces, F_nc, rtol=1e-7, atol=1e-9 * abs(F_nc).max())
    us, t_plain = 1e6 / batch.n_atoms, t_plain * batch.n_atoms / len(some)
    print(
        f"{name}: {batch.n_atoms} atoms, {us * 1e-6 * len(neighbours.j_p):.0f} "
        f"neighbours, {descriptor.n_features_s} functions: "
        f"features {us * t_features:.1f}, forces {us * t_forces:.1f}, "
        f"both {us * (t_features + t_forces):.1f} us/atom (goal {GOALS[name]:.0f}); "
        f"plain loop {us * t_plain:.0f}, ratio {t_plain / (t_features + t_forces):.0f}"
    )


if __name__ == "__main__":
    compare("water", water(), ("H", "O"), water_functions(), (12.0 * BOHR,))
    compare("compact", liquid(), ("H", "C", "O"), compact_functions(), RADII)
