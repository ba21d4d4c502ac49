"""``annpot train`` that is stopped, killed, started twice, and goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from commands import PATIENCE, run, wait_for
from commands import start as start_command
from ranks import needs_mpi, run_ranks

from annpot.checkpoints import file as checkpoint_file
from annpot.checkpoints import keeper
from annpot.cli import report, training_run
from annpot.cli.report_training import EpochTable
from annpot.committee import Committee
from annpot.potential import Potential
from annpot.predictor import load_predictor
from annpot.runs.records import read_record
from annpot.trainer import Trainer

SMALL = ("--set", "train.hidden=[3]", "--set", "train.members=2")
ADAM = ("--method", "adam")
METHODS = pytest.mark.parametrize("method", [(), ADAM], ids=["lbfgs", "adam"])


@pytest.fixture
def raise_at(monkeypatch):
    """Return a function that lets a signal come, or an error be raised, at an epoch."""
    real = EpochTable.epoch

    def arrange(number, what):
        def epoch(self, epoch):
            real(self, epoch)
            if epoch.number == number and isinstance(what, int):
                signal.raise_signal(what)
            elif epoch.number == number:
                raise what

        monkeypatch.setattr(EpochTable, "epoch", epoch)

    return arrange


def train(folder, *options):
    return run("train", *SMALL, *options, folder=folder)


def weights(folder):
    found = load_predictor(folder / "potential.h5")
    members = found.members if isinstance(found, Committee) else [found]
    return np.concatenate(
        [model.network.flatten() for member in members for model in member.models]
    )


def log(folder):
    """Return the log without the column of times."""
    rows = np.genfromtxt(folder / "train.log", names=True)
    names = [name for name in rows.dtype.names if name != "seconds"]
    return np.array([rows[name] for name in names])


PAUSE = """
import time
from pathlib import Path
from annpot.cli.report_training import EpochTable

real = EpochTable.epoch

def epoch(self, epoch):
    real(self, epoch)
    if epoch.number == {}:
        Path("paused").touch()
        time.sleep(10_000)

EpochTable.epoch = epoch
"""


def start(folder, *options, pause):
    """Start a training as a process of its own, which makes no more epochs than so."""
    (folder / "paused").unlink(missing_ok=True)
    before = PAUSE.format(pause)
    return start_command("train", *SMALL, *options, folder=folder, before=before)


def left(folder):
    """Return the files beside the potential that a run left."""
    return sorted(path.name for path in folder.glob("potential.h5.*"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT", "SIGHUP"])
@METHODS
def test_a_signal_saves_and_the_training_goes_on(
    work, raise_at, monkeypatch, name, method
):
    assert train(work, *method).exit_code == 0
    expected, expected_log = weights(work), log(work)
    (work / "potential.h5").unlink()
    raise_at(18, getattr(signal, name))
    stopped = train(work, *method)
    monkeypatch.undo()
    assert stopped.exit_code == 75
    assert stopped.stderr.endswith(
        f"stopped by {name}; the same 'annpot train' with --resume goes on\n"
    )
    names = ["checkpoint", "checkpoint.previous", "run"]  # the first member's end
    assert left(work) == [f"potential.h5.{name}" for name in names]
    assert read_record(work / "potential.h5.run").state == "stopped"
    by_user = name in ("SIGINT", "SIGHUP")
    assert (work / "potential.h5").exists() == by_user
    again = train(work, *method, "--resume")
    assert again.exit_code == 0, again.stderr
    assert "going on from 'potential.h5.checkpoint', after 17 epochs" in again.stderr
    np.testing.assert_array_equal(weights(work), expected)
    np.testing.assert_array_equal(log(work), expected_log)
    assert left(work) == []


def test_a_signal_before_the_first_epoch(work, raise_at, monkeypatch):
    monkeypatch.setattr(
        EpochTable, "plan", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    before = train(work)
    assert (before.exit_code, before.stderr[-19:]) == (130, "stopped by SIGTERM\n")
    assert left(work) == []
    again = train(work, "--resume", "auto")
    assert again.exit_code == 75
    assert again.stderr.endswith("SIGTERM; the same command starts again\n")
    assert left(work) == []
    monkeypatch.undo()
    raise_at(4, signal.SIGTERM)
    assert train(work).exit_code == 75
    monkeypatch.undo()
    monkeypatch.setattr(
        EpochTable, "plan", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    again = train(work, "--resume")
    assert again.exit_code == 75
    assert checkpoint_file.load(work / "potential.h5.checkpoint").progress.n_epochs == 3


@pytest.mark.parametrize(
    "command", [("train",), ("generate",), ("predict", "test", "-o", "o.xyz")]
)
def test_a_signal_before_anything_is_done(work, monkeypatch, command):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "announce_compilation", interrupt)
    ended = run(*command, folder=work)
    assert (ended.exit_code, ended.stderr) == (130, "interrupted\n")
    ended = run(*command, "--resume", "auto", folder=work)
    assert ended.exit_code == 75
    assert ended.stderr == "interrupted; the same command starts again\n"


def test_a_time_limit_is_not_the_end(work, monkeypatch):
    """On a clock that tells how many epochs are done."""
    assert train(work).exit_code == 0
    expected, expected_log = weights(work), log(work)
    (work / "potential.h5").unlink()
    monkeypatch.setattr(Trainer, "_seconds", lambda self: float(self.progress.n_epochs))
    for n_epochs in (12, 23):
        ended = train(work, "--resume", "auto", "--time-limit", "10")
        assert ended.exit_code == 0
        (line,) = [t for t in ended.stderr.splitlines() if "time limit;" in t]
        assert line.endswith(f" of {n_epochs}")
        assert "with more time, the same 'annpot train' with --resume" in ended.stderr
        assert isinstance(load_predictor(work / "potential.h5"), Potential)
        assert "potential.h5.checkpoint" in left(work)
        assert "potential.h5.run" not in left(work)
        shown = run("status", "potential.h5", folder=work)
        assert shown.exit_code == 1
        assert shown.stdout.startswith("potential.h5: unfinished\n")
        assert "'annpot train' with --resume goes on\n" in shown.stdout
        assert "\n  there is: Ti O: a potential, test errors " in shown.stdout
    ended = train(work, "--resume", "auto", "--time-limit", "10")
    assert "all epochs done; kept epoch" in ended.stderr
    np.testing.assert_array_equal(weights(work), expected)
    np.testing.assert_array_equal(log(work), expected_log)
    assert left(work) == []


def test_a_signal_when_the_time_is_up_costs_nothing(work, monkeypatch):
    real = keeper.Keeper.save_last

    def save_last(self, progress):
        monkeypatch.setattr(keeper.Keeper, "save_last", real)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(keeper.Keeper, "save_last", save_last)
    monkeypatch.setattr(Trainer, "_seconds", lambda self: float(self.progress.n_epochs))
    assert train(work, "--time-limit", "10").exit_code == 75
    found = checkpoint_file.load(work / "potential.h5.checkpoint")
    assert found.progress.n_epochs == 12


def test_a_failure_leaves_what_is_done(work, raise_at, monkeypatch):
    raise_at(5, OSError(errno.EIO, "Input/output error", "x"))
    failed = train(work, "--set", "train.checkpoint_every=1e-9")
    assert failed.exit_code == 1
    record = read_record(work / "potential.h5.run")
    assert (record.state, "Input/output error" in record.message) == ("failed", True)
    monkeypatch.undo()
    assert train(work, "--resume").exit_code == 0


def test_resume_needs_something(work):
    missing = train(work, "--resume")
    assert missing.exit_code == 1
    assert "'potential.h5.checkpoint': no such file" in missing.stderr
    assert train(work, "--resume=auto").exit_code == 0
    assert train(work, "--resume", "maybe").exit_code == 2
    assert train(work, "--resume", "yes", "--restart").exit_code == 2


def test_work_is_not_lost_without_asking(work, raise_at, monkeypatch):
    raise_at(4, signal.SIGTERM)
    train(work)
    monkeypatch.undo()
    monkeypatch.setattr(training_run, "TRIFLE", 0.0)
    refused = train(work)
    assert refused.exit_code == 1
    assert "is of a training that did not end, after 3 epochs in" in refused.stderr
    assert left(work) == ["potential.h5.checkpoint", "potential.h5.run"]
    assert train(work, "--restart").exit_code == 0
    assert left(work) == []


def test_a_trifle_is_replaced(work, raise_at, monkeypatch):
    raise_at(4, signal.SIGTERM)
    train(work)
    monkeypatch.undo()
    again = train(work)
    assert again.exit_code == 0
    assert "starting anew; 'potential.h5.checkpoint' was of 3 epochs" in again.stderr
    assert log(work)[0].tolist() == list(range(1, 31))


def test_what_cannot_be_read_is_not_replaced(work):
    path = work / "potential.h5.checkpoint"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    for options in ((), ("--resume",), ("--resume", "auto")):
        refused = train(work, *options)
        assert refused.exit_code == 1
        assert refused.stderr.rstrip().endswith("; --restart starts anew")
        assert path.exists()
    assert train(work, "--restart").exit_code == 0
    assert not path.exists()


def test_other_settings_are_refused(work, raise_at, monkeypatch):
    raise_at(4, signal.SIGTERM)
    train(work)
    monkeypatch.undo()
    content = (work / "potential.h5.checkpoint").read_bytes()
    refused = train(work, "--resume", "--set", "train.l2=0.5")
    assert refused.exit_code == 1
    assert "train.l2 was 0.0001, is 0.5" in refused.stderr
    assert (work / "potential.h5.checkpoint").read_bytes() == content


@pytest.mark.parametrize("rows", [None, 5000 * "9" + " 1\n"])
def test_a_log_that_was_lost_begins_anew(work, raise_at, monkeypatch, rows):
    raise_at(4, signal.SIGTERM)
    train(work)
    monkeypatch.undo()
    path = work / "train.log"
    header = path.read_text().partition("\n")[0]
    path.write_text("something else\n" if rows is None else f"{header}\n{rows}")
    assert train(work, "--resume").exit_code == 0
    assert log(work)[0].tolist() == list(range(4, 31))


def test_a_potential_that_cannot_be_written_costs_nothing(work, monkeypatch, tmp_path):
    real = Committee.save

    def save(self, path):
        if path.parent == Path():
            from annpot.errors import AnnpotError

            raise AnnpotError("the disk is full")
        real(self, path)

    monkeypatch.setattr(Committee, "save", save)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    failed = train(work, "--set", "train.checkpoint_every=1e-9")
    assert failed.exit_code == 1
    assert f"Error: the potential is in '{tmp_path}/annpot-" in failed.stderr
    monkeypatch.undo()
    assert train(work, "--resume").exit_code == 0
    assert left(work) == []


@METHODS
def test_kill_at_any_moment(work, method):
    every = ("--set", "train.checkpoint_every=0.01", "--epochs", "60", *method)
    assert train(work, *every).exit_code == 0
    expected, expected_log = weights(work), log(work)
    newest, _ = keeper.names(work / "potential.h5")
    rng = np.random.default_rng(0)
    n_epochs = 0
    for options, pause in (((), 50), (("--resume",), 100)):
        (work / "potential.h5").unlink(missing_ok=True)
        before = newest.stat().st_mtime_ns if newest.exists() else 0
        process = start(work, *every, *options, pause=pause)

        def goes_on(before=before):
            if (work / "paused").exists():
                return True
            return newest.exists() and newest.stat().st_mtime_ns != before

        assert wait_for(goes_on, process), process.stderr.read()
        time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.communicate()
        found = keeper.find(work / "potential.h5")
        assert found.checkpoint.progress.n_epochs >= n_epochs
        n_epochs = found.checkpoint.progress.n_epochs
    again = train(work, *every, "--resume=auto")
    assert again.exit_code == 0, again.stderr
    np.testing.assert_array_equal(weights(work), expected)
    np.testing.assert_array_equal(log(work), expected_log)
    assert left(work) == []


def test_two_runs_in_one_folder(work):
    process = start(work, pause=5)
    paused = wait_for((work / "paused").exists, process)
    assert paused, process.stderr.read()
    second = train(work)
    assert second.exit_code == 1
    line = second.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: 'potential.h5': 'annpot train', process ")
    assert f"process {process.pid} on " in line
    same_log = train(work, "-o", "b.h5")
    assert same_log.exit_code == 1
    line = same_log.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: 'train.log': another training is writing it")
    assert train(work, "-o", "b.h5", "--set", "train.log=b.log").exit_code == 0
    shown = run("status", "--json", folder=work)
    states = {s["output"]: s["state"] for s in json.loads(shown.stdout)}
    assert states["potential.h5"] == "running"
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert train(work, "--resume").exit_code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(work):
    work.chmod(0o500)
    failed = train(work)
    work.chmod(0o700)
    assert failed.exit_code == 1
    assert "Permission denied" in failed.stderr


def test_a_finished_training_is_not_done_again(work):
    assert train(work).exit_code == 0
    before = (work / "potential.h5").read_bytes()
    again = train(work, "--resume", "auto")
    assert again.exit_code == 0
    assert "'potential.h5' is finished, of this set and these settings" in again.stderr
    assert (work / "potential.h5").read_bytes() == before
    for other in (("--epochs", "9"), ("--set", "train.l2=1e-3")):
        assert train(work, "--resume", "auto", *other).exit_code == 0
        assert (work / "potential.h5").read_bytes() != before
        before = (work / "potential.h5").read_bytes()


def test_an_interrupted_one_is_not_finished(work, raise_at, monkeypatch):
    raise_at(4, signal.SIGINT)
    train(work)
    monkeypatch.undo()
    (work / "potential.h5.checkpoint").unlink()
    again = train(work, "--resume", "auto")
    assert "is finished" not in again.stderr
    assert log(work)[0].tolist() == list(range(1, 31))


def test_info_tells_what_is_in_a_checkpoint(work, raise_at):
    raise_at(4, signal.SIGTERM)
    train(work)
    shown = run("info", "--verify", "--json", "potential.h5.checkpoint", folder=work)
    values = json.loads(shown.stdout)
    assert (values["kind"], values["epochs"], values["members_done"]) == (
        "checkpoint",
        3,
        0,
    )
    assert values["set"]["file"] == "fingerprints.h5"
    assert values["settings"]["train"]["hidden"] == [3]


RANKS = """
import os, signal, sys
from annpot.cli.main import main
from annpot.loss import Loss
from annpot.parallel import world

compute, calls, stop_at = Loss.compute, [], int(os.environ["STOP_AT"])

def count(self, weights_w):
    calls.append(1)
    # the last rank gets the signal
    if len(calls) == stop_at and world().rank == world().size - 1:
        signal.raise_signal(signal.SIGTERM)
    return compute(self, weights_w)

Loss.compute = count
main()
"""


def train_on_two_ranks(folder, *options, stop_at=0):
    return run_ranks(
        2, "program.py", "train", *SMALL, *options, folder=folder, STOP_AT=str(stop_at)
    )


@needs_mpi
def test_two_ranks_stop_and_one_goes_on(work):
    (work / "program.py").write_text(RANKS)
    assert train(work).exit_code == 0
    expected, expected_log = weights(work), log(work)
    (work / "potential.h5").unlink()
    stopped = train_on_two_ranks(work, stop_at=20)
    assert stopped.returncode == 75, stopped.stderr
    line = "stopped by SIGTERM; the same 'annpot train' with --resume goes on"
    assert stopped.stderr.splitlines().count(line) == 1
    found = checkpoint_file.load(work / "potential.h5.checkpoint")
    assert 1 <= found.progress.n_epochs <= 20
    assert train(work, "--resume").exit_code == 0
    np.testing.assert_array_equal(weights(work), expected)
    np.testing.assert_array_equal(log(work), expected_log)


@needs_mpi
def test_one_stops_and_two_ranks_go_on(work, raise_at, monkeypatch):
    (work / "program.py").write_text(RANKS)
    assert train(work, *ADAM).exit_code == 0
    expected, expected_log = weights(work), log(work)
    raise_at(18, signal.SIGUSR1)
    assert train(work, *ADAM).exit_code == 75
    monkeypatch.undo()
    done = train_on_two_ranks(work, *ADAM, "--resume")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(weights(work), expected)
    np.testing.assert_array_equal(log(work), expected_log)
    assert left(work) == []
