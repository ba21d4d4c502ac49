"""Radial factors of Behler-Parrinello symmetry functions, eight distances at a time.

Rows of `annpot.kernels.recipe.RadialTable` by kind, with the numbers of each function:

    GAUSSIAN   exp(-eta (r - r_s)^2) fc(r)     eta, r_s
    COSINE     cos(kappa r) fc(r)              kappa
    COMPACT    C(r; r_low, Rc)                 r_low, and 1 if it is asymmetric

Sources: ``annpot/descriptors/README.md``. A row is a call of its own rather than
inlined: it contains all cutoff functions.
"""

from __future__ import annotations

import math
from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.cutoffs import compact_function, cutoff_function, exponential
from annpot.kernels.lanes import WIDTH, splat, store
from annpot.kernels.radial import inline, sine_cosine

GAUSSIAN, COSINE, COMPACT = 1, 2, 3

_MAGIC = 1.5 * 2.0**52
"""Added to a number and subtracted again, it rounds to an integer."""
_PI_HIGH = 3.141592653589793
_PI_LOW = 1.2246467991473532e-16


@inline
def cosine_sine(x: Any) -> Any:
    """Return cos(x) and sin(x) of lanes with ``|x| < 1e6``, less whole half turns."""
    n = ((1.0 / math.pi) * x + _MAGIC) - _MAGIC
    sine, cosine = sine_cosine((x - n * _PI_HIGH) - n * _PI_LOW)
    half = ((0.5 * n - 0.25) + _MAGIC) - _MAGIC
    sign = 1.0 - 2.0 * (n - 2.0 * half)
    return sign * cosine, sign * sine


@inline
def _store(i: int, f: Any, dfdr: Any, with_slopes: bool, phi: Any, slopes: Any) -> None:
    store(phi, i, f)
    if with_slopes:
        store(slopes, i, dfdr)


@compiled(fastmath={"contract"}, nogil=True, _nrt=False)
def set_symmetry(
    table: Any, i: int, r: Any, with_slopes: bool, phi: Any, slopes: Any
) -> None:
    """Set the functions of row ``i`` at eight distances, and their derivatives.

    They are 0 beyond the cutoff.
    """
    radius, shape, kind = table.cutoff_i[i], table.shape_i[i], table.kind_i[i]
    first, start = table.first_i[i] * WIDTH, table.start_i[i]
    if kind == COMPACT:
        for k in range(table.count_i[i]):
            low = table.parameters[start + 2 * k]
            bend = table.parameters[start + 2 * k + 1] > 0.0
            f, dfdr = compact_function(shape, r, low, radius, bend)
            _store(first + k * WIDTH, f, dfdr, with_slopes, phi, slopes)
        return
    fc, dfcdr = cutoff_function(shape, r, radius, table.alpha_i[i])
    if kind == COSINE:
        for k in range(table.count_i[i]):
            kappa = table.parameters[start + k]
            cosine, sine = cosine_sine(kappa * r)
            dfdr = dfcdr * cosine - (kappa * fc) * sine
            _store(first + k * WIDTH, fc * cosine, dfdr, with_slopes, phi, slopes)
        return
    for k in range(table.count_i[i]):
        eta = table.parameters[start + 2 * k]
        away = r - splat(table.parameters[start + 2 * k + 1])
        gaussian = exponential((-eta * away) * away)
        dfdr = gaussian * (dfcdr - (2.0 * eta) * (away * fc))
        _store(first + k * WIDTH, gaussian * fc, dfdr, with_slopes, phi, slopes)
