"""Ranks that stop together."""

from __future__ import annotations

import json

import pytest

from annpot.generation.crew import Crew
from annpot.parallel import Ranks
from annpot.runs.interruption import Stopped


class TwoRanks(Ranks):
    """Rank 0 of two; what the other one gives is known."""

    size = 2

    def __init__(self, other):
        self.other = json.dumps(other).encode()

    def gather(self, data):
        return [data, self.other]


def stop(*_):
    raise Stopped(15)


def test_all_gather_what_each_gives():
    crew = Crew(TwoRanks([None, {"2": 3}]), lambda *_: None)
    assert crew.goes_on(1, 2)
    assert crew.gather({1: 2}) == [{"1": 2}, {"2": 3}]


def test_who_is_to_stop_comes_to_the_others_first():
    crew = Crew(TwoRanks([None, 1]), stop)
    assert not crew.goes_on(1, 2)
    with pytest.raises(Stopped) as stopped:
        crew.gather(0)
    assert stopped.value.number == 15


def test_all_stop_if_one_does():
    crew = Crew(TwoRanks([10, 1]), lambda *_: None)
    assert crew.goes_on(1, 2)
    with pytest.raises(Stopped) as stopped:
        crew.gather(0)
    assert stopped.value.number == 10
