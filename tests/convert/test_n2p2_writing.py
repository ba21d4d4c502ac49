"""Potentials of annpot as folders of n2p2: exact, in n2p2's order and units."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
from direct_n2p2 import DirectPotential
from finite_difference import move
from systems import DESCRIPTOR, SPECIES, STRUCTURES, SYSTEMS, stack_all

from annpot.convert.n2p2.potentials import read_potential, write_potential
from annpot.descriptors import Descriptor
from annpot.descriptors.behler import Behler
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError
from annpot.extrapolation import fit_domain
from annpot.networks import Network, initial_network
from annpot.potential import assemble
from annpot.scaling import compute_statistics, fit_whitening
from annpot.structures.structure import stack
from annpot.units import LENGTHS, Units

ANGSTROM = Units()

RECIPES = {
    "Ti": [
        {"type": "G5", "neighbours": ["Ti", "O"], "eta": 0.1, "lambda": 1, "zeta": 2},
        {"type": "G2", "neighbours": ["O"], "eta": 0.3, "r_s": 0.4},
        {"type": "G1", "neighbours": ["O"]},
        {"type": "G1", "neighbours": ["Ti"]},
        {"type": "G2", "neighbours": ["Ti"], "eta": 0.3, "r_s": 0.4, "cutoff": 0.9},
        {"type": "G12", "eta": 0.3, "r_s": 1.7, "cutoff": 3.1},
        {"type": "G13", "eta": 0.1, "lambda": -1, "zeta": 1.5},
    ],
    "O": [
        {"type": "G4", "neighbours": ["O", "O"], "eta": 0.1, "lambda": -1, "zeta": 1},
        {"type": "G22", "neighbours": ["O", "Ti"], "theta_low": 30, "theta_high": 150,
         "r_low": 0.7, "core": "p2a"},
        {"type": "G20", "neighbours": ["Ti"], "core": "e"},
        {"type": "G2", "neighbours": ["O"], "eta": 0.5},
        {"type": "G2", "neighbours": ["Ti"], "eta": 0.5},
    ],
}  # fmt: skip
"""In another order than n2p2's; one of Ti is always 0, for want of neighbours."""


def make_functions(symbol):
    recipes = [{"cutoff": 4.1, **recipe} for recipe in RECIPES[symbol]]
    return tuple(map(SymmetryFunction.from_dict, recipes))


def split(functions_s):
    """Return the functions as two parts of a descriptor."""
    parts = [tuple(fs[:2] for fs in functions_s), tuple(fs[2:] for fs in functions_s)]
    return Descriptor(tuple(Behler(SPECIES, part) for part in parts))


def make_potential(activation="tanh", sizes=((5, 4), (6, 4)), n_parts=1):
    """Return a potential as the training makes it, of whitened features."""
    functions_s = tuple(make_functions(symbol) for symbol in SPECIES)
    descriptor = Descriptor((Behler(SPECIES, functions_s),))
    if n_parts == 2:
        descriptor = split(functions_s)
    rng = np.random.default_rng(0)
    distorted = [
        move(s, 0.1 * rng.normal(size=s.positions_nc.shape), np.zeros((3, 3)), 1.0)
        for s in STRUCTURES * 3
    ]
    batch = stack_all(distorted)
    features = descriptor.compute_features(batch)
    networks, scalings, domains = [], [], []
    for G_nf, nodes in zip(features.blocks(features.G_f), sizes, strict=True):
        network = initial_network((G_nf.shape[1], *nodes, 1), activation, rng)
        weights_w = network.flatten() + 0.2 * rng.normal(size=network.n_weights)
        networks.append(network.with_weights(weights_w))
        scalings.append(fit_whitening(compute_statistics(G_nf), 1e-4))
        domains.append(fit_domain(G_nf, 1e-4))
    return assemble(
        descriptor,
        networks,
        scalings,
        domains,
        reference_energies=np.array([-1512.5, -432.75]),
        energy_shift=-1.5,
        energy_scale=0.8,
        shortest_st=np.array([[2.1, 1.6], [1.6, 1.9]]),
        provenance={},
    )


@functools.cache
def standard():
    return make_potential()


def there_and_back(potential, folder, units=ANGSTROM):
    """Return what is read of what was written; writing that again changes nothing."""
    assert write_potential(potential, folder, units, []) == [folder]
    again = read_potential(folder, units, [])
    write_potential(again, folder.with_name("again"), units, [])
    for path in folder.iterdir():
        second = folder.with_name("again") / path.name
        assert path.read_bytes() == second.read_bytes(), path.name
    assert len(list(folder.iterdir())) == 2 + len(potential.species)
    return again


def assert_same(potential, other, tolerance=1e-12):
    """Check energies and forces of all systems, relative to their sizes."""
    results = [p.evaluate(stack(STRUCTURES, p.species)) for p in (potential, other)]
    for name in ("E_s", "E_n", "F_nc"):
        found, expected = (getattr(result, name) for result in results[::-1])
        size = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


UNITS = [ANGSTROM, Units("bohr", "hartree"), Units("nm", "kj/mol")]


@pytest.mark.parametrize("n_parts", [1, 2])
@pytest.mark.parametrize("units", UNITS, ids=str)
def test_a_potential_is_the_same_again(units, n_parts, tmp_path):
    potential = make_potential(n_parts=n_parts)
    again = there_and_back(potential, tmp_path / "n2p2", units)
    assert again.species == ("O", "Ti")
    assert_same(potential, again)


@pytest.mark.parametrize("system", ["molecule", "cell smaller than the cutoff", "slab"])
@pytest.mark.parametrize("units", UNITS[:2], ids=str)
def test_energies_by_the_formulas_of_n2p2(system, units, tmp_path):
    write_potential(standard(), tmp_path / "n2p2", units, [])
    structure = SYSTEMS[system]
    E = DirectPotential(tmp_path / "n2p2").energy(
        structure.symbols,
        structure.positions_nc / units.angstrom,
        structure.cell_cc / units.angstrom,
        structure.pbc_c,
    )
    expected = standard().evaluate(stack([structure], SPECIES)).E_s[0]
    assert E * units.ev == pytest.approx(expected, rel=1e-12)
    # most of the energy is that of free atoms
    free = {s: e for s, e in zip(SPECIES, standard().reference_energies, strict=True)}
    bound = expected - sum(free[symbol] for symbol in structure.symbols)
    assert E * units.ev - expected == pytest.approx(0.0, abs=2e-11 * abs(bound))


def test_what_stands_in_the_files(tmp_path):
    write_potential(standard(), tmp_path / "n2p2", ANGSTROM, [])
    text = (tmp_path / "n2p2" / "input.nn").read_text()
    for line in (
        "number_of_elements 2",
        "elements O Ti",
        "cutoff_type 1 0.0",
        "scale_symmetry_functions_sigma",
        "scale_min_short 0.0",
        "scale_max_short 1.0",
        "global_hidden_layers_short 2",
        "global_nodes_short 6 4",
        "global_activation_short t t l",
        "element_nodes_short Ti 1 5",
        "atom_energy O -432.75",
        "atom_energy Ti -1512.5",
        "symfunction_short O 3 O O 0.1 -1.0 1.0 4.1",
        "symfunction_short O 20 Ti -4.1 4.1 e",
        "symfunction_short O 22 O Ti 0.7 4.1 30.0 150.0 p2a",
        "symfunction_short Ti 2 O 0.0 0.0 4.1",
        "symfunction_short Ti 12 0.3 1.7 3.1",
        "symfunction_short Ti 13 0.1 0.0 -1.0 1.5 4.1",
    ):
        assert f"\n{line}\n" in text, line
    weights = (tmp_path / "n2p2" / "weights.022.data").read_text().splitlines()
    assert len(weights) == 8 * 5 + 6 * 4 + 5
    value = r" *-?[0-9]\.[0-9]{16}E[+-][0-9]{2}"
    assert re.fullmatch(value + " a         1     0     1     1     1", weights[0])
    assert re.fullmatch(value + " b        36     1     1", weights[35])
    rows = (tmp_path / "n2p2" / "scaling.data").read_text().splitlines()
    # n2p2 fails at empty lines
    assert all(rows)
    assert len([row for row in rows if row[0] != "#"]) == 5 + 7


@pytest.mark.parametrize("cutoff", [5.0, 6.5, 7.123456, 8.0])
@pytest.mark.parametrize("units", UNITS, ids=str)
def test_lammps_looks_far_enough(units, cutoff, tmp_path):
    potential = with_functions({"type": "G1", "neighbours": ["O"], "cutoff": cutoff})
    write_potential(potential, tmp_path / "n2p2", units, [])
    text = (tmp_path / "n2p2" / "input.nn").read_text()
    line = re.search(r"pair_style hdnnp (\S+) .* cflength (\S+) cfenergy (\S+)\n", text)
    reach, length, energy = map(float, line.groups())
    longest = max(float(x) for x in re.findall(r"_short Ti 2 .* (\S+)\n", text))
    assert 0.0 <= reach - longest / length < 2e-4
    assert length == pytest.approx(1.0 / LENGTHS[units.length], rel=1e-15)
    assert energy == pytest.approx(1.0 / units.ev, rel=1e-15)
    assert "pair_coeff * * O Ti\n" in text


def test_numbers_of_the_training_set_are_kept(tmp_path):
    again = there_and_back(standard(), tmp_path / "n2p2")
    given = standard().models[1].domain.statistics
    found = again.models[0].domain.statistics
    order = [3, 4, 0, 2, 1]
    for name in ("min_f", "max_f", "mean_f"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name)[order])
    variances = np.diag(given.covariance_ff)[order]
    np.testing.assert_allclose(np.diag(found.covariance_ff), variances, rtol=1e-15)


def test_functions_that_are_constant_do_not_count(tmp_path):
    (constant,) = np.flatnonzero(standard().models[0].scale_f == 0.0)
    again = there_and_back(standard(), tmp_path / "n2p2")
    (found,) = [
        f for f, function in enumerate(again.descriptor.parts[0].functions_s[1])
        if function.cutoff == 0.9
    ]  # fmt: skip
    assert standard().descriptor.parts[0].functions_s[0][constant].cutoff == 0.9
    assert not again.models[1].network.weights[0][:, found].any()


def change_models(potential, **changes):
    models = tuple(replace(model, **changes) for model in potential.models)
    return replace(potential, models=models)


def test_what_is_lost_is_told(tmp_path):
    notes = []
    write_potential(standard(), tmp_path / "n2p2", ANGSTROM, notes)
    assert [note[:35] for note in notes] == [
        "networks of different sizes: elemen",
        "n2p2 knows the least and largest va",
    ]
    write_potential(
        change_models(standard(), domain=None), tmp_path / "n2p2", ANGSTROM, notes
    )
    assert notes[3:] == [
        "the ranges of the symmetry functions are not known: n2p2 and LAMMPS will not "
        "warn of extrapolation"
    ]


def test_unknown_ranges(tmp_path):
    potential = change_models(standard(), domain=None)
    again = there_and_back(potential, tmp_path / "n2p2")
    assert [model.domain for model in again.models] == [None, None]
    assert_same(potential, again)


def test_any_scaling_can_be_written(tmp_path):
    rng = np.random.default_rng(5)
    models = tuple(
        replace(
            model,
            shift_f=rng.normal(size=len(model.shift_f)),
            scale_f=np.exp(3 * rng.normal(size=len(model.shift_f))),
        )
        for model in standard().models
    )
    potential = replace(standard(), models=models)
    again = there_and_back(potential, tmp_path / "n2p2")
    assert_same(potential, again)
    for one, other in zip(potential.models, again.models[::-1], strict=True):
        np.testing.assert_array_equal(
            np.sort(one.domain.statistics.max_f), np.sort(other.domain.statistics.max_f)
        )


def test_no_energies_of_atoms(tmp_path):
    potential = replace(standard(), reference_energies=np.zeros(2))
    again = there_and_back(potential, tmp_path / "n2p2")
    assert_same(potential, again)
    assert "atom_energy" not in (tmp_path / "n2p2" / "input.nn").read_text()


@pytest.mark.parametrize(
    ("activation", "letter"),
    [
        ("linear", "l"),
        ("tanh", "t"),
        ("sigmoid", "s"),
        ("softplus", "p"),
        ("relu", "r"),
        ("gaussian", "g"),
        ("cosine", "c"),
        ("exponential", "e"),
        ("square", "h"),
        ("mtanh", "t"),
    ],
)
def test_activation_functions(activation, letter, tmp_path):
    potential = make_potential(activation)
    assert_same(potential, there_and_back(potential, tmp_path / "n2p2"))
    text = (tmp_path / "n2p2" / "input.nn").read_text()
    assert f"global_activation_short {letter} {letter} l\n" in text


def with_functions(*recipes):
    """Return a potential with other functions of Ti."""
    part = standard().descriptor.parts[0]
    functions = part.functions_s[0]
    new = tuple(map(SymmetryFunction.from_dict, recipes))
    functions_s = (new + functions[len(new) :], part.functions_s[1])
    descriptor = Descriptor((Behler(SPECIES, functions_s),))
    return replace(standard(), descriptor=descriptor)


def test_functions_that_become_the_same_are_two(tmp_path):
    radial = {"neighbours": ["O"], "cutoff": 4.1}
    recipes = [{"type": "G2", "eta": 0.0, **radial}, {"type": "G1", **radial}]
    potential = with_functions(*recipes)
    assert_same(potential, there_and_back(potential, tmp_path / "n2p2"))


def test_cutoff_function_and_alpha(tmp_path):
    functions_s = tuple(
        tuple(
            f if f.core else replace(f, cutoff_function="poly2", alpha=0.25) for f in fs
        )
        for fs in standard().descriptor.parts[0].functions_s
    )
    potential = replace(
        standard(), descriptor=Descriptor((Behler(SPECIES, functions_s),))
    )
    assert_same(potential, there_and_back(potential, tmp_path / "n2p2"))
    assert "cutoff_type 6 0.25\n" in (tmp_path / "n2p2" / "input.nn").read_text()


def with_networks(change):
    models = tuple(
        replace(model, network=change(s, model.network))
        for s, model in enumerate(standard().models)
    )
    return replace(standard(), models=models)


def only_first(s, network):
    """Return networks of which the second has other activation functions."""
    return network if s == 0 else replace(network, activations=("tanh", "softplus"))


def without_hidden(_, network):
    n = network.sizes[0]
    return Network((), (np.ones((1, n)),), (np.zeros(1),))


WRONG = {
    "symmetry functions only, this is a potential of type 'chebyshev': train one": (
        lambda: replace(standard(), descriptor=DESCRIPTOR)
    ),
    "activation function 'silu': n2p2 has none of that kind, but linear, tanh": (
        lambda: make_potential("silu")
    ),
    "train with e.g. --set train.activation=tanh": lambda: make_potential("twist"),
    "n2p2 cannot have 'G3 O kappa=1.5 cutoff=4' in angstrom: it has no functions G3": (
        lambda: with_functions(
            {"type": "G3", "neighbours": ["O"], "kappa": 1.5, "cutoff": 4.0}
        )
    ),
    "cutoff functions 'cosine' (alpha 0) and 'poly2' (alpha 0.5): n2p2 has one": (
        lambda: with_functions(
            {
                "type": "G1",
                "neighbours": ["O"],
                "cutoff": 4.0,
                "cutoff_function": "poly2",
                "alpha": 0.5,
            }
        )
    ),
    "hidden layers differ (O: tanh softplus, Ti: tanh tanh): n2p2 has the same": (
        lambda: with_networks(only_first)
    ),
    "networks without hidden layers: n2p2 has none": (
        lambda: with_networks(without_hidden)
    ),
    "a symmetry function of Ti is scaled by -1, which n2p2 cannot express": (
        lambda: change_models(standard(), scale_f=np.full(7, -1.0))
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_n2p2_cannot_express(message, tmp_path):
    with pytest.raises(FileFormatError) as error:
        write_potential(WRONG[message](), tmp_path / "n2p2", ANGSTROM, [])
    assert message in str(error.value)
    assert not (tmp_path / "n2p2").exists()


def test_a_species_without_functions(tmp_path):
    functions_s = (standard().descriptor.parts[0].functions_s[0], ())
    potential = replace(
        standard(), descriptor=Descriptor((Behler(SPECIES, functions_s),))
    )
    with pytest.raises(FileFormatError, match="O has no symmetry functions"):
        write_potential(potential, tmp_path / "n2p2", ANGSTROM, [])


def test_limits_in_the_units_of_the_files(tmp_path):
    potential = with_functions({"type": "G1", "neighbours": ["O"], "cutoff": 99.0})
    with pytest.raises(FileFormatError, match="in bohr: cutoff 187"):
        write_potential(potential, tmp_path / "n2p2", Units("bohr", "ev"), [])
