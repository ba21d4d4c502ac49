"""The cosine cutoff function and Chebyshev polynomials of the distance, in lanes.

Radial functions of eight neighbours at a time: ``fc(r) T_a(x)``, ``x = 2 r / Rc - 1``
(Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017), doi:10.1103/PhysRevB.96.014112).
"""

from __future__ import annotations

import math
from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.lanes import WIDTH, load, splat, store, where_less

# without reference counts (_nrt), which would cost more than the arithmetic
inline = compiled(forceinline=True, _nrt=False)


@inline
def sine_cosine(y: Any) -> Any:
    """Return sin and cos of lanes in [-pi/2, pi/2] by Taylor series, error 4e-16.

    A libm call per lane would cost more than all other work on a neighbour.
    """
    t = -1.0 * (y * y)
    sine = splat(1.0 / 25852016738884976640000.0)
    sine = sine * t + 1.0 / 51090942171709440000.0
    sine = sine * t + 1.0 / 121645100408832000.0
    sine = sine * t + 1.0 / 355687428096000.0
    sine = sine * t + 1.0 / 1307674368000.0
    sine = sine * t + 1.0 / 6227020800.0
    sine = sine * t + 1.0 / 39916800.0
    sine = sine * t + 1.0 / 362880.0
    sine = sine * t + 1.0 / 5040.0
    sine = sine * t + 1.0 / 120.0
    sine = sine * t + 1.0 / 6.0
    sine = sine * t + 1.0
    cosine = splat(1.0 / 1124000727777607680000.0)
    cosine = cosine * t + 1.0 / 2432902008176640000.0
    cosine = cosine * t + 1.0 / 6402373705728000.0
    cosine = cosine * t + 1.0 / 20922789888000.0
    cosine = cosine * t + 1.0 / 87178291200.0
    cosine = cosine * t + 1.0 / 479001600.0
    cosine = cosine * t + 1.0 / 3628800.0
    cosine = cosine * t + 1.0 / 40320.0
    cosine = cosine * t + 1.0 / 720.0
    cosine = cosine * t + 1.0 / 24.0
    cosine = cosine * t + 1.0 / 2.0
    cosine = cosine * t + 1.0
    return y * sine, cosine


@inline
def cosine_cutoff(r: Any, r_cut: float) -> Any:
    """Return fc(r) and dfc/dr, fc(r) = [1 + cos(pi r / r_cut)] / 2 below ``r_cut``."""
    k = math.pi / r_cut
    sine, cosine = sine_cosine(k * r - 0.5 * math.pi)
    zero = splat(0.0)
    f = where_less(r, r_cut, 0.5 - 0.5 * sine, zero)
    dfdr = where_less(r, r_cut, (-0.5 * k) * cosine, zero)
    return f, dfdr


@inline
def add_chebyshev(x: Any, w: Any, order: int, sums: Any) -> None:
    """Add ``w T_a(x)`` to lane accumulator ``a`` of ``sums``, a = 0..order."""
    previous, current = w * x, w
    two_x = x + x
    for a in range(order + 1):
        store(sums, a * WIDTH, load(sums, a * WIDTH) + current)
        previous, current = current, two_x * current - previous


@inline
def add_chebyshev_pair(x: Any, w: Any, v: Any, order: int, sums: Any) -> None:
    """Add ``w T_a`` to accumulator ``2 a`` and ``v T_a`` to accumulator ``2 a + 1``."""
    previous, current = x, splat(1.0)
    two_x = x + x
    for a in range(order + 1):
        i = 2 * a * WIDTH
        store(sums, i, load(sums, i) + w * current)
        store(sums, i + WIDTH, load(sums, i + WIDTH) + v * current)
        previous, current = current, two_x * current - previous


@inline
def contract_chebyshev(x: Any, order: int, g_ak: Any) -> Any:
    """Return ``sum_a g_a0 T_a(x)`` and ``sum_a g_a1 T_a(x)``."""
    previous, current = x, splat(1.0)
    two_x = x + x
    value, derivative = splat(0.0), splat(0.0)
    for a in range(order + 1):
        value = value + g_ak[a, 0] * current
        derivative = derivative + g_ak[a, 1] * current
        previous, current = current, two_x * current - previous
    return value, derivative


@inline
def set_derivative_coefficients(order: int, g_ak: Any) -> None:
    """Set ``g_a1`` so that ``sum_a g_a1 T_a = d/dx sum_a g_a0 T_a``."""
    above, next_above = 0.0, 0.0
    for a in range(order, -1, -1):
        g_ak[a, 1] = above
        above, next_above = next_above + 2.0 * a * g_ak[a, 0], above
    g_ak[0, 1] *= 0.5
