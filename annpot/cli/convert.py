"""The command ``annpot convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options

if TYPE_CHECKING:
    from annpot.convert.options import Angular


@click.command(short_help="Convert files of aenet, n2p2, RuNNer, and back.")
@click.argument("files", nargs=-1, required=True, metavar="IN... OUT")
@click.option("--from", "source", help="Format of IN.  [default: by its content]")
@click.option("--to", "target", help="Format of OUT.  [default: by its name]")
@click.option(
    "--check",
    multiple=True,
    metavar="FILE[=ENERGY]",
    help="Compare the potentials on these structures, too: a file, a pattern in quotes "
    "or a folder; a file with the energy in eV that was published for it; an output of "
    "predict.x. May be repeated.",
)
@click.option(
    "--units",
    metavar="LENGTH,ENERGY",
    help="Units of files that do not say theirs, e.g. bohr,hartree or angstrom,ev.",
)
@click.option(
    "--aenet-angular",
    "angular",
    type=click.Choice(["auto", "cosine", "legacy"]),
    default="auto",
    show_default=True,
    help="Angular argument of a potential of aenet: legacy is that of versions up to "
    "2.0.3; auto: cosine unless energies given by --check tell otherwise.",
)
@click.option("--member", type=int, help="Take this member of a committee, from 0.")
@click.option(
    "--mean",
    is_flag=True,
    help="Take the mean of a committee as one potential, at the cost of one.",
)
@click.option(
    "--structures",
    type=click.Path(path_type=Path),
    help="Folder of the structure files that a training set of aenet names.",
)
@click.option(
    "--records",
    type=click.Choice(["little4", "little8", "big4", "big8"]),
    default="little4",
    show_default=True,
    help="Byte order, and bytes of the record markers, of binary files for aenet.",
)
@options.as_json
def convert(
    files: tuple[str, ...],
    source: str | None,
    target: str | None,
    check: tuple[str, ...],
    units: str | None,
    angular: Angular,
    member: int | None,
    mean: bool,
    structures: Path | None,
    records: str,
    as_json: bool,
) -> None:
    """Convert IN... to OUT: potentials, training sets, structures and inputs.

    \b
    annpot convert Ti.nn O.nn potential.h5          from aenet
    annpot convert potential.h5 15t-15t.nn          to aenet: Ti.15t-15t.nn, ...
    annpot convert nnp/ potential.h5 --units bohr,hartree       from n2p2, RuNNer
    annpot convert potential.h5 nnp --to n2p2 --units angstrom,ev
    annpot convert potential.h5 potential.json      text form, exact
    annpot convert a.h5 b.h5 c.h5 committee.h5      and back: --member 0
    annpot convert committee.h5 mean.h5 --mean      one potential, the same energies
    annpot convert fingerprints.h5 refdata.train    training sets, and back
    annpot convert input.data all.extxyz --units bohr,hartree
    annpot convert generate.in train.in in.yaml     inputs; or input.nn in.yaml

    A potential is read back and compared before OUT gets its name. Files that have
    that name are replaced, but a fingerprint set not by a potential, and a single
    potential not by a committee of several IN.
    """  # noqa: D301
    *inputs, output = map(Path, files)
    if not inputs:
        raise click.UsageError("IN... and OUT expected, found one name")
    if mean and member is not None:
        raise click.UsageError("--member and --mean exclude each other")
    for path in inputs:
        options.check_output(output, [path])

    from annpot.cli import report
    from annpot.cli.report_conversion import report_conversion
    from annpot.convert.aenet.records import LAYOUT_NAMES
    from annpot.convert.conversion import convert as run
    from annpot.convert.options import Options
    from annpot.units import parse_units

    given = Options(
        source=source,
        target=target,
        check=check,
        units=None if units is None else parse_units(units),
        angular=angular,
        member=member,
        mean=mean,
        structures=structures,
        layout=LAYOUT_NAMES[records],
    )
    report.announce_compilation()
    result = run(inputs, output, given)
    report_conversion(result, as_json)
