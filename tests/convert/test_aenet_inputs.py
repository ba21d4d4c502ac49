"""Inputs of aenet become settings that give the same features."""

from __future__ import annotations

import re
import shutil

import aenet_files
import numpy as np
import pytest
from aenet_files import DATA
from commands import run
from damage import assert_ends_well, change, flips, truncations

from annpot.convert.aenet.inputs import convert_aenet_inputs, is_aenet_input
from annpot.convert.aenet.stp import read_stp
from annpot.descriptors.building import make_descriptor
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError
from annpot.settings import (
    ChebyshevSettings,
    StructureGroup,
    load_settings,
    read_settings,
)
from annpot.structures.structure import stack

STRUCTURES = DATA / "structures"
EXAMPLE = DATA.parents[2] / "examples" / "tio2"

GENERATE = """\
OUTPUT TiO2.train

TYPES
2
Ti -1604.604515075  ! eV
O   -432.503149303  ! eV

SETUPS
Ti  Ti.stp
O    O.stp

FILES
3
xsf/structure0001.xsf
xsf/structure0407.xsf
xsf/structure0655.xsf
"""

TRAIN = """\
TRAININGSET TiO2.train
TESTPERCENT 10
ITERATIONS  5000

METHOD
bfgs

!METHOD 2
!online_sd gamma=5.0d-7 alpha=0.25d0

NETWORKS
! atom   network         hidden
  Ti     Ti.15t-10t.nn    2      15:tanh 10:t
  O       O.15t-10t.nn    2      15:t 10:tanh
"""

PREDICT = """\
TYPES 2
Ti
O

NETWORKS
Ti  Ti.15t-15t.nn
O    O.15t-15t.nn

FORCES
PRINT_ATOMIC_ENERGIES
VERBOSITY low

FILES
1
xsf/structure0001.xsf
"""

TORCH = """\
TRAININGSET TiO.train.ascii
TESTPERCENT 12.5
ITERATIONS  500
ITERWRITE   1
BATCHSIZE   128
NPSEED 1
PHSEED 2

FORCES
alpha=0.1

MEMORY_MODE cpu
SAVE_ENERGIES
SAVE_FORCES
VERBOSE

METHOD
method=adamw   lr=0.0001

REGULARIZATION 0.001

NETWORKS
  Ti     Ti.pytorch.nn    2    5:tanh    5:tanh
  O       O.pytorch.nn    2    5:tanh    5:tanh
"""

STP = """\
DESCR
  One of the set-ups
  of a paper / 2016
END DESCR

ATOM {symbol}

ENV 2
Ti
O

RMIN 0.55d0

BASIS type=Chebyshev
radial_Rc = 8.0  radial_N = 16 angular_Rc = 6.5  angular_N = 4
"""

BEHLER = """\
ATOM {symbol}
ENV 2
Ti
O
RMIN 0.55
FUNCTIONS type=Behler2011
4
G=2 type2=Ti eta=0.5 Rs=0.0 Rc=6.0
G=2 type2=O  eta=0.5 Rs=0.0 Rc=6.0
G=4 type2=O type3=Ti eta=0.01 lambda=-1.0 zeta=2.0 Rc=6.5
G=1 type2=O Rc=6.0
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with all inputs, and three structures in ``xsf``."""
    (tmp_path / "generate.in").write_text(GENERATE)
    (tmp_path / "train.in").write_text(TRAIN)
    (tmp_path / "predict.in").write_text(PREDICT)
    (tmp_path / "torch.in").write_text(TORCH)
    for symbol in ("Ti", "O"):
        (tmp_path / f"{symbol}.stp").write_text(STP.format(symbol=symbol))
        text = BEHLER.format(symbol=symbol)
        (tmp_path / f"{symbol}.behler.stp").write_text(text)
    (tmp_path / "xsf").mkdir()
    for name in ("structure0001", "structure0407", "structure0655"):
        shutil.copy(STRUCTURES / f"{name}.xsf", tmp_path / "xsf")
    return tmp_path


def convert(folder, *names, notes=None):
    """Return text and settings of inputs; the settings are to be in ``folder``."""
    paths = [folder / name for name in names]
    text = convert_aenet_inputs(paths, [] if notes is None else notes, folder)
    return text, read_settings(text, "in.yaml")


# features


def memory_order(setup):
    """Return the functions of a .stp in the order of the features (symmfunc.f90)."""
    functions = [SymmetryFunction.from_dict(f.recipe) for f in setup.functions]
    order = []
    for t, first in enumerate(setup.environment):
        for kind in ("G1", "G2", "G3"):
            order += [
                f for f in functions if (f.type, f.neighbours) == (kind, (first,))
            ]
        for second in setup.environment[t:]:
            order += [
                f
                for kind in ("G4", "G5")
                for f in functions
                if f.type == kind and sorted(f.neighbours) == sorted((first, second))
            ]
    return order


@pytest.mark.parametrize(
    ("kind", "file"),
    [("fingerprint", "TiO2-20.train.ascii.xz"), ("behler", "behler.train.ascii.xz")],
)
def test_features_are_those_of_aenet(folder, kind, file):
    for symbol in ("Ti", "O"):
        shutil.copy(DATA / f"{symbol}.{kind}.stp", folder / f"{symbol}.stp")
    _, settings = convert(folder, "generate.in")
    descriptor = make_descriptor(settings.descriptor, tuple(settings.species))
    names, expected = aenet_files.read_features(DATA / file)
    batch = stack(aenet_files.read_structures(names), descriptor.species)
    features = descriptor.compute_features(batch)
    rows = [G_f for atoms in expected for _, G_f in atoms]
    assert batch.n_atoms == len(rows) == 621
    for s, (atoms, found_nf) in enumerate(
        zip(features.atoms_s, features.blocks(features.G_f), strict=True)
    ):
        if kind == "behler":
            setup = read_stp(folder / f"{descriptor.species[s]}.stp", [])
            ours = descriptor.parts[0].functions_s[s]
            found_nf = found_nf[:, [ours.index(f) for f in memory_order(setup)]]
        expected_nf = np.array([rows[n] for n in atoms])
        largest_f = np.abs(expected_nf).max(axis=0)
        assert (np.abs(found_nf - expected_nf) <= 1e-10 * largest_f).all()


def weights_of(text, species):
    settings = read_settings(text, "in.yaml")
    (part,) = make_descriptor(settings.descriptor, species).parts
    return [
        [dict(zip(species, weights_t, strict=True)) for weights_t in weights_ct[1:]]
        for weights_ct in part.weights_sct
    ]


def test_weights_follow_the_order_of_each_env(folder):
    change(folder / "O.stp", "Ti\nO\n", "O\nTi\n")
    text, settings = convert(folder, "generate.in")
    assert weights_of(text, ("Ti", "O")) == [
        [{"Ti": -1.0, "O": 1.0}],
        [{"Ti": 1.0, "O": -1.0}],
    ]
    (section,) = settings.descriptor
    assert section.weights == ("aenet",)
    assert section.central["O"].weights == ({"Ti": 1.0, "O": -1.0},)


def test_one_order_of_env_that_is_not_that_of_types(folder):
    for symbol in ("Ti", "O"):
        change(folder / f"{symbol}.stp", "Ti\nO\n", "O\nTi\n")
    _, settings = convert(folder, "generate.in")
    (section,) = settings.descriptor
    assert section.weights == ({"Ti": 1.0, "O": -1.0},)
    assert not section.central


def test_an_environment_of_one_species_has_no_weights(folder):
    change(folder / "O.stp", "ENV 2\nTi\nO\n", "ENV 1\nTi\n")
    notes = []
    text, _ = convert(folder, "generate.in", notes=notes)
    assert weights_of(text, ("Ti", "O")) == [[{"Ti": -1.0, "O": 1.0}], []]
    assert any("ENV of O is without O" in note for note in notes)


def test_orders_and_cutoffs_may_differ(folder):
    change(folder / "O.stp", "radial_N = 16", "radial_N = 10")
    change(folder / "O.stp", "angular_Rc = 6.5", "angular_Rc = 5.0")
    _, settings = convert(folder, "generate.in")
    (section,) = settings.descriptor
    assert isinstance(section, ChebyshevSettings)
    radial, angular = section.parts("O")
    assert (radial.order, radial.cutoff) == (10, 8.0)
    assert (angular.order, angular.cutoff, angular.radial_order) == (4, 5.0, "none")
    radial, angular = section.parts("Ti")
    assert (radial.order, angular.cutoff) == (16, 6.5)


def test_functions_for_each_neighbour_stand_in_one_line(folder):
    change(folder / "generate.in", "Ti.stp", "Ti.behler.stp")
    change(folder / "generate.in", "O.stp", "O.behler.stp")
    text, settings = convert(folder, "generate.in")
    assert "    - {type: G2, eta: 0.5}\n" in text
    (part,) = make_descriptor(settings.descriptor, ("Ti", "O")).parts
    setup = read_stp(folder / "Ti.behler.stp", [])
    assert set(part.functions_s[0]) == {
        SymmetryFunction.from_dict(f.recipe) for f in setup.functions
    }
    assert part.functions_s[0] == part.functions_s[1]


def test_functions_that_differ_are_given_for_each_species(folder):
    change(folder / "generate.in", "Ti.stp", "Ti.behler.stp")
    change(folder / "generate.in", "O.stp", "O.behler.stp")
    change(folder / "O.behler.stp", "eta=0.01", "eta=0.02")
    _, settings = convert(folder, "generate.in")
    (part,) = make_descriptor(settings.descriptor, ("Ti", "O")).parts
    assert [functions[-1].eta for functions in part.functions_s] == [0.01, 0.02]


# the other settings


def test_settings_of_generate_and_train(folder):
    notes = []
    text, settings = convert(folder, "generate.in", "train.in", notes=notes)
    assert settings.structures == (StructureGroup(files=("xsf/*.xsf",)),)
    energies = {symbol: s.energy for symbol, s in settings.species.items()}
    assert energies == {"Ti": -1604.604515075, "O": -432.503149303}
    (section,) = settings.descriptor
    assert (section.radial.order, section.radial.cutoff) == (16, 8.0)
    train = settings.train
    assert (train.hidden, train.activation) == ((15, 10), "tanh")
    assert (train.method, train.lbfgs.memory, train.epochs) == ("lbfgs", 20, 5000)
    assert (train.test_fraction, train.validation_fraction) == (0.1, 0.0)
    assert (train.members, train.scaling, train.l2) == (1, "zscore", 0.0)
    assert train.force_weight == 0.0
    assert notes == [
        f"'{folder / 'generate.in'}', line 1: OUTPUT TiO2.train: 'annpot generate' "
        "writes fingerprints.h5; 'annpot convert' makes a training set of aenet of it"
    ]
    assert "# Ti, O: One of the set-ups of a paper / 2016\n" in text
    comments = [line for line in text.splitlines() if "#" in line]
    assert len(comments) > 15


def test_either_input_alone(folder):
    notes = []
    _, settings = convert(folder, "train.in", notes=notes)
    assert not settings.structures
    assert settings.train.hidden == (15, 10)
    assert "'annpot convert' makes fingerprints.h5 of it" in notes[0]
    _, settings = convert(folder, "generate.in")
    assert settings.structures
    assert settings.train.hidden == (30, 30)
    _, settings = convert(folder, "Ti.stp", "O.stp")
    assert settings.species is None
    assert settings.descriptor[0].radial.order == 16


def test_set_ups_may_be_given_with_the_inputs(folder):
    (folder / "elsewhere").mkdir()
    (folder / "O.stp").rename(folder / "elsewhere" / "O.stp")
    with pytest.raises(FileFormatError, match=r"line 10: '.*O.stp': no such file"):
        convert(folder, "generate.in", "train.in")
    _, settings = convert(folder, "generate.in", "train.in", "elsewhere/O.stp")
    assert settings.descriptor[0].radial.order == 16


def test_settings_of_predict(folder):
    notes = []
    text, settings = convert(folder, "predict.in", notes=notes)
    assert settings.predict.forces
    assert settings.predict.atomic_energies
    assert "annpot convert Ti.15t-15t.nn O.15t-15t.nn potential.h5" in " ".join(
        text.replace("#", "").split()
    )
    assert [note.split("': ")[0].split(":")[1].strip() for note in notes] == [
        "FILES",
        "VERBOSITY low",
    ]


def test_settings_of_a_training_by_aenet_pytorch(folder):
    notes = []
    _, settings = convert(folder, "torch.in", notes=notes)
    train = settings.train
    assert (train.method, train.epochs, train.seed) == ("adam", 500, 2)
    assert train.adam.learning_rate == 0.0001
    assert (train.adam.batch, train.adam.schedule) == (128, "constant")
    assert train.test_fraction == 0.125
    assert (train.force_weight, train.l2) == (1.0, 1e-4)
    numbers = [int(note.split("line ")[1].split(":")[0]) for note in notes]
    # all but TESTPERCENT, ITERATIONS, BATCHSIZE, PHSEED, METHOD, NETWORKS
    assert sorted(numbers) == [1, 4, 6, 9, 12, 13, 14, 15, 20]


METHODS = {
    "bfgs": ("lbfgs", 0),
    "method=bfgs": ("lbfgs", 0),
    "online_sd gamma=5.0d-7 alpha=0.25d0": ("lbfgs", 1),
    "online_gd": ("lbfgs", 1),
    "ekf": ("lbfgs", 1),
    "lm batchsize=8000 learnrate=0.1d0 iter=3 conv=0.001 adjust=5.0": ("lbfgs", 1),
    "adam": ("adam", 0),
    "adam mu=2.0d-3 batchsize=20": ("adam", 0),
    "adam mu=0.002 b1=0.9 b2=0.99 samplesize=900 batchsize=20": ("adam", 2),
}


@pytest.mark.parametrize(("line", "expected"), METHODS.items(), ids=METHODS)
def test_methods(folder, line, expected):
    change(folder / "train.in", "\nbfgs\n", f"\n{line}\n")
    notes = []
    _, settings = convert(folder, "generate.in", "train.in", notes=notes)
    assert (settings.train.method, len(notes) - 1) == expected
    if "batchsize=20" in line:
        assert settings.train.adam.batch == 20
        assert settings.train.adam.learning_rate == 0.002


def test_networks_may_differ(folder):
    change(folder / "train.in", "2      15:t 10:tanh", "1  7:twist")
    notes = []
    _, settings = convert(folder, "train.in", notes=notes)
    assert settings.train.hidden == {"Ti": (15, 10), "O": (7,)}
    assert settings.train.activation == "tanh"
    assert "line 14: activations twist: annpot has one" in notes[1]


def test_files_are_listed_where_a_pattern_would_match_others(folder):
    (folder / "xsf" / "other.xsf").write_text("")
    _, settings = convert(folder, "generate.in")
    assert settings.structures[0].files == ("xsf/structure0*.xsf",)
    (folder / "xsf" / "structure0002.xsf").write_text("")
    _, settings = convert(folder, "generate.in")
    assert settings.structures[0].files == (
        "xsf/structure0001.xsf",
        "xsf/structure0407.xsf",
        "xsf/structure0655.xsf",
    )


def test_paths_are_relative_to_the_settings(folder):
    (folder / "out").mkdir()
    path = folder / "generate.in"
    text = convert_aenet_inputs([path], [], folder / "out")
    assert read_settings(text, "x").structures[0].files == ("../xsf/*.xsf",)
    change(path, "xsf/structure0001", f"{folder}/xsf/structure0001")
    text = convert_aenet_inputs([path], [], folder / "out")
    files = read_settings(text, "x").structures[0].files
    assert f"{folder}/xsf/structure0001.xsf" in files
    for file in files:
        assert (folder / "out" / file).exists()


def test_files_of_other_names_are_xsf_all_the_same(folder):
    (folder / "xsf" / "structure0655.xsf").rename(folder / "xsf" / "POSCAR 1")
    change(folder / "generate.in", "xsf/structure0655.xsf", "xsf/POSCAR 1")
    _, settings = convert(folder, "generate.in")
    assert settings.structures[1].files == ("xsf/POSCAR 1",)
    assert settings.structures[1].format == "xsf"


# what aenet reads otherwise, or not at all

NOTES = {
    "unknown keyword": (
        ("generate.in", "SETUPS", "FORCEZ\nSETUPS"),
        r"line 8: unknown keyword 'FORCEZ', did you mean 'FORCES'\?: left out, as",
    ),
    "Files": (
        ("generate.in", "FILES", "Files"),
        "line 12: 'Files' not in capitals: aenet would never end",
    ),
    "too many files": (
        ("generate.in", "FILES\n3", "FILES\n2"),
        "line 16: 1 more lines than the number of FILES, 2: left out",
    ),
    "absent file": (
        ("generate.in", "xsf/structure0407", "xsf/strukture0407"),
        "line 15: 'xsf/strukture0407.xsf' is not there: 'annpot generate' will need",
    ),
    "file twice": (
        ("generate.in", "structure0407", "structure0001"),
        "line 12: 1 files are listed more than once: annpot takes each once",
    ),
    "cut path": (
        ("train.in", "TRAININGSET TiO2", "TRAININGSET ../a/TiO2"),
        r"line 1: '../a/TiO2.train' is read whole; aenet reads '..', up to the '/'",
    ),
    "flag with comment": (
        ("generate.in", "SETUPS", "TIMING ! yes\nSETUPS"),
        "line 8: TIMING with something behind it, at which aenet stops",
    ),
    "keyword twice": (
        ("train.in", "ITERATIONS  5000", "ITERATIONS  5000\nITERATIONS 2"),
        "line 4: ITERATIONS again: that of line 3 counts",
    ),
    "limit of energies": (
        ("train.in", "METHOD\nbfgs", "MAXENERGY 10.0\nMETHOD\nbfgs"),
        "line 5: MAXENERGY 10.0: no limit in annpot",
    ),
    "forces": (
        ("generate.in", "FILES", "FORCES\nFILES"),
        "line 12: FORCES: annpot stores no derivatives",
    ),
    "existing network": (
        ("train.in", "O.15t-10t.nn", "O.stp"),
        "line 14: 'O.stp' is there: aenet would go on from its weights",
    ),
    "no epoch": (
        ("train.in", "5000", "0"),
        "line 3: ITERATIONS 0: annpot makes one epoch at least",
    ),
    "misspelt order": (
        ("Ti.stp", "radial_N = 16", "radial_n = 16"),
        r"line 15: radial_N=16 is taken, as it is written; aenet, which finds "
        r"'radial_N' nowhere, reads 0",
    ),
    "type in small letters": (
        ("Ti.stp", "Chebyshev", "chebyshev"),
        "line 14: type=chebyshev, which aenet does not know: Chebyshev",
    ),
    "angles reach further": (
        ("O.stp", "angular_Rc = 6.5", "angular_Rc = 9"),
        "line 14: angular_Rc of O is larger than radial_Rc: beyond radial_Rc aenet",
    ),
    "unknown word in a set-up": (
        ("O.stp", "RMIN 0.55d0", "R_MIN 0.55"),
        r"line 12: unknown keyword 'R_MIN', did you mean 'RMIN'\?",
    ),
    "eta behind zeta": (
        (
            "O.behler.stp",
            "eta=0.01 lambda=-1.0 zeta=2.0",
            "lambda=-1.0 zeta=2.0 eta=0.01",
        ),
        "line 10: eta=0.01 is taken, as it is written; aenet, which finds 'eta' "
        "elsewhere in the line, reads 2.0",
    ),
    "unknown parameter": (
        ("O.behler.stp", "type2=O Rc=6.0", "type2=O Rcut=6.0 Rc=6.0"),
        r"line 11: unknown parameter 'Rcut', did you mean 'Rc'\?: left out",
    ),
    "needless parameter": (
        ("O.behler.stp", "G=1 type2=O", "G=1 type2=O eta=3"),
        "line 11: G1 has no eta: left out, as aenet does",
    ),
    "function twice": (
        ("O.behler.stp", "type2=O  eta", "type2=Ti eta"),
        "line 9: function left out: the same function as in line 8",
    ),
    "species that is not there": (
        ("O.behler.stp", "G=1 type2=O", "G=1 type2=H"),
        "line 11: function left out: H is not in TYPES",
    ),
    "zeta below 1": (
        ("O.behler.stp", "zeta=2.0", "zeta=0.5"),
        "line 10: function left out: zeta 0.5, expected 1 to 1000",
    ),
    "other order of ENV": (
        ("O.behler.stp", "Ti\nO\n", "O\nTi\n"),
        "line 6: ENV has not the order of TYPES: aenet then evaluates functions of",
    ),
}


@pytest.mark.parametrize(("edit", "expected"), NOTES.values(), ids=NOTES)
def test_notes(folder, edit, expected):
    name = edit[0]
    if "behler" in name:
        change(folder / "generate.in", "O.stp", "O.behler.stp")
        change(folder / "generate.in", "Ti.stp", "Ti.behler.stp")
    change(folder / name, *edit[1:])
    notes = []
    text, _ = convert(folder, "generate.in", "train.in", notes=notes)
    assert [n for n in notes if re.search(expected, n)], notes
    assert all("\n" not in note and str(folder) in note for note in notes)
    assert text


def test_what_is_written_counts(folder):
    change(folder / "Ti.stp", "radial_N = 16", "radial_n = 15")
    _, settings = convert(folder, "generate.in")
    assert settings.descriptor[0].radial.order == 15


ERRORS = {
    "wrong element": (
        ("generate.in", "Ti -1604", "TI -1604"),
        r"generate.in', line 5: 'TI' is not a chemical element, did you mean 'Ti'\?",
    ),
    "element twice": (
        ("generate.in", "O   -432", "Ti -432"),
        "line 6: Ti is given twice",
    ),
    "no energy": (
        ("generate.in", "O   -432.503149303", "O"),
        "line 6: an element and the energy of its atom expected",
    ),
    "no number": (
        ("generate.in", "-432.503149303", "-432.5.3"),
        r"line 6: energy of the atom '-432.5.3', expected a number",
    ),
    "not finite": (
        ("generate.in", "-432.503149303", "nan"),
        "'nan', expected a number",
    ),
    "huge": (("generate.in", "-432.503149303", "1e999"), "'1e999', expected a number"),
    "number of types": (
        ("generate.in", "TYPES\n2", "TYPES\ntwo"),
        "line 4: number of TYPES 'two', expected an integer from 1",
    ),
    "too few files": (
        ("generate.in", "FILES\n3", "FILES\n5"),
        r"line 13: FILES 5, but 3 lines follow: aenet would read the last one again",
    ),
    "too few types": (
        ("generate.in", "TYPES\n2", "TYPES\n3"),
        r"line 4: TYPES 3, but 2 lines follow; correct the number",
    ),
    "no files": (
        ("generate.in", "FILES\n3", "FLES\n3"),
        "no keyword FILES, expected one",
    ),
    "set-up of another element": (
        ("generate.in", "O    O.stp", "O Ti.stp"),
        "line 10: '.*Ti.stp' is a set-up of ATOM Ti, expected O",
    ),
    "set-up of a stranger": (
        ("generate.in", "O    O.stp", "O O.stp\nH H.stp"),
        "line 11: H is not in TYPES: Ti, O",
    ),
    "set-up twice": (
        ("generate.in", "O    O.stp", "Ti O.stp"),
        "line 10: a second set-up of Ti",
    ),
    "no set-up": (("generate.in", "O    O.stp", ""), "line 8: no set-up of O"),
    "no .stp": (
        ("generate.in", "O    O.stp", "O o.stp"),
        "line 10: '.*o.stp': no such file, expected the set-up of O",
    ),
    "no value": (
        ("train.in", "TESTPERCENT 10", "TESTPERCENT"),
        "line 2: a value expected after TESTPERCENT, found none",
    ),
    "percentage": (
        ("train.in", "TESTPERCENT 10", "TESTPERCENT 100"),
        "line 2: TESTPERCENT 100, expected 0 to less than 100",
    ),
    "epochs": (
        ("train.in", "5000", "5000.0"),
        "line 3: ITERATIONS '5000.0', expected an integer from 0",
    ),
    "activation": (
        ("train.in", "10:t\n", "10:tan\n"),
        r"line 13: activation function 'tan' is unknown, .*did you mean 'tanh'\?",
    ),
    "layers": (
        ("train.in", "2      15:t ", "3      15:t "),
        "line 14: 3 hidden layers, but nodes:activation of 2",
    ),
    "nodes": (
        ("train.in", "15:t ", "0:t "),
        "line 14: number of nodes '0', expected an integer from 1",
    ),
    "network twice": (
        ("train.in", "  O    ", "  Ti   "),
        "line 14: a second network of Ti",
    ),
    "network of a stranger": (
        ("train.in", "  O    ", "  H   "),
        "line 14: H is not among the species Ti, O",
    ),
    "misspelt keyword within a table": (
        ("train.in", "  O  ", "TIMEING\n  O  "),
        "line 11: no network of O",
    ),
    "network missing": (
        ("train.in", "  O       O.15t-10t.nn    2      15:t 10:tanh\n", ""),
        "line 11: no network of O",
    ),
    "method": (
        ("train.in", "METHOD\nbfgs\n\n", "METHOD\n\n"),
        "line 5: a method expected after METHOD",
    ),
    "learning rate": (
        ("train.in", "\nbfgs\n", "\nadam mu=0.0\n"),
        "line 6: mu 0, expected more than 0",
    ),
    "no ATOM": (("O.stp", "ATOM O", ""), "O.stp': no ATOM, expected one"),
    "ENV": (
        ("O.stp", "ENV 2", "ENV 99"),
        "line 8: 99 species expected, the file ends after 5",
    ),
    "species of ENV": (("O.stp", "\nTi\nO\n", "\nTi\n0\n"), "'0' is not a chemical"),
    "species of ENV twice": (("O.stp", "\nTi\nO\n", "\nTi\nTi\n"), "Ti is given twice"),
    "no END": (("O.stp", "END DESCR", ""), "line 1: DESCR without END DESCR"),
    "type of basis": (
        ("O.stp", "Chebyshev", "Legendre"),
        "line 14: BASIS of type 'Legendre', expected type=Chebyshev",
    ),
    "cutoff": (
        ("O.stp", "radial_Rc = 8.0", "radial_Rc = 0.0"),
        "line 15: radial_Rc 0, expected 0 to 100 angstrom",
    ),
    "no order": (
        ("O.stp", "angular_N = 4", ""),
        "line 15: angular_N= is missing, which aenet reads as 0",
    ),
    "order": (
        ("O.stp", "angular_N = 4", "angular_N = 101"),
        "line 15: angular_N '101', expected an integer from 0 to 100",
    ),
    "no basis": (("O.stp", "BASIS", "!BASIS"), "no BASIS or FUNCTIONS"),
    "mixed types": (
        ("generate.in", "O.stp", "O.behler.stp"),
        "is of type Chebyshev, '.*' of type Behler2011: aenet cannot mix them",
    ),
    "type of function": (
        ("O.behler.stp", "G=1", "G=6"),
        "line 11: G='6', expected one of G=1 to G=5",
    ),
    "number of functions": (
        ("O.behler.stp", "\n4\n", "\n6\n"),
        "line 6: 6 functions expected, the file ends after 4",
    ),
    "parameter missing": (
        ("O.behler.stp", "eta=0.01 ", ""),
        "line 10: G4 needs eta=",
    ),
    "no function is left": (
        ("O.behler.stp", "\n4\nG=2 type2=Ti", "\n1\nG=2 type2=H"),
        "line 6: no function is left",
    ),
}


@pytest.mark.parametrize(("edit", "expected"), ERRORS.values(), ids=ERRORS)
def test_errors(folder, edit, expected):
    if "behler" in edit[0]:
        change(folder / "generate.in", "O.stp", "O.behler.stp")
        change(folder / "generate.in", "Ti.stp", "Ti.behler.stp")
    change(folder / edit[0], *edit[1:])
    with pytest.raises(FileFormatError, match=expected) as caught:
        convert(folder, "generate.in", "train.in")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_files_of_the_same_kind_are_refused(folder):
    with pytest.raises(FileFormatError, match=r"both a train.in of aenet"):
        convert(folder, "train.in", "torch.in")
    with pytest.raises(FileFormatError, match=r"both set-ups of O"):
        convert(folder, "O.stp", "O.behler.stp")


def test_files_that_are_none(folder):
    path = folder / "generate.in"
    for content, expected in (
        (b"", "nothing in it, expected keywords"),
        (b"OUTPUT a\0\n", "line 1: binary data"),
        (b"a b c\n", "neither generate.in, train.in nor predict.in"),
        (b"a\n" * 300_001, "more than 300000 lines"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=expected):
            convert(folder, "generate.in")
    with pytest.raises(FileFormatError, match="No such file"):
        convert(folder, "nowhere.in")


def test_many_unknown_lines_are_counted(folder):
    change(folder / "generate.in", "SETUPS", "what is this\n" * 100 + "SETUPS")
    notes = []
    convert(folder, "generate.in", notes=notes)
    assert len(notes) == 22
    assert "80 more lines with unknown keywords" in "".join(notes)


def test_the_command(folder):
    result = run("convert", "generate.in", "train.in", "out.yaml", folder=folder)
    assert result.exit_code == 0
    assert "settings of annpot: out.yaml" in result.stdout
    assert "note: 'generate.in', line 1: OUTPUT TiO2.train: " in result.stderr
    assert load_settings(folder / "out.yaml").train.hidden == (15, 10)
    change(folder / "generate.in", "O.stp", "o.stp")
    result = run("convert", "generate.in", "new.yaml", folder=folder)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: 'generate.in', line 10: 'o.stp': no such file, expected the set-up of "
        "O\n"
    )
    assert not (folder / "new.yaml").exists()


def test_recognition():
    for text in (GENERATE, TRAIN, PREDICT, TORCH, STP, BEHLER):
        assert is_aenet_input(text.encode())
    for file in (
        DATA / "Ti.pytorch.nn.ascii",
        DATA / "Ti.15t-15t.nn",
        STRUCTURES / "structure0001.xsf",
        EXAMPLE / "in.yaml",
        EXAMPLE.parent.parent / "README.md",
    ):
        assert not is_aenet_input(file.read_bytes()[:4096])
    assert not is_aenet_input(b"")
    assert not is_aenet_input(b"begin\natom 0 0 0 H 0 0 0 0 0\nenergy 1\nend\n")


@pytest.mark.parametrize(
    "name",
    ["generate.in", "train.in", "predict.in", "torch.in", "O.stp", "O.behler.stp"],
)
def test_damaged_inputs(folder, name):
    if "behler" in name:
        change(folder / "generate.in", "O.stp", "O.behler.stp")
        change(folder / "generate.in", "Ti.stp", "Ti.behler.stp")
    content = (folder / name).read_bytes()

    def read(damaged):
        (folder / name).write_bytes(damaged)
        names = ["generate.in"] if name.endswith("stp") else [name]
        return convert(folder, *names)

    damaged = [*truncations(content), *flips(content)]
    results = assert_ends_well(read, damaged)
    assert len(results) > 20
