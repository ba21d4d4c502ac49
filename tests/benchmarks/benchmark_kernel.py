"""Time the moments kernel on one thread, against the plain triple loop.

ANNPOT_NUM_THREADS=1 python tests/benchmarks/benchmark_kernel.py
"""

import os

os.environ["ANNPOT_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time

import numpy as np
from ase.build import bulk
from systems import aenet_descriptor
from triple_loop import features_and_forces

from annpot.descriptors.building import make_descriptor
from annpot.descriptors.chebyshev import Expansion
from annpot.extrapolation import fit_domain
from annpot.networks import initial_network
from annpot.pairs import find_pairs
from annpot.potential import assemble
from annpot.scaling import fit_zscore
from annpot.settings import ChebyshevSettings
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


def make_potential(descriptor, hidden, structure):
    """Return a potential with random networks."""
    rng = np.random.default_rng(2)
    networks = [
        initial_network((int(n), *hidden, 1), "silu", rng)
        for n in descriptor.n_features_s
    ]
    start = stack([structure], descriptor.species)
    features = descriptor.compute_features(start, find_pairs(start, descriptor.cutoffs))
    domains = [fit_domain(G_nf, 1e-4) for G_nf in features.blocks(features.G_f)]
    return assemble(
        descriptor,
        networks,
        [fit_zscore(domain.statistics) for domain in domains],
        domains,
        reference_energies=np.zeros(len(networks)),
        energy_shift=0.0,
        energy_scale=1.0,
        shortest_st=np.full((len(networks),) * 2, np.inf),
        provenance={},
    )


def time_potential(name, potential, structure):
    """Print the cost of energy and forces, without and with search for neighbours."""
    batch = stack([structure], potential.species)
    cutoffs = potential.descriptor.cutoffs
    neighbours, search = best(lambda: find_pairs(batch, cutoffs), 2)
    _, seconds = best(lambda: potential.evaluate(batch, neighbours))
    per_atom = 1e6 / batch.n_atoms
    print(
        f"{name}, {batch.n_atoms} atoms, {len(neighbours.j_p) / batch.n_atoms:.0f} "
        f"neighbours, {potential.descriptor.n_features_s.max()} features: energy and "
        f"forces {per_atom * seconds:.2f} us/atom, search {per_atom * search:.2f}"
    )


def silicon():
    """Return rattled silicon."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(7)
    atoms.rattle(0.05, seed=1)
    return Structure(
        tuple(atoms.symbols),
        atoms.positions.copy(),
        np.array(atoms.cell),
        np.ones(3, dtype=bool),
    )


def energy_and_forces():
    """Print the cost of potentials: aenet's set from small to large, resolved sets."""
    potential = make_potential(
        describe((16, 8.0), (4, 6.5)), (15, 15), rutile((4,) * 3)
    )
    for repeats in ((2, 2, 4), (4, 4, 10), (9, 9, 20), (19, 19, 46)):
        time_potential("aenet's set", potential, rutile(repeats))
    four = ChebyshevSettings.model_validate(
        {"angular": {"order": 4, "radial_order": 3}}
    )
    for name, settings in (
        ("4 radial, l <= 4", four),
        ("default", ChebyshevSettings()),
    ):
        descriptor = make_descriptor([settings], ("Si",))
        potential = make_potential(descriptor, (30, 30), silicon())
        time_potential(f"resolved, {name}, Si", potential, silicon())
    descriptor = make_descriptor([ChebyshevSettings()], SPECIES)
    potential = make_potential(descriptor, (120, 120), rutile((4, 4, 6)))
    time_potential("resolved, default, TiO2, 4 members", potential, rutile((5, 5, 8)))


if __name__ == "__main__":
    compare((16, 8.0), (4, 6.5), 200, 40)
    compare((10, 12.0), (10, 12.0), 5, 300)
    energy_and_forces()
