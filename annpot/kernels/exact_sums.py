"""Numbers cut into slices of 32 bits, which can be added up as integers.

The grid of the slices is the same for all numbers: slice ``t`` has the unit 2^(32 t).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from annpot.kernels.compilation import compiled

BITS, SLICES = 32, 3
LOWEST, HIGHEST = -31, 40
"""Place of the first slice of zero and of what is as small; of what is not finite."""

UNITS = 2.0 ** (-BITS * np.arange(LOWEST, -LOWEST + 1))
"""One over the unit of each place."""
SHIFT = 2.0**BITS
EXPONENT, BIAS, FRACTION_BITS = 0x7FF, 1023, 52


@compiled(nogil=True)
def add_slices(x_i: Any, bits_i: Any, top_i: Any, slices_ki: Any) -> None:
    """Add the slices of numbers to those of their sums.

    Parameters
    ----------
    bits_i
        The numbers as integers of the same bits.
    top_i
        Place of the first slice of each sum; raised as the numbers need it.
    slices_ki
        The sum of each slice, the first one first.
    """
    for i in range(len(x_i)):
        exponent = (bits_i[i] >> FRACTION_BITS) & EXPONENT
        if exponent == EXPONENT:
            top_i[i] = HIGHEST
        top = int(top_i[i])
        if top == HIGHEST:
            continue
        place = (exponent - BIAS) >> 5
        if place > top:
            for k in range(SLICES - 1, -1, -1):
                before = k - (place - top)
                slices_ki[k, i] = slices_ki[before, i] if before >= 0 else 0
            top_i[i] = top = place
        rest = x_i[i] * UNITS[top - LOWEST]
        for k in range(SLICES):
            whole = int(rest)
            slices_ki[k, i] += whole
            rest = (rest - whole) * SHIFT
