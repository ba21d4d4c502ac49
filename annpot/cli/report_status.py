"""What ``annpot status`` prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

import click

from annpot.cli.report import print_json, say
from annpot.finished import Finished
from annpot.runs.records import Progress, Record, clean
from annpot.status import Left, Status, to_json

MILLI = {"_energy_rmse": "meV/atom", "_force_rmse": "meV/angstrom"}
"""Of what ends so in a record, in eV/atom and eV/angstrom."""
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def report_status(statuses: list[Status], as_json: bool) -> None:
    """Print the status of each output."""
    if as_json:
        print_json([to_json(status) for status in statuses])
        return
    for status in statuses:
        first, *rest = map(clean, _lines(status))
        click.echo(f"{clean(status.output)}: {first}")
        for line in rest:
            click.echo(f"  {line}")
    if not statuses:
        say("no runs and no files of annpot here")


def _lines(status: Status) -> Iterator[str]:
    record, finished = status.record, status.finished
    if record is not None:
        yield f"{status.state}, {_word_record(record, status.state)}"
        if record.progress is not None:
            yield _word_progress(record.progress, status.expected_end)
    elif finished is not None and status.left is None:
        yield f"{status.state}, {finished.summary}, written {finished.created}"
    else:
        yield status.state
    if status.left is not None:
        yield _word_left(status.left)
    if status.resumable and status.left is not None:
        yield f"the same 'annpot {status.left.command}' with --resume goes on"
    if status.problem is not None:
        yield status.problem
    if finished is not None and (record is not None or status.left is not None):
        yield _word_finished(finished, record)


def _word_finished(finished: Finished, record: Record | None) -> str:
    """Return what is there already, be it of this run or of an older one."""
    words = "there is" if record is None else "an older one is there"
    with contextlib.suppress(ValueError, TypeError):  # no time, or without its zone
        if record and datetime.fromisoformat(finished.created) >= record.started:
            words = "the best so far is there"
    return f"{words}: {finished.summary}, written {finished.created}"


def _word_record(record: Record, state: str) -> str:
    words = f"annpot {record.command}, process {record.pid} on {record.host}"
    words += f", since {_word_time(record.started)}"
    if state == "dead":
        return f"{words}; last heard of {_word_time(record.updated)}"
    if state == "running":
        return words
    return f"{words}, until {_word_time(record.updated)}: {record.message}"


def _word_progress(progress: Progress, end: datetime | None) -> str:
    words = [f"{progress.done} {progress.unit}"]
    if progress.total:
        share = 100 * progress.done / progress.total
        words = [f"{progress.done} of {progress.total} {progress.unit} ({share:.0f} %)"]
    more = dict(progress.more)
    if {"member", "members"} <= set(more):
        words.append(
            f"member {_word(more.pop('member'))} of {_word(more.pop('members'))}"
        )
    words += [_word_item(key, value) for key, value in more.items()]
    if progress.seconds_per_unit:
        words.append(f"{word_seconds(progress.seconds_per_unit)} for each")
    if end is not None:
        words.append(f"expected end {_word_time(end)}")
    return ", ".join(words)


def _word_item(key: str, value: float | str | None) -> str:
    """Return a name and its value; errors in the units of the other tables."""
    for ending, unit in MILLI.items():
        if key.endswith(ending) and isinstance(value, float):
            return f"{key.removesuffix(ending)} {1000 * value:.2f} {unit}"
    return f"{key.replace('_', ' ')} {_word(value)}"


def _word(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else value


def _word_left(left: Left) -> str:
    words = left.file
    if left.parts is not None:
        words += f", {left.parts} parts"
    if left.structures is not None:
        words += f", {left.structures} structures are complete"
    if left.epochs is not None:
        words += f", after {left.epochs} epochs"
    if left.age is not None:
        words += f", {word_seconds(left.age)} old"
    return words if left.problem is None else f"{words}; {left.problem}"


def _word_time(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def word_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s"
