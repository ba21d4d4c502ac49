"""Potentials before and after: differences, and what is not allowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from systems import SYSTEMS, stack_all
from test_potential import standard_potential

from annpot.convert.verification import TOLERANCE, check_structures, compare
from annpot.errors import AnnpotError


def test_a_potential_does_not_differ_from_itself():
    batch = stack_all()
    difference = compare(standard_potential(), standard_potential(), [batch, batch])
    assert difference.n_structures == 2 * batch.n_structures
    assert difference.energy == difference.force == 0.0
    difference.check("x")


@pytest.mark.parametrize("size", [1e-11, 1e-7, np.nan])
def test_differences_of_energies(size):
    before = standard_potential()
    after = replace(before, energy_shift=before.energy_shift + size)
    difference = compare(before, after, [stack_all()])
    assert difference.force == 0.0 or np.isnan(size)
    if size < TOLERANCE:
        difference.check("x")
        return
    assert difference.energy == pytest.approx(size, rel=1e-4, nan_ok=True)
    with pytest.raises(AnnpotError, match="x: read back, energies differ by up to"):
        difference.check("x")


def test_differences_of_forces():
    before = standard_potential()
    after = replace(before, energy_scale=before.energy_scale * (1 + 1e-6))
    difference = compare(before, after, [stack_all()])
    largest = np.abs(before.evaluate(stack_all()).F_nc).max()
    assert difference.force == pytest.approx(1e-6 * largest, rel=1e-6)
    with pytest.raises(AnnpotError, match="nothing was written"):
        difference.check("x")


STRUCTURE = replace(
    SYSTEMS["skewed cell"],
    energy=-3.0,
    forces_nc=np.ones_like(SYSTEMS["skewed cell"].positions_nc),
)


def test_structures_that_are_the_same():
    other = replace(STRUCTURE, energy=-3.0 + 1e-11, stress_v=np.ones(6))
    check_structures(iter([STRUCTURE, STRUCTURE]), iter([STRUCTURE, other]), "x")
    bare = replace(STRUCTURE, forces_nc=None, energy=None)
    check_structures(iter([bare]), iter([STRUCTURE]), "x")


@pytest.mark.parametrize(
    "change",
    [
        {"positions_nc": STRUCTURE.positions_nc + 1e-6},
        {"cell_cc": STRUCTURE.cell_cc * 1.0001},
        {"pbc_c": np.zeros(3, dtype=bool)},
        {"energy": -3.001},
        {"energy": None},
        {"forces_nc": -STRUCTURE.forces_nc},
        {"forces_nc": None},
        {"symbols": STRUCTURE.symbols[::-1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_structures_that_differ(change):
    other = replace(STRUCTURE, **change)
    with pytest.raises(AnnpotError, match="x, structure 1: read back, "):
        check_structures(iter([STRUCTURE] * 2), iter([STRUCTURE, other]), "x")


@pytest.mark.parametrize(("n_before", "n_after"), [(1, 2), (2, 1)])
def test_structures_that_are_missing(n_before, n_after):
    with pytest.raises(AnnpotError, match="there are other atoms"):
        check_structures(iter([STRUCTURE] * n_before), iter([STRUCTURE] * n_after), "x")


def test_species_in_another_order(tmp_path):
    batch = stack_all()
    other = batch.with_species(batch.species[::-1])
    potential = standard_potential()
    assert compare(potential, potential, [other]).energy == 0.0
