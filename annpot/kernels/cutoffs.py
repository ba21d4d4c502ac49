"""The cutoff functions and compact functions of n2p2, and what they need, in lanes.

Definitions: Behler, J. Chem. Phys. 134, 074106 (2011), doi:10.1063/1.3553717; the other
cutoff functions as n2p2 2.3.0 numbers them; compact functions: Bircher, Singraber,
Dellago, Mach. Learn.: Sci. Technol. 2, 035026 (2021), doi:10.1088/2632-2153/abf817.
"""

from __future__ import annotations

import math
from typing import Any

from annpot.kernels.lanes import absolute, power_of_two, splat, square_root, where_less
from annpot.kernels.radial import cosine_cutoff, inline

HARD, COSINE, TANH, TANH_ONE, EXPONENTIAL, POLY1, POLY2, POLY3, POLY4 = range(9)
"""Cutoff functions by n2p2's number; those from `EXPONENTIAL` on are also the cores e,
p1, p2, p3, p4 of compact functions."""

_MAGIC = 1.5 * 2.0**52
_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_TANH_SCALE = 1.0 / math.tanh(1.0) ** 3
_HALF_PI = 0.5 * math.pi


@inline
def exponential(x: Any) -> Any:
    """Return exp(x) to 4e-16 relative for x <= 709; 0 below -708.

    ``x = n ln 2 + y``, the Taylor series of exp(y) for ``|y| <= ln(2) / 2``.
    """
    zero = splat(0.0)
    bounded = where_less(x, -708.0, zero - 708.0, x)
    high = bounded * _LOG2E + _MAGIC
    n = high - _MAGIC
    y = bounded - n * _LN2_HIGH - n * _LN2_LOW
    # even and odd terms side by side: shorter chains of dependent operations
    z = y * y
    even = splat(1.0 / 479001600.0)
    even = even * z + 1.0 / 3628800.0
    even = even * z + 1.0 / 40320.0
    even = even * z + 1.0 / 720.0
    even = even * z + 1.0 / 24.0
    even = even * z + 0.5
    odd = splat(1.0 / 39916800.0)
    odd = odd * z + 1.0 / 362880.0
    odd = odd * z + 1.0 / 5040.0
    odd = odd * z + 1.0 / 120.0
    odd = odd * z + 1.0 / 6.0
    odd = odd * z + 1.0
    series = odd * y + (even * z + 1.0)
    return where_less(x, -708.0, zero, series * power_of_two(high))


@inline
def arccosine(x: Any) -> Any:
    """Return arccos(x) of lanes in [-1, 1], to 5e-16.

    With ``a = |x|``: above 1/2, ``arccos a = 2 arcsin sqrt((1 - a) / 2)``, else
    ``pi/2 - arcsin a``. ``(arcsin y - y) / y^3`` on [0, 1/2] is a polynomial in y^2
    that interpolates at Chebyshev points, error 6e-17.
    """
    a = absolute(x)
    half = 0.5 - 0.5 * a
    root = where_less(a, 0.5, a, square_root(half))
    z = where_less(a, 0.5, a * a, half)
    series = splat(0.028169218060881414)
    series = series * z - 0.010749050339697808
    series = series * z + 0.01603551434914882
    series = series * z + 0.0078029494773533175
    series = series * z + 0.011875494382636922
    series = series * z + 0.013929652902326633
    series = series * z + 0.017355259955786323
    series = series * z + 0.02237204763174451
    series = series * z + 0.03038194736709848
    series = series * z + 0.044642857103423646
    series = series * z + 0.07500000000020764
    series = series * z + 0.1666666666666665
    arcsine = root + root * z * series
    angle = where_less(a, 0.5, _HALF_PI - arcsine, arcsine + arcsine)
    return where_less(x, 0.0, math.pi - angle, angle)


@inline
def core_function(core: int, x: Any) -> Any:
    """Return a core and its derivative, for lanes in [0, 1].

    It falls from 1 to 0, with n vanishing derivatives at both ends for pn, all for e.
    """
    if core == EXPONENTIAL:
        room = 1.0 - x * x
        room = where_less(room, 1e-3, splat(1e-3), room)
        inverse = 1.0 / room
        f = exponential(1.0 - inverse)
        return f, (-2.0 * x) * (inverse * inverse) * f
    y = 1.0 - x
    xy = x * y
    # f(x) = 1 - f(1 - x): without this, digits cancel where f is small
    z = where_less(x, 0.5, x, y)
    if core == POLY1:
        step, slope = (3.0 - 2.0 * z) * (z * z), -6.0 * xy
    elif core == POLY2:
        step = ((6.0 * z - 15.0) * z + 10.0) * (z * z * z)
        slope = -30.0 * (xy * xy)
    elif core == POLY3:
        step = (((70.0 - 20.0 * z) * z - 84.0) * z + 35.0) * ((z * z) * (z * z))
        slope = -140.0 * (xy * xy * xy)
    else:
        step = (((70.0 * z - 315.0) * z + 540.0) * z - 420.0) * z + 126.0
        step = step * ((z * z) * (z * z) * z)
        slope = -630.0 * ((xy * xy) * (xy * xy))
    return where_less(x, 0.5, 1.0 - step, step), slope


@inline
def compact_function(core: int, r: Any, low: float, high: float, bend: bool) -> Any:
    """Return f(r) and df/dr: a core that falls from the middle to both ends, then 0.

    Asymmetric functions (``bend``) take ``(2 - x) x`` for the distance x to the middle.
    """
    scale = 2.0 / (high - low)
    offset = scale * r - scale * (0.5 * (low + high))
    x = absolute(offset)
    x = where_less(x, 1.0, x, splat(1.0))
    slope = where_less(offset, 0.0, splat(-scale), splat(scale))
    if bend:
        f, dfdx = core_function(core, (2.0 - x) * x)
        dfdx = dfdx * (2.0 - 2.0 * x)
    else:
        f, dfdx = core_function(core, x)
    zero = splat(0.0)
    return where_less(x, 1.0, f, zero), where_less(x, 1.0, dfdx * slope, zero)


@inline
def tanh_cutoff(r: Any, radius: float) -> Any:
    """Return ``tanh(y)^3``, ``y = 1 - r / radius``, and its derivative, 0 <= y <= 1.

    ``(tanh y - y) / y^3`` is a polynomial in y^2 that interpolates at Chebyshev points,
    error 7e-17.
    """
    y = 1.0 - (1.0 / radius) * r
    z = y * y
    series = splat(-7.41114097654018e-08)
    series = series * z + 7.386981472384082e-07
    series = series * z - 3.6986096809521603e-06
    series = series * z + 1.2889423623414145e-05
    series = series * z - 3.679721325874468e-05
    series = series * z + 9.540778823530722e-05
    series = series * z - 0.00023845344045191568
    series = series * z + 0.0005898067307783174
    series = series * z - 0.0014557829138450453
    series = series * z + 0.0035921197425441464
    series = series * z - 0.00886323465252544
    series = series * z + 0.02186948847999737
    series = series * z - 0.05396825396636394
    series = series * z + 0.13333333333330813
    series = series * z - 0.33333333333333326
    t = y + y * z * series
    square = t * t
    return square * t, (-3.0 / radius) * (square * (1.0 - square))


@inline
def cutoff_function(shape: int, r: Any, radius: float, alpha: float) -> Any:
    """Return fc(r) and dfc/dr; 0 from the radius on.

    Inside ``alpha * radius`` the value is 1, except for the two of tanh.
    """
    zero = splat(0.0)
    if shape == COSINE and alpha == 0.0:
        return cosine_cutoff(r, radius)
    inner = alpha * radius
    scale = 1.0 / (radius - inner)
    x = scale * r - scale * inner
    x = where_less(x, 0.0, zero, where_less(x, 1.0, x, splat(1.0)))
    if shape == HARD:
        f, dfdr = zero + 1.0, zero
    elif shape == COSINE:
        f, dfdx = cosine_cutoff(x, 1.0)
        dfdr = scale * dfdx
    elif shape == TANH or shape == TANH_ONE:
        f, dfdr = tanh_cutoff(where_less(r, radius, r, zero + radius), radius)
        if shape == TANH_ONE:
            f, dfdr = _TANH_SCALE * f, _TANH_SCALE * dfdr
    else:
        f, dfdx = core_function(shape, x)
        dfdr = scale * dfdx
    return where_less(r, radius, f, zero), where_less(r, radius, dfdr, zero)
