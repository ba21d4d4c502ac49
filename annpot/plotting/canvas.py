"""The style that all pictures share, and how they become files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

P = ParamSpec("P")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which the colour-blind tell apart, without yellow."""
GREY = "#999999"
SEQUENCE, DIVERGING = "viridis", "RdBu_r"
"""Colour maps, also of the colour-blind's friends."""
ANGSTROM = "Å"

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
    "svg.hashsalt": "annpot",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Let matplotlib draw as annpot wants, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function that returns a figure draw it in annpot's style."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            return function(*args, **kwargs)

    return draw


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that no window manager knows."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colours_of(n: int) -> list[str]:
    """Return n colours that are told apart."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    return sequence_of(n)


def sequence_of(n: int) -> list[str]:
    """Return n colours from dark to light, the lightest still legible on white."""
    scale = matplotlib.colormaps[SEQUENCE]
    return [to_hex(scale(0.85 * k / max(1, n - 1))) for k in range(n)]


class _PlainFormatter(LogFormatter):  # type: ignore[misc]  # has no types
    """Chooses the ticks as matplotlib does, and writes 0.2, not 2e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def number_plainly(axis: Axis) -> None:
    """Let a logarithmic axis show 200, not 2 x 10^2."""
    axis.set_major_formatter(_PlainFormatter())
    axis.set_minor_formatter(_PlainFormatter(minor_thresholds=(2, 0.5)))


def render(figure: Figure, format_: str) -> bytes:
    """Return the picture as a file of the format holds it: png, svg or pdf.

    The same picture gives the same bytes: no date is written.
    """
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = BytesIO()
    with style():
        figure.savefig(buffer, format=format_, metadata=dates.get(format_))
    return buffer.getvalue()
