import hashlib
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import PATIENCE

import annpot
from annpot.errors import AnnpotError
from annpot.format import container, reading, writing

PREAMBLE = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
from annpot.errors import AnnpotError
from annpot.format import writing
path = Path("set.h5")
"""

KILLED = """
with writing.create(path, "fingerprints", "{}") as file:
    G_nf = writing.create_rows(file, "G_nf", (20,))
    for i in range(50):
        writing.append(G_nf, np.full((100, 20), 1.0 + i))
        file.flush()
    writing.append(G_nf, np.zeros((100, 20)))
    os.kill(os.getpid(), signal.SIGKILL)
"""

# A limit on the size of files stands for the full disk: it fails in the same calls.
DISK_FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
flush = sys.argv[1] == "True"
try:
    with writing.create(path, "fingerprints", "{}") as file:
        G_nf = writing.create_rows(file, "G_nf", (50,))
        for i in range(50):
            writing.append(G_nf, np.random.default_rng(i).random((100, 50)))
            if flush:
                file.flush()
except AnnpotError as error:
    print(error)
"""


def run_python(
    script: str, folder: Path, *args: str
) -> subprocess.CompletedProcess[str]:
    root = str(Path(annpot.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + script, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_round_trip(saved: Path) -> None:
    with reading.open_checked(saved, "potential") as file:
        network = reading.read_group(reading.read_group(file, "networks"), "Ti")
        assert reading.read_attribute(network, "activation", str) == "tanh"
        assert reading.read_attribute(network, "nodes", int) == 15
        assert reading.read_attribute(network, "shift", float) == -0.5
        assert reading.read_attribute(network, "frozen", bool) is True
        weights = reading.read_array(network, "weights_0", (3, None))
        np.testing.assert_array_equal(weights, np.arange(12.0).reshape(3, 4))
        sizes = reading.read_array(network, "sizes", (2,), np.int64)
        np.testing.assert_array_equal(sizes, [3, 4])
        G_nf = reading.read_dataset(file, "G_nf", (None, 5))
        np.testing.assert_array_equal(reading.read_rows(G_nf, 1, 3)[:, 0], [1, 2])
        assert reading.read_strings(file, "names") == ["a.xsf", "", "µ/\\udcff.xsf"]
        assert reading.read_strings(file, "species") == ["Ti", "O"]
        assert reading.read_text(file, "remark") == "Größe\n" * 20_000
        assert reading.read_text(file, "settings") == '{"r_cut": 6.5}'
        reading.verify_checksum(file)


def test_empty_content_round_trip(tmp_path: Path) -> None:
    with writing.create(tmp_path / "x.h5", "fingerprints", "") as file:
        writing.create_rows(file, "rows", (3,))
        writing.write_array(file, "nothing", np.zeros((0, 3)))
        writing.write_strings(file, "names", [])
    with reading.open_checked(tmp_path / "x.h5") as file:
        assert reading.read_array(file, "rows", (None, 3)).shape == (0, 3)
        assert reading.read_array(file, "nothing", (None, 3)).shape == (0, 3)
        assert reading.read_strings(file, "names") == []
        assert reading.read_text(file, "settings") == ""
        reading.verify_checksum(file)


def test_checksum_is_the_documented_one(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with writing.create(path, "potential", "{}") as file:
        group = file.create_group("a")
        writing.write_attribute(group, "n", 7)
        rows = writing.create_rows(group, "rows", (2,))
        writing.append(rows, np.arange(60_000.0).reshape(30_000, 2))
    pieces = [b"group /\n"]
    for name, text in (
        ("format", b"annpot"),
        ("kind", b"potential"),
        ("units", b"energy eV, length angstrom"),
    ):
        pieces += [f"attribute {name} |S{len(text)} \n".encode(), text]
    pieces += [b"attribute version <i8 \n", (1).to_bytes(8, "little")]
    pieces += [b"attribute writer |S12 \n", b"annpot 0.1.0"]
    pieces += [b"group /a\n", b"attribute n <i8 \n", (7).to_bytes(8, "little")]
    pieces += [b"dataset /a/rows <f8 30000,2\n", np.arange(60_000.0).tobytes()]
    pieces += [b"dataset /settings |S2 \n", b"{}"]
    with h5py.File(path) as file:
        found = file.attrs["sha256"].decode()
        assert file.attrs["created"].endswith(b"+00:00")
    assert found == hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("error", [ValueError("mine"), OSError(2, "mine")])
def test_an_error_in_the_block_changes_nothing(saved: Path, error: Exception) -> None:
    before = saved.read_bytes()
    with pytest.raises(type(error), match="mine") as caught:
        with writing.create(saved, "potential", "{}"):
            raise error
    assert caught.value is error
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_an_older_file_is_replaced_behind_its_symbolic_link(saved: Path) -> None:
    link = saved.with_name("link.h5")
    link.symlink_to(saved)
    with writing.create(link, "fingerprints", "{}"):
        pass
    assert link.is_symlink()
    with reading.open_checked(saved, "fingerprints"):
        pass


def test_killed_writer_leaves_the_flushed_rows(tmp_path: Path) -> None:
    assert run_python(KILLED, tmp_path).returncode == -9
    assert os.listdir(tmp_path) == ["set.h5.partial"]
    with h5py.File(tmp_path / "set.h5.partial") as file:
        G_nf = file["G_nf"][:5000]
    np.testing.assert_array_equal(G_nf[:, 0], np.repeat(np.arange(1.0, 51.0), 100))


@pytest.mark.parametrize("flush", [False, True])
def test_full_disk(tmp_path: Path, flush: bool) -> None:
    (tmp_path / "set.h5").write_text("old")
    done = run_python(DISK_FULL, tmp_path, str(flush))
    assert done.stdout == (
        "'set.h5' cannot be written: File too large, "
        "please check 'ulimit -f' and the file system\n"
    )
    assert done.stderr == ""
    assert done.returncode == 0  # HDF5 crashes at exit if it is let to
    assert (tmp_path / "set.h5").read_text() == "old"
    assert not (tmp_path / "set.h5.partial").exists()


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    with (
        pytest.raises(AnnpotError, match=r"No such file or .*make the folder first"),
        writing.create(tmp_path / "missing" / "x.h5", "potential", "{}"),
    ):
        pass
    with (
        pytest.raises(AnnpotError, match="is a folder, a file name expected"),
        writing.create(tmp_path, "potential", "{}"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(AnnpotError, match="denied, please choose another folder"),
        writing.create(tmp_path / "x.h5", "potential", "{}"),
    ):
        pass
    tmp_path.chmod(0o700)


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with writing.create(path, "potential", "{}"):
        with (
            pytest.raises(AnnpotError, match="cannot be written"),
            writing.create(path, "potential", "{}"),
        ):
            pass
    with reading.open_checked(path):
        pass


def test_text_with_nul_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="NUL"),
        writing.create(tmp_path / "x.h5", "potential", "{}") as file,
    ):
        writing.write_strings(file, "names", ["a\0b"])


def test_rows_that_are_written_with_the_digest(tmp_path):
    G_nf = np.arange(50.0).reshape(10, 5)
    contents = []
    for name in ("whole.h5", "streamed.h5"):
        streams = {"/G_nf": [G_nf[:3], G_nf[3:3], G_nf[3:]]} if name[0] == "s" else {}
        with writing.create(
            tmp_path / name, container.FINGERPRINTS, "{}", streams=streams
        ) as file:
            if streams:
                writing.create_rows(file, "G_nf", (5,), n_rows=10)
            else:
                writing.append(writing.create_rows(file, "G_nf", (5,)), G_nf)
            writing.write_array(file, "E_s", [1.0, 2.0])
        with reading.open_checked(tmp_path / name) as file:
            reading.verify_checksum(file)
            contents.append((file.attrs["sha256"], file["G_nf"][:].tolist()))
    assert contents[0] == contents[1]
    assert contents[0][1] == G_nf.tolist()


def test_streams_with_another_number_of_rows_are_a_mistake(tmp_path):
    path = tmp_path / "a.h5"
    streams = {"/G_nf": [np.zeros((3, 5))]}
    with pytest.raises(ValueError, match="3 rows"):
        with writing.create(path, container.FINGERPRINTS, "{}", streams=streams) as f:
            writing.create_rows(f, "G_nf", (5,), n_rows=4)
    assert not list(tmp_path.iterdir())


def test_a_plain_file_appears_as_a_whole(tmp_path):
    path = tmp_path / "manifest.json"
    writing.write_file(path, b"old")
    writing.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(AnnpotError, match="cannot be written: No such file"):
        writing.write_file(tmp_path / "none" / "manifest.json", b"")
    assert list(tmp_path.iterdir()) == [path]
