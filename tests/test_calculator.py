import os
import re
import warnings
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from annpot import Calculator, Committee, Potential, watching
from annpot.calculator import ExtrapolationError, ExtrapolationWarning
from annpot.errors import AnnpotError
from annpot.extrapolation import Limits
from annpot.structures.reading import read_structures


@pytest.fixture
def atoms(made):
    (structure,) = read_structures(sorted((made / "train").glob("*.xsf"))[0])
    return ase.Atoms(
        structure.symbols,
        structure.positions_nc,
        cell=structure.cell_cc,
        pbc=structure.pbc_c,
    )


def ours(told):
    """Return the texts of the warnings of annpot; libraries may have others."""
    return [str(w.message) for w in told if w.category is ExtrapolationWarning]


def test_forces_and_stress_are_derivatives(made, atoms):
    from ase.calculators.fd import (
        calculate_numerical_forces,
        calculate_numerical_stress,
    )

    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    numerical = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 9])
    np.testing.assert_allclose(atoms.get_forces()[[0, 9]], numerical, atol=2e-6)
    numerical = calculate_numerical_stress(atoms, eps=1e-6)
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=2e-7)
    energies = atoms.get_potential_energies()
    assert energies.sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert atoms.calc.results["free_energy"] == atoms.get_potential_energy()


def test_the_skin_saves_searches_and_changes_nothing(made, atoms):
    rng = np.random.default_rng(0)
    atoms.set_velocities(rng.normal(scale=0.02, size=atoms.positions.shape))
    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    VelocityVerlet(atoms, timestep=1.0 * fs).run(30)
    assert 1 <= atoms.calc.n_searches < 15
    fresh = atoms.copy()
    fresh.calc = Calculator(made / "potential.h5", skin=0, on_extrapolation="ignore")
    np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(), fresh.get_stress(), atol=1e-12)


def test_atoms_may_cross_the_boundary_and_be_wrapped(made, atoms):
    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    energy = atoms.get_potential_energy()
    atoms.positions += atoms.cell[0] * 1.5
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-8)
    atoms.wrap()
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-8)


def test_a_cluster_has_no_stress(made, atoms):
    atoms.pbc = False
    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    atoms.get_forces()
    assert "stress" not in atoms.calc.results


def test_extrapolation_warns_once_stops_or_is_ignored(made, squeezed):
    squeezed.calc = Calculator(made / "potential.h5")
    with pytest.warns(ExtrapolationWarning, match="level=high step=0 atom="):
        squeezed.get_forces()
    squeezed.rattle(0.01, seed=1)
    squeezed.get_forces()  # no second warning: it would be an error
    assert squeezed.calc.extrapolations["high"] == 2
    told = "calculations outside the training data: 0 low, 2 high"
    assert squeezed.calc.summarise() == told
    squeezed.rattle(0.01, seed=2)
    with pytest.warns(ExtrapolationWarning, match="level=high step=2 atom="):
        squeezed.get_forces()
    squeezed.calc = Calculator(made / "potential.h5", on_extrapolation="stop")
    with pytest.raises(ExtrapolationError, match="level=high"):
        squeezed.get_forces()
    squeezed.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    squeezed.get_forces()


@pytest.fixture
def squeezed(atoms):
    """Return atoms that are far outside the training data."""
    atoms.set_cell(atoms.cell * 0.8, scale_atoms=True)
    return atoms


def with_limits(made, factor, high=1e9):
    """Return the potential whose limits of the distance are a multiple of its own."""
    potential = Potential.load(made / "potential.h5")
    models = []
    for model in potential.models:
        low = factor * model.domain.low
        domain = replace(model.domain, low=low, high=high * low, range=Limits(1e9, 2e9))
        models.append(replace(model, domain=domain))
    unknown_st = np.full((2, 2), np.inf)
    return replace(potential, models=tuple(models), shortest_st=unknown_st)


def shake(atoms, n_steps):
    """Compute forces of a few structures; return them, with energy and forces."""
    kept = []
    for step in range(n_steps):
        atoms.rattle(0.01, seed=step)
        forces_nc = atoms.get_forces()
        kept.append((atoms.calc._batch(), forces_nc, atoms.get_potential_energy()))
    return kept


def drift(atoms, n_steps):
    """Move atoms further and further."""
    direction_nc = np.random.default_rng(0).normal(size=atoms.positions.shape)
    for _ in range(n_steps):
        atoms.positions += 0.01 * direction_nc
        atoms.get_forces()


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only item is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    return now


def test_further_events_are_summed_up(made, atoms, clock):
    potential = with_limits(made, 1e-6)
    atoms.calc = Calculator(potential, warn_seconds=10.0)
    with pytest.warns(ExtrapolationWarning, match="at most every 10 s") as told:
        atoms.get_forces()
    assert len(ours(told)) == 1
    excess = []
    for step in range(1, 5):
        atoms.rattle(0.02 * step, seed=step)
        clock[0] += 3.0
        if step < 4:
            atoms.get_forces()
        else:
            with pytest.warns(ExtrapolationWarning) as told:
                atoms.get_forces()
        result = potential.evaluate(atoms.calc._batch())
        excess.append(potential.assess(result.features).findings[0].excess)
    worst = 1 + int(np.argmax(excess))
    (text,) = ours(told)
    assert text.endswith("this is the worst of 4 low since the last warning")
    assert f"step={worst} " in text
    assert f"excess={max(excess):.6g} " in text


def test_the_first_of_level_high_warns_at_once(made, atoms, clock):
    # all is level low, until atoms come very close
    potential = with_limits(made, 1e-6, 1e9)
    atoms.calc = Calculator(potential)
    with pytest.warns(ExtrapolationWarning, match="level=low"):
        atoms.get_forces()
    atoms.positions[1] = atoms.positions[0] + [0.4, 0.0, 0.0]
    with pytest.warns(ExtrapolationWarning, match=r"level=high .* worst of|level=high"):
        atoms.get_forces()
    assert atoms.calc.extrapolations == {"low": 1, "high": 1}


def test_only_every_third_calculation_is_tested(made, squeezed):
    squeezed.calc = Calculator(
        made / "potential.h5", on_extrapolation="stop", check_every=3
    )
    squeezed.calc.n_calculations = 1
    for step in (1, 2):
        squeezed.rattle(0.001, seed=step)
        squeezed.get_forces()
    squeezed.rattle(0.001, seed=3)
    with pytest.raises(ExtrapolationError, match="step=3"):
        squeezed.get_forces()


def test_structures_are_saved_with_what_is_known_of_each_atom(made, squeezed, tmp_path):
    file = tmp_path / "saved.extxyz"
    squeezed.calc = Calculator(
        made / "potential.h5",
        on_extrapolation="save",
        save_file=file,
        save_steps=3,
        warn_seconds=1e9,
    )
    potential = squeezed.calc.potential
    with pytest.warns(ExtrapolationWarning) as told:
        kept = shake(squeezed, 7)[::3]
    assert len(ours(told)) == 1
    frames = ase.io.read(file, ":")
    assert [atoms.info["step"] for atoms in frames] == [0, 3, 6]
    assert squeezed.calc.watch.n_saved == 3
    for atoms, (batch, forces_nc, energy) in zip(frames, kept, strict=True):
        found = potential.assess(potential.evaluate(batch).features)
        np.testing.assert_array_equal(
            atoms.arrays["extrapolation_level"], found.level_n
        )
        distance_n = atoms.arrays["extrapolation_distance"]
        np.testing.assert_allclose(distance_n, found.distance_n, rtol=1e-6)
        np.testing.assert_allclose(atoms.arrays["annpot_forces"], forces_nc, atol=1e-7)
        assert atoms.info["annpot_energy"] == pytest.approx(energy, abs=1e-6)
        assert atoms.info["extrapolation_kind"] == found.findings[0].kind
        np.testing.assert_allclose(atoms.positions, batch.positions_nc, atol=1e-7)
        assert atoms.calc is None  # nobody takes predictions for references


def test_low_saves_and_high_stops(made, atoms, tmp_path):
    file = tmp_path / "saved.extxyz"
    atoms.calc = Calculator(
        made / "potential.h5",
        on_extrapolation={"low": "save", "high": "stop"},
        save_file=file,
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ExtrapolationWarning)
        with pytest.raises(ExtrapolationError, match="level=high"):
            drift(atoms, 100)
    assert ["level=low" in text for text in ours(told)] == [True]
    frames = ase.io.read(file, ":")
    assert [a.info["extrapolation_level"] for a in frames] == ["low", "high"]
    # the one that stops is saved, though the last one was not long ago
    assert frames[1].info["step"] - frames[0].info["step"] < 100
    assert atoms.calc.extrapolations["high"] == 1


def test_a_full_disk_does_not_end_the_simulation(made, squeezed, tmp_path, monkeypatch):
    file = tmp_path / "saved.extxyz"
    file.write_text("before\n")
    calculator = Calculator(
        made / "potential.h5", on_extrapolation="save", save_file=file, save_steps=1
    )
    squeezed.calc = calculator
    write = os.write
    monkeypatch.setattr(watching.os, "write", lambda f, raw: write(f, raw[:100]))
    with pytest.warns(ExtrapolationWarning) as told:
        shake(squeezed, 3)
    assert any("No space left on device" in text for text in ours(told))
    assert len(ours(told)) == 2
    # nothing of what did not fit is left
    assert file.read_text() == "before\n"
    assert (calculator.watch.n_saved, calculator.watch.n_lost) == (0, 3)
    monkeypatch.undo()
    squeezed.rattle(0.01, seed=9)
    squeezed.get_forces()
    assert calculator.watch.n_saved == 1


def test_a_committee_tells_its_deviations(made, atoms, tmp_path):
    potential = Potential.load(made / "potential.h5")
    wide = with_limits(made, 1e9)
    members = (wide, replace(wide, energy_scale=1.1 * potential.energy_scale))
    committee = Committee(members)
    deviation_n = committee.evaluate(potential.test_vectors.batch).F_std_n
    species_n = potential.test_vectors.batch.species_n
    committee = committee.with_deviation_limits(0.01 * deviation_n, species_n)
    for s, limits in enumerate(committee.deviation_limits_s):
        largest = deviation_n[species_n == s].max()
        assert limits.high == pytest.approx(0.015 * largest, rel=1e-12)
    for name in ("committee.h5", "committee.json"):
        committee.save(tmp_path / name)
        loaded = Committee.load(tmp_path / name)
        assert loaded.deviation_limits_s == committee.deviation_limits_s
    file = tmp_path / "saved.extxyz"
    atoms.calc = Calculator(
        tmp_path / "committee.h5", on_extrapolation="save", save_file=file
    )
    atoms.rattle(0.05, seed=0)
    with pytest.warns(ExtrapolationWarning, match="kind=committee feature=force"):
        atoms.get_forces()
    saved = ase.io.read(file)
    forces_std = atoms.calc.results["forces_std"]
    np.testing.assert_allclose(saved.arrays["forces_std"], forces_std, atol=1e-7)
    assert saved.arrays["extrapolation_level"].max() == 2


def test_thirty_steps_that_are_watched(made, atoms, tmp_path):
    file = tmp_path / "saved.extxyz"
    potential = with_limits(made, 0.5)
    rng = np.random.default_rng(0)
    velocities_nc = rng.normal(scale=0.05, size=atoms.positions.shape)
    trajectories = []
    for action in ("ignore", "save"):
        moving = atoms.copy()
        moving.set_velocities(velocities_nc)
        moving.calc = Calculator(
            potential,
            on_extrapolation=action,
            save_file=file,
            save_steps=5,
            warn_seconds=1e9,
        )
        run = VelocityVerlet(moving, timestep=1.0 * fs)
        if action == "save":
            with pytest.warns(ExtrapolationWarning) as told:
                run.run(30)
        else:
            run.run(30)
        trajectories.append(moving.positions)
    # watching changes nothing
    np.testing.assert_array_equal(*trajectories)
    assert len(ours(told)) == 1
    steps = [a.info["step"] for a in ase.io.read(file, ":")]
    assert 1 < len(steps) <= 7
    assert np.diff(steps).min() >= 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"on_extrapolation": "shout"}, "expected ignore, warn, save or stop"),
        ({"on_extrapolation": {"medium": "stop"}}, "low and high, found {'medium'"),
        ({"on_extrapolation": {"low": "shout"}}, "found {'low': 'shout'}"),
        ({"on_extrapolation": None}, "found None"),
        ({"check_every": 0}, "check_every: expected a number from 1 on, found 0"),
        ({"warn_seconds": -1}, "warn_seconds: expected a number from 0 on"),
        ({"save_steps": 0}, "save_steps: expected a number from 1 on"),
        ({"save_seconds": float("nan")}, "save_seconds: expected a number from 0"),
        ({"skin": -1.0}, "skin: expected a length"),
    ],
)
def test_wrong_parameters(made, parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Calculator(made / "potential.h5", **parameters)


def test_a_file_that_cannot_be_saved_is_found_at_once(made, tmp_path):
    file = tmp_path / "none" / "saved.extxyz"
    with pytest.raises(AnnpotError, match="please make the folder first"):
        Calculator(made / "potential.h5", on_extrapolation="save", save_file=file)


def test_a_potential_that_knows_nothing_cannot_stop(made):
    potential = Potential.load(made / "potential.h5")
    models = tuple(replace(model, domain=None) for model in potential.models)
    blind = replace(potential, models=models)
    with pytest.raises(AnnpotError, match="'stop' would never happen"):
        Calculator(blind, on_extrapolation={"high": "stop"})
    Calculator(blind)
