"""input.nn becomes settings that give the same symmetry functions."""

from __future__ import annotations

import re

import n2p2_files
import numpy as np
import pytest
from commands import run
from damage import assert_ends_well, change, flips, truncations

from annpot.convert.n2p2.inputs import convert_n2p2_input, is_input_nn
from annpot.descriptors.building import make_descriptor
from annpot.errors import FileFormatError
from annpot.generation.generating import generate
from annpot.settings import StructureGroup, load_settings, read_settings
from annpot.structures.reading import read_structures
from annpot.structures.structure import stack
from annpot.units import LENGTHS, Units

CASES = n2p2_files.read_archive(n2p2_files.DATA)
ATOMIC = Units("bohr", "hartree")

INPUT = """\
####################
# INPUT FOR WATER  #
####################
number_of_elements              2
elements                        O H
atom_energy                     O -75.0
atom_energy                     H -0.5
cutoff_type                     2 0.0
scale_symmetry_functions
scale_symmetry_functions_sigma  # of no effect
scale_min_short                 0.0
global_hidden_layers_short      2
global_nodes_short              25 20
global_activation_short         t t l

use_short_forces
random_seed                     10
test_fraction                   0.1
epochs                          25
force_weight                    10.0
updater_type                    1
kalman_type                     0
selection_mode                  2
rmse_threshold                  0.9
weights_min                     -1.0
weights_max                     1.0
memorize_symfunc_results
write_trainlog

symfunction_short H 2 H 0.01 0.0 12.0
symfunction_short H 2 O 0.01 0.0 12.0
symfunction_short H 3 O H 0.2 -1.0 1.0 10.0
symfunction_short O 2 H 0.01 0.0 12.0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "input.nn").write_text(INPUT)
    return tmp_path


def convert(folder, units=ATOMIC, notes=None):
    path = folder / "input.nn"
    notes = [] if notes is None else notes
    text = convert_n2p2_input(path, units, notes, folder)
    return text, read_settings(text, "in.yaml")


@pytest.mark.parametrize("units", [Units(), ATOMIC], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_features_are_those_of_n2p2(tmp_path, case, units):
    for name in ("input.nn", "input.data"):
        (tmp_path / name).write_text(CASES[case][name])
    _, settings = convert(tmp_path, units)
    (group,) = settings.structures
    assert group == StructureGroup(
        files=("input.data",), format="runner", units=str(units)
    )
    descriptor = make_descriptor(settings.descriptor, tuple(settings.species))
    structures = read_structures(
        tmp_path / "input.data", format=group.format, units=group.units
    )
    batch = stack(list(structures), descriptor.species)
    features = descriptor.compute_features(batch)
    predictions = n2p2_files.read_predictions(CASES[case]["reference.txt"])
    expected_n = [G_f for prediction in predictions for G_f in prediction.G_n]
    tolerance = 1e-9 if "p4" in case else 1e-10
    assert batch.n_atoms == len(expected_n)
    for atoms, found_nf in zip(
        features.atoms_s, features.blocks(features.G_f), strict=True
    ):
        if len(atoms):
            expected_nf = np.array([expected_n[n] for n in atoms])
            largest = np.abs(expected_nf).max()
            np.testing.assert_allclose(
                found_nf, expected_nf, rtol=0, atol=tolerance * largest
            )


def test_settings(folder):
    notes = []
    text, settings = convert(folder, notes=notes)
    energies = {symbol: s.energy for symbol, s in settings.species.items()}
    assert energies == pytest.approx(
        {"H": -0.5 * 27.211386245988, "O": -75.0 * 27.211386245988}, rel=1e-15
    )
    (section,) = settings.descriptor
    assert section.cutoff_function == "tanh"
    assert section.cutoff == pytest.approx(12.0 * LENGTHS["bohr"], rel=1e-15)
    (part,) = make_descriptor(settings.descriptor, ("H", "O")).parts
    assert [len(functions) for functions in part.functions_s] == [3, 1]
    eta = 0.01 / LENGTHS["bohr"] ** 2
    assert part.functions_s[1][0].eta == pytest.approx(eta, rel=1e-15)
    train = settings.train
    assert (train.hidden, train.activation) == ((25, 20), "tanh")
    assert (train.method, train.epochs, train.seed) == ("lbfgs", 25, 10)
    assert (train.test_fraction, train.validation_fraction) == (0.1, 0.0)
    assert (train.members, train.scaling, train.l2) == (1, "zscore", 0.0)
    assert train.force_weight == 1.0
    numbers = [int(n) for note in notes for n in re.findall(r"line (\d+)", note)]
    # each line of the training that has no counterpart, and the scaling of no effect
    assert sorted(numbers) == [10, *range(20, 29)]
    for number in numbers[1:]:
        assert f"# input.nn, line {number}: " in text
    assert any("no input.data beside input.nn" in note for note in notes)
    assert not settings.structures


def test_the_settings_can_be_used(folder, monkeypatch):
    case = CASES["norm_atom_energy"]
    (folder / "input.nn").write_text(case["input.nn"])
    data = re.sub(r"energy .*", "energy -1.0", case["input.data"])
    (folder / "input.data").write_text(data)
    _, settings = convert(folder)
    monkeypatch.chdir(folder)
    summary = generate(settings, folder)
    assert summary.n_structures == len(
        n2p2_files.read_predictions(case["reference.txt"])
    )


def test_without_energies_of_atoms_they_are_fitted(folder):
    change(folder / "input.nn", "atom_energy                     O -75.0\n", "")
    _, settings = convert(folder)
    assert settings.species["O"].energy == 0.0
    change(folder / "input.nn", "atom_energy                     H -0.5\n", "")
    text, settings = convert(folder)
    assert settings.species["O"].energy == "fit"
    assert "There is no atom_energy" in text


def test_normalisation_needs_no_counterpart(folder):
    (folder / "input.nn").write_text(CASES["norm_atom_energy"]["input.nn"])
    notes = []
    text, _ = convert(folder, notes=notes)
    assert "annpot finds its own scale" in " ".join(text.replace("#", "").split())
    assert len(notes) == 1


def test_paths_are_relative_to_the_settings(folder):
    (folder / "input.data").write_text("")
    (folder / "out").mkdir()
    text = convert_n2p2_input(folder / "input.nn", ATOMIC, [], folder / "out")
    assert read_settings(text, "x").structures[0].files == ("../input.data",)


ACTIVATIONS = {
    "l": "linear",
    "t": "tanh",
    "s": "sigmoid",
    "p": "softplus",
    "r": "relu",
    "g": "gaussian",
    "c": "cosine",
    "S": "sigmoid",
    "e": "exponential",
    "h": "square",
}


@pytest.mark.parametrize(("letter", "name"), ACTIVATIONS.items())
def test_activations(folder, letter, name):
    change(folder / "input.nn", "t t l", f"{letter} {letter} l")
    notes = []
    text, settings = convert(folder, notes=notes)
    assert settings.train.activation == name
    assert ("make up for it" in text) == (letter in "gS")
    assert not any("several activations" in note for note in notes)


EDITS = {
    "Adam": (
        "updater_type                    1",
        "updater_type 0\ngradient_type 1\ngradient_adam_eta 0.01\n"
        "gradient_adam_beta1 0.9\ntask_batch_size_energy 8",
        "gradient_adam_beta1 0.9: no counterpart",
        lambda train: (
            (train.method, train.adam.learning_rate, train.adam.batch)
            == ("adam", 0.01, 8)
        ),
    ),
    "Adam, all at once": (
        "updater_type                    1",
        "updater_type 0\ngradient_type 1\ntask_batch_size_energy 0",
        "task_batch_size_energy 0: all at once, annpot: 1",
        lambda train: (train.adam.learning_rate, train.adam.batch) == (1e-3, 1),
    ),
    "gradient descent": (
        "updater_type                    1",
        "updater_type 0\ngradient_type 0\ngradient_eta 0.1",
        "gradient_eta 0.1: of gradient descent",
        lambda train: train.method == "lbfgs",
    ),
    "Kalman filter": (
        "kalman_type                     0",
        "kalman_epsilon 0.01",
        "line 22: kalman_epsilon 0.01: of the Kalman filter",
        lambda train: train.method == "lbfgs",
    ),
    "no forces": (
        "use_short_forces",
        "# nothing",
        "the Kalman filter: annpot has L-BFGS and Adam",
        lambda train: train.force_weight == 0.0,
    ),
    "no epoch": (
        "epochs                          25",
        "epochs 0",
        "epochs 0: annpot makes one at least",
        lambda train: train.epochs == 1,
    ),
    "networks of elements": (
        "use_short_forces",
        "element_nodes_short O 1 7\nelement_nodes_short O 2 8",
        "",
        lambda train: train.hidden == {"H": (25, 20), "O": (7, 8)},
    ),
    "several activations": (
        "t t l",
        "t p l",
        "several activations: annpot has one for all layers, ",
        lambda train: train.activation in ("tanh", "softplus"),
    ),
    "normalize_nodes": (
        "use_short_forces",
        "normalize_nodes",
        "normalize_nodes: annpot's initial weights see to that",
        lambda train: True,
    ),
    "unknown keyword": (
        "random_seed                     10",
        "randomseed 10",
        "line 17: unknown keyword 'randomseed', ignored, did you mean 'random_seed'?",
        lambda train: train.seed == 0,
    ),
    "function twice": (
        "symfunction_short O 2 H 0.01 0.0 12.0",
        "symfunction_short O 2 H 0.01 0.0 12.0\n" * 2,
        "1 functions of O are there twice: taken once",
        lambda train: True,
    ),
    "no cutoff type": (
        "cutoff_type                     2 0.0",
        "",
        "no cutoff_type",
        lambda train: True,
    ),
}


@pytest.mark.parametrize(("old", "new", "expected", "check"), EDITS.values(), ids=EDITS)
def test_edits(folder, old, new, expected, check):
    change(folder / "input.nn", old, new)
    notes = []
    _, settings = convert(folder, notes=notes)
    assert check(settings.train), settings.train
    assert any(expected in note for note in notes), notes
    assert all("\n" not in note and str(folder) in note for note in notes)


ERRORS = {
    "charges": (
        "use_short_forces",
        "use_electrostatics",
        "line 16: 'use_electrostatics' belongs to a potential with charges",
    ),
    "element": ("elements                        O H", "elements O X", "is not a chem"),
    "stranger": (
        "symfunction_short O 2 H",
        "symfunction_short O 2 N",
        "line 33: .*'N' is not among the elements H, O",
    ),
    "parameters": (
        "symfunction_short O 2 H 0.01 0.0 12.0",
        "symfunction_short O 2 H 0.01 0.0",
        "line 33: symfunction_short: type 2 takes",
    ),
    "fraction": (
        "test_fraction                   0.1",
        "test_fraction 1.5",
        "line 18: test_fraction 1.5, expected 0 to less than 1",
    ),
    "epochs": (
        "epochs                          25",
        "epochs many",
        "line 19: epochs 'many', expected an integer from 0",
    ),
    "learning rate": (
        "updater_type                    1",
        "updater_type 0\ngradient_type 1\ngradient_adam_eta -1",
        "gradient_adam_eta -1, expected more than 0",
    ),
    "no functions": (
        "symfunction_short O",
        "#",
        "0 symmetry functions for O",
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), ERRORS.values(), ids=ERRORS)
def test_errors(folder, old, new, expected):
    change(folder / "input.nn", old, new)
    with pytest.raises(FileFormatError, match=expected) as caught:
        convert(folder)
    assert "\n" not in str(caught.value)


def test_the_command_needs_units(folder):
    result = run("convert", "input.nn", "in.yaml", folder=folder)
    assert result.exit_code == 2
    assert "please give those of length and energy" in result.stderr
    units = ("--units", "bohr,hartree")
    result = run("convert", "input.nn", "in.yaml", *units, folder=folder)
    assert result.exit_code == 0
    assert load_settings(folder / "in.yaml").train.hidden == (25, 20)


def test_recognition():
    assert is_input_nn(INPUT.encode())
    for files in CASES.values():
        assert is_input_nn(files["input.nn"].encode()[:4096])
        assert not is_input_nn(files["input.data"].encode()[:4096])
        assert not is_input_nn(files["scaling.data"].encode())
    assert not is_input_nn(b"")
    assert not is_input_nn(b"elements H O\n\0")


def test_damaged_inputs(folder):
    def read(damaged):
        (folder / "input.nn").write_bytes(damaged)
        return convert(folder)

    content = INPUT.encode()
    results = assert_ends_well(read, [*truncations(content), *flips(content)])
    assert len(results) > 100
