"""What each feature answers to one neighbour, and to two: the functions it sums up.

Found by asking the descriptor itself, so that they are right for any kind of it. The
features of an atom are sums over its neighbours and over pairs of them: one neighbour
gives the radial functions, and what two neighbours give beyond each alone the angular
ones, as functions of the angle and of the distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from annpot.descriptors import Descriptor
from annpot.structures.structure import Array, Batch, Integers

N_POINTS = 361
NEGLIGIBLE = 1e-12
RIGHT_ANGLE = 90.0
"""Between the two neighbours whose distance varies, degrees."""


@dataclass(frozen=True)
class Response:
    """The features that answer to one neighbour, or two, of an atom."""

    central: str
    neighbours: tuple[str, ...]
    """Their species: one or two."""
    x: Array
    """Distance in angstrom, of one neighbour or of both; or angle in degrees."""
    of_angle: bool
    features: Integers
    """Which features of the central species."""
    G_xf: Array
    """Their values."""


def compute_responses(
    descriptor: Descriptor, central: str, distance: float
) -> list[Response]:
    """Return the answers of the features of an atom to each species, and each pair.

    Parameters
    ----------
    distance
        Of the two neighbours whose angle varies, in angstrom.
    """
    r = np.linspace(0.0, descriptor.cutoffs[-1], N_POINTS + 1)[1:]
    angle = np.linspace(0.0, 180.0, N_POINTS)
    # exactly on each other no descriptor is defined
    angle[0] = 1e-3
    responses = []
    for t in descriptor.species:
        G_xf = _features(descriptor, (central, t), _dimers(r))
        responses.append(_response(central, (t,), r, G_xf))
    motions = (
        (r, r, np.full(N_POINTS, RIGHT_ANGLE)),
        (angle, np.full(N_POINTS, distance), angle),
    )
    for t, u in combinations_with_replacement(descriptor.species, 2):
        for x, r_x, angle_x in motions:
            G_xf = _features(descriptor, (central, t, u), _trimers(r_x, angle_x))
            for symbol in (t, u):
                G_xf = G_xf - _features(descriptor, (central, symbol), _dimers(r_x))
            responses.append(_response(central, (t, u), x, G_xf, x is angle))
    return [response for response in responses if len(response.features)]


def _response(
    central: str,
    neighbours: tuple[str, ...],
    x: Array,
    G_xf: Array,
    of_angle: bool = False,
) -> Response:
    size_f = np.abs(G_xf).max(axis=0)
    features = np.flatnonzero(size_f > NEGLIGIBLE)
    return Response(central, neighbours, x, of_angle, features, G_xf[:, features])


def _dimers(r: Array) -> Array:
    """Return an atom with a neighbour along x; shape=(n_x, 2, 3)."""
    positions = np.zeros((len(r), 2, 3))
    positions[:, 1, 0] = r
    return positions


def _trimers(distance: Array, angle: Array) -> Array:
    """Return an atom with two neighbours at the same distance; shape=(n_x, 3, 3)."""
    positions = np.zeros((len(angle), 3, 3))
    positions[:, 1, 0] = distance
    positions[:, 2, 0] = distance * np.cos(np.radians(angle))
    positions[:, 2, 1] = distance * np.sin(np.radians(angle))
    return positions


def _features(
    descriptor: Descriptor, symbols: tuple[str, ...], positions_xnc: Array
) -> Array:
    """Return the features of the first atom of each molecule; shape=(n_x, n_f)."""
    n_molecules, n_atoms, _ = positions_xnc.shape
    species_n = [descriptor.species.index(symbol) for symbol in symbols]
    batch = Batch(
        species=descriptor.species,
        species_n=np.tile(species_n, n_molecules),
        positions_nc=positions_xnc.reshape(-1, 3),
        cells_scc=np.zeros((n_molecules, 3, 3)),
        pbc_sc=np.zeros((n_molecules, 3), dtype=bool),
        first_s=n_atoms * np.arange(n_molecules + 1),
    )
    features = descriptor.compute_features(batch)
    first_x = features.feature_n[batch.first_s[:-1], None]
    return features.G_f[first_x + np.arange(descriptor.n_features_s[species_n[0]])]
