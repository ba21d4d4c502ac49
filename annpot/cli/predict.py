"""The command ``annpot predict``."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from annpot.cli import options


@click.command()
@click.argument("files", nargs=-1)
@click.option(
    "-p",
    "--potential",
    help="Potential or committee to use.  [default: predict.potential, potential.h5]",
)
@click.option(
    "--files-from",
    type=click.Path(),
    help="Read the names of files from this file, one per line; '-': standard input.",
)
@click.option("--index", default=":", show_default=True, help="Which of each file.")
@options.format_
@options.units
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about a structure that cannot be used.",
)
@click.option("--forces", is_flag=True, default=None, help="Print forces, eV/angstrom.")
@click.option(
    "--stress", is_flag=True, default=None, help="Print stresses, eV/angstrom^3."
)
@click.option(
    "--atomic-energies", is_flag=True, default=None, help="Print atomic energies, eV."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write all to an extxyz."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--warnings",
    type=click.Path(path_type=Path),
    help="Write all that is found about atoms outside the training data: JSON lines.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Name the training atom most like each atom outside the training data.",
)
@click.option(
    "--training-set",
    type=click.Path(path_type=Path),
    help="The fingerprint set for --explain.  [default: beside the potential]",
)
@click.option("--fail-on", help="extrapolation: exit with code 3 if there is any.")
@options.set_
@click.pass_context
def predict(
    ctx: click.Context,
    files: tuple[str, ...],
    potential: str | None,
    files_from: str | None,
    index: str,
    format_: str | None,
    units: str | None,
    on_error: str,
    forces: bool | None,
    stress: bool | None,
    atomic_energies: bool | None,
    output: Path | None,
    as_json: bool,
    warnings: Path | None,
    explain: bool,
    training_set: Path | None,
    fail_on: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Predict energies and forces of the structures in FILES.

    FILES are structure files of any format, '-' reads their names from standard input.

    A committee gives the means of its members and, last in each line, their standard
    deviations: of the energy, meV/atom, and the largest of a force, meV/angstrom; with
    --forces of the force on each atom, eV/angstrom.
    """
    loaded, _ = options.load(
        None,
        overrides,
        {
            "predict.potential": potential,
            "predict.forces": forces,
            "predict.stress": stress,
            "predict.atomic_energies": atomic_energies,
            "predict.fail_on": fail_on,
        },
    )
    names = options.file_names(files, files_from)
    read = [Path(name) for name in names]
    inputs = [*read, loaded.predict.potential, training_set]
    options.check_output(output, inputs)
    options.check_output(warnings, [*inputs, output])

    from annpot.cli import report
    from annpot.cli.predictions import Predictions
    from annpot.committee import Committee
    from annpot.explanation import open_explainer
    from annpot.prediction import predict as run
    from annpot.predictor import load_predictor
    from annpot.structures.reading import Source, SourceFile, read_files
    from annpot.structures.selection import parse_index
    from annpot.structures.structure import check_species
    from annpot.units import parse_units

    parse_index(index)
    if units is not None:
        parse_units(units)
    report.announce_compilation()
    predictor = load_predictor(loaded.predict.potential)
    skipped: list[str] = []
    source = Source(tuple(names), index=index, format=format_, units=units)
    found = [SourceFile(path, source) for path in read]
    structures = read_files(
        report.progress(found, "predict"),
        on_error="skip" if on_error == "skip" else "stop",
        skipped=skipped,
        require=lambda structure: check_species(structure, predictor.species),
    )
    spread = isinstance(predictor, Committee)
    with contextlib.ExitStack() as stack:
        explainer = None
        if explain or training_set is not None:
            explainer = stack.enter_context(
                open_explainer(predictor.guard, loaded.predict.potential, training_set)
            )
        predictions = run(
            predictor,
            (structure for structure, _ in structures),
            stress=loaded.predict.stress or as_json or output is not None,
            batch_atoms=loaded.predict.batch_atoms,
            details=as_json or warnings is not None,
            explain=None if explainer is None else explainer.explain,
        )
        table = stack.enter_context(
            Predictions(loaded.predict, as_json, output, spread, warnings)
        )
        for prediction in predictions:
            table.add(prediction)
    report.say_skipped(skipped)
    if loaded.predict.fail_on == "extrapolation" and table.n_extrapolating:
        ctx.exit(3)
