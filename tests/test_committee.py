"""The committee: mean and deviation, what members share, the file, and bad files."""

from __future__ import annotations

import functools
from dataclasses import replace

import ase.io
import h5py
import numpy as np
import pytest
from damage import assert_ends_well, flips, truncations
from finite_difference import gradient, move
from systems import SMALL, SPECIES, STRUCTURES, SYSTEMS, aenet_descriptor, stack_all

from annpot import Calculator
from annpot.committee import Committee
from annpot.description import describe, verify_file
from annpot.descriptors.chebyshev import Expansion
from annpot.errors import FileFormatError
from annpot.extrapolation import fit_domain
from annpot.format import container
from annpot.networks import initial_network
from annpot.pairs import find_pairs
from annpot.potential import Potential, write_potential
from annpot.potential_parts import SpeciesModel
from annpot.predictor import load_predictor
from annpot.structures.structure import stack

SWAPPED = aenet_descriptor(
    ("O", "Ti"),
    (Expansion(3, 3.9), Expansion(2, 4.2)),
    (Expansion(2, 3.9), Expansion(1, 3.0)),
    ((1.5, -1.0), (1.0, -0.5)),
)
"""Other features and cutoffs, and the species in another order."""
SHORT = aenet_descriptor(
    SPECIES, (Expansion(4, 3.6),) * 2, (Expansion(2, 3.1),) * 2, ((-1.0, 1.0),) * 2
)
"""Another descriptor of the same species."""
NITRIDE = aenet_descriptor(
    ("Ti", "N"), (Expansion(2, 3.0),) * 2, (Expansion(1, 3.0),) * 2, ((-1.0, 1.0),) * 2
)


@functools.cache
def make_potential(seed, descriptor=SMALL, known=True):
    """Return a potential of random weights; the seed does not change its domains."""
    rng, species = np.random.default_rng(seed), descriptor.species
    structures = [
        move(s, 0.05 * shift_nc, np.zeros((3, 3)), 1.0)
        for s in STRUCTURES
        for shift_nc in np.random.default_rng(0).normal(size=(3, len(s), 3))
    ]
    batch = stack([of_species(s, species) for s in structures], species)
    features = descriptor.compute_features(batch)
    models = []
    for G_nf in features.blocks(features.G_f):
        network = initial_network((G_nf.shape[1], 4, 1), "tanh", rng)
        domain = fit_domain(G_nf, 1e-4) if known else None
        scale_f = 1.0 / G_nf.std(axis=0)
        models.append(SpeciesModel(G_nf.mean(axis=0), scale_f, network, domain))
    energies = {"Ti": -12.5 + 0.1 * seed, "O": 3.0, "N": 2.0}
    return Potential(
        descriptor=descriptor,
        reference_energies=np.array([energies[s] for s in species]),
        models=tuple(models),
        energy_shift=-1.5,
        energy_scale=0.8,
        shortest_st=np.full((len(species),) * 2, 1.4),
        provenance={"seed": seed},
        settings=f'{{"train": {{"seed": {seed}}}}}',
    ).with_test_vectors(batch.take(np.arange(2)))


def of_species(structure, species):
    """Return the structure with atoms of the last species instead of unknown ones."""
    symbols = tuple(s if s in species else species[-1] for s in structure.symbols)
    return replace(structure, symbols=symbols)


@functools.cache
def alike():
    """Return a committee of members with the same descriptor."""
    return Committee(tuple(make_potential(seed) for seed in range(3)))


@functools.cache
def mixed():
    """Return one of members with different descriptors, one in another order."""
    potentials = [make_potential(0), make_potential(1, SWAPPED), make_potential(2)]
    return Committee((*potentials, make_potential(3, SHORT)))


each_committee = pytest.mark.parametrize("make", [alike, mixed])


# Means and deviations.


@each_committee
def test_means_and_deviations_are_those_of_the_members(make):
    committee = make()
    found = committee.evaluate(stack_all(), stress=True)
    members = [
        member.evaluate(stack(STRUCTURES, member.species), stress=True)
        for member in committee.members
    ]
    K = len(members)

    def mean(name):
        return sum(getattr(member, name) for member in members) / K

    for name in ("E_s", "E_n", "F_nc", "stress_sv"):
        np.testing.assert_allclose(getattr(found, name), mean(name), 1e-12, 1e-11)
    squares_s = sum((member.E_s - mean("E_s")) ** 2 for member in members)
    np.testing.assert_allclose(found.E_std_s, np.sqrt(squares_s / (K - 1)), rtol=1e-9)
    squares_nc = sum((member.F_nc - mean("F_nc")) ** 2 for member in members)
    expected_n = np.sqrt(squares_nc.sum(axis=1) / (K - 1))
    np.testing.assert_allclose(found.F_std_n, expected_n, rtol=1e-9, atol=1e-12)
    assert found.F_std_n.max() > 0.01


@each_committee
@pytest.mark.parametrize("name", ["skewed cell", "slab", "cluster"])
def test_forces_are_minus_the_gradient_of_the_mean(make, name):
    structure = SYSTEMS[name]
    expected = -gradient(
        lambda R_nc: (
            make()
            .evaluate(
                stack_all([replace(structure, positions_nc=R_nc)]),
                forces=False,
            )
            .E_s[0]
        ),
        structure.positions_nc,
        step=3e-5,
    )
    found = make().evaluate(stack_all([structure])).F_nc
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * size)


def test_equal_members_do_not_deviate():
    potential = make_potential(0)
    found = Committee((potential, make_potential(0))).evaluate(stack_all())
    np.testing.assert_array_equal(found.E_s, potential.evaluate(stack_all()).E_s)
    assert found.E_std_s.max() == found.F_std_n.max() == 0.0


def test_only_what_is_wanted_is_computed():
    energies = mixed().evaluate(stack_all(), forces=False)
    assert energies.F_nc is energies.F_std_n is energies.stress_sv is None
    assert energies.E_std_s.min() > 0.0
    empty = mixed().evaluate(stack_all([]), stress=True)
    assert empty.E_s.shape == empty.E_std_s.shape == empty.F_std_n.shape == (0,)


def test_features_are_computed_once_for_all_that_have_the_same(monkeypatch):
    computed = []
    compute = type(SMALL).compute_features

    def count(descriptor, *arguments):
        computed.append(descriptor.recipe)
        return compute(descriptor, *arguments)

    monkeypatch.setattr(type(SMALL), "compute_features", count)
    alike().evaluate(stack_all())
    assert computed == [SMALL.recipe]
    mixed().evaluate(stack_all())
    assert computed[1:] == [SMALL.recipe, SWAPPED.recipe, SHORT.recipe]


@each_committee
def test_pairs_may_be_given(make):
    committee, batch = make(), stack_all()
    expected = committee.evaluate(batch)
    found = committee.evaluate(batch, find_pairs(batch, committee.cutoffs, skin=0.4))
    np.testing.assert_allclose(found.E_s, expected.E_s, rtol=1e-13)
    np.testing.assert_allclose(found.F_nc, expected.F_nc, rtol=0, atol=1e-11)


def test_what_a_committee_knows():
    assert mixed().species == SPECIES
    assert mixed().cutoffs == (3.0, 3.1, 3.4, 3.6, 3.7, 3.9, 4.0, 4.2)
    np.testing.assert_allclose(mixed().reference_energies, [-12.35, 3.0], rtol=1e-15)
    dE, dF = mixed().verify()
    assert max(dE, dF) < 1e-12


# Extrapolation.


def test_the_first_member_that_knows_its_data_assesses():
    stranger, swapped = make_potential(0, known=False), make_potential(1, SWAPPED)
    committee = Committee((stranger, swapped, make_potential(2)))
    batch = stack_all()
    found = committee.assess(committee.evaluate(batch).features)
    batch = stack(STRUCTURES, swapped.species)
    expected = swapped.assess(swapped.evaluate(batch).features)
    assert found.findings == expected.findings
    np.testing.assert_allclose(found.distance_n, expected.distance_n, rtol=1e-9)


def test_nobody_knows_the_training_data():
    committee = Committee((make_potential(0, known=False),) * 2)
    assert committee.assess(committee.evaluate(stack_all()).features) is None


# What does not belong together.


def test_one_is_no_committee():
    with pytest.raises(FileFormatError, match="of 1 potentials, expected at least 2"):
        Committee((make_potential(0),))


def test_other_species_are_refused():
    with pytest.raises(
        FileFormatError, match="member 1 of the committee knows Ti, N, expected Ti, O"
    ):
        Committee((make_potential(0), make_potential(1, NITRIDE)))


# The file.


@pytest.mark.parametrize("k", range(4))
def test_a_member_taken_out_is_the_potential_that_went_in(tmp_path, k):
    mixed().save(tmp_path / "committee.h5")
    before, after = tmp_path / "before.h5", tmp_path / "after.h5"
    mixed().members[k].save(before)
    Committee.load(tmp_path / "committee.h5").members[k].save(after)
    # the digest of all names, types, arrays, settings, provenance and test vectors
    assert describe(after)["sha256"] == describe(before)["sha256"]
    assert sorted(items(after)) == sorted(items(before))


def items(path):
    found = []
    with h5py.File(path) as file:
        file.visit(found.append)
    return found


def test_equal_statistics_are_in_the_file_once(tmp_path):
    path = tmp_path / "committee.h5"
    domain = replace(make_potential(2).models[1].domain, low=7.0)
    models = (
        make_potential(2).models[0],
        replace(make_potential(2).models[1], domain=domain),
    )
    other = replace(make_potential(2), models=models)
    Committee((make_potential(0), make_potential(1), other)).save(path)
    names = items(path)
    assert "members/0/statistics/O/whitening" in names
    assert "members/1/statistics" not in names
    assert "members/2/statistics/O/whitening" in names
    first, second, third = Committee.load(path).members
    assert second.models[1].domain is first.models[1].domain
    assert third.models[1].domain.low == 7.0


def test_whatever_a_file_holds_is_loaded(tmp_path):
    path = tmp_path / "any.h5"
    make_potential(0).save(path)
    assert isinstance(load_predictor(path), Potential)
    replace(mixed(), settings='{"seed": 3}').save(path)
    loaded = load_predictor(str(path))
    assert isinstance(loaded, Committee)
    batch = stack_all()
    found, expected = loaded.evaluate(batch), mixed().evaluate(batch)
    for name in ("E_s", "F_nc", "E_std_s", "F_std_n"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert describe(path)["settings"] == {"seed": 3}
    with pytest.raises(
        FileFormatError,
        match="is a committee of potentials, expected a potential: 'annpot convert "
        "COMMITTEE --mean OUT' makes one of it",
    ):
        Potential.load(path)


def test_a_file_tells_its_members_and_each_is_verified(tmp_path):
    path = tmp_path / "committee.h5"
    mixed().save(path)
    told = describe(path)
    assert told["n_members"] == len(told["members"]) == 4
    assert told["members"][1]["species"] == ["O", "Ti"]
    assert verify_file(path).force_deviation < 1e-12
    wrong = replace(make_potential(1), energy_scale=0.81)
    Committee((make_potential(0), wrong)).save(path)
    with pytest.raises(FileFormatError, match=r"committee\.h5', member 1: this pot"):
        verify_file(path)
    silent = replace(make_potential(1), test_vectors=None)
    Committee((make_potential(0), silent)).save(path)
    with pytest.raises(FileFormatError, match="member 1: no test vectors"):
        verify_file(path)


# Bad files.


def add_member(file, name, potential):
    """Write a whole member as version 1 does."""
    group = file[container.MEMBERS].create_group(name)
    group[container.SETTINGS] = np.bytes_("{}")
    write_potential(group, potential)


def rename(file, old, new):
    file[container.MEMBERS].move(old, new)


BAD = {
    "no members": (
        lambda f: f.__delitem__("members"),
        "group /members: missing",
    ),
    "members that are a dataset": (
        lambda f: (f.__delitem__("members"), f.update(members=np.zeros(3))),
        "group /members: found a dataset",
    ),
    "an empty group of members": (
        lambda f: (f.__delitem__("members"), f.create_group("members")),
        "a committee of 0 potentials",
    ),
    "one member": (
        lambda f: (rename(f, "0", "x"), f["members"].__delitem__("x")),
        "no member 0, expected members 0 to 1 as there are 2",
    ),
    "a gap": (
        lambda f: f["members"].__delitem__("1"),
        "/members: no member 1, expected members 0 to 1 as there are 2",
    ),
    "a name that is no number": (
        lambda f: rename(f, "2", "x"),
        "no member 2, expected members 0 to 2",
    ),
    "an absurd number": (
        lambda f: rename(f, "2", "99999999999999999999"),
        "no member 2, expected members 0 to 2",
    ),
    "a number with a zero before it": (
        lambda f: rename(f, "2", "02"),
        "no member 2, expected members 0 to 2",
    ),
    "very many groups": (
        lambda f: [f["members"].create_group(str(k)) for k in range(3, 10_000)],
        "more than 10000 groups and datasets",
    ),
    "a member that is a dataset": (
        lambda f: (f["members"].__delitem__("2"), f["members"].update({"2": [1.0]})),
        "/members/2: found a dataset",
    ),
    "a member without statistics, but another descriptor": (
        lambda f: (
            f["members"].__delitem__("2"),
            add_member(f, "2", make_potential(2, SHORT)),
            f["members/2"].__delitem__("statistics"),
        ),
        "/members/2: no statistics, expected some as its descriptor is not that of",
    ),
    "a first member without statistics": (
        lambda f: f["members/0"].__delitem__("statistics"),
        "group /members/0/statistics: missing",
    ),
    "a member without settings": (
        lambda f: f["members/1"].__delitem__("settings"),
        "dataset /members/1/settings: missing",
    ),
    "a member of other species": (
        lambda f: add_member(f, "3", make_potential(3, NITRIDE)),
        "member 3 of the committee knows Ti, N, expected Ti, O as member 0 does",
    ),
    "weights of another shape": (
        lambda f: (
            f.__delitem__("members/1/networks/O/weights 0"),
            f.update({"members/1/networks/O/weights 0": np.ones((4, 5))}),
        ),
        "/members/1/networks/O/weights 0: shape (any, 12) expected",
    ),
    "a link to another member": (
        lambda f: f["members"].update({"3": f["members/0"]}),
        "two links to /members/",
    ),
    "a soft link to another member": (
        lambda f: f["members"].update({"3": h5py.SoftLink("/members/0")}),
        "'3' in /members: a soft or external link",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_a_bad_file_is_an_error_that_names_it(tmp_path, case):
    spoil, message = case
    path = tmp_path / "committee.h5"
    alike().save(path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(FileFormatError) as error:
        load_predictor(path)
    assert str(error.value).startswith(f"'{path}'")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_files_end_well(tmp_path):
    path = tmp_path / "committee.h5"
    oxygen = aenet_descriptor(
        ("O",), (Expansion(2, 3.0),), (Expansion(1, 3.0),), ((1.0,),)
    )
    members = tuple(make_potential(seed, oxygen) for seed in range(2))
    Committee(members).save(path)
    content = path.read_bytes()

    def read(damaged):
        path.write_bytes(damaged)
        return load_predictor(path)

    assert not assert_ends_well(read, truncations(content))
    for loaded in assert_ends_well(read, flips(content)):
        assert len(loaded.members) == 2


# ASE.


def test_the_calculator_gives_means_and_deviations(tmp_path):
    structure = SYSTEMS["cubic"]
    atoms = ase.Atoms(structure.symbols, structure.positions_nc, cell=structure.cell_cc)
    atoms.pbc = structure.pbc_c
    mixed().save(tmp_path / "committee.h5")
    atoms.calc = Calculator(tmp_path / "committee.h5", on_extrapolation="ignore")
    expected = mixed().evaluate(stack_all([structure]), stress=True)
    assert atoms.get_potential_energy() == pytest.approx(expected.E_s[0], rel=1e-13)
    np.testing.assert_allclose(atoms.get_forces(), expected.F_nc, rtol=0, atol=1e-11)
    np.testing.assert_allclose(atoms.get_stress(), expected.stress_sv[0], atol=1e-12)
    energy_std = atoms.calc.get_property("energy_std", atoms)
    assert energy_std == pytest.approx(expected.E_std_s[0], rel=1e-9)
    np.testing.assert_allclose(
        atoms.calc.results["forces_std"], expected.F_std_n, rtol=1e-8
    )
    assert set(atoms.get_properties(["energy"])) >= {"energy", "forces", "stress"}
    ase.io.write(tmp_path / "a.traj", atoms)  # ASE does not know the names
    # atoms move, and the pairs move with them
    atoms.rattle(0.05, seed=1)
    moved = stack_all([replace(structure, positions_nc=atoms.positions)])
    np.testing.assert_allclose(
        atoms.get_forces(), mixed().evaluate(moved).F_nc, rtol=0, atol=1e-11
    )
    assert atoms.calc.n_searches == 1
    alone = Calculator(mixed().members[0], on_extrapolation="ignore")
    alone.get_property("energy", atoms)
    assert "energy_std" not in alone.results
