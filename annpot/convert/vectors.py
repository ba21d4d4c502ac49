"""Made-up structures on which a converted potential is compared with its origin."""

from __future__ import annotations

import itertools

import numpy as np

from annpot.potential import Potential
from annpot.structures.structure import Array, Batch, Structure, stack

SPACINGS = (0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.3, 2.6, 3.0)
"""Shortest distances in angstrom that are tried."""
CELLS = {
    "cluster": None,
    "cubic": np.eye(3),
    "skewed": np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.2, 1.1]]),
}
"""Shapes of the cells."""
MAX_ATOMS = 16


def make_vectors(potential: Potential) -> Batch:
    """Return a cluster and two crystals of random atoms that the potential may know.

    Of several densities, that is taken whose features are nearest to what the networks
    were made for, so that none is saturated: there, potentials that differ look alike.
    """
    batches = [make_batch(potential.species, spacing) for spacing in SPACINGS]
    return min(batches, key=lambda batch: _strangeness(potential, batch))


def make_batch(species: tuple[str, ...], spacing: float) -> Batch:
    """Return random structures, whose atoms are ``spacing`` angstrom apart or more."""
    rng = np.random.default_rng(0)
    n_atoms = min(max(6, 2 * len(species)), MAX_ATOMS)
    structures = []
    for number, (name, shape_cc) in enumerate(CELLS.items()):
        order = itertools.islice(itertools.cycle(species), number, number + n_atoms)
        edge = 1.35 * spacing * n_atoms ** (1 / 3)
        cell_cc = edge * (np.eye(3) if shape_cc is None else shape_cc)
        periodic = shape_cc is not None
        structures.append(
            Structure(
                symbols=tuple(order),
                positions_nc=_scatter(n_atoms, cell_cc, periodic, spacing, rng),
                cell_cc=cell_cc if periodic else np.zeros((3, 3)),
                pbc_c=np.full(3, periodic),
                file=name,
            )
        )
    return stack(structures, species)


def _scatter(
    n_atoms: int,
    cell_cc: Array,
    periodic: bool,
    spacing: float,
    rng: np.random.Generator,
) -> Array:
    """Return random positions in the cell, each away from those before and images."""
    steps = (-1, 0, 1) if periodic else (0,)
    images_kc = np.array(list(itertools.product(steps, repeat=3))) @ cell_cc
    positions_nc = np.empty((0, 3))
    tries = 0
    while len(positions_nc) < n_atoms:
        trial_c = rng.random(3) @ cell_cc
        D_nkc = positions_nc[:, None] - trial_c + images_kc
        # rarely the last atoms find no room: they may then be somewhat closer
        limit = spacing * 0.999 ** max(0, tries - 100)
        if np.linalg.norm(D_nkc, axis=2).min(initial=np.inf) >= limit:
            positions_nc = np.vstack([positions_nc, trial_c])
        tries += 1
    return positions_nc


def _strangeness(potential: Potential, batch: Batch) -> float:
    """Return how far the inputs of the networks are from 0, where they should be."""
    features = potential.evaluate(batch, forces=False).features
    sizes = [
        np.log1p(np.abs((G_nf - model.shift_f) * model.scale_f)).ravel()
        for model, G_nf in zip(
            potential.models, features.blocks(features.G_f), strict=True
        )
    ]
    return float(np.mean(np.concatenate(sizes)))
