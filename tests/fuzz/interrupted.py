"""Files with which work goes on: each is read in its place in an interrupted work."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from unittest import mock

from commands import run

from fuzz.target import Target, command

TRAIN = [
    word
    for option in (
        *("hidden=[2]", "members=1", "epochs=3"),
        *("input=s.h5", "output=p.h5", "log=l.log"),
    )
    for word in ("--set", f"train.{option}")
]
PREDICT = [
    *("predict", *(f"{i}.xsf" for i in range(8)), "absent.xsf"),
    *("-p", "potential.h5", "--results", "r.jsonl", "-o", "r.xyz"),
]


def of_interrupted(folder):
    """Yield targets; ``folder`` holds eight structures, in.yaml and potential.h5."""
    half = folder / "half"
    half.mkdir()
    for path in (*folder.glob("?.xsf"), folder / "potential.h5"):
        shutil.copy(path, half)
    text = (folder / "in.yaml").read_text() + "generate: {batch_atoms: 6}\n"
    (half / "in.yaml").write_text(text)
    before = Path.cwd()
    os.chdir(half)
    try:
        part = _stop_generating()
        shutil.copy(folder / "fingerprints.h5", "s.h5")
        _stop_training()
        _stop_predicting()
        record = _take_record()
    finally:
        os.chdir(before)
    generate = command("generate", "--resume", "auto")
    train = command("train", "s.yaml", "--resume", "auto", *TRAIN)
    predict = command(*PREDICT, "--files-from", "more", "--resume")
    for name, place, reader in (
        ("manifest.json", "fingerprints.h5.parts/manifest.json", generate),
        ("part.h5", f"fingerprints.h5.parts/{part.name}", generate),
        ("p.h5.checkpoint", "p.h5.checkpoint", train),
        ("old.log", "l.log", train),
        ("r.jsonl.journal", "r.jsonl.journal", _in_small_portions(predict)),
        ("list", "more", _in_small_portions(predict)),
        ("q.h5.run", "q.h5.run", _look_and_begin),
    ):
        raw = record if name == "q.h5.run" else (half / place).read_bytes()
        yield Target(name, _going_on(half, place, reader), (raw,), slow=True)


def _stop_generating():
    """Return a part of a set."""
    from annpot.generation.generating import generate
    from annpot.runs.interruption import Stopped
    from annpot.settings import load_settings

    calls = []

    def stop(*_):
        calls.append(0)
        if len(calls) == 14:
            raise Stopped(15)

    with contextlib.suppress(Stopped):
        generate(load_settings(Path("in.yaml"), {}), Path(), watch=stop)
    return sorted(Path("fingerprints.h5.parts").glob("*.h5"))[0]


def _stop_training():
    from annpot.cli.report_training import EpochTable

    real = EpochTable.epoch

    def epoch(self, epoch):
        real(self, epoch)
        if epoch.number == 3:
            raise KeyboardInterrupt

    Path("s.yaml").write_text("{}\n")
    with mock.patch.object(EpochTable, "epoch", epoch):
        run("train", "s.yaml", *TRAIN)
    assert Path("p.h5.checkpoint").exists()
    assert Path("l.log").read_text().count("\n") == 4


def _stop_predicting():
    Path("more").write_text("0.xsf\n./1.xsf\n")
    predict = _in_small_portions(lambda _: run(*PREDICT, "--files-from", "more"))
    assert predict(None).exit_code == 1
    assert Path("r.jsonl.journal").read_text().count("\n") > 3


def _in_small_portions(reader):
    """Return a function that reads with portions of one or two structures."""
    from annpot.structures import pieces
    from annpot.structures.portions import iterate_portions

    def read(path):
        with (
            mock.patch.object(pieces, "PIECE_BYTES", 400),
            mock.patch.object(iterate_portions, "__defaults__", (400, True)),
        ):
            return reader(path)

    return read


def _take_record():
    from annpot.runs.run import record

    with record(Path("q.h5"), "train") as mine:
        mine.report(1, 2, "epochs", loss=0.5)
        return Path("q.h5.run").read_bytes()


def _look_and_begin(path):
    """Look at the record of a run, and begin another one."""
    from annpot.runs import records
    from annpot.runs.run import record

    command("status", ".")(path)
    with (
        mock.patch.object(records, "SILENCE", 0.0),
        record(path.with_name("q.h5"), "train"),
    ):
        pass


def _going_on(half, place, reader):
    """Return a function that reads a file in its place in an interrupted work."""

    def read(path):
        work = path.parent / "half"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(half, work)
        shutil.copy(path, work / place)
        reader(work / "any")

    return read
