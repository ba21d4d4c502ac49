"""The command ``annpot train``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options

if TYPE_CHECKING:
    from annpot.committee import Committee
    from annpot.potential import Potential
    from annpot.settings import Settings


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
@options.set_
@options.as_json
@click.pass_context
def train(
    ctx: click.Context,
    settings: Path | None,
    input_: str | None,
    output: str | None,
    method: str | None,
    epochs: str | None,
    seed: str | None,
    time_limit: str | None,
    memory: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fit a potential to a fingerprint set.

    SETTINGS is a YAML file, by default in.yaml if there is one. Ctrl-C ends the
    training and keeps the best potential so far.
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

    from annpot.cli import report
    from annpot.cli.report_training import EpochTable, report_training
    from annpot.fingerprints import load_set
    from annpot.format.writing import check_writable
    from annpot.training import train as run

    report.announce_compilation()
    check_writable(loaded.train.output)
    fingerprints = load_set(loaded.train.input)
    with EpochTable(loaded.train) as table, options.naming_lines(path, overrides):
        result = run(fingerprints, loaded.train, table.plan, table.epoch)
    saved = _save(result.potential, loaded)
    report_training(result, loaded.train, saved, as_json)
    if result.reason == "interrupted":
        ctx.exit(130)
    if saved != loaded.train.output:
        ctx.exit(1)


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
