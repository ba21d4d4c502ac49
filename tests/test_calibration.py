"""Calibration: an independent quantile, coverage, few data, and the file."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
from made_potentials import random_potential, resolved
from systems import SPECIES, stack_all

from annpot.calibration import Calibration, Deviations, Scale, fit_calibration
from annpot.committee import Committee
from annpot.dataset import references
from annpot.errors import FileFormatError
from annpot.evaluation import calibrate
from annpot.fingerprints import load_set
from annpot.predictor import load_predictor
from annpot.settings import TrainSettings
from annpot.training import train


def make_deviations(n_structures, atoms_per_structure, seed, species=2):
    """Return errors that are as large as deviations say, up to a factor by species."""
    rng = np.random.default_rng(seed)
    n = n_structures * atoms_per_structure
    species_n = rng.integers(species, size=n)
    F_std_n = rng.lognormal(-3.0, 0.7, size=n)
    size_n = F_std_n * (1.0 + species_n)
    E_std_s = rng.lognormal(-6.0, 0.5, size=n_structures)
    return Deviations(
        energy_error_s=3.0 * E_std_s * rng.normal(size=n_structures),
        E_std_s=E_std_s,
        force_error_n=size_n * np.linalg.norm(rng.normal(size=(n, 3)), axis=1),
        F_std_n=F_std_n,
        species_n=species_n,
    )


def test_the_factor_is_the_quantile_of_the_ratios():
    found = make_deviations(100, 5, seed=1)
    calibration = fit_calibration(found, 2)
    for s, scale in enumerate(calibration.forces):
        mask = found.species_n == s
        floor = 0.1 * np.median(found.F_std_n[mask])
        ratios = sorted(
            error / max(std, floor)
            for error, std in zip(
                found.force_error_n[mask], found.F_std_n[mask], strict=True
            )
        )
        n = len(ratios)
        rank = -(-(n + 1) * 9 // 10)  # in integers
        assert scale.count == n
        assert scale.floor == pytest.approx(floor, rel=1e-14)
        assert scale.factor == pytest.approx(ratios[rank - 1], rel=1e-14)
        # of as many ratios, no fewer and no more than the level says
        assert sum(r <= scale.factor for r in ratios) == rank
    ratios = sorted(abs(found.energy_error_s) / found.E_std_s)
    assert calibration.energy.factor == pytest.approx(ratios[90], rel=1e-14)


def test_nine_of_ten_errors_of_other_structures_are_below_their_bounds():
    calibration = fit_calibration(make_deviations(300, 10, seed=2), 2)
    other = make_deviations(2000, 10, seed=3)
    bound_n = calibration.bound_forces(other.F_std_n, other.species_n)
    below_n = other.force_error_n < bound_n
    for mask in (other.species_n == 0, other.species_n == 1):
        assert np.mean(below_n[mask]) == pytest.approx(0.9, abs=0.02)
    one = np.ones(2000, dtype=np.int64)
    below_s = abs(other.energy_error_s) < calibration.bound_energies(other.E_std_s, one)
    assert np.mean(below_s) == pytest.approx(0.9, abs=0.03)
    # the two species do not share a factor
    first, second = (scale.factor for scale in calibration.forces)
    assert second / first == pytest.approx(2.0, rel=0.1)


def test_energies_count_per_atom():
    calibration = Calibration(0.9, Scale(2.0, 0.01, 50), None)
    bound_s = calibration.bound_energies(np.array([0.3, 0.001]), np.array([10, 4]))
    np.testing.assert_allclose(bound_s, [2.0 * 0.3, 2.0 * 0.01 * 4], rtol=1e-14)
    assert calibration.bound_forces(np.ones(3), np.zeros(3, dtype=int)) is None


def test_members_that_agree_leave_a_bound():
    found = make_deviations(40, 5, seed=4)
    calibration = fit_calibration(replace(found, F_std_n=0.0 * found.F_std_n), 2)
    assert [scale.floor for scale in calibration.forces] == [1e-6] * 2
    bound_n = calibration.bound_forces(np.zeros(200), found.species_n)
    assert np.mean(found.force_error_n <= bound_n) >= 0.9
    assert np.isfinite(bound_n).all()
    assert bound_n.min() > 0.0


@pytest.mark.parametrize(("count", "known"), [(8, False), (9, False), (10, True)])
def test_few_errors_have_no_quantile(count, known):
    found = make_deviations(count, 1, seed=5, species=1)
    calibration = fit_calibration(found, 1)
    assert (calibration.energy is not None) is known
    assert (calibration.forces is not None) is known
    if known:  # ceil(11 * 0.9) = 10: the largest
        ratios = abs(found.energy_error_s) / found.E_std_s
        assert calibration.energy.factor == ratios.max()


def test_a_rare_species_has_the_factor_of_all():
    found = make_deviations(50, 4, seed=6)
    species_n = np.where(np.arange(200) < 9, 1, 0)
    calibration = fit_calibration(replace(found, species_n=species_n), 3)
    common, rare, absent = calibration.forces
    assert common.count == 191
    assert rare == absent
    assert rare.count == 200
    assert rare == fit_calibration(replace(found, species_n=0 * species_n), 1).forces[0]


def test_what_has_no_reference_does_not_count():
    found = make_deviations(50, 4, seed=7)
    force_error_n = np.where(np.arange(200) % 2, np.nan, found.force_error_n)
    holes = replace(found, force_error_n=force_error_n)
    fewer = replace(
        found,
        force_error_n=found.force_error_n[::2],
        F_std_n=found.F_std_n[::2],
        species_n=found.species_n[::2],
    )
    assert fit_calibration(holes, 2) == fit_calibration(fewer, 2)
    none = replace(found, energy_error_s=np.full(50, np.nan))
    assert fit_calibration(none, 2).energy is None


# Of a committee.


def two_members(calibration=None):
    members = [random_potential(resolved(SPECIES), seed=seed) for seed in range(2)]
    return Committee(tuple(members), calibration)


CALIBRATION = Calibration(
    0.9, Scale(2.5, 1e-4, 30), (Scale(3.0, 0.01, 70), Scale(4.0, 0.02, 90))
)


@pytest.mark.parametrize("suffix", ["h5", "json"])
@pytest.mark.parametrize(
    "calibration",
    [
        None,
        CALIBRATION,
        replace(CALIBRATION, energy=None),
        replace(CALIBRATION, forces=None),
    ],
)
def test_the_file_keeps_it(tmp_path, suffix, calibration):
    path = tmp_path / f"committee.{suffix}"
    two_members(calibration).save(path)
    assert load_predictor(path).calibration == calibration


def test_evaluations_have_bounds():
    batch = stack_all()
    plain, found = two_members().evaluate(batch), two_members(CALIBRATION)
    found = found.evaluate(batch)
    assert plain.E_error_s is plain.F_error_n is None
    expected_s = 2.5 * np.maximum(plain.E_std_s, 1e-4 * batch.atoms_s)
    np.testing.assert_allclose(found.E_error_s, expected_s, rtol=1e-14)
    factor_n = np.where(batch.species_n == 0, 3.0, 4.0)
    floor_n = np.where(batch.species_n == 0, 0.01, 0.02)
    expected_n = factor_n * np.maximum(plain.F_std_n, floor_n)
    np.testing.assert_allclose(found.F_error_n, expected_n, rtol=1e-14)
    energies = two_members(CALIBRATION).evaluate(batch, forces=False)
    assert energies.F_error_n is None
    np.testing.assert_array_equal(energies.E_error_s, found.E_error_s)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda g: g.attrs.__setitem__("level", 1.5), "level 1.5, expected 0 to 1"),
        (lambda g: g.attrs.__delitem__("level"), "level"),
        (lambda g: g.attrs.__setitem__("energy_factor", -1.0), "factors and floors"),
        (lambda g: g.attrs.__setitem__("energy_floor", math.inf), "a finite number"),
        (lambda g: g.attrs.__delitem__("n_energies"), "n_energies"),
        (lambda g: g["force_factors"].__setitem__(0, np.nan), "finite numbers"),
        (lambda g: g.__delitem__("force_floors"), "force_floors: missing"),
        (
            lambda g: (g.__delitem__("n_forces"), g.update(n_forces=np.arange(3))),
            "shape (2) expected",
        ),
    ],
)
def test_a_bad_calibration_is_an_error_that_names_it(tmp_path, spoil, message):
    path = tmp_path / "committee.h5"
    two_members(CALIBRATION).save(path)
    with h5py.File(path, "r+") as file:
        spoil(file["calibration"])
    with pytest.raises(FileFormatError) as error:
        load_predictor(path)
    assert str(error.value).startswith(f"'{path}'")
    assert "calibration" in str(error.value)
    assert message in str(error.value)


def test_a_training_calibrates_on_its_validation_structures(made):
    fingerprints = load_set(made / "fingerprints.h5")
    settings = TrainSettings(
        hidden=(5,), epochs=15, members=3, validation_fraction=0.5, test_fraction=0.0
    )
    committee = train(fingerprints, settings).potential
    structures = np.array(committee.members[0].provenance["split"]["validation"])
    assert len(structures) == 6  # too few energies
    batch = fingerprints.batch.take(structures)
    found, known = committee.evaluate(batch), references(fingerprints, structures)
    error_n = np.sqrt(np.sum((found.F_nc - known.F_nc) ** 2, axis=1))
    for s in range(2):
        mask = batch.species_n == s
        n, below = (
            mask.sum(),
            np.sum(error_n[mask] <= found.F_error_n[mask] * (1 + 1e-9)),
        )
        assert below == math.ceil(0.9 * (n + 1))
        # what is unusual, of so few: more than all, and 1.5 times that
        largest = found.F_std_n[mask].max()
        expected = pytest.approx((largest, 1.5 * largest), rel=1e-9)
        assert committee.deviation_limits_s[s] == expected
    assert committee.calibration.energy is found.E_error_s is None
    # of the four test structures, which are others
    test = np.flatnonzero(np.array(fingerprints.labels.sets) == "test")
    found, known = (
        committee.evaluate(fingerprints.batch.take(test)),
        references(fingerprints, test),
    )
    error_n = np.sqrt(np.sum((found.F_nc - known.F_nc) ** 2, axis=1))
    assert np.mean(error_n < found.F_error_n) == pytest.approx(0.9, abs=0.1)


def test_energies_are_calibrated_by_the_errors_per_atom(made):
    fingerprints = load_set(made / "fingerprints.h5")
    batch = fingerprints.batch
    committee = two_members()
    found = calibrate(committee, fingerprints, np.arange(batch.n_structures))
    atoms_sk = np.array(
        [
            np.bincount(batch.species_n[a:b])
            for a, b in itertools.pairwise(batch.first_s)
        ]
    )
    result = committee.evaluate(batch)
    error_s = result.E_s - atoms_sk @ committee.reference_energies
    error_s -= fingerprints.labels.energy_s - atoms_sk @ fingerprints.reference_energies
    std_s = result.E_std_s / batch.atoms_s
    ratio_s = np.abs(error_s) / batch.atoms_s / np.maximum(std_s, np.median(std_s) / 10)
    energy = found.calibration.energy
    assert energy.count == batch.n_structures == 16  # the quantile is the largest
    assert energy.factor == pytest.approx(ratio_s.max(), rel=1e-9)


def test_without_validation_structures_nothing_is_calibrated(made):
    fingerprints = load_set(made / "fingerprints.h5")
    committee = two_members(CALIBRATION)
    none = np.zeros(0, dtype=np.int64)
    assert calibrate(committee, fingerprints, none) is committee
