"""The command ``annpot select``."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli import options


@click.command()
@click.argument("pool", nargs=-1)
@click.option("-n", "count", default=50, show_default=True, help="How many to choose.")
@click.option(
    "-p",
    "--potential",
    type=click.Path(path_type=Path),
    help="Potential or committee: what it was trained on counts as known.",
)
@click.option(
    "--by",
    type=click.Choice(["novelty", "committee"]),
    default="novelty",
    show_default=True,
    help="What counts: new surroundings of atoms, or the deviation of the forces of a "
    "committee.",
)
@click.option(
    "--per-atom",
    is_flag=True,
    help="Divide the gain by the number of atoms: small structures cost less.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the structures that were chosen to an extxyz, best first.",
)
@options.as_json
@options.files_from
@options.index
@options.format_
@options.units
@options.on_error
@options.set_
def select(
    pool: tuple[str, ...],
    count: int,
    potential: Path | None,
    by: str,
    per_atom: bool,
    output: Path | None,
    as_json: bool,
    files_from: str | None,
    index: str,
    format_: str | None,
    units: str | None,
    on_error: str,
    overrides: tuple[str, ...],
) -> None:
    """Choose the structures of POOL that are most worth a reference calculation.

    POOL is structure files of any format, patterns or folders of them, or one
    fingerprint set. The choice is greedy: each structure is the best one beside those
    chosen before it, and does not depend on the order of the files. Without a
    potential, features are those of the set, or of 'descriptor' in the settings.

    A gain counts the new directions among the features of all atoms, on a logarithmic
    scale. The leverage of an atom is how far it goes beyond what is known: far below 1
    its like is there already, far above 1 it is new.
    """
    if count < 1:
        raise click.UsageError(f"-n: a number from 1 on expected, found {count}")
    if by == "committee" and potential is None:
        raise click.UsageError("--by committee needs a committee: -p FILE")
    names = options.file_names(pool, files_from)
    settings, _ = options.load(None, overrides, {})

    from annpot.cli import report
    from annpot.cli.report_selection import report_selection
    from annpot.format.outputs import check_writable
    from annpot.selection.choosing import Request, choose
    from annpot.structures.reading import Source

    options.check_reading(index, units)
    if output is not None:
        check_writable(output)
    report.announce_compilation()
    source = Source(tuple(names), index=index, format=format_, units=units)
    request = Request(
        source, count, potential, by == "committee", per_atom, on_error == "skip"
    )
    selection = choose(request, settings, report.progress)
    report_selection(selection, by == "committee", output, as_json)
