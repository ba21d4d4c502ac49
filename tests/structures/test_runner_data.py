"""The reader of input.data: what n2p2 documents, and each error message once."""

import gzip
import tarfile
from pathlib import Path

import n2p2_files
import numpy as np
import pytest
from damage import assert_ends_well, flips, truncations

from annpot.errors import InputError, StructureError
from annpot.structures.reading import (
    Source,
    find_files,
    read_files,
    read_structures,
    require_energy,
)
from annpot.structures.runner_data import read_blocks
from annpot.units import ENERGIES, LENGTHS, Units

BOHR, HARTREE = LENGTHS["bohr"], ENERGIES["hartree"]
ATOMIC = Units("bohr", "hartree")
TEXT = """\
begin
comment water in a box, energy 5
lattice 10.0 0.0 0.0
lattice 0.0 11.0 0.0
lattice 1.0 0.0 12.0
atom 1.0 2.0 3.0 O -0.8 0.0 0.1 0.2 0.3
atom 2.8 2.0 3.0 H 0.4 0.0 -0.1 -0.2 -0.3
energy -76.5
charge 0.0
end
begin set=test
atom 0.0 0.0 0.0 Ti 0.0 0.0 0.0 0.0 0.0
energy -1.5
charge 1.0
end
"""


ANGSTROM_EV = Units()


def read(text, units=ANGSTROM_EV):
    raw = text if isinstance(text, bytes) else text.encode()
    found = list(read_blocks(raw, "input.data", units))
    for item in found:
        if isinstance(item, StructureError):
            raise item
    return found


def test_a_crystal_and_a_molecule_in_atomic_units():
    crystal, atom = read(TEXT, ATOMIC)
    assert crystal.symbols == ("O", "H")
    assert crystal.energy == -76.5 * HARTREE
    np.testing.assert_array_equal(
        crystal.cell_cc, np.array([[10, 0, 0], [0, 11, 0], [1, 0, 12]]) * BOHR
    )
    np.testing.assert_allclose(crystal.positions_nc[1], np.array([2.8, 2, 3]) * BOHR)
    np.testing.assert_allclose(
        crystal.forces_nc[0], np.array([0.1, 0.2, 0.3]) * HARTREE / BOHR, rtol=1e-15
    )
    assert crystal.pbc_c.all()
    assert (crystal.index, crystal.set, crystal.stress_v) == (0, None, None)
    assert atom.symbols == ("Ti",)
    assert not atom.pbc_c.any()
    assert not atom.cell_cc.any()
    assert (atom.index, atom.set) == (1, "test")
    np.testing.assert_array_equal(atom.forces_nc, np.zeros((1, 3)))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n   "),
        lambda text: text.replace("\natom", "\n   atom").replace(" H", "\tH"),
        lambda text: text.replace("0.1 ", "1.0000000000000000000D-01 "),
        lambda text: text.replace("atom 2.8", "comment ...\natom 2.8"),
        lambda text: text.replace("charge 0.0\n", ""),
        lambda text: text.replace(" O ", " 8 ").replace(" Ti ", " TI "),
        lambda text: text.replace("energy -76.5", "energy -7.65d+01"),
        lambda text: "\ufeff" + text,
    ],
)
def test_variants_read_the_same(change):
    for expected, structure in zip(read(TEXT), read(change(TEXT)), strict=True):
        assert structure.symbols == expected.symbols
        assert structure.energy == expected.energy
        np.testing.assert_array_equal(structure.cell_cc, expected.cell_cc)
        np.testing.assert_array_equal(structure.positions_nc, expected.positions_nc)
        np.testing.assert_array_equal(structure.forces_nc, expected.forces_nc)


def test_agrees_with_numbers_read_plainly():
    for case in n2p2_files.read_archive(n2p2_files.DATA).values():
        words = [line.split() for line in case["input.data"].splitlines()]
        atoms = [w for w in words if w[0] == "atom"]
        structures = read(case["input.data"])
        assert len(structures) == words.count(["end"]) > 0
        assert [x for s in structures for x in s.symbols] == [w[4] for w in atoms]
        for found_nc, columns in (
            ([s.positions_nc for s in structures], slice(1, 4)),
            ([s.forces_nc for s in structures], slice(7, 10)),
        ):
            plain_nc = np.array([w[columns] for w in atoms], dtype=float)
            np.testing.assert_array_equal(np.concatenate(found_nc), plain_nc)


def edit(old, new, count=1):
    assert old in TEXT
    return TEXT.replace(old, new, count)


MESSAGES = {
    "no begin": (edit("begin\n", "begn\n"), "line 1: 'begin' expected, found 'begn'"),
    "did you mean": (edit("begin\n", "begn\n"), "did you mean 'begin'?"),
    "other set": (
        edit("set=test", "set=validation"),
        "line 11: nothing, set=train or set=test expected after 'begin', found "
        "'set=validation'",
    ),
    "two begins": (
        edit("end\n", ""),
        "line 10: 'end' expected, found another 'begin': the structure of line 1",
    ),
    "no end": (TEXT[:-4], "line 11: 'begin' without 'end' before the end of the file"),
    "keyword": (edit("charge", "spin"), "line 9: a keyword expected, found 'spin' (k"),
    "near keyword": (edit("energy -", "enegry -"), "'enegry', did you mean 'energy'?"),
    "two energies": (
        edit("charge 0.0", "energy 0.0"),
        "line 9: one 'energy' expected in a structure, found another in line 8",
    ),
    "no number": (edit("energy -76.5", "energy"), "line 8: one number expected after"),
    "NaN energy": (edit("-76.5", "nan"), "line 8: a finite number expected, found 'na"),
    "underscore": (edit("-76.5", "-7_6.5"), "expected, found '-7_6.5'"),
    "two lattice": (
        edit("lattice 1.0 0.0 12.0\n", ""),
        "line 1: 3 lines 'lattice' expected (periodic), or none, found 2",
    ),
    "four lattice": (
        edit("lattice 1.0", "lattice 1 1 1\nlattice 1.0"),
        "line 6: a fourth 'lattice'",
    ),
    "short vector": (edit("12.0", ""), "line 5: 3 numbers expected after 'lattice', f"),
    "bad vector": (edit("12.0", "x"), "line 5: expected a finite number (below 1e+08)"),
    "columns": (
        edit("-0.1 -0.2 -0.3", "-0.1"),
        "line 7: 8 columns found, expected 10 (atom x y z element charge n fx fy fz)",
    ),
    "element": (edit(" H ", " Hx "), "line 7: unknown element 'Hx', expected a chemic"),
    "long name": (edit(" H ", " TiTiTiTiH "), "line 7: unknown element 'TiTiTiTiH'"),
    "infinite force": (edit("-0.3", "inf"), "line 7: expected a finite number"),
    "huge position": (edit("2.8", "1e300"), "line 7: expected a finite number (below"),
    "no atoms": (
        "begin\nenergy 1\nend\n",
        "line 3: at least one 'atom' expected before 'end', found none",
    ),
    "empty": ("\n\n", "empty file, expected a structure in input.data format"),
    "binary": (edit("H", "\0"), "line 7: binary data, expected text in input.data fo"),
    "after end": (TEXT + "energy 1\n", "line 16: 'begin' expected, found 'energy'"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message(name):
    text, message = MESSAGES[name]
    with pytest.raises(StructureError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("'input.data'")


def test_damaged_files_end_well():
    content = TEXT.encode()
    for step, n in ((1, 400), (64, 200)):
        assert_ends_well(
            lambda damaged: read(damaged),
            [*truncations(content, step), *flips(content, n)],
        )


def write(path, text=TEXT):
    path.write_text(text)
    return path


# --- as a format like any other -----------------------------------------------------


@pytest.mark.parametrize("name", ["input.data", "my.data", "structures", "a.gz"])
def test_it_is_recognised(tmp_path, name):
    path = tmp_path / name
    content = TEXT.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    structures = list(read_structures(path, units=ATOMIC))
    assert [s.energy for s in structures] == [-76.5 * HARTREE, -1.5 * HARTREE]
    assert structures[1].file == str(path)
    (last,) = read_structures(path, units=ATOMIC, index="-1")
    assert last.index == 1


def test_an_input_data_without_begin_says_so(tmp_path):
    path = write(tmp_path / "input.data", "42 atoms\n")
    with pytest.raises(StructureError, match="line 1: 'begin' expected, found '42'"):
        list(read_structures(path, units=ATOMIC))


def test_units_must_be_given_but_only_for_it(tmp_path):
    path = write(tmp_path / "input.data")
    with pytest.raises(InputError, match="does not say its units: please give th"):
        list(read_structures(path))
    xsf = write(tmp_path / "a.xsf", "ATOMS\nH 0 0 0\n")
    with pytest.raises(InputError, match=r"units bohr,hartree for '.*a.xsf': only fil"):
        list(read_structures(xsf, units=ATOMIC))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(xsf, "a.xsf")
    with pytest.raises(InputError, match="only files of format runner"):
        list(read_structures(tmp_path / "a.tar", units=ATOMIC))
    with pytest.raises(StructureError, match="line 1: 'begin' expected, found 'ATOMS'"):
        list(read_structures(xsf, units=ATOMIC, format="runner"))


def test_a_folder_is_searched_by_content(tmp_path):
    for name in ("input.data", "more.data.gz", "scaling.data", "other.txt"):
        (tmp_path / name).write_text("nonsense\n")
    (tmp_path / "more.data.gz").write_bytes(gzip.compress(TEXT.encode()))
    write(tmp_path / "extra.data")
    found = find_files(Source((".",)), tmp_path)
    assert {file.path.name for file in found} == {
        "extra.data",
        "input.data",
        "more.data.gz",
    }


def test_errors_are_skipped_or_not(tmp_path):
    text = TEXT.replace("energy -76.5", "energy 1e30") + "begin\nnonsense\n"
    source = Source((str(write(tmp_path / "input.data", text)),), units="bohr,hartree")
    files = find_files(source, Path())
    skipped: list[str] = []
    structures = [s for s, _ in read_files(files, on_error="skip", skipped=skipped)]
    assert [s.set for s in structures] == ["test"]
    assert "energy is" in skipped[0]
    assert "line 17: a keyword expected, found 'nonsense'" in skipped[1]
    with pytest.raises(StructureError, match="energy is"):
        list(read_files(files))


def test_what_is_missing_is_named_as_in_the_format(tmp_path):
    path = write(tmp_path / "input.data", TEXT.replace("energy -76.5\n", ""))
    structure = next(read_structures(path, units=ATOMIC))
    assert structure.energy is None
    with pytest.raises(StructureError, match="no energy found, expected a line"):
        require_energy(structure)
