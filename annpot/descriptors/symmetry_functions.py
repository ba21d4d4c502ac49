"""Symmetry functions of Behler and Parrinello: names, parameters, order, and sets.

A function describes the neighbours of an atom by one number. Names ``G1`` to ``G5`` are
those of J. Behler, J. Chem. Phys. 134, 074106 (2011), doi:10.1063/1.3553717, and of
aenet; numbers are those of n2p2 and RuNNer. Formulas: ``annpot/descriptors/README.md``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from annpot.elements import SYMBOLS

CUTOFF_FUNCTIONS = (
    "hard",
    "cosine",
    "tanh",
    "scaled tanh",
    "exponential",
    "poly1",
    "poly2",
    "poly3",
    "poly4",
)
"""Names of the cutoff functions; the index is n2p2's number."""

CORES = ("e", "p1", "p2", "p3", "p4", "p1a", "p2a", "p3a", "p4a")
"""Shapes of the compact functions; ``a``: asymmetric."""

LIMITS = {
    "cutoff": (1e-3, 100.0),
    "alpha": (0.0, 0.99),
    "eta": (0.0, 1e6),
    "r_s": (-100.0, 100.0),
    "kappa": (-1e3, 1e3),
    "lambda": (-10.0, 10.0),
    "zeta": (1.0, 1e3),
    "r_low": (-1e3, 100.0),
    "theta_low": (-180.0, 180.0),
    "theta_high": (0.0, 360.0),
}
"""Least and largest value of each parameter; angstrom, 1/angstrom^2, degrees."""


class Kind(NamedTuple):
    """What a type of function takes."""

    number: int
    """Number in n2p2; 0: n2p2 has none."""
    n_neighbours: int
    """1: species of a neighbour, 2: pair of species; 0: any, weighted."""
    angular: bool
    needed: tuple[str, ...]
    optional: tuple[str, ...]


_CUT = ("cutoff_function", "alpha")
_ANGLE = ("eta", "lambda", "zeta")
_COMPACT = ("theta_low", "theta_high", "core")

KINDS = {
    "G1": Kind(0, 1, False, (), _CUT),
    "G2": Kind(2, 1, False, ("eta",), ("r_s", *_CUT)),
    "G3": Kind(0, 1, False, ("kappa",), _CUT),
    "G4": Kind(3, 2, True, _ANGLE, ("r_s", *_CUT)),
    "G5": Kind(9, 2, True, _ANGLE, ("r_s", *_CUT)),
    "G12": Kind(12, 0, False, ("eta",), ("r_s", *_CUT)),
    "G13": Kind(13, 0, True, _ANGLE, ("r_s", *_CUT)),
    "G20": Kind(20, 1, False, ("core",), ("r_low",)),
    "G21": Kind(21, 2, True, _COMPACT, ("r_low",)),
    "G22": Kind(22, 2, True, _COMPACT, ("r_low",)),
    "G23": Kind(23, 0, False, ("core",), ("r_low",)),
    "G24": Kind(24, 0, True, _COMPACT, ("r_low",)),
    "G25": Kind(25, 0, True, _COMPACT, ("r_low",)),
}
"""All types of functions by name, in the order of features."""

NAMES = {kind.number: name for name, kind in KINDS.items() if kind.number}
"""Names of the types by n2p2's numbers."""


@dataclass(frozen=True)
class SymmetryFunction:
    """One symmetry function; what its type does not take has the default.

    Parameters
    ----------
    type
        Name of the type, one of `KINDS`.
    neighbours
        Species of the neighbours that it sees: one, a pair sorted by atomic number, or
        none if it sees all, weighted by their atomic numbers.
    cutoff
        Radius in angstrom beyond which neighbours do not count.
    cutoff_function, alpha
        One of `CUTOFF_FUNCTIONS`, and the fraction of the radius below which it is 1.
    eta, r_s, kappa, lambda_, zeta
        Parameters of the functions G1 to G13; 1/angstrom^2, angstrom, 1/angstrom.
    r_low, theta_low, theta_high, core
        Where the compact functions G20 to G25 begin and end, and their shape; angstrom
        and degrees.
    """

    type: str
    neighbours: tuple[str, ...]
    cutoff: float
    cutoff_function: str = "cosine"
    alpha: float = 0.0
    eta: float = 0.0
    r_s: float = 0.0
    kappa: float = 0.0
    lambda_: float = 0.0
    zeta: float = 1.0
    r_low: float = 0.0
    theta_low: float = 0.0
    theta_high: float = 0.0
    core: str = ""

    @property
    def kind(self) -> Kind:
        """What the type takes."""
        return KINDS[self.type]

    @property
    def label(self) -> str:
        """The function in a line, ``G5 O-Ti eta=0.03 lambda=-1 zeta=4 cutoff=6.5``."""
        words = [self.type, *filter(None, ["-".join(self.neighbours)])]
        for key, value in self.to_dict().items():
            if key in ("cutoff_function", "core"):
                words += [value] if value != "cosine" else []
            elif key not in ("type", "neighbours") and (key, value) != ("alpha", 0.0):
                words.append(f"{key}={value:.6g}")
        return " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters that the type takes, JSON-ready."""
        kind = self.kind
        recipe: dict[str, Any] = {"type": self.type}
        if self.neighbours:
            recipe["neighbours"] = list(self.neighbours)
        for key in _in_order(kind.needed + kind.optional):
            recipe[key] = getattr(self, _attribute(key))
        return recipe

    @classmethod
    def from_dict(cls, recipe: Mapping[str, Any]) -> SymmetryFunction:
        """Return the function with the parameters of a mapping.

        Raises
        ------
        ValueError
            If a parameter is missing, not known or wrong; one line that says so.
        """
        name = _name_of(recipe.get("type"))
        kind = KINDS[name]
        needed = {"cutoff", *kind.needed} | (
            {"neighbours"} if kind.n_neighbours else set()
        )
        known = needed | {"type", *kind.optional}
        missing = sorted(needed - set(recipe))
        if missing:
            raise ValueError(f"type {name} needs {' and '.join(missing)}")
        unknown = sorted(str(key) for key in set(recipe) - known)
        if unknown:
            raise ValueError(
                f"type {name} takes no {' or '.join(unknown)}, expected "
                f"{', '.join(sorted(known - {'type'}))}"
            )
        values = {
            _attribute(key): _check(key, value)
            for key, value in recipe.items()
            if key not in ("type", "neighbours")
        }
        if "r_low" in kind.optional:
            values.setdefault("r_low", -values["cutoff"])
        function = cls(name, _pair(name, recipe.get("neighbours", ())), **values)
        _check_intervals(function)
        return function


def _attribute(key: str) -> str:
    return "lambda_" if key == "lambda" else key


def _in_order(keys: Sequence[str]) -> list[str]:
    """Return the keys in the order in which they are written, and the cutoff."""
    order = ["eta", "r_s", "kappa", "lambda", "zeta", "r_low", "cutoff"]
    order += ["cutoff_function", "alpha", "theta_low", "theta_high", "core"]
    return [key for key in order if key in keys or key == "cutoff"]


def _name_of(given: Any) -> str:
    """Return the name of a type that is given as name or as n2p2's number."""
    if type(given) is int and given in NAMES:
        return NAMES[given]
    if isinstance(given, str) and given in KINDS:
        return given
    numbers = ", ".join(map(str, NAMES))
    raise ValueError(
        f"type {given!r} is unknown, expected one of {', '.join(KINDS)} or n2p2's "
        f"{numbers}"
    )


def _check(key: str, value: Any) -> Any:
    """Return the value of a parameter if it is one.

    Raises
    ------
    ValueError
        If not.
    """
    words = {"cutoff_function": CUTOFF_FUNCTIONS, "core": CORES}.get(key)
    if words is not None:
        if value not in words:
            raise ValueError(f"{key} {value!r}, expected one of {', '.join(words)}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} {value!r}, expected a number")
    low, high = LIMITS[key]
    if not low <= value <= high:
        raise ValueError(f"{key} {value!r}, expected {low:g} to {high:g}")
    return float(value)


def _pair(name: str, neighbours: Any) -> tuple[str, ...]:
    """Return the species of the neighbours by atomic number."""
    count = KINDS[name].n_neighbours
    if not isinstance(neighbours, (list, tuple)) or len(neighbours) != count:
        raise ValueError(
            f"neighbours {neighbours!r}, type {name} expects a list of {count}"
        )
    for symbol in neighbours:
        if symbol not in SYMBOLS[1:]:
            raise ValueError(f"neighbours: {symbol!r} is not a chemical element")
    return tuple(sorted(neighbours, key=SYMBOLS.index))


def _check_intervals(function: SymmetryFunction) -> None:
    """Check that a compact function begins before it ends, and is smooth at 0 and pi.

    Raises
    ------
    ValueError
        If not.
    """
    if not function.core:
        return
    if not function.r_low < function.cutoff:
        raise ValueError(
            f"r_low {function.r_low:g}, expected less than the cutoff "
            f"{function.cutoff:g}"
        )
    if not function.kind.angular:
        return
    low, high = function.theta_low, function.theta_high
    if not low < high or high - low > 360.0:
        raise ValueError(
            f"theta_low {low:g} and theta_high {high:g}, expected the lower first, at "
            "most 360 degrees apart"
        )
    if (low < 0.0 and low != -high) or (high > 180.0 and low + high != 360.0):
        raise ValueError(
            f"theta_low {low:g} and theta_high {high:g}, expected 0 to 180 degrees, or "
            "an interval that is symmetric about 0 or 180"
        )


def sort_functions(functions: Sequence[SymmetryFunction]) -> list[SymmetryFunction]:
    """Return the functions of a central species in n2p2's order.

    First by type; then the functions with Gaussians by cutoff, eta, r_s, zeta, lambda
    and species, the compact ones by core, species, cutoff and interval. G1 and G3,
    which n2p2 does not have, stand before and after G2, G3 sorted by kappa.
    """
    types = list(KINDS)

    def key(f: SymmetryFunction) -> tuple[Any, ...]:
        numbers = [SYMBOLS.index(symbol) for symbol in f.neighbours]
        shape = (
            types.index(f.type),
            CUTOFF_FUNCTIONS.index(f.cutoff_function),
            f.alpha,
        )
        if f.core:
            interval = (f.cutoff, f.r_low, f.theta_low, f.theta_high)
            return (*shape, f.core, numbers, *interval)
        return (*shape, f.cutoff, f.kappa, f.eta, f.r_s, f.zeta, f.lambda_, numbers)

    return sorted(functions, key=key)


class Gaussians(NamedTuple):
    """A set of Gaussians of the distance that covers a range.

    ``even``
        ``n`` centres r (or, if ``centred``, widths) in equal steps from ``start`` on,
        the next of which would be ``stop``; width of a step.
    ``gastegger``
        ``n`` centres or widths r from ``start`` to ``stop``, ``eta = 1 / (2 step^2)``
        or ``1 / (2 r^2)``: M. Gastegger et al., J. Chem. Phys. 148, 241709 (2018),
        doi:10.1063/1.5019667.
    ``imbalzano``
        Centres or widths in geometric progression up to ``stop``: G. Imbalzano et al.,
        J. Chem. Phys. 148, 241730 (2018), doi:10.1063/1.5024611; ``start`` is not used.

    A width w belongs to ``eta = 1 / (2 w^2)``.
    """

    n: int
    scheme: str
    centred: bool
    start: float
    stop: float

    def parameters(self) -> list[tuple[float, float]]:
        """Return (eta, r_s) of each, by increasing r_s or decreasing width.

        Raises
        ------
        ValueError
            If there are too few for the scheme, or the range is empty.
        """
        if self.n == 0:
            return []
        if self.scheme != "imbalzano" and not 0.0 < self.start < self.stop:
            raise ValueError(
                f"start {self.start:g} and stop {self.stop:g} angstrom, expected "
                "0 < start < stop"
            )
        least = 1 if self.scheme == "even" else 3 if self.centred else 2
        if self.n < least:
            raise ValueError(
                f"n {self.n}, scheme {self.scheme} needs at least {least} "
                f"{'centred ' if self.centred else ''}functions"
            )
        scheme = {"even": _even, "gastegger": _gastegger, "imbalzano": _imbalzano}
        return scheme[self.scheme](self)


def _even(g: Gaussians) -> list[tuple[float, float]]:
    step = (g.stop - g.start) / g.n
    grid = [g.start + k * step for k in range(g.n)]
    if g.centred:
        return [(0.5 / w**2, 0.0) for w in reversed(grid)]
    return [(0.5 / step**2, r) for r in grid]


def _gastegger(g: Gaussians) -> list[tuple[float, float]]:
    grid = np.linspace(g.start, g.stop, g.n)
    if g.centred:
        return [(float(0.5 / w**2), 0.0) for w in grid[::-1]]
    return [(float(0.5 / (grid[1] - grid[0]) ** 2), float(r)) for r in grid]


def _imbalzano(g: Gaussians) -> list[tuple[float, float]]:
    if g.centred:
        n = g.n - 1
        return [((n ** (m / n) / g.stop) ** 2, 0.0) for m in range(g.n)]
    grid = [g.stop / g.n ** (m / g.n) for m in range(g.n, -1, -1)]
    return [(1.0 / (b - a) ** 2, a) for a, b in itertools.pairwise(grid)]
