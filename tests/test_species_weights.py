"""Weights that tell species apart, and the size of descriptors of many species."""

from __future__ import annotations

import numpy as np
import pytest

from annpot.descriptors.building import make_descriptor
from annpot.descriptors.species_weights import (
    ELECTRONEGATIVITY,
    PROPERTIES,
    aenet_weights,
    principal_weights,
    property_weights,
)
from annpot.elements import SYMBOLS
from annpot.errors import InputError
from annpot.settings import ChebyshevSettings

ELEVEN = ("H", "Li", "C", "N", "O", "Na", "Al", "Si", "Ti", "Fe", "W")


@pytest.mark.parametrize(
    ("n_species", "weights"),
    [
        (1, [0.0]),
        (2, [-1.0, 1.0]),
        (3, [-1.0, 0.0, 1.0]),
        (4, [-2.0, -1.0, 1.0, 2.0]),
        (5, [-2.0, -1.0, 0.0, 1.0, 2.0]),
    ],
)
def test_weights_are_those_of_aenet(n_species, weights):
    assert aenet_weights(n_species) == weights


PLACES = {
    "H": (1, 1),
    "He": (1, 18),
    "Li": (2, 1),
    "B": (2, 13),
    "O": (2, 16),
    "Mg": (3, 2),
    "Cl": (3, 17),
    "Sc": (4, 3),
    "Ti": (4, 4),
    "Zn": (4, 12),
    "Br": (4, 17),
    "Nb": (5, 5),
    "Cs": (6, 1),
    "Ba": (6, 2),
    "La": (6, 3),
    "Hf": (6, 4),
    "W": (6, 6),
    "Pb": (6, 14),
    "Rn": (6, 18),
    "U": (7, 3 + 3 / 14),
    "Og": (7, 18),
}


@pytest.mark.parametrize(("symbol", "place"), PLACES.items(), ids=PLACES)
def test_places_in_the_periodic_table(symbol, place):
    (period,) = property_weights("period", [symbol])
    (group,) = property_weights("group", [symbol])
    assert (2 * period + 4, 8 * group + 9.5) == pytest.approx(place)


def test_electronegativities():
    assert len(ELECTRONEGATIVITY) == 104
    for symbol, value in {
        "F": 3.98,
        "Cs": 0.79,
        "Au": 2.4,
        "U": 1.7,
        "O": 3.44,
    }.items():
        assert ELECTRONEGATIVITY[SYMBOLS.index(symbol)] == value
        assert property_weights("electronegativity", [symbol]) == [value - 2]


@pytest.mark.parametrize("name", PROPERTIES)
def test_each_element_has_each_property(name):
    weights = property_weights(name, SYMBOLS[1:])
    assert np.isfinite(weights).all()
    assert np.abs(weights).max() < 3


@pytest.mark.parametrize("n_species", [1, 2, 3, 4, 11])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 20])
def test_principal_weights_are_orthogonal(n_species, n_channels):
    weights_ct = np.array(principal_weights(ELEVEN[:n_species], n_channels))
    assert len(weights_ct) == min(n_species, n_channels)
    expected = n_species * np.eye(len(weights_ct))
    np.testing.assert_allclose(weights_ct @ weights_ct.T, expected, atol=1e-9)
    np.testing.assert_allclose(weights_ct[0], 1.0)


def test_principal_weights_tell_similar_species_apart():
    # La to Lu have almost the same properties
    weights_ct = np.array(principal_weights(("Ce", "Pr", "Nd", "Gd"), 2))
    differences = np.diff(np.sort(weights_ct[1]))
    assert differences.min() > 1e-3


def test_weights_follow_the_species_whatever_their_order():
    forward = np.array(principal_weights(ELEVEN, 3))
    backward = np.array(principal_weights(ELEVEN[::-1], 3))
    np.testing.assert_allclose(forward, backward[:, ::-1], atol=1e-9)


def sizes(settings, n_species):
    descriptor = make_descriptor([settings], ELEVEN[:n_species])
    assert len(descriptor.species) == n_species
    return set(descriptor.n_features_s.tolist())


def test_the_size_does_not_grow_from_2_to_11_species():
    for settings in (
        ChebyshevSettings(channels=2, angular={"radial_order": 3}),
        ChebyshevSettings(weights=("electronegativity", "radius")),
        ChebyshevSettings(weights="aenet", angular={"radial_order": "none"}),
    ):
        for n_species in range(2, 12):
            assert sizes(settings, n_species) == sizes(settings, 2)
        # one species has the same weight in all channels: those are dropped
        assert max(sizes(settings, 1)) < max(sizes(settings, 2))


def test_the_default_size_is_bounded():
    found = [max(sizes(ChebyshevSettings(), n)) for n in range(1, 12)]
    # 6 radial functions with 1 and 2 channels, 4 with 3; degrees 0 to 5
    assert found == [12 + 21 * 6, 2 * 12 + 78 * 6, *[3 * 12 + 78 * 6] * 9]


def test_the_size_with_a_channel_for_each_species_grows_linearly():
    settings = ChebyshevSettings(
        weights="species", angular={"mixed": False, "radial_order": 2}
    )
    one = max(sizes(settings, 1))
    assert [max(sizes(settings, n)) for n in range(1, 12)] == [
        n * one for n in range(1, 12)
    ]


def test_weights_may_depend_on_the_central_species():
    settings = ChebyshevSettings(
        weights="aenet",
        angular={"radial_order": "auto", "order": 2},
        central={
            "Ti": {"weights": {"H": 0.5, "Ti": 2.0, "O": -3.0}},
            "O": {"weights": [], "radial": {"order": 4}},
        },
    )
    (part,) = make_descriptor([settings], ("H", "Ti", "O")).parts
    alike = (1.0, 1.0, 1.0)
    assert part.weights_sct == (
        (alike, (-1.0, 0.0, 1.0)),
        (alike, (0.5, 2.0, -3.0)),
        (alike,),
    )
    # each as many functions of both distances as its channels allow
    assert [angular.radial_order for angular in part.angular_s] == [5, 5, 5]
    assert part.n_features_s.tolist() == [2 * 12 + 78 * 3, 2 * 12 + 78 * 3, 5 + 21 * 3]


WRONG = {
    "no weight for O": ({"weights": {"Ti": 1.0}}, "no weight for O"),
    "stranger in weights": (
        {"weights": {"Ti": 1.0, "O": 1.0, "Fe": 2.0}},
        "descriptor.weights: Fe is not among the species Ti, O",
    ),
    "stranger in central": (
        {"central": {"Fe": {}}},
        "descriptor.central: Fe is not among the species Ti, O",
    ),
    "stranger in weights of central": (
        {"central": {"O": {"weights": {"Ti": 1.0, "O": 1.0, "Fe": 2.0}}}},
        r"descriptor.central.O.weights: Fe is not among the species Ti, O",
    ),
    "too many features": (
        {"angular": {"order": 50, "radial_order": 40}},
        "features, expected up to",
    ),
}


def test_the_place_among_several_descriptors_is_told():
    sections = [
        ChebyshevSettings(),
        ChebyshevSettings.model_validate(WRONG["no weight for O"][0]),
    ]
    with pytest.raises(InputError, match=r"descriptor\[1\].weights: no weight for O"):
        make_descriptor(sections, ("Ti", "O"))


@pytest.mark.parametrize(("keys", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_told(keys, message):
    settings = ChebyshevSettings.model_validate(keys)
    with pytest.raises(InputError, match=message):
        make_descriptor([settings], ("Ti", "O"))
