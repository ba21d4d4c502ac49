"""The command ``annpot status``."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli import options


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@options.as_json
@click.pass_context
def status(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Tell what runs are doing in the folder PATH, or towards the file PATH.

    For each output: the command, where it runs and whether it lives, how far it is and
    when it will be done, whether --resume can go on, and what is finished: sets,
    potentials, predictions as JSON lines, other ones if PATH is the file. Exit code 0:
    all is running or finished; 1: something ended that was not finished, or a file
    cannot be read.
    """
    from annpot.cli.report_status import report_status
    from annpot.status import find_statuses

    statuses = find_statuses(path)
    report_status(statuses, as_json)
    if any(status.wants_care for status in statuses):
        ctx.exit(1)
