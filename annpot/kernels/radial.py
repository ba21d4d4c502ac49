"""The cosine cutoff function and Chebyshev polynomials of the distance, in lanes.

Radial functions of eight neighbours at a time: ``fc(r) T_a(x)``, ``x = 2 r / Rc - 1``
(Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017), doi:10.1103/PhysRevB.96.014112).
"""

from __future__ import annotations

import math
from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.lanes import WIDTH, splat, store, where_less

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
def set_chebyshev(
    r: Any, r_cut: float, x: Any, dxdr: Any, functions: Any, phi: Any, slopes: Any
) -> None:
    """Set ``fc(r) T_a(x)``, a = 0, 1, .., and their derivatives by r.

    Parameters
    ----------
    x, dxdr
        Argument of the polynomials, and its derivative.
    functions
        Number of the first function, how many, and whether derivatives are wanted.
    """
    k, count, with_slopes = functions
    f, dfdr = cosine_cutoff(r, r_cut)
    two_x = x + x
    previous, current = x, splat(1.0)
    # T'_a+1 = 2 T_a + 2 x T'_a - T'_a-1, with T'_-1 = T'_1 = 1
    slope_before, slope = splat(1.0), splat(0.0)
    f_x = dxdr * f
    for a in range(count):
        i = (k + a) * WIDTH
        store(phi, i, f * current)
        if with_slopes:
            store(slopes, i, dfdr * current + f_x * slope)
            following = (current + current) + two_x * slope - slope_before
            slope_before, slope = slope, following
        previous, current = current, two_x * current - previous
