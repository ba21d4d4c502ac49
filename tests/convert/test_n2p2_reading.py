"""Potentials of n2p2 and RuNNer: layouts of the files, units, and what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from damage import assert_ends_well, flips, truncations
from direct_n2p2 import DirectPotential
from n2p2_folder import INPUT, edit, make_folder, scaling_text, weights_text

from annpot.convert.n2p2.potentials import is_potential_folder, read_potential
from annpot.convert.n2p2.scaling_data import WIDE
from annpot.errors import FileFormatError
from annpot.potential import Potential
from annpot.structures.structure import Structure, stack
from annpot.units import ENERGIES, LENGTHS, Units

ANGSTROM = Units()

WATER = Structure(
    ("O", "H", "H", "H"),
    np.array([[0.0, 0.1, 0.0], [1.5, 0.2, 0.9], [-1.1, 1.3, 0.4], [2.2, -1.9, 1.1]]),
    np.zeros((3, 3)),
    np.zeros(3, dtype=bool),
)
"""Lengths in the units of the files."""


def read(folder, units=ANGSTROM, n_notes=0):
    notes = []
    potential = read_potential(folder, units, notes)
    assert len(notes) == n_notes
    return potential


def evaluate(potential, units=ANGSTROM):
    """Return what a potential gives for water, in the units of the files."""
    structure = Structure(
        WATER.symbols, units.angstrom * WATER.positions_nc, WATER.cell_cc, WATER.pbc_c
    )
    result = potential.evaluate(stack([structure], potential.species))
    return result.E_s[0] / units.ev, result.F_nc / units.ev * units.angstrom


def direct(folder):
    return DirectPotential(folder).energy(
        WATER.symbols, WATER.positions_nc, WATER.cell_cc, WATER.pbc_c
    )


def assert_energy(folder, units=ANGSTROM, n_notes=0):
    """Check the energy of a folder against n2p2's formulas, and return it."""
    E, F_nc = evaluate(read(folder, units, n_notes), units)
    assert E == pytest.approx(direct(folder), rel=1e-12, abs=1e-13)
    assert np.abs(F_nc).max() > 1e-6
    return E


NO_SCALING = (
    "scale_symmetry_functions\ncenter_symmetry_functions\n",
    "",
)
SCALINGS = {
    "none": "",
    "scale": "scale_symmetry_functions\nscale_min_short -1\nscale_max_short 2.5\n",
    "center": "center_symmetry_functions\n",
    "both": "scale_symmetry_functions\ncenter_symmetry_functions\nscale_min_short -2\n",
    "sigma": "scale_symmetry_functions_sigma\nscale_min_short -1\n",
}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scalings(scaling, tmp_path):
    text = edit(INPUT, *NO_SCALING) + SCALINGS[scaling]
    assert_energy(make_folder(tmp_path, input=text))


@pytest.mark.parametrize("letters", ["lt", "sS", "pr", "gc", "eh"])
@pytest.mark.parametrize("normalize", ["", "normalize_nodes\n"])
def test_activation_functions(letters, normalize, tmp_path):
    text = edit(INPUT, "t p l", f"{letters[0]} {letters[1]} l") + normalize
    assert_energy(make_folder(tmp_path, input=text))


ENERGY_LINES = "mean_energy -2.5\nconv_energy 3.7\nconv_length 1.8\n"


@pytest.mark.parametrize(
    "lines",
    [ENERGY_LINES, "atom_energy H -0.5\natom_energy O -75.0\n"],
)
@pytest.mark.parametrize("units", [Units(), Units("bohr", "hartree")], ids=str)
def test_energies_and_units(lines, units, tmp_path):
    folder = make_folder(tmp_path, input=INPUT + lines)
    assert_energy(folder, units)


def test_units_change_nothing_but_units(tmp_path):
    folder = make_folder(tmp_path, input=INPUT + ENERGY_LINES + "atom_energy O -75\n")
    E, F_nc = evaluate(read(folder))
    for length in LENGTHS:
        for energy in ENERGIES:
            units = Units(length, energy)
            found = evaluate(read(folder, units), units)
            assert found[0] == pytest.approx(E, rel=1e-12)
            np.testing.assert_allclose(found[1], F_nc, rtol=1e-9, atol=1e-12)


def test_units_are_told(tmp_path):
    potential = read(make_folder(tmp_path), Units("bohr", "hartree"))
    assert potential.provenance["units"] == "bohr,hartree"
    assert set(potential.provenance["files"]) == {
        "input.nn",
        "scaling.data",
        "weights.001.data",
        "weights.008.data",
    }


def test_ranges_are_kept(tmp_path):
    folder = make_folder(tmp_path / "n2p2")
    potential = read(folder)
    statistics = potential.models[0].domain.statistics
    assert potential.models[0].domain.whitening is None
    np.testing.assert_array_equal(statistics.min_f, [0.1, 0.2, 0.1 * 3])
    np.testing.assert_array_equal(statistics.max_f, [2.5] * 3)
    np.testing.assert_array_equal(statistics.mean_f, [0.7, 1.4, 0.7 * 3])
    sigma_f = np.array([0.2, 0.4, 0.2 * 3])
    np.testing.assert_array_equal(statistics.covariance_ff, np.diag(sigma_f**2))
    features = potential.evaluate(stack([WATER], potential.species)).features
    finding = potential.assess(features).findings[0]
    assert finding.kind == "range"
    potential.save(tmp_path / "potential.h5")
    loaded = Potential.load(tmp_path / "potential.h5")
    assert str(loaded.assess(features).findings[0]) == str(finding)


def test_unknown_ranges(tmp_path):
    text = edit(scaling_text(), "1.0000000000000001E-01", f"{-WIDE}")
    text = edit(text, "2.0000000000000001E-01", f"{-WIDE}", "3.0000000000000004E-01",
                f"{-WIDE}", "2.5000000000000000E+00", f"{WIDE}")  # fmt: skip
    text = edit(text, "3.5000000000000000E+00", f"{WIDE}")
    inputs = edit(INPUT, *NO_SCALING)
    potential = read(make_folder(tmp_path, input=inputs, scaling=text))
    assert [model.domain for model in potential.models] == [None, None]


@pytest.mark.parametrize("energies", [False, True])
def test_scaling_data_of_runner(energies, tmp_path):
    text = scaling_text(sigma=False, energies=energies)
    folders = [make_folder(tmp_path / "n2p2")]
    folders.append(make_folder(tmp_path / "runner", scaling=text))
    both = [read(folder) for folder in folders]
    assert evaluate(both[0])[0] == evaluate(both[1])[0]
    assert not both[1].models[0].domain.statistics.covariance_ff.any()


def test_sigma_that_is_no_number(tmp_path):
    text = edit(scaling_text(), "4.0000000000000002E-01", "-NAN")
    potential = read(make_folder(tmp_path, scaling=text))
    variances = np.diag(potential.models[0].domain.statistics.covariance_ff)
    np.testing.assert_array_equal(variances == 0.0, [False, True, False])


def test_names_of_runner_2(tmp_path):
    folder = make_folder(tmp_path)
    E, _ = evaluate(read(folder))
    for number in (1, 8):
        name = f"weights.{number:03d}.data"
        (folder / name).rename(folder / name.replace("weights", "weights_short"))
    (folder / "scaling.data").rename(folder / "scaling_short.data")
    assert evaluate(read(folder))[0] == E


def test_weights_without_other_columns(tmp_path):
    text = weights_text(3, seed=1, columns=False)
    folder = make_folder(tmp_path, weights_H=text)
    assert_energy(folder)


def nodes_of(tmp_path, line, nodes, columns=True):
    """Return the nodes of hydrogen and the notes, for weights of some nodes."""
    folder = make_folder(
        tmp_path,
        input=INPUT + line + "\n",
        weights_H=weights_text(3, nodes, columns=columns),
    )
    notes = []
    potential = read_potential(folder, Units(), notes)
    assert len(potential.models[1].network.biases[0]) == 3
    return potential.models[0].network.sizes[1:-1], notes


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize(
    ("line", "nodes", "told"),
    [
        ("element_nodes_short H 1 7", (7, 2), ""),
        ("element_nodes_short H 2 7", (3, 7), ""),
        ("element_nodes_short H 2 7", (2, 2), "as n2p2 3"),
        ("element_nodes_short H 2 7", (2, 7), "taken as nodes of all layers"),
        ("element_nodes_short H 7 6", (7, 2), ""),
        ("element_nodes_short H 7 6", (7, 6), "taken as nodes of all layers"),
        ("element_nodes_short H 7", (7, 2), ""),
    ],
)
def test_both_meanings_of_element_nodes_short(line, nodes, told, columns, tmp_path):
    found, notes = nodes_of(tmp_path, line, nodes, columns)
    assert found == nodes
    assert len(notes) == bool(told)
    assert told in "".join(notes)


def test_meanings_that_both_fit_are_told(tmp_path):
    # 3-3-4-1 and 3-2-6-1 have 33 weights both
    folder = make_folder(
        tmp_path,
        input=edit(INPUT, "short 3 2", "short 3 6") + "element_nodes_short H 2 4\n",
        weights_H=weights_text(3, (3, 4), columns=False),
        weights_O=weights_text(1, (3, 6)),
    )
    notes = []
    potential = read_potential(folder, Units(), notes)
    assert potential.models[0].network.sizes == (3, 3, 4, 1)
    assert (
        "weights of nodes 3-3-4-1 or 3-2-6-1: element_nodes_short taken as layer "
        "and number of nodes, as RuNNer and n2p2 2" in notes[0]
    )


def test_elements_differ_in_nodes(tmp_path):
    text = INPUT + "element_nodes_short H 1 4\nelement_nodes_short H 2 6\n"
    folder = make_folder(tmp_path, input=text, weights_H=weights_text(3, (4, 6)))
    assert_energy(folder)


def test_what_is_a_folder_of_n2p2(tmp_path):
    assert not is_potential_folder(tmp_path)
    assert is_potential_folder(make_folder(tmp_path))
    assert not is_potential_folder(tmp_path / "input.nn")


SCALING = scaling_text()
WEIGHTS = weights_text(3, seed=1)
FIRST = WEIGHTS.splitlines()[1]
ROWS = SCALING.splitlines(keepends=True)
WRONG = {
    "no file input.nn": {"input": None},
    "no file scaling.data or scaling_short.data": {"scaling": None},
    "no file weights.001.data or weights_short.001.data": {"weights_H": None},
    "scaling.data': 0 rows, expected one for each of 4": {"scaling": ""},
    "scaling.data': 3 rows, expected one for each of 4 symmetry functions (3 of H, 1": {
        "scaling": "".join(ROWS[:-1])
    },
    "scaling.data': more than 4 rows, expected one for each of 4": {
        "scaling": SCALING + ROWS[-1] * 9
    },
    "scaling.data', line 2: row '1 2', expected '1 1': function 1 of H": {
        "scaling": "".join([ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]])
    },
    "row '1 1', expected '2 1': function 1 of O, elements by atomic number": {
        "scaling": edit(SCALING, "         2          1", "         1          1")
    },
    "line 2: row '2 1', expected '1 1'": {
        "scaling": "".join([ROWS[0], ROWS[4], *ROWS[1:4]])
    },
    "line 2: 4 columns, expected 5 or 6": {"scaling": "# x\n" + "1 1 0.0 1.0\n" * 4},
    "line 3: 5 columns, but 6 in the first row": {
        "scaling": edit(SCALING, " 4.0000000000000002E-01", " ")
    },
    "line 3: 'inf', expected a number, at most 1e+100": {
        "scaling": edit(SCALING, "4.0000000000000002E-01", "inf")
    },
    "line 3: '4E+300', expected a number": {
        "scaling": edit(SCALING, "4.0000000000000002E-01", "4E+300")
    },
    "line 5: least value 4.0 and largest 3.5000000000000000E+00, expected the least": {
        "scaling": "".join(
            [*ROWS[:4], ROWS[4].replace("1.0000000000000001E-01", "4.0")]
        )
    },
    "scaling.data': O, function 1: the range is 0, by which n2p2 divides": {
        "scaling": edit(SCALING, "3.5000000000000000E+00", "1.0000000000000001E-01")
    },
    "line 5: no end of line: is the file cut off?": {"scaling": SCALING[:-1]},
    "H, function 1: the standard deviation is 0, by which n2p2 divides": {
        "scaling": scaling_text(sigma=False),
        "input": edit(INPUT, *NO_SCALING) + "scale_symmetry_functions_sigma\n",
    },
    "weights.001.data': 22 weights, expected 23 for nodes 3-3-2-1": {
        "weights_H": edit(WEIGHTS, FIRST + "\n", "")
    },
    "weights.001.data': more than 23 weights, expected 23 for nodes": {
        "weights_H": WEIGHTS + FIRST + "\n" + FIRST + "\n"
    },
    "0 weights, expected 23": {"weights_H": "# nothing\n"},
    "weights.001.data', line 2: 'NaN', expected a finite number": {
        "weights_H": edit(WEIGHTS, FIRST, "NaN a")
    },
    "line 2: '-inf', expected a finite number": {
        "weights_H": edit(WEIGHTS, FIRST, "-inf a")
    },
    "line 2: '1e999', expected a finite number": {
        "weights_H": edit(WEIGHTS, FIRST, "1e999 a")
    },
    "line 3: weight (a) or bias (b), the second column: expected in all lines or": {
        "weights_H": edit(WEIGHTS, FIRST, FIRST.replace("a", " "))
    },
    "weights (a) and biases (b) in another order than that of 23 for nodes 3-3-2-1": {
        "weights_H": edit(WEIGHTS, FIRST, FIRST.replace("a", "b"))
    },
    "line 24: no end of line: is the file cut off?": {"weights_H": WEIGHTS[:-1]},
    "20 weights, expected 47 for nodes 3-7-2-1 or 11 for nodes 3-1-2-1 or": {
        "input": INPUT + "element_nodes_short H 1 7\n",
        "weights_H": "".join(WEIGHTS.splitlines(keepends=True)[:21]),
    },
    "a network of 100060001 weights, expected at most 5000000": {
        "input": edit(INPUT, "short 3 2", "short 10000 10000")
    },
    "input.nn': energies are too large": {"input": INPUT + "atom_energy H 1e308\n"},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong(message, tmp_path):
    folder = make_folder(tmp_path / "folder", **WRONG[message])
    with pytest.raises(FileFormatError) as error:
        read_potential(folder, Units("bohr", "hartree"), [])
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["hardness.001.data", "weightse.008.data"])
def test_files_of_charges(name, tmp_path):
    folder = make_folder(tmp_path)
    (folder / name).write_text("1.0\n")
    with pytest.raises(
        FileFormatError, match=f"{name}' belongs to a potential with charges"
    ):
        read(folder)


def test_no_folder(tmp_path):
    with pytest.raises(FileFormatError, match="not a folder, expected one with"):
        read(tmp_path / "missing")


def test_too_many_cutoffs(tmp_path):
    lines = [f"symfunction_short H 2 H 0.1 0.0 {1 + k / 100}\n" for k in range(201)]
    with pytest.raises(FileFormatError, match="202 different cutoffs, expected at"):
        read(make_folder(tmp_path, input=INPUT + "".join(lines)))


FILES = ("input.nn", "scaling.data", "weights.001.data")


@pytest.fixture
def reader(tmp_path):
    """Return a function that reads a potential of which one file is damaged."""
    folder = make_folder(tmp_path)

    def read_damaged(name, content):
        whole = (folder / name).read_bytes()
        notes = []
        try:
            (folder / name).write_bytes(content)
            return read_potential(folder, Units(), notes), notes
        finally:
            (folder / name).write_bytes(whole)

    read_damaged.folder = folder
    return read_damaged


@pytest.mark.parametrize("step", [64, 13])
@pytest.mark.parametrize("name", FILES)
def test_truncated_files(name, step, reader):
    content = (reader.folder / name).read_bytes()
    results = assert_ends_well(
        lambda damaged: reader(name, damaged), truncations(content, step)
    )
    # a cut within the last line of input.nn is told
    for _, notes in results:
        assert name == "input.nn"
        assert "no end of line: is the file complete?" in notes[0]


@pytest.mark.parametrize("name", FILES)
def test_flipped_bits(name, reader):
    content = (reader.folder / name).read_bytes()
    for potential, _ in assert_ends_well(
        lambda damaged: reader(name, damaged), flips(content)
    ):
        assert math.isfinite(potential.energy_scale)
        for model in potential.models:
            assert np.isfinite(model.network.flatten()).all()
            assert np.isfinite([model.shift_f, model.scale_f]).all()
