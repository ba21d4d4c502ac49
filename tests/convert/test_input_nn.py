"""input.nn: keywords, comments, symmetry functions, networks, energies."""

from __future__ import annotations

import pytest
from n2p2_folder import INPUT, edit

from annpot.convert.n2p2.input_nn import MAX_NOTES, read_input_nn
from annpot.convert.n2p2.setup import ScalingMode, read_setup
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError
from annpot.units import LENGTHS, Units

ANGSTROM = Units()


def setup_of(text, tmp_path, units=ANGSTROM):
    """Return what a text sets up, and the notes."""
    path = tmp_path / "input.nn"
    path.write_text(text, encoding="latin-1")
    notes = []
    return read_setup(read_input_nn(path, notes), units, notes), notes


def add(*lines):
    return INPUT + "".join(f"{line}\n" for line in lines)


def test_a_simple_one(tmp_path):
    setup, notes = setup_of(INPUT, tmp_path)
    assert not notes
    assert setup.species == ("H", "O")
    assert setup.functions_s[0] == (
        SymmetryFunction("G2", ("H",), 5.0, eta=0.3, r_s=0.5),
        SymmetryFunction("G2", ("O",), 5.0, eta=0.3, r_s=0.5),
        SymmetryFunction("G4", ("H", "O"), 5.0, eta=0.01, lambda_=-1.0, zeta=2.0),
    )
    assert setup.functions_s[1] == (SymmetryFunction("G2", ("H",), 5.0, eta=0.1),)
    assert setup.scaling == ScalingMode("scale center", 0.0, 1.0)
    assert (setup.mean_energy, setup.conv_energy, setup.atom_energies) == (0.0, 1.0, {})
    assert not setup.normalize_nodes
    for (layout,) in setup.layouts_s:
        assert (layout.nodes, layout.letters) == ((3, 2), "tp")


def test_comments_blanks_windows_and_any_encoding(tmp_path):
    text = INPUT.replace("\n", "\r\n").replace(
        "cutoff_type 1", "\tcutoff_type\t 6 .25 "
    )
    text += "\r\n  \t\r\n! \xc5ngstr\xf6m #\r\n   # symfunction_short X\r\n"
    setup, notes = setup_of(text, tmp_path)
    assert not notes
    function = setup.functions_s[1][0]
    assert (function.cutoff_function, function.alpha) == ("poly2", 0.25)


def test_numbers_of_fortran(tmp_path):
    setup, _ = setup_of(edit(INPUT, "O 2 H 0.1 0.0 5.0", "O 2 H 1.0d-1 0 5."), tmp_path)
    assert setup.functions_s[1][0].eta == 0.1
    assert setup.functions_s[1][0].cutoff == 5.0


def test_units_of_lengths(tmp_path):
    bohr = LENGTHS["bohr"]
    setup, _ = setup_of(INPUT, tmp_path, Units("bohr", "hartree"))
    first, _, third = setup.functions_s[0]
    assert first == SymmetryFunction(
        "G2", ("H",), 5.0 * bohr, eta=0.3 / bohr**2, r_s=0.5 * bohr
    )
    assert third.eta == 0.01 / bohr**2
    assert (third.zeta, third.lambda_, third.cutoff) == (2.0, -1.0, 5.0 * bohr)


TYPES = {
    "2 H .1 .2 5": ("G2", ("H",), {"eta": 0.1, "r_s": 0.2}),
    "3 O H .1 -1 2 5": ("G4", ("H", "O"), {"eta": 0.1, "lambda_": -1.0, "zeta": 2.0}),
    "3 O H .1 -1 2 5 .3": (
        "G4",
        ("H", "O"),
        {"eta": 0.1, "lambda_": -1.0, "zeta": 2.0, "r_s": 0.3},
    ),
    "9 H H .1 1 4 5 .3": (
        "G5",
        ("H", "H"),
        {"eta": 0.1, "lambda_": 1.0, "zeta": 4.0, "r_s": 0.3},
    ),
    "12 .1 .2 5": ("G12", (), {"eta": 0.1, "r_s": 0.2}),
    "13 .1 .2 -1 4 5": (
        "G13",
        (),
        {"eta": 0.1, "r_s": 0.2, "lambda_": -1.0, "zeta": 4.0},
    ),
    "20 H -5 5 p2a": ("G20", ("H",), {"r_low": -5.0, "core": "p2a"}),
    "21 O H 1 5 30 90 e": (
        "G21",
        ("H", "O"),
        {"r_low": 1.0, "theta_low": 30.0, "theta_high": 90.0, "core": "e"},
    ),
    "22 O H 1 5 30 90 p1": (
        "G22",
        ("H", "O"),
        {"r_low": 1.0, "theta_low": 30.0, "theta_high": 90.0, "core": "p1"},
    ),
    "23 1 5 p4": ("G23", (), {"r_low": 1.0, "core": "p4"}),
    "24 1 5 0 90 p4a": (
        "G24",
        (),
        {"r_low": 1.0, "theta_low": 0.0, "theta_high": 90.0, "core": "p4a"},
    ),
    "25 1 5 0 90 p3": (
        "G25",
        (),
        {"r_low": 1.0, "theta_low": 0.0, "theta_high": 90.0, "core": "p3"},
    ),
}


@pytest.mark.parametrize("line", TYPES)
def test_types_of_functions(line, tmp_path):
    name, neighbours, values = TYPES[line]
    text = edit(INPUT, "O 2 H 0.1 0.0 5.0", f"O {line}")
    setup, _ = setup_of(text, tmp_path)
    assert setup.functions_s[1] == (SymmetryFunction(name, neighbours, 5.0, **values),)


def test_order_is_that_of_n2p2_and_not_that_of_the_file(tmp_path):
    lines = [
        "2 H 0.5 0.0 6.0",
        "2 O 0.5 0.0 6.0",
        "2 H 0.5 1.0 6.0",
        "2 H 0.7 0.0 6.0",
        "2 H 0.1 0.0 7.0",
        "3 H H 0.1 -1 1 6.0",
        "3 H H 0.1 1 1 6.0",
        "3 H H 0.1 -1 2 6.0",
        "3 H H 0.2 -1 1 6.0",
        "9 O O 0.1 -1 1 6.0",
        "12 0.1 0.0 6.0",
        "20 H -6 6 p1",
        "20 O 1 5 p1",
        "20 H -6 6 p2",
    ]
    shuffled = lines[::3] + lines[1::3] + lines[2::3]
    start = INPUT[: INPUT.index("symfunction_short O")]
    text = start + "".join(
        f"symfunction_short {symbol} {line}\n"
        for line in shuffled
        for symbol in ("H", "O")
    )
    setup, _ = setup_of(text, tmp_path, Units("bohr", "ev"))
    expected = [
        setup_of(
            f"{start}symfunction H {line}\nsymfunction O {line}\n",
            tmp_path,
            Units("bohr", "ev"),
        )[0].functions_s[0][0]
        for line in lines
    ]
    assert list(setup.functions_s[0]) == list(setup.functions_s[1]) == expected


def test_functions_that_stand_twice_are_two(tmp_path):
    setup, _ = setup_of(add("symfunction O 2 H 0.1 0.0 5.0"), tmp_path)
    assert len(setup.functions_s[1]) == 2


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ([], ScalingMode("none")),
        (["scale_symmetry_functions"], ScalingMode("scale", -1.0, 2.0)),
        (["center_symmetry_functions"], ScalingMode("center")),
        (["scale_symmetry_functions_sigma"], ScalingMode("sigma", -1.0, 2.0)),
    ],
)
def test_scaling(keywords, expected, tmp_path):
    text = edit(
        INPUT, "scale_symmetry_functions\ncenter_symmetry_functions\n", ""
    ) + "\n".join(["scale_min_short -1", "scale_max_short 2", *keywords, ""])
    setup, notes = setup_of(text, tmp_path)
    assert setup.scaling == expected
    assert not notes


def test_of_two_scalings_n2p2_takes_one(tmp_path):
    setup, (note,) = setup_of(add("scale_symmetry_functions_sigma"), tmp_path)
    assert setup.scaling.name == "scale center"
    assert "line 14: scale_symmetry_functions_sigma has no effect" in note


def test_energies(tmp_path):
    lines = ["atom_energy H -0.5", "mean_energy -3.25", "conv_energy 2.0"]
    setup, _ = setup_of(add(*lines, "conv_length 1.5"), tmp_path)
    assert setup.mean_energy == -3.25
    assert setup.conv_energy == 2.0
    assert setup.atom_energies == {"H": -0.5}


def test_energies_of_atoms_in_runner(tmp_path):
    lines = ["runner_mode 3", "atom_energy H -0.5"]
    _, (note,) = setup_of(add(*lines), tmp_path)
    assert "atom_energy without remove_atom_energies: added" in note
    assert not setup_of(add(*lines, "remove_atom_energies"), tmp_path)[1]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["element_nodes_short H 1 7"], [(7, 2), (1, 2), (1, 7)]),
        (["element_nodes_short H 2 7"], [(3, 7), (2, 2), (2, 7)]),
        (["element_nodes_short H 1 7", "element_nodes_short H 2 6"], [(7, 6)]),
        (["element_nodes_short H 7 6"], [(7, 2), (7, 6)]),
        (["element_nodes_short H 7"], [(7, 2)]),
        (["element_nodes_short O 1 7"], [(3, 2)]),
    ],
)
def test_nodes_of_an_element(lines, expected, tmp_path):
    setup, _ = setup_of(add(*lines), tmp_path)
    assert [layout.nodes for layout in setup.layouts_s[0]] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["element_activation_short H s g l"], "sg"),
        (["element_activation_short H s g"], "sg"),
        (["element_activation_short H 2 g"], "tg"),
        (["element_activation_short H 1 s", "element_activation_short H 2 g"], "sg"),
        (["element_activation_short H 1 3 t"], "tp"),
        (["element_activation_short H 3 l"], "tp"),
    ],
)
def test_activation_functions_of_an_element(lines, expected, tmp_path):
    setup, _ = setup_of(add(*lines), tmp_path)
    assert [layouts[0].letters for layouts in setup.layouts_s] == [expected, "tp"]


def test_training_keywords_are_known(tmp_path):
    lines = ["epochs 10", "kalman_type 0", "nnp_gen 2", "short_force_fraction 0.02"]
    assert not setup_of(add(*lines), tmp_path)[1]


def test_unknown_keywords_are_noted(tmp_path):
    _, notes = setup_of(add("epoch 10", "colour blue"), tmp_path)
    path = tmp_path / "input.nn"
    assert notes == [
        f"'{path}', line 14: unknown keyword 'epoch', did you mean 'epochs'?; ignored",
        f"'{path}', line 15: unknown keyword 'colour'; ignored",
    ]


def test_many_unknown_keywords_are_counted(tmp_path):
    _, notes = setup_of(add(*["colour"] * (MAX_NOTES + 7)), tmp_path)
    assert len(notes) == MAX_NOTES + 1
    assert notes[-1].endswith(": 7 more unknown keywords")


def test_a_file_without_end_is_noted(tmp_path):
    _, (note,) = setup_of(INPUT[:-1], tmp_path)
    assert "line 13: no end of line: is the file complete?" in note


def test_a_missing_cutoff_type_is_noted(tmp_path):
    setup, (note,) = setup_of(edit(INPUT, "cutoff_type 1\n", ""), tmp_path)
    assert "no cutoff_type, RuNNer's default 1 is taken" in note
    assert setup.functions_s[0][0].cutoff_function == "cosine"


CHANGES = {
    "line 15: 'epochs' stands twice, first in line 14": ["epochs 1", "epochs 2"],
    "'short_energy_fraction' stands twice": [
        "energy_fraction 1",
        "short_energy_fraction 2",
    ],
    "nnp_type' '4G' belongs to a potential with charges": ["nnp_type 4G"],
    "'nnp_gen' '3' belongs to a potential with charges": ["nnp_gen 3"],
    "'nnp_type' '1' belongs to a potential with charges": ["nnp_type 1"],
    "line 14: 'use_electrostatics' belongs to a potential with charges": [
        "use_electrostatics"
    ],
    "'electrostatic_type' belongs to a potential with charges": [
        "electrostatic_type 5"
    ],
    "'use_vdw' adds dispersion, which annpot cannot express": ["use_vdw"],
    "'committee_mode' makes a committee: convert its members": [
        "committee_mode prediction"
    ],
    "nn_type_short '2', expected 1: networks of atoms, not of pairs": [
        "nn_type_short 2"
    ],
    "'pairsymfunction_short' belongs to networks of pairs": ["pairsymfunction_short 1"],
    "'global_symfunction_short' stands for many functions": [
        "global_symfunction_short 2 0.1 0 5"
    ],
    "unknown keyword 'use_d3_dispersion', which may change energies": [
        "use_d3_dispersion"
    ],
    "'symfuncton_short', did you mean 'symfunction_short'?, which may": [
        "symfuncton_short H 2 O 1 2 3"
    ],
    "n2p2 does not know cutoff_alpha": ["cutoff_alpha 0.3"],
    "symfunction_short: 'C' is not among the elements H, O": [
        "symfunction_short C 2 H 0.1 0 5"
    ],
    "symfunction_short: 'N' is not among the elements H, O": [
        "symfunction_short H 2 N 0.1 0 5"
    ],
    "neighbours: 'Xx' is not a chemical element": ["symfunction_short H 2 Xx 0.1 0 5"],
    "type '7', expected one of 2, 3, 9": ["symfunction_short H 7 O 0.1 0 5"],
    "symfunction_short: no type": ["symfunction_short H"],
    "1 argument expected after 'symfunction', found 0": ["symfunction"],
    "type 2 takes neighbour, eta, r_s, cutoff: 4 arguments, found 3": [
        "symfunction_short H 2 O 0.1 5"
    ],
    "eta 'nan', expected a number": ["symfunction_short H 2 O nan 0 5"],
    "cutoff '1_0', expected a number": ["symfunction_short H 2 O 1 0 1_0"],
    "cutoff 5000.0, expected 0.001 to 100": ["symfunction_short H 2 O 1 0 5000"],
    "core 'p5', expected one of": ["symfunction_short H 20 O 1 5 p5"],
    "'mean_energy', but no 'conv_energy': expected all of": [
        "mean_energy 1",
        "conv_length 1",
    ],
    "conv_energy 0, expected more than 0": [
        "mean_energy 1",
        "conv_energy 0",
        "conv_length 1",
    ],
    "a second atom_energy of H": ["atom_energy H 1", "atom_energy H 2"],
    "2 arguments expected after 'atom_energy', found 1": ["atom_energy H"],
    "atom_energy 'x', expected a number": ["atom_energy H x"],
    "scale_min_short 2 to scale_max_short 1, expected the lower first": [
        "scale_min_short 2"
    ],
    "element_hidden_layers_short 1, but global_hidden_layers_short 2": [
        "element_hidden_layers_short H 1"
    ],
    "element_nodes_short '0', expected an integer from 1 to": [
        "element_nodes_short H 0 3"
    ],
    "'ELEMENT LAYER NODES' expected, with a layer from 1 to 2": [
        "element_nodes_short H 3 3 3"
    ],
    "element_nodes_short: 'N' is not among the elements": ["element_nodes_short N 1 3"],
    "single nodes that differ cannot be read": ["element_activation_short H 1 2 g"],
    "output layer 's', expected l": ["element_activation_short H t p s"],
    "a letter for each of 2 hidden layers and the output expected, found 1": [
        "element_activation_short H t"
    ],
    "activation function 'x' is unknown, expected one of l t s": [
        "element_activation_short H 1 x"
    ],
}
EDITS = {
    "no keyword 'elements'": ("elements O H ", "#"),
    "no keyword 'number_of_elements'": ("number_of_elements 2", ""),
    "number_of_elements 3, but there are 2 elements": ("elements 2", "elements 3"),
    "number_of_elements '-1', expected an integer": ("elements 2", "elements -1"),
    "'Q' is not a chemical element": ("elements O H", "elements O Q"),
    "an element stands twice": ("elements O H", "elements O H O"),
    "cutoff_type '9', expected an integer from 0 to 8": ("type 1", "type 9"),
    "alpha 1.0, expected 0 to 0.99": ("type 1", "type 1 1.0"),
    "0 symmetry functions for O, expected 1 to": ("symfunction_short O", "#"),
    "no keyword 'global_hidden_layers_short'": ("global_hidden_layers_short 2", ""),
    "global_hidden_layers_short '0', expected an integer from 1": (
        "global_hidden_layers_short 2",
        "global_hidden_layers_short 0",
    ),
    "no keyword 'global_nodes_short'": ("global_nodes_short 3 2", ""),
    "a number of nodes for each of 2 hidden layers expected, found 1": (
        "global_nodes_short 3 2",
        "global_nodes_short 3",
    ),
    "global_nodes_short '99999999', expected an integer from 1 to 10000": (
        "global_nodes_short 3 2",
        "global_nodes_short 3 99999999",
    ),
    "no keyword 'global_activation_short'": ("global_activation_short t p l", ""),
    "global_activation_short: activation function 'tt' is unknown": ("t p l", "tt p l"),
}  # fmt: skip


@pytest.mark.parametrize("message", CHANGES)
def test_wrong_lines(message, tmp_path):
    with pytest.raises(FileFormatError) as error:
        setup_of(add(*CHANGES[message]), tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "input.nn") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("message", EDITS)
def test_wrong_files(message, tmp_path):
    with pytest.raises(FileFormatError) as error:
        setup_of(edit(INPUT, *EDITS[message]), tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "input.nn") in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileFormatError, match=r"input.nn': No such file"):
        read_input_nn(tmp_path / "input.nn", [])


def test_an_endless_line(tmp_path):
    with pytest.raises(FileFormatError, match="line 1: too long, expected a text file"):
        setup_of("x" * 200_000, tmp_path)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (100_001, "more than 100000 lines with keywords"),
        (1001, "1001 lines with unknown keywords, expected an input.nn"),
    ],
)
def test_too_many_lines(count, message, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        setup_of("a\n" * count, tmp_path)
