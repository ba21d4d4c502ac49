"""The picture of learning curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from annpot.plotting.canvas import (
    ANGSTROM,
    colours_of,
    new_figure,
    number_plainly,
    styled,
)
from annpot.structures.structure import Array

PANELS = {"E": "energy RMSE (meV/atom)", "F": f"force RMSE (meV/{ANGSTROM})"}
SETS = {"train": "-", "validation": "--"}


@styled
def figure_of_learning(logs: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Return the errors of energies and forces by epoch, of one or several trainings.

    Parameters
    ----------
    logs
        The columns of each log (`annpot.training_log.read_log`) by its name. Members,
        if there are several, are curves of their own that begin at the first epoch.
    """
    figure = new_figure(9.0, 4.2 + 0.2 * (len(logs) - 1))
    colours = dict(zip(logs, colours_of(len(logs)), strict=True))
    for axes, (letter, label) in zip(
        figure.subplots(1, 2), PANELS.items(), strict=True
    ):
        for name, log in logs.items():
            for part, style in SETS.items():
                error = log.get(f"{part}_{letter}_rmse", np.full(1, np.nan))
                if np.isfinite(error).any():
                    for rows in _members(log):
                        _draw_curve(axes, error[rows], style, colours[name])
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            number_plainly(axis)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(which="major", color="0.85", linewidth=0.6)
        if not axes.lines:
            axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes)
    handles = [Line2D([], [], color="0.3", linestyle=style) for style in SETS.values()]
    figure.legend(handles, list(SETS), loc="outside lower center", ncols=2)
    if len(logs) > 1:
        handles = [Line2D([], [], color=colour) for colour in colours.values()]
        figure.legend(handles, list(logs), loc="outside upper center")
    return figure


def _members(log: Mapping[str, Array]) -> list[NDArray[np.bool_]]:
    """Return the rows of each member."""
    member_e = log.get("member", np.ones(len(log["epoch"])))
    return [member_e == member for member in np.unique(member_e)]


def _draw_curve(axes: Axes, error_e: Array, style: str, colour: str) -> None:
    epochs = np.arange(1, len(error_e) + 1)
    # a line through a single epoch would not be seen
    marker = "." if len(epochs) == 1 else ""
    axes.plot(epochs, error_e, style, color=colour, marker=marker)
