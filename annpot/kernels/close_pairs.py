"""Search for what makes a structure impossible, first of all two atoms too close."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

SOUND, POSITION, CELL_VECTOR, FORCE, STRESS, FLAT_CELL, SHORT_VECTOR, PAIR = range(8)
"""The faults that `find_fault` finds."""
MOST_CELLS = 2.0
"""As many cells away images are looked for, which matters in a very flat cell only."""


@numba.njit(cache=True, error_model="numpy")
def find_fault(
    positions_nc: Any,
    cell_cc: Any,
    pbc_c: Any,
    forces_nc: Any,
    stress_rv: Any,
    largest: float,
    flattest: float,
    closest: float,
) -> tuple[int, int, int, float]:
    """Return the first fault, the one or two rows at fault, and a length, angstrom.

    Numbers must be below ``largest``, the volume of the cell relative to its vectors
    above ``flattest``, vectors and distances not below ``closest``. ``cell_cc`` has
    normal unit vectors where it is not periodic.
    """
    row = _find_large(positions_nc, largest)
    if row >= 0:
        return POSITION, row, row, 0.0
    row = _find_large(cell_cc, largest)
    if row >= 0:
        return CELL_VECTOR, row, row, 0.0
    row = _find_large(forces_nc, largest)
    if row >= 0:
        return FORCE, row, row, 0.0
    if _find_large(stress_rv, largest) >= 0:
        return STRESS, 0, 0, 0.0
    length_c = np.sqrt((cell_cc**2).sum(axis=1))
    inverse_cc = np.empty((3, 3))
    volume = invert(cell_cc, inverse_cc)
    if not abs(volume) > flattest * length_c.prod():
        return FLAT_CELL, 0, 0, 0.0
    for c in range(3):
        if length_c[c] < closest:
            return SHORT_VECTOR, c, c, length_c[c]
    i, j, r = find_close_pair(positions_nc, cell_cc, inverse_cc, pbc_c, closest)
    return PAIR if i >= 0 else SOUND, i, j, r


@numba.njit(cache=True, error_model="numpy")
def _find_large(x_rk: Any, largest: float) -> int:
    """Return the first row with a number that is not below ``largest``, or -1."""
    for r in range(len(x_rk)):
        for k in range(x_rk.shape[1]):
            if not abs(x_rk[r, k]) < largest:
                return r
    return -1


@numba.njit(cache=True, error_model="numpy")
def invert(cell_cc: Any, inverse_cc: Any) -> float:
    """Return the volume of ``cell_cc``; set its inverse."""
    volume = 0.0
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        for x in range(3):
            y, z = (x + 1) % 3, (x + 2) % 3
            normal = cell_cc[b, y] * cell_cc[c, z] - cell_cc[b, z] * cell_cc[c, y]
            inverse_cc[x, a] = normal
            if a == 0:
                volume += cell_cc[0, x] * normal
    for x in range(3):
        for a in range(3):
            inverse_cc[x, a] /= volume
    return volume


@numba.njit(cache=True, error_model="numpy")
def find_close_pair(
    positions_nc: Any, cell_cc: Any, inverse_cc: Any, pbc_c: Any, closest: float
) -> tuple[int, int, float]:
    """Return two atoms nearer than ``closest`` and their distance; -1, -1 if none are.

    Their nearest images count. An atom and its own images are no pair.
    """
    # Two points so close differ by less than this in each fractional coordinate; the
    # margin is for rounding.
    reach_c = (closest + 1e-6) * np.sqrt((inverse_cc**2).sum(axis=0))
    reach_c = np.minimum(reach_c, MOST_CELLS)
    # Atoms are sorted along the highest direction of the cell: few are in reach.
    axis = np.argmin(np.where(pbc_c, reach_c, 1.0))
    n_atoms = len(positions_nc)
    s_nc = np.empty((n_atoms, 3))
    for n in range(n_atoms):
        for c in range(3):
            s_nc[n, c] = (positions_nc[n] * inverse_cc[:, c]).sum()
        if pbc_c[axis]:
            s_nc[n, axis] -= math.floor(s_nc[n, axis])
    order_n = np.argsort(s_nc[:, axis])
    for p in range(n_atoms):
        i = order_n[p]
        for q in range(p + 1, p + n_atoms if pbc_c[axis] else n_atoms):
            j = order_n[q % n_atoms]
            if s_nc[j, axis] - s_nc[i, axis] + q // n_atoms > reach_c[axis]:
                break
            r = shortest_distance(s_nc[i], s_nc[j], cell_cc, pbc_c, reach_c)
            if r < closest:
                return min(i, j), max(i, j), r
    return -1, -1, math.inf


@numba.njit(cache=True, error_model="numpy")
def shortest_distance(
    si_c: Any, sj_c: Any, cell_cc: Any, pbc_c: Any, reach_c: Any
) -> float:
    """Return the distance of the nearest images in reach; infinite if there are none.

    Nearly always one is in reach or none; in a flat cell there may be several.
    """
    least2 = math.inf
    a_first, a_end = _images(sj_c[0] - si_c[0], reach_c[0], pbc_c[0])
    b_first, b_end = _images(sj_c[1] - si_c[1], reach_c[1], pbc_c[1])
    c_first, c_end = _images(sj_c[2] - si_c[2], reach_c[2], pbc_c[2])
    for a in range(a_first, a_end):
        for b in range(b_first, b_end):
            for c in range(c_first, c_end):
                r2 = 0.0
                for x in range(3):
                    r2 += (
                        (sj_c[0] - si_c[0] - a) * cell_cc[0, x]
                        + (sj_c[1] - si_c[1] - b) * cell_cc[1, x]
                        + (sj_c[2] - si_c[2] - c) * cell_cc[2, x]
                    ) ** 2
                least2 = min(least2, r2)
    return math.sqrt(least2)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _images(d: float, reach: float, periodic: bool) -> tuple[int, int]:
    """Return the range of the integers ``n`` for which ``|d - n|`` is within reach."""
    if periodic:
        return math.ceil(d - reach), math.floor(d + reach) + 1
    return 0, 1 if abs(d) <= reach else 0
