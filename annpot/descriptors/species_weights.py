"""Weights that tell the species of neighbours apart in a fixed number of channels.

Features see ``sum_j w_c(species of j) ...`` in each channel c: all species alike in the
first, weighted in the others. aenet's weights are integers around 0 in the order of the
species, which hide one of three. Those by properties of the elements make similar
elements look similar; 'auto' are their principal components among the species at hand,
which tell up to as many species apart as there are channels without any loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase.data import covalent_radii

from annpot.elements import SYMBOLS
from annpot.errors import SettingsError
from annpot.structures.structure import Array

# Pauling's scale, H to Lr; 0 where no value is known (CRC Handbook of Chemistry and
# Physics, 97th edition, section 9).
_ELECTRONEGATIVITY = """
2.20 0 0.98 1.57 2.04 2.55 3.04 3.44 3.98 0 0.93 1.31 1.61 1.90 2.19 2.58 3.16 0
0.82 1.00 1.36 1.54 1.63 1.66 1.55 1.83 1.88 1.91 1.90 1.65 1.81 2.01 2.18 2.55 2.96 0
0.82 0.95 1.22 1.33 1.6 2.16 2.10 2.2 2.28 2.20 1.93 1.69 1.78 1.96 2.05 2.1 2.66 2.60
0.79 0.89 1.10 1.12 1.13 1.14 0 1.17 0 1.20 0 1.22 1.23 1.24 1.25 0 1.0
1.3 1.5 1.7 1.9 2.2 2.2 2.2 2.4 1.9 1.8 1.8 1.9 2.0 2.2 0
0.7 0.9 1.1 1.3 1.5 1.7 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3
"""
ELECTRONEGATIVITY = [0.0, *map(float, _ELECTRONEGATIVITY.split())]
_NOBLE = (2, 10, 18, 36, 54, 86, 118)
"""Atomic numbers that end the periods."""


def _period(number: int) -> int:
    return 1 + sum(number > last for last in _NOBLE)


def _group(number: int) -> float:
    """Return the group, 1 to 18; 3 to 4 for lanthanides and actinides."""
    period = _period(number)
    from_end = number - _NOBLE[period - 1] + 18
    since = number - (0, *_NOBLE)[period - 1]
    if number == 1 or since <= 2 < number:
        return since
    length = _NOBLE[period - 1] - (0, *_NOBLE)[period - 1]
    if length == 32 and since <= 17:
        return 3.0 + (since - 3) / 14
    return from_end


def _electronegativity(number: int) -> float:
    value = ELECTRONEGATIVITY[number] if number < len(ELECTRONEGATIVITY) else 0.0
    return value or 1.5


PROPERTIES: dict[str, Callable[[int], float]] = {
    "electronegativity": lambda z: _electronegativity(z) - 2.0,
    "radius": lambda z: 2.0 * (float(covalent_radii[z]) - 1.4),
    "period": lambda z: 0.5 * (_period(z) - 4.0),
    "group": lambda z: 0.125 * (_group(z) - 9.5),
    "number": lambda z: z / 50.0,
}
"""Functions of the atomic number, shifted and scaled to the order of 1; the number
itself is not shifted: it is the weight of weighted symmetry functions."""


def aenet_weights(n_species: int) -> list[float]:
    """Return aenet's weights: integers around 0, 0 itself only for odd numbers."""
    half = n_species // 2
    return [float(w) for w in range(-half, half + 1) if w != 0 or n_species % 2]


def property_weights(name: str, species: Sequence[str]) -> list[float]:
    """Return the weights of species by a property of `PROPERTIES`, or aenet's."""
    if name == "aenet":
        return aenet_weights(len(species))
    return [float(PROPERTIES[name](SYMBOLS.index(symbol))) for symbol in species]


def principal_weights(species: Sequence[str], n_channels: int) -> list[list[float]]:
    """Return weights of up to ``n_channels`` channels, orthogonal and of rms 1.

    All alike first, then the principal components of the properties of these species.
    """
    ones_t = np.ones(len(species))
    names = ("electronegativity", "radius", "period", "group")
    properties_pt = np.array([property_weights(name, species) for name in names])
    # species of equal properties still have to differ, if only a little
    tie_pt = (
        1e-3
        * np.polynomial.legendre.legvander(
            np.linspace(-1.0, 1.0, len(species)), len(species) - 1
        ).T
    )
    rows = [ones_t]
    for row in _components(properties_pt) + list(tie_pt):
        rest = row - sum(np.dot(row, r) / len(species) * r for r in rows)
        size = np.sqrt(np.mean(rest**2))
        if size > 1e-6 and len(rows) < min(n_channels, len(species)):
            rows.append(rest / size)
    return [row.tolist() for row in rows]


def _components(properties_pt: Array) -> list[Array]:
    """Return the principal components over the species, the largest first."""
    centred = properties_pt - properties_pt.mean(axis=1, keepdims=True)
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    # the sign that makes the largest weight positive, whatever the library's choice
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])
    return [s * r for s, r, size in zip(signs, rows, sizes, strict=True) if size > 1e-3]


def check_known(names: Sequence[str], species: Sequence[str], key: str) -> None:
    """Check that settings name only species that are there.

    Raises
    ------
    SettingsError
        If not.
    """
    unknown = sorted(set(names) - set(species))
    if unknown:
        raise SettingsError(
            key,
            f"{', '.join(unknown)} is not among the species {', '.join(species)}",
        )
