"""Several potentials at once: each gives what it gives alone, and the gradient."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from finite_difference import differentiate, imbalance, move
from made_potentials import (
    SOME_FUNCTIONS,
    random_potential,
    resolved,
    with_angles,
)
from systems import DESCRIPTOR, SPECIES, STRUCTURES, SYSTEMS, stack_all

from annpot.committee import Committee
from annpot.descriptors import Descriptor
from annpot.descriptors.cached_triplets import CachingDescriptor
from annpot.descriptors.chebyshev import Expansion
from annpot.errors import FileFormatError
from annpot.stacks import Stack, evaluate
from annpot.structures.structure import VOIGT


def usual(radial_order=5, order=5):
    """Return a part as by default: as many functions and degrees as kernels unroll."""
    (part,) = DESCRIPTOR.parts
    expansion = Expansion(order, 4.0, radial_order)
    return replace(part, angular_s=(expansion,) * 2)


PARTS = {
    "aenet's Chebyshev": DESCRIPTOR.parts,
    "aenet's old angles": (with_angles(legacy=True),),
    "radial only": (with_angles(order=-1),),
    "resolved": (resolved(SPECIES),),
    "resolved, not mixed": (resolved(SPECIES, mixed=False),),
    "as by default": (usual(),),
    "nine radial functions": (usual(radial_order=8, order=2),),
    "symmetry functions": (SOME_FUNCTIONS,),
    "concatenation": (SOME_FUNCTIONS, resolved(SPECIES)),
}
each_descriptor = pytest.mark.parametrize("name", PARTS)


def make_slopes(features, n_members, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_members, len(features.G_f)))


def compute_features(descriptor, structures=STRUCTURES):
    batch = stack_all(structures)
    return descriptor.compute_features(batch)


# Forces of several energies.


@each_descriptor
def test_each_energy_gets_the_forces_that_it_gets_alone(name):
    descriptor = Descriptor(PARTS[name])
    features = compute_features(descriptor)
    dEdG_kf = make_slopes(features, 3)
    F_knc, virial_kscc = descriptor.compute_all_forces(features, dEdG_kf, virials=True)
    plain_knc, none = descriptor.compute_all_forces(features, dEdG_kf)
    some = np.array([1, 3])
    some_knc, _ = descriptor.compute_all_forces(features, dEdG_kf, structures=some)
    assert none is None
    np.testing.assert_array_equal(plain_knc, F_knc)
    for k, dEdG_f in enumerate(dEdG_kf):
        F_nc, virial_scc = descriptor.compute_forces(features, dEdG_f, virials=True)
        np.testing.assert_array_equal(F_knc[k], F_nc)
        np.testing.assert_array_equal(virial_kscc[k], virial_scc)
        part_nc, _ = descriptor.compute_forces(features, dEdG_f, structures=some)
        np.testing.assert_array_equal(some_knc[k], part_nc)
    assert not np.allclose(F_knc[0], F_knc[1])
    strided_knc, _ = descriptor.compute_all_forces(features, np.asfortranarray(dEdG_kf))
    np.testing.assert_array_equal(strided_knc, F_knc)


@pytest.mark.parametrize("name", ["as by default", "nine radial functions"])
def test_forces_and_virials_are_adjoint_to_tangents(name):
    descriptor = Descriptor(PARTS[name])
    features = compute_features(descriptor)
    assert imbalance(descriptor, features, np.random.default_rng(0)) < 1e-13


def test_kept_derivatives_give_the_same():
    plain = Descriptor(PARTS["concatenation"])
    caching = CachingDescriptor(plain.parts, strains=True)
    features, kept = compute_features(plain), compute_features(caching)
    dEdG_kf = make_slopes(features, 2)
    F_knc, virial_kscc = plain.compute_all_forces(features, dEdG_kf, virials=True)
    found = caching.compute_all_forces(kept, dEdG_kf, virials=True)
    size = np.abs(F_knc).max()
    # kept in single precision
    np.testing.assert_allclose(found[0], F_knc, rtol=0, atol=1e-5 * size)
    size = np.abs(virial_kscc).max()
    np.testing.assert_allclose(found[1], virial_kscc, rtol=0, atol=1e-5 * size)


# Potentials.


@functools.cache
def members_of(name, activations=("tanh", "tanh")):
    parts = PARTS[name]
    return tuple(
        random_potential(*parts, activations=activations, seed=seed)
        for seed in range(3)
    )


def evaluate_all(members, structures=STRUCTURES, **wanted):
    stacks = [Stack(n) for n in zip(*(m.networks for m in members), strict=True)]
    descriptor = members[0].descriptor
    features = compute_features(descriptor, structures)
    return evaluate(stacks, descriptor, features, **wanted)


def assert_close(found, expected):
    size = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * size)


@each_descriptor
@pytest.mark.parametrize("activations", [(), ("silu",), ("tanh", "twist")])
def test_each_member_gives_what_it_gives_alone(name, activations):
    members = members_of(name, activations)
    found = evaluate_all(members, forces=True, stress=True)
    for k, member in enumerate(members):
        alone = member.evaluate(stack_all(), stress=True)
        assert_close(found.E_kn[k], alone.E_n)
        assert_close(found.E_ks[k], alone.E_s)
        assert_close(found.F_knc[k], alone.F_nc)
        assert_close(found.stress_ksv[k], alone.stress_sv)


def test_the_order_of_the_members_does_not_matter():
    members = members_of("resolved")
    one, other = Committee(members), Committee(members[::-1])
    one, other = (committee.evaluate(stack_all()) for committee in (one, other))
    for name in ("E_s", "E_n", "F_nc", "E_std_s", "F_std_n"):
        assert_close(getattr(one, name), getattr(other, name))


def test_members_may_be_scaled_differently():
    first, second, third = members_of("resolved")
    models = [
        replace(m, shift_f=m.shift_f + 0.1, scale_f=0.9 * m.scale_f)
        for m in second.models
    ]
    second = replace(second, models=tuple(models), energy_scale=0.3, energy_shift=2.0)
    found = evaluate_all((first, second, third), forces=True, stress=False)
    for k, member in enumerate((first, second, third)):
        alone = member.evaluate(stack_all())
        assert_close(found.E_ks[k], alone.E_s)
        assert_close(found.F_knc[k], alone.F_nc)


def test_weights_may_lie_in_memory_in_any_order():
    first, *_ = members_of("resolved")
    models = []
    for model in first.models:
        weights = tuple(np.asfortranarray(W) for W in model.network.weights)
        models.append(replace(model, network=replace(model.network, weights=weights)))
    found = evaluate_all(
        [replace(first, models=tuple(models))], forces=True, stress=False
    )
    alone = first.evaluate(stack_all())
    assert_close(found.E_ks[0], alone.E_s)
    assert_close(found.F_knc[0], alone.F_nc)


def moved_energies(members, structure, V_nc, strain_cc, t):
    structure = move(structure, V_nc, strain_cc, t)
    return evaluate_all(members, [structure], forces=False, stress=False).E_ks[:, 0]


@pytest.mark.parametrize("name", ["as by default", "concatenation"])
def test_forces_and_stresses_are_derivatives(name):
    structure, nothing_cc = SYSTEMS["skewed cell"], np.zeros((3, 3))
    members = [
        replace(member, reference_energies=np.zeros(2), energy_shift=0.0)
        for member in members_of(name)
    ]
    found = evaluate_all(members, [structure], forces=True, stress=True)
    slopes_knc = np.empty_like(found.F_knc)
    for n, c in np.ndindex(slopes_knc.shape[1:]):
        V_nc = np.zeros(slopes_knc.shape[1:])
        V_nc[n, c] = 1.0
        energies = functools.partial(
            moved_energies, members, structure, V_nc, nothing_cc
        )
        slopes_knc[:, n, c] = differentiate(energies, step=1e-4)
    size = np.abs(slopes_knc).max()
    np.testing.assert_allclose(found.F_knc, -slopes_knc, rtol=0, atol=3e-8 * size)
    stress_kv = np.empty((len(members), 6))
    for v, (a, b) in enumerate(VOIGT):
        strain_cc = np.zeros((3, 3))
        strain_cc[a, b] += 0.5
        strain_cc[b, a] += 0.5
        energies = functools.partial(
            moved_energies, members, structure, np.zeros_like(V_nc), strain_cc
        )
        stress_kv[:, v] = differentiate(energies, step=3e-5)
    stress_kv /= abs(np.linalg.det(structure.cell_cc))
    size = np.abs(stress_kv).max()
    np.testing.assert_allclose(
        found.stress_ksv[:, 0], stress_kv, rtol=0, atol=3e-8 * size
    )


# The average as one potential.


@pytest.mark.parametrize("name", ["resolved", "concatenation"])
def test_the_average_gives_the_means(name):
    members = members_of(name)
    committee = Committee(members)
    expected = committee.evaluate(stack_all(), stress=True)
    average = committee.average()
    found = average.evaluate(stack_all(), stress=True)
    for what in ("E_s", "E_n", "F_nc", "stress_sv"):
        values = getattr(expected, what)
        size = np.nanmax(np.abs(values))
        np.testing.assert_allclose(
            getattr(found, what), values, rtol=0, atol=1e-12 * size
        )
    assert average.verify() == (0.0, 0.0)
    assert average.provenance["average_of"] == [m.provenance for m in members]
    assert average.models[0].domain is members[0].models[0].domain


def test_the_average_of_members_that_are_scaled_differently():
    first, second, third = members_of("resolved")
    models = []
    for model in second.models:
        scale_f = 0.9 * model.scale_f
        scale_f[0] = 0.0  # a feature that this member does not see
        models.append(replace(model, shift_f=model.shift_f + 0.1, scale_f=scale_f))
    second = replace(second, models=tuple(models), energy_scale=0.3, energy_shift=2.0)
    for members in ((first, second, third), (second, first, third)):
        committee = Committee(members)
        expected = committee.evaluate(stack_all())
        found = committee.average().evaluate(stack_all())
        np.testing.assert_allclose(found.E_s, expected.E_s, rtol=1e-12)
        np.testing.assert_allclose(found.F_nc, expected.F_nc, rtol=0, atol=1e-11)


def test_what_has_no_average_is_told():
    first, second, _ = members_of("resolved")
    other = random_potential(*PARTS["resolved, not mixed"])
    with pytest.raises(FileFormatError, match="member 1 has another descriptor than"):
        Committee((first, other)).average()
    other = random_potential(*PARTS["resolved"], activations=("silu", "tanh"))
    with pytest.raises(FileFormatError, match="different activation functions"):
        Committee((second, other)).average()
