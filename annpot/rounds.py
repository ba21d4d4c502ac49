"""Portions of work dealt to ranks in rounds; rank 0 gets the results in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from annpot.messages import join, split
from annpot.parallel import Ranks, deal
from annpot.structures.portions import Portion

DEPTH = 4
"""Portions for each rank in a round: more even out, fewer need less memory."""

Work = Callable[[Iterable[Portion]], Iterator[bytes]]
"""Yields the result of each portion, in order."""


def work_off(
    portions: Iterator[Portion],
    work: Work,
    ranks: Ranks,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Portion, bytes]]:
    """Yield portions with their results on rank 0, in order; nothing on other ranks.

    Parameters
    ----------
    portions
        Looked at on rank 0 only.
    work
        The results depend on the portions alone.
    stopped
        Whether a signal asks this rank for the end, which comes after the round.
    """
    if ranks.size == 1:
        taken: list[Portion] = []
        for result in work(_noting(portions, taken)):
            yield taken.pop(0), result
        return
    while True:
        chosen = list(islice(portions, DEPTH * ranks.size)) if ranks.rank == 0 else []
        text = json.dumps([portion.to_json() for portion in chosen])
        dealt = [
            Portion.from_json(described)
            for described in json.loads(ranks.broadcast(text.encode()))
        ]
        if not dealt or ranks.any(stopped()):
            return
        mine = deal(np.array([portion.n_bytes for portion in dealt]), ranks)
        # work ends at a failure; nobody asks for what is behind that
        results = dict(zip(mine.tolist(), work(dealt[k] for k in mine), strict=False))
        for message in ranks.collect(join(list(results), list(results.values()))):
            numbers, parts = split(message)
            results |= zip(numbers, map(bytes, parts), strict=True)
        if ranks.rank == 0:
            for k, portion in enumerate(dealt):
                yield portion, results.pop(k)


def _noting(portions: Iterator[Portion], taken: list[Portion]) -> Iterator[Portion]:
    for portion in portions:
        taken.append(portion)
        yield portion
