"""Whatever is put in: one clear line, the right exit code, and nothing is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile

import h5py
import numpy as np
import pytest
from commands import run

TRAIN, TEST = "train/structure0001.xsf", "test/structure0195.xsf"
DESCRIPTOR = "descriptor: {radial: {order: 2, cutoff: 3.0}, angular: {order: 1}}\n"


def edit(old, new, file=TRAIN):
    """Return a change: ``new`` for the first ``old`` of a file."""

    def change(folder):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def write(content, file=TRAIN):
    """Return a change: the content of a file."""

    def change(folder):
        raw = content.encode() if isinstance(content, str) else content
        (folder / file).write_bytes(raw)

    return change


def remove(file):
    return lambda folder: (folder / file).unlink()


def truncate(file, size):
    return lambda folder: os.truncate(folder / file, size)


def attribute(name, value, file="potential.h5"):
    def change(folder):
        with h5py.File(folder / file, "a") as opened:
            opened.attrs.modify(name, value)

    return change


def flip_bit(folder):
    path = folder / "potential.h5"
    with h5py.File(path) as file:
        offset = file["networks/Ti/weights 0"].id.get_offset()
    raw = bytearray(path.read_bytes())
    raw[offset + 3] ^= 0x40
    path.write_bytes(raw)


def nan_weight(folder):
    with h5py.File(folder / "potential.h5", "a") as file:
        file["networks/O/weights 0"][0, 0] = np.nan


def other_hdf5(folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = 1


def tar_without_xsf(folder):
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(folder / "in.yaml", "in.yaml")


def nothing(folder):
    pass


JUNK = bytes(range(256)) * 8
ONE, LAST = "Ti      4.42027297     7.02709599     2.24183899", "0.69417754"
SET = "--set"

CASES = {
    # structures
    "empty XSF": (write(""), "generate", 1, f"'{TRAIN}': empty file"),
    "binary XSF": (write(JUNK), "generate", 1, f"'{TRAIN}', line 1: binary data"),
    "truncated XSF": (truncate(TRAIN, 900), "generate", 1, f"'{TRAIN}', line 17: 3 co"),
    "NaN force": (edit(LAST, "NaN"), "generate", 1, "line 10: expected a finite"),
    "NaN position": (edit("4.42027297", "nan"), "generate", 1, "line 10: expected a f"),
    "name of two lines": (
        lambda folder: (folder / "a\nb\x1b[1m.h5").touch(),
        ["info", "a\nb\x1b[1m.h5"],
        1,
        "'a\\nb\\x1b[1m.h5' is not an annpot file",
    ),
    "huge position": (edit("4.42027297", "1e300"), "generate", 1, "found '1e300'"),
    "inf energy": (edit("-19960.66173260", "inf"), "generate", 1, "line 1: a number"),
    "huge energy": (edit("-19960.66173260", "1e99"), "generate", 1, "1e+08 per atom"),
    "no energy": (edit("total energy", ""), "generate", 1, "no energy found, expected"),
    "some forces": (
        edit("0.07592985    -0.40427630     0.69417754", ""),
        "generate",
        1,
        "expected forces on all atoms or none",
    ),
    "foreign species": (edit("\nTi", "\nS "), "generate", 1, "is S, expected one of"),
    "no element": (edit("\nTi", "\nXx"), "generate", 1, "unknown element 'Xx'"),
    "too few atoms": (edit("\n24 1", "\n25 1"), "generate", 1, "25 atoms expected"),
    "too many atoms": (edit("\n24 1", "\n23 1"), "generate", 1, "one atom more than"),
    "duplicate atom": (
        edit("Ti      4.45759198     2.26029902     2.23925301", ONE),
        "generate",
        1,
        "are 0 angstrom apart",
    ),
    "singular cell": (
        edit("4.64899994", "0.00000000"),
        "generate",
        1,
        "span no volume",
    ),
    "mixed energies": (
        edit("total", "cohesive"),
        "generate",
        1,
        "give the reference energies of all species",
    ),
    "nothing left": (
        lambda folder: [path.write_text("junk") for path in folder.glob("t*/*.xsf")],
        "generate --on-error skip",
        1,
        f"16 skipped, the first because of '{TRAIN}', line 1",
    ),
    # settings
    "unknown key": (
        edit("radial", "radail", "in.yaml"),
        "generate",
        2,
        "line 8: descriptor.radail: unknown key, did you mean 'radial'?",
    ),
    "YAML syntax": (write("a: [1", "in.yaml"), "generate", 2, "in.yaml, line 1: "),
    "YAML type": (
        edit("order: 4", "order: four", "in.yaml"),
        "generate",
        2,
        "in.yaml, line 8: descriptor.radial.order: expected an integer",
    ),
    "YAML list": (
        write("- a", "in.yaml"),
        "generate",
        2,
        "line 1: expected settings in YAML",
    ),
    "several problems": (
        write("a: 1\ntrain: {epochs: 0, method: b}\n", "in.yaml"),
        "generate",
        2,
        "in.yaml: 3 problems",
    ),
    "no in.yaml": (remove("in.yaml"), "generate", 2, "in.yaml: no such file"),
    "no structures": (write("species: [O]", "in.yaml"), "generate", 2, "structures:"),
    "no match": (
        edit("train/", "tarin/", "in.yaml"),
        "generate",
        2,
        "'tarin/*.xsf': no such file, or nothing matches",
    ),
    "no names file": (
        write("structures: [{files: train, names: n.txt}]", "in.yaml"),
        "generate",
        2,
        "names: 'n.txt' cannot be read: No such file or directory",
    ),
    "unknown format": (
        write("structures: [{files: train, format: extxy}]", "in.yaml"),
        "generate",
        2,
        "format 'extxy' is not known to ASE, did you mean 'extxyz'?",
    ),
    "weight missing": (
        nothing,
        [*"generate --set".split(), "descriptor.weights={Ti: 1.0}"],
        2,
        "descriptor.weights: no weight for O",
    ),
    # outputs
    "a set for a potential": (
        nothing,
        "train -o fingerprints.h5 -i other.h5",
        2,
        "output 'fingerprints.h5' is a fingerprint set, which would be replaced",
    ),
    "a potential for a set": (
        nothing,
        "generate -o potential.h5",
        2,
        "output 'potential.h5' is a potential, which would be replaced: please choose",
    ),
    "a set for structures": (
        nothing,
        f"predict {TEST} -o fingerprints.h5",
        2,
        "output 'fingerprints.h5' is a fingerprint set",
    ),
    "a set for a table": (
        nothing,
        f"predict {TEST} --results fingerprints.h5",
        2,
        "output 'fingerprints.h5' is a fingerprint set",
    ),
    "a potential for a choice": (
        nothing,
        "select test -o potential.h5",
        2,
        "output 'potential.h5' is a potential",
    ),
    "a set as structures": (
        nothing,
        f"convert {TEST} fingerprints.h5 --to extxyz",
        2,
        "output 'fingerprints.h5' is a fingerprint set",
    ),
    "a set as a potential": (
        nothing,
        "convert potential.h5 fingerprints.h5",
        2,
        "output 'fingerprints.h5' is a fingerprint set",
    ),
    "foreign override": (
        nothing,
        [*"generate --set".split(), "descriptor.central={Fe: {radial: {order: 1}}}"],
        2,
        "Fe is not among the species Ti, O",
    ),
    "wrong when used": (
        write(
            "structures: train\nspecies: [Ti]\ndescriptor:\n- {type: behler}\n"
            "- central: {Fe: {}}\n",
            "in.yaml",
        ),
        "generate",
        2,
        "in.yaml, line 5: descriptor[1].central: Fe is not among the species Ti",
    ),
    "option wrong when used": (
        nothing,
        [
            *"generate --set".split(),
            "descriptor={type: behler, functions: [{type: 2}]}",
        ],
        2,
        "option descriptor.functions[0]: type G2 needs eta",
    ),
    "cutoff 0": (nothing, "generate --set descriptor.radial.cutoff=0", 2, "number > 0"),
    "order 200": (nothing, "generate --set descriptor.radial.order=200", 2, "<= 100"),
    # files of annpot
    "no set": (remove("fingerprints.h5"), "train", 1, "'annpot generate' makes one"),
    "no potential": (remove("potential.h5"), f"predict {TEST}", 1, "'annpot train' ma"),
    "set as potential": (
        nothing,
        f"predict -p fingerprints.h5 {TEST}",
        1,
        "'fingerprints.h5' is a fingerprint set, expected a potential",
    ),
    "set as settings": (
        nothing,
        "train fingerprints.h5",
        2,
        "fingerprints.h5: an HDF5 file, expected settings in YAML; 'annpot train -i'",
    ),
    "potential as set": (
        nothing,
        "train -i potential.h5 -o a.h5",
        1,
        "'potential.h5' is a potential, expected a fingerprint set",
    ),
    "text as potential": (
        nothing,
        f"predict -p in.yaml {TEST}",
        1,
        "'in.yaml' is not an annpot file",
    ),
    "truncated potential": (
        truncate("potential.h5", 20000),
        f"predict {TEST}",
        1,
        "'potential.h5' cannot be read: the file is damaged",
    ),
    "truncated set": (
        truncate("fingerprints.h5", 300000),
        "train",
        1,
        "'fingerprints.h5' cannot be read: the file is damaged",
    ),
    "newer version": (
        attribute("version", 99),
        f"predict {TEST}",
        1,
        "format version 99, this annpot reads up to 1: please upgrade annpot",
    ),
    "other units": (
        attribute("units", np.bytes_("energy Ha")),
        f"predict {TEST}",
        1,
        "found 'energy Ha'",
    ),
    "flipped bit": (flip_bit, "info --verify potential.h5", 1, "has not its checksum"),
    "NaN weight": (nan_weight, f"predict {TEST}", 1, "finite numbers expected"),
    "other HDF5": (other_hdf5, "info other.h5", 1, "but not an annpot file"),
    "folder to info": (nothing, "info train", 1, "'train' is not a file"),
    # outputs
    "generate into folder": (nothing, "generate -o train", 1, "'train' is a folder"),
    "train into folder": (nothing, "train -o train", 1, "'train' is a folder"),
    "predict into folder": (nothing, f"predict -o train {TEST}", 1, "is a folder"),
    "generate nowhere": (nothing, "generate -o no/a.h5", 1, "make the folder first"),
    "train nowhere": (nothing, "train -o no/a.h5", 1, "make the folder first"),
    "predict nowhere": (nothing, f"predict -o no/a {TEST}", 1, "make the folder first"),
    "select nowhere": (nothing, f"select -o no/a {TEST}", 1, "make the folder first"),
    "select replaces": (nothing, f"select -o {TEST} {TEST}", 2, "this file is read"),
    "part of a set": (
        nothing,
        "select fingerprints.h5 --index 3:",
        2,
        "'fingerprints.h5' is a fingerprint set: index, format and units",
    ),
    "log nowhere": (
        nothing,
        "train --set train.log=no/a.log",
        1,
        "'no/a.log' cannot be written: No such file or directory, please choose",
    ),
    "status of settings": (
        nothing,
        "status in.yaml",
        1,
        "neither a set nor a potential",
    ),
    "output is input": (nothing, "train -o fingerprints.h5", 2, "different files"),
    "log is output": (
        nothing,
        "train --set train.log=potential.h5",
        2,
        "input, output and log must be three different files",
    ),
    "settings replaced": (nothing, "generate -o in.yaml", 2, "this file is read"),
    "structure replaced": (
        nothing,
        f"generate -o {TRAIN}",
        2,
        f"'{TRAIN}' is one of the files with structures",
    ),
    "potential replaced": (nothing, f"predict -o potential.h5 {TEST}", 2, "is read"),
    "predicted replaced": (nothing, f"predict -o {TEST} {TEST}", 2, "this file is re"),
    "empty name": (nothing, ["train", "-o", ""], 2, "train.output: expected a path"),
    # options
    "option": (nothing, "train --foo", 2, "'--foo'"),
    "command": (nothing, "foo", 2, "'foo'"),
    "method": (nothing, "train --method foo", 2, "expected one of 'lbfgs', 'adam'"),
    "epochs": (nothing, "train --epochs many", 2, "expected an integer >= 1"),
    "seed": (nothing, "train --seed -1", 2, "expected an integer >= 0"),
    "--set": (nothing, "train --set nonsense", 2, "such as train.epochs=100"),
    "--set key": (nothing, "train --set train.epoch=1", 2, "did you mean 'epochs'?"),
    "time limit": (nothing, "train --time-limit soon", 2, "found 'soon'"),
    "fail on": (nothing, f"predict --fail-on foo {TEST}", 2, "expected 'extrapolation"),
    "index": (nothing, f"predict --index bad {TEST}", 2, "index 'bad': a number or a"),
    "format": (nothing, f"predict --format foo {TEST}", 2, "not known to ASE"),
    "layers": (
        nothing,
        ["train", SET, "train.hidden={Ti: [3]}"],
        2,
        "option train.hidden: no layers for O",
    ),
    # files to predict
    "nothing to predict": (nothing, "predict", 2, "no structure files given"),
    "no file": (nothing, "predict a.xsf", 1, "'a.xsf': no such file"),
    "folder to predict": (
        lambda folder: (folder / "empty").mkdir(),
        "predict empty",
        2,
        "files: 'empty': expected files with structures in it",
    ),
    "no list": (nothing, "predict --files-from l", 2, "'l' cannot be read: No such"),
    "binary list": (
        write(b"\xff\xfe", "l"),
        "predict --files-from l",
        2,
        "'l': binary data, expected names of files",
    ),
    "file of list": (
        write("a.xsf\n", "l"),
        "predict --files-from l",
        1,
        "'a.xsf': no such file",
    ),
    "predict species": (
        edit("\nTi", "\nS ", TEST),
        f"predict {TEST}",
        1,
        f"'{TEST}': atom 0 is S, expected one of Ti, O",
    ),
    "extxyz columns": (
        write("1\nProperties=species:S:1:pos:R:3:forces:R:3\nTi 0 0 0\n", "a.extxyz"),
        "predict a.extxyz",
        1,
        "'a.extxyz', line 1: ASE cannot read it as 'extxyz'",
    ),
    "traj": (write(JUNK, "a.traj"), "predict a.traj", 1, "'a.traj'"),
    "db": (write(JUNK, "a.db"), "predict a.db", 1, "'a.db': ASE cannot read it"),
    "tar": (write(JUNK, "a.tar.gz"), "predict a.tar.gz", 1, "'a.tar.gz': cannot be r"),
    "empty tar": (tar_without_xsf, "predict a.tar.gz", 1, "files called *.xsf expect"),
    "gz": (write(JUNK, "a.xsf.gz"), "predict a.xsf.gz", 1, "'a.xsf.gz': cannot be re"),
    # what cannot be trained
    "only stress": (
        nothing,
        "train --set train.energy_weight=0 --set train.force_weight=0 "
        "--set train.stress_weight=1",
        1,
        "stress_weight",
    ),
}


def contents(folder):
    return {
        path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_damaged(work, name):
    change, command, exit_code, fragment = CASES[name]
    change(work)
    before = contents(work)
    words = command.split() if isinstance(command, str) else command
    result = run(*words, folder=work)
    assert result.exit_code == exit_code, result.stderr
    error = result.stderr[result.stderr.index("Error: ") :]
    assert fragment in error
    assert "Traceback" not in result.stderr
    assert "Warning" not in result.stderr
    assert len(error.splitlines()) == 1 or "problems" in error
    assert contents(work) == before


UNTRAINABLE = {
    "all for testing": (
        "structures: [{files: train, set: test}]\n",
        "no structure is left for training, with 0 for validation and 12 for testing",
    ),
    "a species is absent": (
        "structures: train\nspecies: [Ti, O, H]\n",
        "no H atom among the training structures",
    ),
}


@pytest.mark.parametrize("name", UNTRAINABLE)
def test_what_cannot_be_trained(work, name):
    settings, fragment = UNTRAINABLE[name]
    (work / "in.yaml").write_text(settings + DESCRIPTOR)
    assert run("generate", folder=work).exit_code == 0
    before = contents(work)
    result = run("train", folder=work)
    assert result.exit_code == 1
    assert fragment in result.stderr
    assert contents(work) == before


ODD = {
    "an isolated atom": ["ATOMS\nH 0 0 0 0 0 0\n"],
    "identical structures": ["ATOMS\nH 0 0 0 0 0 1\nH 0 0 1 0 0 -1\n"] * 10,
    "a cell much smaller than the cutoff": [
        "CRYSTAL\nPRIMVEC\n1 0 0\n0 1 0\n9 0 1\nPRIMCOORD\n1 1\nH 0 0 0 0 0 0\n"
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_constant_features_are_no_fault(tmp_path, name):
    for i, text in enumerate(ODD[name]):
        (tmp_path / f"{i}.xsf").write_text(f"# total energy = -1.0 eV\n{text}")
    (tmp_path / "in.yaml").write_text(
        f"structures: '*.xsf'\n{DESCRIPTOR}train: {{hidden: [2], epochs: 3}}\n"
    )
    for command in ("generate", "train", "predict 0.xsf", "info --verify potential.h5"):
        result = run(*command.split(), folder=tmp_path)
        assert result.exit_code == 0, result.stderr
        assert "Warning" not in result.stderr


def test_predictions_before_an_error_are_kept(work):
    (work / "bad.xsf").write_text("junk")
    (work / "out.xyz").write_text("old")
    assert run("predict", "-o", "out.xyz", "bad.xsf", folder=work).exit_code == 1
    assert (work / "out.xyz").read_text() == "old"
    result = run("predict", "-o", "out.xyz", TEST, "bad.xsf", folder=work)
    assert result.exit_code == 1
    assert (work / "out.xyz").read_text().startswith("24\n")
    assert not list(work.glob("*.partial"))


def test_what_another_process_writes_is_not_emptied(work):
    with h5py.File(work / "fingerprints.h5.partial", "w") as other:
        other["x"] = 1
        other.flush()
        before = (work / "fingerprints.h5.partial").read_bytes()
        code = "from annpot.cli.main import main; main()"
        process = subprocess.run(
            [sys.executable, "-c", code, "generate"],
            cwd=work,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 1
        assert "another process is writing it" in process.stderr
        assert (work / "fingerprints.h5.partial").read_bytes() == before
    # and what a crash left is no hindrance
    assert run("generate", folder=work).exit_code == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced_by_a_file(work):
    os.mkfifo(work / "pipe")
    for command in ("generate", "train"):
        result = run(command, "-o", "pipe", folder=work)
        assert result.exit_code == 1
        assert "'pipe' is a device or pipe" in result.stderr
    assert (work / "pipe").is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("command", "redirection", "exit_code", "fragment"),
    [
        ("--help", ">/dev/full", 1, "standard output: No space left"),
        ("schema", ">/dev/full", 1, "standard output: No space left"),
        ("schema", "| true", 0, ""),
        ("train --epochs 2", "2>&-", 0, ""),
    ],
)
def test_streams_that_take_nothing(work, command, redirection, exit_code, fragment):
    before = (work / "potential.h5").read_bytes()
    code = "from annpot.cli.main import main; main()"
    process = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {command} {redirection}', sys.executable, code],
        cwd=work,
        capture_output=True,
        text=True,
    )
    assert process.returncode == exit_code, process.stderr
    assert fragment in process.stderr
    assert "Traceback" not in process.stderr
    if command.startswith("train"):
        assert (work / "potential.h5").read_bytes() != before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_devices(work):
    result = run("predict", "-o", "/dev/full", TEST, folder=work)
    assert result.exit_code == 1
    assert "'/dev/full' cannot be written: No space left" in result.stderr
    before = (work / "potential.h5").read_bytes()
    result = run(*"train --epochs 2 --set train.log=/dev/full".split(), folder=work)
    assert result.exit_code == 0, result.stderr
    assert "'/dev/full' cannot be written any more" in result.stderr
    assert (work / "potential.h5").read_bytes() != before


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("command", ["generate", "train"])
def test_a_disk_that_fills_up(work, command, tmp_path):
    resource = pytest.importorskip("resource")
    limit = 100_000 if command == "generate" else 20_000
    code = (
        "import resource, signal;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit({resource.RLIMIT_FSIZE}, ({limit}, {limit}));"
        "from annpot.cli.main import main; main()"
    )
    output = {"generate": "fingerprints.h5", "train": "potential.h5"}[command]
    before = (work / output).read_bytes()
    process = subprocess.run(
        [sys.executable, "-c", code, command],
        cwd=work,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1, process.stderr
    assert not list(tmp_path.glob("annpot-*"))
    assert f"Error: '{output}" in process.stderr  # or a part of it
    assert "' cannot be written: File too large" in process.stderr
    assert "Traceback" not in process.stderr
    assert (work / output).read_bytes() == before
    assert not list(work.glob("*.partial"))
