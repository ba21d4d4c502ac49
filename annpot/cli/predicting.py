"""A run of ``annpot predict``: from names of files to what is written and said."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import click

from annpot.cli import report
from annpot.cli.options import check_output
from annpot.cli.predict_portions import Part, PortionPredictor
from annpot.cli.predictions import (
    Predictions,
    Totals,
    name_spread,
    word_errors,
)
from annpot.cli.warnings import MAX_WARNINGS, Warnings
from annpot.errors import AnnpotError, InputError
from annpot.explanation import open_explainer
from annpot.growing import GrowingFiles
from annpot.parallel import Ranks
from annpot.predictor import load_predictor
from annpot.rounds import work_off
from annpot.runs.interruption import Stop, Stopped
from annpot.runs.run import Run, record
from annpot.settings import PredictSettings
from annpot.structures.portions import Portion, iterate_portions
from annpot.structures.sources import Source, SourceFile, find_files


@dataclass(frozen=True)
class Task:
    """What is to be predicted, and where to."""

    settings: PredictSettings
    source: Source
    names: Iterator[str]
    on_error: Literal["stop", "skip"]
    as_json: bool
    results: Path | None
    """For the table or the JSON lines; ``None``: standard output."""
    output: Path | None
    """For the extxyz."""
    warnings: Path | None
    """For all findings."""
    explain: bool
    training_set: Path | None
    resume: str | None

    @property
    def outputs(self) -> list[Path]:
        """The files that are written."""
        paths = self.results, self.output, self.warnings
        return [path for path in paths if path is not None]

    def identify(self) -> dict[str, Any]:
        """Return what a run that goes on must have in common with this one."""
        settings = self.settings.model_dump(mode="json", exclude={"fail_on"})
        return {
            "command": "predict",
            "outputs": [path.name for path in self.outputs],
            "sha256 of the potential": _digest(self.settings.potential),
            **settings,
            "index": self.source.index,
            "format": self.source.format,
            "units": self.source.units,
            "on_error": self.on_error,
            "json": self.as_json,
            "explain": self.explain,
        }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def run(task: Task, ranks: Ranks, stop: Stop) -> Totals:
    """Predict, write and say all; return the totals, on all ranks."""
    report.announce_compilation()
    settings = task.settings
    predictor = load_predictor(settings.potential)
    words = Predictions(
        settings,
        task.as_json,
        task.output is not None,
        name_spread(predictor),
    )
    work = PortionPredictor(
        predictor,
        words,
        task.on_error,
        settings.stress or task.as_json or task.output is not None,
        settings.batch_atoms,
        task.as_json or task.warnings is not None,
    )
    if not task.explain:
        return _work(task, ranks, stop, words.head, work)
    with open_explainer(
        predictor.guard, settings.potential, task.training_set
    ) as explainer:
        work.explain = explainer.explain
        return _work(task, ranks, stop, words.head, work)


def _work(
    task: Task, ranks: Ranks, stop: Stop, head: str, work: PortionPredictor
) -> Totals:
    """Do the portions of this rank; the first one also writes."""

    def stopped() -> bool:
        return stop.number is not None

    if ranks.rank > 0:
        for _ in work_off(iter(()), work, ranks, stopped):
            pass
        _check_stop(stop, ranks)
        return Totals.from_json(json.loads(ranks.broadcast(b"")))
    with contextlib.ExitStack() as stack:
        files = GrowingFiles(task.outputs, task.identify(), task.resume)
        target: Run | None = None
        if files.path is not None:
            target = stack.enter_context(
                record(files.path, "predict", lambda: files.can_go_on, say=report.say)
            )
        stack.enter_context(files)
        table = _Table(task, head, files, target)
        strip = ranks.size > 1
        portions = table.skip(iterate_portions(_find_files(task), strip=strip))
        for portion, packed in work_off(portions, work, ranks, stopped):
            table.add(portion, Part.unpack(packed))
        _check_stop(stop, ranks)
        table.finish()
    table.summarise()
    ranks.broadcast(json.dumps(table.totals.to_json()).encode())
    return table.totals


def _check_stop(stop: Stop, ranks: Ranks) -> None:
    """End all ranks if a signal asked one of them for it."""
    if ranks.any(stop.number is not None):
        raise Stopped(stop.number or signal.SIGTERM)


def _find_files(task: Task) -> Iterator[SourceFile]:
    """Yield the files, and check that none is replaced by an output."""
    existing = [path for path in task.outputs if path.is_file()]
    names = report.progress(task.names, "predict")
    empty = True
    for name in names:
        empty = False
        for path in _expand(name, task.source):
            for output in existing:
                check_output(output, [path])
            yield SourceFile(path, task.source)
    if empty:
        raise InputError("no structure files given, expected some")


def _expand(name: str, source: Source) -> list[Path]:
    """Return the files of a folder or pattern; others may be missing or special."""
    path = Path(name)
    if path.is_dir() or (glob.has_magic(name) and not path.exists()):
        return [f.path for f in find_files(replace(source, files=(name,)), Path())]
    return [path]


@dataclass
class _Table:
    """What rank 0 writes and says while the parts come in."""

    task: Task
    head: str
    files: GrowingFiles
    run: Run | None
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        if self.files.state is None:
            self._write(self.head.encode())
            return
        try:
            self.totals = Totals.from_json(self.files.state)
        except ValueError:
            raise AnnpotError(
                f"'{self.files.journal}': damaged, please leave --resume out"
            ) from None
        report.say(
            f"going on behind {self.totals.n_structures} structures that are complete"
        )

    def skip(self, portions: Iterator[Portion]) -> Iterator[Portion]:
        """Yield the portions behind those that are complete.

        Raises
        ------
        AnnpotError
            If those are no longer what they were.
        """
        for number, described in enumerate(list(self.files.inputs)):
            portion = next(portions, None)
            if portion is None or portion.check_sum != described:
                piece = None if portion is None else portion.pieces[0].name
                where = "there are fewer" if piece is None else f"look at '{piece}'"
                raise AnnpotError(
                    f"the files are not those that portion {number} was made from "
                    f"({where}): please leave --resume out to start anew"
                )
        yield from portions

    def _write(self, lines: bytes, frames: bytes = b"", findings: bytes = b"") -> None:
        self.files.write(self._split(lines, frames, findings))

    def _split(self, lines: bytes, frames: bytes, findings: bytes) -> list[bytes]:
        """Return what goes to the files; print what does not."""
        if self.task.results is None:
            click.echo(lines, nl=False)
        targets = self.task.results, self.task.output, self.task.warnings
        parts = zip(targets, (lines, frames, findings), strict=True)
        return [raw for path, raw in parts if path is not None]

    def add(self, portion: Portion, part: Part) -> None:
        """Write a part; raise what ended it."""
        self._warn(part.totals.warnings)
        if part.failure is not None:
            self._write(part.lines, part.frames, part.findings)
            raise part.failure
        self.totals.add(part.totals)
        parts = self._split(part.lines, part.frames, part.findings)
        state = self.totals.to_json()
        state["warnings"] = {**state["warnings"], "lines": []}  # they have been said
        self.files.commit(parts, portion.check_sum, state)
        if self.run is not None:
            self.run.report(self.totals.n_structures, None, "structures")

    def _warn(self, new: Warnings) -> None:
        n_before = self.totals.warnings.n_extrapolating
        for line in new.lines[: max(0, MAX_WARNINGS - n_before)]:
            report.say(line)
        if n_before <= MAX_WARNINGS < n_before + new.n_extrapolating:
            report.say(
                "annpot-warning: more structures extrapolate; the summary counts them"
            )

    def finish(self) -> None:
        """Write the errors behind the table, or say them."""
        for line in word_errors(self.totals.errors):
            if self.task.as_json:
                report.say(line)
            else:
                self._write(f"# {line}\n".encode())

    def summarise(self) -> None:
        """Say what was found, skipped and written."""
        totals = self.totals
        if line := totals.warnings.summarise(totals.n_structures):
            report.say(line)
        for path in self.task.outputs:
            report.say(f"wrote {path}")
        report.say_skipped(totals.skipped, totals.n_skipped)
