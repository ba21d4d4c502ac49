"""Search for two atoms that are too close, in a cell of any shape."""

from __future__ import annotations

import math
from typing import Any

import numba


@numba.njit(cache=True, error_model="numpy", inline="always")
def _images(d: float, reach: float, periodic: bool) -> tuple[int, int]:
    """Return the range of the integers ``n`` for which ``|d - n|`` is within reach."""
    if periodic:
        return math.ceil(d - reach), math.floor(d + reach) + 1
    return 0, 1 if abs(d) <= reach else 0


@numba.njit(cache=True, error_model="numpy")
def shortest_distance(d_c: Any, cell_cc: Any, pbc_c: Any, reach_c: Any) -> float:
    """Return the length of the shortest image in reach of ``d_c``, which is fractional.

    Nearly always one image is in reach or none; in a flat cell there may be several.
    """
    least2 = math.inf
    a_first, a_end = _images(d_c[0], reach_c[0], pbc_c[0])
    b_first, b_end = _images(d_c[1], reach_c[1], pbc_c[1])
    c_first, c_end = _images(d_c[2], reach_c[2], pbc_c[2])
    for a in range(a_first, a_end):
        for b in range(b_first, b_end):
            for c in range(c_first, c_end):
                r2 = 0.0
                for x in range(3):
                    r2 += (
                        (d_c[0] - a) * cell_cc[0, x]
                        + (d_c[1] - b) * cell_cc[1, x]
                        + (d_c[2] - c) * cell_cc[2, x]
                    ) ** 2
                least2 = min(least2, r2)
    return math.sqrt(least2)


@numba.njit(cache=True, error_model="numpy")
def find_close_pair(
    closest: float,
    s_nc: Any,
    order_n: Any,
    axis: int,
    cell_cc: Any,
    pbc_c: Any,
    reach_c: Any,
) -> tuple[int, int, float]:
    """Return two atoms nearer than ``closest`` and their distance; -1, -1 if none are.

    ``s_nc`` are fractional coordinates; those along ``axis`` ascend in the order of the
    atoms ``order_n`` and, if it is periodic, are from 0 to 1. Two points less than
    ``closest`` apart differ by less than ``reach_c`` in them.
    """
    n_atoms = len(order_n)
    for p in range(n_atoms):
        i = order_n[p]
        # From atom to atom along the axis, as far as the reach, around its end.
        for q in range(p + 1, p + n_atoms if pbc_c[axis] else n_atoms):
            j = order_n[q % n_atoms]
            if s_nc[j, axis] - s_nc[i, axis] + q // n_atoms > reach_c[axis]:
                break
            d_c = (
                s_nc[j, 0] - s_nc[i, 0],
                s_nc[j, 1] - s_nc[i, 1],
                s_nc[j, 2] - s_nc[i, 2],
            )
            r = shortest_distance(d_c, cell_cc, pbc_c, reach_c)
            if r < closest:
                return min(i, j), max(i, j), r
    return -1, -1, math.inf
