"""Products of tall matrices with small ones, for which BLAS takes its time.

Sums of three rows and 16 columns stay in registers, of AVX2 as of AVX-512. What a row
gets does not depend on the other rows.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.lane_rows import add_products, load_row, store_row
from annpot.kernels.lanes import WIDTH, spread
from annpot.kernels.radial import inline

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)

COLUMNS = 2 * WIDTH

DEPTH = 256
"""So many rows of 16 columns stay in the first cache."""

ROWS = 48
"""So many rows of a tall matrix stay in the second one."""


@inline
def _add_panel(A: Any, B: Any, column: int, rows: Any, depths: Any, C: Any) -> None:
    """Add to 16 columns of some rows of ``C`` what some columns of ``A`` contribute."""
    m, h, last = A.shape[1], B.shape[1], rows[1] - 1
    for i in range(rows[0], rows[1], 3):
        j, k = min(i + 1, last), min(i + 2, last)  # the last row, again if need be
        at_i, at_j, at_k = i * h + column, j * h + column, k * h + column
        sums_i, sums_j = load_row(C, at_i, 2), load_row(C, at_j, 2)
        sums_k = load_row(C, at_k, 2)
        for depth in range(depths[0], depths[1]):
            row = load_row(B, depth * h + column, 2)
            sums_i = add_products(sums_i, spread(A, i * m + depth), row)
            sums_j = add_products(sums_j, spread(A, j * m + depth), row)
            sums_k = add_products(sums_k, spread(A, k * m + depth), row)
        store_row(C, at_i, sums_i)
        store_row(C, at_j, sums_j)
        store_row(C, at_k, sums_k)


@inline
def _set_panel(A: Any, B: Any, column: int, rows: Any, C: Any) -> None:
    """Set 16 columns of some rows of ``C = A B``."""
    for i in range(rows[0], rows[1]):
        C[i, column : column + COLUMNS] = 0.0
    for depth in range(0, A.shape[1], DEPTH):
        depths = depth, min(depth + DEPTH, A.shape[1])
        _add_panel(A, B, column, rows, depths, C)


@kernel
def set_product(A: Any, B: Any, C: Any) -> None:
    """Set ``C = A B``, contiguous matrices; ``B`` has 16 columns at least."""
    n, h = len(A), B.shape[1]
    for row in range(0, n, ROWS):
        for column in range(0, h, COLUMNS):
            rows = row, min(row + ROWS, n)
            _set_panel(A, B, min(column, h - COLUMNS), rows, C)
