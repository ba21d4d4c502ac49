import ase.io
import numpy as np
import pytest
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from annpot import Calculator
from annpot.calculator import ExtrapolationError, ExtrapolationWarning
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


def test_extrapolation_warns_once_stops_or_is_ignored(made, atoms):
    atoms.set_cell(atoms.cell * 0.8, scale_atoms=True)
    atoms.calc = Calculator(made / "potential.h5")
    with pytest.warns(ExtrapolationWarning, match="level=high atom="):
        atoms.get_forces()
    atoms.rattle(0.01, seed=1)
    atoms.get_forces()  # no second warning: it would be an error
    assert atoms.calc.extrapolations["high"] == 2
    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="stop")
    with pytest.raises(ExtrapolationError, match="level=high"):
        atoms.get_forces()
    atoms.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    atoms.get_forces()
