"""The standard systems: one table of structures that all tests of the mathematics use.

Two species whose parameters differ, so that a mistake between the central atom and its
neighbour shows; cells from comfortable to nasty; atoms at least 1.4 angstrom apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from annpot.descriptors import Chebyshev, Descriptor
from annpot.descriptors.chebyshev import Expansion, plain_and_weighted
from annpot.structures.structure import Structure, stack

SPECIES = ("Ti", "O")


def aenet_descriptor(species, radial_s, angular_s, weights_st):
    """Return the descriptor of one Chebyshev part with aenet's channels."""
    weights_sct = tuple(map(plain_and_weighted, weights_st))
    part = Chebyshev(species, tuple(radial_s), tuple(angular_s), weights_sct)
    return Descriptor((part,))


DESCRIPTOR = aenet_descriptor(
    SPECIES,
    (Expansion(6, 4.2), Expansion(4, 3.7)),
    (Expansion(5, 3.4), Expansion(3, 4.0)),
    ((-1.0, 1.0), (-1.3, 2.0)),
)
"""Parameters depend on the central species; one angular part reaches further."""

SMALL = aenet_descriptor(
    SPECIES,
    (Expansion(2, 4.2), Expansion(1, 3.7)),
    (Expansion(2, 3.4), Expansion(3, 4.0)),
    ((-1.0, 1.0), (-1.3, 2.0)),
)
"""The same with fewer features, for tests that vary each weight of a network."""


def _structure(symbols, cell_cc, pbc, seed):
    """Return atoms at random places in the cell, none too close to another."""
    rng = np.random.default_rng(seed)
    cell_cc = np.array(cell_cc, dtype=float)
    pbc_c = np.array(pbc, dtype=bool)
    box_cc = np.where(np.any(cell_cc, axis=1)[:, None], cell_cc, 4.0 * np.eye(3))
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1) if p else (0,) for p in pbc_c]), -1)
    images_c = shifts.reshape(-1, 3) @ cell_cc
    positions = []
    while len(positions) < len(symbols):
        trial = rng.random(3) @ box_cc
        if all(
            np.linalg.norm(x - trial + images_c, axis=1).min() > 1.4 for x in positions
        ):
            positions.append(trial)
    return Structure(tuple(symbols), np.array(positions), cell_cc, pbc_c)


NOWHERE = np.zeros((3, 3))

SYSTEMS = {
    "molecule": _structure(["O", "Ti", "O"], NOWHERE, (0, 0, 0), 1),
    "cubic": _structure(["Ti", "O"] * 4, 4.57 * np.eye(3), (1, 1, 1), 2),
    "skewed cell": _structure(
        ["Ti", "O", "O", "Ti", "O"],
        [[3.93, 0.0, 0.0], [2.9, 3.8, 0.0], [-1.4, 1.7, 5.0]],
        (1, 1, 1),
        3,
    ),
    "cell smaller than the cutoff": _structure(
        ["O", "Ti"], [[2.4, 0.1, 0.0], [0.3, 2.9, 0.2], [0.0, -0.4, 2.6]], (1, 1, 1), 4
    ),
    "left-handed cell": _structure(
        ["O", "Ti", "O"],
        [[0.0, 3.9, 0.3], [3.7, 0.2, 0.0], [0.5, 0.0, 4.4]],
        (1, 1, 1),
        5,
    ),
    "slab": _structure(
        ["O", "Ti", "Ti", "O"],
        [[3.57, 0.0, 0.0], [1.1, 3.9, 0.0], [0.0, 0.0, 9.0]],
        (1, 1, 0),
        6,
    ),
    "wire": _structure(
        ["Ti", "O", "O"], [[0, 0, 0], [0.0, 3.3, 0.4], [0, 0, 0]], (0, 1, 0), 7
    ),
    "one isolated atom": _structure(["Ti"], NOWHERE, (0, 0, 0), 8),
    "one periodic atom": _structure(
        ["O"], [[2.2, 0.0, 0.1], [0.9, 2.5, 0.0], [0.2, 0.7, 2.8]], (1, 1, 1), 9
    ),
    "cluster": _structure(
        ["O", "Ti", "O", "Ti", "O", "O", "Ti"], NOWHERE, (0, 0, 0), 10
    ),
}
STRUCTURES = list(SYSTEMS.values())
CRYSTALS = [structure for structure in STRUCTURES if structure.pbc_c.all()]


def stack_all(structures=STRUCTURES):
    return stack(structures, SPECIES)


def as_species(structure, species):
    """Return the structure with its atoms given the symbols of ``species`` in turn."""
    symbols = tuple(species[i % len(species)] for i in range(len(structure)))
    return replace(structure, symbols=symbols)


def repeat(structure, counts):
    """Return the supercell, image by image."""
    shifts = np.array(list(np.ndindex(*counts)))
    positions = [structure.positions_nc + shift @ structure.cell_cc for shift in shifts]
    return replace(
        structure,
        symbols=structure.symbols * len(shifts),
        positions_nc=np.concatenate(positions),
        cell_cc=structure.cell_cc * np.array(counts)[:, None],
    )


def rotate(structure, rotation_cc):
    """Return the structure with all vectors multiplied from the right."""
    return replace(
        structure,
        positions_nc=structure.positions_nc @ rotation_cc,
        cell_cc=structure.cell_cc @ rotation_cc,
    )


def random_rotation(rng):
    """Return a proper rotation."""
    rotation_cc = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return rotation_cc * np.sign(np.linalg.det(rotation_cc))
