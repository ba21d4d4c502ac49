"""Records of runs: who may write what, who lives, and what is left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import commands
import pytest

from annpot.errors import AnnpotError, FileFormatError
from annpot.runs import records
from annpot.runs import run as runs
from annpot.runs.interruption import Stopped
from annpot.runs.records import observe, path_of, read_record
from annpot.runs.run import record

HOLD = """
import sys, time
from pathlib import Path
from annpot.runs.run import record
with record(Path(sys.argv[1]), "train") as run:
    run.report(1, 5, "epochs")
    print("ready", flush=True)
    time.sleep(10_000)
"""


@pytest.fixture
def output(tmp_path):
    return tmp_path / "potential.h5"


@pytest.fixture
def other(output):
    """Return another process that works towards the same output."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(output)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def without_locks(monkeypatch, number=errno.EOPNOTSUPP):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def edit(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def leave(output, **changes):
    """Leave the record of a dead process."""
    with pytest.raises(RuntimeError), record(output, "train", lambda: True):
        raise RuntimeError
    edit(path_of(output), state="running", **changes)


def test_a_record_tells_what_runs_and_vanishes(output):
    with record(output, "train") as run:
        run.report(3, 10, "epochs", loss=0.5, member="1")
        found = read_record(path_of(output))
        assert (found.command, found.output) == ("train", "potential.h5")
        assert (found.pid, found.state) == (os.getpid(), "running")
        assert (found.progress.done, found.progress.total) == (3, 10)
        assert found.progress.more == {"loss": 0.5, "member": "1"}
        assert observe(path_of(output))[1]
    assert not list(output.parent.iterdir())


def test_reports_are_written_every_two_seconds(output, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with record(output, "train", lambda: True) as run:
        for done, expected in ((4, 4), (5, 4), (8, 8)):
            run.report(done, 10, "epochs")
            assert read_record(path_of(output)).progress.done == expected
            clock[0] += 1.0
        assert read_record(path_of(output)).progress.seconds_per_unit == 0.5


def test_a_signal_amid_a_report_leaves_the_lock_with_the_name(output, monkeypatch):
    real = os.close

    def close(descriptor):
        real(descriptor)
        raise Stopped(signal.SIGTERM)

    with record(output, "train") as run:
        with monkeypatch.context() as patch:
            patch.setattr(os, "close", close)
            with pytest.raises(Stopped):
                run.report(1, 2, "epochs")
        assert observe(path_of(output))[1]
    assert not path_of(output).exists()


def test_a_record_replaced_during_a_look(output, monkeypatch):
    """The lock of the old file is free, but the run lives."""
    real, looks = records.try_lock, []

    def replace_first(descriptor, *, exclusive):
        looks.append(descriptor)
        if len(looks) == 1:
            run.report(2, 5, "epochs")
        return real(descriptor, exclusive=exclusive)

    with record(output, "train") as run:
        monkeypatch.setattr(records, "try_lock", replace_first)
        found, alive = observe(path_of(output))
    assert alive
    assert found.progress.done == 2
    assert len(looks) == 2


def test_a_record_removed_during_a_look(output, monkeypatch):
    real = records.try_lock

    def end_first(descriptor, *, exclusive):
        run.close()
        return real(descriptor, exclusive=exclusive)

    with contextlib.ExitStack() as run:
        run.enter_context(record(output, "train"))
        monkeypatch.setattr(records, "try_lock", end_first)
        with pytest.raises(FileFormatError, match="No such file"):
            observe(path_of(output))


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": {"done": 1, "total": 10**400}},
        {"progress": {"done": -1}},
        {"progress": {"seconds_per_unit": float("nan")}},
        {"progress": {"seconds_per_unit": 1e300}},
        {"started": "0001-01-01T00:00:00+14:00"},
        {"updated": "9999-12-31T23:59:59-12:00"},
        {"updated": "2026-01-01T00:00:00"},
    ],
)
def test_numbers_and_times_that_cannot_be_end_nothing(output, changes):
    with record(output, "train", lambda: True) as run:
        run.report(1, 2, "epochs")
        values = json.loads(path_of(output).read_text())
        progress = {"seconds_per_unit": 1.0, **changes.pop("progress", {})}
        values |= changes | {"progress": values["progress"] | progress}
        with path_of(output).open("r+") as file:  # the lock stays
            file.write(json.dumps(values))
        for options in ([], ["--json"]):
            result = commands.run("status", *options, folder=output.parent)
            assert result.exit_code in (0, 1)
            assert isinstance(result.exception, SystemExit | None)


def test_the_last_report_is_not_lost(output):
    def work():
        with record(output, "train", lambda: True) as run:
            run.report(1, 10, "epochs")
            run.report(2, 10, "epochs")
            raise Stopped(signal.SIGTERM)

    with pytest.raises(Stopped):
        work()
    found = read_record(path_of(output))
    assert (found.progress.done, found.state) == (2, "stopped")
    assert "SIGTERM" in found.message


@pytest.mark.parametrize(
    ("error", "state"),
    [(KeyboardInterrupt(), "stopped"), (ValueError("a\nb"), "failed")],
)
def test_what_ends_the_run_is_told_if_it_can_go_on(output, error, state):
    with pytest.raises(type(error)), record(output, "train", lambda: True):
        raise error
    found = read_record(path_of(output))
    assert (found.state, found.message) == (state, " ".join(str(error).split()))
    assert not observe(path_of(output))[1]
    with pytest.raises(type(error)), record(output, "train"):
        raise error
    assert not list(output.parent.iterdir())


def test_a_stop_learns_how_to_go_on(output):
    with pytest.raises(Stopped) as stopped, record(output, "generate", lambda: True):
        raise Stopped(signal.SIGUSR1)
    assert stopped.value.exit_code == 75
    assert str(stopped.value) == (
        "stopped by SIGUSR1; the same 'annpot generate' with --resume goes on"
    )
    with pytest.raises(Stopped) as stopped, record(output, "generate"):
        raise Stopped(signal.SIGUSR1)
    assert (stopped.value.exit_code, str(stopped.value)) == (130, "stopped by SIGUSR1")


@pytest.mark.parametrize("locks", [True, False])
def test_two_runs_do_not_meet(output, other, monkeypatch, locks):
    if not locks:
        without_locks(monkeypatch)
    before = path_of(output).read_bytes()
    with (
        pytest.raises(AnnpotError, match=rf"'annpot train', process {other.pid} on "),
        record(output, "train"),
    ):
        pass
    assert observe(path_of(output))[1]
    assert path_of(output).read_bytes() == before
    with record(output.with_name("b.h5"), "train"):
        pass


@pytest.mark.parametrize("locks", [True, False])
def test_a_dead_process_is_no_obstacle(output, other, monkeypatch, locks):
    other.kill()
    other.wait()
    if not locks:
        without_locks(monkeypatch)
    found = read_record(path_of(output))
    assert found.state == "running"
    assert not observe(path_of(output))[1]
    with record(output, "train") as run:
        run.report(0, 1, "epochs")
        assert read_record(path_of(output)).pid == os.getpid()


def test_a_later_process_of_the_same_number_is_another(output, monkeypatch):
    leave(output, birth="1")  # the number is that of this process
    without_locks(monkeypatch)
    assert not observe(path_of(output))[1]
    with record(output, "train"):
        pass


@pytest.mark.parametrize("locks", [True, False])
def test_a_heartbeat_from_another_host_is_waited_for(output, monkeypatch, locks):
    leave(output, host="elsewhere")
    if not locks:
        without_locks(monkeypatch)
    assert observe(path_of(output))[1]
    looks = []

    def look(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            age(path_of(output), 2)

    monkeypatch.setattr(records.time, "sleep", look)
    with pytest.raises(AnnpotError, match="elsewhere"), record(output, "train"):
        pass
    assert len(looks) == 3


@pytest.mark.parametrize("locks", [True, False])
def test_a_process_of_another_host_that_is_silent_is_dead(output, monkeypatch, locks):
    leave(output, host="elsewhere")
    if not locks:
        without_locks(monkeypatch)
    monkeypatch.setattr(records, "SILENCE", 0.2)
    monkeypatch.setattr(records, "LOOK", 0.01)
    age(path_of(output), 0)
    with record(output, "train"):  # waits, and goes on
        pass
    leave(output, host="elsewhere")
    age(path_of(output), 5)
    assert not observe(path_of(output))[1]


def test_the_heart_beats(output, monkeypatch):
    monkeypatch.setattr(runs, "BEAT", 0.01)
    with record(output, "train"):
        age(path_of(output), 1000)
        end = time.monotonic() + commands.PATIENCE
        while time.time() - path_of(output).stat().st_mtime > 500:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_status_may_look_while_a_run_begins(output):
    leave(output)
    with path_of(output).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        looks = [True]

        def pause(_):
            if looks:
                looks.clear()
                fcntl.flock(file, fcntl.LOCK_UN)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", pause)
            with record(output, "train"):
                assert not looks


def test_a_record_that_cannot_be_written_is_said_once(output, monkeypatch):
    said, full = [], [True]
    monkeypatch.setattr(runs, "INTERVAL", 0.0)
    real = os.write

    def write(descriptor, raw):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, raw)

    with record(output, "train", say=said.append) as run:
        run.report(1, 9, "epochs")
        monkeypatch.setattr(os, "write", write)
        run.report(2, 9, "epochs")
        run.report(3, 9, "epochs")
        assert said == [f"'{path_of(output)}' cannot be written: {os.strerror(28)}"]
        assert read_record(path_of(output)).progress.done == 1
        full.clear()
        run.report(4, 9, "epochs")
        assert read_record(path_of(output)).progress.done == 4
        with pytest.raises(AnnpotError), record(output, "train"):
            pass
    assert not list(output.parent.iterdir())


def test_a_folder_that_vanishes_does_not_end_the_run(output, monkeypatch):
    said = []
    monkeypatch.setattr(runs, "INTERVAL", 0.0)
    with record(output, "train", say=said.append) as run:
        for path in output.parent.iterdir():
            path.unlink()
        output.parent.rmdir()
        run.report(1, 9, "epochs")
    assert len(said) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(output):
    output.parent.chmod(0o500)
    with pytest.raises(AnnpotError, match="Permission denied"), record(output, "train"):
        pass


def test_a_full_disk_at_the_start(output, monkeypatch):
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.raises(AnnpotError, match="No space left"), record(output, "train"):
        pass
    assert not list(output.parent.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[" * 70000, b"\xff\0", b'{"pid": 1}']
)
def test_a_wrong_record_is_refused_but_no_obstacle(output, content):
    path_of(output).write_bytes(content)
    with pytest.raises(FileFormatError, match="not the record of a run"):
        read_record(path_of(output))
    with record(output, "train"):
        pass


def test_names_and_messages_of_any_bytes(tmp_path):
    output = tmp_path / os.fsdecode(b"\xff\x1b[2J\n.h5")

    def work():
        with record(output, "train", lambda: True) as run:
            run.report(1, 2, "epochs\x07", note="\x1b")
            raise ValueError("\x1b]0;title\udcff")

    with pytest.raises(ValueError, match="title"):
        work()
    found = read_record(path_of(output))
    texts = [found.output, found.message, found.progress.unit, *found.progress.more]
    assert all(text.isprintable() for text in texts)
    assert "title" in found.message


def test_what_a_kill_left_is_removed(output):
    left = output.with_name("potential.h5.run.123.partial")
    left.write_bytes(b"{")
    with record(output, "train"):
        assert not left.exists()


def test_numbers_out_of_range(output, monkeypatch):
    without_locks(monkeypatch)
    for pid in (-1, 0, 10**30):
        leave(output, pid=pid, birth="")
        assert not observe(path_of(output))[1]
