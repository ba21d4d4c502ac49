"""The product of tall matrices with small ones, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from annpot.kernels.products import COLUMNS, DEPTH, ROWS, set_product


@pytest.mark.parametrize("n", [1, 2, 3, ROWS - 1, 2 * ROWS + 4])
@pytest.mark.parametrize("m", [1, DEPTH, 2 * DEPTH + 3])
@pytest.mark.parametrize("h", [COLUMNS, COLUMNS + 1, 3 * COLUMNS - 1])
def test_products(n, m, h):
    rng = np.random.default_rng(n + m + h)
    A, B, C = rng.normal(size=(n, m)), rng.normal(size=(m, h)), np.full((n, h), np.nan)
    set_product(A, B, C)
    np.testing.assert_allclose(C, A @ B, rtol=0, atol=1e-14 * m)


def test_a_row_does_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2 * ROWS, DEPTH + 1)), rng.normal(size=(DEPTH + 1, 40))
    C = np.empty((len(A), 40))
    set_product(A, B, C)
    for rows in (slice(0, 1), slice(5, 7), slice(ROWS - 1, ROWS + 2)):
        part = np.empty((rows.stop - rows.start, 40))
        set_product(A[rows], B, part)
        np.testing.assert_array_equal(part, C[rows])
