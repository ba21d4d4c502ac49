"""The picture of how the features of a set are distributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from annpot.plotting.canvas import COLOURS, SEQUENCE, new_figure, number_plainly, styled
from annpot.plotting.labels import mark_groups
from annpot.scaling import compute_statistics
from annpot.structures.structure import Array

N_BINS, REACH = 40, 4.0
"""Of each histogram, and how many standard deviations it reaches."""
BANDS = ((0, 100, 0.18), (5, 95, 0.3), (25, 75, 0.5))
"""Percentiles between which the values lie, and how dark that is drawn."""


@styled
def figure_of_features(
    G_nf_of: Mapping[str, Array], labels: Mapping[str, Sequence[str]]
) -> Figure:
    """Return, for each species, the range of each feature and its histogram.

    Parameters
    ----------
    G_nf_of
        Features of the atoms of each species, at least one atom.
    labels
        Names of the features of each species.
    """
    n_species = len(G_nf_of)
    widest = max(G_nf.shape[1] for G_nf in G_nf_of.values())
    figure = new_figure(min(16.0, 7.0 + 0.03 * widest), 0.6 + 4.6 * n_species)
    # parts of a figure keep their own rows together
    for part, (symbol, G_nf) in zip(
        figure.subfigures(n_species, 1, squeeze=False)[:, 0],
        G_nf_of.items(),
        strict=True,
    ):
        upper, lower = part.subplots(2, 1, sharex=True)
        part.suptitle(f"{symbol}: {G_nf.shape[1]} features of {len(G_nf)} atoms")
        _draw_bands(upper, G_nf)
        _draw_histograms(lower, G_nf)
        for axes in (upper, lower):
            mark_groups(axes, labels[symbol], names=axes is upper)
        lower.set_xlabel("number of the feature")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _draw_bands(axes: Axes, G_nf: Array) -> None:
    """Draw between which values the features lie."""
    edges = np.arange(G_nf.shape[1] + 1) - 0.5
    for low, high, alpha in BANDS:
        lowest_f, highest_f = np.percentile(G_nf, (low, high), axis=0)
        axes.stairs(
            highest_f,
            edges,
            baseline=lowest_f,
            fill=True,
            color=COLOURS[0],
            alpha=alpha,
            label=f"{low} to {high} %" if low else "all atoms",
        )
    median_f = np.median(G_nf, axis=0)
    axes.hlines(median_f, edges[:-1], edges[1:], color=COLOURS[1], label="median")
    axes.set_yscale("symlog", linthresh=_small(G_nf))
    axes.yaxis.get_major_locator().set_params(numticks=8)
    axes.use_sticky_edges = False
    axes.set_ylabel("feature")


def _small(G_nf: Array) -> float:
    """Return the value below which the axis is linear: a power of ten."""
    size = float(np.median(np.abs(G_nf).max(axis=0)))
    return 10.0 ** np.floor(np.log10(size / 10)) if size > 0.0 else 1.0


def _draw_histograms(axes: Axes, G_nf: Array) -> None:
    """Draw a column for each feature: light where many atoms are, white where none."""
    n_atoms, n_features = G_nf.shape
    statistics = compute_statistics(G_nf)
    constant_f = statistics.constant_f
    deviation_f = np.sqrt(np.diag(statistics.covariance_ff))
    deviation_f = np.where(constant_f, 1.0, deviation_f)
    edges = np.linspace(-REACH, REACH, N_BINS + 1)
    share_bf = np.full((N_BINS, n_features), np.nan)
    for f in np.flatnonzero(~constant_f):
        z_n = (G_nf[:, f] - statistics.mean_f[f]) / deviation_f[f]
        count_b, _ = np.histogram(np.clip(z_n, -REACH, REACH), edges)
        share_bf[:, f] = count_b / n_atoms
    image = axes.pcolormesh(
        np.arange(n_features + 1) - 0.5,
        edges,
        100 * np.where(share_bf > 0.0, share_bf, np.nan),
        cmap=SEQUENCE,
        norm=LogNorm(),
        rasterized=True,
    )
    bar = axes.figure.colorbar(image, ax=axes, label="atoms (%)", pad=0.01)
    number_plainly(bar.ax.yaxis)
    axes.set_ylabel("(feature - mean)\n/ standard deviation")
