"""The picture of the functions of distance and angle that a descriptor's features sum.

Many features have the same functions: those of other neighbours, or weighted. They are
drawn once, and the title names them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from annpot.descriptors.labels import group_labels
from annpot.plotting.canvas import ANGSTROM, new_figure, sequence_of, styled
from annpot.plotting.labels import agree, shorten, units_of
from annpot.plotting.responses import Response
from annpot.structures.structure import Array

MAX_LEGEND = 20
"""More curves of one panel are told apart by a colour bar."""
LINE, INCHES_PER_LETTER = 32, 0.06
"""Of names in a legend."""
TOLERANCE = 1e-6
"""Up to which curves of height 1 are the same."""


@dataclass
class _Panel:
    """Curves that belong together, and all the features that they are drawn for."""

    radial: bool
    pair: bool
    x: Array
    y_xk: Array
    shape_xk: Array
    """The curves brought to the height 1."""
    names: list[str]
    centrals: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    neighbours: list[str] = field(default_factory=list)

    def add(self, central: str, group: str, neighbours: tuple[str, ...]) -> None:
        for known, new in (
            (self.centrals, central),
            (self.groups, group),
            (self.neighbours, "-".join(neighbours)),
        ):
            if new not in known:
                known.append(new)

    def shows_the_same(self, other: _Panel) -> bool:
        return (
            (self.radial, self.pair) == (other.radial, other.pair)
            and self.shape_xk.shape == other.shape_xk.shape
            and np.allclose(self.x, other.x)
            and np.allclose(self.shape_xk, other.shape_xk, atol=TOLERANCE)
        )

    def title(self) -> str:
        centrals, neighbours = _join(self.centrals, 4), _join(self.neighbours, 3)
        return f"{_join(self.groups, 3, '; ')}\nof {centrals}, with {neighbours}"


def _join(words: list[str], most: int, comma: str = ", ") -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return comma.join(words[:most]) + rest


@styled
def figure_of_basis(
    responses: Iterable[Response], labels: dict[str, list[str]], distance: float
) -> Figure:
    """Return the radial functions, and the angular ones of neighbours at a distance.

    Parameters
    ----------
    labels
        Names of the features of each central species.
    distance
        In angstrom, for the title.
    """
    panels = _collect(responses, labels)
    n_columns = min(2, len(panels))
    n_rows = -(-len(panels) // n_columns)
    longest = max(len(name) for panel in panels for name in panel.names)
    width = 4.4 + INCHES_PER_LETTER * min(longest, LINE)
    figure = new_figure(width * n_columns, 0.7 + 3.0 * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel)
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    figure.suptitle(
        "What one neighbour adds to each feature at distance r, two neighbours at r\n"
        f"and a right angle, and both at {distance:g} {ANGSTROM} and the angle θ\n"
        "(functions that differ by a factor only are drawn once)",
        fontsize=10,
    )
    return figure


def _collect(
    responses: Iterable[Response], labels: dict[str, list[str]]
) -> list[_Panel]:
    """Return the panels; those with the same curves are one."""
    panels: list[_Panel] = []
    for response in responses:
        names = [labels[response.central][f] for f in response.features]
        for group, columns in group_labels(names).items():
            panel = _panel(response, columns)
            for known in panels:
                if panel.shows_the_same(known):
                    panel = known
                    break
            else:
                panels.append(panel)
            panel.add(response.central, group, response.neighbours)
    return sorted(panels, key=lambda panel: (panel.pair, not panel.radial))


def _panel(response: Response, columns: list[tuple[int, str]]) -> _Panel:
    """Return a panel of some features; curves that differ by a factor are one."""
    curves: list[Array] = []
    shapes: list[Array] = []
    names: list[list[str]] = []
    for k, name in columns:
        y_x = response.G_xf[:, k]
        shape_x = y_x / _factor(y_x)
        for known, names_of in zip(shapes, names, strict=True):
            if np.allclose(shape_x, known, atol=TOLERANCE):
                names_of.append(name)
                break
        else:
            curves.append(y_x)
            shapes.append(shape_x)
            names.append([name])
    return _Panel(
        radial=not response.of_angle,
        pair=len(response.neighbours) == 2,
        x=response.x,
        y_xk=np.stack(curves, axis=1),
        shape_xk=np.stack(shapes, axis=1),
        names=shorten([agree(names_of) for names_of in names]),
    )


def _factor(y_x: Array) -> float:
    """Return the largest absolute value, with a sign that changes with the curve's."""
    size_x = np.abs(y_x)
    largest = size_x.max()
    return float(largest * np.sign(y_x[(size_x > largest / 3).argmax()]))


def _draw(axes: Axes, panel: _Panel) -> None:
    n = len(panel.names)
    colours = sequence_of(n)
    for y_x, name, colour in zip(panel.y_xk.T, panel.names, colours, strict=True):
        axes.plot(
            panel.x,
            y_x,
            color=colour,
            label=fill(name, LINE),
            linewidth=0.9 if n > 8 else 1.2,
        )
    axes.axhline(0.0, color="black", linewidth=0.5)
    axes.set_xlim(0.0, panel.x[-1])
    both = " of both neighbours" if panel.pair else ""
    axes.set_xlabel(f"r{both} ({ANGSTROM})" if panel.radial else "θ (degrees)")
    axes.set_ylabel("contribution to the feature")
    axes.set_title(panel.title())
    if not panel.radial:
        axes.set_xticks(range(0, 181, 30))
    if n > MAX_LEGEND:
        scale = ScalarMappable(Normalize(-0.5, n - 0.5), ListedColormap(colours))
        axes.figure.colorbar(scale, ax=axes, label="function, in the features' order")
    elif n > 1 or panel.names[0]:
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            fontsize=7,
            labelspacing=0.25,
            title=fill(units_of(panel.names), LINE),
            title_fontsize=7,
            alignment="left",
        )
