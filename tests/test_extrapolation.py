"""Extrapolation: the training data pass, each kind of strangeness is found."""

from __future__ import annotations

import shlex
from dataclasses import replace

import numpy as np
import pytest
import systems
from finite_difference import move
from systems import DESCRIPTOR, SYSTEMS, stack_all

from annpot.extrapolation import (
    FAR_PAIR,
    Domain,
    Finding,
    Limits,
    Nearest,
    assess,
    fit_domain,
    fit_limits,
)
from annpot.logfmt import format_line
from annpot.pairs import find_nearest

NAMES = ["cubic", "skewed cell", "left-handed cell"]


def compute_features(structures):
    batch = stack_all(structures)
    return DESCRIPTOR.compute_features(batch)


def distort(structure, size, rng):
    V_nc = rng.normal(size=structure.positions_nc.shape)
    return move(structure, size * V_nc, np.zeros((3, 3)), 1.0)


def shortest_distances(features):
    """Return the shortest distance of each two species."""
    nearest_nt = find_nearest(features.neighbours)
    species_n = features.batch.species_n
    return np.array([nearest_nt[species_n == s].min(axis=0) for s in range(2)])


@pytest.fixture(scope="module")
def training():
    """Return training structures, their domains and shortest distances."""
    rng = np.random.default_rng(0)
    structures = [
        distort(SYSTEMS[name], 0.05, rng) for name in NAMES for _ in range(40)
    ]
    features = compute_features(structures)
    domains = [fit_domain(G_nf, 1e-4) for G_nf in features.blocks(features.G_f)]
    return structures, domains, shortest_distances(features)


def assess_structures(training, structures, **changes):
    known = dict(zip(("domains", "shortest_st"), training[1:], strict=True))
    features = compute_features(structures)
    return assess(DESCRIPTOR, features=features, **{**known, **changes})


def scaled(structure, factor):
    return move(structure, 0 * structure.positions_nc, np.eye(3), factor - 1.0)


def test_training_structures_are_never_flagged(training):
    result = assess_structures(training, training[0])
    assert not result.level_n.any()
    assert result.findings == [None] * len(training[0])
    assert result.distance_n.max() == pytest.approx(1.0, abs=1e-6)


def test_they_pass_whatever_round_off_does_to_them(training):
    rng = np.random.default_rng(1)
    rotation_cc = systems.random_rotation(rng)
    turned = [systems.rotate(s, rotation_cc) for s in training[0]]
    assert not assess_structures(training, turned).level_n.any()


def test_a_compressed_crystal_is_far_outside(training):
    squeezed = [scaled(SYSTEMS[name], 0.8) for name in NAMES]
    result = assess_structures(training, squeezed)
    for finding, structure in zip(result.findings, squeezed, strict=True):
        assert finding.level == 2
        assert finding.kind in ("pair", "range", "distance")
        assert finding.species == structure.symbols[finding.atom]
        assert not finding.least <= finding.value <= finding.largest
        assert finding.excess > 1.0
    assert (result.count_atoms() > 0).all()


def test_two_close_atoms_are_a_finding_of_kind_pair(training):
    # features far apart, so that only the distance can tell
    wide = [
        replace(
            domain,
            low=1e9,
            high=2e9,
            statistics=replace(
                domain.statistics,
                min_f=domain.statistics.min_f - 1e6,
                max_f=domain.statistics.max_f + 1e6,
            ),
        )
        for domain in training[1]
    ]
    structure = training[0][0]
    shortest_st = training[2]
    ti, o = 0, 1
    for share, level in ((1.01, 0), (0.5 + FAR_PAIR / 2, 1), (0.99 * FAR_PAIR, 2)):
        positions_nc = structure.positions_nc.copy()
        positions_nc[o] = positions_nc[ti] + [share * shortest_st[0, 1], 0.0, 0.0]
        alone = replace(
            structure,
            symbols=structure.symbols[:2],
            positions_nc=positions_nc[:2],
            pbc_c=np.zeros(3, dtype=bool),
        )
        result = assess_structures(training, [alone], domains=wide)
        (finding,) = result.findings
        np.testing.assert_array_equal(result.level_n, [level, level])
        if not level:
            assert finding is None
            continue
        assert (finding.kind, finding.level) == ("pair", level)
        assert result.count_atoms().tolist() == [2]
        assert finding.feature in ("Ti-O", "O-Ti")
        assert finding.value == pytest.approx(share * shortest_st[0, 1])
        assert finding.least == finding.limit == shortest_st[0, 1]
        assert finding.largest == np.inf
        assert finding.excess == pytest.approx((1 - share) / (1 - FAR_PAIR))


def test_a_feature_outside_its_range_is_a_finding_of_kind_range(training):
    structure = training[0][0]
    features = compute_features([structure])
    column = 3
    G_n = features.blocks(features.G_f)[1][:, column]
    words = DESCRIPTOR.words("O")[column]
    for above, excess, level in (
        (True, 0.09, 0),
        (True, 0.12, 1),
        (True, 0.32, 2),
        (False, 0.09, 0),
        (False, 0.12, 1),
        (False, 0.32, 2),
    ):
        # the training range ends short of what one atom has
        statistics = training[1][1].statistics
        min_f, max_f = statistics.min_f.copy(), statistics.max_f.copy()
        width = max_f[column] - min_f[column]
        if above:
            max_f[column] = G_n.max() - excess * width / (1 + excess)
            min_f[column] = max_f[column] - width / (1 + excess)
        else:
            min_f[column] = G_n.min() + excess * width / (1 + excess)
            max_f[column] = min_f[column] + width / (1 + excess)
        domain = replace(
            training[1][1], statistics=replace(statistics, min_f=min_f, max_f=max_f)
        )
        result = assess_structures(
            training, [structure], domains=[training[1][0], domain]
        )
        (finding,) = result.findings
        if not level:
            assert finding is None
            continue
        assert (finding.kind, finding.feature) == ("range", words)
        assert (finding.species, finding.level) == ("O", level)
        extreme = G_n.max() if above else G_n.min()
        assert finding.value == pytest.approx(extreme)
        margin = 0.1 * (max_f[column] - min_f[column])
        assert finding.least == pytest.approx(min_f[column] - margin)
        assert finding.largest == pytest.approx(max_f[column] + margin)
        assert finding.limit == (finding.largest if above else finding.least)
        assert finding.excess == pytest.approx((excess - 0.1) / 0.2)


def test_a_combination_that_never_occurred_is_a_finding_of_kind_distance(training):
    structure = training[0][0]
    whole = assess_structures(training, [structure])
    largest = whole.distance_n.max()
    for share, level in ((1.01, 0), (0.7, 1), (0.4, 2)):
        domains = [
            replace(d, low=share * largest * d.low, high=2 * share * largest * d.low)
            for d in training[1]
        ]
        result = assess_structures(training, [structure], domains=domains)
        assert result.level_n.max() == level
        (finding,) = result.findings
        if not level:
            assert finding is None
            continue
        assert (finding.kind, finding.feature) == ("distance", "all")
        assert finding.level == level
        assert finding.atom == whole.distance_n.argmax()
        assert finding.value > finding.largest == finding.limit


def test_the_distance_sees_holes_inside_the_box():
    # two features that always sum up to one, each between 0 and 1
    x = np.linspace(0.0, 1.0, 50)
    G_nf = np.stack([x, 1 - x + 1e-3 * np.sin(40 * x)], axis=1)
    domain = fit_domain(G_nf, 1e-4)
    square = np.sum(domain.whitening.apply(np.array([[0.9, 0.9]])) ** 2)
    assert square > domain.high
    squares_n = np.sum(domain.whitening.apply(G_nf) ** 2, axis=1)
    assert squares_n.max() == pytest.approx(domain.low, rel=1e-12)
    assert domain.high == pytest.approx(1.5 * domain.low)
    inverse_ff = np.linalg.inv(domain.statistics.covariance_ff)
    D_nf = G_nf - G_nf.mean(axis=0)
    expected_n = np.einsum("nf,fg,ng->n", D_nf, inverse_ff, D_nf)
    np.testing.assert_allclose(
        np.sum(fit_domain(G_nf, 1e-12).whitening.apply(G_nf) ** 2, axis=1),
        expected_n,
        rtol=1e-6,
    )


def test_where_only_ranges_are_known_they_are_tested(training):
    ranges = [Domain(domain.statistics) for domain in training[1]]
    inside = assess_structures(training, training[0], domains=ranges)
    assert not inside.level_n.any()
    assert np.isnan(inside.distance_n).all()
    unknown_st = np.full((2, 2), np.inf)
    squeezed = [scaled(SYSTEMS[name], 0.8) for name in NAMES]
    outside = assess_structures(
        training, squeezed, domains=ranges, shortest_st=unknown_st
    )
    assert {finding.kind for finding in outside.findings} == {"range"}
    assert all(finding.level == 2 for finding in outside.findings)


def test_only_the_strange_structure_of_a_batch_is_flagged(training):
    strange = scaled(SYSTEMS["cubic"], 0.8)
    structures = [*training[0][:3], strange, *training[0][3:5]]
    result = assess_structures(training, structures)
    flagged = [finding is not None for finding in result.findings]
    assert flagged == [False, False, False, True, False, False]
    first = sum(len(s) for s in structures[:3])
    assert not result.level_n[:first].any()
    assert result.level_n[first : first + len(strange)].max() == 2
    n_flagged = np.count_nonzero(result.level_n)
    assert result.count_atoms().tolist() == [0, 0, 0, n_flagged, 0, 0]


def test_a_species_that_the_training_set_does_not_have(training):
    empty = fit_domain(np.zeros((0, 26)), 1e-4)
    result = assess_structures(
        training, [training[0][0]], domains=[empty, training[1][1]]
    )
    (finding,) = result.findings
    assert (finding.level, finding.species) == (2, "Ti")


def test_atoms_on_top_of_each_other_are_far_outside(training):
    structure = training[0][0]
    positions_nc = structure.positions_nc.copy()
    positions_nc[1] = positions_nc[0]
    result = assess_structures(
        training, [replace(structure, positions_nc=positions_nc)]
    )
    assert result.level_n[0] == 2
    assert result.findings[0].level == 2


def test_an_empty_batch(training):
    result = assess_structures(training, [])
    assert result.findings == []
    assert len(result.level_n) == 0


def test_limits_are_a_quantile_and_a_multiple_of_the_largest():
    values_n = np.random.default_rng(0).permutation(np.arange(1, 5001) / 10)
    limits = fit_limits(values_n)
    above = np.count_nonzero(values_n > limits.low)
    assert above == 4
    assert above / len(values_n) <= 0.001
    assert limits.high == 1.5 * 500.0
    # the order does not matter, as shards may come in any
    assert fit_limits(np.sort(values_n)) == limits
    few = fit_limits(values_n[:900])
    assert few == (values_n[:900].max(), 1.5 * values_n[:900].max())
    assert fit_limits(np.zeros(0)) == (0.0, 0.0)


def test_squares_may_come_shard_by_shard():
    G_nf = np.random.default_rng(0).normal(size=(3000, 4))
    whole = fit_domain(G_nf, 1e-4)
    squares = [whole.compute_squares(part) for part in np.array_split(G_nf, 7)]
    again = whole.with_limits(np.concatenate(squares))
    assert again.low == pytest.approx(whole.low, rel=1e-12)
    square_n = np.sort(whole.compute_squares(G_nf))
    assert np.count_nonzero(square_n > whole.low * (1 + 1e-12)) == 2
    assert whole.high == pytest.approx(1.5 * square_n[-1], rel=1e-12)


def test_the_deviation_of_a_committee_is_a_finding_of_its_own(training):
    structure = training[0][0]
    deviation_n = np.full(len(structure), 0.1)
    o, ti = structure.symbols.index("O"), structure.symbols.index("Ti")
    limits_s = [Limits(0.5, 1.5), Limits(0.2, 0.4)]
    for atom, value, excess in (
        (o, 0.19, None),
        (o, 0.25, 0.25),
        (o, 0.7, 2.5),
        (ti, 0.45, None),
        (ti, 1.0, 0.5),
        (ti, np.nan, np.inf),
    ):
        changed_n = deviation_n.copy()
        changed_n[atom] = value
        result = assess_structures(
            training, [structure], deviation_n=changed_n, limits_s=limits_s
        )
        (finding,) = result.findings
        if excess is None:
            assert finding is None
            continue
        assert (finding.kind, finding.feature) == ("committee", "force")
        assert (finding.atom, finding.level) == (atom, 2 if excess > 1 else 1)
        assert finding.excess == pytest.approx(excess, rel=1e-6)
        assert (finding.least, finding.limit) == (0.0, limits_s[atom == o].low)
        assert repr(result.find_all(0)) == repr([finding])
    silent = assess_structures(training, [structure], deviation_n=10.0 + deviation_n)
    assert silent.findings == [None]


def test_all_findings_of_a_structure(training):
    strange = scaled(SYSTEMS["cubic"], 0.8)
    result = assess_structures(training, [training[0][0], strange])
    assert result.find_all(0) == []
    found = result.find_all(1)
    first = len(training[0][0])
    expected = {
        (n, test.kind)
        for test, excess_n in zip(result.tests, result.excess_kn, strict=True)
        for n in range(len(strange))
        if excess_n[first + n] > 0
    }
    assert [(f.atom, f.kind) for f in found] == sorted(
        expected, key=lambda x: (x[0], ["range", "distance", "pair"].index(x[1]))
    )
    assert max(found, key=lambda f: f.excess) == result.findings[1]
    assert {f.atom for f in found} == set(np.flatnonzero(result.level_n[first:]))
    for finding in found:
        n = first + finding.atom
        assert finding.level <= result.level_n[n]
        assert finding.species == strange.symbols[finding.atom]


def test_the_line_about_a_structure():
    finding = Finding(
        level=2,
        atom=119,
        species="Cu",
        kind="range",
        feature="angular l=3 n=1,2 of the Cu-Cu channel",
        value=2.166e-2,
        least=2.003e-5,
        largest=1.756e-2,
        excess=1.23456789,
    )
    where = {"file": 'a "b".xsf', "frame": 12}
    line = finding.line(11, 480, **where)
    assert line == (
        'level=high file="a \\"b\\".xsf" frame=12 atom=119 species=Cu kind=range '
        'feature="angular l=3 n=1,2 of the Cu-Cu channel" value=0.02166 min=2.003e-05 '
        "max=0.01756 excess=1.23457 n_atoms=11/480"
    )
    words = dict(word.split("=", 1) for word in shlex.split(line))
    assert words["file"] == 'a "b".xsf'
    assert words["feature"] == finding.feature
    explained = replace(finding, nearest=Nearest("b.xsf", 3, 7, 2.5))
    assert explained.line(11, 480, **where) == line.replace(
        "n_atoms",
        "nearest_file=b.xsf nearest_frame=3 nearest_atom=7 "
        "nearest_distance=2.5 n_atoms",
    )
    assert explained.to_dict()["limit"] == 1.756e-2
    assert replace(finding, value=1e-6).limit == 2.003e-5


@pytest.mark.parametrize(
    "text", ["", "a b", "a=b", "a\\b", "it's", "ü", '"', "a\\udcff"]
)
def test_lines_can_be_taken_apart(text):
    line = format_line({"key": text, "n": 3})
    assert "\n" not in line
    assert shlex.split(line) == [f"key={text}", "n=3"]


def test_a_line_stays_one_line():
    assert "\n" not in format_line({"file": "a\nb\x1b[0m"})
    assert "\x1b" not in format_line({"file": "a\nb\x1b[0m"})
    assert "\x1b" not in format_line({"file": "ab\x1b[0m"})
