"""The mathematics behind the pictures, and whether pictures can be read."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from legibility import illegible_texts
from numpy.polynomial import chebyshev
from systems import DESCRIPTOR, SPECIES, SYSTEMS, as_species

from annpot.descriptors import Chebyshev, Descriptor
from annpot.descriptors.behler_sets import make_behler
from annpot.descriptors.building import make_descriptor
from annpot.descriptors.chebyshev import Expansion, plain_and_weighted
from annpot.descriptors.labels import group_labels
from annpot.pairs import find_pairs
from annpot.plotting.basis import figure_of_basis
from annpot.plotting.canvas import render
from annpot.plotting.comparison import Comparison
from annpot.plotting.correlation import figure_of_correlation
from annpot.plotting.distributions import compute_distributions, dual_series
from annpot.plotting.expansion import figure_of_expansion
from annpot.plotting.features import figure_of_features
from annpot.plotting.labels import agree, runs_of, shorten, units_of
from annpot.plotting.learning import figure_of_learning
from annpot.plotting.parity import figure_of_parity
from annpot.plotting.responses import compute_responses
from annpot.scaling import compute_statistics
from annpot.settings import BehlerSettings, ChebyshevSettings
from annpot.structures.structure import stack

RADIAL_CUTOFF, ANGULAR_CUTOFF = 4.3, 3.6


def integrate(f, low, high, n=400):
    """Return the integral of f that has 1/sqrt singularities at both ends."""
    u = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    x = low + (high - low) * (u + 1.0) / 2.0
    return np.pi / n * (high - low) / 2.0 * np.sum(np.sqrt(1.0 - u**2) * f(x))


def polynomial(a, x, low, high):
    u = 2.0 * (x - low) / (high - low) - 1.0
    return np.cos(a * np.arccos(np.clip(u, -1.0, 1.0)))


@pytest.mark.parametrize(("low", "high"), [(0.0, 4.3), (-1.0, 1.0)])
def test_dual_functions_are_dual(low, high):
    overlap_ab = [
        [
            integrate(
                lambda x, a=a, b=b: (
                    dual_series(np.eye(9)[a], x, low, high)
                    * polynomial(b, x, low, high)
                ),
                low,
                high,
            )
            for b in range(9)
        ]
        for a in range(9)
    ]
    np.testing.assert_allclose(overlap_ab, np.eye(9), atol=1e-12)


def around(structure, atom=0, order=40):
    return compute_distributions(structure, atom, order, RADIAL_CUTOFF, ANGULAR_CUTOFF)


@pytest.mark.parametrize("name", SYSTEMS)
def test_coefficients_are_features_and_moments_of_the_peaks(name):
    structure = SYSTEMS[name]
    species = tuple(s for s in ("O", "Ti") if s in structure.symbols)
    channels = plain_and_weighted((-1.0, 1.0)[: len(species)])
    part = Chebyshev(
        species=species,
        radial_s=(Expansion(12, RADIAL_CUTOFF),) * len(species),
        angular_s=(Expansion(12, ANGULAR_CUTOFF),) * len(species),
        weights_sct=(channels,) * len(species),
    )
    batch = stack([structure], species)
    pairs = find_pairs(batch, part.cutoffs)
    features = Descriptor((part,)).compute_features(batch, pairs)
    for atom in range(len(structure)):
        found = around(structure, atom, 12)
        assert len(found) == 2 * len(channels)
        first = features.feature_n[atom]
        G_ca = features.G_f[first : first + 13 * len(found)].reshape(-1, 13)
        for distribution, G_a in zip(found, G_ca, strict=True):
            np.testing.assert_allclose(
                distribution.coefficients_a, G_a, rtol=1e-12, atol=1e-12
            )
            low, high = distribution.low, distribution.high
            moments_a = [
                distribution.weights_k @ polynomial(a, distribution.places_k, low, high)
                for a in range(13)
            ]
            np.testing.assert_allclose(moments_a, G_a, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", range(4))
def test_the_reconstruction_has_the_coefficients(kind):
    f = around(SYSTEMS["skewed cell"])[kind]
    for order in (0, 7, 40):
        again_a = [
            integrate(
                lambda x, a=a, order=order: (
                    f.reconstruct(x, order) * polynomial(a, x, f.low, f.high)
                ),
                f.low,
                f.high,
            )
            for a in range(order + 1)
        ]
        expected_a = f.coefficients_a[: order + 1]
        np.testing.assert_allclose(again_a, expected_a, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", range(4))
def test_the_reconstruction_converges_to_the_peaks(kind):
    f = around(SYSTEMS["skewed cell"], order=100)[kind]

    def smooth(x):
        return np.exp(-8.0 * ((x - f.low) / (f.high - f.low) - 0.55) ** 2) * (1.0 + x)

    exact = f.weights_k @ smooth(f.places_k)
    error = [
        abs(integrate(lambda x: f.reconstruct(x, n) * smooth(x), f.low, f.high) - exact)  # noqa: B023
        for n in (2, 5, 20)
    ]
    assert error[0] > error[1] > error[2]
    assert error[2] < 1e-9 * max(1.0, abs(exact))


def test_broadened_peaks_keep_their_weight_and_height():
    f = around(SYSTEMS["skewed cell"])[0]
    x = np.linspace(-2.0, 8.0, 20001)
    area = f.broaden(x, 0.1).sum() * (x[1] - x[0])
    assert area == pytest.approx(f.weights_k.sum(), rel=1e-9)
    # a peak in the middle of the interval, and its expansion
    width, middle = f.resolution(40), np.array([0.5 * RADIAL_CUTOFF])
    c_a = [polynomial(a, middle[0], 0.0, RADIAL_CUTOFF) for a in range(41)]
    height = dual_series(np.array(c_a), middle, 0.0, RADIAL_CUTOFF)[0]
    assert height == pytest.approx(1.0 / (width * np.sqrt(2.0 * np.pi)), rel=1 / 80)


def test_responses_are_the_radial_and_angular_functions():
    (part,) = DESCRIPTOR.parts
    for s, central in enumerate(SPECIES):
        radial, angular = part.radial_s[s], part.angular_s[s]
        n_radial = radial.order + 1
        n_plain = n_radial + angular.order + 1
        responses = compute_responses(DESCRIPTOR, central, 2.1)
        assert len(responses) == 2 + 2 * 3
        for response in responses:
            t = [SPECIES.index(symbol) for symbol in response.neighbours]
            weight = np.prod([part.weights_sct[s][1][k] for k in t])
            if len(t) == 1:
                f, first = np.arange(n_radial), 0
                T_xa = chebyshev.chebvander(2 * response.x / radial.cutoff - 1, f[-1])
                fc = 0.5 + 0.5 * np.cos(np.pi * response.x / radial.cutoff)
                value_xa = np.where(response.x < radial.cutoff, fc, 0.0)[:, None] * T_xa
            elif response.of_angle:
                f, first = np.arange(angular.order + 1), n_radial
                T_xa = chebyshev.chebvander(np.cos(np.radians(response.x)), f[-1])
                value_xa = (
                    0.5 + 0.5 * np.cos(np.pi * 2.1 / angular.cutoff)
                ) ** 2 * T_xa
            else:
                # of a right angle, odd polynomials of the cosine are zero
                f, first = np.arange(0, angular.order + 1, 2), n_radial
                fc = 0.5 + 0.5 * np.cos(np.pi * response.x / angular.cutoff)
                fc = np.where(response.x < angular.cutoff, fc, 0.0)
                value_xa = fc[:, None] ** 2 * chebyshev.chebvander(0.0, f[-1])[:, ::2]
            expected = first + np.concatenate([f, n_plain + f])
            assert response.features.tolist() == expected.tolist()
            both_xf = np.concatenate([value_xa, weight * value_xa], axis=1)
            np.testing.assert_allclose(response.G_xf, both_xf, atol=1e-12)


def test_names_of_features_are_taken_apart():
    labels = ["radial 0", "radial 1", "angular 0", "radial 0 weighted"]
    assert group_labels(labels) == {
        "radial": [(0, "0"), (1, "1")],
        "angular": [(2, "0")],
        "radial weighted": [(3, "0")],
    }
    assert runs_of(labels) == [
        ("radial", 0, 2),
        ("angular", 2, 3),
        ("radial weighted", 3, 4),
    ]
    assert runs_of(["angular 2 of 0, 1", "angular 2 of 0, 2"]) == [("angular", 0, 2)]
    behler = ["G2 O eta=1 r_s=0 cutoff=6", "G2 O eta=2 r_s=0 cutoff=6"]
    ((kind, functions),) = group_labels(behler).items()
    assert kind == "G2 O"
    names = [name for _, name in functions]
    assert shorten(names) == ["eta=1", "eta=2"]
    assert agree(names) == "r_s=0 cutoff=6"
    assert units_of(names) == "eta (1/Å²), r_s (Å), cutoff (Å)"
    assert agree(["2 of 0, 0", "2 of 0, 1", "2 of 1, 1"]) == "2"


FOUR = ("Nb", "Mo", "Ta", "W")


def many(n_species, n_features, seed=0):
    """Return features as of atoms of several species, one of them constant."""
    rng = np.random.default_rng(seed)
    G_nf_of, labels = {}, {}
    n_radial = n_features // 8
    for symbol in FOUR[:n_species]:
        G_nf_of[symbol] = rng.normal(size=(50, n_features)) * 10.0 ** rng.normal(
            size=n_features
        )
        G_nf_of[symbol][:, 1] = 3.0
        labels[symbol] = [
            f"{kind} {a}{suffix}"
            for suffix in ("", " weighted")
            for kind, size in (
                ("radial", n_radial),
                ("angular", n_features // 2 - n_radial),
            )
            for a in range(size)
        ]
    return G_nf_of, labels


def many_resolved(radial_order):
    """Return features with the names of a resolved descriptor of two species."""
    settings = ChebyshevSettings.model_validate(
        {"angular": {"radial_order": radial_order}}
    )
    descriptor = make_descriptor([settings], ("Ti", "O"))
    labels = {symbol: descriptor.labels(symbol) for symbol in descriptor.species}
    rng = np.random.default_rng(1)
    return {s: rng.normal(size=(50, len(names))) for s, names in labels.items()}, labels


def picture_of_features(n_species, n_features):
    return figure_of_features(*many(n_species, n_features))


def picture_of_correlation(features, importance):
    G_nf_of, labels = features
    statistics = {symbol: compute_statistics(G) for symbol, G in G_nf_of.items()}
    weights = {s: np.linspace(0.0, 0.3, len(names)) for s, names in labels.items()}
    return figure_of_correlation(statistics, labels, weights if importance else None)


EXPLICIT = {
    "functions": [
        {"type": "G3", "kappa": 1.5},
        {"type": "G4", "eta": 0.05, "lambda": 1, "zeta": 2},
        {"type": "G22", "theta_low": 30, "theta_high": 160, "core": "e"},
    ]
}


def picture_of_symmetry_functions(settings):
    part = make_behler(BehlerSettings.model_validate(settings), FOUR[:2])
    return picture_of_functions(part)


def picture_of_basis(n_species, radial_order=None):
    species = FOUR[:n_species]
    weights = plain_and_weighted((-2.0, -1.0, 1.0, 2.0)[:n_species])
    part = Chebyshev(
        species=species,
        radial_s=(Expansion(16, 8.0),) * n_species,
        angular_s=(Expansion(4, 6.5, radial_order),) * n_species,
        weights_sct=(weights,) * n_species,
    )
    return picture_of_functions(part)


def picture_of_functions(part):
    responses = [
        response
        for symbol in part.species
        for response in compute_responses(Descriptor((part,)), symbol, 2.0)
    ]
    return figure_of_basis(responses, {s: part.labels(s) for s in part.species}, 2.0)


def picture_of_expansion(n_species, weighted):
    structure = as_species(SYSTEMS["cubic"], FOUR[:n_species])
    found = compute_distributions(structure, 1, 64, 6.0, 5.0)
    return figure_of_expansion(
        found if weighted else found[:2], [4, 8, 16, 32, 64], "atom 1 of 'some.xsf'"
    )


def test_members_are_curves_that_begin_at_the_first_epoch():
    log = {
        "epoch": np.arange(1.0, 6.0),
        "member": np.array([1.0, 1.0, 1.0, 2.0, 2.0]),
        "train_E_rmse": np.array([9.0, 5.0, 4.0, 8.0, 6.0]),
    }
    energy, force = figure_of_learning({"train.log": log}).axes
    assert [line.get_xydata().tolist() for line in energy.lines] == [
        [[1.0, 9.0], [2.0, 5.0], [3.0, 4.0]],
        [[1.0, 8.0], [2.0, 6.0]],
    ]
    assert not force.lines


def picture_of_learning(n_logs):
    epoch = np.arange(1.0, 40.0)
    columns = {
        f"{part}_{letter}_rmse": 300.0 * epoch**-k
        for k, part in enumerate(("train", "validation"), 1)
        for letter in "EF"
    }
    names = [f"a/long/path/to/the/log/of/training/{k}/train.log" for k in range(n_logs)]
    return figure_of_learning({name: {"epoch": epoch, **columns} for name in names})


def picture_of_parity(n_species, n_structures):
    rng = np.random.default_rng(1)
    n_atoms = 8 * n_structures
    E_s, F_nc = rng.normal(size=n_structures), rng.normal(size=(n_atoms, 3))
    return figure_of_parity(
        Comparison(
            E_s=E_s - 831.0,
            E_reference_s=E_s - 831.0 + 0.01 * rng.normal(size=n_structures),
            baseline_s=None if n_species == 1 else np.full(n_structures, -831.0),
            F_nc=F_nc,
            F_reference_nc=F_nc + 0.1 * rng.normal(size=(n_atoms, 3)),
            symbols_n=np.resize(np.array(FOUR[:n_species]), n_atoms),
        )
    )


PICTURES = {
    "features, 1": lambda: picture_of_features(1, 24),
    "features, 2": lambda: picture_of_features(2, 44),
    "features, 4 of 250": lambda: picture_of_features(4, 250),
    "features, resolved": lambda: figure_of_features(*many_resolved(2)),
    "features, default": lambda: figure_of_features(*many_resolved("auto")),
    "correlation, 1": lambda: picture_of_correlation(many(1, 24), True),
    "correlation, 2": lambda: picture_of_correlation(many(2, 44), False),
    "correlation, 4 of 250": lambda: picture_of_correlation(many(4, 250), True),
    "correlation, resolved": lambda: picture_of_correlation(many_resolved(2), False),
    "correlation, default": lambda: picture_of_correlation(many_resolved("auto"), True),
    "basis, 1": lambda: picture_of_basis(1),
    "basis, 2 resolved": lambda: picture_of_basis(2, 3),
    "basis, 4": lambda: picture_of_basis(4),
    "symmetry functions": lambda: picture_of_symmetry_functions({}),
    "one symmetry function": lambda: picture_of_symmetry_functions(
        {"functions": EXPLICIT["functions"][:1]}
    ),
    "explicit symmetry functions": lambda: picture_of_symmetry_functions(EXPLICIT),
    "expansion, 1": lambda: picture_of_expansion(1, False),
    "expansion, 4": lambda: picture_of_expansion(4, True),
    "learning, 1": lambda: picture_of_learning(1),
    "learning, 8": lambda: picture_of_learning(8),
    "parity, 1": lambda: picture_of_parity(1, 5),
    "parity, 4": lambda: picture_of_parity(4, 300),
}


@pytest.mark.parametrize("name", PICTURES)
def test_texts_can_be_read(name):
    assert illegible_texts(PICTURES[name]()) == []


def test_pictures_are_the_same_bytes_and_need_no_window():
    for format_, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert render(picture_of_learning(1), format_).startswith(start)
    # no date, no random names
    for format_ in ("svg", "pdf"):
        picture = render(picture_of_parity(1, 2), format_)
        assert render(picture_of_parity(1, 2), format_) == picture
    assert "matplotlib.pyplot" not in sys.modules


def test_an_atom_alone_has_a_picture():
    found = around(SYSTEMS["one isolated atom"], order=8)
    assert illegible_texts(figure_of_expansion(found, [4, 8], "alone")) == []
