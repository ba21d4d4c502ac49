"""The factors of triplet functions: radial functions of a side, functions of the angle.

Blocks of eight distances, or cosines, of `annpot.kernels.triplet_recipe`'s work arrays
at a time; what functions of a row or a group share is computed once.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.cutoffs import (
    arccosine,
    compact_function,
    core_function,
    cutoff_function,
    exponential,
)
from annpot.kernels.lanes import (
    WIDTH,
    absolute,
    load,
    splat,
    square_root,
    store,
    where_less,
)
from annpot.kernels.radial import inline
from annpot.kernels.triplet_recipe import (
    COMPACT,
    COSINE,
    REAL_POWER,
    SINE_INVERSE,
    THETA,
    WINDOW,
)


@inline
def integer_power(x: Any, n: int) -> Any:
    """Return ``x ** n``, n >= 0, by squaring."""
    power = splat(1.0)
    while n > 0:
        if n % 2 == 1:
            power = power * x
        x = x * x
        n //= 2
    return power


@inline
def set_radials(
    rows: Any,
    g: int,
    distances: Any,
    target: Any,
    n_blocks: int,
    with_slopes: bool,
    work: Any,
) -> None:
    """Set the functions of set ``g``, and their slopes, for some blocks of distances.

    ``distances`` and ``target`` are an array and where to begin in it, and two arrays
    and where to begin in the row of each function. May write one block more.
    """
    phi, slopes, start = target
    for row in range(rows.first_g[g], rows.first_g[g + 1]):
        at = (phi, slopes, rows.first_i[row] * work.stride + start)
        if rows.kind_i[row] == COMPACT:
            _set_compact(rows, row, distances, at, n_blocks)
        else:
            _set_gaussians(rows, row, distances, at, n_blocks, with_slopes, work)


@inline
def _set_compact(
    rows: Any, row: int, distances: Any, target: Any, n_blocks: int
) -> None:
    """Set the window of a row, and its slope."""
    (r_k, first), (phi, slopes, at) = distances, target
    core, number = rows.shape_i[row], rows.start_i[row]
    low, high = rows.parameters[number], rows.parameters[number + 1]
    bend = rows.parameters[number + 2] != 0.0
    for i in range(0, n_blocks * WIDTH, WIDTH):
        f, dfdr = compact_function(core, load(r_k, first + i), low, high, bend)
        store(phi, at + i, f)
        store(slopes, at + i, dfdr)


@inline
def _set_gaussians(
    rows: Any,
    row: int,
    distances: Any,
    target: Any,
    n_blocks: int,
    with_slopes: bool,
    work: Any,
) -> None:
    """Set the Gaussians of a row times their cutoff function, and their slopes."""
    (r_k, first), (phi, slopes, at) = distances, target
    shape, number, stride = rows.shape_i[row], rows.start_i[row], work.stride
    radius, alpha = rows.parameters[number], rows.parameters[number + 1]
    for i in range(0, n_blocks * WIDTH, WIDTH):
        f, dfdr = cutoff_function(shape, load(r_k, first + i), radius, alpha)
        store(work.cutoff, i, f)
        if with_slopes:
            store(work.cutoff, stride + i, dfdr)
    if rows.first_step_i[row] == rows.first_step_i[row + 1]:
        for i in range(0, n_blocks * WIDTH, WIDTH):
            store(phi, at + i, load(work.cutoff, i))
            if with_slopes:
                store(slopes, at + i, load(work.cutoff, stride + i))
        return
    # two blocks at a time, since each bell waits for those before
    for i in range(0, n_blocks * WIDTH, 2 * WIDTH):
        _set_bells(rows, row, r_k, first + i, work.bells)
        for k in range(rows.count_i[row]):
            bell = 2 * rows.bell_i[rows.first_bell_i[row] + k] * WIDTH
            double_eta = 2.0 * rows.parameters[number + 2 + 2 * k]
            rs = rows.parameters[number + 3 + 2 * k]
            for b in range(0, 2 * WIDTH, WIDTH):
                e, f = load(work.bells, bell + b), load(work.cutoff, i + b)
                store(phi, at + k * stride + i + b, f * e)
                if with_slopes:
                    f = double_eta * ((load(r_k, first + i + b) - rs) * f)
                    f = load(work.cutoff, stride + i + b) - f
                    store(slopes, at + k * stride + i + b, f * e)


@inline
def _set_bells(rows: Any, row: int, r_k: Any, first: int, bells: Any) -> None:
    """Set the Gaussians of a row, as few as possible by an exponential."""
    r, q = load(r_k, first), load(r_k, first + WIDTH)
    first_step = rows.first_step_i[row]
    for step in range(first_step, rows.first_step_i[row + 1]):
        i = 2 * (step - first_step) * WIDTH
        source, n = 2 * rows.powers_sk[step, 0] * WIDTH, rows.powers_sk[step, 1]
        if source >= 0:
            bell = integer_power(load(bells, source), n)
            other = integer_power(load(bells, source + WIDTH), n)
        else:
            eta, rs = -rows.exponents_sk[step, 0], rows.exponents_sk[step, 1]
            bell = exponential(eta * ((r - rs) * (r - rs)))
            other = exponential(eta * ((q - rs) * (q - rs)))
        store(bells, i, bell)
        store(bells, i + WIDTH, other)


@inline
def set_angulars(
    recipe: Any, h: int, n_blocks: int, with_slopes: bool, work: Any
) -> None:
    """Set the angular functions of group ``h``, and their slopes by the cosine."""
    functions, first = recipe.angular, recipe.first_angular_h[h]
    stride, triplet = work.stride, work.triplet
    if recipe.has_window_h[h]:
        for i in range(0, n_blocks * WIDTH, WIDTH):
            theta, sine_inverse = angle(load(triplet, COSINE * stride + i))
            store(triplet, THETA * stride + i, theta)
            store(triplet, SINE_INVERSE * stride + i, sine_inverse)
    for q in range(first, recipe.first_angular_h[h + 1]):
        at = (q - first) * stride
        if functions.kind_q[q] == WINDOW:
            _set_window(functions, q, at, n_blocks * WIDTH, with_slopes, work)
        else:
            _set_power(functions, q, at, n_blocks * WIDTH, work)


@inline
def _set_window(
    functions: Any, q: int, at: int, count: int, with_slopes: bool, work: Any
) -> None:
    """Set a window of the angle, and its slope by the cosine."""
    stride, triplet, core = work.stride, work.triplet, functions.power_q[q]
    centre, half_width = functions.parameters_qk[q, 0], functions.parameters_qk[q, 1]
    for i in range(0, count, WIDTH):
        theta = load(triplet, THETA * stride + i)
        f, slope = window(core, theta, centre, half_width)
        store(work.angular, at + i, f)
        if with_slopes:
            slope = slope * load(triplet, SINE_INVERSE * stride + i)
            store(work.angular_slopes, at + i, slope)


@inline
def _set_power(functions: Any, q: int, at: int, count: int, work: Any) -> None:
    """Set ``(1 + lambda cos)^zeta`` and its slope by the cosine; 0 if not positive."""
    lambda_, zeta = functions.parameters_qk[q, 0], functions.parameters_qk[q, 1]
    is_real, n = functions.kind_q[q] == REAL_POWER, functions.power_q[q]
    cosine_at = COSINE * work.stride
    if is_real:
        _set_real_powers(lambda_, zeta - 1.0, at, count, work)
    for i in range(0, count, WIDTH):
        x = lambda_ * load(work.triplet, cosine_at + i) + 1.0
        power = load(work.angular, at + i) if is_real else integer_power(x, n - 1)
        f, slope = power * x, (zeta * lambda_) * power
        if abs(lambda_) > 1.0:
            f, slope = _where_positive(x, f), _where_positive(x, slope)
        store(work.angular, at + i, f)
        store(work.angular_slopes, at + i, slope)


@inline
def _where_positive(x: Any, value: Any) -> Any:
    """Return ``value`` in lanes where x > 0, else 0."""
    return where_less(0.0 - x, 0.0, value, splat(0.0))


@inline
def _set_real_powers(
    lambda_: float, exponent: float, at: int, count: int, work: Any
) -> None:
    """Set the powers of ``1 + lambda cos`` where that is positive, else 0."""
    for i in range(count):
        x = lambda_ * work.triplet[COSINE * work.stride + i] + 1.0
        work.angular[at + i] = x**exponent if x > 0.0 else 0.0


@inline
def angle(cosine: Any) -> Any:
    """Return theta and 1 / sin theta; a cosine beyond 1 by round-off counts as 1."""
    one = splat(1.0)
    cosine = where_less(cosine, 1.0, cosine, one)
    cosine = where_less(0.0 - cosine, 1.0, cosine, 0.0 - one)
    square = 1.0 - cosine * cosine
    # on a line the slope by theta is 0, and moving across does not change cos
    square = where_less(square, 1e-16, splat(1e-16), square)
    return arccosine(cosine), 1.0 / square_root(square)


@inline
def window(core: int, theta: Any, centre: float, half_width: float) -> Any:
    """Return a window of the angle, and minus its slope."""
    scale = 1.0 / half_width
    offset = scale * theta - scale * centre
    x = absolute(offset)
    x = where_less(x, 1.0, x, splat(1.0))
    f, dfdx = core_function(core, x)
    zero = splat(0.0)
    slope = dfdx * where_less(offset, 0.0, splat(scale), splat(-scale))
    return where_less(x, 1.0, f, zero), where_less(x, 1.0, slope, zero)
