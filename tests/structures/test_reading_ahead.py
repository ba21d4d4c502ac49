"""Other processes that parse: what they find is what this one would have found."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import PATIENCE
from test_extxyz import assert_same, write_frames
from test_portions import files, read  # noqa: F401 - files: a fixture

from annpot.errors import AnnpotError, InputError, StructureError
from annpot.structures import reading_ahead
from annpot.structures.packing import pack, unpack
from annpot.structures.portions import PortionReader, iterate_portions
from annpot.structures.reading import Source, SourceFile, read_files
from annpot.structures.structure import Structure


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(reading_ahead, "PATIENCE", 0.0)


def read_ahead(files, **options):  # noqa: F811
    reader = PortionReader(n_workers=2)
    portions = iterate_portions(files, 4000, strip=False)
    for structures in reader.read_all(portions, **options):
        yield from structures


def children():
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(path.read_text().split())


def test_all_is_found_in_the_same_order(files):  # noqa: F811
    before, skipped, messages = children(), [], []
    reader, expected = PortionReader(n_workers=0), []
    for portion in iterate_portions(files, 4000, strip=False):
        expected += read(reader, portion, on_error="skip", skipped=skipped)
    found = list(read_ahead(files, on_error="skip", skipped=messages))
    assert messages == skipped
    assert len(messages) > 5
    for (one, source), (other, given) in zip(found, expected, strict=True):
        assert_same(one, other)
        assert (one.file, one.set, source) == (other.file, other.set, given)
        assert one.cohesive_energy == other.cohesive_energy
        assert one.positions_nc.flags.writeable
    assert children() == before


def test_files_are_read_ahead_by_themselves(files, monkeypatch):  # noqa: F811
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        reading_ahead.subprocess,
        "Popen",
        lambda *a, **k: started.append(popen(*a, **k)) or started[-1],
    )
    monkeypatch.setattr(reading_ahead, "thread_count", lambda: 3)
    found = list(read_files(files[:2]))
    assert len(started) == 3
    assert len(found) == 60
    monkeypatch.setattr(reading_ahead, "thread_count", lambda: 1)
    assert len(list(read_files(files[:2]))) == 60
    monkeypatch.setattr(reading_ahead, "thread_count", lambda: 3)
    monkeypatch.setenv("PMI_SIZE", "2")
    assert len(list(read_files(files[:2]))) == 60
    assert len(started) == 3


def test_errors_come_where_they_are(files):  # noqa: F811
    before, structures = children(), read_ahead(files)
    for _ in range(60):
        next(structures)
    with pytest.raises(AnnpotError, match="ASE cannot read it as 'extxyz'"):
        next(structures)
    assert children() == before
    without_units = [SourceFile(files[-1].path, Source(()))]
    with pytest.raises(InputError, match="does not say its units"):
        list(read_ahead(without_units, on_error="skip"))


def test_nobody_is_left_behind(files):  # noqa: F811
    before = children()
    structures = read_ahead(files[:2])
    next(structures)
    assert len(children() - before) == 2
    structures.close()
    assert children() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_is_killed_is_told(files, number):  # noqa: F811
    before = children()
    structures = read_ahead(files[:2] * 50)
    next(structures)
    for pid in children() - before:
        os.kill(int(pid), number)
    with pytest.raises(AnnpotError, match=f"was ended by signal {int(number)}"):
        list(structures)
    assert children() == before


def is_running(pid):
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


def test_they_end_with_their_master(tmp_path):
    write_frames(tmp_path / "a.xyz", 30)
    program = """
import sys
from pathlib import Path
from annpot.structures import reading_ahead
from annpot.structures.portions import PortionReader, iterate_portions
from annpot.structures.sources import Source, SourceFile
reading_ahead.PATIENCE = 0.0
files = [SourceFile(Path("a.xyz"), Source(()))] * 1000
reader = PortionReader(2)
for k, found in enumerate(reader.read_all(iterate_portions(files, 4000, False))):
    list(found)
    if k == 2:
        import os
        task = f"/proc/self/task/{os.getpid()}/children"
        print(open(task).read(), flush=True)
        sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = process.stdout.readline().split()
    assert len(pids) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    end = time.monotonic() + PATIENCE
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(is_running, pids))


def test_structures_with_and_without_labels_are_packed_together():
    rng = np.random.default_rng(0)
    items = [
        Structure(
            symbols=("Ti", "O", "H")[:n_atoms],
            positions_nc=rng.normal(size=(n_atoms, 3)),
            cell_cc=rng.normal(size=(3, 3)),
            pbc_c=rng.random(3) < 0.5,
            energy=None if k % 2 else float(k),
            cohesive_energy=float(k) if k % 2 else None,
            forces_nc=rng.normal(size=(n_atoms, 3)) if k % 3 else None,
            stress_v=rng.normal(size=6) if k % 4 else None,
            file="x",
            index=k,
            set="test" if k % 5 else None,
        )
        for k, n_atoms in enumerate([3, 1, 2, 2, 1, 3, 3, 1])
    ]
    items.insert(4, StructureError("no"))
    for found, item in zip(unpack(pack(items), "x"), items, strict=True):
        if isinstance(item, StructureError):
            assert str(found) == "no"
        else:
            assert_same(found, item)


def test_nothing_is_packed_as_nothing():
    assert unpack(pack([]), "x") == []
