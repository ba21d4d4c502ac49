"""What all commands that draw share: their options, and how a picture is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from annpot.cli import options
from annpot.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")

species = click.option(
    "--species", help="Only draw this central species.  [default: all]"
)
show = click.option(
    "--show", is_flag=True, help="Also open the picture in the system's viewer."
)


def output(name: str) -> Callable[[Any], Any]:
    """Return the option that says which picture is written."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=name,
        show_default=True,
        help="Picture to write, by its suffix PNG, SVG or PDF.",
    )


def check(output: Path, inputs: Iterable[Path | None]) -> None:
    """Check that a picture can be drawn, and will not replace what is read.

    Raises
    ------
    AnnpotError
        If it cannot.
    """
    from annpot.format.outputs import check_writable
    from annpot.plotting import require_matplotlib

    if output.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"output '{output}': expected a name that ends in {', '.join(SUFFIXES)}"
        )
    options.check_output(output, inputs)
    require_matplotlib()
    check_writable(output)


def choose(species: str | None, known: Iterable[str]) -> list[str]:
    """Return the species to draw.

    Raises
    ------
    InputError
        If ``species`` is none of those ``known``.
    """
    known = list(known)
    if species is None:
        return known
    if species not in known:
        raise InputError(f"species '{species}': expected one of {', '.join(known)}")
    return [species]


def write(figure: Figure, output: Path, show: bool) -> None:
    """Write a picture, say where it is, and open it if wanted."""
    from annpot.cli.output import open_output
    from annpot.cli.report import say
    from annpot.plotting.canvas import render

    picture = render(figure, output.suffix.lower().removeprefix("."))
    with open_output(output) as write_bytes:
        write_bytes(picture)
    say(f"wrote {output}")
    if show and click.launch(str(output)):
        say("there is no viewer to open it with")
