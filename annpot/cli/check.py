"""The command ``annpot check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options

if TYPE_CHECKING:
    from annpot.checks.sample import Sample
    from annpot.settings import TrainSettings


@click.command()
@click.argument(
    "input_", metavar="[INPUT]", required=False, type=click.Path(path_type=Path)
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note", "never"]),
    default="error",
    show_default=True,
    help="Exit with code 1 if something as bad as this was found.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Number of structures that are named for each finding.",
)
@options.set_
@options.as_json
@click.pass_context
def check(
    ctx: click.Context,
    input_: Path | None,
    fail_on: str,
    limit: int,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find what spoils fits in INPUT, settings or a fingerprint set.

    INPUT is by default in.yaml. Looked for are duplicates, energies, forces and
    stresses that contradict each other or have other units, wrong distances, test
    structures that also train, and more; the worst comes first.
    """
    from annpot.checks.checking import check as run
    from annpot.checks.findings import Severity
    from annpot.checks.subject import examine
    from annpot.cli import report
    from annpot.cli.report_check import report_check

    report.announce_compilation()
    sample, training = _load(input_ or options.DEFAULT_SETTINGS, overrides)
    findings = run(examine(sample, training, report.progress))
    report_check(sample, findings, limit, as_json)
    if fail_on != "never" and any(
        finding.severity >= Severity[fail_on.upper()] for finding in findings
    ):
        ctx.exit(1)


def _load(path: Path, overrides: tuple[str, ...]) -> tuple[Sample, TrainSettings]:
    """Return the structures of a set or of settings, and how they would be trained."""
    from annpot.checks.sample import load_sample, read_sample
    from annpot.cli import report
    from annpot.format.reading import is_annpot_file
    from annpot.settings import require_structures

    if is_annpot_file(path):
        loaded, _ = options.load(None, overrides, {})
        return load_sample(path), loaded.train
    loaded, found = options.load(path, overrides, {})
    require_structures(loaded, found)
    base = path.parent
    with options.naming_lines(found, overrides):
        sample = read_sample(loaded, base, report.progress)
    return sample, loaded.train
