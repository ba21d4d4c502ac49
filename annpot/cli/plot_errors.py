"""The commands ``annpot plot learning`` and ``annpot plot parity``."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli import pictures


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@pictures.output("learning.png")
@pictures.show
def learning(logs: tuple[Path, ...], output: Path, show: bool) -> None:
    """Draw learning curves.

    LOGS are the files train.log of one or several trainings.
    """
    pictures.check(output, logs)

    from annpot.plotting.learning import figure_of_learning
    from annpot.training_log import read_log

    figure = figure_of_learning({str(path): read_log(path) for path in logs})
    pictures.write(figure, output, show)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@pictures.output("parity.png")
@pictures.show
def parity(files: tuple[Path, ...], output: Path, show: bool) -> None:
    """Draw predictions over their references.

    FILES are what 'annpot predict -o' wrote, or 'annpot predict --json' printed.
    """
    pictures.check(output, files)

    from annpot.plotting.comparison import read_comparison
    from annpot.plotting.parity import figure_of_parity

    pictures.write(figure_of_parity(read_comparison(files)), output, show)
