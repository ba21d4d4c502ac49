"""Training sets of aenet: read, compared with their structures, and written."""

from __future__ import annotations

import io
import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damage import assert_ends_well, flips, truncations
from systems import STRUCTURES

from annpot.convert.aenet.bases import read_part
from annpot.convert.aenet.networks import Setup
from annpot.convert.aenet.potentials import read_potential
from annpot.convert.aenet.records import LAYOUTS
from annpot.convert.aenet.set_files import (
    Sums,
    open_set,
)
from annpot.convert.aenet.set_records import BinarySetWriter, TextSetWriter
from annpot.convert.aenet.sets import (
    is_binary_set,
    is_text_set,
    read_training_set,
    write_training_set,
)
from annpot.descriptors import Behler, Descriptor
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import load_set
from annpot.set_writing import create_set, make_part
from annpot.structures.reading import Source, read_structures
from annpot.structures.xsf import read_xsf
from annpot.tally import Rules, Tally

DATA = Path(__file__).parents[1] / "data" / "aenet"
XSF = DATA / "structures"


def unpack(name):
    return lzma.decompress((DATA / f"{name}.xz").read_bytes())


TWO, SCALED = unpack("two.train"), unpack("tiny.train.scaled")
TEXT = unpack("TiO2-20.train.ascii")


def put(folder, content, name="a.train"):
    path = folder / name
    path.write_bytes(content)
    return path


def convert(path, **options):
    """Return the fingerprint set of a training set, and the notes."""
    notes: list[str] = []
    output = path.with_name("set.h5")
    read_training_set(path, output, **{"structures": XSF, "notes": notes, **options})
    return load_set(output), notes


def read_all(path):
    with open_set(path) as reader:
        return reader.header, list(reader.structures()), reader.read_setups()


def write_all(header, structures, setups, *, text=False, layout=LAYOUTS[0]):
    file = io.BytesIO()
    writer = TextSetWriter(file) if text else BinarySetWriter(file, layout)
    per_atom = [s.energy / len(s.species_n) for s in structures]
    n_atoms = sum(len(s.species_n) for s in structures)
    sums = Sums(n_atoms, (sum(per_atom) / len(per_atom), min(per_atom), max(per_atom)))
    writer.header(header, sums, "TiO2-20.train")
    for structure in structures:
        writer.structure(structure)
    writer.finish(sums, setups)
    return file.getvalue()


# --- the records --------------------------------------------------------------------


def test_what_aenet_wrote_is_written_the_same(tmp_path):
    for content in (TWO, SCALED):
        # 3 numbers before the set-ups are sums over structures, in another order
        found = write_all(*read_all(put(tmp_path, content)))
        n_different = np.sum(np.frombuffer(found, "u1") != np.frombuffer(content, "u1"))
        assert len(found) == len(content)
        assert n_different <= 3
    found = write_all(*read_all(put(tmp_path, TEXT)), text=True).split(b"\n")
    expected = TEXT.split(b"\n")
    assert found[:10] + found[11:] == expected[:10] + expected[11:]
    np.testing.assert_allclose(
        np.array(found[10].split(), float),
        np.array(expected[10].split(), float),
        rtol=1e-14,
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    header, structures, setups = read_all(put(tmp_path, TWO))
    content = write_all(header, structures, setups, layout=layout)
    assert is_binary_set(content[:4096])
    again, found, found_setups = read_all(put(tmp_path, content, "b.train"))
    assert again.species == header.species
    np.testing.assert_array_equal(found[1].features, structures[1].features)
    np.testing.assert_array_equal(found_setups[1].mean_f, setups[1].mean_f)


def test_what_is_a_set():
    for content in (TWO, SCALED):
        assert is_binary_set(content[:4096])
        assert not is_text_set(content[:4096])
    assert is_text_set(TEXT[:4096])
    assert not is_binary_set(TEXT[:4096])
    others = [*DATA.glob("*.nn"), *DATA.glob("*.ascii"), *XSF.glob("*1.xsf")]
    for path in others:
        head = path.read_bytes()[:4096]
        assert not is_binary_set(head)
        assert not is_text_set(head)


# --- read ---------------------------------------------------------------------------


@pytest.mark.parametrize("content", [TWO, SCALED])
def test_a_set_with_its_structures(tmp_path, content):
    loaded, notes = convert(put(tmp_path, content))
    header, structures, setups = read_all(tmp_path / "a.train")
    assert loaded.descriptor.species == header.species
    assert "structures, " in notes[-1]
    assert "features differ from those in" in notes[-1]
    assert float(notes[-1].split("up to ")[1].split()[0]) < 1e-12
    np.testing.assert_array_equal(loaded.reference_energies, header.reference_energies)
    for s, file in enumerate(loaded.labels.files):
        (expected,) = read_structures(file)
        assert Path(file).name == Path(structures[s].name).name
        assert loaded.labels.energy_s[s] == expected.energy
        atoms = slice(*loaded.batch.first_s[s : s + 2])
        np.testing.assert_array_equal(
            loaded.batch.positions_nc[atoms], expected.positions_nc
        )
        np.testing.assert_array_equal(
            loaded.labels.forces_nc[atoms], expected.forces_nc
        )
    for statistics, setup in zip(loaded.statistics, setups, strict=True):
        assert statistics.n_atoms == setup.n_atoms
        np.testing.assert_allclose(statistics.mean_f, setup.mean_f, rtol=1e-10)
        np.testing.assert_allclose(statistics.max_f, setup.max_f, rtol=1e-10)


def test_structures_are_found_where_the_set_says(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "a" / "xsf20").mkdir()
    for name in ("structure1067.xsf", "structure6471.xsf"):
        shutil.copy(XSF / name, tmp_path / "a" / "xsf20")
    loaded, _ = convert(put(folder, TWO), structures=None)
    assert loaded.batch.n_structures == 2
    # as much of the path as there is
    loaded, _ = convert(put(tmp_path, TWO), structures=tmp_path / "a")
    assert loaded.labels.files[0] == str(tmp_path / "a/xsf20/structure1067.xsf")


def write_set(path, descriptor, rules, entries):
    tally = Tally(rules)
    part, _ = make_part(entries, descriptor)
    tally.add(part)
    with create_set(path, descriptor, "{}") as writer:
        writer.append(part.rows)
        tally.finish(writer)


def fill(descriptor, structures, path, energies):
    """Write the fingerprint set of some structures."""
    rules = Rules(descriptor.species, list(energies))
    write_set(
        path, descriptor, rules, [rules.entry(s, Source(("x",))) for s in structures]
    )
    return load_set(path)


def structures_of(names):
    paths = [XSF / Path(name).name for name in names]
    return [next(read_xsf(path.read_bytes(), str(path))) for path in paths]


def test_the_old_angular_argument_is_found_out(tmp_path):
    header, stored, setups = read_all(put(tmp_path, TWO))
    structures = structures_of(s.name for s in stored)
    legacy = Descriptor((read_part(setups, legacy=True),))
    old = fill(legacy, structures, tmp_path / "old.h5", header.reference_energies)
    notes: list[str] = []
    write_training_set(old, tmp_path / "old.train", text=False, notes=notes)
    assert notes == ["the features are those of aenet up to 2.0.3: later ones differ"]
    for given in (False, True):
        loaded, notes = convert(tmp_path / "old.train", legacy=given)
        assert loaded.descriptor == old.descriptor
        assert len(notes) == 2 - given
    loaded, notes = convert(tmp_path / "a.train", legacy=True)
    assert not loaded.descriptor.parts[0].angular_s[0].legacy
    assert "the features are those of aenet from 2.0.4 on: their angular" in notes[0]


def put_setups(folder, kind):
    for symbol in ("Ti", "O"):
        shutil.copy(DATA / f"{symbol}.{kind}.stp", folder)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("TiO2-20.train.ascii", "fingerprint"), ("behler.train.ascii", "behler")],
)
def test_text_with_setups_beside_it(tmp_path, name, kind):
    put_setups(tmp_path, kind)
    loaded, notes = convert(put(tmp_path, unpack(name)))
    assert loaded.batch.n_structures == 20
    assert f"taken from '{tmp_path / f'Ti.{kind}.stp'}'" in notes[-2]
    assert float(notes[-1].split("up to ")[1].split()[0]) < 1e-11


def test_scaled_text(tmp_path):
    header, structures, setups = read_all(put(tmp_path, SCALED))
    text = write_all(header, structures, setups, text=True)
    for symbol in ("Ti", "O"):
        (tmp_path / f"{symbol}.stp").write_text(
            f"ATOM {symbol}\nENV 2\nTi\nO\nRMIN 0.55d0\nBASIS type=Chebyshev\n"
            "radial_Rc=6.0 radial_N=1 angular_Rc=4.0 angular_N=1\n"
        )
    loaded, notes = convert(put(tmp_path, text, "tiny.train.ascii"))
    assert float(notes[-1].split("up to ")[1].split()[0]) < 1e-12
    for statistics, setup in zip(loaded.statistics, setups, strict=True):
        np.testing.assert_allclose(statistics.mean_f, setup.mean_f, rtol=1e-10)


def test_setups_that_do_not_fit_a_text(tmp_path):
    path = put(tmp_path, TEXT)
    put_setups(tmp_path, "behler")
    with pytest.raises(FileFormatError, match=r"makes 16 features, but Ti has 44 in"):
        convert(path)
    shutil.copy(DATA / "Ti.fingerprint.stp", tmp_path)
    with pytest.raises(FileFormatError, match=r"Ti: 'Ti.behler.stp', 'Ti.fingerprint."):
        convert(path)


# --- what is wrong ------------------------------------------------------------------


def change_structures(edit):
    """Return a function that rewrites the stored structures of `TWO`."""

    def change(folder):
        header, structures, setups = read_all(put(folder, TWO))
        return write_all(header, [edit(s) for s in structures], setups)

    return change


def change_setups(**values):
    def change(folder):
        header, structures, setups = read_all(put(folder, TWO))
        return write_all(header, structures, [replace(s, **values) for s in setups])

    return change


def shift_atom(structure):
    moved = structure.positions_nc.copy()
    moved[1, 2] += 0.01
    return replace(structure, positions_nc=moved)


def change_feature(structure):
    features = [G_f.copy() for G_f in structure.features]
    features[3][7] *= 1.0 + 1e-8
    return replace(structure, features=features)


def other_species(structure):
    return replace(structure, species_n=1 - structure.species_n)


def fewer_atoms(structure):
    return replace(
        structure,
        species_n=structure.species_n[:-1],
        positions_nc=structure.positions_nc[:-1],
        forces_nc=structure.forces_nc[:-1],
        features=structure.features[:-1],
    )


def fewer_features(structure):
    return replace(
        structure, features=[structure.features[0][:-1], *structure.features[1:]]
    )


def number(position, value, kind="<i4"):
    """Return a function that changes four or eight bytes of `TWO`."""

    def change(folder):
        raw = np.array([value], kind).tobytes()
        return TWO[:position] + raw + TWO[position + len(raw) :]

    return change


def without_setups(folder):
    header, structures, _ = read_all(put(folder, TWO))
    content = write_all(header, structures, [])
    return content[:-12] + np.array([4, 0, 4], "<i4").tobytes()


PYTORCH = b"2\n20\nTi O\n-1604.6 -432.5\nF\n1.0\n0.0\n621\n"
MESSAGES = {
    "position": (
        change_structures(shift_atom),
        "structure 1: 'XSF/structure1067.xsf' is not the file that this set was made "
        "of: atom 1 is 0.01 angstrom away",
    ),
    "energy": (
        change_structures(lambda s: replace(s, energy=s.energy + 1.0)),
        "cohesive energy -47.25379833 eV there, expected -46.25379833 eV",
    ),
    "forces": (
        change_structures(lambda s: replace(s, forces_nc=s.forces_nc + 0.5)),
        "forces differ by up to 0.5 eV/angstrom",
    ),
    "species": (
        change_structures(other_species),
        "atom 0 is Ti there, expected O",
    ),
    "atoms": (change_structures(fewer_atoms), "6 atoms there, expected 5"),
    "feature": (
        change_structures(change_feature),
        "structure1067.xsf' differs from what annpot computes by 1.0e-08 of its size",
    ),
    "features": (change_structures(fewer_features), "44, other atoms of Ti have 43"),
    "NaN": (
        change_structures(lambda s: replace(s, energy=np.nan)),
        "(energy): number 1 is nan, expected a finite one",
    ),
    "file": (
        change_structures(lambda s: replace(s, name="x\0y")),
        "(name of a structure file): 'x\\x00y', expected the name of a file",
    ),
    "set-up": (change_setups(symbol="Ti"), "the set-up is for Ti, expected O"),
    "environment": (change_setups(environment=("Ti", "Zr")), "for neighbours Ti, Zr"),
    "order": (
        change_setups(parameters_fk=np.full((44, 4), 3.0)),
        "set-ups: orders 3 and 3 with 2 species make 16 features, but the file says 44",
    ),
    "too many species": (number(4, 5), "does not begin like a training set of aenet"),
    "structures": (number(16, 3), "(name of a structure file): 12 characters"),
    "scale": (
        number(76, 0.0, "<f8"),
        "(scale of energies): 0, expected another",
    ),
    "no set-ups": (without_setups, "does not say how its features are made, as text"),
    "text": (lambda folder: TEXT, "put the set-ups (.stp) beside it, one for each"),
    "aenet-PyTorch": (
        lambda folder: PYTORCH,
        "text in the layout of aenet-PyTorch's trainbin2ASCII.x, which annpot does not",
    ),
    "twice": (
        lambda folder: TEXT.replace(b"O \n", b"Ti\n", 1),
        "line 7 (species): Ti, Ti: the same species twice",
    ),
    "count": (
        lambda folder: TEXT.replace(b" 621\n", b" 622\n", 1),
        "622 atoms announced, but the structures have 621",
    ),
    "more": (lambda folder: TEXT + b"1\n", "'1' follows, expected the end of the file"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message(tmp_path, name):
    change, message = MESSAGES[name]
    path = put(tmp_path, change(tmp_path))
    with pytest.raises(FileFormatError) as caught:
        convert(path)
    assert message in str(caught.value).replace(str(XSF), "XSF")
    assert str(caught.value).startswith(f"'{path}'")
    assert not (tmp_path / "set.h5").exists()


def test_missing_structures(tmp_path):
    path = put(tmp_path, TWO)
    for folder, where in ((None, ""), (tmp_path, f", nor in '{tmp_path}'")):
        with pytest.raises(FileFormatError) as caught:
            convert(path, structures=folder)
        assert str(caught.value) == (
            f"'{path}' holds no cells, and of the 2 structure files that it names, 2 "
            f"are not where it says{where}: '../xsf20/structure1067.xsf', "
            "'../xsf20/structure6471.xsf': please give --structures with the folder "
            "that has them"
        )
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        convert(tmp_path / "nothing.train")


def test_damaged_files_end_well(tmp_path):
    header, structures, setups = read_all(put(tmp_path, TWO))
    text = write_all(header, structures, setups, text=True)

    def read(content):
        return read_all(put(tmp_path, content, "damaged"))

    for content in (TWO, text):
        assert_ends_well(read, [*truncations(content), *flips(content)])


def test_what_comes_of_damaged_files_is_right(tmp_path):
    expected, _ = convert(put(tmp_path, TWO))

    def read(content):
        return convert(put(tmp_path, content, "damaged"))[0]

    for loaded in assert_ends_well(read, flips(TWO, 25)):
        np.testing.assert_allclose(
            loaded.labels.energy_s, expected.labels.energy_s, atol=1e-4
        )
        for one, other in zip(loaded.statistics, expected.statistics, strict=True):
            np.testing.assert_allclose(one.mean_f, other.mean_f, atol=1e-12)


# --- written ------------------------------------------------------------------------


def assert_same_setup(found: Setup, expected: Setup):
    for name in "symbol environment cutoff basis n_atoms".split():
        assert getattr(found, name) == getattr(expected, name)
    for name in "kinds_f parameters_fk neighbours_fk".split():
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in "min_f max_f mean_f mean_square_f".split():
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-11, atol=1e-12
        )


@pytest.mark.parametrize("layout", [LAYOUTS[0], LAYOUTS[3]])
def test_what_is_written_is_what_aenet_wrote(tmp_path, layout):
    path = put(tmp_path, TWO)
    loaded, _ = convert(path)
    notes: list[str] = []
    output = tmp_path / "out.train"
    write_training_set(loaded, output, text=False, layout=layout, notes=notes)
    assert notes == []
    expected_header, expected, expected_setups = read_all(path)
    header, structures, setups = read_all(output)
    assert header == replace(
        expected_header, reference_energies=header.reference_energies
    )
    for found, aenet in zip(structures, expected, strict=True):
        assert Path(found.name).name == Path(aenet.name).name
        np.testing.assert_array_equal(found.species_n, aenet.species_n)
        np.testing.assert_allclose(found.forces_nc, aenet.forces_nc, atol=1e-15)
        np.testing.assert_allclose(found.energy, aenet.energy, atol=1e-10)
        np.testing.assert_allclose(found.positions_nc, aenet.positions_nc, atol=1e-14)
        np.testing.assert_allclose(found.features, aenet.features, atol=1e-11)
    for found_setup, expected_setup in zip(setups, expected_setups, strict=True):
        assert_same_setup(found_setup, expected_setup)
        assert 0.4 <= found_setup.r_min <= 1.0


def test_what_is_not_written_as_it_should_be_is_refused(tmp_path, monkeypatch):
    loaded, _ = convert(put(tmp_path, TWO))
    write = BinarySetWriter.structure

    def write_wrong(writer, structure):
        write(writer, replace(structure, energy=structure.energy + 1e-9))

    monkeypatch.setattr(BinarySetWriter, "structure", write_wrong)
    with pytest.raises(AnnpotError, match="is not what it should be"):
        write_training_set(loaded, tmp_path / "x.train", text=False, notes=[])


def test_a_set_of_a_scaled_one_is_not_scaled(tmp_path):
    loaded, _ = convert(put(tmp_path, SCALED))
    output = tmp_path / "raw.train"
    write_training_set(loaded, output, text=False, notes=[])
    _, _, expected = read_all(tmp_path / "a.train")
    header, structures, setups = read_all(output)
    assert (header.normalized, header.scale, header.shift) == (False, 1.0, 0.0)
    for found, setup in zip(setups, expected, strict=True):
        assert_same_setup(found, setup)
    per_atom = [s.energy / len(s.species_n) for s in structures]
    # E_min, E_max, E_av that aenet printed for these 20 structures
    line = TEXT.split(b"\n")[10].split()
    assert min(per_atom) == pytest.approx(float(line[0]), abs=1e-12)
    assert max(per_atom) == pytest.approx(float(line[1]), abs=1e-12)
    assert np.mean(per_atom) == pytest.approx(float(line[2]), abs=1e-12)


def test_the_order_of_symmetry_functions(tmp_path):
    text = unpack("behler.train.ascii")
    header, expected, _ = read_all(put(tmp_path, text))
    potential = read_potential([DATA / f"{x}.behler.nn" for x in ("Ti", "O")], notes=[])
    (part,) = potential.descriptor.parts
    # aenet does not mix types, but keeps the order of those of one type
    mixed_s = tuple(
        tuple(sorted(functions, key=lambda f: f.type, reverse=True))
        for functions in part.functions_s
    )
    mixed = Descriptor((Behler(part.species, mixed_s),))
    assert mixed.parts != (part,)
    structures = structures_of(s.name for s in expected)
    loaded = fill(mixed, structures, tmp_path / "b.h5", header.reference_energies)
    for as_text in (True, False):
        output = tmp_path / "b.train"
        write_training_set(loaded, output, text=as_text, notes=[])
        _, found, setups = read_all(output)
        for one, other in zip(found, expected, strict=True):
            for n in range(len(one.species_n)):
                np.testing.assert_allclose(
                    one.features[n], other.features[n], rtol=1e-9, atol=1e-12
                )
    assert read_part(setups, legacy=False) == part
    loaded, _ = convert(output)
    assert loaded.descriptor.parts == (part,)


def test_what_gets_lost_is_said(tmp_path):
    _, _, setups = read_all(put(tmp_path, TWO))
    descriptor = Descriptor((read_part(setups, legacy=False),))
    structures = [
        replace(s, energy=-1.0, index=k, file="a b\n.xyz", forces_nc=s.positions_nc)
        for k, s in enumerate(STRUCTURES)
    ]
    structures[0] = replace(structures[0], forces_nc=None)
    rules = Rules(descriptor.species, [-1.0, -2.0])
    source = Source(("x",), set="test", group="g")
    entries = [rules.entry(structure, source) for structure in structures]
    write_set(tmp_path / "s.h5", descriptor, rules, entries)
    loaded = load_set(tmp_path / "s.h5")
    notes: list[str] = []
    write_training_set(loaded, tmp_path / "s.train", text=True, notes=notes)
    assert notes == [
        f"'{tmp_path / 's.h5'}': names of groups are not written",
        "1 structures have no forces: zeros are written",
        "the assignment to training and test sets is not written",
        "structures of one file all get its name, by which nobody can tell them apart",
    ]
    _, found, _ = read_all(tmp_path / "s.train")
    assert found[0].name == "a b .xyz"
    for stored, structure in zip(found, structures, strict=True):
        if structure.pbc_c.all():
            D_nc = stored.positions_nc - structure.positions_nc
            steps_nc = D_nc @ np.linalg.inv(structure.cell_cc)
            np.testing.assert_allclose(steps_nc, np.rint(steps_nc), atol=1e-12)
            inside_nc = stored.positions_nc @ np.linalg.inv(structure.cell_cc)
            assert (inside_nc > -1e-12).all()
            assert (inside_nc < 1 + 1e-12).all()


def test_constant_features_do_not_become_nan(tmp_path):
    _, stored, setups = read_all(put(tmp_path, TWO))
    descriptor = Descriptor((read_part(setups, legacy=False),))
    structure = structures_of([stored[0].name])[0]
    loaded = fill(descriptor, [structure] * 3, tmp_path / "c.h5", [-1.0, -2.0])
    write_training_set(loaded, tmp_path / "c.train", text=False, notes=[])
    for setup in read_all(tmp_path / "c.train")[2]:
        assert (setup.mean_square_f - setup.mean_f**2 > 0.0).all()


def test_what_aenet_has_not(made, tmp_path):
    loaded = load_set(made / "fingerprints.h5")
    with pytest.raises(FileFormatError, match="aenet has no angles that are resolved"):
        write_training_set(loaded, tmp_path / "a.train", text=False, notes=[])
    loaded, _ = convert(put(tmp_path, TWO))
    with pytest.raises(AnnpotError, match="cannot be written: No such file"):
        write_training_set(loaded, tmp_path / "no" / "a.train", text=False, notes=[])
