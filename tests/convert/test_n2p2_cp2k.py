"""A written folder in CP2K, which reads potentials of n2p2 by a code of its own."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
import test_n2p2_writing
from systems import SPECIES, SYSTEMS

from annpot.convert.n2p2.potentials import write_potential
from annpot.structures.structure import stack
from annpot.units import Units

PROGRAM = shutil.which("cp2k.psmp")
BOHR = Units("bohr", "hartree")

RECIPES = {
    "Ti": [
        {"type": "G4", "neighbours": ["Ti", "O"], "eta": 0.1, "lambda": 1, "zeta": 2},
        {"type": "G2", "neighbours": ["O"], "eta": 0.3, "r_s": 0.4},
        {"type": "G1", "neighbours": ["O"]},
        {"type": "G1", "neighbours": ["Ti"]},
    ],
    "O": [
        {"type": "G4", "neighbours": ["O", "O"], "eta": 0.1, "lambda": -1, "zeta": 1},
        {"type": "G2", "neighbours": ["Ti"], "eta": 0.5},
        {"type": "G2", "neighbours": ["O"], "eta": 0.5},
    ],
}
"""Functions that CP2K knows: types 2 and 3."""

INPUT = """\
&GLOBAL
  PROJECT test
  RUN_TYPE ENERGY_FORCE
&END GLOBAL
&FORCE_EVAL
  METHOD NNP
  &NNP
    NNP_INPUT_FILE_NAME n2p2/input.nn
    SCALE_FILE_NAME n2p2/scaling.data
    &MODEL
      WEIGHTS n2p2/weights
    &END MODEL
  &END NNP
  &PRINT
    &FORCES ON
      NDIGITS 12
    &END FORCES
  &END PRINT
  &SUBSYS
    &CELL
{cell}
    &END CELL
    &COORD
      UNIT BOHR
{atoms}
    &END COORD
  &END SUBSYS
&END FORCE_EVAL
"""


def run(folder, structure):
    """Return energy and forces in atomic units."""
    cell_cc = structure.cell_cc / BOHR.angstrom
    positions_nc = structure.positions_nc / BOHR.angstrom
    cell = [
        " ".join([name, "[bohr]", *map(repr, vector)])
        for name, vector in zip("ABC", cell_cc.tolist(), strict=True)
    ]
    atoms = [
        " ".join([symbol, *map(repr, vector)])
        for symbol, vector in zip(structure.symbols, positions_nc.tolist(), strict=True)
    ]
    text = INPUT.format(cell="\n".join(cell), atoms="\n".join(atoms))
    (folder / "test.inp").write_text(text)
    output = subprocess.run(
        [PROGRAM, "-i", "test.inp"],
        cwd=folder,
        env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    energy = float(re.search(r"FORCE_EVAL \( NNP \) energy.*: +(\S+)", output)[1])
    number = r" +(-?\d+\.\d+)"
    rows = re.findall(r"^ +\d+ +\d+ +[A-Z]\w? " + 3 * number + "$", output, re.M)
    return energy, np.array(rows, dtype=float)


@pytest.mark.skipif(PROGRAM is None, reason="CP2K is not installed")
def test_energies_and_forces_of_cp2k(tmp_path, monkeypatch):
    monkeypatch.setattr(test_n2p2_writing, "RECIPES", RECIPES)
    potential = test_n2p2_writing.make_potential(sizes=((5, 4), (5, 4)))
    assert np.abs(potential.reference_energies).min() > 0.1
    write_potential(potential, tmp_path / "n2p2", BOHR, [])
    E, F_nc = run(tmp_path, SYSTEMS["skewed cell"])
    result = potential.evaluate(stack([SYSTEMS["skewed cell"]], SPECIES))
    assert pytest.approx(E, rel=1e-11) == result.E_s[0] / BOHR.ev
    expected_nc = result.F_nc / BOHR.ev * BOHR.angstrom
    np.testing.assert_allclose(F_nc, expected_nc, rtol=0, atol=2e-12)
