"""The command ``annpot generate``."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli import options


@click.command()
@options.settings_file
@click.option(
    "-o",
    "--output",
    help="Fingerprint set to write.  [default: generate.output, fingerprints.h5]",
)
@click.option(
    "--on-error",
    help="stop or skip: what to do about a structure that cannot be used.  "
    "[default: generate.on_error, stop]",
)
@options.set_
@options.as_json
def generate(
    settings: Path | None,
    output: str | None,
    on_error: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a fingerprint set of the structures that SETTINGS name.

    SETTINGS is a YAML file, by default in.yaml; 'annpot schema --yaml' prints an
    example. Paths of structures are relative to its folder.
    """
    values = {"generate.output": output, "generate.on_error": on_error}
    loaded, path = options.load(settings or options.DEFAULT_SETTINGS, overrides, values)

    from annpot.cli import report
    from annpot.cli.report_set import report_set
    from annpot.generation import generate as run
    from annpot.settings import require_structures

    require_structures(loaded, path)
    options.check_output(loaded.generate.output, [path])
    report.announce_compilation()
    base = path.parent if path is not None else Path()
    with options.naming_lines(path, overrides):
        summary = run(loaded, base, report.progress)
    report_set(summary, as_json)
