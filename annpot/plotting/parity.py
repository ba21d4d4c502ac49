"""The picture of predictions against references."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annpot.comparison import Comparison
from annpot.plotting.canvas import ANGSTROM, colours_of, new_figure, styled
from annpot.structures.structure import Array

Sample = tuple[Array, Array]
"""References and predictions."""


@styled
def figure_of_parity(comparison: Comparison) -> Figure:
    """Return predicted energies and forces over their references, and the errors.

    One colour for each species; what is not known is left out.
    """
    kinds: dict[str, tuple[str, Mapping[str, Sample]]] = {}
    if len(comparison.E_s):
        # compositions differ by much more than structures of one composition
        shift_s = 0.0 if comparison.baseline_s is None else comparison.baseline_s
        sample = (comparison.E_reference_s - shift_s, comparison.E_s - shift_s)
        kinds["energy"] = ("eV/atom", {"": sample})
    if len(comparison.symbols_n):
        kinds["force component"] = (f"eV/{ANGSTROM}", _forces(comparison))
    figure = new_figure(0.2 + 4.8 * len(kinds), 6.6)
    axes = figure.subplots(
        2,
        len(kinds),
        squeeze=False,
        sharex="col",
        gridspec_kw={"height_ratios": [3, 1]},
    )
    for column, (kind, (unit, samples)) in zip(axes.T, kinds.items(), strict=True):
        _draw(column, kind, unit, samples)
    if "energy" in kinds and comparison.baseline_s is not None:
        axes[0, 0].set_title("relative to free atoms whose energies fit the references")
    handles, names = axes[0, -1].get_legend_handles_labels()
    if names:
        legend = figure.legend(handles, names, loc="outside lower center", ncols=8)
        for handle in legend.legend_handles:
            handle.set(sizes=[30], alpha=1)
    return figure


def _forces(comparison: Comparison) -> dict[str, Sample]:
    samples = {}
    for symbol in sorted(set(comparison.symbols_n.tolist())):
        mask_n = comparison.symbols_n == symbol
        samples[symbol] = (
            comparison.F_reference_nc[mask_n].ravel(),
            comparison.F_nc[mask_n].ravel(),
        )
    return samples


def _draw(
    column: tuple[Axes, Axes], kind: str, unit: str, samples: Mapping[str, Sample]
) -> None:
    """Draw the values above, and predictions minus references below."""
    upper, lower = column
    n_points = sum(len(reference) for reference, _ in samples.values())
    size, alpha = (14, 0.7) if n_points < 1000 else (4, 0.4)
    colours = colours_of(len(samples)) if len(samples) > 1 else ["0.2"]
    for colour, (name, (reference, predicted)) in zip(
        colours, samples.items(), strict=True
    ):
        # as an image in PDF and SVG: a million points would make those unreadable
        style = {"s": size, "alpha": alpha, "color": colour, "linewidths": 0}
        upper.scatter(
            reference, predicted, label=name or None, rasterized=True, **style
        )
        lower.scatter(
            reference, 1000 * (predicted - reference), rasterized=True, **style
        )
    upper.axline((0, 0), slope=1, color="black", linewidth=0.7)
    lower.axhline(0.0, color="black", linewidth=0.7)
    everything = np.concatenate([np.concatenate(sample) for sample in samples.values()])
    low, high = everything.min(), everything.max()
    margin = 0.04 * max(high - low, 1e-6)
    upper.set_xlim(low - margin, high + margin)
    upper.set_ylim(low - margin, high + margin)
    upper.set_ylabel(f"predicted {kind} ({unit})")
    lower.set_xlabel(f"reference {kind} ({unit})")
    lower.set_ylabel(f"error (m{unit})")
    error = np.concatenate([b - a for a, b in samples.values()])
    upper.text(
        0.04,
        0.96,
        f"RMSE {1000 * np.sqrt(np.mean(error**2)):.1f} m{unit}\n"
        f"MAE {1000 * np.mean(np.abs(error)):.1f} m{unit}\n{len(error)} values",
        transform=upper.transAxes,
        va="top",
    )
