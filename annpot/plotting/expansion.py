"""The picture of what the Chebyshev coefficients know of an environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annpot.plotting.canvas import ANGSTROM, GREY, new_figure, sequence_of, styled
from annpot.plotting.distributions import Distribution

N_POINTS = 1001
DEGREES = (0, 60, 90, 120, 180)


@styled
def figure_of_expansion(
    distributions: Sequence[Distribution], orders: Sequence[int], title: str
) -> Figure:
    """Return exact distribution functions behind their expansions.

    One column for each function, one row for each order. The exact functions are
    broadened to the resolution of the largest order.
    """
    orders = sorted(orders)
    n_rows, n_columns = len(orders), len(distributions)
    figure = new_figure(1.0 + 3.2 * n_columns, 1.4 + 1.25 * n_rows)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex="col", sharey="col")
    for column, distribution in zip(axes.T, distributions, strict=True):
        _draw_column(column, distribution, orders)
    for row, order in zip(axes, orders, strict=True):
        row[-1].set_ylabel(f"order {order}", fontweight="bold")
        row[-1].yaxis.set_label_position("right")
    figure.suptitle(title, fontsize=10)
    figure.legend(
        [axes[0, 0].collections[0], axes[n_rows // 2, 0].lines[0]],
        ["exact, broadened", "reconstructed from the coefficients up to the order"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def _draw_column(
    column: Sequence[Axes], distribution: Distribution, orders: Sequence[int]
) -> None:
    low, high = distribution.low, distribution.high
    radial = distribution.kind.startswith("radial")
    unit = f" {ANGSTROM}" if radial else ""
    width = distribution.resolution(orders[-1])
    # equidistant in the angle of the polynomials: dense where they vary fast
    angle = np.linspace(np.pi, 0.0, N_POINTS + 2)[1:-1]
    x = low + (high - low) * 0.5 * (1.0 + np.cos(angle))
    exact = distribution.broaden(x, width)
    inner = (x > low + 0.04 * (high - low)) & (x < high - 0.04 * (high - low))
    extremes = [0.0, exact.min(), exact.max()]
    for axes, order, colour in zip(
        column, orders, sequence_of(len(orders)), strict=True
    ):
        f = distribution.reconstruct(x, order)
        axes.fill_between(x, exact, color=GREY, alpha=0.45, linewidth=0)
        axes.plot(x, f, color=colour)
        axes.axhline(0.0, color="black", linewidth=0.5)
        extremes += [f[inner].min(), f[inner].max()]
    # the expansion is infinite at both ends
    margin = 0.05 * (max(extremes) - min(extremes)) or 1.0
    column[0].set_ylim(min(extremes) - margin, max(extremes) + margin)
    column[0].set_xlim(low, high)
    weighted = ", weighted by species" if "weighted" in distribution.kind else ""
    symbol = f"RDF (1/{ANGSTROM})" if radial else r"ADF (per unit of cos $\theta$)"
    column[0].set_title(
        f"{symbol}{weighted}\nexact: Gaussians, σ = {width:.2g}{unit}",  # noqa: RUF001
        pad=24 if not radial else 6,
    )
    column[-1].set_xlabel(f"r ({ANGSTROM})" if radial else r"cos $\theta$")
    if not radial:
        column[0].set_xticks([-1.0, -0.5, 0.0, 0.5, 1.0])
        degrees = column[0].secondary_xaxis("top")
        degrees.set_xticks(
            np.cos(np.radians(DEGREES)), [f"{degree}°" for degree in DEGREES]
        )
