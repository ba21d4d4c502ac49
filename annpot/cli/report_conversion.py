"""How a conversion is reported."""

from __future__ import annotations

from dataclasses import asdict

import click

from annpot.cli import report
from annpot.convert.conversion import Conversion
from annpot.convert.formats import READABLE, WRITABLE


def report_conversion(result: Conversion, as_json: bool) -> None:
    """Print what was written, and how much it differs from what was read."""
    for note in result.notes:
        report.say(f"note: {note}")
    if as_json:
        record = asdict(result) | {"files": list(map(str, result.files))}
        report.print_json(record)
        return
    click.echo(
        f"{READABLE[result.source].noun} -> {WRITABLE[result.target].noun}: "
        f"{', '.join(map(str, result.files))}"
    )
    if result.difference is not None:
        click.echo(
            f"read back and compared on {result.difference.n_structures} structures: "
            f"energies differ by up to {result.difference.energy:.1e} eV/atom, "
            f"forces by {result.difference.force:.1e} eV/angstrom"
        )
    if result.published is not None:
        force = result.published.force
        click.echo(
            f"published energies differ by up to {result.published.energy:.1e} eV/atom"
            + ("" if force is None else f", forces by {force:.1e} eV/angstrom")
        )
