"""The command ``annpot info``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from annpot.cli import options


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--verify",
    is_flag=True,
    help="Check the checksum, and that a potential reproduces its test vectors.",
)
@options.as_json
def info(file: Path, verify: bool, as_json: bool) -> None:
    """Tell what is in FILE: a potential, a fingerprint set, a checkpoint."""
    from annpot.cli import report
    from annpot.cli.report_file import report_file, report_verification
    from annpot.description import describe, verify_file

    report.announce_compilation()
    description = describe(file)
    if verify:
        result = verify_file(file)
        description["verification"] = asdict(result)
        report_verification(result)
    report_file(description, as_json)
