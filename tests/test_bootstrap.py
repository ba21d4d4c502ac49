"""Bootstrap: which structures are drawn, and the loss over them."""

from __future__ import annotations

import numpy as np
import pytest

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


def make_loss(fingerprints) -> Loss:
    rng, settings = np.random.default_rng(0), TrainSettings(hidden=(3,), l2=0.0)
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


def test_the_loss_counts_each_structure_as_often_as_it_is_drawn(fingerprints):
    loss = make_loss(fingerprints)
    weights_w = loss.model.flatten()
    counts_s = draw_counts(0, 1, loss.n_structures)
    drawn = resample(loss, 0, 1)
    values, known = loss.compute_values(weights_w), loss.targets.references
    dE_s = (values.E_s - known.E_s) / loss.targets.batch.atoms_s
    dF2_n = np.sum((values.F_nc - known.F_nc) ** 2, axis=1)
    count_n = np.repeat(counts_s, loss.targets.batch.atoms_s)
    expected = 30.0 * np.sum(counts_s * dE_s**2) / counts_s.sum()
    expected += np.sum(count_n * dF2_n) / (3 * count_n.sum())
    found, _, _ = drawn.compute(weights_w)
    assert found == pytest.approx(expected, rel=1e-12)
    assert loss.compute(weights_w)[0] != pytest.approx(found, rel=1e-3)


def test_the_gradient_is_that_of_the_drawn_structures(fingerprints):
    drawn = resample(make_loss(fingerprints), 0, 0)
    rng = np.random.default_rng(1)
    weights_w = drawn.model.flatten()
    direction_w = rng.normal(size=weights_w.shape)
    step = 1e-5
    up, down = (
        drawn.compute(weights_w + sign * step * direction_w)[0] for sign in (1, -1)
    )
    slope = drawn.compute(weights_w)[1] @ direction_w
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_equal_factors_change_nothing(fingerprints):
    loss = make_loss(fingerprints)
    weights_w = loss.model.flatten()
    same = reweigh(loss, np.ones(loss.n_structures))
    assert same.compute(weights_w)[0] == loss.compute(weights_w)[0]


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
