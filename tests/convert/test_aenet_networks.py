"""Files of aenet's networks: layouts, and what is told of wrong and damaged ones."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest
from aenet_files import DATA
from damage import assert_ends_well, flips, truncations

from annpot.convert.aenet.networks import (
    NetworkFile,
    is_binary_network,
    is_text_network,
    read_network,
    write_records,
)
from annpot.convert.aenet.records import LAYOUTS, BinaryWriter, open_writer
from annpot.errors import FileFormatError

TEXT = (DATA / "Ti.2t.nn.ascii").read_text()
LINES = TEXT.split("\n")


def same(one, other):
    """Return whether two dataclasses hold the same, NaN being equal to itself."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if hasattr(one, "__dataclass_fields__"):
        return all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)
        )
    return one == other


@pytest.fixture
def read(tmp_path):
    """Return a function that reads bytes or text as a file."""

    def read_content(content):
        path = tmp_path / "Ti.nn"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_network(path)

    return read_content


@pytest.fixture
def message(read, tmp_path):
    """Return a function that reads wrong content, and what is told of it."""

    def find_message(content):
        with pytest.raises(FileFormatError) as error:
            read(content)
        return str(error.value).replace(f"{tmp_path}/", "")

    return find_message


def test_a_file_says():
    file = read_network(DATA / "Ti.behler.nn")
    assert file.nodes == (16, 8, 7, 6, 5, 1)
    assert file.codes == (4, 3, 2, 1, 0)
    assert len(file.weights_w) == 17 * 8 + 9 * 7 + 8 * 6 + 7 * 5 + 6
    setup = file.setup
    assert setup.description.startswith("  Behler2011 test setup for Ti: all of G1..G5")
    assert (setup.symbol, setup.environment) == ("Ti", ("Ti", "O"))
    assert (setup.r_min, setup.cutoff, setup.basis) == (0.55, 6.5, "Behler2011")
    assert setup.kinds_f[:3].tolist() == [4, 2, 2]
    assert setup.parameters_fk[0].tolist() == [6.5, -1.0, 1.0, 0.00357]
    assert setup.neighbours_fk[0].tolist() == [2, 1]
    assert setup.n_atoms == 212
    assert (setup.min_f <= setup.mean_f).all()
    assert (setup.mean_f <= setup.max_f).all()
    training = file.training
    assert training.file == "TiO2-20.train.scaled"
    assert training.normalized is True
    assert training.species == ("Ti", "O")
    assert training.reference_energies.tolist() == [-1604.604515075, -432.503149303]
    assert (training.n_atoms, training.n_structures) == (621, 20)
    assert training.energies[0] == -1.0000000000000013


@pytest.mark.parametrize("name", ["2t", "pytorch"])
def test_binary_and_text(name):
    binary, text = (read_network(DATA / f"Ti.{name}.nn{end}") for end in ("", ".ascii"))
    if name == "pytorch":
        assert text.setup.description == "Descriptor for Ti$$"
        text = replace(text, setup=replace(text.setup, description="Descriptor"))
    assert same(binary, text)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", ["15t-15t.nn", "behler.nn", "pytorch.nn", "2t.nn"])
def test_layouts(name, layout, tmp_path):
    file = read_network(DATA / f"Ti.{name}")
    path = tmp_path / "Ti.nn"
    with open_writer(path, text=False, layout=layout) as writer:
        write_records(file, writer)
    assert same(read_network(path), file)
    content = path.read_bytes()
    assert is_binary_network(content[:4096])
    assert not is_text_network(content[:4096])
    if layout == LAYOUTS[0]:
        assert content == (DATA / f"Ti.{name}").read_bytes()


def test_text_is_that_of_aenet(tmp_path):
    """But for the symbols, which aenet's own program could not read again."""
    path = tmp_path / "Ti.nn.ascii"
    with open_writer(path, text=True, layout=LAYOUTS[0]) as writer:
        write_records(read_network(DATA / "Ti.2t.nn"), writer)
    lines = path.read_text().split("\n")
    assert (LINES[32], lines[32]) == (" TiO ", " Ti O ")
    assert lines[:32] + lines[33:] == LINES[:32] + LINES[33:]
    assert is_text_network(path.read_bytes()[:4096])
    assert not is_binary_network(path.read_bytes()[:4096])


@pytest.mark.parametrize("name", ["15t-15t.nn", "behler.nn", "pytorch.nn.ascii"])
def test_text_is_exact(name, tmp_path):
    file = read_network(DATA / f"O.{name}")
    path = tmp_path / "O.nn.ascii"
    with open_writer(path, text=True, layout=LAYOUTS[0]) as writer:
        write_records(file, writer)
    assert same(read_network(path), file)


def in_one_line(lines):
    """Return the text with lines where words may end in the middle of them only."""
    head, tail = " ".join(lines[:10]), " ".join(lines[10:28])
    return "\n".join([head, tail, " ".join(lines[28:])])


def in_columns(lines):
    """Return the text with four numbers in a line, as aenet writes training sets."""
    new = []
    for n, line in enumerate(lines):
        words = [line] if n in (9, 27) else line.split()
        new += [" ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
    return "\n".join(new)


TEXTS = {
    "one line": in_one_line(LINES),
    "four columns": in_columns(LINES),
    "symbols in a line": TEXT.replace("Ti\nO \n", "Ti O\n"),
    "symbols together": TEXT.replace("Ti\nO \n", "TiO \n"),
    "symbols apart": TEXT.replace("\n TiO \n", "\n Ti O \n"),
    "symbols in lines": TEXT.replace("\n TiO \n", "\n Ti\nO\n"),
    "True": TEXT.replace("\n T\n", "\nTrue\n"),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "blank lines at the end": TEXT + "\n\n  \n",
    "powers with D": re.sub(r"E([-+]\d)", r"D\1", TEXT),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts(text, read):
    assert text != TEXT
    file = read(text)
    # behind a number, a blank tells nothing
    description = " " + file.setup.description.lstrip()
    file = replace(file, setup=replace(file.setup, description=description))
    assert same(file, read_network(DATA / "Ti.2t.nn"))


DESCRIPTIONS = ["a b/c, d$$", "/", "Ti", "", "12"]


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_descriptions(description, read):
    text = TEXT.replace("  tiny Ti$$", f" {description}")
    assert read(text).setup.description == description


def test_text_of_any_description_can_be_read_by_aenet(tmp_path):
    """An empty one or a quote would make Fortran read on in the next line."""
    file = read_network(DATA / "Ti.2t.nn")
    for description in ("", "'a", ' "b', "\xff\x00\n1"):
        file = replace(file, setup=replace(file.setup, description=description))
        path = tmp_path / "Ti.nn.ascii"
        with open_writer(path, text=True, layout=LAYOUTS[0]) as writer:
            write_records(file, writer)
        assert path.read_bytes().count(b"\n") == len(LINES) - 1
        line = path.read_bytes().split(b"\n")[9]
        assert line.split()
        assert line.split()[0][:1] not in (b"'", b'"')
        expected = description.replace("\n", " ")
        assert read_network(path).setup.description.endswith(expected)


def records_of(content):
    """Return the contents of all records of a file with 4-byte markers."""
    records, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        records.append(content[at + 4 : at + 4 + size])
        at += size + 8
    return records


def with_record(number, content):
    """Return the binary file with another record, counted from 1."""
    records = records_of((DATA / "Ti.2t.nn").read_bytes())
    assert len(records) == 36
    records[number - 1] = content
    marked = []
    for record in records:
        marker = len(record).to_bytes(4, "little")
        marked.append(marker + record + marker)
    return b"".join(marked)


def integers(*values):
    return np.array(values, "<i4").tobytes()


def floats(*values):
    return np.array(values, "<f8").tobytes()


WRONG = {
    "few weights": (
        9,
        floats(*range(12)),
        "(weights): 21 numbers expected, found 12",
    ),
    "NaN": (
        9,
        floats(*[0.0] * 20, np.nan),
        "(weights): number 21 is nan, expected a finite one",
    ),
    "no layers": (1, integers(1), "(number of layers): 1, expected 2 to 100"),
    "many layers": (
        1,
        integers(2**30),
        "(number of layers): 1073741824, expected 2 to 100",
    ),
    "layer without nodes": (
        5,
        integers(8, 0, 1),
        "(nodes of each layer): 8, 0, 1, expected 1 to 100000 each, and 1 in the last "
        "layer",
    ),
    "two outputs": (
        5,
        integers(8, 2, 2),
        "(nodes of each layer): 8, 2, 2, expected 1 to 100000 each, and 1 in the last "
        "layer",
    ),
    "other layers": (
        5,
        integers(8, 3, 1),
        "(nodes of each layer): layers of 8, 3, 1 nodes have 8, 31, 14 nodes at most, "
        "weights and values, but the file says 8, 21, 13",
    ),
    "unknown activation": (
        6,
        integers(7, 0),
        "(activation functions): 7, 0, expected 0 linear, 1 tanh, 2 sigmoid, 3 mtanh, "
        "4 twist, and 0 in the last layer",
    ),
    "output not linear": (
        6,
        integers(1, 1),
        "(activation functions): 1, 1, expected 0 linear, 1 tanh, 2 sigmoid, 3 mtanh, "
        "4 twist, and 0 in the last layer",
    ),
    "weights begin elsewhere": (
        7,
        integers(0, 18, 20),
        "(weights before each layer): 0, 18, 20, expected 0, 18, 21",
    ),
    "values begin elsewhere": (
        8,
        integers(0, 8, 12),
        "(values before each layer): 0, 8, 12, expected 0, 9, 12",
    ),
    "short description": (
        10,
        b"tiny",
        "(description): 1024 characters expected, found 4",
    ),
    "no element": (11, b"Xx", "(species): 'Xx' is not a chemical symbol"),
    "no species around": (
        12,
        integers(0),
        "(number of species around): 0, expected 1 to 118",
    ),
    "species twice": (13, b"TiTi", "(species around): Ti, Ti: the same species twice"),
    "unknown basis": (
        16,
        b"Zernike".ljust(100),
        "(basis): 'Zernike' is unknown, expected Chebyshev or Behler2011",
    ),
    "other number of features": (
        17,
        integers(10),
        "(number of features): 10, but the network has 8 inputs",
    ),
    "other number of parameters": (
        18,
        integers(5),
        "(number of parameters): 5, expected 4 to 4",
    ),
    "negative count": (
        22,
        integers(-1),
        "(number of atoms): -1, expected 0 to 2147483647",
    ),
    "range upside down": (
        24,
        floats(*[-100.0] * 8),
        "(largest features): feature 1: -100, but the least is 11.1397",
    ),
    "no scale": (
        29,
        floats(0.0),
        "(scale of energies): 0, expected another number than 0",
    ),
}


@pytest.mark.parametrize(("number", "record", "problem"), WRONG.values(), ids=WRONG)
def test_errors(number, record, problem, message):
    assert message(with_record(number, record)) == f"'Ti.nn', record {number} {problem}"


WRONG_TEXT = {
    "few weights": (8, " 0.5 0.25", "line 10 (weights): 'tiny' is no number"),
    "NaN": (
        8,
        " NaN" * 21,
        "line 9 (weights): number 1 is nan, expected a finite one",
    ),
    "unknown basis": (
        16,
        " Zernike",
        "line 17 (basis): 'Zernike' is unknown, expected Chebyshev or Behler2011",
    ),
    "more at the end": (
        36,
        "-1.0 1.0 0.0 7.0",
        "line 37 (least, largest, mean energy): '7.0' follows, expected the end of the "
        "file",
    ),
    "too many species": (
        32,
        " TiOH",
        "line 33 (species of the training set): 'OH' is not a chemical symbol",
    ),
}


@pytest.mark.parametrize(
    ("number", "line", "problem"), WRONG_TEXT.values(), ids=WRONG_TEXT
)
def test_errors_of_text(number, line, problem, message):
    lines = [line if n == number else old for n, old in enumerate(LINES)]
    found = message("\n".join(lines))
    assert found == f"'Ti.nn', {problem}"


def test_what_functions_do_not_need_may_be_anything(tmp_path):
    """aenet's programs may leave it uninitialised."""
    file = read_network(DATA / "Ti.behler.nn")
    parameters_fk = file.setup.parameters_fk.copy()
    unused = file.setup.kinds_f == 1
    parameters_fk[unused, 1:] = np.nan
    file = replace(file, setup=replace(file.setup, parameters_fk=parameters_fk))
    path = tmp_path / "Ti.nn"
    with path.open("wb") as stream:
        write_records(file, BinaryWriter(stream))
    assert isinstance(read_network(path), NetworkFile)


def test_other_files_are_not_networks():
    heads = [b"", b"0", b"4", b"3 8 21 13 8 2", b"TITLE 3", bytes(64), b"\x04" * 64]
    heads.append((DATA / "behler.train.ascii.xz").read_bytes()[:4096])
    heads.append((DATA / "structures" / "structure1067.xsf").read_bytes())
    assert not any(is_binary_network(head) for head in heads)
    assert not any(is_text_network(head) for head in heads)


@pytest.mark.parametrize("name", ["Ti.2t.nn", "Ti.2t.nn.ascii", "O.behler.nn"])
def test_damaged_files(name, read):
    content = (DATA / name).read_bytes()
    cut = list(truncations(content))
    assert not assert_ends_well(read, cut[:-1])
    assert assert_ends_well(read, flips(content))
