"""Potentials from aenet and to aenet: the same bytes, energies, clear errors."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from aenet_files import DATA, read_structures
from damage import assert_ends_well, flips, truncations
from systems import SPECIES, STRUCTURES, aenet_descriptor

from annpot.convert.aenet.networks import read_network, write_records
from annpot.convert.aenet.potentials import (
    has_angular_argument,
    is_legacy,
    read_potential,
    write_potential,
)
from annpot.convert.aenet.record_writing import BinaryWriter
from annpot.convert.aenet.records import Layout
from annpot.descriptors import Behler, Chebyshev, Descriptor
from annpot.descriptors.chebyshev import Expansion
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError
from annpot.extrapolation import fit_domain
from annpot.networks import average, initial_network
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.structures.structure import stack

NAMES = ["15t-15t.nn", "behler.nn", "pytorch.nn", "2t.nn"]


def paths_of(name, species=SPECIES):
    return [DATA / f"{symbol}.{name}" for symbol in species]


def read(name):
    return read_potential(paths_of(name), notes=[])


def write(potential, folder, **options):
    """Return the potential that is in the files written, and the notes."""
    notes = []
    paths = write_potential(
        potential, folder / "out.nn", notes=notes, **{"text": False, **options}
    )
    assert [path.name for path in paths] == [f"{s}.out.nn" for s in potential.species]
    legacy = options.get("legacy", False)
    return read_potential(paths, legacy=legacy, notes=notes), notes


def forget(potential):
    """Return the potential without what it knows of its files."""
    return replace(potential, provenance={})


def assert_equal(one, other):
    assert one.descriptor == other.descriptor
    assert one.provenance == other.provenance
    assert one.energy_scale == other.energy_scale
    assert one.energy_shift == other.energy_shift
    np.testing.assert_array_equal(one.reference_energies, other.reference_energies)
    for a, b in zip(one.models, other.models, strict=True):
        np.testing.assert_array_equal(a.shift_f, b.shift_f)
        np.testing.assert_array_equal(a.scale_f, b.scale_f)
        np.testing.assert_array_equal(a.network.flatten(), b.network.flatten())
        assert a.network.activations == b.network.activations


def assert_same_energies(one, other, structures=STRUCTURES):
    assert set(one.species) == set(other.species)
    a, b = (p.evaluate(stack(structures, p.species)) for p in (one, other))
    assert np.abs(a.E_n - b.E_n).max() < 1e-12 * np.abs(a.E_n).max()
    largest = np.abs(a.F_nc).max()
    assert largest > 1e-3
    assert np.abs(a.F_nc - b.F_nc).max() < 1e-11 * largest


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_that_aenet_wrote(name, tmp_path):
    read(name).save(tmp_path / "potential.h5")
    potential = Potential.load(tmp_path / "potential.h5")
    write(potential, tmp_path)
    for symbol in SPECIES:
        expected = (DATA / f"{symbol}.{name}").read_bytes()
        assert (tmp_path / f"{symbol}.out.nn").read_bytes() == expected


def test_the_bytes_that_aenet_wrote_from_text(tmp_path):
    notes = []
    paths = [DATA / "O.2t.nn", DATA / "Ti.2t.nn.ascii"]
    potential = read_potential(paths, notes=notes)
    assert potential.species == ("O", "Ti")
    write(potential, tmp_path)
    for symbol in SPECIES:
        expected = (DATA / f"{symbol}.2t.nn").read_bytes()
        assert (tmp_path / f"{symbol}.out.nn").read_bytes() == expected
    potential = read("pytorch.nn.ascii")
    write(potential, tmp_path)
    for symbol in SPECIES:
        found = (tmp_path / f"{symbol}.out.nn").read_bytes()
        expected = (DATA / f"{symbol}.pytorch.nn").read_bytes()
        # aenet's own program keeps the first word of the description only
        whole = potential.provenance["aenet"][symbol]["setup"]["description"]
        assert whole.startswith("Descriptor for")
        old, new = (text.encode().ljust(1024) for text in ("Descriptor", whole))
        assert found == expected.replace(old, new)
    assert not notes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", [False, True])
def test_round_trip(name, text, tmp_path):
    potential = read(name)
    again, _ = write(potential, tmp_path, text=text, layout=Layout("big", 8))
    assert_equal(again, potential)


@pytest.mark.parametrize("name", NAMES)
def test_written_anew_it_gives_the_same(name, tmp_path):
    potential = read(name)
    again, _ = write(forget(potential), tmp_path)
    assert "made by annpot" in json.dumps(again.provenance)
    assert_same_energies(potential, again)


def test_a_potential_that_was_changed_is_written_anew(tmp_path):
    potential = read("2t.nn")
    changed = replace(potential, energy_shift=-7.0)
    again, notes = write(changed, tmp_path)
    assert notes == [
        "the potential is not any more as it was read from aenet: statistics and names "
        "are written anew"
    ]
    assert_same_energies(changed, again)


HOSTILE = [
    None,
    [],
    {},
    {"Ti": 1, "O": 2},
    {"Ti": {"setup": {}, "training": {}}},
    "same but",
]


@pytest.mark.parametrize("known", HOSTILE)
def test_provenance_is_not_trusted(known, tmp_path):
    potential = read("2t.nn")
    if known == "same but":
        known = json.loads(json.dumps(potential.provenance["aenet"]))
        known["Ti"]["setup"] |= {"n_atoms": "many", "min_f": [[1.0], 2.0]}
    changed = replace(potential, provenance={"aenet": known})
    again, notes = write(changed, tmp_path)
    assert notes
    assert_same_energies(potential, again)


def test_the_argument_of_old_versions():
    """Nothing in the files tells it; these are of aenet 2.0.4."""
    structures = read_structures(["structure1067.xsf"])
    energies = {}
    for legacy in (False, True):
        potential = read_potential(paths_of("15t-15t.nn"), legacy=legacy, notes=[])
        assert has_angular_argument(potential)
        assert is_legacy(potential) == legacy
        batch = stack(structures, potential.species)
        free = potential.reference_energies[batch.species_n].sum()
        energies[legacy] = potential.evaluate(batch).E_s[0] - free
    assert energies[False] == pytest.approx(-47.220482875295716, abs=1e-10)
    assert energies[True] == pytest.approx(-47.9050711, abs=1e-6)


def test_written_for_old_versions(tmp_path):
    potential = read_potential(paths_of("15t-15t.nn"), legacy=True, notes=[])
    again, notes = write(potential, tmp_path, legacy=True)
    assert notes == ["for aenet up to 2.0.3: later versions give other energies"]
    assert_equal(again, potential)
    again, _ = write(forget(potential), tmp_path, legacy=True)
    assert_same_energies(potential, again)
    with pytest.raises(FileFormatError, match="please give --aenet-angular legacy to"):
        write(potential, tmp_path)
    with pytest.raises(FileFormatError, match=r"is that of aenet from 2.0.4 on, with"):
        write(read("15t-15t.nn"), tmp_path, legacy=True)


def test_symmetry_functions_have_no_angular_argument(tmp_path):
    potential = read_potential(paths_of("behler.nn"), legacy=True, notes=[])
    assert not has_angular_argument(potential)
    assert not is_legacy(potential)
    again, notes = write(potential, tmp_path, legacy=True)
    assert_equal(again, potential)
    assert notes == [
        "aenet takes symmetry functions for those of other species unless TYPES of its "
        "inputs are Ti, O, in this order"
    ]


def test_domains():
    potential = read("2t.nn")
    for symbol, model in zip(SPECIES, potential.models, strict=True):
        setup = read_network(DATA / f"{symbol}.2t.nn").setup
        statistics = model.domain.statistics
        assert statistics.n_atoms == setup.n_atoms
        np.testing.assert_array_equal(statistics.min_f, setup.min_f)
        np.testing.assert_array_equal(statistics.max_f, setup.max_f)
        np.testing.assert_array_equal(statistics.mean_f, setup.mean_f)
        variance_f = np.diag(statistics.covariance_ff)
        np.testing.assert_allclose(variance_f, setup.mean_square_f - setup.mean_f**2)
    assert potential.assess(potential.evaluate(stack(STRUCTURES, SPECIES)).features)


@pytest.fixture
def change(tmp_path):
    """Return a function that writes changed files of a potential, and their paths."""

    def write_changed(name="2t.nn", **changes):
        """Change files of species: ``Ti={"setup": {...}, "training": {...}}``."""
        paths = []
        for symbol in SPECIES:
            file = read_network(DATA / f"{symbol}.{name}")
            for part, values in changes.get(symbol, {}).items():
                section = getattr(file, part)
                new = {
                    key: value(getattr(section, key)) if callable(value) else value
                    for key, value in values.items()
                }
                file = replace(file, **{part: replace(section, **new)})
            paths.append(tmp_path / f"{symbol}.nn")
            with paths[-1].open("wb") as stream:
                write_records(file, BinaryWriter(stream))
        return paths

    return write_changed


def put(index, value):
    """Return a function that changes one element of an array."""

    def change_array(array):
        array = array.copy()
        array[index] = value
        return array

    return change_array


def test_constant_features(change):
    """aenet gives them scale 0, and NaN where the variance is below 0 by round-off."""
    notes = []
    mean_f = read_network(DATA / "Ti.2t.nn").setup.mean_f
    values = mean_f**2 + np.array([0.0, -1e-12, 5e-21, 1.0, 1.0, 1.0, 1.0, 1.0])
    paths = change(Ti={"setup": {"mean_square_f": values}})
    scale_f = read_potential(paths, notes=notes).models[0].scale_f
    assert notes == [
        f"'{paths[0]}': mean squares of 1 features are below their squared means, with "
        "which aenet gives NaN: taken as constant"
    ]
    assert (scale_f > 0.0).tolist() == [False] * 3 + [True] * 5


def test_set_that_was_not_counted(change):
    """aenet-python counts no atoms; without ranges, nothing is known."""
    setups = [
        {"n_atoms": 0},
        {"n_atoms": 0, "min_f": np.zeros(8), "max_f": np.zeros(8)},
    ]
    paths = change(**{s: {"setup": x} for s, x in zip(SPECIES, setups, strict=True)})
    potential = read_potential(paths, notes=[])
    assert potential.models[0].domain is not None
    assert potential.models[1].domain is None


def test_notes(change):
    notes = []
    ti, o = change()
    swapped = [ti.with_name("O.15t.nn"), o.with_name("Ti.15t.nn")]
    for old, new in zip((ti, o), swapped, strict=True):
        new.write_bytes(old.read_bytes())
    assert read_potential(swapped, notes=notes).species == SPECIES
    assert notes == [
        f"'{swapped[0]}' is not of O, but of Ti",
        f"'{swapped[1]}' is not of Ti, but of O",
    ]
    notes.clear()
    paths = change(Ti={"setup": {"parameters_fk": put((0, 0), 3.5)}})
    read_potential(paths, notes=notes)
    assert notes == [
        f"'{paths[0]}': the angular cutoff is larger than the radial one: aenet "
        "mistakes the species of neighbours between them and gives other energies"
    ]
    notes.clear()
    paths = change("behler.nn", O={"setup": {"environment": ("O", "Ti")}})
    read_potential(paths, notes=notes)
    assert notes == [
        f"'{paths[1]}': species O, Ti around it, but Ti, O in the set: where the order "
        "differs, aenet takes the symmetry functions of one species for another's and "
        "gives other energies"
    ]


def test_weights_go_by_the_environment_of_each_file(change, tmp_path):
    paths = change(O={"setup": {"environment": ("O", "Ti")}})
    potential = read_potential(paths, notes=[])
    (part,) = potential.descriptor.parts
    assert part.weights_sct[0] == ((1.0, 1.0), (-1.0, 1.0))
    assert part.weights_sct[1] == ((1.0, 1.0), (1.0, -1.0))
    again, _ = write(forget(potential), tmp_path)
    (part,) = again.descriptor.parts
    assert part.weights_sct[1] == ((1.0, 1.0), (1.0, -1.0))
    assert_same_energies(potential, again)


WRONG = {
    "two files of a species": (
        {"O": {"setup": {"symbol": "Ti"}}},
        "'Ti.nn' and 'O.nn' are both of Ti: one file for each species expected",
    ),
    "species without a file": (
        {"Ti": {"setup": {"environment": ("Ti", "H")}}},
        "'Ti.nn' knows Ti and H, but there is no file of H: please give those of all "
        "species, then OUT",
    ),
    "other basis": (
        {"O": {"setup": {"basis": "Behler2011"}}},
        "'O.nn': basis behler2011, but chebyshev in 'Ti.nn': the files are not of one "
        "potential",
    ),
    "other scale": (
        {"O": {"training": {"scale": 1.5}}},
        "'O.nn': scale of energies 1.5, but 1.3018444997266818 in 'Ti.nn': the files "
        "are not of one potential",
    ),
    "other shift": (
        {"O": {"training": {"shift": 1.5}}},
        "'O.nn': shift of energies 1.5, but -7.772856233636881 in 'Ti.nn': the files "
        "are not of one potential",
    ),
    "other energy of atoms": (
        {"O": {"training": {"reference_energies": put(0, 1.5)}}},
        "'O.nn': energy of the atom of Ti 1.5, but -1604.604515075 in 'Ti.nn': the "
        "files are not of one potential",
    ),
    "no energy of the atom": (
        {"O": {"training": {"species": ("Ti", "H")}}},
        "'O.nn': no energy of the atom of O, only of Ti, H",
    ),
    "broken order": (
        {"Ti": {"setup": {"parameters_fk": put((0, 1), 1.5)}}},
        "'Ti.nn': order 1.5, expected 0 to 100",
    ),
    "NaN": (
        {"Ti": {"setup": {"parameters_fk": put((0, 3), np.nan)}}},
        "'Ti.nn': order nan, expected 0 to 100",
    ),
    "no cutoff": (
        {"Ti": {"setup": {"parameters_fk": put((0, 0), 0.0)}}},
        "'Ti.nn': cutoff 0, expected up to 100.0 angstrom",
    ),
    "other order": (
        {"Ti": {"setup": {"parameters_fk": put((0, 1), 2.0)}}},
        "'Ti.nn': orders 2 and 1 with 2 species make 10 features, but the file says 8",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_errors(changes, message, change, tmp_path):
    paths = change(**changes)
    with pytest.raises(FileFormatError) as error:
        read_potential(paths, notes=[])
    assert str(error.value).replace(f"{tmp_path}/", "") == message


WRONG_FUNCTIONS = {
    "type": (
        {"kinds_f": put(2, 6)},
        "'Ti.nn': symmetry function 3: type G6, expected G1 to G5",
    ),
    "neighbour": (
        {"neighbours_fk": put((1, 0), 0)},
        "'Ti.nn': symmetry function 2: its neighbours are species 0, expected 1 to 2",
    ),
    "cutoff": (
        {"parameters_fk": put((0, 0), np.inf)},
        "'Ti.nn': symmetry function 1: cutoff inf, expected 0.001 to 100",
    ),
    "zeta": (
        {"parameters_fk": put((0, 2), 0.5)},
        "'Ti.nn': symmetry function 1: zeta 0.5, expected 1 to 1000",
    ),
}


@pytest.mark.parametrize(
    ("changes", "message"), WRONG_FUNCTIONS.values(), ids=WRONG_FUNCTIONS
)
def test_symmetry_functions_that_annpot_does_not_have(
    changes, message, change, tmp_path
):
    paths = change("behler.nn", Ti={"setup": changes})
    with pytest.raises(FileFormatError) as error:
        read_potential(paths, notes=[])
    assert str(error.value).replace(f"{tmp_path}/", "") == message


def test_missing_file():
    with pytest.raises(
        FileFormatError, match=r"Ti.2t.nn' knows Ti and O, but there is"
    ):
        read_potential(paths_of("2t.nn", ["Ti"]), notes=[])
    with pytest.raises(FileFormatError, match=r"H.nn' cannot be read: No such file"):
        read_potential([DATA / "H.nn"], notes=[])


def test_files_of_different_potentials(change):
    (ti, o) = change(Ti={"setup": {"symbol": "H", "environment": ("H", "O")}})
    message = f"'{o}' knows Ti and O, but there is no file of Ti"
    with pytest.raises(FileFormatError, match=message):
        read_potential([ti, o], notes=[])


@pytest.mark.parametrize("end", ["", ".ascii"])
def test_damaged_files(end, tmp_path):
    content = (DATA / f"Ti.2t.nn{end}").read_bytes()
    path = tmp_path / "Ti.nn"

    def read_damaged(damaged):
        path.write_bytes(damaged)
        return read_potential([path, DATA / "O.2t.nn"], notes=[])

    assert not assert_ends_well(read_damaged, truncations(content[:-70]))
    results = assert_ends_well(read_damaged, flips(content, seed=1))
    assert results
    for potential in results:
        for model in potential.models:
            assert np.isfinite(model.network.flatten()).all()
            assert np.isfinite(model.scale_f).all()


def make_potential(descriptor, *, activation="tanh", hidden=(5, 4), **changes):
    """Return a potential of random weights for the structures."""
    rng = np.random.default_rng(0)
    batch = stack(STRUCTURES, descriptor.species)
    features = descriptor.compute_features(batch)
    models = []
    for G_nf in features.blocks(features.G_f):
        networks = [
            initial_network((G_nf.shape[1], *hidden, 1), activation, rng)
            for _ in range(3)
        ]
        domain = fit_domain(G_nf, 1e-8)
        scale_f = 1.0 / np.sqrt(np.diag(domain.statistics.covariance_ff))
        models.append(
            SpeciesModel(G_nf.mean(axis=0), scale_f, average(networks), domain)
        )
    n = len(descriptor.species)
    made = Potential(
        descriptor=descriptor,
        reference_energies=rng.normal(size=n),
        models=tuple(models),
        energy_shift=-3.7,
        energy_scale=0.3,
        shortest_st=np.full((n, n), 1.5),
        provenance={},
    )
    return replace(made, **changes)


def chebyshev(weights=(-1.0, 1.0), **changes):
    part = Chebyshev(
        SPECIES,
        radial_s=(Expansion(6, 4.2), Expansion(4, 3.7)),
        angular_s=(Expansion(3, 3.4), Expansion(2, 3.7)),
        weights_sct=(((1.0, 1.0), weights), ((1.0, 1.0), (1.0, -1.0))),
    )
    return Descriptor((replace(part, **changes),))


FUNCTIONS = [
    {"type": "G5", "neighbours": ["Ti", "O"], "eta": 0.1, "lambda": 1.0, "zeta": 2.0},
    {"type": "G2", "neighbours": ["O"], "eta": 0.3, "r_s": 1.1},
    {"type": "G4", "neighbours": ["O", "O"], "eta": 0.1, "lambda": -1.0, "zeta": 1.5},
    {"type": "G3", "neighbours": ["Ti"], "kappa": 1.1},
    {"type": "G1", "neighbours": ["O"]},
    {"type": "G5", "neighbours": ["Ti", "Ti"], "eta": 0.0, "lambda": 1.0, "zeta": 4.0},
    {"type": "G2", "neighbours": ["Ti"], "eta": 0.3},
]


def function(**recipe):
    return SymmetryFunction.from_dict({"cutoff": 4.1, **recipe})


def behler(*more):
    functions = [function(**recipe) for recipe in FUNCTIONS]
    part = Behler(SPECIES, ((*functions, *more), tuple(functions[::-1])))
    return Descriptor((part,))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("make", [chebyshev, behler])
def test_potentials_of_annpot(make, text, tmp_path):
    potential = make_potential(make())
    again, _ = write(potential, tmp_path, text=text)
    assert_same_energies(potential, again)
    for model, other in zip(potential.models, again.models, strict=True):
        domain, found = model.domain.statistics, other.domain.statistics
        assert found.n_atoms == domain.n_atoms
        np.testing.assert_array_equal(sorted(found.min_f), sorted(domain.min_f))
    setup = read_network(tmp_path / "O.out.nn").setup
    assert setup.description.startswith("made by annpot 0.")
    assert setup.r_min == 1.0
    assert setup.cutoff == (3.7 if make is chebyshev else 4.1)
    # and what was read is written as it was
    content = (tmp_path / "Ti.out.nn").read_bytes()
    write(again, tmp_path, text=text)
    assert (tmp_path / "Ti.out.nn").read_bytes() == content


def test_features_stand_in_the_order_of_aenet(tmp_path):
    write(make_potential(behler()), tmp_path)
    setup = read_network(tmp_path / "Ti.out.nn").setup
    assert setup.kinds_f.tolist() == [2, 3, 5, 5, 1, 2, 4]
    assert setup.neighbours_fk.tolist() == [
        [1, 0], [1, 0], [1, 1], [1, 2], [2, 0], [2, 0], [2, 2],
    ]  # fmt: skip
    assert setup.parameters_fk[3].tolist() == [4.1, 1.0, 2.0, 0.1]


@pytest.mark.parametrize("species", [("O",), ("O", "H", "Ti"), ("H", "C", "O", "Ti")])
def test_any_number_of_species(species, tmp_path):
    weights = {1: (0.0,), 3: (0.0, 1.0, -1.0), 4: (2.0, -1.0, -2.0, 1.0)}
    n = len(species)
    descriptor = aenet_descriptor(
        species, (Expansion(4, 4.2),) * n, (Expansion(2, 3.4),) * n, [weights[n]] * n
    )
    rng = np.random.default_rng(0)
    symbols = [tuple(rng.choice(species, size=len(s))) for s in STRUCTURES]
    structures = [
        replace(structure, symbols=symbols)
        for structure, symbols in zip(STRUCTURES, symbols, strict=True)
    ]
    models = []
    for n_features in descriptor.n_features_s:
        network = initial_network((n_features, 5, 1), "mtanh", rng)
        shift_f, scale_f = rng.normal(size=n_features), rng.random(n_features)
        models.append(SpeciesModel(shift_f, scale_f, network, None))
    potential = Potential(
        descriptor,
        reference_energies=rng.normal(size=n),
        models=tuple(models),
        energy_shift=0.0,
        energy_scale=-1.0,
        shortest_st=np.full((n, n), np.inf),
        provenance={},
    )
    again, _ = write(potential, tmp_path)
    assert again.descriptor == descriptor
    assert_same_energies(potential, again, structures)
    assert all(model.domain is None for model in again.models)
    assert read_network(tmp_path / "O.out.nn").setup.r_min == 0.4


def test_features_that_aenet_would_lose(tmp_path):
    """Such with means far beyond their deviations, and such that are not used."""
    potential = make_potential(chebyshev())
    model = potential.models[0]
    shift_f, scale_f = model.shift_f.copy(), model.scale_f.copy()
    scale_f[:3] = 0.0
    shift_f[1], shift_f[3], scale_f[3] = 1e9, 12345.678, 1e5
    scale_f[4:7] = -scale_f[4], 1e13, 1e-9
    first = model.network.weights[0].copy()
    first[:, 3], first[:, 5] = 1e-9, 1e-14
    network = replace(model.network, weights=(first, *model.network.weights[1:]))
    model = replace(model, shift_f=shift_f, scale_f=scale_f, network=network)
    potential = replace(potential, models=(model, potential.models[1]))
    again, notes = write(potential, tmp_path)
    assert notes == []
    assert (again.models[0].scale_f > 0.0).all()
    assert not again.models[0].network.weights[0][:, :3].any()
    assert_same_energies(potential, again)


TRAINABLE = (
    "potentials for aenet are trained with descriptor: {angular: {radial_order: none}, "
    "weights: aenet}, or with symmetry functions G1 to G5 with cosine cutoffs"
)
G12 = SymmetryFunction("G12", (), 4.1, eta=0.1)
REFUSED = {
    "two parts": (
        lambda: make_potential(Descriptor(chebyshev().parts + behler().parts)),
        f"aenet has no descriptor of 2 parts: {TRAINABLE}",
    ),
    "resolved angles": (
        lambda: make_potential(chebyshev(angular_s=(Expansion(3, 3.4, 2),) * 2)),
        f"aenet has no angles that are resolved by distances: {TRAINABLE}",
    ),
    "no angles": (
        lambda: make_potential(chebyshev(angular_s=(Expansion(-1, 3.4),) * 2)),
        f"aenet has no descriptor of distances or angles alone: {TRAINABLE}",
    ),
    "long angles": (
        lambda: make_potential(chebyshev(angular_s=(Expansion(3, 4.3),) * 2)),
        "aenet has no angular cutoff beyond the radial one (4.3 and 4.2 angstrom) that "
        f"is right with several species: {TRAINABLE}",
    ),
    "other weights": (
        lambda: make_potential(chebyshev(weights=(-1.0, 1.5))),
        f"aenet has no channels of species with such weights: {TRAINABLE}",
    ),
    "mixed argument": (
        lambda: make_potential(
            chebyshev(angular_s=(Expansion(2, 3.4, legacy=True), Expansion(2, 3.4)))
        ),
        "aenet has no angular argument that differs from species to species: "
        f"{TRAINABLE}",
    ),
    "type of function": (
        lambda: make_potential(behler(G12)),
        f"aenet has no symmetry functions of type G12: {TRAINABLE}",
    ),
    "cutoff function": (
        lambda: make_potential(
            behler(function(**FUNCTIONS[1], cutoff_function="tanh"))
        ),
        "aenet has no cutoff function but cosine from 0 on (tanh, alpha 0): "
        f"{TRAINABLE}",
    ),
    "inner cutoff": (
        lambda: make_potential(behler(function(**FUNCTIONS[1], alpha=0.25))),
        "aenet has no cutoff function but cosine from 0 on (cosine, alpha 0.25): "
        f"{TRAINABLE}",
    ),
    "shifted angular function": (
        lambda: make_potential(behler(function(**FUNCTIONS[0], r_s=0.5))),
        f"aenet has no r_s (0.5) in angular symmetry functions: {TRAINABLE}",
    ),
    "activation": (
        lambda: make_potential(chebyshev(), activation="silu"),
        "aenet has no activation function silu, only linear, tanh, sigmoid, mtanh, "
        "twist: please set train.activation to one of them",
    ),
    "no scale": (
        lambda: make_potential(chebyshev(), energy_scale=0.0),
        "aenet cannot scale energies by 0, as here",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_aenet_cannot_express(make, message, tmp_path):
    potential = make()
    with pytest.raises(FileFormatError) as error:
        write(potential, tmp_path, legacy=is_legacy(potential))
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())


def test_no_features_for_a_species(tmp_path):
    (part,) = behler().parts
    part = replace(part, functions_s=(part.functions_s[0], ()))
    potential = make_potential(chebyshev())
    with pytest.raises(
        FileFormatError, match="no network without inputs, as that of O"
    ):
        write(replace(potential, descriptor=Descriptor((part,))), tmp_path)


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileFormatError, match=r"Ti.out.nn' cannot be written: No such"):
        write(read("2t.nn"), tmp_path / "none")
