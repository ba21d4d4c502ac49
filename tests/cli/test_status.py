"""``annpot status``: what is running, dead, stopped or finished."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from datetime import datetime, timedelta, timezone

import h5py
import pytest
from commands import run, start, wait_for

from annpot.checkpoints import keeper
from annpot.cli.report_status import word_seconds
from annpot.cli.report_training import EpochTable
from annpot.format import writing
from annpot.runs.interruption import Stopped
from annpot.runs.records import path_of
from annpot.runs.run import record
from annpot.status import find_statuses
from annpot.structures import pieces


@pytest.fixture
def stopped(work, monkeypatch):
    """Return a folder in which a training was stopped after two epochs."""
    (work / "potential.h5").unlink()
    real = EpochTable.epoch

    def epoch(self, epoch):
        real(self, epoch)
        if epoch.number == 3:
            raise Stopped(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(EpochTable, "epoch", epoch)
        assert run("train", folder=work).exit_code == 75
    return work


def status(folder, *arguments):
    """Return the status of each output, as JSON gives it, and the exit code."""
    result = run("status", "--json", *arguments, folder=folder)
    assert result.exit_code in (0, 1), result.stderr
    return {s["output"]: s for s in json.loads(result.stdout)}, result.exit_code


def edit(folder, **changes):
    path = folder / "potential.h5.run"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_finished_files(work):
    found, code = status(work)
    assert code == 0
    assert set(found) == {"fingerprints.h5", "potential.h5"}
    assert {s["state"] for s in found.values()} == {"finished"}
    summary = found["fingerprints.h5"]["finished"]["summary"]
    assert summary == "16 structures, 380 atoms of Ti O"
    summary = found["potential.h5"]["finished"]["summary"]
    assert summary.startswith("Ti O: a potential, test errors ")
    assert found["potential.h5"]["resumable"] is False
    text = run("status", folder=work).stdout
    assert text.startswith(
        "fingerprints.h5: finished, 16 structures, 380 atoms of Ti O, w"
    )


def test_a_stopped_training(stopped):
    found, code = status(stopped)
    assert code == 1
    mine = found["potential.h5"]
    assert (mine["state"], mine["resumable"]) == ("stopped", True)
    assert mine["run"]["progress"]["done"] == 3
    assert mine["run"]["message"].startswith("stopped by SIGTERM")
    assert (mine["left"]["epochs"], mine["left"]["usable"]) == (2, True)
    assert 0 <= mine["left"]["age"] < 86_400
    text = run("status", folder=stopped).stdout
    assert f"potential.h5: stopped, annpot train, process {os.getpid()} on " in text
    assert "\n  3 of 15 epochs (20 %), member 1 of 1, loss " in text
    errors = mine["run"]["progress"]["more"]
    energy, force = (1000 * errors[f"validation_{w}_rmse"] for w in ("energy", "force"))
    expected = f"validation {energy:.2f} meV/atom, validation {force:.2f} meV/angstrom"
    assert expected in text
    assert "\n  potential.h5.checkpoint, after 2 epochs, " in text
    assert "\n  the same 'annpot train' with --resume goes on\n" in text


def test_killed_processes_are_dead(stopped):
    edit(stopped, state="running", pid=2**22 + 1, message="")
    found, code = status(stopped)
    assert (found["potential.h5"]["state"], code) == ("dead", 1)
    assert found["potential.h5"]["resumable"] is True
    assert "potential.h5: dead, annpot train" in run("status", folder=stopped).stdout


def test_a_running_training(work):
    with record(work / "potential.h5", "train") as mine:
        mine.report(10, 40, "epochs", member=1, members=4)
        found, code = status(work)
        assert (found["potential.h5"]["state"], code) == ("running", 0)
        assert found["potential.h5"]["expected_end"] is None
        text = run("status", folder=work).stdout
        assert "potential.h5: running, annpot train" in text
        assert "10 of 40 epochs (25 %), member 1 of 4" in text
        begun = json.loads(path_of(work / "potential.h5").read_text())
        edit(work, started="2100-01-01T00:00:00Z")
        text = run("status", folder=work).stdout
        assert "an older one is there: Ti O: a potential" in text
        edit(work, started="2000-01-01T00:00:00Z")
        text = run("status", folder=work).stdout
        assert "the best so far is there: Ti O: a potential" in text
        edit(work, started=begun["started"])
        now = datetime.now(timezone.utc).isoformat()
        values = json.loads(path_of(work / "potential.h5").read_text())
        values["progress"]["seconds_per_unit"] = 120.0
        # as another writer would do, so the lock stays
        with (work / "potential.h5.run").open("r+") as file:
            file.write(json.dumps(values | {"updated": now}))
        end = datetime.fromisoformat(status(work)[0]["potential.h5"]["expected_end"])
        expected = timedelta(seconds=30 * 120)
        assert abs(end - datetime.fromisoformat(now) - expected) < timedelta(seconds=5)
        assert "2 min for each, expected end 2" in run("status", folder=work).stdout


def test_a_checkpoint_without_a_record(stopped):
    (stopped / "potential.h5.run").unlink()
    found, code = status(stopped)
    assert (found["potential.h5"]["state"], code) == ("unfinished", 1)
    assert found["potential.h5"]["resumable"] is True


def test_what_other_commands_left(work, monkeypatch):
    """Parts of a set, and predictions, as generate and predict leave them if killed."""
    (work / "fingerprints.h5").unlink()
    parts = work / "fingerprints.h5.parts"
    parts.mkdir()
    assert status(work)[0]["fingerprints.h5"]["resumable"] is False
    for name in ("000000-00000.h5", "000000-00001.h5", "000001-00000.h5.partial"):
        (parts / name).write_bytes(b"")
    (work / "out.xyz.journal").write_text("{}\n[]\n")
    found, code = status(work)
    assert code == 1
    for name, command in (("fingerprints.h5", "generate"), ("out.xyz", "predict")):
        assert (found[name]["state"], found[name]["resumable"]) == ("unfinished", True)
        assert found[name]["left"]["command"] == command
    text = run("status", folder=work).stdout
    assert "\n  fingerprints.h5.parts, 2 parts, " in text
    assert "\n  the same 'annpot generate' with --resume goes on\n" in text
    assert "\n  the same 'annpot predict' with --resume goes on\n" in text


def test_a_damaged_checkpoint_is_told(stopped):
    newest, previous = keeper.names(stopped / "potential.h5")
    shutil.copy(newest, previous)
    newest.write_bytes(b"")
    left = status(stopped)[0]["potential.h5"]["left"]
    assert left["file"] == "potential.h5.checkpoint.previous"
    assert "; taking " in left["problem"]
    previous.write_bytes(b"")
    mine = status(stopped)[0]["potential.h5"]
    assert (mine["resumable"], mine["left"]["usable"]) == (False, False)
    assert "cannot" in mine["left"]["problem"] or "is not" in mine["left"]["problem"]


def test_a_copy_of_a_checkpoint_is_told(stopped):
    shutil.copy(stopped / "potential.h5.checkpoint", stopped / "copy.h5")
    found, code = status(stopped, "copy.h5")
    assert (found["copy.h5"]["state"], code) == ("finished", 0)
    assert found["copy.h5"]["finished"]["summary"] == "the checkpoint of a training"


@pytest.mark.parametrize(
    "name",
    ["potential.h5", "potential.h5.run", "potential.h5.checkpoint"],
)
def test_one_output_by_any_of_its_files(stopped, name):
    found, code = status(stopped, name)
    assert (list(found), code) == (["potential.h5"], 1)
    assert found == {
        key: value | {"left": found[key]["left"]}
        for key, value in status(stopped)[0].items()
        if key == "potential.h5"
    }


def test_nothing_is_there(tmp_path):
    empty = run("status", folder=tmp_path)
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert run("status", "--json", folder=tmp_path).stdout == "[]\n"
    missing = run("status", "nowhere", folder=tmp_path)
    assert missing.exit_code == 1
    assert "'nowhere': no such file or folder, and no run" in missing.stderr


def test_what_cannot_be_read_is_told(work):
    (work / "potential.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (work / "b.h5.run").write_bytes(b"{")
    with h5py.File(work / "c.h5", "w") as file:
        file["x"] = 1
    (work / "d.json").write_text("{}")
    (work / "e.jsonl").write_text('{"file": "of others"}\n')
    found, code = status(work)
    assert code == 1
    assert set(found) == {"fingerprints.h5", "potential.h5", "b.h5"}  # not of others
    assert found["fingerprints.h5"]["state"] == "finished"
    for name in ("potential.h5", "b.h5"):
        assert found[name]["state"] == "unreadable"
        assert found[name]["problem"]
        assert status(work, name)[1] == 1
    assert status(work, "fingerprints.h5")[1] == 0
    for name in ("c.h5", "d.json", "e.jsonl"):
        other = run("status", name, folder=work)
        assert other.exit_code == 1
        assert "neither a set nor a potential nor predictions" in other.stderr


def test_predictions(work, monkeypatch):
    files = sorted((work / "test").glob("*.xsf"))
    for words in (
        ("--results", "lines.jsonl", "-o", "all.xyz"),
        ("--results", "table.txt"),
    ):
        assert run("predict", *files, *words, folder=work).exit_code == 0
    found, code = status(work)
    assert (found["lines.jsonl"]["state"], code) == ("finished", 0)
    assert "all.xyz" not in found  # structures, as a rule: not opened
    for name, form in (
        ("lines.jsonl", "JSON lines"),
        ("all.xyz", "extended XYZ"),
        ("table.txt", "table"),
    ):
        found, code = status(work, name)
        assert (found[name]["state"], code) == ("finished", 0)
        summary = found[name]["finished"]["summary"]
        assert summary.startswith(f"predictions as {form}, ")
        assert summary.endswith(" kB")
        assert datetime.fromisoformat(found[name]["finished"]["created"])


def test_predictions_that_are_not_complete(work, monkeypatch):
    files = sorted((work / "test").glob("*.xsf"))
    monkeypatch.setattr(pieces, "BUNDLE_FILES", 1)
    (work / "bad.xsf").write_text("junk")
    words = "bad.xsf", "--results", "out.jsonl"
    assert run("predict", *files, *words, folder=work).exit_code == 1
    found, code = status(work)
    mine = found["out.jsonl"]
    assert (mine["state"], mine["resumable"], code) == ("failed", True, 1)
    assert mine["left"]["structures"] == len(files)
    text = run("status", folder=work).stdout
    assert f"out.jsonl.journal, {len(files)} structures are complete, " in text
    journal = work / "out.jsonl.journal"
    lines = journal.read_text().splitlines()
    for damaged in (
        "",
        "[]",
        lines[0],
        '{"state": 3}',
        '{"state": {"n_structures": 0.5}}',
    ):
        journal.write_text(f"{damaged}\n")
        assert status(work)[0]["out.jsonl"]["left"]["structures"] is None


def test_errors_of_a_potential_are_not_trusted(work):
    for text in (
        "[" * 100_000,
        "[]",
        '{"errors": 1}',
        '{"errors": {"test": {"x": 1}}}',
    ):
        with h5py.File(work / "potential.h5", "a") as file:
            del file["provenance"]
            writing.write_text(file, "provenance", text)
        summary = status(work)[0]["potential.h5"]["finished"]["summary"]
        assert summary == "a potential of Ti O"


OVER_AND_OVER = """
from pathlib import Path
from annpot.checkpoints import keeper
from annpot.runs.run import record

output = Path("potential.h5")
checkpoint = keeper.find(output).checkpoint
while True:
    with record(output, "train") as mine:
        mine.report(1, None, "epochs")
        keeper.checkpoint_file.save(*keeper.names(output), checkpoint)
"""


def test_a_folder_that_is_written_at_the_same_time(stopped):
    """Whatever state a run that begins and ends again and again is in, no error."""
    states = Counter()

    def look():
        for mine in find_statuses(stopped):
            states[mine.state] += 1
            assert mine.left is None or mine.left.usable
        return states["running"] >= 50

    process = start("status", folder=stopped, before=OVER_AND_OVER)
    try:
        assert wait_for(look, process), process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert not states["dead"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.012, "0.012 s"), (5, "5 s"), (90, "1.5 min"), (7200, "2 h"), (1e6, "11.6 d")],
)
def test_durations_are_readable(seconds, expected):
    assert word_seconds(seconds) == expected
