"""Pieces and portions: whatever they are, together they are what the files hold."""

import io
import lzma
import tarfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
from test_extxyz import assert_same, write_frames

from annpot.errors import InputError, StructureError
from annpot.structures import blocks, pieces
from annpot.structures.portions import Portion, PortionReader, iterate_portions
from annpot.structures.reading import Source, SourceFile, read_files

DATA = Path(__file__).parents[1] / "data" / "structures"


def write_runner(path, n_structures):
    rng = np.random.default_rng(1)
    text = ""
    for _ in range(n_structures):
        atoms = "".join(
            f"  atom {x:.6f} {2.0 * n} 0.0 O 0.0 0.0 {f:.6f} 0.0 0.0\n"
            for n, (x, f) in enumerate(rng.normal(size=(3, 2)))
        )
        text += f"begin\ncomment begin end\n{atoms}energy {rng.normal():.6f}\nend\n\n"
    path.write_text(text)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return files of all kinds, some with errors, cut into many pieces."""
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 700)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1500)
    write_frames(tmp_path / "a.xyz", 30)
    raw = (tmp_path / "a.xyz").read_bytes()
    (tmp_path / "b.xyz.xz").write_bytes(lzma.compress(raw))
    (tmp_path / "c.xyz").write_bytes(raw.replace(b"\nTi ", b"\nTj ", 3))
    (tmp_path / "d.xyz").write_bytes(raw[:3000] + b"junk\n" * 99)
    xsf = sorted(DATA.glob("*.xsf"))
    with tarfile.open(tmp_path / "e.tar.gz", "w:gz") as archive:
        for path in xsf * 2:
            archive.add(path, path.name)
        archive.addfile(tarfile.TarInfo("empty.xsf"), io.BytesIO())
    write_runner(tmp_path / "input.data", 25)
    broken = (tmp_path / "input.data").read_text().replace("energy", "enrgy", 3)
    (tmp_path / "broken.data").write_text(broken.replace("enrgy", "energy", 2))
    ase.io.write(tmp_path / "f.traj", ase.io.read(tmp_path / "a.xyz", ":"))
    names = "a.xyz b.xyz.xz c.xyz d.xyz e.tar.gz f.traj nothing.xyz".split()
    found = [SourceFile(tmp_path / name, Source(())) for name in names]
    found += [SourceFile(path, Source((), weight=2.0)) for path in xsf]
    runner = Source((), index="::2", units="angstrom,ev")
    found += [SourceFile(tmp_path / f"{x}.data", runner) for x in ("input", "broken")]
    return found


def read(reader, portion, **options):
    for structures in reader.read_all([portion], **options):
        yield from structures


def test_portions_hold_what_the_files_hold(files):
    skipped = []
    expected = list(read_files(files, on_error="skip", skipped=skipped))
    assert len(expected) > 150
    names = "c.xyz d.xyz e.tar.gz nothing.xyz broken.data".split()
    assert all(any(name in message for message in skipped) for name in names)
    portions = list(iterate_portions(files, 4000))
    assert len(portions) > 20
    reader, found, messages = PortionReader(), [], []
    for portion in portions:
        copy = Portion.from_json(portion.to_json())
        assert copy.n_bytes == portion.n_bytes
        found += read(reader, copy, on_error="skip", skipped=messages)
    assert messages == skipped
    for (one, source), (other, given) in zip(found, expected, strict=True):
        assert_same(one, other)
        assert (source.index, source.weight) == (given.index, given.weight)


def test_portions_can_be_read_in_any_order(files):
    portions = list(iterate_portions(files, 4000))
    forward, backward = PortionReader(), PortionReader()
    expected = [
        [s.label for s, _ in read(forward, portion, on_error="skip")]
        for portion in portions
    ]
    found = [
        [s.label for s, _ in read(backward, portion, on_error="skip")]
        for portion in reversed(portions)
    ]
    assert found[::-1] == expected


def test_a_portion_can_be_read_twice(files):
    reader = PortionReader()
    for portion in iterate_portions(files, 1):
        first, second = (
            [s.label for s, _ in read(reader, portion, on_error="skip")]
            for _ in range(2)
        )
        assert first == second


def test_errors_are_raised_where_they_are(files):
    portions = list(iterate_portions(files[3:4], 4000))
    reader, skipped = PortionReader(), []
    for portion in portions:
        list(read(reader, portion, on_error="skip", skipped=skipped))
    assert "a number of atoms expected, found 'junk'" in skipped[-1]
    with pytest.raises(StructureError, match="found 'junk'"):
        list(read(reader, Portion(portions[-1].pieces[-1:])))
    (portion,) = iterate_portions([SourceFile(files[-1].path, Source(()))])
    copy = Portion.from_json(portion.to_json())
    with pytest.raises(InputError, match="does not say its units"):
        list(read(PortionReader(), copy, on_error="skip"))


def test_a_file_that_changed_is_told(files, tmp_path):
    portions = list(iterate_portions(files[1:2], 2000))
    (tmp_path / "b.xyz.xz").write_bytes(lzma.compress(b"1\n\nO 0 0 0\n"))
    with pytest.raises(Exception, match=r"b.xyz.xz': changed while it was read"):
        list(read(PortionReader(), portions[-1]))
