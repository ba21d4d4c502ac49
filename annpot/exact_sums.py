"""Sums of arrays that have the same bits in whatever order their parts are added.

Numbers are cut into slices on a grid that is the same for all, and the slices added up
as integers; after J. Demmel, H. D. Nguyen, IEEE Trans. Comput. 64, 2060 (2015),
doi:10.1109/TC.2014.2345391.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.exact_sums import BITS, HIGHEST, LOWEST, SLICES, add_slices

Array = NDArray[np.float64]


class ExactSum:
    """A sum of arrays of one shape, element by element.

    It is accurate to 2^-64 of the largest part, or 1e-298; for up to 2^30 parts.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        size = int(np.prod(shape, dtype=np.int64))
        self.top_i = np.full(size, LOWEST, dtype=np.int8)
        """Place of the first slice on the grid."""
        self.slices_ki = np.zeros((SLICES, size), dtype=np.int64)

    def add(self, part: Array) -> None:
        """Add a part."""
        part = np.ascontiguousarray(part, dtype=np.float64).reshape(np.shape(part))
        if part.shape != self.shape:
            raise ValueError(f"a part of shape {part.shape} among {self.shape}")
        x_i = part.reshape(-1)
        add_slices(x_i, x_i.view(np.int64), self.top_i, self.slices_ki)

    def merge(self, other: ExactSum) -> None:
        """Add all parts of another sum."""
        top_i = np.maximum(self.top_i, other.top_i)
        self.raise_to(top_i)
        other.raise_to(top_i)
        self.slices_ki += other.slices_ki

    def raise_to(self, top_i: NDArray[np.int8]) -> None:
        """Let the slices begin higher on the grid, where ``top_i`` is higher."""
        steps_i = top_i - self.top_i
        for _ in range(min(SLICES, steps_i.max(initial=0))):
            moved_ki = np.roll(self.slices_ki, 1, axis=0)
            moved_ki[0] = 0
            self.slices_ki = np.where(steps_i > 0, moved_ki, self.slices_ki)
            steps_i -= 1
        self.top_i = np.maximum(self.top_i, top_i)

    def value(self) -> Array:
        """Return the sum; NaN where a part is not finite."""
        total_i = np.zeros(self.top_i.shape)
        for k in reversed(range(SLICES)):
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                unit_i = BITS * (self.top_i.astype(np.int64) - k)
                total_i += np.ldexp(self.slices_ki[k].astype(np.float64), unit_i)
        return np.where(self.top_i == HIGHEST, np.nan, total_i).reshape(self.shape)
