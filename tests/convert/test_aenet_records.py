"""Records of aenet's files: layouts, text, and what is told of wrong ones."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest

from annpot.convert.aenet.records import (
    LAYOUTS,
    BinaryRecords,
    BinaryWriter,
    Layout,
    TextRecords,
    TextWriter,
    find_layout,
    find_lengths,
    format_float,
    open_records,
)
from annpot.errors import FileFormatError

LONG_LINE = " a description, with / and blanks$$"


def write(writer):
    writer.integers([3])
    writer.integers([1, -2, 3])
    writer.floats([[0.1, -2e-300], [3e300, 0.0]])
    writer.logical(True)
    writer.symbols(["Ti", "O"], lines=True)
    writer.symbols(["Ti", "O"])
    writer.line(LONG_LINE, 1024)
    writer.line("Chebyshev", 100)


def check(records):
    assert records.integer("count", 1, 5) == 3
    np.testing.assert_array_equal(records.integers("integers", 3), [1, -2, 3])
    np.testing.assert_array_equal(
        records.floats("numbers", 4), [0.1, -2e-300, 3e300, 0.0]
    )
    assert records.logical("flag") is True
    assert records.symbols("species", 2) == ("Ti", "O")
    assert records.symbols("species", 2) == ("Ti", "O")
    assert records.line("description", 1024) == LONG_LINE
    assert records.word("basis", 100) == "Chebyshev"
    records.end()


def binary(layout=LAYOUTS[0], make=write):
    file = io.BytesIO()
    make(BinaryWriter(file, layout))
    return file.getvalue()


def read_binary(content):
    return BinaryRecords(io.BytesIO(content), "Ti.nn")


def read_text(content):
    return TextRecords(io.BytesIO(content), "Ti.nn.ascii")


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts(layout):
    content = binary(layout)
    assert find_layout(content[:20]) == layout
    lengths = [4, 12, 32, 4, 4, 4, 1024, 100]
    assert find_lengths(content, layout) == lengths
    assert find_lengths(content[:76], layout) == lengths[: 4 if layout[1] == 4 else 3]
    check(read_binary(content))


def test_text():
    file = io.BytesIO()
    write(TextWriter(file))
    check(read_text(file.getvalue()))


@pytest.mark.parametrize("count", range(1, 5))
def test_a_count_that_looks_like_a_marker(count):
    """Markers of 8 bytes begin like those of 4 bytes."""
    for layout in LAYOUTS:
        content = binary(layout, lambda writer: writer.integers([count]))
        assert find_layout(content) == layout
        assert read_binary(content).integer("count", 1, 4) == count


def test_text_in_any_lines():
    text = (
        b"3 1\n-2\n\n 3 1d-1 -2.0D-300 3.0+300\n.FALSE. Ti\nO TiO \n  any thing \nA B"
    )
    records = read_text(text)
    assert records.integers("", 4).tolist() == [3, 1, -2, 3]
    assert records.floats("", 3).tolist() == [0.1, -2e-300, 3e300]
    assert records.logical("") is False
    assert records.symbols("", 2) == ("Ti", "O")
    assert records.symbols("", 2) == ("Ti", "O")
    assert records.line("", 100) == " any thing"
    assert records.word("", 100) == "A"
    assert records.line("", 100) == "B"
    records.end()


@pytest.mark.parametrize("names", [*itertools.product(["Ti", "O"], repeat=3)])
def test_symbols_without_blanks_between(names):
    glued = " " + "".join(f"{name:2}" for name in names)
    assert read_text(glued.encode()).symbols("", 3) == names


@pytest.mark.parametrize("flag", ["T", "True", ".true.", "F", "False", ".FALSE."])
def test_logical(flag):
    assert read_text(flag.encode()).logical("") is flag.strip(".").startswith(
        ("T", "t")
    )


def test_a_blank_line_is_a_record():
    records = read_text(b"1.0\n   \n Ti 2")
    records.number("")
    assert records.line("", 1024) == ""
    assert records.symbols("", 1) == ("Ti",)


def test_numbers_look_like_those_of_gfortran():
    numbers = [0.0, -0.1, 0.55, 6.0, -1604.604515075, 0.048790419498454654, 1e16, 1e17]
    assert [format_float(number).strip() for number in numbers] == [
        "0.0000000000000000",
        "-0.10000000000000001",
        "0.55000000000000004",
        "6.0000000000000000",
        "-1604.6045150750001",
        "4.8790419498454654E-002",
        "10000000000000000.",
        "1.0000000000000000E+017",
    ]
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=100) * 10.0 ** rng.integers(-300, 300, size=100)
    assert [float(format_float(number)) for number in numbers] == numbers.tolist()


def damage(content, at, byte):
    return content[:at] + bytes([byte]) + content[at + 1 :]


TWO = binary(make=lambda writer: (writer.integers([2]), writer.floats([1.0, 2.0])))
NAN = binary(make=lambda writer: (writer.integers([2]), writer.floats([1.0, np.nan])))

BROKEN = {
    "other length": (
        TWO,
        lambda r: r.floats("weights", 3),
        "record 2 (weights): 3 numbers expected, found 2",
    ),
    "odd length": (
        damage(TWO, 12, 15),
        lambda r: r.floats("weights", 2),
        "record 2 (weights): 2 numbers expected, found 15 bytes",
    ),
    "negative length": (
        damage(TWO, 15, 255),
        lambda r: r.floats("weights", 1),
        "record 2 (weights): 1 number expected, found -16777200 bytes",
    ),
    "cut short": (
        TWO[:-5],
        lambda r: r.floats("weights", 2),
        "record 2 (weights): 16 bytes expected, but the file ends after 15: is it cut "
        "short?",
    ),
    "no more records": (
        TWO[:14],
        lambda r: r.floats("weights", 2),
        "record 2 (weights): the file ends before it: is it cut short?",
    ),
    "markers differ": (
        damage(TWO, len(TWO) - 4, 17),
        lambda r: r.floats("weights", 2),
        "record 2 (weights): the markers around it, 16 and 17, differ: the file is "
        "damaged",
    ),
    "not finite": (
        NAN,
        lambda r: r.floats("weights", 2),
        "record 2 (weights): number 2 is nan, expected a finite one",
    ),
    "text of other length": (
        TWO,
        lambda r: r.line("description", 1024),
        "record 2 (description): 1024 characters expected, found 16",
    ),
    "no symbols": (
        binary(make=lambda w: (w.integers([2]), w.symbols(["Ti", "!"]))),
        lambda r: r.symbols("species", 2),
        "record 2 (species): '!' is not a chemical symbol",
    ),
    "more follows": (
        TWO,
        lambda r: r.end(),
        "record 1 (count): 24 bytes follow, expected the end of the file",
    ),
}


@pytest.mark.parametrize(("content", "read", "message"), BROKEN.values(), ids=BROKEN)
def test_errors(content, read, message):
    records = read_binary(content)
    assert records.integer("count", 2, 2) == 2
    with pytest.raises(FileFormatError) as error:
        read(records)
    assert str(error.value) == f"'Ti.nn', {message}"


BROKEN_TEXT = {
    "cut short": (
        b"1.0\n",
        lambda r: r.floats("weights", 3),
        "line 1 (weights): the file ends, 2 more expected: is it cut short?",
    ),
    "no number": (
        b"1.0 abc",
        lambda r: r.floats("weights", 2),
        "line 1 (weights): 'abc' is no number",
    ),
    "no integer": (
        b"1\n\n2.0",
        lambda r: r.integers("nodes", 2),
        "line 3 (nodes): '2.0' is no integer",
    ),
    "huge integer": (
        b"99999999999999999999",
        lambda r: r.integers("nodes", 1),
        "line 1 (nodes): '99999999999999999999' is no integer",
    ),
    "out of range": (
        b"7",
        lambda r: r.integer("layers", 2, 5),
        "line 1 (layers): 7, expected 2 to 5",
    ),
    "not finite": (
        b"inf",
        lambda r: r.number("scale"),
        "line 1 (scale): number 1 is inf, expected a finite one",
    ),
    "no flag": (
        b"yes",
        lambda r: r.logical("flag"),
        "line 1 (flag): 'yes', expected T or F",
    ),
    "too many symbols": (
        b"TiO 3",
        lambda r: r.symbols("species", 1),
        "line 1 (species): 1 chemical symbols expected, found 'TiO'",
    ),
    "endless word": (
        b"1" * 5000,
        lambda r: r.number("scale"),
        "line 1 (scale): a word of more than 1024 characters",
    ),
    "more follows": (
        b"\n 1 \n",
        lambda r: r.end(),
        "line 2 (): '1' follows, expected the end of the file",
    ),
}


@pytest.mark.parametrize(
    ("content", "read", "message"), BROKEN_TEXT.values(), ids=BROKEN_TEXT
)
def test_errors_of_text(content, read, message):
    with pytest.raises(FileFormatError) as error:
        read(read_text(content))
    assert str(error.value) == f"'Ti.nn.ascii', {message}"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 8, bytes(20)])
def test_not_a_file_of_records(content):
    with pytest.raises(FileFormatError, match="does not begin with a record of one"):
        read_binary(content)


def test_files(tmp_path):
    path = tmp_path / "Ti.nn"
    path.write_bytes(binary(Layout("big", 8)))
    with open_records(path) as records:
        check(records)
    with (
        pytest.raises(FileFormatError, match=r"none.nn' cannot be read: No such file"),
        open_records(tmp_path / "none.nn"),
    ):
        pass
