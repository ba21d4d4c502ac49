"""Sets are made in parts: whatever happens on the way, the set has the same bits."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from commands import PATIENCE, run, wait_for
from commands import start as start_command
from ranks import needs_mpi, run_ranks

from annpot.errors import AnnpotError, FileFormatError, StructureError
from annpot.fingerprints import read_descriptor
from annpot.format import container, reading
from annpot.generation import generating, manifest, resumption
from annpot.generation.generating import generate
from annpot.generation.manifest import read_manifest
from annpot.generation.parts import PartsFolder, check_part, open_part
from annpot.runs.interruption import Stopped
from annpot.runs.run import record
from annpot.settings import load_settings, read_override

SETTINGS = """\
structures:
  - files: train/*.xsf
    group: bulk
  - files: many.xyz
    set: test
species: {Ti: -1604.6, O: fit}
descriptor:
  radial: {order: 4, cutoff: 5.0}
  angular: {order: 2, cutoff: 4.0, radial_order: 1}
generate: {batch_atoms: 60}
"""
OUTPUT = Path("fingerprints.h5")
FOLDER = PartsFolder(OUTPUT)


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """Work in a folder with 12 small files, and one that gives several batches."""
    shutil.copytree(made / "train", tmp_path / "train")
    structures = [ase.io.read(path) for path in sorted((made / "test").glob("*.xsf"))]
    for number, atoms in enumerate(structures):
        atoms.info["energy"] = -800.0 * len(atoms) + number
    ase.io.write(tmp_path / "many.xyz", structures * 3)
    (tmp_path / "in.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(path=OUTPUT):
    """Return the bytes of a set without the times of itself and of its files."""
    with h5py.File(path) as file:
        times = [bytes(file.attrs[name]) for name in ("created", "made_of")]
        reading.verify_checksum(file)
    raw = Path(path).read_bytes()
    for time_ in times:
        assert raw.count(time_) == 1
        raw = raw.replace(time_, bytes(len(time_)))
    return raw


def make(*overrides, **options):
    values = dict(map(read_override, overrides))
    return generate(load_settings(Path("in.yaml"), values), Path(), **options)


def stop_at(number):
    """Return a function that raises when it is called for the ``number``-th time."""
    calls = 0

    def watch(*_):
        nonlocal calls
        calls += 1
        if calls == number:
            raise Stopped(signal.SIGTERM)

    return watch


def count_calls():
    calls = []
    make(watch=lambda *call: calls.append(call))
    return calls


def parts():
    return {path.name: path.read_bytes() for path in FOLDER.path.glob("*.h5")}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_run_that_was_stopped_anywhere_goes_on(here, monkeypatch, n_threads):
    # with two threads a part is made while the last one is written
    monkeypatch.setattr(generating, "thread_count", lambda: n_threads)
    calls = count_calls()
    expected = content()
    batches = FOLDER.list_batches
    several = 0
    n_parts = len(calls) // 4  # parts, structures and features of two species merged
    moments = [1, 5, n_parts - 3, n_parts - 2, n_parts, n_parts + 1, len(calls)]
    for number in moments:
        OUTPUT.unlink()
        with pytest.raises(Stopped):
            make(watch=stop_at(number), resume="no")
        before = parts()
        assert len(before) == min(number + n_threads - 1, n_parts)
        several = max(several, *batches().values())
        assert not OUTPUT.exists()
        make(resume="yes", watch=check_that_there_are(len(before)))
        assert content() == expected
        assert not FOLDER.path.exists()
    assert several > 1


def check_that_there_are(n_parts):
    def watch(*_):
        assert FOLDER.count() >= n_parts

    return watch


def test_the_summary_is_the_same_after_an_interruption(here):
    (here / "train" / "structure0001.xsf").write_text("nonsense\n")
    whole = make("generate.on_error=skip")
    with pytest.raises(Stopped):
        make("generate.on_error=skip", watch=stop_at(4))
    resumed = make("generate.on_error=skip", resume="auto")
    assert len(whole.skipped) == 1
    assert resumed.skipped == whole.skipped
    assert resumed.n_with_forces == whole.n_with_forces == 23
    assert resumed.energy_range == whole.energy_range
    assert resumed.n_structures == 11 + 12


def test_what_was_skipped_in_a_finished_batch_is_told_once(here, monkeypatch):
    monkeypatch.setattr(generating, "thread_count", lambda: 1)
    monkeypatch.setattr(manifest, "ATOM_BYTES", 10**6)  # one portion of many batches
    (here / "train" / "structure0001.xsf").write_text("nonsense\n")
    whole = make("generate.on_error=skip")
    stopped_at(2, "generate.on_error=skip")
    assert FOLDER.list_batches() == {0: 2}
    resumed = make("generate.on_error=skip", resume="yes")
    assert resumed.skipped == whole.skipped
    assert len(whole.skipped) == 1


def start(*arguments, before=""):
    return start_command("generate", *arguments, before=before, ANNPOT_NUM_THREADS="1")


def test_killed_at_random(here):
    make()
    expected = content()
    OUTPUT.unlink()
    rng = random.Random(1)
    before = {}
    for _ in range(3):
        process = start("--resume", "auto")
        wait_for(partial(has_more_parts_than, before), process)
        time.sleep(rng.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        after = parts()
        if not OUTPUT.exists():
            assert before.items() <= after.items()
        before = after
    result = run("generate", "--resume", "auto")
    assert result.exit_code == 0, result.stderr
    assert content() == expected
    assert not FOLDER.path.exists()
    assert not list(here.glob("*.run"))


def has_more_parts_than(before):
    return FOLDER.count() > len(before)


PAUSE = """
import time
from annpot.generation import generating
generating._merge = lambda *arguments: time.sleep(10_000)
"""


def test_a_signal_leaves_the_finished_batches_and_code_75(here):
    process = start("--set", "generate.batch_atoms=1", before=PAUSE)
    wait_for(FOLDER.count, process)
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, said
    assert said.endswith(
        "stopped by SIGUSR1; the same 'annpot generate' with --resume goes on\n"
    )
    n_parts = len(parts())
    result = run("generate", "--set", "generate.batch_atoms=1", "--resume")
    assert result.exit_code == 0, result.stderr
    assert f"going on: {n_parts} finished batches" in result.stderr


@needs_mpi
def test_the_same_bits_on_any_number_of_ranks_and_threads(here):
    make()
    expected = content()
    commands = [(1, 2), (2, 1), (3, 1)]
    for ranks, threads in commands:
        OUTPUT.unlink()
        done = run_ranks(
            ranks,
            "-c",
            "from pathlib import Path\n"
            "from annpot.generation.generating import generate\n"
            "from annpot.parallel import world\n"
            "from annpot.settings import load_settings\n"
            "settings = load_settings(Path('in.yaml'), {})\n"
            "generate(settings, Path(), ranks=world())\n",
            folder=here,
            ANNPOT_NUM_THREADS=str(threads),
        )
        assert done.returncode == 0, done.stderr
        assert content() == expected


@needs_mpi
def test_ranks_go_on_where_others_failed(here):
    make()
    expected = content()
    OUTPUT.unlink()
    last = sorted(here.glob("train/*.xsf"))[-1]
    right = last.read_text()
    last.write_text(right.replace("Ti", "Xx", 1))
    program = ["-c", "from annpot.cli.main import main; main()", "generate"]
    failed = run_ranks(2, *program, folder=here)
    assert failed.returncode == 1
    assert f"Error: 'train/{last.name}', line " in failed.stderr
    assert "Traceback" not in failed.stderr
    assert parts()
    last.write_text(right)
    resumed = run_ranks(3, *program, "--resume", folder=here)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("24 structures, ") == 1
    assert content() == expected


def stopped_at(number, *overrides):
    with pytest.raises(Stopped):
        make(*overrides, watch=stop_at(number))


CHANGES = {
    "generate.batch_atoms=61": "generate.batch_atoms was 60, now it is 61",
    "species={Ti: -1604.6, O: -430.0}": 'species.O.energy was "fit", now it is -430.0',
    "descriptor.radial.order=5": "descriptor[0].radial.order was 4, now it is 5",
}


@pytest.mark.parametrize("override", CHANGES)
def test_other_settings_are_refused_and_named(here, override):
    stopped_at(3)
    before = parts()
    result = run("generate", "--resume", "--set", override)
    assert result.exit_code == 1
    assert CHANGES[override] in result.stderr
    assert parts() == before


def test_settings_that_do_not_matter_may_change(here):
    stopped_at(3)
    result = run("generate", "--resume", "--set", "train.epochs=7")
    assert result.exit_code == 0, result.stderr


def change(path):
    path.write_bytes(path.read_bytes() + b"\n")


def touch(path):
    os.utime(path, (1, 1))


def add(path):
    shutil.copy(path, path.with_name("structure0000.xsf"))


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (change, "structure0001.xsf' has been changed"),
        (touch, "structure0001.xsf' has been changed"),
        (Path.unlink, "structure0001.xsf' is missing now"),
        (add, "structure0000.xsf' is new"),
    ],
)
def test_files_that_are_not_those_of_finished_batches_are_refused(here, alter, problem):
    stopped_at(3)
    alter(sorted(here.glob("train/*.xsf"))[0])
    before = parts()
    result = run("generate", "--resume")
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "Traceback" not in result.stderr
    assert parts() == before


def test_a_file_that_is_mended_does_not_cost_the_batches_before_it(here):
    last = sorted(here.glob("train/*.xsf"))[-1]
    right = last.read_text()
    make()
    expected = content()
    last.write_text(right.replace("Ti", "Xx", 1))
    result = run("generate")
    assert result.exit_code == 1
    assert "finished batches stay in 'fingerprints.h5.parts'" in result.stderr
    last.write_text(right)
    result = run("generate", "--resume")
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stderr
    assert content() == expected


def test_batches_of_a_portion_that_changed_are_made_again(here, monkeypatch):
    monkeypatch.setattr(manifest, "ATOM_BYTES", 10**6)  # one portion of many batches
    stopped_at(2)
    first, second, *_ = sorted(here.glob("train/*.xsf"))
    first.write_bytes(second.read_bytes())
    make(resume="yes")
    found = content()
    make()
    assert content() == found


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign", "misshapen"])
def test_a_damaged_part_is_made_again(here, damage):
    make()
    expected = content()
    stopped_at(5)
    paths = sorted(FOLDER.path.glob("*.h5"))
    raw = bytearray(paths[2].read_bytes())
    if damage == "cut":
        raw = raw[: len(raw) // 2]
    elif damage == "flip":
        raw[len(raw) // 2] ^= 1
    elif damage == "foreign":
        raw = paths[1].read_bytes()
    if damage == "misshapen":
        forge(paths[2], reshape("statistics/Ti/mean", narrow))
    else:
        paths[2].write_bytes(raw)
    result = run("generate", "--resume")
    assert result.exit_code == 0, result.stderr
    assert "it is made again" in result.stderr
    assert paths[2].name in result.stderr
    assert content() == expected


def forge(path, alter):
    """Alter a part, and give it the checksum of what it is then."""
    with h5py.File(path, "r+") as file:
        alter(file)
        file.attrs[container.SHA256] = np.bytes_(container.compute_sha256(file))


def narrow(values):
    return values[..., :-1]


def reshape(name, how):
    def alter(file):
        values = np.asarray(how(file[name][()]))
        del file[name]
        file[name] = values

    return alter


@pytest.mark.parametrize(
    ("alter", "found"),
    [
        (reshape("structures/positions", narrow), "positions: shape"),
        (reshape("structures/forces", narrow), "forces: shape"),
        (reshape("structures/energy", narrow), "energy: shape"),
        (reshape("structures/stress", narrow), "stress: shape"),
        (reshape("structures/n_atoms", lambda n_s: n_s + 10**9), "impossible number"),
        (reshape("structures/species_index", lambda s_n: s_n - 1), "not in the table"),
        (reshape("features/Ti", narrow), "features/Ti: shape"),
        (reshape("features/Ti", lambda G_nf: G_nf[1:]), "features/Ti: shape"),
        (reshape("statistics/Ti/mean", narrow), "mean: shape"),
        (reshape("statistics/neighbours", narrow), "neighbours: shape"),
        (lambda file: file["statistics/O"].attrs.create("n_atoms", -1), "n_atoms"),
        (lambda file: file["statistics/O"].attrs.create("n_atoms", b"x"), "n_atoms"),
        (lambda file: file["statistics"].pop("O"), "statistics/O: missing"),
        (lambda file: file.pop("statistics"), "statistics: missing"),
        (lambda file: file.pop("skipped"), "skipped: missing"),
        (
            reshape("settings", lambda text: text.replace(b'": 1,', b'": 2,')),
            "expected",
        ),
    ],
)
def test_what_a_part_holds_is_checked_before_it_is_trusted(here, alter, found):
    stopped_at(2)
    path = FOLDER.part(0, 0)
    (origin, *_) = read_manifest(FOLDER.manifest).origins()
    assert check_part(path, origin, 0, 0).last
    forge(path, alter)
    with pytest.raises(FileFormatError, match=found):
        check_part(path, origin, 0, 0)


def test_a_part_of_another_descriptor_is_not_opened(here):
    stopped_at(2)
    path = FOLDER.part(0, 0)
    with h5py.File(path) as file:
        descriptor = read_descriptor(file)
    with open_part(path, descriptor) as part:
        assert part.count("/features/Ti") > 0
    forge(path, reshape("descriptor", lambda text: text.replace(b"5.0", b"5.5")))
    with (
        pytest.raises(FileFormatError, match="of another descriptor"),
        open_part(path, descriptor),
    ):
        pass


def run_with_limit(n_bytes, *arguments):
    """Run annpot where no file may be larger; return what it says."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        process = start(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return said


def test_a_full_disk_loses_nothing(here):
    make()
    expected = content()
    said = run_with_limit(300_000)
    assert "Error: 'fingerprints.h5' cannot be written: File too large" in said
    assert "finished batches stay in 'fingerprints.h5.parts'" in said
    assert content() == expected  # the older one
    assert FOLDER.count() > 5
    assert not list(here.glob("*.partial"))
    said = run_with_limit(30_000, "--restart")
    assert "fingerprints.h5.parts/000000-00000.h5' cannot be written: File too" in said
    assert not FOLDER.path.exists()
    run_with_limit(300_000)
    OUTPUT.unlink()
    before = parts()
    make(resume="yes", watch=check_that_there_are(len(before)))
    assert content() == expected


def test_a_folder_that_vanishes_is_named(here):
    def watch(*_):
        shutil.rmtree(FOLDER.path, ignore_errors=True)

    with pytest.raises(AnnpotError, match=r"cannot be written: No such file"):
        make(watch=watch)
    assert not FOLDER.path.exists()
    assert not OUTPUT.exists()


def test_a_part_that_vanishes_before_the_merge_is_named(here):
    def watch(done, total):
        if done == total - 1:
            FOLDER.part(0, 0).unlink(missing_ok=True)

    with pytest.raises(FileFormatError, match=r"000000-00000.h5' cannot be read: No"):
        make(watch=watch)
    make(resume="yes")


def test_a_folder_that_cannot_be_written(here):
    result = run("generate", "-o", "/proc/fingerprints.h5")
    assert result.exit_code == 1
    assert "'/proc/fingerprints.h5" in result.stderr
    assert "cannot be written" in result.stderr


def test_two_runs_at_once(here):
    with record(OUTPUT, "generate"):
        result = run("generate")
    assert result.exit_code == 1
    assert "is writing it since" in result.stderr
    assert run("generate").exit_code == 0


def test_what_an_earlier_run_left(here, monkeypatch):
    monkeypatch.setattr(generating, "thread_count", lambda: 1)
    result = run("generate", "--resume")
    assert result.exit_code == 1
    assert "there is nothing to resume" in result.stderr
    assert run("generate", "--resume", "auto").exit_code == 0
    result = run("generate", "--resume", "--restart")
    assert result.exit_code == 2
    stopped_at(3)
    result = run("generate")  # little work is lost without asking, but not silently
    assert result.exit_code == 0
    assert "starting anew; 'fingerprints.h5.parts' held 3 finished" in result.stderr
    stopped_at(3)
    monkeypatch.setattr(resumption, "TRIFLE", 0.0)
    before = parts()
    result = run("generate")
    assert result.exit_code == 1
    assert "please say --resume to go on from them, or --restart" in result.stderr
    assert parts() == before
    result = run("generate", "--restart")
    assert result.exit_code == 0, result.stderr
    assert not FOLDER.path.exists()


def edit(**changes):
    return lambda text: json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-9],
        lambda text: "[" * 100_000,
        lambda text: "[1]",
        edit(format="annpot"),
        edit(version=2),
        edit(species={"Xx": "fit"}),
        edit(species=["Ti"]),
        edit(species={"Ti": [1]}),
        edit(species={"Ti": 10**400}),
        edit(species={"Ti": "nan"}),
        edit(files=[["a.xsf", 1]]),
        edit(files=[["a.xsf", "one", 1]]),
        edit(files=[["a.xsf", float("inf"), 1]]),
        edit(portions=[[0, None, 1, ""]]),
        edit(portions=3),
        edit(more=1),
    ],
)
def test_a_manifest_that_is_none(here, damage):
    stopped_at(3)
    FOLDER.manifest.write_text(damage(FOLDER.manifest.read_text()))
    result = run("generate", "--resume")
    assert result.exit_code == 1
    assert "manifest.json' is damaged" in result.stderr
    assert "Traceback" not in result.stderr


def test_files_of_others_stay(here):
    FOLDER.path.write_text("a file")
    refused = run("generate")
    assert (refused.exit_code, FOLDER.path.read_text()) == (1, "a file")
    FOLDER.path.unlink()
    FOLDER.path.mkdir()
    names = [
        "mine.txt",
        "mine.h5",
        "000000-00000.h5",
    ]  # the last one by its name is ours
    for name in names:
        (FOLDER.path / name).write_text(name)
    result = run("generate")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in FOLDER.path.iterdir()) == [
        "mine.h5",
        "mine.txt",
    ]


def test_nothing_is_left_of_structures_that_all_are_wrong(here):
    with pytest.raises(StructureError, match="no structure is left"):
        make("generate.on_error=skip", "species=[Cu]")
    assert not FOLDER.path.exists()
    assert not list(here.glob("*.partial"))


def test_species_that_are_not_given_are_kept_for_those_who_go_on(here):
    text = SETTINGS.replace("species: {Ti: -1604.6, O: fit}\n", "")
    Path("in.yaml").write_text(text)
    make()
    expected = content()
    with pytest.raises(Stopped):
        make(watch=stop_at(18))  # 13 of these are to find the species
    make(resume="yes")
    assert content() == expected


def make_all_again(here):
    """Make the set with --resume auto; return whether that took any work."""
    before = OUTPUT.stat().st_mtime_ns
    result = run("generate", "--resume", "auto", folder=here)
    assert result.exit_code == 0, result.stderr
    same = OUTPUT.stat().st_mtime_ns == before
    said = result.stderr.endswith(
        "'fingerprints.h5' is complete, of these files and settings\n"
    )
    assert said == same == (result.stdout == "")
    assert not FOLDER.path.exists()
    return not same


def touch(here):
    status = Path("many.xyz").stat()
    os.utime("many.xyz", ns=(0, status.st_mtime_ns - 10**9))


def rename(here):
    path = sorted((here / "train").glob("*.xsf"))[0]
    path.rename(path.with_name("aaa.xsf"))


def add(here):
    path = sorted((here / "train").glob("*.xsf"))[0]
    shutil.copy2(path, path.with_name("zzz.xsf"))


def regroup(here):
    """Put the last file of the first group into the second one."""
    *first, last = [f"train/{p.name}" for p in sorted((here / "train").glob("*.xsf"))]
    edit("train/*.xsf", json.dumps(first))(here)
    edit("many.xyz", json.dumps([last, "many.xyz"]))(here)


def edit(old, new):
    def change(here):
        text = (here / "in.yaml").read_text()
        assert old in text
        (here / "in.yaml").write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    "change",
    [
        touch,
        rename,
        add,
        regroup,
        edit("order: 2", "order: 1"),
        edit("group: bulk", "weight: 2"),
        edit("O: fit", "O: -430"),
        edit("batch_atoms: 60", "on_error: skip"),
        lambda here: OUTPUT.write_bytes(OUTPUT.read_bytes()[:1000]),
        lambda here: shutil.copy(here / "in.yaml", OUTPUT),
    ],
)
def test_a_set_that_is_complete_is_not_made_again(here, change):
    make()
    assert not make_all_again(here)
    change(here)
    assert make_all_again(here)
    assert not make_all_again(here)


def test_what_a_set_is_made_of_does_not_change_its_digest(here):
    make()
    with h5py.File(OUTPUT) as file:
        first = file.attrs["sha256"], file.attrs["made_of"]
    touch(here)
    make()
    with h5py.File(OUTPUT) as file:
        assert file.attrs["sha256"] == first[0]
        assert file.attrs["made_of"] != first[1]


@needs_mpi
def test_ranks_find_that_a_set_is_complete(here):
    make()
    before = OUTPUT.read_bytes()
    command = "-c", "from annpot.cli.main import main; main()"
    result = run_ranks(2, *command, "generate", "--resume", "auto", folder=here)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("is complete") == 1
    assert OUTPUT.read_bytes() == before


def test_a_part_says_what_it_is(here):
    stopped_at(2)
    part = str(FOLDER.part(0, 0))
    for words in (["info", part], ["train", "-i", part], ["convert", part, "p.json"]):
        result = run(*words)
        assert result.exit_code == 1
        assert "is a part of a fingerprint set, expected" in result.stderr


def test_parts_hold_what_the_tally_and_the_set_need(here):
    summary = make()
    with h5py.File(OUTPUT) as file:
        energies_s = file["structures/energy"][:]
        counts_s = file["structures/n_atoms"][:]
        species_n = file["structures/species_index"][:]
        forces_nc = file["structures/forces"][:]
        blocks = [file["features/Ti"][:], file["features/O"][:]]
        reference = file["reference_energies"][:]
    first_s = np.cumsum(counts_s) - counts_s
    atoms_sk = np.add.reduceat(species_n[:, None] == [0, 1], first_s, dtype=float)
    per_atom_s = (energies_s - atoms_sk @ reference) / counts_s
    assert summary.energy_range == pytest.approx((per_atom_s.min(), per_atom_s.max()))
    sizes_n = np.linalg.norm(forces_nc, axis=1)
    assert summary.force_range == pytest.approx((sizes_n.min(), sizes_n.max()))
    assert summary.n_atoms_s.tolist() == atoms_sk.sum(axis=0).tolist()
    for G_nf, statistics in zip(blocks, summary.statistics, strict=True):
        assert statistics.n_atoms == len(G_nf)
        np.testing.assert_allclose(statistics.mean_f, G_nf.mean(axis=0), rtol=1e-11)
        covariance_ff = np.cov(G_nf.T, bias=True)
        np.testing.assert_allclose(statistics.covariance_ff, covariance_ff, atol=1e-10)
    fitted = np.linalg.lstsq(
        atoms_sk[:, 1:], energies_s - atoms_sk[:, 0] * -1604.6, rcond=None
    )
    assert reference[0] == -1604.6
    assert reference[1] == pytest.approx(fitted[0][0], rel=1e-2)
