"""Gaussians by powers of others."""

from __future__ import annotations

import math

import pytest

from annpot.descriptors.bells import plan_bells

SETS = {
    "water": [(0.2, 0.0), (0.07, 0.0), (0.03, 0.0), (0.01, 0.0)],
    "far apart": [(0.03, 0.0), (0.001, 0.0)],
    "shifted": [(0.1, 0.0), (0.3, 1.0), (0.1, 1.0), (0.2, 2.0)],
    "irrational": [(math.pi, 0.0), (math.e, 0.0), (math.sqrt(2), 0.0)],
    "flat": [(0.0, 0.0), (0.5, 0.0)],
    "equal": [(0.5, 0.0), (0.5, 0.0)],
    "one": [(0.7, 1.2)],
    "none": [],
}


@pytest.mark.parametrize("unit", [1.0, 1 / 0.529177210903**2])
@pytest.mark.parametrize("name", SETS)
def test_steps_give_the_gaussians(name, unit):
    wanted = [(eta * unit, rs) for eta, rs in SETS[name]]
    plan, r, values = plan_bells(wanted), 1.9, []
    for (source, power), (eta, rs) in zip(plan.powers, plan.exponents, strict=True):
        values.append(
            values[source] ** power if source >= 0 else math.exp(-eta * (r - rs) ** 2)
        )
    found = [values[step] for step in plan.steps]
    expected = [math.exp(-eta * (r - rs) ** 2) for eta, rs in wanted]
    assert found == pytest.approx(expected, rel=1e-13)


def test_round_decimals_share_an_exponential():
    plan = plan_bells([(eta / 0.529177210903**2, 0.0) for eta, _ in SETS["water"]])
    assert sum(source < 0 for source, _ in plan.powers) == 1
