"""Options and arguments that several commands share."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from annpot.errors import InputError, SettingsError

if TYPE_CHECKING:
    from annpot.settings import Settings

DEFAULT_SETTINGS = Path("in.yaml")

settings_file = click.argument(
    "settings", required=False, type=click.Path(path_type=Path)
)
set_ = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the settings, e.g. train.epochs=500; may be repeated.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)

AUTOMATIC = "annpot.automatic"


def _note_resume(ctx: click.Context, _: click.Parameter, value: str | None) -> Any:
    ctx.meta[AUTOMATIC] = value == "auto"
    return value


def is_automatic(ctx: click.Context) -> bool:
    """Return whether the command has ``--resume auto``, so that it may start again."""
    return bool(ctx.meta.get(AUTOMATIC))


resume = click.option(
    "--resume",
    callback=_note_resume,
    type=click.Choice(["yes", "auto"]),
    is_flag=False,
    flag_value="yes",
    help="Go on from what a run that did not end has left; auto: if there is something,"
    " else start anew.",
)
restart = click.option(
    "--restart",
    is_flag=True,
    help="Start anew, whatever a run that did not end has left.",
)

files_from = click.option(
    "--files-from",
    type=click.Path(),
    help="Read the names of files from this file, one per line; '-': standard input.",
)
index = click.option(
    "--index", default=":", show_default=True, help="Which of each file."
)
on_error = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about a structure that cannot be used.",
)
format_ = click.option(
    "--format",
    "format_",
    help="Format of the files: xsf, runner (input.data) or ASE's name of it.",
)
units = click.option(
    "--units", help="Units of files of format runner, e.g. bohr,hartree."
)


def load(
    path: Path | None, overrides: tuple[str, ...], options: dict[str, Any]
) -> tuple[Settings, Path | None]:
    """Return the settings, and the file they come from, if there is one.

    Without ``path``, ``in.yaml`` is read if it exists. Options win over ``--set``, and
    that over the file; options that are ``None`` were not given.
    """
    from annpot.settings import load_settings, read_override

    if path is None and DEFAULT_SETTINGS.exists():
        path = DEFAULT_SETTINGS
    values = dict(read_override(text) for text in overrides)
    values |= {key: value for key, value in options.items() if value is not None}
    return load_settings(path, values), path


@contextlib.contextmanager
def naming_lines(path: Path | None, overrides: tuple[str, ...]) -> Iterator[None]:
    """Tell the line, or the option, of a setting that proves wrong when it is used."""
    from annpot.settings import locate, read_override

    try:
        yield
    except SettingsError as error:
        keys = [read_override(text)[0] for text in overrides]
        raise locate(error, path, keys) from None


def number(text: str | None) -> object:
    """Return the value of an option as YAML reads it; the settings check it."""
    from annpot.settings import read_override

    return None if text is None else read_override(f"option={text}")[1]


def file_names(files: tuple[str, ...], files_from: str | None) -> Iterator[str]:
    """Return the names of the files to read, those in lists as they are read."""
    if "-" in files:
        if files_from is not None:
            raise click.UsageError("'-' and --files-from exclude each other")
        files_from = "-"
    names = [name for name in files if name != "-"]
    if not names and files_from is None:
        raise click.UsageError("no structure files given, expected some")
    return itertools.chain(names, () if files_from is None else _read_names(files_from))


def _read_names(path: str) -> Iterator[str]:
    """Yield the names in a list; there may be a million."""
    from annpot.structures.sources import MAX_NAME

    where = "standard input" if path == "-" else f"'{path}'"
    try:
        with click.open_file(path) as lines:
            while line := lines.readline(MAX_NAME + 1):  # a device has no ends of lines
                if len(line) > MAX_NAME or "\0" in line:
                    raise InputError(
                        f"{where}: {line[:40]!a}: expected names of files, one a line"
                    )
                if name := line.strip():
                    yield name
    except UnicodeDecodeError:
        raise InputError(f"{where}: binary data, expected names of files") from None
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}") from None


def check_reading(index: str, units: str | None) -> None:
    """Check the options that say what is read of files, and how, before any is."""
    from annpot.structures.selection import parse_index
    from annpot.units import parse_units

    parse_index(index)
    if units is not None:
        parse_units(units)


def check_output(output: Path | None, inputs: Iterable[Path | None]) -> None:
    """Check that no file that is read would be replaced by the output.

    Raises
    ------
    InputError
        If the output is one of the ``inputs``.
    """
    if output is None or not output.is_file():
        return
    for path in inputs:
        if path is not None and path.exists() and path.samefile(output):
            raise InputError(
                f"output '{output}': this file is read, expected another name"
            )
