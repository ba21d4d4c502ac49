"""Bootstrap: which structures are drawn, and the loss over them."""

from __future__ import annotations

import numpy as np
import pytest

from annpot import posing
from annpot.bootstrap import draw_counts, resample, reweigh
from annpot.dataset import split
from annpot.fingerprints import load_set
from annpot.loss import Loss
from annpot.posing import pose
from annpot.settings import TrainSettings
from annpot.training import train


@pytest.fixture
def fingerprints(made):
    return load_set(made / "fingerprints.h5")


def make_loss(fingerprints, **weights) -> Loss:
    rng = np.random.default_rng(0)
    settings = TrainSettings(hidden=(3,), l2=0.0, **weights)
    parts = split(fingerprints, 0.0, 0.0, rng)
    return pose(fingerprints, settings, parts, rng).training


def test_as_many_structures_are_drawn_as_there_are():
    counts = [draw_counts(7, member, 400) for member in range(3)]
    assert [count.sum() for count in counts] == [400.0] * 3
    # 1 / e of them never
    assert [np.mean(count == 0) for count in counts] == pytest.approx(
        [0.368] * 3, abs=0.06
    )
    np.testing.assert_array_equal(counts[1], draw_counts(7, 1, 400))
    assert not np.array_equal(counts[0], counts[1])
    assert not np.array_equal(counts[0], draw_counts(8, 0, 400))


@pytest.mark.parametrize("term", ["energy_weight", "force_weight"])
def test_the_loss_counts_each_structure_as_often_as_it_is_drawn(fingerprints, term):
    weights = {"energy_weight": 0.0, "force_weight": 0.0, term: 2.0}
    loss = make_loss(fingerprints, **weights)
    weights_w = loss.model.flatten()
    # of each structure alone, which the weights of the others do not change
    alone_s = [
        reweigh(loss, chosen_s).compute(weights_w).loss
        for chosen_s in np.eye(loss.n_structures)
    ]
    counts_s = draw_counts(0, 1, loss.n_structures)
    if term == "force_weight":  # means are over components of forces
        counts_s = counts_s * loss.targets.batch.atoms_s
    found = resample(loss, 0, 1)
    expected = np.average(alone_s, weights=counts_s)
    assert found.compute(weights_w).loss == pytest.approx(expected, rel=1e-12)
    assert found.measure(weights_w)[0] == pytest.approx(expected, rel=1e-12)
    assert loss.compute(weights_w).loss != pytest.approx(expected, rel=1e-3)


def test_each_shard_gets_the_factors_of_its_structures(fingerprints, monkeypatch):
    monkeypatch.setattr(posing, "SHARD_ATOMS", 50)
    loss = make_loss(fingerprints)
    factor_s = np.arange(1.0, loss.n_structures + 1)
    found = reweigh(loss, factor_s).shards
    weights = [
        new.targets.references.weight_s / old.targets.references.weight_s
        for new, old in zip(found, loss.shards, strict=True)
    ]
    assert len(weights) > 1
    assert np.concatenate(weights) == pytest.approx(factor_s)


def test_the_gradient_is_that_of_the_drawn_structures(fingerprints):
    drawn = resample(make_loss(fingerprints), 0, 0)
    rng = np.random.default_rng(1)
    weights_w = drawn.model.flatten()
    direction_w = rng.normal(size=weights_w.shape)
    step = 1e-5
    up, down = (
        drawn.compute(weights_w + sign * step * direction_w).loss for sign in (1, -1)
    )
    slope = drawn.compute(weights_w).gradient_w @ direction_w
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_equal_factors_change_nothing(fingerprints):
    loss = make_loss(fingerprints)
    weights_w = loss.model.flatten()
    same = reweigh(loss, np.ones(loss.n_structures))
    assert same.compute(weights_w).loss == loss.compute(weights_w).loss


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_members_differ_by_what_they_see(fingerprints, method):
    settings = {"hidden": (3,), "epochs": 3, "members": 2, "method": method}
    plain = train(fingerprints, TrainSettings(**settings))
    drawn = train(fingerprints, TrainSettings(**settings, bootstrap=True))
    again = train(fingerprints, TrainSettings(**settings, bootstrap=True))
    batch = fingerprints.batch
    E_s, drawn_E_s, again_E_s = (
        result.potential.members[0].evaluate(batch).E_s
        for result in (plain, drawn, again)
    )
    assert not np.allclose(E_s, drawn_E_s, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(drawn_E_s, again_E_s)
