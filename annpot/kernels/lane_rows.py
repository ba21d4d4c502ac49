"""Several lanes one after the other, as one value: a row of SIMD registers.

Loops over a row are unrolled when a kernel is compiled, so that its sums stay in
registers, and one can be added to while the next still waits for its result.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from annpot.kernels.lanes import WIDTH, element_pointer, lanes_type


def _pointers(context: Any, builder: Any, sig: Any, args: Any, n: int) -> Any:
    first = element_pointer(context, builder, sig.args[0], *args[:2])
    return [builder.gep(first, [ir.Constant(ir.IntType(32), k)]) for k in range(n)]


@intrinsic(prefer_literal=True)
def load_row(typing_context: Any, array: Any, i: Any, count: Any) -> Any:
    """Return ``array[i:i + 8 count]`` of a contiguous array; ``count`` is a literal."""
    n = count.literal_value

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, sig, args, n)
        lanes = [builder.load(pointer, align=8) for pointer in pointers]
        return context.make_tuple(builder, sig.return_type, lanes)

    return types.UniTuple(lanes_type, n)(array, types.int64, count), generate


@intrinsic
def store_row(typing_context: Any, array: Any, i: Any, row: Any) -> Any:
    """Write a row to ``array[i:]`` of a contiguous array; no check."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, sig, args, len(row))
        for k, pointer in enumerate(pointers):
            builder.store(builder.extract_value(args[2], k), pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, row), generate


@intrinsic
def add_products(typing_context: Any, sums: Any, a: Any, b: Any) -> Any:
    """Return ``sums + a b``, lane by lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = []
        for k in range(len(sums)):
            c, x, y = (builder.extract_value(row, k) for row in args)
            product = builder.fmul(x, y, flags=("contract",))
            lanes.append(builder.fadd(c, product, flags=("contract",)))
        return context.make_tuple(builder, sig.return_type, lanes)

    return sums(sums, a, b), generate


@intrinsic(prefer_literal=True)
def by_degree(typing_context: Any, lanes: Any, first: Any, like: Any) -> Any:
    """Return a row that holds lane ``first + l`` at components lm of degree l.

    ``first`` is a literal, ``like`` a row as long.
    """
    last = WIDTH - 1

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = []
        for k in range(0, WIDTH * len(like), WIDTH):
            degrees = [math.isqrt(lm) for lm in range(k, k + WIDTH)]
            mask = [min(last, first.literal_value + l) for l in degrees]  # noqa: E741
            places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), mask)
            row.append(builder.shuffle_vector(args[0], args[0], places))
        return context.make_tuple(builder, sig.return_type, row)

    return like(lanes, first, like), generate
