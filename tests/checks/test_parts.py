"""The parts of the checks against direct computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annpot.checks.consistency import compute_ratio, explain_ratio
from annpot.checks.duplicates import check_duplicates
from annpot.checks.energies import fit_robustly
from annpot.checks.steps import find_steps
from annpot.checks.subject import examine
from annpot.checks.surroundings import compute_surroundings
from annpot.checks.twins import FEW, N_NEAREST, Twins, find_twins, group_alike
from annpot.dataset import split_labels
from annpot.settings import TrainSettings
from checks.crystals import clean, crystal, sample_of, structure_of

CLEAN = clean()


@pytest.fixture(scope="module")
def subject():
    return examine(sample_of(CLEAN), TrainSettings())


def test_vectors_do_not_change_with_frame_and_order():
    x = CLEAN[4]
    order = np.random.default_rng(0).permutation(len(x))
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    y = replace(
        x, positions_nc=(x.positions_nc @ turn - 2.0)[order], cell_cc=x.cell_cc @ turn
    )
    vectors = compute_surroundings(sample_of([*CLEAN, y])).vector_sd
    np.testing.assert_allclose(vectors[-1], vectors[4], atol=1e-9)


def test_nearest_twins_are_those_of_all_pairs(subject):
    sample, vectors = subject.sample, subject.surroundings.vector_sd
    pairs = set(zip(*(x.tolist() for x in subject.twins[:2]), strict=True))
    for group in group_alike(sample.counts_st):
        for s in group:
            distance = np.linalg.norm(vectors[group] - vectors[s], axis=1)
            nearest = int(group[np.argsort(distance)[1]])
            assert (min(s, nearest), max(s, nearest)) in pairs


def test_pairs_of_equal_structures_do_not_grow_with_their_square():
    n = 400
    copies = [replace(CLEAN[-1], file=f"{i}.xyz") for i in range(n)]
    sample = sample_of([*copies, CLEAN[-2]])
    twins = find_twins(sample, compute_surroundings(sample))
    assert n - 1 <= len(twins.a_k) < 6 * n


def test_near_structures_are_found_among_many():
    n, n_near = FEW, 500
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n + n_near, 16))
    near = rng.choice(n, n_near, replace=False)
    vectors[n:] = vectors[near] + rng.normal(scale=0.02, size=(n_near, 16))
    surroundings = compute_surroundings(sample_of(CLEAN[-1:]))
    sample = sample_of(
        [replace(CLEAN[-1], file=f"{i}.xyz") for i in range(len(vectors))]
    )
    twins = find_twins(sample, replace(surroundings, vector_sd=vectors))
    pairs = set(zip(twins.a_k.tolist(), twins.b_k.tolist(), strict=True))
    assert pairs.issuperset(zip(near.tolist(), range(n, n + n_near), strict=True))
    # others are near, too, and there are not more than were asked for
    assert len(pairs) <= N_NEAREST * len(vectors)
    assert np.median(twins.distance_k) < 0.8 * np.sqrt(2 * 6)


def test_duplicates_with_other_forces_and_no_energies():
    x = replace(CLEAN[-1], energy=None)
    y = replace(x, forces_nc=x.forces_nc + 1.0, file="y.xyz")
    (found,) = check_duplicates(examine(sample_of([x, y]), TrainSettings()))
    assert found.found == (
        "1 pairs of equal structures have different energies or forces"
    )
    assert found.places[0].text.startswith("1 eV/angstrom from ")


@pytest.mark.parametrize(("a", "b"), [(0, 1), (41, 42), (49, 56)])
def test_work_of_a_step_is_the_change_of_energy(a, b):
    sample = sample_of(CLEAN)
    steps = find_steps(sample, Twins(np.array([a]), np.array([b]), np.zeros(1)))
    dE = CLEAN[b].energy - CLEAN[a].energy
    work = steps.force_work_k[0] + steps.stress_work_k[0]
    assert abs(dE - work) < 0.1 * steps.bend_k[0] + 1e-4
    assert abs(dE) > 0.02


def test_a_small_step_is_exact():
    atoms = crystal()
    rng = np.random.default_rng(3)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    moved = atoms.copy()
    moved.positions += rng.normal(scale=1e-3, size=atoms.positions.shape)
    moved.set_cell(atoms.cell @ (np.eye(3) + 1e-3 * np.diag([1, -1, 2])), True)
    moved.positions += np.array([0.5, 0.1, 7.0])  # through the boundary
    moved.wrap()
    pair = [structure_of(atoms, "a", 0), structure_of(moved, "b", 0)]
    steps = find_steps(sample_of(pair), Twins(np.array([0]), np.array([1]), np.ones(1)))
    dE = pair[1].energy - pair[0].energy
    work = steps.force_work_k[0] + steps.stress_work_k[0]
    assert abs(work - dE) < 1e-3 * abs(dE)
    assert steps.displacement_k[0] < 3e-3


def test_ratio(subject):
    ratio, _, n_pairs = compute_ratio(subject)
    assert n_pairs >= 20
    assert abs(ratio - 1) < 0.05


@pytest.mark.parametrize(
    ("ratio", "fragment"),
    [
        (1 / 27.2114, "energies in hartree, forces in ev/angstrom"),
        (27.2114, "forces in hartree/angstrom"),
        (51.4221, "forces in hartree/bohr"),
        (23.06, "energies in kcal/mol"),
        (-1.0, "gradients"),
        (5.0, ""),
    ],
)
def test_ratios_of_units(ratio, fragment):
    found = explain_ratio(ratio)
    assert (fragment in found) if fragment else not found


def test_robust_fit_does_not_see_outliers():
    rng = np.random.default_rng(0)
    share_st = rng.dirichlet([1, 1, 1], size=100)
    true_t = np.array([-5.0, -100.0, 3.0])
    energy_s = share_st @ true_t + 1e-3 * rng.normal(size=100)
    energy_s[:20] *= 0.04
    np.testing.assert_allclose(fit_robustly(share_st, energy_s), true_t, atol=5e-3)


def test_split_is_that_of_training(subject):
    settings = TrainSettings()
    rng, *_ = np.random.default_rng(settings.seed).spawn(3)
    expected = split_labels(
        subject.sample.sets, settings.test_fraction, settings.validation_fraction, rng
    )
    np.testing.assert_array_equal(subject.split.test, expected.test)
    np.testing.assert_array_equal(subject.split.validation, expected.validation)
