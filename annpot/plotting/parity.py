"""The picture of predictions against references."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from annpot.plotting.canvas import ANGSTROM, colours_of, new_figure, styled
from annpot.plotting.comparison import Comparison
from annpot.structures.structure import Array

MANY = 1000
"""Points from which they are drawn smaller."""
DARK = "0.2"


class _Values(NamedTuple):
    """What one column of the picture shows."""

    what: str
    unit: str
    reference_k: Array
    predicted_k: Array
    colour_k: NDArray[np.str_]


@styled
def figure_of_parity(comparison: Comparison) -> Figure:
    """Return predicted energies and forces over their references, and the errors.

    One colour for each species; what is not known is left out.
    """
    species = sorted(set(comparison.symbols_n.tolist()))
    colours = dict(zip(species, colours_of(len(species)), strict=True))
    columns = []
    if len(comparison.E_s):
        columns.append(_energies(comparison))
    if species:
        columns.append(_forces(comparison, colours))
    figure = new_figure(0.2 + 4.8 * len(columns), 6.6)
    axes = figure.subplots(
        2,
        len(columns),
        squeeze=False,
        sharex="col",
        gridspec_kw={"height_ratios": [3, 1]},
    )
    for (upper, lower), values in zip(axes.T, columns, strict=True):
        _draw(upper, lower, values)
    if len(comparison.E_s) and comparison.baseline_s is not None:
        axes[0, 0].set_title("relative to free atoms whose energies fit the references")
    if species:
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="")
            for colour in colours.values()
        ]
        figure.legend(handles, species, loc="outside lower center", ncols=8)
    return figure


def _energies(comparison: Comparison) -> _Values:
    # compositions differ by much more than structures of one composition
    shift_s = 0.0 if comparison.baseline_s is None else comparison.baseline_s
    reference_s, predicted_s = comparison.E_reference_s, comparison.E_s
    colour_s = np.full(len(predicted_s), DARK)
    return _Values(
        "energy", "eV/atom", reference_s - shift_s, predicted_s - shift_s, colour_s
    )


def _forces(comparison: Comparison, colours: dict[str, str]) -> _Values:
    colour_n = np.array([colours[symbol] for symbol in comparison.symbols_n])
    return _Values(
        "force component",
        f"eV/{ANGSTROM}",
        comparison.F_reference_nc.ravel(),
        comparison.F_nc.ravel(),
        np.repeat(colour_n, 3),
    )


def _draw(upper: Axes, lower: Axes, values: _Values) -> None:
    """Draw the values above, and predictions minus references below."""
    n = len(values.predicted_k)
    # at random, so that no species covers another
    order = np.random.default_rng(0).permutation(n)
    reference_k, predicted_k = values.reference_k[order], values.predicted_k[order]
    error_k = predicted_k - reference_k
    for axes, y_k in ((upper, predicted_k), (lower, 1000 * error_k)):
        axes.scatter(
            reference_k,
            y_k,
            s=14 if n < MANY else 4,
            alpha=0.7 if n < MANY else 0.4,
            c=values.colour_k[order],
            linewidths=0,
            # a million points would make a PDF or SVG unreadable
            rasterized=True,
        )
    upper.axline((0, 0), slope=1, color="black", linewidth=0.7)
    lower.axhline(0.0, color="black", linewidth=0.7)
    both = np.concatenate([reference_k, predicted_k])
    margin = 0.04 * max(np.ptp(both), 1e-6)
    upper.set_xlim(both.min() - margin, both.max() + margin)
    upper.set_ylim(both.min() - margin, both.max() + margin)
    upper.set_ylabel(f"predicted {values.what} ({values.unit})")
    lower.set_xlabel(f"reference {values.what} ({values.unit})")
    lower.set_ylabel(f"error (m{values.unit})")
    rmse, mae = np.sqrt(np.mean(error_k**2)), np.mean(np.abs(error_k))
    upper.text(
        0.04,
        0.96,
        f"RMSE {1000 * rmse:.1f} m{values.unit}\nMAE {1000 * mae:.1f} m{values.unit}\n"
        f"{n} values",
        transform=upper.transAxes,
        va="top",
    )
