"""The names of features, as axes and legends show them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes

from annpot.descriptors.labels import take_apart
from annpot.plotting.canvas import ANGSTROM

MAX_RUNS = 10
"""More kinds of features than this are not told apart on an axis."""

LETTER, WIDTH_SHARE = 0.085, 0.7
"""Width of a letter in inches, and that of the axis relative to its figure."""

UNITS = {
    "cutoff": ANGSTROM,
    "eta": f"1/{ANGSTROM}²",
    "kappa": f"1/{ANGSTROM}",
    "r_low": ANGSTROM,
    "r_s": ANGSTROM,
    "theta_high": "°",
    "theta_low": "°",
}
"""Of the parameters of symmetry functions; the others have none."""


def shorten(names: Sequence[str]) -> list[str]:
    """Return the names without the words in which all of them agree."""
    if len(names) < 2 or len({len(name.split()) for name in names}) > 1:
        return list(names)
    differ = [len(set(words)) > 1 for words in _places(names)]
    return [" ".join(itertools.compress(name.split(), differ)) for name in names]


def agree(names: Sequence[str]) -> str:
    """Return the words in which all names agree."""
    shared = [words[0] for words in _places(names) if len(set(words)) == 1]
    return " ".join(shared).removesuffix(" of")


def _places(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the first words of all names, the second words, and so on."""
    return list(zip(*(name.split() for name in names), strict=False))


def units_of(names: Sequence[str]) -> str:
    """Return the units of the parameters in names such as ``eta=0.3 r_s=2``."""
    found = [word.split("=")[0] for name in names for word in name.split()]
    return ", ".join(
        f"{name} ({UNITS[name]})" for name in dict.fromkeys(found) if name in UNITS
    )


def runs_of(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the kinds in the order of the features: name, first, last + 1.

    If they are many, as where species alternate, only the first words of their names.
    """
    kinds = [take_apart(label)[0] for label in labels]
    runs = _runs(kinds)
    return runs if len(runs) <= MAX_RUNS else _runs([kind.split()[0] for kind in kinds])


def _runs(kinds: Sequence[str]) -> list[tuple[str, int, int]]:
    runs = []
    first = 0
    for kind, group in itertools.groupby(kinds):
        last = first + len(list(group))
        runs.append((kind, first, last))
        first = last
    return runs


def mark_groups(axes: Axes, labels: Sequence[str], names: bool) -> None:
    """Part the kinds of features along the x axis; if wanted, name them above it."""
    runs = runs_of(labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if len(runs) > MAX_RUNS:
        return
    for _, first, _ in runs[1:]:
        axes.axvline(first - 0.5, color="black", linewidth=0.6, linestyle=":")
    if not names:
        return
    above = axes.secondary_xaxis("top")
    places = [(first + last - 1) / 2 for _, first, last in runs]
    if _is_crowded(axes, runs):
        above.set_xticks(places, [kind for kind, _, _ in runs], rotation=90)
    else:
        above.set_xticks(places, [kind.replace(" ", "\n") for kind, _, _ in runs])
    above.tick_params(length=0)


def _is_crowded(axes: Axes, runs: Sequence[tuple[str, int, int]]) -> bool:
    """Return whether names of neighbouring kinds, one word a line, would touch."""
    # a subfigure's share of the paper
    width = axes.get_figure(root=False).bbox.width / axes.figure.dpi
    room = WIDTH_SHARE * width / runs[-1][2]
    return any(
        LETTER * (_longest_word(one[0]) + _longest_word(two[0]))
        > room * (two[1] + two[2] - one[1] - one[2])
        for one, two in itertools.pairwise(runs)
    )


def _longest_word(kind: str) -> int:
    return max(map(len, kind.split()))
