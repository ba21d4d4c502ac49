"""Members of a training: one after the other, kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from annpot.fingerprints import load_set
from annpot.settings import TrainSettings
from annpot.trainer import Trainer
from annpot.training import train


@pytest.fixture
def fingerprints(made):
    return load_set(made / "fingerprints.h5")


def settings(**changes):
    return TrainSettings(**{"hidden": (4,), "epochs": 5, **changes})


def evaluate(result, fingerprints):
    found = result.potential.evaluate(fingerprints.batch)
    return found.E_s, found.F_nc


def test_members_are_kept_one_by_one(fingerprints):
    both = train(fingerprints, settings(members=2))
    alone = train(fingerprints, settings(members=1))
    assert both.n_epochs == 10
    assert [1 <= e.number <= 5 for e in both.best] == [True, False]
    assert both.best[0].number == alone.best[0].number
    first, second = both.potential.members
    for s, single in enumerate(alone.potential.models):
        weights_hf = first.models[s].network.weights[0]
        np.testing.assert_array_equal(weights_hf, single.network.weights[0])
        assert not np.allclose(weights_hf, second.models[s].network.weights[0])
    assert first.provenance["best_epochs"] == [e.number for e in both.best]


def test_an_interrupt_keeps_the_members_so_far(fingerprints):
    def interrupt(epoch):
        if epoch.number == 8:
            raise KeyboardInterrupt

    result = train(fingerprints, settings(members=3), on_epoch=interrupt)
    assert result.reason == "interrupted"
    # the second one was not done: it would spoil the mean
    alone = train(fingerprints, settings(members=1))
    assert [epoch.member for epoch in result.best] == [1]
    for one, other in zip(
        evaluate(result, fingerprints), evaluate(alone, fingerprints), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_an_interrupt_keeps_the_first_member_as_it_is(fingerprints):
    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    result = train(fingerprints, settings(members=3), on_epoch=interrupt)
    assert [epoch.member for epoch in result.best] == [1]


@pytest.mark.parametrize(("limit", "members", "kept"), [(2, [1], 1), (9, [1, 2], 1)])
def test_a_time_limit_ends_all(fingerprints, monkeypatch, limit, members, kept):
    """On a clock that tells how many epochs are done."""
    monkeypatch.setattr(Trainer, "_seconds", lambda self: float(self.progress.n_epochs))
    epochs = []
    wanted = settings(members=2, time_limit=limit, epochs=8, method="adam")
    result = train(fingerprints, wanted, on_epoch=epochs.append)
    assert sorted({epoch.member for epoch in epochs}) == members
    assert len(epochs) == result.n_epochs == limit + 1  # and a step of the next one
    assert result.reason == "time limit"
    assert len(result.best) == kept  # one that is not done would spoil the other


def test_a_time_limit_leaves_time_for_an_epoch(fingerprints, monkeypatch):
    monkeypatch.setattr(Trainer, "_seconds", lambda self: 10.0)
    wanted = settings(members=2, time_limit=1.0, epochs=8, method="adam")
    result = train(fingerprints, wanted)
    assert (result.n_epochs, result.reason) == (1, "time limit")
