"""The command ``annpot generate``."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options

if TYPE_CHECKING:
    from annpot.generation.resumption import Resume
    from annpot.settings import Settings


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
@options.resume
@options.restart
@options.set_
@options.as_json
def generate(
    settings: Path | None,
    output: str | None,
    on_error: str | None,
    resume: Resume | None,
    restart: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a fingerprint set of the structures that SETTINGS name.

    SETTINGS is a YAML file, by default in.yaml; 'annpot schema --yaml' prints an
    example. Paths of structures are relative to its folder.

    Finished batches are safe in the folder OUTPUT.parts until the set is complete:
    --resume goes on from them after a crash, or a signal (exit code 75). With
    --resume auto, a set that is complete, of the same files and settings, stays.
    """
    values = {"generate.output": output, "generate.on_error": on_error}
    loaded, path = options.load(settings or options.DEFAULT_SETTINGS, overrides, values)

    from annpot.cli import report
    from annpot.settings import require_structures

    if resume and restart:
        raise click.UsageError("--resume and --restart exclude each other")
    require_structures(loaded, path)
    options.check_output(loaded.generate.output, [path])
    report.announce_compilation()
    base = path.parent if path is not None else Path()
    with options.naming_lines(path, overrides):
        _generate(loaded, base, "no" if restart else resume, as_json)


def _generate(
    settings: Settings, base: Path, resume: Resume | None, as_json: bool
) -> None:
    from annpot.cli import report
    from annpot.cli.report_set import report_set
    from annpot.format import container
    from annpot.format.outputs import check_writable
    from annpot.generation.generating import generate as run
    from annpot.generation.parts import PartsFolder
    from annpot.parallel import world
    from annpot.runs.interruption import Stopped, stoppable
    from annpot.runs.run import record

    output, ranks = settings.generate.output, world()
    folder = PartsFolder(output)
    progress = functools.partial(report.progress, unit="portion")
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stoppable(raising=False))
        record_ = None
        if ranks.rank == 0:
            # here the message names the set, not its record
            check_writable(output, container.FINGERPRINTS)
            lock = record(output, "generate", lambda: folder.count() > 0, report.say)
            record_ = stack.enter_context(lock)

        def watch(done: int, total: int) -> None:
            if record_ is not None:
                record_.report(done, total, "portions")
            if stop.number is not None:
                raise Stopped(stop.number)

        summary = run(
            settings,
            base,
            progress,
            resume=resume,
            say=report.say,
            watch=watch,
            ranks=ranks,
        )
    if summary is not None:
        report_set(summary, as_json)
