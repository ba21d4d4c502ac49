"""The command ``annpot predict``."""

from __future__ import annotations

from collections.abc import Sequence
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
@options.files_from
@options.index
@options.format_
@options.units
@options.on_error
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
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Write the table, or the JSON lines, to this file.",
)
@options.resume
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
    results: Path | None,
    resume: str | None,
    fail_on: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Predict energies and forces of the structures in FILES.

    FILES are structure files of any format, patterns or folders of them; '-' reads
    their names from standard input. Structures of a file (frames) and atoms count
    from 0.

    A committee gives the means of its members and, last in each line, bounds of the
    errors: of the energy, meV/atom, and the largest of a force, meV/angstrom; with
    --forces of the force on each atom, eV/angstrom. 90 % of the errors are smaller, for
    structures like those it was trained and validated on. One that was put together, or
    trained without validation structures, gives the standard deviations instead.

    Whatever ends a run with -o or --results, --resume goes on behind the structures
    that are complete; the files get the same bytes as without the interruption.
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
    if resume is not None and not (results or output):
        raise click.UsageError("--resume needs -o or --results")
    inputs = [*map(Path, files), loaded.predict.potential, training_set]
    _check_outputs([results, output, warnings], inputs)

    from annpot.cli.predicting import Task, run
    from annpot.parallel import world
    from annpot.runs.interruption import stoppable
    from annpot.structures.sources import Source

    options.check_reading(index, units)
    task = Task(
        settings=loaded.predict,
        source=Source((), index=index, format=format_, units=units),
        names=options.file_names(files, files_from),
        on_error="skip" if on_error == "skip" else "stop",
        as_json=as_json or (results is not None and results.suffix == ".jsonl"),
        results=results,
        output=output,
        warnings=warnings,
        explain=explain or training_set is not None,
        training_set=training_set,
        resume=resume,
    )
    ranks = world()
    with stoppable(raising=ranks.size == 1) as stop:
        totals = run(task, ranks, stop)
    if loaded.predict.fail_on == "extrapolation" and totals.warnings.n_extrapolating:
        ctx.exit(3)


def _check_outputs(
    outputs: Sequence[Path | None], inputs: Sequence[Path | None]
) -> None:
    """Check that each output has a file of its own, and that none is read."""
    paths = [path for path in outputs if path is not None]
    if len(set(paths)) < len(paths):
        raise click.UsageError("--results, -o and --warnings need files of their own")
    for path in paths:
        options.check_output(path, inputs)
