"""Predictions that are interrupted and go on, and those of several ranks."""

import json
import random
import shutil
import signal
import tarfile
import time

import pytest
from commands import MAIN, PATIENCE, run, wait_for
from commands import start as start_command
from ranks import needs_mpi, run_ranks

from annpot.cli.predictions import Totals
from annpot.structures import pieces
from annpot.structures.portions import iterate_portions
from annpot.structures.reading import read_structures

OUTPUTS = ("--json", "--results", "results.jsonl", "-o", "out.xyz")
SMALL = """
from annpot.structures import pieces, portions
pieces.PIECE_BYTES = 3000
portions.iterate_portions.__defaults__ = (3000, True)
"""
"""Portions of one or two structures."""
PAUSE = """
import time
from pathlib import Path
from annpot import prediction
journal = Path("results.jsonl.journal")
predict_batch = prediction._predict_batch
def wait(*arguments):
    while journal.exists() and journal.read_text().count("\\n") > {}:
        time.sleep(1)
    time.sleep(0.01)
    return predict_batch(*arguments)
prediction._predict_batch = wait
"""
"""No portion is predicted once the journal has more lines than so."""


@pytest.fixture(scope="module")
def many(made, tmp_path_factory):
    """Return a folder with a potential and 96 structures in one file."""
    folder = tmp_path_factory.mktemp("many")
    shutil.copy(made / "potential.h5", folder)
    text = ""
    for path in sorted((made / "train").glob("*.xsf")) * 8:
        (structure,) = read_structures(path)
        rows = zip(structure.symbols, structure.positions_nc.tolist(), strict=True)
        atoms = "".join(f"{symbol} {x!r} {y!r} {z!r}\n" for symbol, (x, y, z) in rows)
        lattice = " ".join(map(repr, structure.cell_cc.ravel().tolist()))
        text += f'{len(structure)}\nLattice="{lattice}" energy={structure.energy}\n'
        text += atoms
    (folder / "many.xyz").write_text(text)
    shutil.copytree(made / "test", folder / "test")
    with tarfile.open(folder / "some.tar.gz", "w:gz") as archive:
        for path in sorted((made / "train").glob("*.xsf")):
            archive.add(path, path.name)
    return folder


def arguments(folder):
    files = sorted(map(str, (folder / "test").glob("*.xsf")))
    return ["predict", "many.xyz", "some.tar.gz", *files]


def start(folder, *options, pause=None):
    before = SMALL + (PAUSE.format(pause) if pause else "")
    words = *arguments(folder), *OUTPUTS, *options
    return start_command(*words, folder=folder, before=before, ANNPOT_NUM_THREADS="1")


def contents(folder):
    return [(folder / name).read_bytes() for name in ("results.jsonl", "out.xyz")]


def remove_outputs(folder):
    for path in folder.iterdir():
        if path.name.startswith(("results", "out", "other")):
            path.unlink()


@pytest.fixture(scope="module")
def expected(many):
    process = start(many)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    found = contents(many)
    assert found[0].count(b"\n") == 112
    remove_outputs(many)
    return found


def journal_lines(folder):
    path = folder / "results.jsonl.journal"
    return path.read_text().count("\n") if path.exists() else 0


TOTALS = {
    "n_structures": 3,
    "n_skipped": 1,
    "errors": [2, 1, 6, 0.1, 0.2, 0.3, 0.4],
    "warnings": {
        "n_extrapolating": 1,
        "n_far": 0,
        "lines": [],
        "worst": [0.5, "a.xsf", 2],
        "largest_std": None,
    },
    "skipped": ["b.xsf"],
}


def test_totals_are_told_as_json():
    totals = Totals.from_json(TOTALS)
    assert json.loads(json.dumps(totals.to_json())) == TOTALS
    totals.add(Totals.from_json(TOTALS))
    assert totals.n_structures == 6
    assert totals.errors.to_json() == [4, 2, 12, 0.2, 0.4, 0.6, 0.8]


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        *(
            TOTALS | change
            for change in (
                {"n_structures": "3 of them"},
                {"n_structures": -3},
                {"n_structures": 0},
                {"skipped": 5},
                {"errors": {}},
                {"errors": [1, 2]},
                {"errors": [2, 1, 6, -0.1, 0.2, 0.3, 0.4]},
                {"errors": [float("inf"), 1, 6, 0.1, 0.2, 0.3, 0.4]},
                {"errors": [2, 1, 6, "x", 0.2, 0.3, 0.4]},
                {"warnings": []},
                {"warnings": TOTALS["warnings"] | {"worst": None}},
                {"warnings": TOTALS["warnings"] | {"worst": [1]}},
                {"warnings": TOTALS["warnings"] | {"largest_std": "x"}},
            )
        ),
    ],
)
def test_totals_that_cannot_be(state):
    with pytest.raises(ValueError, match=r"."):
        Totals.from_json(state)


def test_a_journal_with_such_totals(many, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 3000)
    monkeypatch.setattr(iterate_portions, "__defaults__", (3000, True))
    command = [*arguments(many), "nothing.xsf", "--results", "other.txt"]
    assert run(*command, folder=many).exit_code == 1
    journal = many / "other.txt.journal"
    *lines, last = journal.read_text().splitlines()
    last = json.dumps(json.loads(last) | {"state": {**TOTALS, "errors": 3}})
    journal.write_text("\n".join([*lines, last, ""]))
    result = run(*command, "--resume", folder=many)
    assert result.exit_code == 1
    assert "other.txt.journal': damaged, please leave --resume out" in result.stderr
    assert "Traceback" not in result.stderr
    remove_outputs(many)


def test_kill_at_random_moments(many, expected):
    rng, resumed = random.Random(1), ()
    for n_lines in (2, 9, 10, 25):
        process = start(many, *resumed, pause=n_lines + 5)
        wait_for(lambda n=n_lines: journal_lines(many) >= n, process)
        time.sleep(rng.random() * 0.1)
        process.kill()
        process.communicate()
        assert not (many / "out.xyz").exists()
        resumed = ("--resume",)
    process = start(many, "--resume")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "going on behind" in errors
    assert contents(many) == expected
    assert not list(many.glob("*.journal")) + list(many.glob("*.partial"))
    remove_outputs(many)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_says_how_to_go_on(many, expected, name):
    process = start(many, pause=10)
    wait_for(lambda: journal_lines(many) > 5, process)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, errors
    assert "'annpot predict' with --resume goes on" in errors
    process = start(many, "--resume", "auto")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert contents(many) == expected
    remove_outputs(many)


def stop_at(folder, n_lines):
    process = start(folder, pause=n_lines + 5)
    wait_for(lambda: journal_lines(folder) > n_lines, process)
    process.kill()
    process.communicate()


def test_what_is_not_the_same_is_refused(many):
    stop_at(many, 5)
    for change, fragment in (
        (("--index", "::2"), "with index ':', but now it is '::2'"),
        (("--forces",), "with forces False, but now it is True"),
        (("--on-error", "skip"), "with on_error 'stop', but now it is 'skip'"),
    ):
        process = start(many, "--resume", *change)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert fragment in errors
    text = (many / "many.xyz").read_text()
    (many / "many.xyz").write_text("\n" + text)
    process = start(many, "--resume")
    _, errors = process.communicate(timeout=PATIENCE)
    (many / "many.xyz").write_text(text)
    assert process.returncode == 1
    assert "the files are not those that portion 0 was made from" in errors
    remove_outputs(many)


def test_options_that_make_no_sense(work):
    for words, fragment in (
        (("--resume",), "--resume needs -o or --results"),
        (("-o", "a", "--results", "a"), "need files of their own"),
    ):
        result = run("predict", "test", *words, folder=work)
        assert result.exit_code == 2
        assert fragment in result.stderr
    result = run("predict", "0.xsf", "-o", "a", "--resume", folder=work)
    assert result.exit_code == 1
    assert "so there is nothing to go on from" in result.stderr


def test_results_are_what_is_printed(made, tmp_path, monkeypatch):
    files = sorted((made / "test").glob("*.xsf"))
    printed = run("predict", "--forces", *files, folder=made)
    path = tmp_path / "table.txt"
    result = run("predict", "--forces", "--results", path, *files, folder=made)
    assert result.stdout == ""
    assert path.read_text() == printed.stdout
    path = tmp_path / "lines.jsonl"
    assert run("predict", "--results", path, *files, folder=made).exit_code == 0
    assert path.read_text() == run("predict", "--json", *files, folder=made).stdout
    # and how files are cut into portions matters to round-off only
    monkeypatch.setattr(pieces, "BUNDLE_FILES", 1)
    other = run("predict", "--json", *files, folder=made).stdout.splitlines()
    for one, two in zip(path.read_text().splitlines(), other, strict=True):
        energies = [json.loads(line)["energy"] for line in (one, two)]
        assert energies[0] == pytest.approx(energies[1], abs=1e-10)


@needs_mpi
@pytest.mark.parametrize("n_ranks", [2, 3])
def test_ranks_give_the_same_bytes(many, expected, n_ranks):
    code = f"{SMALL}\n{MAIN}"
    words = ["-c", code, *arguments(many), *OUTPUTS]
    result = run_ranks(n_ranks, *words, folder=many)
    assert result.returncode == 0, result.stderr
    assert contents(many) == expected
    assert result.stderr.count("wrote results.jsonl") == 1
    remove_outputs(many)


@needs_mpi
def test_a_failure_on_a_rank_ends_all(many):
    (many / "bad.xsf").write_text("junk")
    names = ["many.xyz", "bad.xsf", "some.tar.gz", *["bad.xsf"] * 9]
    words = ["-c", f"{SMALL}\n{MAIN}", "predict", *names]
    result = run_ranks(2, *words, folder=many)
    assert result.returncode != 0
    assert result.stderr.count("'bad.xsf', line 1: a keyword") == 1
    assert result.stdout.count("many.xyz ") == 96
