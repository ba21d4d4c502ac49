"""The command ``annpot train``."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options

if TYPE_CHECKING:
    from annpot.checkpoint import Checkpoint
    from annpot.committee import Committee
    from annpot.interruption import Stop
    from annpot.potential import Potential
    from annpot.runs import Run
    from annpot.settings import Settings, TrainSettings
    from annpot.training import Result

TRIFLE = 600.0
"""Seconds of training that are lost without asking."""


@click.command()
@options.settings_file
@click.option(
    "-i",
    "--input",
    "input_",
    help="Fingerprint set to read.  [default: train.input, fingerprints.h5]",
)
@click.option(
    "-o",
    "--output",
    help="Potential to write.  [default: train.output, potential.h5]",
)
@click.option("--method", help="lbfgs or adam.  [default: train.method, lbfgs]")
@click.option("--epochs", help="Largest number of epochs.  [default: train.epochs]")
@click.option("--seed", help="Seed of all random numbers.  [default: train.seed, 0]")
@click.option(
    "--time-limit", help="Stop after this time, e.g. 90s or 2h.  [default: none]"
)
@click.option(
    "--memory",
    help="Most memory to use, e.g. 8G or 500M.  [default: 60 % of what is free]",
)
@options.resume
@click.option(
    "--restart",
    is_flag=True,
    help="Start anew, whatever a run that did not end has left.",
)
@options.set_
@options.as_json
def train(
    settings: Path | None,
    input_: str | None,
    output: str | None,
    method: str | None,
    epochs: str | None,
    seed: str | None,
    time_limit: str | None,
    memory: str | None,
    resume: str | None,
    restart: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fit a potential to a fingerprint set.

    SETTINGS is a YAML file, by default in.yaml if there is one. Ctrl-C ends the
    training and keeps the best potential so far; that and SIGTERM or SIGUSR1 of a
    batch system leave a checkpoint, from which --resume goes on, and exit code 75.
    """
    loaded, path = options.load(
        settings,
        overrides,
        {
            "train.input": input_,
            "train.output": output,
            "train.method": method,
            "train.epochs": options.number(epochs),
            "train.seed": options.number(seed),
            "train.time_limit": time_limit,
            "train.memory": options.number(memory),
        },
    )

    from annpot.interruption import stoppable

    if resume and restart:
        raise click.UsageError("--resume and --restart exclude each other")
    with stoppable() as stop, options.naming_lines(path, overrides):
        _train(loaded, resume, restart, stop, as_json)


def _train(
    settings: Settings, resume: str | None, restart: bool, stop: Stop, as_json: bool
) -> None:
    from annpot.cli import report
    from annpot.format.writing import check_writable
    from annpot.keeper import exist
    from annpot.runs import record

    output = settings.train.output
    report.announce_compilation()
    check_writable(output)
    with record(output, "train", lambda: exist(output), report.say) as run:
        begun = None if restart else _find_begun(output, resume)
        result = _run(settings.train, begun, run)
        _finish(result, settings, stop, as_json)


def _run(settings: TrainSettings, begun: Checkpoint | None, run: Run) -> Result:
    from annpot.cli import report
    from annpot.cli.report_training import EpochTable
    from annpot.fingerprints import load_set
    from annpot.keeper import Keeper, remove
    from annpot.training import Plan, train

    fingerprints = load_set(settings.input)
    n_before = None if begun is None else begun.progress.n_epochs
    with EpochTable(settings, run, n_before) as table:

        def on_plan(plan: Plan) -> None:
            # not earlier: what cannot be trained must not cost an earlier training
            if begun is None:
                remove(settings.output)
            table.plan(plan)

        keeper = Keeper(settings.output, fingerprints, settings, report.say)
        return train(fingerprints, settings, on_plan, table.epoch, keeper, begun)


def _finish(result: Result, settings: Settings, stop: Stop, as_json: bool) -> None:
    """Save the potential, and remove what led to it if that is all."""
    from annpot.cli.report_training import report_training
    from annpot.errors import AnnpotError
    from annpot.interruption import Stopped
    from annpot.keeper import remove

    output = settings.train.output
    saved = _save(result.potential, settings)
    report_training(result, settings.train, saved, as_json)
    if result.reason == "interrupted":
        raise Stopped(stop.number or signal.SIGINT)
    if saved != output:
        raise AnnpotError(f"the potential is in '{saved}', not in '{output}'")
    remove(output)


def _find_begun(output: Path, resume: str | None) -> Checkpoint | None:
    """Return what to go on from, if that is wanted and there is something.

    Raises
    ------
    AnnpotError
        If --resume finds nothing, or work would be lost without it.
    """
    from annpot.cli import report
    from annpot.errors import AnnpotError, FileFormatError
    from annpot.keeper import names, take

    newest, _ = names(output)
    try:
        begun = take(output, report.say)
    except FileFormatError as error:
        raise FileFormatError(f"{error}; --restart starts anew") from None
    if begun is None:
        if resume == "yes":
            raise AnnpotError(
                f"'{newest}': no such file, so there is nothing to go on from: please "
                "leave --resume out, or say '--resume auto'"
            )
        return None
    done = f"{begun.progress.n_epochs} epochs in {begun.progress.seconds:.0f} s"
    if resume is not None:
        report.say(f"going on from '{newest}', after {done}")
        return begun
    if begun.progress.seconds < TRIFLE:
        report.say(f"starting anew; '{newest}' was of {done} only")
        return None
    raise AnnpotError(
        f"'{newest}' is of a training that did not end, after {done}: please say "
        "--resume to go on from it, or --restart to start anew"
    )


def _save(potential: Potential | Committee, settings: Settings) -> Path:
    """Save the potential, in the folder for temporary files if it must be."""
    from annpot.cli import report
    from annpot.errors import AnnpotError

    path = settings.train.output
    potential = potential.with_settings(settings.to_json())
    try:
        potential.save(path)
    except AnnpotError as error:
        report.say(f"Error: {error}; trying the folder for temporary files")
        path = Path(tempfile.mkdtemp(prefix="annpot-")) / path.name
        potential.save(path)
    return path
