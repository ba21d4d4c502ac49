"""The text form: the same to the last bit, and clean errors for all that is not it."""

from __future__ import annotations

import json
import re
import threading
import tracemalloc
from pathlib import Path

import damage
import h5py
import numpy as np
import pytest
from made_potentials import POTENTIALS

from annpot.committee import Committee
from annpot.description import describe, verify_file
from annpot.errors import FileFormatError
from annpot.format import container, reading, text_reading, writing
from annpot.format.copying import copy
from annpot.potential import Potential

DATA = Path(__file__).parent.parent / "data" / "format"


@pytest.fixture
def text(tmp_path):
    """Return the text form of the potential of version 1."""
    path = tmp_path / "p.json"
    copy(DATA / "potential-v1.h5", path)
    return path


def digest(path):
    with reading.open_checked(path) as file:
        return reading.read_attribute(file, container.SHA256, str)


def error_of(path, load=Potential.load):
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The same in both forms.


def assert_round_trips(path, folder):
    """Copy a file to its text form and back, twice; return the first of the texts."""
    one, two, three, four = (
        folder / name for name in ("1.json", "2.h5", "3.json", "4.h5")
    )
    copy(path, one)
    copy(one, two)
    copy(two, three)
    copy(three, four)
    assert one.read_bytes() == three.read_bytes()
    assert two.read_bytes() == four.read_bytes()
    with h5py.File(path) as first, h5py.File(four) as last:
        assert container.compute_sha256(first) == container.compute_sha256(last)
        assert dict(first.attrs) == dict(last.attrs)
    return one


@pytest.mark.parametrize("name", POTENTIALS)
def test_potentials_stay_the_same_to_the_last_bit(name, tmp_path):
    potential = POTENTIALS[name]()
    potential.save(tmp_path / "potential.h5")
    text = assert_round_trips(tmp_path / "potential.h5", tmp_path)
    # annpot wrote it, with this version of HDF5
    whole = (tmp_path / "potential.h5").read_bytes()
    assert (tmp_path / "4.h5").read_bytes() == whole
    assert text.read_bytes().isascii()
    assert text.read_text().endswith("}\n")
    loaded = Potential.load(text)
    assert loaded.verify() == Potential.load(tmp_path / "potential.h5").verify()
    assert max(loaded.verify()) < 1e-12
    assert loaded.provenance == potential.provenance
    assert loaded.settings == potential.settings


@pytest.mark.parametrize("kind", ["potential", "committee"])
def test_old_files_stay_the_same(kind, tmp_path):
    text = assert_round_trips(DATA / f"{kind}-v1.h5", tmp_path)
    assert describe(text)["kind"] == kind
    assert verify_file(text).checksum == digest(DATA / f"{kind}-v1.h5")


def test_a_potential_is_saved_as_text_by_its_name(tmp_path):
    potential = POTENTIALS["resolved"]()
    potential.save(tmp_path / "one.json")
    potential.save(tmp_path / "two.h5")
    assert json.loads((tmp_path / "one.json").read_text())["species"] == ["Ti", "O"]
    assert digest(tmp_path / "one.json") == digest(tmp_path / "two.h5")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one.json", "two.h5"]
    Committee((potential, potential)).save(tmp_path / "three.JSON")
    assert len(Committee.load(tmp_path / "three.JSON").members) == 2


def test_a_change_of_one_weight_is_a_change_of_one_row(tmp_path):
    potential = POTENTIALS["resolved"]()
    potential.save(tmp_path / "one.json")
    W = potential.models[1].network.weights[0]
    W[2, 7] = np.nextafter(W[2, 7], 1.0)
    potential.save(tmp_path / "two.json")
    one, two = (
        (tmp_path / name).read_text().splitlines() for name in ("one.json", "two.json")
    )
    differing = [
        line.strip() for line, other in zip(one, two, strict=True) if line != other
    ]
    (row,) = (line for line in differing if line.startswith("["))
    assert str(float(W[2, 0])) in row
    assert {line[:5] for line in differing} <= {'"crea', '"sha2', row[:5]}


def test_numbers_of_all_sizes(tmp_path):
    values = np.array([0.0, -0.0, 1e22, 5e-324, 1.7976931348623157e308, 0.1, np.inf])
    with writing.create(
        tmp_path / "x.h5", "potential", '{"a": [1, {}], "b": "\\u00e9"}', in_memory=True
    ) as file:
        writing.write_array(file, "floats", values)
        writing.write_array(file, "integers", [[-(2**63)], [2**63 - 1]])
        writing.write_array(file, "cube", np.arange(24.0).reshape(2, 3, 4))
        writing.write_array(file, "flags", np.array([[0, 1], [1, 1]], np.uint8))
        writing.write_strings(file, "texts", ["", 'Größe "\\\n', "µ"])
        writing.write_strings(file, "none", [])
        writing.write_attribute(file, "empty", "")
        writing.write_attribute(file, "name", "Größe")
        writing.write_attribute(file, "yes", True)
        writing.write_attribute(file, "least", -(2**63))
        writing.write_attribute(file, "third", 1 / 3)
        file.create_group("group").create_group("inner")
    text = assert_round_trips(tmp_path / "x.h5", tmp_path)
    assert "[0.0, -0.0, 1e+22, 5e-324, 1.7976931348623157e+308, 0.1, null]" in (
        text.read_text()
    )


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "no JSON",
        '{"a":1}',
        '{"a": 1, "a": 1}',
        '{"a": 1E5}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "é"}',
        "[1, 2]",
        '"text"',
        '{"a": ' * 100 + "1" + "}" * 100,
        "[" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_texts_that_are_not_quite_json(settings, tmp_path):
    with writing.create(
        tmp_path / "x.h5", "potential", settings, in_memory=True
    ) as file:
        writing.write_text(file, "descriptor", settings)
    text = assert_round_trips(tmp_path / "x.h5", tmp_path)
    assert json.loads(text.read_text())["settings"] == settings


def test_two_threads_may_read_one_file(text):
    opened = []

    def read():
        opened.append(digest(text))

    with reading.open_checked(text) as first:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        with reading.open_checked(text) as second:
            assert first["species"][()].tolist() == second["species"][()].tolist()
    assert opened == [digest(text)]
    assert text.read_bytes().startswith(b"{")


# What is read although annpot does not write it so.


def rewrite(path, change):
    """Replace a text by what ``change`` makes of it."""
    path.write_text(change(path.read_text()))


def without_digest(text):
    return re.sub(r'\n  "sha256": .*', "", text)


def test_space_and_order_do_not_matter(text):
    before = digest(text)
    values = json.loads(text.read_text())
    head = {key: values.pop(key) for key in ("format", "version")}
    shuffled = {**head, **dict(sorted(values.items(), reverse=True))}
    text.write_text("\r\n " + json.dumps(shuffled, indent="\t").replace("\n", "\r\n"))
    assert digest(text) == before


def test_an_edit_is_accepted_without_the_digest(text, tmp_path):
    rewrite(text, lambda t: t.replace('"energy_shift": 0.43806', '"energy_shift": 0.5'))
    assert error_of(text) == (
        f"'{text}': the content does not have its checksum, it was damaged or edited: "
        "to accept an edit, please remove 'sha256'"
    )
    rewrite(text, without_digest)
    assert Potential.load(text).energy_shift == pytest.approx(0.53130416)
    copy(text, tmp_path / "new.json")
    assert digest(text) == digest(tmp_path / "new.json")
    assert digest(text) in (tmp_path / "new.json").read_text()


# Errors.

BAD = {
    '"version": 1': {
        '"version": 2': "'p.json' was written by annpot format version 2, this annpot",
        '"version": 0': "'p.json': there is no annpot format version 0",
        '"version": 1.0': "'p.json', attribute version of /: int expected, found f",
        '"version": [1]': "'p.json' is a JSON file, but not an annpot file, which",
        '"version": NaN': "line 3, version: NaN is not a number in JSON",
        '"version": 1e999': "line 3, version: a number that is too large",
        f'"version": {2**63}': "line 3, version: an integer of at most 64 bits",
        f'"version": {"9" * 5000}': "line 3, version: Exceeds the limit",
        '"version": null': "version: a number, text, true or false expected, found n",
        '"version": 1, "version": 1': "line 3: key 'version' twice in one object",
        '"version" 1': "line 3: ':' expected",
        '"version": 1 2': "line 3: ',' or '}' expected",
        '"version": x': "line 3, version: Expecting value (JSON)",
        '"version": 1, "a/b": 1': "line 3: key 'a/b' is not a name of the annpot form",
        '"version": 1, ".": 1': "line 3: key '.' is not a name of the annpot format",
        '"version": 1, "": 1': "line 3: key '' is not a name of the annpot format",
        '"version": 1, 2': "line 3: a key in quotes expected",
        '"version": 1, "b": "' + "x" * 60_001 + '"': "a text of at most 60000 bytes e",
        '"version": 1, "a": ' + '{"a": ' * 9: "objects are nested too deep",
        '"version": 1, "a": ' + "[" * 9: "line 3, a: lists are nested too deep",
        '"version": 1, "a": ' + '{"a":' * 99_999: "objects are nested too deep",
        '"version": 1, "a": ' + "[" * 99_999: "line 3, a: lists are nested too deep",
        '"version": 1, ' + ", ".join(f'"a{k}": 1' for k in range(100)): (
            "more than 100 numbers and texts"
        ),
        '"version": 1, '
        + ", ".join(f'"a{k}": {{}}' for k in range(10_000)): "more than 10000 keys",
    },
    '"kind": "potential"': {
        '"kind": "fingerprints"': "'p.json' is a fingerprint set, expected a potential",
        '"kind": "\\ud800"': "kind: text '\\ud800' with half a character",
        '"kind": "a\\u0000"': "kind: text 'a\\x00' with a NUL",
    },
    '"kind"': {'"sort"': "'p.json', attribute kind of /: missing"},
    '"type": "chebyshev"': {
        '"type": "chebyshev", "type": 1': "descriptor: a key twice in one object",
        '"type": 1e999': "descriptor: Out of range float values are not JSON compliant",
        '"type": ' + '{"a":' * 100_000: "descriptor: maximum recursion depth exceeded",
    },
    '"descriptor": {': {'"descriptor": [{': "an object or a text in quotes expected"},
    '"species": ["Ti", "O"]': {
        '"species": ["Ti", 8]': "species: texts only expected in a list that begins",
        '"species": ["Ti\\u0000"]': "species: text 'Ti\\x00' with a NUL",
        '"species": [Ti]': "species: Expecting value (JSON)",
        '"species": []': "'p.json', /descriptor: its species differ from those",
    },
    '"n_atoms": [6, 6]': {
        '"n_atoms": [6, 6.0]': "test_vectors.n_atoms: numbers expected that all have",
        '"n_atoms": [6, true]': "test_vectors.n_atoms: numbers expected that all have",
        '"n_atoms": [6, null]': "test_vectors.n_atoms: numbers expected that all have",
        '"n_atoms": [6, "6"]': "test_vectors.n_atoms: '[' expected",
        '"n_atoms": [6, [6]]': "test_vectors.n_atoms: '[' expected",
        f'"n_atoms": [6, {2**63}]': "n_atoms: integers of at most 64 bits expected",
        '"n_atoms": [true]': "true and false expected in lists of a list only",
        '"n_atoms": [6, NaN]': "test_vectors.n_atoms: NaN is not a number in JSON",
        '"n_atoms": [6.0, 1e999]': "test_vectors.n_atoms: a number that is too large",
        '"n_atoms": [6.0, -Infinity]': "-Infinity is not a number in JSON",
        '"n_atoms": [[6], [6, 6]]': (
            "n_atoms: lists of shape (1,) expected, as the first is, found (2,)"
        ),
        '"n_atoms": [[[6]], [6]]': (
            "n_atoms: lists of shape (1, 1) expected, as the first is, found (1,)"
        ),
        '"n_atoms": [[6], [6.0]]': "test_vectors.n_atoms: numbers expected that all",
        '"n_atoms": [[], []]': "test_vectors.n_atoms: numbers expected that all have",
    },
    "}\n}\n": {
        "}\n} {}": "nothing expected after the last brace",
        "}\n": "',' or '}' expected",
        "}\n,}": "a key in quotes expected",
    },
    '"format": "annpot"': {
        '"format": "other"': "'p.json' is a JSON file, but not an annpot file, which",
        '"name": {"a/b": []}': "'p.json' is a JSON file, but not an annpot file, which",
        '"format": "annpot", "format": 1': "line 2: key 'format' twice in one object",
    },
}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(old, new, m) for old, cases in BAD.items() for new, m in cases.items()],
    ids=lambda text: text[:40],
)
def test_bad_text(old, new, message, text, monkeypatch):
    monkeypatch.chdir(text.parent)
    assert text.read_text().count(old) >= 1
    rewrite(text, lambda t: without_digest(t).replace(old, new, 1))
    error = error_of(Path("p.json"))
    assert message in error
    assert error.startswith("'p.json'")
    assert len(error) < 400


def test_what_is_no_text_at_all(tmp_path):
    path = tmp_path / "p.json"
    for content in (b"{", b"{}", b"{\xff", b"  {\n", b'{"format": "annpot"}', b"{]"):
        path.write_bytes(content)
        assert error_of(path).startswith(f"'{path}'")
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert "is not an annpot file (HDF5 or JSON expected)" in error_of(path)
    path.write_bytes(b'{"format": "\xff')
    assert error_of(path) == f"'{path}': UTF-8 expected, which byte 12 is not"


def test_a_text_that_is_too_large(text, monkeypatch):
    monkeypatch.setattr(text_reading, "MAX_BYTES", 1000)
    assert "at most 1000 are allowed: please use the HDF5 file" in error_of(text)


def test_fingerprints_have_no_text_form(tmp_path):
    source, target = DATA / "fingerprints-v1.h5", tmp_path / "set.json"
    message = error_of(source, lambda path: copy(path, target))
    assert message == f"'{source}' is a fingerprint set, expected a potential"
    with (
        pytest.raises(FileFormatError, match="fingerprint set, which has no text form"),
        writing.create(target, "fingerprints", "{}", in_memory=True),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.array([1.0, np.nan]), "/x: nan, which has no text form"),
        ("x", np.array([-np.inf]), "/x: -inf, which has no text form"),
        ("x", np.zeros((0, 3)), "/x: float64 of shape (0, 3), which has no text form"),
        ("x", np.float64(1.0), "/x: float64 of shape (), which has no text form"),
        ("x", np.ones(2, "f4"), "/x: float32 1.0, which has no text form"),
        ("x", np.full((1, 2), 2, "u1"), "/x: uint8 2, which has no text form"),
        ("x", np.array([65], "u1"), "/x: a NUL after the last text expected"),
        ("x", np.array([255], "u1"), "/x: not UTF-8, which has no text form"),
        ("x", np.bytes_("text"), "/x: |S4 of shape (), which has no text form"),
        ("writer", np.ones(2), "/: an attribute and an object of one name, which has"),
    ],
)
def test_what_no_potential_holds_has_no_text_form(name, value, message, tmp_path):
    target = tmp_path / "x.json"
    with (
        pytest.raises(FileFormatError) as caught,
        writing.create(target, "potential", "{}", in_memory=True) as file,
    ):
        file[name] = value
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(2), "/x: an attribute of shape (2,)"),
        (np.bytes_(b"a\0b"), "/x: filled with NULs, which has no text form"),
        (np.int32(1), "/x: int32 1, which has no text form"),
    ],
)
def test_attributes_without_a_text_form(value, message, tmp_path):
    with (
        pytest.raises(FileFormatError) as caught,
        writing.create(tmp_path / "x.json", "potential", "{}", in_memory=True) as file,
    ):
        file.attrs["x"] = value
    assert message in str(caught.value)


def test_a_damaged_file_is_not_copied(tmp_path):
    content = bytearray((DATA / "potential-v1.h5").read_bytes())
    with h5py.File(DATA / "potential-v1.h5") as file:
        content[file["test_vectors/energy"].id.get_offset()] ^= 1
    (tmp_path / "x.h5").write_bytes(content)
    message = error_of(tmp_path / "x.h5", lambda p: copy(p, tmp_path / "x.json"))
    assert message.endswith("is damaged: the content has not its checksum")
    assert not (tmp_path / "x.json").exists()


def test_damaged_texts_end_well(text):
    content = text.read_bytes()

    def load(damaged):
        text.write_bytes(damaged)
        return Potential.load(text).verify()

    assert not damage.assert_ends_well(load, damage.truncations(content))
    # header and space are outside the digest
    for deviations in damage.assert_ends_well(load, damage.flips(content)):
        assert max(deviations) < 1e-9


@pytest.mark.parametrize(
    "item",
    ["[1],", "[[1]],", "1e0,", "[],", "0,", '"",', "[0.5],", "[true],", "null,"],
)
def test_memory_is_that_of_the_file(item, tmp_path):
    path, size = tmp_path / "p.json", 100_000
    items = item * (size // len(item))
    path.write_text('{"format": "annpot", "version": 1, "x": [' + items[:-1] + "]}")
    tracemalloc.start()
    error_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * size
