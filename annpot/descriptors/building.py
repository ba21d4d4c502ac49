"""Settings of the descriptor -> the descriptor for given species."""

from __future__ import annotations

from collections.abc import Sequence

from annpot.descriptors.base import Descriptor, Part
from annpot.descriptors.behler_sets import make_behler
from annpot.descriptors.chebyshev import Chebyshev, Expansion
from annpot.descriptors.species_weights import (
    check_known,
    principal_weights,
    property_weights,
)
from annpot.errors import SettingsError
from annpot.settings import AngularSettings, ChebyshevSettings, DescriptorSettings
from annpot.settings.chebyshev import SpeciesWeights

FUNCTIONS, MAX_RADIAL = 12, 6
"""Radial order 'auto': that many functions in all channels, and in one at most."""


def make_descriptor(
    sections: Sequence[DescriptorSettings], species: tuple[str, ...]
) -> Descriptor:
    """Return the descriptor of the settings for the given species.

    Raises
    ------
    SettingsError
        If the settings name a species that is not there, or leave out a weight.
    """
    several = len(sections) > 1
    return Descriptor(
        tuple(
            _make_part(
                section, species, f"descriptor[{n}]" if several else "descriptor"
            )
            for n, section in enumerate(sections)
        )
    )


def _make_part(
    section: DescriptorSettings, species: tuple[str, ...], where: str
) -> Part:
    if isinstance(section, ChebyshevSettings):
        return make_chebyshev(section, species, where)
    return make_behler(section, species, where)


def make_chebyshev(
    settings: ChebyshevSettings, species: tuple[str, ...], where: str = "descriptor"
) -> Chebyshev:
    """Return the Chebyshev part of some settings.

    Parameters
    ----------
    where
        Path of the settings, for messages.

    Raises
    ------
    SettingsError
        If the settings name a species that is not there, leave out a weight, or ask
        for too many features.
    """
    check_known(list(settings.central), species, f"{where}.central")
    parts = [settings.parts(symbol) for symbol in species]
    common = _channels(settings, species, where)
    weights_sct = tuple(
        _channels_around(symbol, settings, species, where) or common
        for symbol in species
    )
    part = Chebyshev(
        species=species,
        radial_s=tuple(Expansion(radial.order, radial.cutoff) for radial, _ in parts),
        angular_s=tuple(
            _angular(angular, len(channels))
            for (_, angular), channels in zip(parts, weights_sct, strict=True)
        ),
        weights_sct=weights_sct,
        mixed=settings.angular.mixed,
    )
    try:
        part.check_size()
    except ValueError as error:
        raise SettingsError(
            where,
            f"{error}: lower angular.order or angular.radial_order, or set "
            "angular.mixed to false",
        ) from None
    return part


def _angular(settings: AngularSettings, n_channels: int) -> Expansion:
    radial_order: int | None
    if settings.radial_order == "none":
        radial_order = None
    elif settings.radial_order == "auto":
        radial_order = max(0, min(FUNCTIONS // n_channels, MAX_RADIAL) - 1)
    else:
        radial_order = settings.radial_order
    return Expansion(settings.order, settings.cutoff, radial_order)


Channels = tuple[tuple[float, ...], ...]
"""Weight of each species in each channel."""


def _channels_around(
    symbol: str, settings: ChebyshevSettings, species: tuple[str, ...], where: str
) -> Channels | None:
    """Return the channels of one central species, if it has its own."""
    override = settings.central.get(symbol)
    if override is None or override.weights is None:
        return None
    return _given_channels(override.weights, species, f"{where}.central.{symbol}")


def _channels(
    settings: ChebyshevSettings, species: tuple[str, ...], where: str
) -> Channels:
    if settings.weights == "auto":
        rows = principal_weights(species, settings.channels)
        return tuple(map(tuple, rows))
    if settings.weights == "species":
        return tuple(
            tuple(float(s == t) for t in range(len(species)))
            for s in range(len(species))
        )
    return _given_channels(settings.weights, species, where)


def _given_channels(
    given: Sequence[SpeciesWeights], species: tuple[str, ...], where: str
) -> Channels:
    """Return a channel of all species alike, and those of the weights."""
    channels = [(1.0,) * len(species)]
    for weights in given:
        if isinstance(weights, str):
            channels.append(tuple(property_weights(weights, species)))
            continue
        check_known(list(weights), species, f"{where}.weights")
        missing = [symbol for symbol in species if symbol not in weights]
        if missing:
            raise SettingsError(
                f"{where}.weights",
                f"no weight for {', '.join(missing)}, expected one for each species",
            )
        channels.append(tuple(float(weights[symbol]) for symbol in species))
    # of a single species all channels are the same
    return tuple(channels[: len(species)]) if len(species) == 1 else tuple(channels)
