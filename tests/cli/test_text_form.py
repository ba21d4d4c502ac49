"""Each command takes a potential in its text form, too."""

import json

import ase.io
import pytest
from commands import run

from annpot import Calculator
from annpot.format.copying import copy


@pytest.fixture
def text(work):
    """Return a folder with the text form of its potential."""
    copy(work / "potential.h5", work / "potential.json")
    return work


def test_predict_and_info(text):
    files = sorted((text / "test").glob("*.xsf"))
    expected = run("predict", *files, folder=text)
    found = run("predict", "-p", "potential.json", *files, folder=text)
    assert found.exit_code == 0, found.stderr
    assert found.stdout == expected.stdout
    verified = run("info", "potential.json", "--verify", folder=text)
    assert verified.exit_code == 0, verified.stderr
    assert "test vectors are reproduced" in verified.stderr
    found = run("info", "potential.json", folder=text)
    expected = run("info", "potential.h5", folder=text)
    assert found.stdout.replace(".json", ".h5") == expected.stdout


def test_calculator_and_pictures(text):
    atoms = ase.io.read(sorted((text / "test").glob("*.xsf"))[0])
    energies = []
    for name in ("potential.h5", "potential.json"):
        atoms.calc = Calculator(text / name, on_extrapolation="ignore")
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1]
    result = run(
        "plot", "basis", "potential.json", "-o", text / "basis.svg", folder=text
    )
    assert result.exit_code == 0, result.stderr
    assert (text / "basis.svg").exists()


def test_train_writes_it(work):
    result = run("train", "--set", "train.output=potential.json", folder=work)
    assert result.exit_code == 0, result.stderr
    written = json.loads((work / "potential.json").read_text())
    assert written["settings"]["train"]["output"] == "potential.json"
    assert run("info", "potential.json", "--verify", folder=work).exit_code == 0


def test_an_edited_potential_is_an_error(text):
    path = text / "potential.json"
    path.write_text(path.read_text().replace('"energy_shift": ', '"energy_shift": 1'))
    result = run("info", "potential.json", folder=text)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: 'potential.json': the content does not have its checksum, it was "
        "damaged or edited: to accept an edit, please remove 'sha256'\n"
    )
