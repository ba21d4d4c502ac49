"""The commands ``annpot plot``: assembles them."""

from __future__ import annotations

import click

from annpot.cli.plot_descriptor import basis, expansion
from annpot.cli.plot_errors import learning, parity
from annpot.cli.plot_set import correlation, features


@click.group()
def plot() -> None:
    """Draw descriptors, fingerprint sets, trainings and predictions.

    Needs matplotlib: pip install 'annpot[plot]'. Pictures are files; a window opens
    with --show only.
    """


for command in (expansion, basis, features, correlation, learning, parity):
    plot.add_command(command)
