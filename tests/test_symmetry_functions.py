"""Symmetry functions: recipes, order, generated sets, settings, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from annpot.descriptors.behler import MAX_FUNCTIONS, Behler, power_coefficients
from annpot.descriptors.behler_sets import make_behler
from annpot.descriptors.building import make_descriptor
from annpot.descriptors.symmetry_functions import (
    CORES,
    CUTOFF_FUNCTIONS,
    KINDS,
    NAMES,
    Gaussians,
    SymmetryFunction,
    sort_functions,
)
from annpot.errors import FileFormatError, InputError
from annpot.settings.behler import (
    BehlerSettings,
    Core,
    CutoffFunction,
    FunctionSettings,
    FunctionType,
)

SPECIES = ("Ti", "O")

ANGLE = {"eta": 0.1, "lambda": -1.0, "zeta": 4.0, "cutoff": 5.0}
COMPACT = {"core": "p2a", "theta_low": 20.0, "theta_high": 130.0, "cutoff": 5.0}

RECIPES = {
    "G1": {"neighbours": ["O"], "cutoff": 5.0},
    "G2": {"neighbours": ["O"], "eta": 0.5, "r_s": 1.0, "cutoff": 5.0},
    "G3": {"neighbours": ["O"], "kappa": 1.5, "cutoff": 5.0, "alpha": 0.2},
    "G4": {"neighbours": ["O", "Ti"], **ANGLE},
    "G5": {"neighbours": ["O", "Ti"], **ANGLE, "cutoff_function": "poly2"},
    "G12": {"eta": 0.5, "cutoff": 5.0},
    "G13": ANGLE,
    "G20": {"neighbours": ["O"], "core": "e", "r_low": 1.0, "cutoff": 5.0},
    "G21": {"neighbours": ["O", "O"], **COMPACT},
    "G22": {"neighbours": ["O", "O"], **COMPACT, "r_low": 0.5},
    "G23": {"core": "p1", "cutoff": 5.0},
    "G24": COMPACT,
    "G25": {**COMPACT, "theta_low": -120.0, "theta_high": 120.0},
}


def make(kind, **changes):
    recipe = {"type": kind, **RECIPES[kind], **changes}
    return SymmetryFunction.from_dict(
        {key: value for key, value in recipe.items() if value is not None}
    )


# Functions.


def test_settings_know_the_same_words():
    assert get_args(FunctionType) == (*KINDS, *NAMES)
    assert get_args(Core) == CORES
    numbers = tuple(range(len(CUTOFF_FUNCTIONS)))
    assert get_args(CutoffFunction) == (*CUTOFF_FUNCTIONS, *numbers)


def test_each_type_is_tested():
    assert set(RECIPES) == set(KINDS)


@pytest.mark.parametrize("kind", RECIPES)
def test_round_trip(kind):
    function = make(kind)
    recipe = json.loads(json.dumps(function.to_dict()))
    assert SymmetryFunction.from_dict(recipe) == function
    assert recipe["type"] == kind


def test_labels():
    assert make("G2").label == "G2 O eta=0.5 r_s=1 cutoff=5"
    assert make("G5").label == ("G5 O-Ti eta=0.1 r_s=0 lambda=-1 zeta=4 cutoff=5 poly2")
    assert make("G25").label == (
        "G25 r_low=-5 cutoff=5 theta_low=-120 theta_high=120 p2a"
    )
    assert make("G3").label == "G3 O kappa=1.5 cutoff=5 alpha=0.2"


def test_numbers_of_n2p2_are_names_too():
    for number, name in NAMES.items():
        recipe = {"type": number, **RECIPES[name]}
        assert SymmetryFunction.from_dict(recipe) == make(name)


def test_pairs_are_unordered():
    assert make("G4", neighbours=["Ti", "O"]) == make("G4")
    assert make("G4").neighbours == ("O", "Ti")


WRONG = {
    "unknown type": (
        {"type": "G6"},
        "type 'G6' is unknown, expected one of G1, G2,",
    ),
    "number of no type": ({"type": 5}, "type 5 is unknown"),
    "no type": ({"eta": 1.0}, "type None is unknown"),
    "missing": ({"type": "G2", "cutoff": 5.0}, "type G2 needs eta and neighbours"),
    "unknown": (
        {"type": "G2", **RECIPES["G2"], "zeta": 1.0},
        "type G2 takes no zeta, expected alpha, cutoff, cutoff_function, eta, ",
    ),
    "compact with cutoff function": (
        {"type": "G20", **RECIPES["G20"], "alpha": 0.0},
        "type G20 takes no alpha",
    ),
    "zeta": (
        {"type": "G4", **RECIPES["G4"], "zeta": 0.5},
        "zeta 0.5, expected 1 to 1000",
    ),
    "eta": (
        {"type": "G2", **RECIPES["G2"], "eta": -1.0},
        "eta -1.0, expected 0 to 1e+06",
    ),
    "not finite": (
        {"type": "G2", **RECIPES["G2"], "eta": float("nan")},
        "eta nan, expected",
    ),
    "infinite": (
        {"type": "G2", **RECIPES["G2"], "r_s": float("inf")},
        "r_s inf, expected",
    ),
    "no number": (
        {"type": "G2", **RECIPES["G2"], "eta": "1"},
        "eta '1', expected a number",
    ),
    "truth value": ({"type": "G2", **RECIPES["G2"], "eta": True}, "eta True, expected"),
    "cutoff": (
        {"type": "G2", **RECIPES["G2"], "cutoff": 0.0},
        "cutoff 0.0, expected 0.001 to 100",
    ),
    "cutoff function": (
        {"type": "G2", **RECIPES["G2"], "cutoff_function": "cos"},
        "cutoff_function 'cos', expected one of hard, cosine",
    ),
    "core": ({"type": "G23", "cutoff": 5.0, "core": ["p1"]}, "core ['p1'], expected"),
    "neighbours": (
        {"type": "G4", **RECIPES["G4"], "neighbours": ["O"]},
        "neighbours ['O'], type G4 expects a list of 2",
    ),
    "element": (
        {"type": "G2", **RECIPES["G2"], "neighbours": ["X"]},
        "neighbours: 'X' is not a chemical element",
    ),
    "interval": (
        {"type": "G20", **RECIPES["G20"], "r_low": 5.0},
        "r_low 5, expected less than the cutoff 5",
    ),
    "angles": (
        {"type": "G24", **COMPACT, "theta_low": 130.0},
        "theta_low 130 and theta_high 130, expected the lower first, at most 360",
    ),
    "not symmetric about 0": (
        {"type": "G24", **COMPACT, "theta_low": -20.0},
        "or an interval that is symmetric about 0 or 180",
    ),
    "not symmetric about 180": (
        {"type": "G24", **COMPACT, "theta_high": 200.0},
        "or an interval that is symmetric about 0 or 180",
    ),
}


@pytest.mark.parametrize(("recipe", "message"), WRONG.values(), ids=WRONG)
def test_wrong_recipes(recipe, message):
    with pytest.raises(ValueError, match=r"\w") as caught:
        SymmetryFunction.from_dict(recipe)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Order.


def test_order_is_that_of_n2p2():
    ordered = [
        make("G1"),
        make("G2", cutoff=4.0, eta=9.0),
        make("G2", eta=0.1, r_s=2.0),
        make("G2", eta=0.5, neighbours=["O"]),
        make("G2", eta=0.5, neighbours=["Ti"]),
        make("G2", eta=0.5, r_s=2.0, neighbours=["O"]),
        make("G3"),
        make("G4", **{"lambda": -1.0}),
        make("G4", **{"lambda": 1.0}),
        make("G4", zeta=8.0, neighbours=["O", "O"]),
        make("G4", zeta=8.0, neighbours=["O", "Ti"]),
        make("G5"),
        make("G12"),
        make("G20", core="e"),
        make("G20", core="p1", neighbours=["O"], cutoff=4.0, r_low=2.0),
        make("G20", core="p1", neighbours=["O"], cutoff=6.0, r_low=1.0),
        make("G20", core="p1", neighbours=["Ti"], cutoff=4.0, r_low=1.0),
        make("G22", theta_low=0.0, theta_high=170.0),
        make("G22", theta_low=10.0, theta_high=90.0),
        make("G22", theta_low=10.0, theta_high=120.0),
    ]
    shuffled = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))]
    assert sort_functions(shuffled) == ordered


# Angular factor.


@pytest.mark.parametrize("lambda_", [-1.0, 1.0, 0.5, 0.0])
@pytest.mark.parametrize("zeta", [1, 2, 3, 8, 16, 64])
def test_power_coefficients(zeta, lambda_):
    x = np.linspace(-1.0, 1.0, 201)
    found = np.polynomial.legendre.legval(x, power_coefficients(zeta, lambda_))
    expected = 2.0 ** (1 - zeta) * (1 + lambda_ * x) ** zeta
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-15)


# Generated sets.


def test_even_gaussians_touch():
    gaussians = Gaussians(8, "even", False, 1.0, 5.0).parameters()
    assert [r_s for _, r_s in gaussians] == [1.0 + 0.5 * k for k in range(8)]
    assert {eta for eta, _ in gaussians} == {2.0}  # as wide as the step
    centred = Gaussians(2, "even", True, 1.0, 7.0).parameters()
    np.testing.assert_allclose(centred, [(1 / 32, 0.0), (1 / 2, 0.0)])


def test_gastegger():
    centred = Gaussians(3, "gastegger", True, 1.0, 5.0).parameters()
    np.testing.assert_allclose(centred, [(1 / 50, 0), (1 / 18, 0), (1 / 2, 0)])
    shifted = Gaussians(3, "gastegger", False, 1.0, 5.0).parameters()
    np.testing.assert_allclose(shifted, [(1 / 8, 1), (1 / 8, 3), (1 / 8, 5)])


def test_imbalzano():
    centred = Gaussians(5, "imbalzano", True, 1.0, 6.0).parameters()
    expected = [(4 ** (m / 4) / 6.0) ** 2 for m in range(5)]
    np.testing.assert_allclose([eta for eta, _ in centred], expected)
    shifted = Gaussians(4, "imbalzano", False, 1.0, 6.0).parameters()
    grid = [6.0 / 4 ** (m / 4) for m in range(5)]
    assert [r for _, r in shifted] == grid[:0:-1]
    for (eta, r), above in zip(shifted, grid[-2::-1], strict=True):
        assert eta == pytest.approx(1 / (above - r) ** 2)


@pytest.mark.parametrize(
    ("set_", "message"),
    [
        (Gaussians(1, "gastegger", False, 1.0, 5.0), "needs at least 2 functions"),
        (Gaussians(2, "imbalzano", True, 1.0, 5.0), "needs at least 3 centred"),
        (Gaussians(4, "even", False, 6.0, 5.0), "expected 0 < start < stop"),
    ],
)
def test_wrong_sets(set_, message):
    with pytest.raises(ValueError, match=message):
        set_.parameters()


# Settings.


def resolve(**settings):
    return make_behler(BehlerSettings.model_validate(settings), SPECIES)


def test_default_set():
    part = resolve()
    for symbol in SPECIES:
        labels = part.labels(symbol)
        assert 50 <= len(labels) <= 70
        assert len(set(labels)) == len(labels)
        assert {label.split()[0] for label in labels} == {"G2", "G5"}
    assert part.cutoffs == (6.5,)
    assert sort_functions(part.functions_s[0]) == list(part.functions_s[0])


def test_one_species_and_many():
    assert len(make_behler(BehlerSettings(), ("Si",)).functions_s[0]) < 30
    weighted = BehlerSettings.model_validate(
        {"radial": {"weighted": True}, "angular": {"weighted": True, "type": "narrow"}}
    )
    sizes = {
        int(make_behler(weighted, species).n_features_s[0])
        for species in (("Si",), ("Nb", "Mo", "Ta", "W"))
    }
    assert len(sizes) == 1


def test_functions_are_for_all_neighbours_or_some():
    part = resolve(
        cutoff=5.0,
        cutoff_function=6,
        alpha=0.1,
        functions=[
            {"type": "G2", "eta": 0.5},
            {"type": 2, "eta": 0.7, "neighbour": "O", "cutoff": 4.0},
            {"type": 9, "eta": 0.1, "lambda": 1, "zeta": 2},
            {"type": 3, "neighbours": ["Ti", "O"], "eta": 0.1, "lambda": 1, "zeta": 2},
            {"type": 12, "eta": 0.5, "cutoff_function": "tanh"},
            {"type": 20, "core": "p2", "neighbour": "Ti"},
        ],
    )
    end = "cutoff=5 poly2 alpha=0.1"
    assert part.labels("O") == [
        "G2 O eta=0.7 r_s=0 cutoff=4 poly2 alpha=0.1",
        f"G2 O eta=0.5 r_s=0 {end}",
        f"G2 Ti eta=0.5 r_s=0 {end}",
        f"G4 O-Ti eta=0.1 r_s=0 lambda=1 zeta=2 {end}",
        f"G5 O-O eta=0.1 r_s=0 lambda=1 zeta=2 {end}",
        f"G5 O-Ti eta=0.1 r_s=0 lambda=1 zeta=2 {end}",
        f"G5 Ti-Ti eta=0.1 r_s=0 lambda=1 zeta=2 {end}",
        "G12 eta=0.5 r_s=0 cutoff=5 tanh alpha=0.1",
        "G20 Ti r_low=-5 cutoff=5 p2",
    ]
    assert part.labels("Ti") == part.labels("O")


def test_sets_besides_functions_must_be_asked_for():
    functions = [{"type": "G2", "eta": 0.5}]
    assert resolve(functions=functions).n_features_s.tolist() == [2, 2]
    with_set = resolve(functions=functions, radial={"n": 3})
    assert with_set.n_features_s.tolist() == [8, 8]


def test_central_species_may_differ():
    part = resolve(
        radial={"n": 4, "scheme": "imbalzano"},
        angular={"n": 0},
        central={
            "O": {"radial": {"n": 3}},
            "Ti": {"functions": [{"type": "G1", "neighbour": "O"}]},
        },
    )
    assert part.n_features_s.tolist() == [9, 6]
    assert part.labels("Ti")[0] == "G1 O cutoff=6.5"
    etas = [f.eta for f in part.functions_s[1] if f.neighbours == ("O",)]
    expected = Gaussians(3, "imbalzano", False, 1.0, 6.5).parameters()
    assert etas == sorted(eta for eta, _ in expected)


WRONG_SETTINGS = {
    "unknown species": (
        {"functions": [{"type": "G2", "eta": 1.0, "neighbour": "Zr"}]},
        "descriptor.functions[0]: neighbour Zr is not among the species Ti, O",
    ),
    "unknown central species": (
        {"central": {"Zr": {}}},
        "descriptor.central: Zr is not among the species Ti, O",
    ),
    "missing key": (
        {"functions": [{"type": "G1"}, {"type": "G2"}]},
        "descriptor.functions[1]: type G2 needs eta",
    ),
    "key too many": (
        {"functions": [{"type": "G1", "eta": 1.0}]},
        "descriptor.functions[0]: type G1 takes no eta, expected alpha, cutoff, "
        "cutoff_function, neighbours",
    ),
    "zeta": (
        {"central": {"O": {"functions": [{"type": 9, **ANGLE, "zeta": 0}]}}},
        "descriptor.central.O.functions[0]: zeta 0.0, expected 1 to 1000",
    ),
    "zeta of a set": (
        {"angular": {"zeta": [0.5]}},
        "descriptor.angular: zeta 0.5, expected 1 to 1000",
    ),
    "too few in a set": (
        {"central": {"O": {"radial": {"n": 1, "scheme": "gastegger"}}}},
        "descriptor.central.O.radial: n 1, scheme gastegger needs at least 2 functions",
    ),
    "twice": (
        {"functions": [{"type": "G1", "neighbour": "O"}, {"type": "G1"}]},
        "descriptor.functions[1]: 'G1 O cutoff=6.5' is given twice",
    ),
    "neighbour and neighbours": (
        {"functions": [{"type": "G1", "neighbour": "O", "neighbours": ["O"]}]},
        "descriptor.functions[0]: both neighbour and neighbours are given",
    ),
    "nothing": (
        {"radial": {"n": 0}, "angular": {"n": 0}},
        f"descriptor: 0 symmetry functions for Ti, expected 1 to {MAX_FUNCTIONS}",
    ),
    "weighted and wide": (
        {"angular": {"weighted": True}},
        "descriptor.angular: weighted functions are narrow, expected type: narrow",
    ),
}


@pytest.mark.parametrize(
    ("settings", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError) as caught:
        resolve(**settings)
    assert str(caught.value) == message


def test_the_place_of_a_mistake_among_several_descriptors():
    section = BehlerSettings.model_validate({"functions": [{"type": "G2"}]})
    with pytest.raises(InputError, match=r"^descriptor\[1\].functions\[0\]: type G2"):
        make_descriptor([BehlerSettings(), section], SPECIES)


@pytest.mark.parametrize(
    "settings",
    [{"functions": [{"type": "G6"}]}, {"radial": {"scheme": "odd"}}, {"cutof": 1.0}],
)
def test_words_that_are_not_known(settings):
    with pytest.raises(ValidationError):
        resolve(**settings)


def test_settings_and_functions_know_the_same_words():
    schema = FunctionSettings.model_json_schema()["properties"]
    assert schema["type"]["enum"] == [*KINDS, *NAMES]
    numbers = list(range(len(CUTOFF_FUNCTIONS)))
    assert schema["cutoff_function"]["anyOf"][0]["enum"] == [
        *CUTOFF_FUNCTIONS,
        *numbers,
    ]
    assert schema["core"]["anyOf"][0]["enum"] == list(CORES)
    keys = {key for kind in KINDS.values() for key in kind.needed + kind.optional}
    assert set(schema) == {*keys, "type", "cutoff", "neighbour", "neighbours"}


# The recipe of the part.


def test_recipe_of_the_part():
    part = resolve(functions=[{"type": kind, **r} for kind, r in RECIPES.items()])
    recipe = json.loads(json.dumps(part.to_dict()))
    assert Behler.from_dict(recipe) == part
    assert recipe["type"] == "behler"
    assert recipe["central"]["O"][0] == {
        "type": "G1",
        "neighbours": ["O"],
        "cutoff": 5.0,
        "cutoff_function": "cosine",
        "alpha": 0.0,
    }


G2 = {"type": "G2", **RECIPES["G2"]}
HOSTILE = {
    "nothing": {},
    "no mapping": {"central": [G2]},
    "no species": {"central": {}},
    "no element": {"central": {"X": [G2]}},
    "no functions": {"central": {"O": []}},
    "no list": {"central": {"O": G2}},
    "no recipe": {"central": {"O": ["G2"]}},
    "null": {"central": {"O": [None]}},
    "stranger": {"central": {"Ti": [G2]}},
    "too many": {"central": {"O": [G2] * (MAX_FUNCTIONS + 1)}},
    "too many cutoffs": {
        "central": {"O": [{**G2, "cutoff": 5.0 + 0.01 * k} for k in range(400)]}
    },
    "huge": {"central": {"O": [{**G2, "eta": 10**400}]}},
    "nan": {"central": {"O": [{**G2, "r_s": float("nan")}]}},
    "nested": {"central": {"O": [{**G2, "neighbours": [["O"]]}]}},
    "type of a type": {"central": {"O": [{**G2, "type": ["G2"]}]}},
    "surprise": {"central": {"O": [{**G2, 7: 7}]}},
}


@pytest.mark.parametrize("recipe", HOSTILE.values(), ids=HOSTILE)
def test_hostile_recipes(recipe):
    with pytest.raises(FileFormatError, match="malformed Behler-Parrinello") as caught:
        Behler.from_dict(recipe)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_shifted_grids_ascend():
    for scheme in ("even", "gastegger", "imbalzano"):
        grid = [r for _, r in Gaussians(6, scheme, False, 1.0, 6.0).parameters()]
        assert all(a < b for a, b in pairwise(grid))
