"""The referees for derivatives: central differences of fourth order, and adjoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from annpot.structures.structure import stack


def differentiate(function, step=1e-4):
    """Return the derivative at 0 of a function from a number to a number or array."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def gradient(function, x, step=1e-4):
    """Return the derivatives by each component of the array ``x``, in its shape."""
    slopes = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        unit = np.zeros(x.shape)
        unit[index] = 1.0
        slopes[index] = differentiate(lambda t, e=unit: function(x + t * e), step)
    return slopes


def move(structure, V_nc, strain_cc, t):
    """Return the structure after time ``t``: R -> (R + t V) (1 + t strain)."""
    deformation_cc = np.eye(3) + t * strain_cc
    return replace(
        structure,
        positions_nc=(structure.positions_nc + t * V_nc) @ deformation_cc,
        cell_cc=structure.cell_cc @ deformation_cc,
    )


def differentiate_along(function, structures, V_nc, strain_scc, step=3e-5):
    """Return the derivative of a function of structures when all of them move."""
    ends = np.cumsum([len(structure) for structure in structures])
    parts = np.split(V_nc, ends[:-1])

    def at(t):
        motions = zip(structures, parts, strain_scc, strict=True)
        return function([move(*motion, t) for motion in motions])

    return differentiate(at, step)


def assert_tangents(descriptor, structures, tolerance):
    """Check tangents of features, with strain and without, relative to the largest."""
    rng = np.random.default_rng(1)

    def compute(moved):
        return descriptor.compute_features(stack(moved, descriptor.species))

    features = compute(structures)
    V_nc = rng.normal(size=(features.batch.n_atoms, 3))
    strain_scc = rng.normal(size=(len(structures), 3, 3))
    found = descriptor.compute_tangents(features, V_nc, strain_scc)
    expected = differentiate_along(
        lambda moved: compute(moved).G_f, structures, V_nc, strain_scc
    )
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)
    without = descriptor.compute_tangents(features, V_nc)
    at_rest = descriptor.compute_tangents(features, V_nc, 0.0 * strain_scc)
    np.testing.assert_allclose(without, at_rest, rtol=0, atol=1e-12 * size)
    assert not np.allclose(without, found, rtol=0, atol=1e-3 * size)


def imbalance(descriptor, features, rng):
    """Return by how much forces and virials miss to be the adjoint of tangents.

    Of g, and V with strain, all random: ``g Gdot + F V + virial strain = 0``; relative.
    """
    batch = features.batch
    g_f = rng.normal(size=features.G_f.shape)
    V_nc = rng.normal(size=(batch.n_atoms, 3))
    strain_scc = rng.normal(size=(batch.n_structures, 3, 3))
    F_nc, virial_scc = descriptor.compute_forces(features, g_f, virials=True)
    Gdot_f = descriptor.compute_tangents(features, V_nc, strain_scc)
    terms = np.concatenate(
        [g_f * Gdot_f, (F_nc * V_nc).ravel(), (virial_scc * strain_scc).ravel()]
    )
    return abs(terms.sum()) / np.abs(terms).sum()
