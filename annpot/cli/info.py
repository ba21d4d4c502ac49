"""The command ``annpot info``."""

from __future__ import annotations

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
    """Tell what is in FILE, a potential or a fingerprint set."""
    from annpot.cli import report
    from annpot.cli.report_file import report_file, report_verification
    from annpot.description import describe, verify_file

    report.announce_compilation()
    report_file(describe(file), as_json)
    if verify:
        report_verification(verify_file(file))
