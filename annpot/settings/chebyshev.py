"""Settings of the Chebyshev descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from annpot.settings.section import Section
from annpot.settings.values import Count, Float, Order, Radius, Symbol, as_items

SpeciesWeights = (
    Literal["electronegativity", "radius", "period", "group", "number", "aenet"]
    | Mapping[Symbol, Float]
)


class RadialSettings(Section):
    """The radial features: distances from an atom to its neighbours."""

    order: Order = 11
    """Highest order of the Chebyshev polynomials, so order + 1 of them."""
    cutoff: Radius = 5.5
    """Radius in angstrom within which neighbours count."""


class AngularSettings(Section):
    """The angular features: two neighbours and the angle between them."""

    order: Order = 5
    """Highest order of the polynomials of the angle, so order + 1 of them."""
    cutoff: Radius = 5.5
    """Radius in angstrom within which neighbours count."""
    radial_order: Order | Literal["auto", "none"] = "auto"
    """Highest order of the Chebyshev polynomials of both distances; 'auto': 5 with one
    or two channels of species, 3 with three, 2 with four; 'none': angles alone, exactly
    as aenet."""
    mixed: bool = True
    """Combine neighbours that are weighted differently, which tells species apart
    better; their number grows with the square of that of the channels."""


class RadialOverride(Section):
    """What differs for one central species; what is left out is inherited."""

    order: Order | None = Field(default=None, examples=[10])
    """Highest order of the Chebyshev polynomials; null: as for all species."""
    cutoff: Radius | None = Field(default=None, examples=[5.0])
    """Radius in angstrom within which neighbours count; null: as for all species."""


class AngularOverride(RadialOverride):
    """What differs for one central species; what is left out is inherited."""

    radial_order: Order | Literal["auto", "none"] | None = Field(
        default=None, examples=[2]
    )
    """Highest order of the polynomials of the distances; null: as for all species."""


class CentralOverride(Section):
    """The descriptor of atoms of one species, where it differs from the others'."""

    radial: RadialOverride = RadialOverride()
    """What differs in descriptor.radial."""
    angular: AngularOverride = AngularOverride()
    """What differs in descriptor.angular."""
    weights: Annotated[tuple[SpeciesWeights, ...], as_items] | None = Field(
        default=None, examples=[[{"Ti": 1.0, "O": -1.0}]]
    )
    """Replaces descriptor.weights."""


class ChebyshevSettings(Section):
    """Distances and angles in Chebyshev polynomials.

    Once with all species alike, and again with each species weighted: the size does not
    grow with their number. doi:10.1103/PhysRevB.96.014112
    """

    type: Literal["chebyshev"] = "chebyshev"
    """Kind of descriptor."""
    radial: RadialSettings = RadialSettings()
    """The radial features."""
    angular: AngularSettings = AngularSettings()
    """The angular features."""
    weights: (
        Literal["auto", "species"] | Annotated[tuple[SpeciesWeights, ...], as_items]
    ) = "auto"
    """Weights of the neighbours' species, beside all alike: 'auto' for those that tell
    them apart best by their chemistry; one or a list of channels, each a property or a
    mapping from symbol to number; 'species' for a channel for each species instead,
    whose number grows."""
    channels: Count = Field(default=3, le=120)
    """Largest number of channels with weights 'auto', that of all alike included."""
    central: Mapping[Symbol, CentralOverride] = Field(
        default={}, examples=[{"O": {"radial": {"cutoff": 5.0}}}]
    )
    """Other orders, cutoffs or weights for atoms of some species."""

    def parts(self, symbol: str) -> tuple[RadialSettings, AngularSettings]:
        """Return the radial and angular settings of central species ``symbol``."""
        override = self.central.get(symbol, CentralOverride())
        radial = override.radial.model_dump(exclude_none=True)
        angular = override.angular.model_dump(exclude_none=True)
        return (
            self.radial.model_copy(update=radial),
            self.angular.model_copy(update=angular),
        )
