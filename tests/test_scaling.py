"""Scaling: statistics of the features, z-scores, whitening."""

from __future__ import annotations

import numpy as np
import pytest

from annpot.scaling import compute_statistics, fit_whitening, fit_zscore


@pytest.fixture(name="G_nf")
def features():
    """Return correlated features of very different size and spread."""
    rng = np.random.default_rng(0)
    mixed_nf = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    return mixed_nf * 10.0 ** np.arange(-3, 3) + [0.0, 5.0, -1e2, 1e3, 0.0, 1.0]


def covariance(X_nf):
    return np.cov(X_nf, rowvar=False, bias=True)


def test_statistics_are_those_of_numpy(G_nf):
    statistics = compute_statistics(G_nf)
    assert statistics.n_atoms == 200
    np.testing.assert_array_equal(statistics.min_f, G_nf.min(axis=0))
    np.testing.assert_array_equal(statistics.max_f, G_nf.max(axis=0))
    np.testing.assert_allclose(statistics.mean_f, G_nf.mean(axis=0), rtol=1e-12)
    expected_ff = covariance(G_nf)
    sizes_f = np.sqrt(np.diag(expected_ff))
    difference_ff = statistics.covariance_ff - expected_ff
    assert (np.abs(difference_ff) < 1e-12 * np.outer(sizes_f, sizes_f)).all()


@pytest.mark.parametrize("cuts", [[100], [1], [0, 0, 17, 17, 199], [60, 120, 180]])
def test_merged_statistics_are_those_of_all_at_once(G_nf, cuts):
    merged, *others = (compute_statistics(part) for part in np.split(G_nf, cuts))
    for other in others:
        merged = merged.merge(other)
    expected = compute_statistics(G_nf)
    assert merged.n_atoms == expected.n_atoms
    np.testing.assert_array_equal(merged.min_f, expected.min_f)
    np.testing.assert_array_equal(merged.max_f, expected.max_f)
    np.testing.assert_allclose(merged.mean_f, expected.mean_f, rtol=1e-12)
    sizes_f = np.sqrt(np.diag(expected.covariance_ff))
    difference_ff = merged.covariance_ff - expected.covariance_ff
    assert (np.abs(difference_ff) < 1e-12 * np.outer(sizes_f, sizes_f)).all()


def test_no_atoms_and_one_atom(G_nf):
    nothing = compute_statistics(G_nf[:0])
    assert nothing.n_atoms == 0
    assert nothing.merge(nothing).n_atoms == 0
    one = compute_statistics(G_nf[:1])
    assert nothing.merge(one) is one
    assert one.merge(nothing) is one
    assert one.constant_f.all()
    assert not one.covariance_ff.any()


def test_constant_features_are_recognised(G_nf):
    assert not compute_statistics(G_nf).constant_f.any()
    constants = {0: 0.0, 2: 1e5 / 3, 5: -1e-7}
    for f, value in constants.items():
        G_nf[:, f] = value
    # round-off of a sum over neighbours is no variation
    G_nf[::2, 2] *= 1 + 2e-16
    expected_f = [f in constants for f in range(6)]
    np.testing.assert_array_equal(compute_statistics(G_nf).constant_f, expected_f)


def test_zscores_have_mean_0_and_variance_1(G_nf):
    X_nf = fit_zscore(compute_statistics(G_nf)).apply(G_nf)
    np.testing.assert_allclose(X_nf.mean(axis=0), 0.0, atol=1e-11)
    np.testing.assert_allclose(X_nf.std(axis=0), 1.0, rtol=1e-11)
    expected_nf = (G_nf - G_nf.mean(axis=0)) / G_nf.std(axis=0)
    np.testing.assert_allclose(X_nf, expected_nf, atol=1e-10)


def test_zscores_of_constant_features_are_0(G_nf):
    G_nf[:, 3] = 7.0
    scaling = fit_zscore(compute_statistics(G_nf))
    # other values of it make no difference, either
    G_nf[0, 3] = 8.0
    X_nf = scaling.apply(G_nf)
    assert not X_nf[:, 3].any()
    np.testing.assert_allclose(np.delete(X_nf.std(axis=0), 3), 1.0, rtol=1e-10)


def test_whitened_features_are_uncorrelated_with_variance_1(G_nf):
    X_nf = fit_whitening(compute_statistics(G_nf), floor=1e-10).apply(G_nf)
    np.testing.assert_allclose(X_nf.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(covariance(X_nf), np.eye(6), atol=1e-9)


def test_components_below_the_floor_are_not_blown_up(G_nf):
    floor = 1e-4
    rng = np.random.default_rng(1)
    # the last feature is the sum of two others, but for noise
    noise_n = 1e-4 * rng.normal(size=len(G_nf))
    G_nf[:, :5] = rng.normal(size=(len(G_nf), 5))
    G_nf[:, 5] = G_nf[:, 0] + G_nf[:, 1] + noise_n
    X_nf = fit_whitening(compute_statistics(G_nf), floor).apply(G_nf)
    zscores_nf = (G_nf - G_nf.mean(axis=0)) / G_nf.std(axis=0)
    variance_f = np.linalg.eigvalsh(covariance(zscores_nf))
    assert variance_f[0] < floor * variance_f[-1] < variance_f[1]
    expected_f = np.minimum(1.0, variance_f / (floor * variance_f[-1]))
    np.testing.assert_allclose(covariance(X_nf), np.diag(expected_f), atol=1e-9)


def test_whitening_ignores_constant_features(G_nf):
    G_nf[:, 3] = 7.0
    scaling = fit_whitening(compute_statistics(G_nf), floor=1e-4)
    assert np.isfinite(scaling.matrix_ff).all()
    G_nf[0, 3] = 1e6
    without = fit_whitening(compute_statistics(np.delete(G_nf, 3, axis=1)), floor=1e-4)
    distance_n = np.sum(scaling.apply(G_nf) ** 2, axis=1)
    expected_n = np.sum(without.apply(np.delete(G_nf, 3, axis=1)) ** 2, axis=1)
    np.testing.assert_allclose(distance_n, expected_n, rtol=1e-8)


@pytest.mark.parametrize("fit", [fit_zscore, lambda s: fit_whitening(s, 1e-4)])
def test_nothing_but_constants(fit):
    G_nf = np.array([[1.0, 0.0, -3.0]] * 5)
    scaling = fit(compute_statistics(G_nf))
    assert not scaling.apply(G_nf + 1.0).any()
