"""Which structures of a file to take: ``":"``, ``"-1"``, ``"::10"``, ``"3"``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from annpot.errors import InputError, StructureError

Item = TypeVar("Item")
Index = int | slice

_FAR = 2**62
"""Farther than any file reaches, where Python's own indices end."""


@lru_cache
def parse_index(text: str) -> Index:
    """Return the number or slice that ``text`` is, in Python's and ASE's notation.

    Raises
    ------
    InputError
        If it is neither.
    """
    parts = str(text).split(":")
    try:
        numbers = [
            max(-_FAR, min(int(part), _FAR)) if part.strip() else None for part in parts
        ]
        if len(numbers) == 1 and numbers[0] is not None:
            return numbers[0]
        if len(numbers) in (2, 3) and 0 not in numbers[2:]:
            return slice(*numbers)
    except ValueError:
        pass  # the same message as below
    raise InputError(
        f"index '{text}': a number or a slice expected, e.g. '-1', ':', '::10', '5:20'"
    )


def select(items: Iterator[Item], index: Index, file: str) -> Iterator[Item]:
    """Yield the ``items`` of ``file`` that ``index`` selects, if possible early.

    Raises
    ------
    StructureError
        If ``index`` is a number and there are not so many items, or if there are none.
    """
    if isinstance(index, slice):
        items = _at_least_one(items, file)
        numbers = (index.start, index.stop, index.step)
        if numbers == (None, None, None):
            yield from items
        elif all(number is None or number >= 0 for number in numbers):
            yield from islice(items, *numbers)
        else:
            yield from list(items)[index]
        return
    if index >= 0:
        chosen = deque(islice(items, index, index + 1))
    else:
        chosen = deque(items, maxlen=-index)
    if len(chosen) < max(1, -index):
        raise StructureError(
            f"'{file}': structure {index} expected, the file has fewer"
        )
    yield chosen[0]


def _at_least_one(items: Iterator[Item], file: str) -> Iterator[Item]:
    item = next(items, None)
    if item is None:
        raise StructureError(f"'{file}': a structure expected, found none")
    yield item
    yield from items
