"""Settings of symmetry functions: sets that are generated, and single functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from annpot.settings.section import Section
from annpot.settings.values import Float, Order, Radius, Share, Symbol

CutoffFunction = Literal[
    "hard", "cosine", "tanh", "scaled tanh", "exponential",
    "poly1", "poly2", "poly3", "poly4",
    0, 1, 2, 3, 4, 5, 6, 7, 8,
]  # fmt: skip
FunctionType = Literal[
    "G1", "G2", "G3", "G4", "G5", "G12", "G13",
    "G20", "G21", "G22", "G23", "G24", "G25",
    2, 3, 9, 12, 13, 20, 21, 22, 23, 24, 25,
]  # fmt: skip
Core = Literal["e", "p1", "p2", "p3", "p4", "p1a", "p2a", "p3a", "p4a"]
Scheme = Literal["even", "gastegger", "imbalzano"]


class SetSettings(Section):
    """Gaussians of the distance."""

    model_config = ConfigDict(serialize_by_alias=True)

    scheme: Scheme = "even"
    """How they cover the distances: in equal steps; as M. Gastegger et al.,
    doi:10.1063/1.5019667; or as G. Imbalzano et al., doi:10.1063/1.5024611."""
    stop: Radius | None = Field(default=None, examples=[6.0])
    """Distance in angstrom where they end; null: the cutoff."""
    cutoff: Radius | None = Field(default=None, examples=[6.5])
    """Radius in angstrom within which neighbours count; null: descriptor.cutoff."""
    weighted: bool = False
    """One function for all species of neighbours, weighted by their atomic numbers,
    instead of one for each species."""


class RadialSetSettings(SetSettings):
    """A generated set of radial functions, for each species of neighbours."""

    n: Order = 8
    """Number of Gaussians; 0: none."""
    start: Radius = 1.0
    """Distance in angstrom where they begin; not used by scheme imbalzano."""
    centred: bool = False
    """Gaussians of different widths, all centred at the atom."""


class AngularSetSettings(SetSettings):
    """A generated set of angular functions, for each pair of species of neighbours."""

    n: Order = 3
    """Number of Gaussians of the distance; 0: none."""
    start: Radius = 1.5
    """Distance in angstrom where they begin; not used by scheme imbalzano."""
    centred: bool = True
    """Gaussians of different widths, all centred at the atom."""
    type: Literal["wide", "narrow"] = "wide"
    """Wide (G5): whatever the distance between both neighbours, which costs little.
    Narrow (G4): only neighbours that are close to each other as well."""
    zeta: tuple[Float, ...] = Field(default=(1.0, 3.0, 8.0), min_length=1)
    """Exponents of the angular factor, 1 or more: the larger, the sharper."""
    lambda_: tuple[Float, ...] = Field(
        default=(-1.0, 1.0), min_length=1, alias="lambda"
    )
    """Where the angular factor is largest: 1 at 0 degrees, -1 at 180 degrees."""


class FunctionSettings(Section):
    """One symmetry function; which keys it needs depends on its type."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: FunctionType = Field(examples=["G2"])
    """Type of the function: a name, G1 to G5 as in aenet, or n2p2's number."""
    neighbours: tuple[Symbol, ...] | None = Field(default=None, examples=[["Ti", "O"]])
    """Species of the neighbours, one or two; null: a function for each."""
    neighbour: Symbol | None = Field(default=None, examples=["O"])
    """Species of the neighbours of a radial function."""
    cutoff: Radius | None = Field(default=None, examples=[6.5])
    """Radius in angstrom within which neighbours count; null: descriptor.cutoff."""
    cutoff_function: CutoffFunction | None = Field(default=None, examples=["cosine"])
    """Name or n2p2's number; null: descriptor.cutoff_function."""
    alpha: Share | None = Field(default=None, examples=[0.0])
    """Share of the radius within which the cutoff function is 1; null:
    descriptor.alpha."""
    eta: Float | None = Field(default=None, examples=[0.5])
    """Of the Gaussian, 1/angstrom^2."""
    r_s: Float | None = Field(default=None, examples=[1.0])
    """Centre of the Gaussian in angstrom; null: 0."""
    kappa: Float | None = Field(default=None, examples=[1.5])
    """Of the cosine of G3, 1/angstrom."""
    lambda_: Float | None = Field(default=None, alias="lambda", examples=[1.0])
    """Where an angular function is largest: 1 at 0 degrees, -1 at 180 degrees."""
    zeta: Float | None = Field(default=None, examples=[4.0])
    """Exponent of the angular factor, 1 or more."""
    r_low: Float | None = Field(default=None, examples=[-6.5])
    """Where a compact function begins, angstrom; null: at minus the cutoff, so that it
    is largest at the atom."""
    theta_low: Float | None = Field(default=None, examples=[60.0])
    """Angle where a compact function begins, degrees."""
    theta_high: Float | None = Field(default=None, examples=[160.0])
    """Angle where a compact function ends, degrees."""
    core: Core | None = Field(default=None, examples=["p2"])
    """Shape of a compact function."""


class BehlerOverride(Section):
    """The functions of atoms of one species, where they differ from the others'."""

    radial: RadialSetSettings | None = None
    """Replaces what is given here of descriptor.radial; the rest is as there."""
    angular: AngularSetSettings | None = None
    """Replaces what is given here of descriptor.angular; the rest is as there."""
    functions: tuple[FunctionSettings, ...] | None = Field(
        default=None, examples=[[{"type": "G2", "eta": 0.5}]]
    )
    """Replaces descriptor.functions."""


class BehlerSettings(Section):
    """Symmetry functions of J. Behler and M. Parrinello, doi:10.1063/1.3553717."""

    type: Literal["behler"] = "behler"
    """Kind of descriptor."""
    cutoff: Radius = 6.5
    """Radius in angstrom within which neighbours count."""
    cutoff_function: CutoffFunction = "cosine"
    """Function that goes from 1 to 0 at the cutoff: a name, or n2p2's number."""
    alpha: Share = 0.0
    """Share of the radius within which the cutoff function is 1."""
    radial: RadialSetSettings | None = None
    """A set of radial functions; null: the set of the defaults, unless there are
    functions."""
    angular: AngularSetSettings | None = None
    """A set of angular functions; null: the set of the defaults, unless there are
    functions."""
    functions: tuple[FunctionSettings, ...] = ()
    """Single functions, besides the sets."""
    central: Mapping[Symbol, BehlerOverride] = Field(
        default={}, examples=[{"O": {"radial": {"n": 6}}}]
    )
    """Other functions for atoms of some species."""
