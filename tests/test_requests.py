"""What the other ranks of a training do, told by a rank 0 that is only played."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from annpot.parallel import Ranks
from annpot.requests import END, LOOK, VALIDATION, Lead, Request, follow
from annpot.runs.interruption import Stop, Stopped

WEIGHTS = np.array([1.5, -0.0, 1e-300, np.pi])
SHARE = np.array([3, 0, 7])


class Played(Ranks):
    """Gets what rank 0 is said to send, and sees signals that others got."""

    def __init__(self, requests, signals):
        self.requests, self.signals = iter(requests), iter(signals)

    def broadcast(self, data):
        return next(self.requests).pack()

    def maximum(self, values):
        return np.maximum(values, next(self.signals))


class Notes:
    """Losses that note who asks what of them."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def note(*arguments):
            self.calls.append((name, *[a.tolist() for a in arguments]))

        return note

    def training(self, member):
        self.calls.append(member)
        return self

    def validation(self):
        self.calls.append("validation")
        return self


def test_requests_are_followed_until_the_end():
    weights, structures = WEIGHTS.tobytes(), SHARE.tobytes()
    requests = [
        Request("compute", 1, weights),
        Request(LOOK),
        Request("compute_share", 0, weights, structures),
        Request("measure", 2, weights),  # a signal came: not any more
        Request("measure", VALIDATION, weights),
        Request(END, weights=b"what\ncame out"),
    ]
    losses = Notes()
    ranks = Played(requests, [0, 0, 0, signal.SIGTERM, 0])
    assert follow(losses, ranks, None) == b"what\ncame out"
    w = WEIGHTS.tolist()
    assert losses.calls == [
        *(1, ("compute", w)),
        *(0, ("compute_share", w, SHARE.tolist())),
        *("validation", ("measure", w)),
    ]


@pytest.mark.parametrize("noted", [None, signal.SIGUSR1])
def test_a_signal_to_any_rank_ends_what_rank_0_does(noted):
    stop, others = Stop(number=noted), 0 if noted else signal.SIGUSR1
    requests = [Request(LOOK)] * 2
    lead = Lead(None, None, Played(requests, [others, 0]), stop)
    with pytest.raises(Stopped) as stopped:
        lead.ask(Request(LOOK))
    assert stopped.value.number == signal.SIGUSR1
    stop.number = None
    lead.ask(Request(LOOK))
