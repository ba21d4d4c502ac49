"""Search for two atoms that are too close, in a cell of any shape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from annpot.kernels import close_pairs
from annpot.structures.structure import Array

MOST_CELLS = 2.0
"""As many cells away, in each direction, images are looked for."""


def complete_cell(cell_cc: Array, pbc_c: NDArray[np.bool_]) -> Array:
    """Return ``cell_cc`` with normal unit vectors where it is not periodic."""
    if all(pbc_c.tolist()):
        return cell_cc
    n_periodic = int(np.count_nonzero(pbc_c))
    if n_periodic == 0:
        return np.eye(3)
    complete_cc = np.array(cell_cc, dtype=float)
    # Rows of the right factor beyond the rank are normal to all periodic vectors.
    complete_cc[~pbc_c] = np.linalg.svd(cell_cc[pbc_c])[2][n_periodic:]
    return complete_cc


def invert_cell(cell_cc: Array, flattest: float) -> Array | None:
    """Return the inverse of ``cell_cc``; ``None`` if its volume is nearly zero.

    Nearly zero is less than ``flattest`` times the product of the vectors' lengths.
    Plain floats, because `numpy.linalg.inv` takes five times as long.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell_cc.tolist()
    ux, uy, uz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    volume = ax * ux + ay * uy + az * uz
    lengths = math.hypot(ax, ay, az) * math.hypot(bx, by, bz) * math.hypot(cx, cy, cz)
    if not abs(volume) > flattest * lengths:
        return None
    rows = (
        (ux, cy * az - cz * ay, ay * bz - az * by),
        (uy, cz * ax - cx * az, az * bx - ax * bz),
        (uz, cx * ay - cy * ax, ax * by - ay * bx),
    )
    inverse_cc: Array = np.array(rows) / volume
    return inverse_cc


def find_close_pair(
    positions_nc: Array,
    cell_cc: Array,
    inverse_cc: Array,
    pbc_c: NDArray[np.bool_],
    closest: float,
) -> tuple[int, int, float] | None:
    """Return two atoms nearer than ``closest`` and their distance, angstrom.

    Their nearest images count. An atom and its own images are no pair.
    """
    s_nc = positions_nc @ inverse_cc
    # Moving along the shortest way between planes changes a coordinate the most. The
    # margin is for rounding, the limit for cells too flat to try all images.
    widths = [math.hypot(*column) for column in zip(*inverse_cc.tolist(), strict=True)]
    reach_c = [min((closest + 1e-6) * width, MOST_CELLS) for width in widths]
    # Along the highest direction of the cell the fewest atoms are in reach.
    axis = max(range(3), key=lambda c: (bool(pbc_c[c]), -reach_c[c]))
    if pbc_c[axis]:
        s_nc[:, axis] -= np.floor(s_nc[:, axis])
    order_n = np.argsort(s_nc[:, axis], kind="stable")
    i, j, distance = close_pairs.find_close_pair(
        closest, s_nc, order_n, axis, cell_cc, pbc_c, np.array(reach_c)
    )
    return None if i < 0 else (i, j, distance)
