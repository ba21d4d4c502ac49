"""The commands ``annpot plot``: a picture of the right kind, or one clear line."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from commands import run

from annpot.fingerprints import load_features, load_set
from annpot.plotting.comparison import read_comparison
from annpot.plotting.importance import compute_importance
from annpot.potential import Potential
from annpot.structures.reading import read_structures

FILE = "test/structure0195.xsf"
START = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(scope="module")
def predicted(made, tmp_path_factory):
    """Return a folder like ``made`` with predictions as extxyz and as JSON lines."""
    folder = tmp_path_factory.mktemp("predicted")
    shutil.copytree(made, folder, dirs_exist_ok=True)
    files = sorted(folder.glob("test/*.xsf"))
    result = run("predict", "--json", "-o", "out.xyz", *files, folder=folder)
    assert result.exit_code == 0, result.stderr
    (folder / "out.jsonl").write_text(result.stdout)
    # compositions that differ, without forces of the second
    records = [json.loads(line) for line in result.stdout.splitlines()][:2]
    records[1]["symbols"][0] = "O"
    del records[1]["reference"]["forces"]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "mixed.jsonl").write_text(lines)
    return folder


COMMANDS = {
    "expansion": f"expansion {FILE} --atom 3 --orders 2,6",
    "expansion weighted": f"expansion {FILE} --atom 3 --orders 4 --weighted",
    "basis of settings": "basis in.yaml --species O",
    "basis of default settings": "basis --set descriptor.radial.order=2",
    "basis of potential": "basis potential.h5",
    "basis of set": "basis fingerprints.h5 --distance 1.8",
    "features": "features fingerprints.h5",
    "features of O": "features fingerprints.h5 --species O",
    "correlation": "correlation fingerprints.h5",
    "importance": "correlation fingerprints.h5 -p potential.h5",
    "learning": "learning train.log",
    "learning of two": "learning train.log copy.log",
    "parity": "parity out.xyz",
    "parity of JSON": "parity out.jsonl",
    "parity of two": "parity mixed.jsonl out.xyz",
}


@pytest.mark.parametrize(
    ("name", "suffix"), list(zip(COMMANDS, 5 * list(START), strict=True))
)
def test_pictures(predicted, tmp_path, name, suffix):
    (predicted / "copy.log").write_bytes((predicted / "train.log").read_bytes())
    picture = tmp_path / f"picture{suffix}"
    words = COMMANDS[name].split()
    result = run("plot", *words, "-o", picture, folder=predicted)
    assert result.exit_code == 0, result.stderr
    assert picture.read_bytes().startswith(START[suffix])
    assert f"wrote {picture}" in result.stderr
    assert result.stdout == ""
    assert "matplotlib.pyplot" not in sys.modules


def test_the_default_name_is_said(predicted):
    result = run("plot", "learning", "train.log", folder=predicted)
    assert "wrote learning.png" in result.stderr
    assert (predicted / "learning.png").exists()
    assert "Missing" in run("plot", "expansion", FILE, folder=predicted).stderr


def test_a_viewer_opens_only_if_asked(predicted, monkeypatch):
    opened = []
    monkeypatch.setattr("click.launch", lambda path: opened.append(path) or 0)
    run("plot", "learning", "train.log", folder=predicted)
    assert opened == []
    run("plot", "learning", "train.log", "--show", folder=predicted)
    assert opened == ["learning.png"]


def write(name, content):
    return lambda folder: (folder / name).write_text(content)


def nothing(folder):
    pass


RECORD = '{"symbols": ["O"], "energy": 1.0, "forces": [[0, 0, 0]]}\n'
ONE_SPECIES = "ATOMS\nO 0 0 0\nO 0 0 1.2\n"

ANGULAR = """\
species: [O]
descriptor: {type: behler, functions: [{type: G5, eta: 1, lambda: 1, zeta: 1}]}
"""

WRONG = {
    "no structure": (nothing, "expansion a.xsf --atom 0", 1, "'a.xsf': no such file"),
    "atom": (nothing, f"expansion {FILE} --atom 99", 2, "atom 99, expected 0 to 23"),
    "negative atom": (nothing, f"expansion {FILE} --atom -1", 2, "atom -1, expected"),
    "no atom": (nothing, f"expansion {FILE}", 2, "'--atom'"),
    "slice": (
        nothing,
        f"expansion {FILE} --atom 0 --index :",
        2,
        "index ':': the number of one structure expected",
    ),
    "frame": (
        nothing,
        f"expansion {FILE} --atom 0 --index 3",
        1,
        "structure 3 expected, the file has fewer",
    ),
    "orders": (
        nothing,
        f"expansion {FILE} --atom 0 --orders 4,x",
        2,
        "--orders '4,x': expected up to 10 different numbers from 0 to 100",
    ),
    "high order": (nothing, f"expansion {FILE} --atom 0 --orders 101", 2, "'101'"),
    "cutoff": (
        nothing,
        f"expansion {FILE} --atom 0 --radial-cutoff -1",
        2,
        "cutoff -1: expected up to 100 angstrom",
    ),
    "one species": (
        write("o.xsf", ONE_SPECIES),
        "expansion o.xsf --atom 0 --weighted",
        2,
        "'o.xsf': one species, --weighted needs several",
    ),
    "suffix": (
        nothing,
        "learning train.log -o a.jpg",
        2,
        "output 'a.jpg': expected a name that ends in .png, .svg, .pdf",
    ),
    "no suffix": (nothing, "learning train.log -o a", 2, "output 'a': expected a na"),
    "no folder": (
        nothing,
        "learning train.log -o no/a.png",
        1,
        "'no/a.png' cannot be written: No such file or directory",
    ),
    "input as output": (
        write("a.png", "# epoch loss\n"),
        "learning a.png -o a.png",
        2,
        "output 'a.png': this file is read",
    ),
    "no log": (nothing, "learning a.log", 1, "'a.log': No such file"),
    "no log but settings": (nothing, "learning in.yaml", 1, "'in.yaml', line 1: exp"),
    "binary log": (nothing, "learning potential.h5", 1, "'potential.h5', line 1: e"),
    "empty log": (write("a.log", ""), "learning a.log", 1, "'a.log', line 1: expected"),
    "log without epochs": (
        write("a.log", "# epoch loss train_E_rmse\n"),
        "learning a.log",
        1,
        "'a.log': no epochs",
    ),
    "truncated log": (
        write("a.log", "# epoch loss train_E_rmse\n1 2.0 3.0\n2 1.\n"),
        "learning a.log",
        1,
        "'a.log', line 3: 3 numbers expected",
    ),
    "no logs": (nothing, "learning", 2, "LOGS"),
    "no set": (nothing, "features a.h5", 1, "'a.h5': no such file"),
    "potential as set": (
        nothing,
        "features potential.h5",
        1,
        "'potential.h5' is a potential, expected a fingerprint set",
    ),
    "species": (
        nothing,
        "correlation fingerprints.h5 --species Tl",
        2,
        "species 'Tl': expected one of Ti, O",
    ),
    "no potential": (
        nothing,
        "correlation fingerprints.h5 -p a.h5",
        1,
        "'a.h5': no such file",
    ),
    "no basis": (nothing, "basis a.h5", 2, "a.h5: no such file"),
    "far neighbours": (
        write("angular.yaml", ANGULAR),
        "basis angular.yaml --distance 7",
        2,
        "--distance 7: no feature sees neighbours so far away",
    ),
    "distance that is no number": (
        nothing,
        "basis potential.h5 --distance nan",
        2,
        "--distance nan: expected a number of angstrom",
    ),
    "set of a potential": (
        nothing,
        "basis potential.h5 --set descriptor.radial.order=3",
        2,
        "--set: settings expected, 'potential.h5' has its descriptor",
    ),
    "settings without species": (
        write("a.yaml", "train: {epochs: 3}\n"),
        "basis a.yaml",
        2,
        "a.yaml: structures: this key is needed",
    ),
    "no predictions": (nothing, "parity a.xyz", 1, "'a.xyz': no such file"),
    "folder of predictions": (nothing, "parity train", 1, "'train': is a folder"),
    "structures as predictions": (
        nothing,
        f"parity {FILE}",
        1,
        f"'{FILE}': no predictions with references, expected what 'annpot predict -o'",
    ),
    "predictions without references": (
        write("a.jsonl", RECORD),
        "parity a.jsonl",
        1,
        "'a.jsonl': no predictions with references",
    ),
    "energies that are none": (
        write(
            "a.xyz",
            "1\nProperties=species:S:1:pos:R:3 energy=1.0 REF_energy=low\nO 0 0 0\n",
        ),
        "parity a.xyz",
        1,
        "'a.xyz', structure 0: REF_energy is 'low', expected 1 number",
    ),
    "energies that are not finite": (
        write("a.jsonl", RECORD.replace("1.0", "NaN")),
        "parity a.jsonl",
        1,
        "'a.jsonl', structure 0: energy not finite, expected numbers",
    ),
    "no atoms": (
        write("a.jsonl", '{"symbols": [], "energy": 1.0, "forces": []}'),
        "parity a.jsonl",
        1,
        "'a.jsonl', line 1: expected a prediction",
    ),
    "other JSON": (
        write("a.jsonl", RECORD + '{"a": 1}\n'),
        "parity a.jsonl",
        1,
        "'a.jsonl', line 2: expected a prediction, as 'annpot predict --json' prints",
    ),
    "forces of another shape": (
        write("a.jsonl", RECORD.replace("[[0, 0, 0]]", "[[0, 0]]")),
        "parity a.jsonl",
        1,
        "'a.jsonl', line 1: expected a prediction",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_line(predicted, name):
    change, command, exit_code, fragment = WRONG[name]
    change(predicted)
    result = run("plot", *command.split(), folder=predicted)
    assert result.exit_code == exit_code, result.stderr
    error = result.stderr[result.stderr.index("Error: ") :]
    assert fragment in error
    assert len(error.splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_without_matplotlib(predicted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("plot", "learning", "train.log", folder=predicted)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: pictures need matplotlib, which is not installed: "
        "please run pip install 'annpot[plot]'\n"
    )


def test_another_set_than_the_potentials(predicted):
    result = run(
        *"generate --set descriptor.radial.order=3 -o other.h5".split(),
        folder=predicted,
    )
    assert result.exit_code == 0, result.stderr
    command = "plot correlation other.h5 -p potential.h5"
    result = run(*command.split(), folder=predicted)
    assert result.exit_code == 1
    assert "'other.h5': the features of this set are not those of" in result.stderr


def test_comparison_is_what_was_predicted(predicted):
    comparison = read_comparison([predicted / "out.xyz"])
    again = read_comparison([predicted / "out.jsonl"])
    files = sorted(predicted.glob("test/*.xsf"))
    structures = [s for path in files for s in read_structures(path)]
    E_s = [s.energy / len(s) for s in structures]
    F_nc = np.concatenate([s.forces_nc for s in structures])
    for found in (comparison, again):
        np.testing.assert_allclose(found.E_reference_s, E_s, atol=1e-8)
        np.testing.assert_allclose(found.F_reference_nc, F_nc, atol=1e-8)
        assert found.symbols_n.tolist() == [n for s in structures for n in s.symbols]
    np.testing.assert_allclose(comparison.E_s, again.E_s, atol=1e-8)
    np.testing.assert_allclose(comparison.F_nc, again.F_nc, atol=1e-8)
    # the energies of compositions that are fitted exactly differ from them by nothing
    mixed = read_comparison([predicted / "mixed.jsonl"])
    np.testing.assert_allclose(mixed.baseline_s, mixed.E_reference_s, atol=1e-6)
    assert len(mixed.F_nc) == len(structures[0])


def test_importance_is_the_change_of_the_energy(predicted):
    potential = Potential.load(predicted / "potential.h5")
    fingerprints = load_set(predicted / "fingerprints.h5")
    blocks = load_features(predicted / "fingerprints.h5")
    importance = compute_importance(potential, fingerprints, blocks)
    for s, G_nf in enumerate(blocks):
        assert importance[s].shape == G_nf.shape[1:]
        for f in (0, 6):
            step = 1e-4 * G_nf[:, f].std() * np.eye(G_nf.shape[1])[f]
            up, _ = potential.evaluate_species(s, G_nf + step)
            down, _ = potential.evaluate_species(s, G_nf - step)
            change = np.sqrt(np.mean((up - down) ** 2)) / 2e-4
            assert importance[s][f] == pytest.approx(change, rel=1e-5)
