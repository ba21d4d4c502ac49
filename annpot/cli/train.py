"""The command ``annpot train``."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli import options


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
    "--time-limit",
    help="Keep the potential so far after this time, e.g. 90s or 2h; --resume goes on."
    "  [default: none]",
)
@click.option(
    "--memory",
    help="Most memory to use, e.g. 8G or 500M.  [default: 60 % of what is free]",
)
@options.resume
@options.restart
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
    batch system leave a checkpoint, from which --resume goes on, and exit code 75. So
    does a time limit, with exit code 0. Members of a committee that are not done are
    left out of the potential so far, if others are.
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

    from annpot.cli.training_run import run

    if resume and restart:
        raise click.UsageError("--resume and --restart exclude each other")
    with options.naming_lines(path, overrides):
        run(loaded, resume, restart, as_json)
