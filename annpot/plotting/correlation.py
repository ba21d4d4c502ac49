"""The picture of which features tell the same, and which of them matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from annpot.plotting.canvas import COLOURS, DIVERGING, new_figure, styled
from annpot.plotting.labels import mark_groups, runs_of
from annpot.scaling import Statistics
from annpot.structures.structure import Array


@styled
def figure_of_correlation(
    statistics: Mapping[str, Statistics],
    labels: Mapping[str, Sequence[str]],
    importance: Mapping[str, Array] | None = None,
) -> Figure:
    """Return the correlation matrix of the features of each species.

    Parameters
    ----------
    labels
        Names of the features of each species.
    importance
        How much each feature moves the energy of an atom, eV (`compute_importance`).
    """
    n_columns = min(2, len(statistics))
    n_rows = -(-len(statistics) // n_columns)
    height = 5.0 if importance is None else 6.8
    figure = new_figure(0.3 + 5.4 * n_columns, 0.3 + height * n_rows)
    parts = figure.subfigures(n_rows, n_columns, squeeze=False).flat
    for part, symbol in zip(parts, statistics, strict=False):
        importance_f = None if importance is None else importance[symbol]
        _draw(part, symbol, statistics[symbol], labels[symbol], importance_f)
    return figure


def _draw(
    part: SubFigure,
    symbol: str,
    statistics: Statistics,
    labels: Sequence[str],
    importance_f: Array | None,
) -> None:
    part.suptitle(f"{symbol}: {len(labels)} features of {statistics.n_atoms} atoms")
    if importance_f is None:
        matrix = part.subplots()
    else:
        bars, matrix = part.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 3]}
        )
        bars.bar(np.arange(len(labels)), 1000 * importance_f, 0.9, color=COLOURS[0])
        bars.set_ylabel("importance (meV)\nrms(dE/dG) std(G)")
    image = matrix.imshow(
        _correlation(statistics),
        cmap=DIVERGING,
        vmin=-1.0,
        vmax=1.0,
        interpolation="nearest",
        aspect="auto",
    )
    for axes in part.axes:
        mark_groups(axes, labels, names=axes is part.axes[0])
    for _, first, _ in runs_of(labels)[1:]:
        matrix.axhline(first - 0.5, color="black", linewidth=0.6, linestyle=":")
    matrix.set_xlabel("number of the feature")
    matrix.set_ylabel("number of the feature")
    part.colorbar(image, ax=matrix, label="correlation", pad=0.01)


def _correlation(statistics: Statistics) -> Array:
    """Return the correlation coefficients; NaN, drawn white, for constant features."""
    deviation_f = np.sqrt(np.diag(statistics.covariance_ff))
    deviation_f = np.where(statistics.constant_f, np.nan, deviation_f)
    correlation_ff: Array = statistics.covariance_ff / np.outer(
        deviation_f, deviation_f
    )
    return correlation_ff
