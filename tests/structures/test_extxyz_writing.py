"""The writer of extended XYZ: the same characters as ASE's."""

import io

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from annpot.structures.extxyz_writing import format_extxyz
from annpot.structures.structure import Structure

NUMBERS = st.floats(-1e6, 1e6)
TEXTS = st.sampled_from(["a/b.xsf", "a b.tar:c.xsf", 'quo"te', "it's", "b[1].xyz"])


@settings(max_examples=80)
@given(
    n_atoms=st.integers(1, 4),
    text=TEXTS,
    energy=NUMBERS,
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    cell=st.booleans(),
    seed=st.integers(0, 10),
)
def test_characters_are_those_of_ase(n_atoms, text, energy, pbc, cell, seed):
    rng = np.random.default_rng(seed)
    structure = Structure(
        symbols=tuple(rng.choice(["H", "Ti"], n_atoms)),
        positions_nc=rng.normal(size=(n_atoms, 3)) * 10.0 ** rng.integers(-3, 5),
        cell_cc=rng.normal(size=(3, 3)) * cell,
        pbc_c=np.array(pbc),
    )
    forces_nc, levels = rng.normal(size=(n_atoms, 3)), rng.integers(0, 3, n_atoms)
    stress_v = rng.normal(size=6)
    atoms = ase.Atoms(
        structure.symbols, structure.positions_nc, cell=structure.cell_cc, pbc=pbc
    )
    atoms.info |= {"file": text, "REF_energy": -0.25, "REF_stress": stress_v}
    atoms.set_array("level", levels)
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy, forces=forces_nc, stress=stress_v
    )
    expected = io.StringIO()
    ase.io.write(expected, atoms, format="extxyz")
    stress_cc = stress_v[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
    info = {**atoms.info, "energy": energy, "stress": stress_cc}
    found = format_extxyz(structure, info, {"level": levels, "forces": forces_nc})
    assert found == expected.getvalue()


def test_other_columns_are_no_numbers():
    structure = Structure(("H",), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool))
    with pytest.raises(KeyError):
        format_extxyz(structure, {}, {"word": np.array(["x"])})
