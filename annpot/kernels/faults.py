"""Search for what makes a structure impossible, first of all two atoms too close."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from annpot.kernels.compilation import compiled

SOUND, POSITION, CELL_VECTOR, FORCE, STRESS, FLAT_CELL, SHORT_VECTOR, PAIR = range(8)
"""The faults that `find_fault` finds."""
MOST_CELLS = 2.0
"""As many cells away images are looked for, which matters in a very flat cell only."""


@compiled()
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
    inverse_cc = np.empty((3, 3))
    volume = invert(cell_cc, inverse_cc)
    lengths = 1.0
    for c in range(3):
        lengths *= norm(cell_cc[c])
    if not abs(volume) > flattest * lengths:
        return FLAT_CELL, 0, 0, 0.0
    for c in range(3):
        if norm(cell_cc[c]) < closest:
            return SHORT_VECTOR, c, c, norm(cell_cc[c])
    i, j, r = find_close_pair(positions_nc, cell_cc, inverse_cc, pbc_c, closest)
    return PAIR if i >= 0 else SOUND, i, j, r


@compiled()
def _find_large(x_rk: Any, largest: float) -> int:
    """Return the first row with a number that is not below ``largest``, or -1."""
    for r in range(len(x_rk)):
        for k in range(x_rk.shape[1]):
            if not abs(x_rk[r, k]) < largest:
                return r
    return -1


@compiled()
def norm(v_c: Any) -> float:
    """Return the length of a vector."""
    return math.sqrt(v_c[0] ** 2 + v_c[1] ** 2 + v_c[2] ** 2)


@compiled()
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


@compiled()
def find_close_pair(
    positions_nc: Any, cell_cc: Any, inverse_cc: Any, pbc_c: Any, closest: float
) -> tuple[int, int, float]:
    """Return two atoms nearer than ``closest`` and their distance; -1, -1 if none are.

    Their nearest images count. An atom and its own images are no pair.
    """
    reach_c = np.empty(3)
    axis = _set_reach(inverse_cc, pbc_c, closest, reach_c)
    n_atoms = len(positions_nc)
    s_nc = np.empty((n_atoms, 3))
    for n in range(n_atoms):
        for c in range(3):
            s_nc[n, c] = 0.0
            for x in range(3):
                s_nc[n, c] += positions_nc[n, x] * inverse_cc[x, c]
        if pbc_c[axis]:
            s_nc[n, axis] -= math.floor(s_nc[n, axis])
    order_n = np.empty(n_atoms, dtype=np.int64)
    sort(s_nc[:, axis], order_n)
    s_nc = s_nc[order_n]
    # In this order, from each atom to the next ones in reach, around the cell's end.
    for i in range(n_atoms):
        for q in range(i + 1, i + n_atoms if pbc_c[axis] else n_atoms):
            j, turn = (q, 0.0) if q < n_atoms else (q - n_atoms, 1.0)
            if s_nc[j, axis] - s_nc[i, axis] + turn > reach_c[axis]:
                break
            if not _is_near(s_nc, i, j, pbc_c, reach_c):
                continue
            r = shortest_distance(s_nc[i], s_nc[j], cell_cc, pbc_c, reach_c)
            if r < closest:
                k, m = order_n[i], order_n[j]
                return min(k, m), max(k, m), r
    return -1, -1, math.inf


@compiled()
def _set_reach(inverse_cc: Any, pbc_c: Any, closest: float, reach_c: Any) -> int:
    """Set by how much fractional coordinates of two points so close differ at most.

    Return the highest direction of the cell: along it the fewest atoms are in reach.
    """
    axis = 0
    for c in range(3):
        # The margin is for rounding.
        reach_c[c] = min((closest + 1e-6) * norm(inverse_cc[:, c]), MOST_CELLS)
        if pbc_c[c] and (not pbc_c[axis] or reach_c[c] < reach_c[axis]):
            axis = c
    return axis


@compiled()
def sort(s_n: Any, order_n: Any) -> None:
    """Set the order in which ``s_n`` ascends, by Shell's method: quick to compile."""
    for n in range(len(s_n)):
        order_n[n] = n
    gap = len(s_n)
    while gap > 1:
        gap = max(1, gap * 4 // 9)
        for n in range(gap, len(s_n)):
            moved, m = order_n[n], n
            while m >= gap and s_n[order_n[m - gap]] > s_n[moved]:
                order_n[m] = order_n[m - gap]
                m -= gap
            order_n[m] = moved


@compiled()
def _is_near(s_nc: Any, i: int, j: int, pbc_c: Any, reach_c: Any) -> bool:
    """Return, quickly, whether any image of ``j`` is in reach of ``i``."""
    for c in range(3):
        d = s_nc[j, c] - s_nc[i, c]
        if abs(d - math.floor(d + 0.5) if pbc_c[c] else d) > reach_c[c]:
            return False
    return True


@compiled()
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


@compiled(inline="always")
def _images(d: float, reach: float, periodic: bool) -> tuple[int, int]:
    """Return the range of the integers ``n`` for which ``|d - n|`` is within reach."""
    if periodic:
        return math.ceil(d - reach), math.floor(d + reach) + 1
    return 0, 1 if abs(d) <= reach else 0
