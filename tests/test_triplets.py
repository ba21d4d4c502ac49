"""Angular symmetry functions that do not factorise: features, forces, tangents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import direct_triplets
import numpy as np
import pytest
from finite_difference import assert_tangents, imbalance
from systems import SPECIES, STRUCTURES, SYSTEMS, repeat

from annpot.descriptors.base import Descriptor
from annpot.descriptors.cached_triplets import CachedTriplets
from annpot.descriptors.triplets import (
    Compact,
    Cutoff,
    TripletFunction,
    TripletsOperator,
)
from annpot.pairs import find_pairs
from annpot.structures.structure import stack

WEIGHTS = (22.0, 8.0)


@dataclass(frozen=True)
class Part:
    """Triplet functions as the part of a descriptor."""

    functions_s: tuple[tuple[TripletFunction, ...], ...]
    cutoffs: tuple[float, ...] = (3.1, 3.9)
    species: tuple[str, ...] = SPECIES

    @property
    def n_features_s(self):
        return np.array([len(functions) for functions in self.functions_s])

    def operators(self, shells):
        return [TripletsOperator(self.functions_s, WEIGHTS, shells)]


def numbered(*functions_s):
    """Return a descriptor whose features are the functions in their order."""
    return Descriptor(
        (
            Part(
                tuple(
                    tuple(replace(f, feature=k) for k, f in enumerate(functions))
                    for functions in functions_s
                )
            ),
        )
    )


def exponential(pair, lambda_, zeta, eta, rs=0.0, r_jk=True, cutoff=(1, 3.9, 0.0)):
    return TripletFunction(
        0, pair, r_jk, eta, rs, lambda_, zeta, cutoff=Cutoff(*cutoff)
    )


def compact(pair, *window, r_jk=False):
    return TripletFunction(0, pair, r_jk, compact=Compact(*window))


def of_each_pair(make, *parameters, **options):
    return [make(pair, *parameters, **options) for pair in ((0, 0), (1, 0), (1, 1))]


SETS = {
    "3": numbered(
        [
            *of_each_pair(exponential, 1.0, 1.0, 0.1),
            *of_each_pair(exponential, -1.0, 4.0, 0.1),
            *of_each_pair(exponential, -1.0, 16.0, 0.1, 0.7),
        ],
        [
            *of_each_pair(exponential, 1.0, 3.0, 0.01, cutoff=(1, 3.1, 0.0)),
            exponential((0, 1), -1.0, 1.0, 0.3, 1.5),
            exponential((0, 1), -0.5, 2.0, 0.0, 1.5),
        ],
    ),
    "3, real zeta": numbered(
        [
            *of_each_pair(exponential, -1.0, 1.7, 0.1),
            *of_each_pair(exponential, 1.4, 2.5, 0.1),
        ],
        [exponential((0, 1), 1.0, 0.4, 0.05, 1.0)],
    ),
    "9, real zeta": numbered(
        [],
        [
            *of_each_pair(exponential, -1.0, 3.5, 0.1, r_jk=False),
            exponential((0, 0), 1.0, 2.0, 0.1, r_jk=True),
            exponential((0, 0), 1.0, 2.0, 0.1, r_jk=False),
        ],
    ),
    "13": numbered(
        [exponential(None, -1.0, 2.0, 0.04, 0.3)],
        [exponential(None, 1.0, 1.0, 0.1), exponential((1, 1), 1.0, 1.0, 0.1)],
    ),
    **{
        f"3, cutoff {shape}, alpha {alpha}": numbered(
            of_each_pair(exponential, 1.0, 2.0, 0.05, cutoff=(shape, 3.9, alpha)),
            of_each_pair(exponential, -1.0, 1.0, 0.05, cutoff=(shape, 3.1, alpha)),
        )
        for shape, alpha in ((1, 0.4), (2, 0.0), (3, 0.0), (4, 0.2), (6, 0.0), (7, 0.3))
    },
    "21": numbered(
        of_each_pair(compact, -3.9, 3.9, 40.0, 150.0, "p2", r_jk=True),
        [
            *of_each_pair(compact, 1.0, 3.1, 90.0, 270.0, "p3", True, r_jk=True),
            *of_each_pair(compact, 1.0, 3.7, -90.0, 90.0, "p2", r_jk=True),
        ],
    ),
    "22": numbered(
        [
            *of_each_pair(compact, -3.1, 3.1, 40.0, 150.0, "p2"),
            *of_each_pair(compact, -3.1, 3.1, 10.0, 100.0, "p2"),
            *of_each_pair(compact, -3.5, 3.5, 10.0, 100.0, "p4"),
            *of_each_pair(compact, 2.2, 3.9, -150.0, 150.0, "p1"),
        ],
        [
            *of_each_pair(compact, 1.0, 3.1, 90.0, 270.0, "p3", True),
            compact((0, 0), -3.9, 3.9, 0.0, 180.0, "e", True),
        ],
    ),
    "24 and 25": numbered(
        [compact(None, -3.5, 3.5, 10.0, 100.0, "p2", r_jk=True)],
        [
            compact(None, 1.0, 3.5, 60.0, 160.0, "p3", True),
            exponential(None, 1.0, 1.0, 0.1),
            compact((1, 1), -3.5, 3.9, 0.0, 180.0, "e"),
        ],
    ),
}
each_set = pytest.mark.parametrize("descriptor", SETS.values(), ids=SETS)
STACKED = [s for s in STRUCTURES if len(s) < 6]


def compute(descriptor, structures, skin=0.0):
    batch = stack(structures, SPECIES)
    pairs = find_pairs(batch, descriptor.cutoffs, skin)
    return descriptor.compute_features(batch, pairs)


def moving(seed):
    """Return velocities and strain rates for the structures of the tests."""
    rng = np.random.default_rng(seed)
    V_nc = rng.normal(size=(sum(map(len, STACKED)), 3))
    # a strain must leave atoms where no cell vector is, but may stretch and shear
    return V_nc, rng.normal(size=(len(STACKED), 3, 3))


@each_set
@pytest.mark.parametrize("name", SYSTEMS)
def test_features_are_those_of_the_direct_sum(descriptor, name):
    structure = SYSTEMS[name]
    features = compute(descriptor, [structure])
    found = features.blocks(features.G_f)
    expected = direct_triplets.features(
        structure, descriptor.parts[0].functions_s, SPECIES, WEIGHTS, 3.9
    )
    for s, atoms in enumerate(features.atoms_s):
        for row, n in zip(found[s], atoms, strict=True):
            np.testing.assert_allclose(row, expected[n], rtol=1e-11, atol=1e-12)


@each_set
def test_tangents_are_the_derivatives_along_a_motion(descriptor):
    assert_tangents(descriptor, STACKED, 1e-6)


@each_set
def test_forces_and_virials_are_the_adjoint_of_tangents(descriptor):
    features = compute(descriptor, STACKED)
    assert imbalance(descriptor, features, np.random.default_rng(2)) < 1e-12


def test_forces_without_virials_and_of_single_structures():
    descriptor = SETS["3"]
    features = compute(descriptor, STACKED)
    dEdG_f = np.cos(np.arange(len(features.G_f)))
    F_nc, nothing = descriptor.compute_forces(features, dEdG_f)
    assert nothing is None
    some = np.array([1, 3])
    part_nc, _ = descriptor.compute_forces(features, dEdG_f, structures=some)
    inside_n = np.isin(features.batch.structure_n, some)
    np.testing.assert_allclose(part_nc[inside_n], F_nc[inside_n], rtol=1e-13)
    assert not part_nc[~inside_n].any()


@each_set
def test_pairs_beyond_the_cutoff_change_nothing(descriptor):
    plain, padded = (compute(descriptor, STACKED, skin) for skin in (0.0, 0.9))
    np.testing.assert_allclose(padded.G_f, plain.G_f, rtol=1e-12, atol=1e-15)
    dEdG_f = np.cos(np.arange(len(plain.G_f)))
    F_nc, _ = descriptor.compute_forces(plain, dEdG_f)
    padded_nc, _ = descriptor.compute_forces(padded, dEdG_f)
    np.testing.assert_allclose(padded_nc, F_nc, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["3", "21", "22"])
def test_atoms_on_a_line_have_finite_derivatives(name):
    crystal = SYSTEMS["one periodic atom"]
    crystal = replace(crystal, cell_cc=2.0 * np.eye(3))
    descriptor = SETS[name]
    features = compute(descriptor, [repeat(crystal, (2, 1, 1))])
    F_nc, _ = descriptor.compute_forces(features, np.ones_like(features.G_f))
    np.testing.assert_allclose(F_nc, 0.0, atol=1e-10)


@dataclass(frozen=True)
class CachedPart(Part):
    """The same with derivatives that are kept."""

    dtype: type = np.float64
    strains: bool = True

    def operators(self, shells):
        (operator,) = super().operators(shells)
        return [CachedTriplets(operator, self.dtype, strains=self.strains)]


def cached(descriptor, dtype=np.float64, strains=True):
    part = CachedPart(descriptor.parts[0].functions_s, dtype=dtype, strains=strains)
    return Descriptor((part,))


@pytest.mark.parametrize("strains", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["3", "9, real zeta", "24 and 25"])
def test_kept_derivatives_give_the_same_products(name, dtype, strains):
    plain = SETS[name]
    kept = cached(plain, dtype, strains)
    rtol = 1e-11 if dtype == np.float64 else 1e-5
    expected, features = (compute(d, STACKED) for d in (plain, kept))
    np.testing.assert_array_equal(features.G_f, expected.G_f)
    dEdG_f = np.cos(np.arange(len(features.G_f)))
    V_nc, strain_scc = moving(3)
    for structures in (None, np.array([0, 2, 3])):
        for virials in (True, False):
            found, wanted = (
                d.compute_forces(f, dEdG_f, virials=virials, structures=structures)
                for d, f in ((kept, features), (plain, expected))
            )
            scale = abs(wanted[0]).max()
            np.testing.assert_allclose(found[0], wanted[0], rtol, rtol * scale)
            if virials:
                scale = abs(wanted[1]).max()
                np.testing.assert_allclose(found[1], wanted[1], rtol, rtol * scale)
        for rates in (strain_scc, None):
            found, wanted = (
                d.compute_tangents(f, V_nc, rates, structures=structures)
                for d, f in ((kept, features), (plain, expected))
            )
            scale = abs(wanted).max()
            np.testing.assert_allclose(found, wanted, rtol, rtol * scale)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("strains", [True, False])
def test_size_of_kept_derivatives_is_known_in_advance(dtype, strains):
    descriptor = cached(SETS["3"], dtype, strains)
    features = compute(descriptor, STACKED)
    ((_, operator),) = descriptor.operators
    sizes = [
        jacobian.values.nbytes + jacobian.j_r.nbytes + 16 * (len(jacobian.first_n) - 1)
        for jacobian in features.states[0]
    ]
    assert operator.bytes_needed(features.neighbours) == sum(sizes)
