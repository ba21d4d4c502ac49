"""The Chebyshev descriptor: weights, Legendre expansion, names, to and from JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from direct_sum import descriptor_features
from systems import DESCRIPTOR, SYSTEMS, aenet_descriptor, stack_all

from annpot.descriptors import Chebyshev, Descriptor, descriptor_from_dict
from annpot.descriptors.chebyshev import (
    LEGACY,
    MAX_CUTOFF,
    MAX_ORDER,
    Expansion,
    legendre_matrix,
)
from annpot.errors import FileFormatError
from annpot.pairs import find_pairs
from annpot.structures.structure import stack


@pytest.mark.parametrize("order", [0, 1, 2, 7, 20])
def test_legendre_matrix_expands_chebyshev_polynomials(order):
    M_al = legendre_matrix(order)
    assert M_al.shape == (order + 1, order + 1)
    x = np.linspace(-1.0, 1.0, 101)
    P_lx = np.polynomial.legendre.legvander(x, order).T
    T_ax = np.polynomial.chebyshev.chebvander(x, order).T
    np.testing.assert_allclose(M_al @ P_lx, T_ax, rtol=0, atol=2e-14)


@pytest.mark.parametrize("order", [0, 1, 2, 7])
def test_legendre_matrix_of_a_linear_argument(order):
    x = np.linspace(-1.0, 1.0, 101)
    P_lx = np.polynomial.legendre.legvander(x, order).T
    T_ax = np.polynomial.chebyshev.chebvander(2 / np.pi * x - 1, order).T
    M_al = legendre_matrix(order, *LEGACY)
    np.testing.assert_allclose(M_al @ P_lx, T_ax, rtol=0, atol=1e-12 * abs(T_ax).max())


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_argument_of_old_versions_of_aenet(name):
    structure = SYSTEMS[name]
    old = replace(
        DESCRIPTOR.parts[0],
        angular_s=tuple(
            replace(angular, legacy=True) for angular in DESCRIPTOR.parts[0].angular_s
        ),
    )
    descriptor = descriptor_from_dict(json.loads(json.dumps(old.to_dict())))
    assert descriptor == Descriptor((old,))
    batch = stack([structure], descriptor.species)
    features = descriptor.compute_features(batch)
    for atoms, G_nf in zip(
        features.atoms_s, features.blocks(features.G_f), strict=True
    ):
        for i, G_f in zip(atoms, G_nf, strict=True):
            expected_f = descriptor_features(descriptor, structure, i)
            np.testing.assert_allclose(
                G_f, expected_f, rtol=0, atol=1e-11 * abs(expected_f).max(initial=1.0)
            )


def test_legendre_matrix_agrees_with_numpy():
    M_al = legendre_matrix(12)
    for a in range(13):
        power = np.polynomial.chebyshev.cheb2poly([0] * a + [1])
        expected = np.polynomial.legendre.poly2leg(power)
        np.testing.assert_allclose(M_al[a, : a + 1], expected, rtol=0, atol=1e-11)
        assert not M_al[a, a + 1 :].any()
        # exact zeros: the kernel skips these
        assert not M_al[a, 1 - a % 2 :: 2].any()


def test_cutoffs_are_the_shells_of_the_pair_list():
    assert DESCRIPTOR.cutoffs == (3.4, 3.7, 4.0, 4.2)
    absent = aenet_descriptor(
        ("Ti",), (Expansion(2, 5.0),), (Expansion(-1, 7.0),), ((0.0,),)
    )
    assert absent.cutoffs == (5.0,)


def test_labels_name_each_feature():
    for symbol, n_features in zip(
        DESCRIPTOR.species, DESCRIPTOR.n_features_s, strict=True
    ):
        labels = DESCRIPTOR.labels(symbol)
        assert len(set(labels)) == len(labels) == n_features
    labels = DESCRIPTOR.labels("O")
    assert labels[0] == "radial 0"
    assert labels[4:6] == ["radial 4", "angular 0"]
    assert labels[8:10] == ["angular 3", "radial 0 weighted"]
    assert labels[-1] == "angular 3 weighted"


RESOLVED = Descriptor(
    (
        Chebyshev(
            ("Ti", "O"),
            (Expansion(3, 4.0), Expansion(2, 3.5)),
            (Expansion(2, 4.0, 1), Expansion(1, 3.0, 2)),
            (((1.0, 1.0), (0.5, -2.0)),) * 2,
        ),
    )
)
SEVERAL = Descriptor((*DESCRIPTOR.parts, *RESOLVED.parts))


@pytest.mark.parametrize("descriptor", [DESCRIPTOR, RESOLVED, SEVERAL])
def test_round_trip_through_json(descriptor):
    recipe = json.loads(json.dumps(descriptor.to_dict()))
    assert descriptor_from_dict(recipe) == descriptor


def test_labels_of_a_resolved_part():
    labels = RESOLVED.labels("Ti")
    # 4 channels: 2 radial functions for each of 2 species weights; 10 products, l <= 2
    assert len(set(labels)) == len(labels) == RESOLVED.n_features_s[0] == 2 * 4 + 30
    assert labels[8:11] == [f"angular {k} of 0, 0" for k in range(3)]
    assert labels[-1] == "angular 2 of 1 weighted, 1 weighted"


@pytest.mark.parametrize("name", SYSTEMS)
def test_one_function_of_the_distance_spans_the_space_of_aenet_s(name):
    structure = SYSTEMS[name]
    batch = stack([replace(structure, symbols=("Ti",) * len(structure))], ("Ti",))
    angular = []
    for radial_order in (None, 0):
        expansions = (Expansion(-1, 3.5),), (Expansion(4, 3.5, radial_order),)
        descriptor = Descriptor((Chebyshev(("Ti",), *expansions, (((1.0,),),)),))
        neighbours = find_pairs(batch, descriptor.cutoffs)
        angular.append(descriptor.compute_features(batch, neighbours).G_f)
    aenet_na, resolved_nl = (G_f.reshape(-1, 5) for G_f in angular)
    np.testing.assert_allclose(
        aenet_na, resolved_nl @ legendre_matrix(4).T, rtol=1e-12, atol=1e-12
    )


def test_labels_that_several_parts_have_tell_the_part():
    labels = SEVERAL.labels("O")
    assert len(set(labels)) == len(labels) == SEVERAL.n_features_s[1]
    assert labels[:2] == ["radial 0 part=0", "radial 1 part=0"]
    assert labels[4] == "radial 4"
    assert "radial 0 part=1" in labels


def test_parts_must_agree_on_the_species():
    other = Chebyshev(
        ("O", "Ti"), (Expansion(1, 3.0),) * 2, (Expansion(1, 3.0),) * 2, ((),) * 2
    )
    parts = [DESCRIPTOR.to_dict(), other.to_dict()]
    with pytest.raises(FileFormatError):
        descriptor_from_dict({"type": "concatenation", "parts": parts})
    for parts in ([], None, [3], [DESCRIPTOR.to_dict()] * 1000):
        with pytest.raises(FileFormatError):
            descriptor_from_dict({"type": "concatenation", "parts": parts})


def test_sets_of_the_first_format_have_aenet_s_channels():
    recipe = DESCRIPTOR.to_dict()
    del recipe["mixed"]
    for central in recipe["central"].values():
        del central["angular"]["radial_order"]
        central["weights"] = central.pop("channels")[1]
    assert descriptor_from_dict(recipe) == DESCRIPTOR


BAD = {
    "order too high": ("radial", "order", MAX_ORDER + 1),
    "order -2": ("radial", "order", -2),
    "order 1.5": ("angular", "order", 1.5),
    "order true": ("angular", "order", True),
    "order text": ("angular", "order", "4"),
    "cutoff 0": ("angular", "cutoff", 0.0),
    "cutoff negative": ("radial", "cutoff", -3.0),
    "cutoff too long": ("radial", "cutoff", 2 * MAX_CUTOFF),
    "cutoff nan": ("radial", "cutoff", float("nan")),
    "cutoff text": ("radial", "cutoff", "wide"),
    "cutoff null": ("radial", "cutoff", None),
    "radial order -1": ("angular", "radial_order", -1),
    "radial order text": ("angular", "radial_order", "2"),
    "legacy text": ("angular", "legacy", "yes"),
    "too many features": ("angular", "radial_order", 99),
    "weight nan": ("channels", 1, {"Ti": 1.0, "O": float("nan")}),
    "weight infinite": ("channels", 1, {"Ti": 1.0, "O": float("inf")}),
    "weight list": ("channels", 1, {"Ti": 1.0, "O": [1.0]}),
    "channel without O": ("channels", 1, {"Ti": 1.0}),
}


@pytest.mark.parametrize(("part", "key", "value"), BAD.values(), ids=BAD)
def test_a_bad_value_is_an_error_of_the_file(part, key, value):
    recipe = DESCRIPTOR.to_dict()
    recipe["central"]["Ti"][part][key] = value
    with pytest.raises(FileFormatError, match="malformed Chebyshev descriptor"):
        descriptor_from_dict(recipe)


@pytest.mark.parametrize("part", ["radial", "angular", "channels"])
def test_a_part_that_is_missing_is_an_error_of_the_file(part):
    recipe = DESCRIPTOR.to_dict()
    del recipe["central"]["Ti"][part]
    with pytest.raises(
        FileFormatError, match="weights" if part == "channels" else part
    ):
        descriptor_from_dict(recipe)


@pytest.mark.parametrize("central", [None, 3, "Ti", [], {"Ti": None}, {"Ti": 1.0}, {}])
def test_a_recipe_of_another_shape_is_an_error_of_the_file(central):
    with pytest.raises(FileFormatError):
        descriptor_from_dict({"type": "chebyshev", "central": central})


@pytest.mark.parametrize("kind", [None, "behlar", "Chebyshev", 7, ["chebyshev"], {}])
def test_an_unknown_type_is_an_error_of_the_file(kind):
    with pytest.raises(FileFormatError, match="unknown"):
        descriptor_from_dict({"type": kind})


def test_distances_alone():
    """Also in the form of aenet, whose angular part is that without radial order."""
    (part,) = DESCRIPTOR.parts
    nothing = tuple(replace(a, order=-1) for a in part.angular_s)
    alone = Descriptor((replace(part, angular_s=nothing),))
    batch = stack_all()
    features, expected = (
        descriptor.compute_features(batch) for descriptor in (alone, DESCRIPTOR)
    )
    for s, symbol in enumerate(alone.species):
        labels = DESCRIPTOR.labels(symbol)
        columns = [n for n, label in enumerate(labels) if label.startswith("radial")]
        np.testing.assert_allclose(
            features.blocks(features.G_f)[s],
            expected.blocks(expected.G_f)[s][:, columns],
            rtol=1e-13,
        )


def test_features_in_words():
    one_hot = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, -1.0), (0.2, 0.7))
    resolved = Chebyshev(
        ("Ti", "O"),
        (Expansion(1, 4.0),) * 2,
        (Expansion(2, 4.0, 1), Expansion(-1, 4.0, 1)),
        (one_hot, one_hot[1:2]),
    )
    words = resolved.words("Ti")
    assert len(words) == len(resolved.labels("Ti")) == len(set(words))
    assert words[:3] == [
        "radial order 0 of the Ti-Ti channel",
        "radial order 1 of the Ti-Ti channel",
        "radial order 0 of the Ti-O channel",
    ]
    assert words[4] == "radial order 0 of the unweighted channel"
    assert words[6] == "radial order 0 of the weighted-3 channel"
    by_label = dict(zip(resolved.labels("Ti"), words, strict=True))
    assert by_label["angular 2 of 0, 1"] == "angular l=2 n=0,1 of the Ti-Ti channel"
    assert by_label["angular 1 of 1 weighted-1, 0 weighted-4"] == (
        "angular l=1 n=1,0 of the Ti-O and weighted-4 channels"
    )
    assert resolved.words("O") == [
        "radial order 0 of the O-O channel",
        "radial order 1 of the O-O channel",
    ]
    plain = DESCRIPTOR.words("O")
    assert plain[0] == "radial order 0 of the unweighted channel"
    assert plain[-1].startswith("angular order ")
    assert plain[-1].endswith(" of the weighted channel")
    both = Descriptor((resolved, resolved)).words("O")
    assert both[2] == "radial order 0 of the O-O channel in descriptor[1]"
