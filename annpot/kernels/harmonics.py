"""Real spherical harmonics of eight neighbour directions at a time.

``C_lm`` has Racah normalisation, so that ``sum_m C_lm(u) C_lm(v) = P_l(u . v)``:

    C_lm = Q_lm(z) Re (x + i y)^m,   C_l,-m = Q_lm(z) Im (x + i y)^m,   0 <= m <= l

with Q_lm proportional to the m-th derivative of P_l. No trigonometry, no poles.
Component ``m`` of degree ``l`` has index ``l l + l + m``. Recurrences in l at fixed m:

    Q_lm = a_lm z Q_l-1,m - b_lm Q_l-2,m,    dQ_lm/dz = k_lm Q_l,m+1

As functions on the sphere only tangential gradients matter: callers project out the
radial part.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.lanes import WIDTH, load, splat, spread, store
from annpot.kernels.radial import inline

USUAL = 6
"""Number of radial functions of the moments by default."""


def recurrence_table(l_max: int) -> NDArray[np.float64]:
    """Return a_lm, b_lm and k_l,m-1 at ``[m, l]``, and Q_mm in place of a_mm.

    shape=(l_max + 1, l_max + 1, 3), used for l >= m.
    """
    table = np.zeros((l_max + 1, l_max + 1, 3))
    q_mm = 1.0
    for m in range(l_max + 1):
        if m > 1:
            q_mm *= math.sqrt((2 * m - 1) / (2 * m))
        table[m, m, 0] = q_mm
        for l in range(m, l_max + 1):  # noqa: E741
            if l > m:
                table[m, l, 0] = (2 * l - 1) / math.sqrt((l - m) * (l + m))
                table[m, l, 1] = math.sqrt(
                    (l + m - 1) * (l - m - 1) / ((l - m) * (l + m))
                )
            if m > 0:
                half = 0.5 if m == 1 else 1.0
                table[m, l, 2] = math.sqrt(half * (l - m + 1) * (l + m))
    return table


@inline
def set_harmonics(u: Any, l_max: int, table: Any, Y: Any) -> None:
    """Set ``C_lm(u)`` in lanes."""
    x, y, z = u
    cosine, sine = splat(1.0), splat(0.0)
    for m in range(l_max + 1):
        previous, q = splat(0.0), splat(table[m, m, 0])
        for l in range(m, l_max + 1):  # noqa: E741
            if l > m:
                previous, q = q, table[m, l, 0] * z * q - table[m, l, 1] * previous
            i = l * l + l
            store(Y, (i + m) * WIDTH, cosine * q)
            if m > 0:
                store(Y, (i - m) * WIDTH, sine * q)
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine


@inline
def set_legendre(z: Any, l_max: int, table: Any, Q: Any, dQdz: Any) -> None:
    """Set ``Q_lm(z)`` and their derivatives in lanes, for m >= 0."""
    for m in range(l_max + 1):
        previous, q = splat(0.0), splat(table[m, m, 0])
        store(dQdz, (m * m + m + m) * WIDTH, splat(0.0))
        for l in range(m, l_max + 1):  # noqa: E741
            if l > m:
                previous, q = q, table[m, l, 0] * z * q - table[m, l, 1] * previous
            i = l * l + l + m
            store(Q, i * WIDTH, q)
            if m > 0:
                store(dQdz, (i - 1) * WIDTH, table[m, l, 2] * q)


@inline
def _contract(u: Any, l_max: int, radial: Any, moments: Any, legendre: Any) -> Any:
    n, phi, slopes = radial
    stride, moment_ki = moments
    Q, dQdz = legendre
    x, y, _ = u
    zero = splat(0.0)
    f, dx, dy, dz = zero, zero, zero, zero
    cosine, sine = splat(1.0), zero
    cosine_below, sine_below = zero, zero
    for m in range(l_max + 1):
        v, w, dv, dw = zero, zero, zero, zero
        fv, fw = zero, zero
        for l in range(m, l_max + 1):  # noqa: E741
            i = l * l + l
            plus, minus = i + m, i - m
            B, D, B_minus, D_minus = zero, zero, zero, zero
            for k in range(n):
                p, s = load(phi, k * WIDTH), load(slopes, k * WIDTH)
                moment = spread(moment_ki, k * stride + plus)
                B, D = B + moment * p, D + moment * s
                if m > 0:
                    moment = spread(moment_ki, k * stride + minus)
                    B_minus, D_minus = B_minus + moment * p, D_minus + moment * s
            q, dqdz = load(Q, (i + m) * WIDTH), load(dQdz, (i + m) * WIDTH)
            fv = fv + D * q
            dv = dv + B * dqdz
            if m > 0:
                v = v + B * q
                w = w + B_minus * q
                fw = fw + D_minus * q
                dw = dw + B_minus * dqdz
        f = f + cosine * fv + sine * fw
        dx = dx + (1.0 * m) * (cosine_below * v + sine_below * w)
        dy = dy + (1.0 * m) * (cosine_below * w - sine_below * v)
        dz = dz + cosine * dv + sine * dw
        cosine_below, sine_below = cosine, sine
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    return f, (dx, dy, dz)


@inline
def contract_harmonics(
    u: Any, l_max: int, radial: Any, moments: Any, legendre: Any
) -> Any:
    """Return ``sum_lm D_lm C_lm(u)`` and the gradient of ``sum_lm B_lm C_lm(u)``.

    ``B_lm = sum_k moment_k,lm phi_k``, and ``D_lm`` the same with the slopes.

    Parameters
    ----------
    radial
        Number of radial functions; the functions, and their slopes, in lanes.
    moments
        Stride, and ``moment_k,lm`` at ``k stride + lm``.
    legendre
        From `set_legendre`.
    """
    n, phi, slopes = radial
    if n == USUAL:  # a constant keeps the functions in registers
        return _contract(u, l_max, (USUAL, phi, slopes), moments, legendre)
    return _contract(u, l_max, radial, moments, legendre)


@inline
def set_harmonic_tangents(
    u: Any, udot: Any, l_max: int, table: Any, Y: Any, Ydot: Any
) -> None:
    """Set ``C_lm(u)`` and their time derivatives in lanes, for ``du/dt`` tangential."""
    x, y, z = u
    xdot, ydot, zdot = udot
    zero = splat(0.0)
    cosine, sine = splat(1.0), zero
    cosine_below, sine_below = zero, zero
    for m in range(l_max + 1):
        previous, q = zero, splat(table[m, m, 0])
        c = (1.0 * m) * (cosine_below * xdot - sine_below * ydot)
        s = (1.0 * m) * (sine_below * xdot + cosine_below * ydot)
        cz = zdot * cosine_below
        sz = zdot * sine_below
        for l in range(m, l_max + 1):  # noqa: E741
            if l > m:
                previous, q = q, table[m, l, 0] * z * q - table[m, l, 1] * previous
            i = (l * l + l) * WIDTH
            mi = m * WIDTH
            store(Y, i + mi, cosine * q)
            store(Ydot, i + mi, c * q)
            if m > 0:
                store(Y, i - mi, sine * q)
                store(Ydot, i - mi, s * q)
                kq = table[m, l, 2] * q
                mi = mi - WIDTH
                store(Ydot, i + mi, load(Ydot, i + mi) + cz * kq)
                if m > 1:
                    store(Ydot, i - mi, load(Ydot, i - mi) + sz * kq)
        cosine_below, sine_below = cosine, sine
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
