"""Tables that kernels read: lists of lists, put one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized

import numpy as np

from annpot.structures.structure import Integers


def integers(values: Iterable[int]) -> Integers:
    """Return some integers."""
    return np.array(list(values), dtype=np.int64)


def firsts(lists: Sequence[Sized]) -> Integers:
    """Return where each list starts, and where the last one ends."""
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)
