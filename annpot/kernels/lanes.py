"""Eight doubles in one SIMD register, as a value that compiled kernels compute with.

LLVM vectorises only innermost loops, but the recurrences of Chebyshev polynomials and
spherical harmonics are innermost and serial. ``Lanes`` turns that around: a kernel
takes eight neighbours at a time and runs the recurrence on registers. LLVM lowers the
type to one AVX-512, two AVX2 or four NEON registers.

Inside ``numba.njit`` functions, lanes support ``+ - * /`` with lanes and floats, and
the functions below. Products and sums may be contracted to fused multiply-adds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import NDArray

WIDTH = 8

_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_INDEX = ir.IntType(64)


class LanesType(types.Type):  # type: ignore[misc]
    """Numba's type of eight doubles."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes_type = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _VECTOR)


def _splat(builder: Any, scalar: Any) -> Any:
    """Return a vector whose lanes all hold ``scalar``."""
    one = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _define_operator(function: Callable[..., Any], instruction: str) -> None:
    """Let ``function`` work on lanes with lanes or floats through ``instruction``."""
    operands = [
        (lanes_type, lanes_type),
        (lanes_type, types.float64),
        (types.float64, lanes_type),
    ]

    @infer_global(function)
    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(lanes_type, *pair) for pair in operands]  # noqa: RUF012

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vectors = [
            value if kind is lanes_type else _splat(builder, value)
            for kind, value in zip(sig.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*vectors, flags=("contract",))

    for pair in operands:
        lower_builtin(function, *pair)(lower)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


def element_pointer(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    """Return where the lanes that begin with ``array[i]`` are."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), _VECTOR.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, i: Any) -> Any:
    """Return ``array[i:i + 8]`` of a contiguous array; any alignment, no check."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args[0], *args)
        return builder.load(pointer, align=8)

    return lanes_type(array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, i: Any, value: Any) -> Any:
    """Write ``value`` to ``array[i:i + 8]`` of a contiguous array; no check."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args[0], *args[:2])
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes_type), generate


@intrinsic
def splat(typing_context: Any, value: Any) -> Any:
    """Return lanes that all hold the float ``value``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(builder, args[0])

    return lanes_type(types.float64), generate


@intrinsic
def element(typing_context: Any, array: Any, i: Any) -> Any:
    """Return ``array[i]`` of a contiguous array, ``i`` not negative; no check.

    For the innermost loops: numba spends three instructions more on ``array[i]``.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.int64), generate


@intrinsic
def add_to_element(typing_context: Any, array: Any, i: Any, value: Any) -> Any:
    """Add ``value`` to ``array[i]`` of a contiguous array, as `element` reads it."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        sums = builder.fadd(builder.load(pointer), args[2], flags=("contract",))
        builder.store(sums, pointer)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.float64), generate


@intrinsic
def spread(typing_context: Any, array: Any, i: Any) -> Any:
    """Return lanes that all hold ``array[i]``, as `element` reads it."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return _splat(builder, builder.load(builder.gep(data, [args[1]])))

    return lanes_type(array, types.int64), generate


@intrinsic
def square_root(typing_context: Any, value: Any) -> Any:
    """Return the square root of each lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.sqrt.v8f64"
        )
        return builder.call(function, args)

    return lanes_type(lanes_type), generate


@intrinsic
def where_less(
    typing_context: Any, value: Any, limit: Any, then: Any, otherwise: Any
) -> Any:
    """Return ``then`` in lanes where ``value < limit``, else ``otherwise``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        less = builder.fcmp_ordered("<", args[0], _splat(builder, args[1]))
        return builder.select(less, args[2], args[3])

    return lanes_type(lanes_type, types.float64, lanes_type, lanes_type), generate


@intrinsic
def where_first(typing_context: Any, count: Any, then: Any, otherwise: Any) -> Any:
    """Return ``then`` in the first ``count`` lanes, ``otherwise`` in the others."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(_INDEX, WIDTH)
        counts = ir.Constant(integers, ir.Undefined)
        for lane in range(WIDTH):
            counts = builder.insert_element(
                counts, args[0], ir.Constant(ir.IntType(32), lane)
            )
        first = builder.icmp_signed(
            "<", ir.Constant(integers, list(range(WIDTH))), counts
        )
        return builder.select(first, args[1], args[2])

    return lanes_type(types.int64, lanes_type, lanes_type), generate


@intrinsic
def total(typing_context: Any, value: Any) -> Any:
    """Return the sum of the eight lanes, always added in the same order."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts, width = args[0], WIDTH
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    parts,
                    parts,
                    ir.Constant(
                        ir.VectorType(ir.IntType(32), width),
                        list(range(first, first + width)),
                    ),
                )
                for first in (0, width)
            ]
            parts = builder.fadd(*halves)
        return builder.extract_element(parts, ir.Constant(ir.IntType(32), 0))

    return types.float64(lanes_type), generate


@intrinsic
def totals(typing_context: Any, array: Any, i: Any) -> Any:
    """Return the sums of eight lanes ``array[i:i + 8]``, ``array[i + 8:...]``, ...

    A tree of shuffles and additions: a third of the work of eight times `total`.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args[0], *args)
        rows = [
            builder.load(
                builder.gep(pointer, [ir.Constant(ir.IntType(32), row)]), align=8
            )
            for row in range(WIDTH)
        ]
        step = 1
        while len(rows) > 1:
            rows = [
                _add_interleaved(builder, *pair, step)
                for pair in zip(rows[::2], rows[1::2], strict=True)
            ]
            step *= 2
        return rows[0]

    return lanes_type(array, types.int64), generate


def _add_interleaved(builder: Any, a: Any, b: Any, step: int) -> Any:
    """Add neighbouring runs of ``step`` lanes of both; runs of the sums alternate."""
    runs = range(0, WIDTH, 2 * step)
    masks = [
        [
            source + run + offset + k
            for run in runs
            for source in (0, WIDTH)
            for k in range(step)
        ]
        for offset in (0, step)
    ]
    halves = [
        builder.shuffle_vector(
            a, b, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), mask)
        )
        for mask in masks
    ]
    return builder.fadd(*halves)


@intrinsic
def power_of_two(typing_context: Any, value: Any) -> Any:
    """Return ``2**n`` of lanes that hold ``n + 1.5 * 2**52``, -1022 <= n <= 1023.

    So high, the unit is the last bit of a double: its lowest bits are those of n.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(_INDEX, WIDTH)
        shift = ir.Constant(integers, [52] * WIDTH)
        one = ir.Constant(integers, [1023 << 52] * WIDTH)
        exponent = builder.shl(builder.bitcast(args[0], integers), shift)
        return builder.bitcast(builder.add(exponent, one), _VECTOR)

    return lanes_type(lanes_type), generate


@intrinsic
def absolute(typing_context: Any, value: Any) -> Any:
    """Return the absolute value of each lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.fabs.v8f64"
        )
        return builder.call(function, args)

    return lanes_type(lanes_type), generate


@intrinsic
def any_positive(typing_context: Any, value: Any) -> Any:
    """Tell whether any lane is greater than 0."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        positive = builder.fcmp_ordered(">", args[0], ir.Constant(_VECTOR, None))
        bits = builder.bitcast(positive, ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(lanes_type), generate


@intrinsic
def gather(typing_context: Any, array: Any, at: Any, indices: Any, i: Any) -> Any:
    """Return ``array[at + indices[i:i + 8]]`` of a contiguous array; no check."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source, at, indices, i = args
        data = context.make_array(sig.args[0])(context, builder, source).data
        integers = ir.VectorType(_INDEX, WIDTH)
        numbers = context.make_array(sig.args[2])(context, builder, indices).data
        pointer = builder.bitcast(builder.gep(numbers, [i]), integers.as_pointer())
        index = builder.load(pointer, align=8)
        base = builder.gep(data, [at])
        lanes = ir.Constant(_VECTOR, ir.Undefined)
        for lane in range(WIDTH):
            number = ir.Constant(ir.IntType(32), lane)
            element = builder.gep(base, [builder.extract_element(index, number)])
            lanes = builder.insert_element(lanes, builder.load(element), number)
        return lanes

    return lanes_type(array, types.int64, indices, types.int64), generate


@intrinsic
def scatter(
    typing_context: Any, array: Any, at: Any, indices: Any, i: Any, value: Any
) -> Any:
    """Write ``value`` to ``array[at + indices[i:i + 8]]``, lane by lane; no check."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target, at, indices, i, value = args
        data = context.make_array(sig.args[0])(context, builder, target).data
        numbers = context.make_array(sig.args[2])(context, builder, indices).data
        base = builder.gep(data, [at])
        for lane in range(WIDTH):
            number = ir.Constant(ir.IntType(32), lane)
            place = builder.add(i, ir.Constant(_INDEX, lane))
            index = builder.load(builder.gep(numbers, [place]))
            element = builder.extract_element(value, number)
            builder.store(element, builder.gep(base, [index]))
        return context.get_dummy_value()

    return types.void(array, types.int64, indices, types.int64, lanes_type), generate


@intrinsic
def list_less(
    typing_context: Any,
    value: Any,
    limit: Any,
    first: Any,
    table: Any,
    indices: Any,
    i: Any,
) -> Any:
    """Write ``first + lane`` of each lane with ``value < limit`` to ``indices[i:]``.

    Overwrites eight places without a branch; returns the place behind the last of the
    list. ``table`` is `lane_table`.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, limit, first, table, indices, i = args
        integers = ir.VectorType(_INDEX, WIDTH)
        less = builder.fcmp_ordered("<", value, _splat(builder, limit))
        bits = builder.zext(builder.bitcast(less, ir.IntType(WIDTH)), _INDEX)
        rows = context.make_array(sig.args[3])(context, builder, table).data
        row = builder.gep(rows, [builder.mul(bits, ir.Constant(_INDEX, WIDTH))])
        bytes_ = ir.VectorType(ir.IntType(8), WIDTH)
        lanes = builder.load(builder.bitcast(row, bytes_.as_pointer()), align=1)
        start = builder.insert_element(
            ir.Constant(integers, ir.Undefined), first, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
        start = builder.shuffle_vector(start, start, zeros)
        found = builder.add(builder.zext(lanes, integers), start)
        numbers = context.make_array(sig.args[4])(context, builder, indices).data
        pointer = builder.bitcast(builder.gep(numbers, [i]), integers.as_pointer())
        builder.store(found, pointer, align=8)
        return builder.add(i, builder.ctpop(bits))

    return (
        types.int64(
            lanes_type, types.float64, types.int64, table, indices, types.int64
        ),
        generate,
    )


def lane_table() -> NDArray[np.uint8]:
    """Return for each set of lanes their numbers, as 8 bytes in a row."""
    table = np.zeros((1 << WIDTH, WIDTH), dtype=np.uint8)
    for bits, row in enumerate(table):
        lanes = [lane for lane in range(WIDTH) if bits >> lane & 1]
        row[: len(lanes)] = lanes
    return table.ravel()


def aligned_zeros(count: int) -> NDArray[np.float64]:
    """Return zeros of which each eight lie in one cache line.

    Lanes across two lines take twice the time, and far more to be read back soon.
    """
    size = WIDTH * np.dtype(np.float64).itemsize
    room = np.zeros(count + WIDTH)
    first = -room.ctypes.data % size // room.itemsize
    return room[first : first + count]
