"""Features, forces and tangents: the three operations of the moments kernel."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import direct_sum
import numpy as np
import pytest
import systems
from finite_difference import assert_tangents, gradient, imbalance, move
from systems import CRYSTALS, DESCRIPTOR, SPECIES, STRUCTURES, SYSTEMS

from annpot.descriptors import Chebyshev, Descriptor
from annpot.descriptors.chebyshev import Expansion
from annpot.descriptors.species_weights import aenet_weights
from annpot.pairs import find_pairs
from annpot.structures.structure import Structure, stack


def recipe(radial, angular, weights=None):
    """Return a descriptor for the species Ti, O, N, from (order, cutoff) pairs."""
    n_species = len(radial)
    return systems.aenet_descriptor(
        ("Ti", "O", "N")[:n_species],
        (Expansion(*part) for part in radial),
        (Expansion(*part) for part in angular),
        weights or (tuple(aenet_weights(n_species)),) * n_species,
    )


def resolved(radial, angular, channels=None, mixed=True):
    """Return a descriptor with (order, cutoff, radial order) as angular parts."""
    n_species = len(radial)
    weights_ct = channels or ((1.0,) * n_species, tuple(aenet_weights(n_species)))
    part = Chebyshev(
        ("Ti", "O", "N")[:n_species],
        tuple(Expansion(*part) for part in radial),
        tuple(Expansion(*part) for part in angular),
        (weights_ct,) * n_species,
        mixed,
    )
    return Descriptor((part,))


RECIPES = {
    "standard": DESCRIPTOR,
    "resolved": resolved([(6, 4.2), (4, 3.7)], [(3, 3.4, 3), (2, 4.0, 1)]),
    "resolved, many channels": resolved(
        [(1, 3.0)] * 3,
        [(2, 3.5, 2), (1, 3.3, 0), (0, 3.0, 3)],
        ((1.0, 1.0, 1.0), (-1.0, 0.0, 1.0), (0.3, 1.2, -0.7), (1.0, 0.0, 0.0)),
    ),
    "resolved, not mixed": resolved(
        [(3, 3.5), (-1, 3.0)], [(3, 3.4, 3), (2, 4.0, 2)], mixed=False
    ),
    "resolved and aenet's": Descriptor(
        (
            *DESCRIPTOR.parts,
            *resolved([(-1, 3.0), (2, 3.0)], [(4, 3.9, 1), (-1, 3.0)]).parts,
        )
    ),
    "order 0": recipe([(0, 3.0)], [(0, 3.0)]),
    "order 1": recipe([(1, 3.6), (0, 3.1)], [(0, 3.3), (1, 3.6)]),
    "order 12": recipe([(12, 3.8), (3, 3.8)], [(12, 3.8), (2, 3.8)]),
    "orders 7 and 11": recipe([(2, 3.0), (11, 3.5)], [(7, 2.9), (11, 3.2)]),
    "no angular part": recipe([(4, 3.9), (2, 4.5)], [(-1, 1.0), (-1, 1.0)]),
    "no radial part": recipe([(-1, 9.0), (-1, 9.0)], [(4, 3.9), (3, 3.1)]),
    "one part each": recipe([(-1, 3.0), (5, 3.9)], [(3, 3.7), (-1, 3.0)]),
    "one blind species": recipe([(3, 3.5), (-1, 3.0)], [(2, 3.0), (-1, 3.0)]),
    "one species": recipe([(6, 4.1)], [(5, 3.3)]),
    "one species, angular further": recipe([(6, 3.3)], [(5, 4.1)]),
    "three species": recipe(
        [(3, 4.0), (4, 3.5), (2, 3.0)], [(4, 3.5), (3, 3.0), (2, 3.9)]
    ),
    "free weights": recipe(
        [(3, 4.0)] * 3,
        [(3, 3.5)] * 3,
        ((0.3, -2.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1e3)),
    ),
}
each_recipe = pytest.mark.parametrize("descriptor", RECIPES.values(), ids=RECIPES)
each_system = pytest.mark.parametrize("structure", STRUCTURES, ids=SYSTEMS)


def structures_for(descriptor):
    """Return the standard systems with the species that the descriptor knows."""
    return [systems.as_species(s, descriptor.species) for s in STRUCTURES]


def compute_features(descriptor, structures):
    batch = stack(structures, descriptor.species)
    return descriptor.compute_features(batch)


def features_of_atoms(features):
    """Return the features of each atom, in the order of the batch."""
    sizes_n = features.n_features_s[features.batch.species_n]
    return [
        features.G_f[first : first + size]
        for first, size in zip(features.feature_n, sizes_n, strict=True)
    ]


def toy_coefficients(features):
    """Return numbers that differ from feature to feature and species to species."""
    blocks = features.blocks(np.empty_like(features.G_f))
    for s, block in enumerate(blocks):
        block[:] = np.cos(1.0 + 2.3 * np.arange(block.shape[1]) + 5.1 * s)
    return np.concatenate([block.ravel() for block in blocks])


def toy_energy(structure):
    """Return ``sum_nf k_f sin(G_nf)``."""
    features = compute_features(DESCRIPTOR, [structure])
    return toy_coefficients(features) @ np.sin(features.G_f)


def toy_potential(structures):
    """Return E_s, F_nc and virial_scc of ``E = sum_nf k_f sin(G_nf)``."""
    features = compute_features(DESCRIPTOR, structures)
    k_f = toy_coefficients(features)
    E_f, E_s = k_f * np.sin(features.G_f), np.zeros(len(structures))
    for n, s in enumerate(features.batch.structure_n):
        size = features.n_features_s[features.batch.species_n[n]]
        E_s[s] += E_f[features.feature_n[n] :][:size].sum()
    F_nc, virial_scc = DESCRIPTOR.compute_forces(
        features, k_f * np.cos(features.G_f), virials=True
    )
    return E_s, F_nc, virial_scc


# Reference: the triple loop.


@each_recipe
def test_features_are_those_of_the_triple_loop(descriptor):
    structures = structures_for(descriptor)
    features = compute_features(descriptor, structures)
    assert len(features.G_f) == sum(
        descriptor.n_features_s[descriptor.species.index(symbol)]
        for structure in structures
        for symbol in structure.symbols
    )
    expected = [
        direct_sum.descriptor_features(descriptor, structure, i)
        for structure in structures
        for i in range(len(structure))
    ]
    largest = max(1.0, *(np.abs(G).max(initial=0.0) for G in expected))
    for found, G_f in zip(features_of_atoms(features), expected, strict=True):
        np.testing.assert_allclose(found, G_f, rtol=0, atol=1e-11 * largest)


def test_blocks_hold_the_atoms_of_one_species():
    features = compute_features(DESCRIPTOR, STRUCTURES)
    rows = features_of_atoms(features)
    blocks = features.blocks(features.G_f)
    for s, (atoms, block) in enumerate(zip(features.atoms_s, blocks, strict=True)):
        assert (features.batch.species_n[atoms] == s).all()
        for n, G_f in zip(atoms, block, strict=True):
            np.testing.assert_array_equal(G_f, rows[n])


def test_a_species_without_atoms_has_an_empty_block():
    features = compute_features(DESCRIPTOR, [SYSTEMS["one isolated atom"]])
    shapes = [block.shape for block in features.blocks(features.G_f)]
    assert shapes == [(1, 26), (0, 18)]


def star(n_neighbours):
    """Return one atom with neighbours at different distances on a spiral."""
    k = np.arange(n_neighbours)
    z = (2 * k + 1) / max(1, n_neighbours) - 1
    x, y = np.cos(2.4 * k) * np.sqrt(1 - z * z), np.sin(2.4 * k) * np.sqrt(1 - z * z)
    arms_nc = np.stack([x, y, z], axis=1) * (1.5 + 1.4 * np.sin(k) ** 2)[:, None]
    centre_c = np.array([0.3, -7.0, 20.0])
    return Structure(
        ("Ti",) * (n_neighbours + 1),
        np.concatenate([centre_c[None], centre_c + arms_nc]),
        np.zeros((3, 3)),
        np.zeros(3, dtype=bool),
    )


@pytest.mark.parametrize("n_neighbours", [0, 1, 2, 7, 8, 9, 15, 16, 17, 24])
def test_any_number_of_neighbours(n_neighbours):
    structure = star(n_neighbours)
    descriptor = RECIPES["one species"]
    found = features_of_atoms(compute_features(descriptor, [structure]))[0]
    expected = direct_sum.descriptor_features(descriptor, structure, 0)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-11 * max(1, expected[0])
    )


def test_high_orders():
    descriptor = recipe([(30, 4.0)], [(30, 4.0)])
    structure = star(5)
    found = features_of_atoms(compute_features(descriptor, [structure]))[0]
    expected = direct_sum.descriptor_features(descriptor, structure, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


# Finite differences.


@each_recipe
def test_tangents_are_the_derivatives_along_a_motion(descriptor):
    assert_tangents(descriptor, structures_for(descriptor), 1e-8)


@each_recipe
def test_forces_and_virials_are_adjoint_to_tangents(descriptor):
    features = compute_features(descriptor, structures_for(descriptor))
    assert imbalance(descriptor, features, np.random.default_rng(2)) < 1e-12


@each_system
def test_forces_are_minus_the_gradient_of_the_energy(structure):
    expected = -gradient(
        lambda R_nc: toy_energy(replace(structure, positions_nc=R_nc)),
        structure.positions_nc,
        step=3e-5,
    )
    _, F_nc, _ = toy_potential([structure])
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(F_nc, expected, rtol=0, atol=1e-8 * size)


@each_system
def test_virial_is_minus_the_derivative_by_a_strain(structure):
    at_rest = np.zeros_like(structure.positions_nc)
    expected = -gradient(
        lambda e_cc: toy_energy(move(structure, at_rest, e_cc, 1.0)),
        np.zeros((3, 3)),
        step=3e-5,
    )
    _, _, (virial_cc,) = toy_potential([structure])
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(virial_cc, expected, rtol=0, atol=1e-8 * size)


def test_derivatives_along_the_axes():
    # the polynomials in x + i y have their pole, if they had one, on the z axis
    axes = np.concatenate([np.zeros((1, 3)), 1.7 * np.eye(3), -1.9 * np.eye(3)])
    structure = Structure(
        ("Ti", *("O", "Ti") * 3), axes, np.zeros((3, 3)), np.zeros(3, dtype=bool)
    )
    test_forces_are_minus_the_gradient_of_the_energy(structure)
    test_virial_is_minus_the_derivative_by_a_strain(structure)


# Invariances.


@pytest.mark.parametrize("seed", range(3))
def test_rotation(seed):
    rotation_cc = systems.random_rotation(np.random.default_rng(seed))
    E_s, F_nc, virial_scc = toy_potential(STRUCTURES)
    rotated = toy_potential([systems.rotate(s, rotation_cc) for s in STRUCTURES])
    np.testing.assert_allclose(rotated[0], E_s, atol=1e-11)
    np.testing.assert_allclose(rotated[1], F_nc @ rotation_cc, atol=1e-10)
    turned_scc = rotation_cc.T @ virial_scc @ rotation_cc
    np.testing.assert_allclose(rotated[2], turned_scc, atol=1e-10)


def test_inversion():
    E_s, F_nc, virial_scc = toy_potential(STRUCTURES)
    inverted = toy_potential([systems.rotate(s, -np.eye(3)) for s in STRUCTURES])
    np.testing.assert_allclose(inverted[0], E_s, atol=1e-11)
    np.testing.assert_allclose(inverted[1], -F_nc, atol=1e-10)
    np.testing.assert_allclose(inverted[2], virial_scc, atol=1e-10)


def test_translation():
    shift_c = np.array([1.234, -20.5, 3.3])
    moved = [replace(s, positions_nc=s.positions_nc + shift_c) for s in STRUCTURES]
    for found, expected in zip(
        toy_potential(moved), toy_potential(STRUCTURES), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_no_net_force_and_a_symmetric_virial():
    features = compute_features(DESCRIPTOR, STRUCTURES)
    _, F_nc, virial_scc = toy_potential(STRUCTURES)
    total_sc = np.add.reduceat(F_nc, features.batch.first_s[:-1])
    np.testing.assert_allclose(total_sc, 0.0, atol=1e-11)
    np.testing.assert_allclose(virial_scc, virial_scc.transpose(0, 2, 1), atol=1e-11)


@each_system
def test_permutation(structure):
    order = np.random.default_rng(3).permutation(len(structure))
    permuted = replace(
        structure,
        symbols=tuple(structure.symbols[i] for i in order),
        positions_nc=structure.positions_nc[order],
    )
    E_s, F_nc, virial_scc = toy_potential([structure])
    found = toy_potential([permuted])
    np.testing.assert_allclose(found[0], E_s, atol=1e-11)
    np.testing.assert_allclose(found[1], F_nc[order], atol=1e-11)
    np.testing.assert_allclose(found[2], virial_scc, atol=1e-11)


@pytest.mark.parametrize("counts", [(2, 1, 1), (1, 3, 2)])
def test_supercell(counts):
    E_s, F_nc, virial_scc = toy_potential(CRYSTALS)
    found = toy_potential([systems.repeat(s, counts) for s in CRYSTALS])
    n = np.prod(counts)
    np.testing.assert_allclose(found[0], n * E_s, atol=1e-10)
    np.testing.assert_allclose(found[2], n * virial_scc, atol=1e-10)
    firsts = np.cumsum([0, *(len(s) for s in CRYSTALS)])
    for first, last in itertools.pairwise(firsts):
        images = found[1][n * first : n * last].reshape(n, -1, 3)
        expected = np.broadcast_to(F_nc[first:last], images.shape)
        np.testing.assert_allclose(images, expected, atol=1e-10)


def test_another_cell_of_the_same_crystal():
    other = np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]])
    reshaped = [replace(s, cell_cc=other @ s.cell_cc) for s in CRYSTALS]
    for found, expected in zip(
        toy_potential(reshaped), toy_potential(CRYSTALS), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_atoms_outside_the_cell():
    rng = np.random.default_rng(4)
    shifted = []
    for s in STRUCTURES:
        shift_nc = rng.integers(-3, 4, size=s.positions_nc.shape) * s.pbc_c
        shifted.append(replace(s, positions_nc=s.positions_nc + shift_nc @ s.cell_cc))
    for found, expected in zip(
        toy_potential(shifted), toy_potential(STRUCTURES), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("name", ["molecule", "one isolated atom", "cluster"])
def test_a_far_away_atom_changes_nothing(name):
    structure = SYSTEMS[name]
    far_c = np.array([[60.0, 0.0, 50.0]])
    both = replace(
        structure,
        symbols=(*structure.symbols, "O"),
        positions_nc=np.concatenate([structure.positions_nc, far_c]),
    )
    alone = replace(structure, symbols=("O",), positions_nc=far_c)
    E_s, F_nc, virial_scc = toy_potential([structure])
    found = toy_potential([both])
    np.testing.assert_allclose(found[0], E_s + toy_potential([alone])[0], atol=1e-12)
    np.testing.assert_allclose(found[1][:-1], F_nc, atol=1e-12)
    assert not found[1][-1].any()
    np.testing.assert_allclose(found[2], virial_scc, atol=1e-12)


@pytest.mark.parametrize("cutoff", DESCRIPTOR.cutoffs)
@pytest.mark.parametrize("symbols", [("Ti", "O", "O"), ("O", "Ti", "Ti")])
def test_continuity_at_the_cutoffs(symbols, cutoff):
    def trimer(r):
        positions_nc = np.array([[0.0, 0.0, 0.0], [1.6, 0.5, -0.3], [-0.6, 0.48, 0.64]])
        positions_nc[2] *= r
        return Structure(
            symbols, positions_nc, np.zeros((3, 3)), np.zeros(3, dtype=bool)
        )

    inside, at, outside, beyond = (
        toy_potential([trimer(cutoff + dr)]) for dr in (-1e-7, 0.0, 1e-7, 2e-7)
    )
    for values in zip(inside, at, outside, beyond, strict=True):
        for found in values[:2]:
            # no jump in energy, force or virial, only the slope of each
            step = max(np.abs(values[3] - values[2]).max(), 1e-7)
            np.testing.assert_allclose(found, values[2], rtol=0, atol=30 * step)


# Twins, and what must not happen.


@each_recipe
def test_batched_is_one_by_one(descriptor):
    structures = structures_for(descriptor)
    batched = compute_features(descriptor, structures)
    rows = iter(features_of_atoms(batched))
    for structure in structures:
        for expected in features_of_atoms(compute_features(descriptor, [structure])):
            np.testing.assert_array_equal(next(rows), expected)


@pytest.mark.parametrize("chosen", [[0], [2, 1], list(range(len(STRUCTURES)))])
def test_some_structures_alone_give_their_part_of_the_whole(chosen):
    rng = np.random.default_rng(5)
    structures = [*STRUCTURES, systems.repeat(SYSTEMS["cubic"], (2, 2, 2))] * 2
    features = compute_features(DESCRIPTOR, structures)
    batch = features.batch
    g_f = rng.normal(size=features.G_f.shape)
    V_nc = rng.normal(size=(batch.n_atoms, 3))
    strain_scc = rng.normal(size=(batch.n_structures, 3, 3))
    chosen = np.array([*chosen, len(structures) - 1])
    F_nc, virial_scc = DESCRIPTOR.compute_forces(features, g_f, virials=True)
    only, virials = DESCRIPTOR.compute_forces(
        features, g_f, virials=True, structures=chosen
    )
    in_chosen_n = np.isin(batch.structure_n, chosen)
    np.testing.assert_allclose(only[in_chosen_n], F_nc[in_chosen_n], atol=1e-11)
    assert not only[~in_chosen_n].any()
    np.testing.assert_allclose(virials[chosen], virial_scc[chosen], atol=1e-11)
    assert not np.delete(virials, chosen, axis=0).any()
    Gdot_f = DESCRIPTOR.compute_tangents(features, V_nc, strain_scc)
    some_f = DESCRIPTOR.compute_tangents(features, V_nc, strain_scc, structures=chosen)
    for n in np.flatnonzero(in_chosen_n):
        first = features.feature_n[n]
        f = slice(first, first + features.n_features_s[batch.species_n[n]])
        np.testing.assert_array_equal(some_f[f], Gdot_f[f])


def test_forces_do_not_depend_on_whether_virials_are_wanted():
    features = compute_features(DESCRIPTOR, STRUCTURES)
    with_virials, _ = DESCRIPTOR.compute_forces(features, features.G_f, virials=True)
    without, none = DESCRIPTOR.compute_forces(features, features.G_f)
    assert none is None
    np.testing.assert_array_equal(with_virials, without)


def test_pairs_with_a_skin_give_the_same_results():
    batch = systems.stack_all()
    plain = DESCRIPTOR.compute_features(batch)
    skinned = DESCRIPTOR.compute_features(
        batch, find_pairs(batch, DESCRIPTOR.cutoffs, skin=0.5)
    )
    np.testing.assert_allclose(skinned.G_f, plain.G_f, rtol=0, atol=1e-12)
    g_f = toy_coefficients(plain)
    np.testing.assert_allclose(
        DESCRIPTOR.compute_forces(skinned, g_f)[0],
        DESCRIPTOR.compute_forces(plain, g_f)[0],
        rtol=0,
        atol=1e-12,
    )


def test_input_is_not_modified():
    rng = np.random.default_rng(6)
    batch = stack(STRUCTURES, SPECIES)
    neighbours = find_pairs(batch, DESCRIPTOR.cutoffs)
    features = DESCRIPTOR.compute_features(batch, neighbours)
    g_f = rng.normal(size=features.G_f.shape)
    V_nc = rng.normal(size=(batch.n_atoms, 3))
    strain_scc = rng.normal(size=(batch.n_structures, 3, 3))
    inputs = [
        *(vars(batch)[name] for name in ("species_n", "positions_nc", "cells_scc")),
        *(neighbours.species_n, neighbours.first_g, neighbours.j_p, neighbours.D_cp),
        *(features.G_f, features.feature_n, features.states[0]),
        *(g_f, V_nc, strain_scc),
    ]
    before = copy.deepcopy(inputs)
    DESCRIPTOR.compute_features(batch)
    DESCRIPTOR.compute_forces(features, g_f, virials=True)
    DESCRIPTOR.compute_tangents(features, V_nc, strain_scc)
    for now, then in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_an_empty_batch():
    features = compute_features(DESCRIPTOR, [])
    F_nc, virial_scc = DESCRIPTOR.compute_forces(features, features.G_f, virials=True)
    Gdot_f = DESCRIPTOR.compute_tangents(features, np.zeros((0, 3)))
    assert features.G_f.shape == Gdot_f.shape == (0,)
    assert F_nc.shape == (0, 3)
    assert virial_scc.shape == (0, 3, 3)
