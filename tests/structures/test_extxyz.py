"""The reader of XYZ files: ASE, frame by frame, is what it is compared with."""

import io
import lzma

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from annpot.errors import StructureError
from annpot.structures import blocks, extxyz, pieces
from annpot.structures.ase_reading import from_atoms
from annpot.structures.extxyz import read_xyz
from annpot.structures.reading import (
    Source,
    SourceFile,
    read_files,
    read_structures,
)

FIELDS = "symbols positions_nc cell_cc pbc_c energy forces_nc stress_v index".split()


def assert_same(one, other):
    assert one.symbols == other.symbols
    for name in FIELDS[1:]:
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_array_equal(a, b, err_msg=name)


def read_by_ase(text, name="x"):
    images = ase.io.read(io.StringIO(text), ":", format="extxyz")
    return [from_atoms(atoms, name, i) for i, atoms in enumerate(images)]


@pytest.fixture
def no_ase(monkeypatch):
    """Let a frame that is left to ASE fail."""

    def refuse(*_):
        raise AssertionError("left to ASE")

    monkeypatch.setattr(extxyz, "_read_with_ase", refuse)


KEYS = st.sampled_from(
    [*extxyz.NUMERIC, "config_type", "num", "ENERGY", "pbc", "Lattice", "remark"]
)
NUMBER = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["1e3", "+1.5", ".5", "5.", "nan", "1_0", "1D0", "T", "word"]),
)
VALUE = st.one_of(
    NUMBER,
    st.lists(NUMBER, min_size=1, max_size=9).map(" ".join).map('"{}"'.format),
    st.lists(st.floats(-9, 9).map(repr), min_size=9, max_size=9)
    .map(" ".join)
    .map('"{}"'.format),
    st.sampled_from(
        ['"T T F"', '"T F"', "'a b'", "{1 2}", "[1 2 3]", '"1, 2"', "a=b", "\\x"]
    ),
)
TOKENS = st.lists(
    st.one_of(st.tuples(KEYS, VALUE).map("=".join), KEYS), min_size=0, max_size=5
)
COLUMNS = {
    ":forces:R:3": "1.5 -2.25 1e-3",
    ":REF_forces:R:3": "1 2 3",
    ":force:R:3": "0.1 0.2 -0.3",
    ":energies:R:1": "-1.25",
    ":tags:I:1": "3",
    ":kind:S:1": "word",
    ":fixed:L:1": "T",
    ":move_mask:L:1": "F",
    ":Z:I:1": "22",
    ":momenta:R:3": "1 2 123456789012345678",
    ":broken:R:1": "x",
}


@settings(max_examples=300)
@given(
    tokens=TOKENS,
    columns=st.lists(st.sampled_from(list(COLUMNS)), max_size=3, unique=True),
    symbol=st.sampled_from(["Ti", "TI", "ti", "22", "Q", "X"]),
    tail=st.sampled_from(["", " 7", "\n", "\nVEC1 3 0 0"]),
)
def test_each_frame_is_what_ase_reads(tokens, columns, symbol, tail):
    head = f"Properties=species:S:1:pos:R:3{''.join(columns)}"
    row = " ".join(["0.1 0.20000000000000001 1e2", *(COLUMNS[key] for key in columns)])
    text = f"2\n{' '.join([head, *tokens])}\n{symbol} {row}\nO 1 {row[4:]}{tail}\n"
    try:
        expected = read_by_ase(text)
    except Exception:
        expected = None
    try:
        list(blocks.find_places(io.BytesIO(text.encode()).read, 10**6, "x", "extxyz"))
    except StructureError:
        return  # a line that is neither of a frame nor the first of one
    found = list(read_xyz(text.encode(), "x", "extxyz"))
    if expected is None:
        assert all(isinstance(error, StructureError) for error in found)
        return
    assert len(found) == len(expected) == 1
    assert_same(found[0], expected[0])


def test_an_empty_value_does_not_swallow_the_next_key(no_ase):
    comment = 'Properties=species:S:1:pos:R:3 config_type="" energy=1.5'
    text = f"1\n{comment}\nTi 0 0 0\n"
    assert read_by_ase(text)[0].energy is None  # ASE writes that, and misreads it
    (found,) = read_xyz(text.encode(), "x", "extxyz")
    assert found.energy == 1.5


def write_frames(path, n_frames, seed=0, **options):
    rng = np.random.default_rng(seed)
    images = []
    for k in range(n_frames):
        n_atoms = int(rng.integers(1, 6))
        atoms = ase.Atoms(
            rng.choice(["Ti", "O"], n_atoms),
            np.arange(n_atoms)[:, None] * 1.7 + rng.random((n_atoms, 3)) * 0.3,
            cell=np.diag([9.0, 10.0, 11.0]) + rng.random((3, 3)),
            pbc=rng.random(3) < 0.8,
        )
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=rng.normal() * 1e4,
            forces=rng.normal(size=(n_atoms, 3)),
            stress=rng.normal(size=6) if atoms.pbc.all() else None,
        )
        atoms.info["number"] = k
        images.append(atoms)
    ase.io.write(path, images, format="extxyz", **options)
    return images


def test_what_ase_writes_needs_no_ase(tmp_path, no_ase):
    path = tmp_path / "a.xyz"
    write_frames(path, 40)
    found = list(read_structures(path))
    expected = read_by_ase(path.read_text(), str(path))
    assert len(found) == 40
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_plain_xyz(tmp_path, no_ase):
    path = tmp_path / "plain.xyz"
    path.write_text("1\nwater? no\nO 0 0 0\n\n\n2\n\nO 0 0 0\nTi 0 0 2\n\n")
    assert [s.symbols for s in read_structures(path)] == [("O",), ("O", "Ti")]
    path.write_text('1\nan "open quote\nO 0 0 0\n')
    assert len(list(read_structures(path, format="xyz"))) == 1


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_newlines_of_other_systems(tmp_path, newline):
    path, other = tmp_path / "a.xyz", tmp_path / "b.xyz"
    write_frames(path, 3)
    other.write_bytes(path.read_bytes().replace(b"\n", newline.encode()))
    for one, two in zip(read_structures(path), read_structures(other), strict=True):
        np.testing.assert_array_equal(one.positions_nc, two.positions_nc)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 700)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1500)


INDICES = [":", "0", "7", "-1", "-40", "::7", "3:20:2", "-5:", "5:2", ":0", "30:"]


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_blocks_do_not_matter(tmp_path, small_blocks, index, suffix):
    path = tmp_path / f"a.xyz{suffix}"
    write_frames(tmp_path / "a.xyz", 40)
    if suffix:
        path.write_bytes(lzma.compress((tmp_path / "a.xyz").read_bytes()))
    expected = read_by_ase((tmp_path / "a.xyz").read_text(), str(path))
    chosen = (
        expected[slice(*(int(x) if x else None for x in index.split(":")))]
        if (":" in index)
        else [expected[int(index)]]
    )
    found = list(read_structures(path, index=index))
    assert [s.index for s in found] == [s.index for s in chosen]
    for one, other in zip(found, chosen, strict=True):
        assert_same(one, other)


def read_all(path, **options):
    skipped = []
    found = [
        structure
        for structure, _ in read_files(
            [SourceFile(path, Source((), **options))], on_error="skip", skipped=skipped
        )
    ]
    return [s.index for s in found], skipped


def test_a_wrong_frame_is_left_out_and_named(tmp_path, small_blocks):
    path = tmp_path / "a.xyz"
    write_frames(path, 30)
    lines = path.read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if line.isdigit()]
    lines[starts[4] + 2] = "Ti 0 0 zero"
    lines[starts[20] + 2] = lines[starts[20] + 2].replace(" ", " x", 1)
    path.write_text("\n".join(lines) + "\n")
    found, skipped = read_all(path)
    assert found == [k for k in range(30) if k not in (4, 20)]
    assert f"line {starts[4] + 1}: " in skipped[0]
    assert f"line {starts[20] + 1}: " in skipped[1]


def test_the_rest_is_lost_where_frames_cannot_be_told_apart(tmp_path, small_blocks):
    path = tmp_path / "a.xyz"
    write_frames(path, 30)
    lines = path.read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if line.isdigit()]
    lines[starts[20]] = "twenty"
    path.write_text("\n".join(lines) + "\n")
    found, skipped = read_all(path)
    assert found == list(range(20))
    assert len(skipped) == 1
    assert f"line {starts[20] + 1}: a number of atoms expected" in skipped[0]


@pytest.mark.parametrize("cut", [1, 2, 3, 40, 90])
def test_a_truncated_file(tmp_path, small_blocks, cut):
    path = tmp_path / "a.xyz"
    write_frames(path, 30, seed=3)
    lines = path.read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if line.isdigit()]
    kept = lines[: len(lines) - cut]
    path.write_text("\n".join(kept) + "\n")
    whole = sum(stop <= len(kept) for stop in [*starts[1:], len(lines)])
    found, skipped = read_all(path)
    assert found == list(range(whole))
    assert len(skipped) == (len(kept) not in starts)
    assert all("is the file truncated?" in message for message in skipped)
