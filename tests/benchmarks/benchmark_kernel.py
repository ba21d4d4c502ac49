"""Time the moments kernel on one thread, against the plain triple loop.

ANNPOT_NUM_THREADS=1 python tests/benchmarks/benchmark_kernel.py
"""

import os

os.environ["ANNPOT_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time

import numpy as np
from systems import aenet_descriptor
from triple_loop import features_and_forces

from annpot.descriptors.chebyshev import Expansion
from annpot.extrapolation import fit_domain
from annpot.networks import initial_network
from annpot.pairs import find_pairs
from annpot.potential import assemble
from annpot.scaling import fit_zscore
from annpot.structures.structure import Structure, stack

SPECIES = ("Ti", "O")
CELL = np.diag([4.594, 4.594, 2.959])
RUTILE = np.array(
    [
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.5],
        [0.305, 0.305, 0.0],
        [0.695, 0.695, 0.0],
        [0.195, 0.805, 0.5],
        [0.805, 0.195, 0.5],
    ]
)


def rutile(repeats):
    """Return rattled rutile TiO2, 6 atoms times the repeats of the cell."""
    shifts = np.array(list(np.ndindex(*repeats)))
    positions = (shifts[:, None] + RUTILE).reshape(-1, 3) @ CELL
    rng = np.random.default_rng(0)
    return Structure(
        symbols=("Ti", "Ti", "O", "O", "O", "O") * len(shifts),
        positions_nc=positions + rng.normal(scale=0.05, size=positions.shape),
        cell_cc=CELL * np.array(repeats)[:, None],
        pbc_c=np.ones(3, dtype=bool),
    )


def best(function, repeats=5):
    """Return the result, and the shortest of several times in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return result, min(times)


def describe(radial, angular):
    return aenet_descriptor(
        SPECIES, [Expansion(*radial)] * 2, [Expansion(*angular)] * 2, [(-1.0, 1.0)] * 2
    )


def compare(radial, angular, n_plain, goal):
    """Print the times of both ways for one descriptor."""
    descriptor = describe(radial, angular)
    batch = stack([rutile((5, 5, 8))], SPECIES)
    neighbours = find_pairs(batch, descriptor.cutoffs)
    rng = np.random.default_rng(1)
    dEdG_nf = rng.normal(size=(batch.n_atoms, descriptor.n_features_s[0]))

    def moments():
        features = descriptor.compute_features(batch, neighbours)
        dEdG_f = np.empty_like(features.G_f)
        for atoms, block in zip(features.atoms_s, features.blocks(dEdG_f), strict=True):
            block[:] = dEdG_nf[atoms]
        return features, descriptor.compute_forces(features, dEdG_f)[0]

    (features, F_nc), seconds = best(moments)
    ours = seconds / batch.n_atoms

    n_groups = neighbours.n_species * neighbours.n_shells
    first_n = neighbours.first_g[::n_groups]
    D_pc = np.ascontiguousarray(neighbours.D_cp[:, : first_n[-1]].T)
    weight_p = np.array([-1.0, 1.0])[batch.species_n[neighbours.j_p]]
    parameters = (radial[0], radial[1], angular[0], angular[1])
    G_nf, plain_F_nc = np.zeros_like(dEdG_nf), np.zeros_like(F_nc)

    def plain(n, G_nf, F_nc):
        features_and_forces(
            first_n[: n + 1],
            neighbours.j_p,
            D_pc,
            weight_p,
            parameters,
            dEdG_nf,
            G_nf,
            F_nc,
        )

    plain(1, np.zeros_like(G_nf), np.zeros_like(F_nc))
    _, seconds = best(
        lambda: plain(n_plain, np.zeros_like(G_nf), np.zeros_like(F_nc)), 2
    )
    theirs = seconds / n_plain
    plain(n_plain, G_nf, plain_F_nc)
    ours_nf = np.zeros_like(G_nf)
    for atoms, block in zip(
        features.atoms_s, features.blocks(features.G_f), strict=True
    ):
        ours_nf[atoms] = block
    error = np.abs(ours_nf[:n_plain] - G_nf[:n_plain]).max() / np.abs(G_nf).max()
    near = np.diff(first_n).mean()
    print(
        f"radial {radial}, angular {angular}, {near:.0f} neighbours: moments "
        f"{1e6 * ours:.2f} us/atom, triple loop {1e6 * theirs:.1f} us/atom, ratio "
        f"{theirs / ours:.0f} (goal {goal}); features differ by {error:.0e}"
    )


def energy_and_forces():
    """Print the cost of a potential without search for neighbours, and its scaling."""
    descriptor = describe((16, 8.0), (4, 6.5))
    rng = np.random.default_rng(2)
    n_features = int(descriptor.n_features_s[0])
    networks = [initial_network((n_features, 15, 15, 1), "tanh", rng) for _ in SPECIES]
    start = stack([rutile((4, 4, 6))], SPECIES)
    features = descriptor.compute_features(start, find_pairs(start, descriptor.cutoffs))
    domains = [fit_domain(G_nf, 1e-4) for G_nf in features.blocks(features.G_f)]
    potential = assemble(
        descriptor,
        networks,
        [fit_zscore(domain.statistics) for domain in domains],
        domains,
        reference_energies=np.zeros(2),
        energy_shift=0.0,
        energy_scale=1.0,
        shortest_st=np.full((2, 2), np.inf),
        provenance={},
    )
    for repeats in ((2, 2, 4), (4, 4, 10), (9, 9, 20), (19, 19, 46)):
        batch = stack([rutile(repeats)], SPECIES)
        neighbours, search = best(lambda b=batch: find_pairs(b, descriptor.cutoffs), 2)
        _, seconds = best(lambda b=batch, n=neighbours: potential.evaluate(b, n))
        per_atom = 1e6 / batch.n_atoms
        print(
            f"{batch.n_atoms:7d} atoms, {len(neighbours.j_p) / batch.n_atoms:.0f} "
            f"neighbours: energy and forces {per_atom * seconds:.2f} us/atom, search "
            f"{per_atom * search:.2f} us/atom"
        )


if __name__ == "__main__":
    compare((16, 8.0), (4, 6.5), 200, 40)
    compare((10, 12.0), (10, 12.0), 5, 300)
    energy_and_forces()
