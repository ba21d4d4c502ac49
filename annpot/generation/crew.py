"""Ranks that work apart, and stop together when one of them is asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from annpot.parallel import Ranks
from annpot.runs.interruption import Stopped

Watch = Callable[[int, int], None]
"""Takes how many of how many portions are done, often; may raise `Stopped`."""


class Crew:
    """Some ranks, of which each does its own until all gather.

    A rank that is to stop must not leave: the others would wait for it for ever.
    """

    def __init__(self, ranks: Ranks, watch: Watch) -> None:
        self._ranks, self._watch = ranks, watch
        self._signal: int | None = None

    def goes_on(self, done: int, total: int) -> bool:
        """Tell how far this rank is; return whether it is to go on."""
        try:
            self._watch(done, total)
        except Stopped as stopped:
            self._signal = stopped.number
        return self._signal is None

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank gives, something that JSON can hold.

        Raises
        ------
        Stopped
            On all ranks, if one of them is to stop.
        """
        text = json.dumps([self._signal, value]).encode()
        shares = [json.loads(share) for share in self._ranks.gather(text)]
        for number, _ in shares:
            if number is not None:
                raise Stopped(number)
        return [given for _, given in shares]
