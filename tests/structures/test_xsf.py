"""The XSF reader: against ASE, aenet's conventions, and each error message once."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.units import Hartree
from hypothesis import given, settings
from hypothesis import strategies as st

from annpot.errors import StructureError
from annpot.structures.structure import Structure
from annpot.structures.xsf import read_xsf

DATA = Path(__file__).parents[1] / "data" / "structures"

CRYSTAL = """\
# total energy = -10.5 eV
CRYSTAL
PRIMVEC
 4.0 0.0 0.0
 0.0 4.0 0.0
 0.0 0.0 4.0
PRIMCOORD
2 1
Ti 0.0 0.0 0.0 0.1 0.2 0.3
O  2.0 2.0 2.0 -0.1 -0.2 -0.3
"""
CELL = "PRIMVEC\n 4 0 0\n 0 4 0\n 0 0 4\n"
MOVIE = f"""\
ANIMSTEPS 3
CRYSTAL
{CELL}# total energy = -1 eV
PRIMCOORD 1
1 1
Cu 0 0 0
# total energy = -2 eV
PRIMCOORD 2
1 1
Cu 0.1 0 0
PRIMCOORD 3
# total energy = -3 eV
1 1
Cu 0.2 0 0
"""


def read(text: str | bytes) -> list[Structure]:
    return list(read_xsf(text, "x.xsf"))


def read_one(text: str | bytes) -> Structure:
    (structure,) = read(text)
    return structure


def replace_line(number: int, line: str, text: str = CRYSTAL) -> str:
    lines = text.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["0001", "1067", "7473"])
def test_agrees_with_ase(name):
    path = DATA / f"structure{name}.xsf"
    structure = read_one(path.read_bytes())
    atoms = ase.io.read(path)
    assert structure.symbols == tuple(atoms.symbols)
    np.testing.assert_array_equal(structure.positions_nc, atoms.positions)
    np.testing.assert_array_equal(structure.cell_cc, atoms.cell.array)
    assert structure.pbc_c.all()
    # ASE takes the forces in the file as Hartree/angstrom, aenet as eV/angstrom.
    np.testing.assert_allclose(structure.forces_nc, atoms.get_forces() / Hartree)
    for array in (structure.positions_nc, structure.cell_cc, structure.forces_nc):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous


def test_energy_of_aenet_example():
    path = DATA / "structure0001.xsf"
    assert read_one(path.read_bytes()).energy == -19960.66173260


def test_crystal():
    structure = read_one(CRYSTAL)
    assert structure.symbols == ("Ti", "O")
    assert structure.energy == -10.5
    assert structure.cohesive_energy is None
    assert structure.label == "'x.xsf'"
    np.testing.assert_array_equal(structure.cell_cc, 4 * np.eye(3))
    np.testing.assert_array_equal(structure.positions_nc, [[0, 0, 0], [2, 2, 2]])
    np.testing.assert_array_equal(
        structure.forces_nc, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]]
    )


@pytest.mark.parametrize(
    ("keyword", "pbc"),
    [
        ("", (True, True, True)),
        ("CRYSTAL", (True, True, True)),
        ("SLAB", (True, True, False)),
        ("POLYMER", (True, False, False)),
        ("MOLECULE", (False, False, False)),
    ],
)
def test_periodicity(keyword, pbc):
    structure = read_one(CRYSTAL.replace("CRYSTAL", keyword))
    assert tuple(structure.pbc_c) == pbc


def test_isolated_with_atomic_numbers_without_forces():
    structure = read_one("#Cohesive  Energy=-3.5\nATOMS\n22 0 0 0\n8 1.6 0 0\n")
    assert structure.symbols == ("Ti", "O")
    assert not structure.pbc_c.any()
    assert not structure.cell_cc.any()
    assert structure.forces_nc is None
    assert structure.energy is None
    assert structure.cohesive_energy == -3.5


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("Ti", "TI").replace("0.1 ", "1.0D-01 "),
        lambda text: text.replace("O  2", "\n# a comment\nO  2"),
        lambda text: (
            text.replace("# total energy = -10.5 eV\n", "")
            + "\n\n# Total Energy = -10.5 eV\n"
        ),
        lambda text: text.replace("# total", "total"),
        lambda text: text.replace(
            "PRIMCOORD", "CONVVEC\n1 0 0\n0 1 0\n0 0 1\nPRIMCOORD"
        ),
        lambda text: text.replace("PRIMCOORD", "CONVCOORD\n1 1\nO 0 0 0\nPRIMCOORD"),
        lambda text: text + "BEGIN_BLOCK_DATAGRID_3D\n 1 2 3\nEND_BLOCK_DATAGRID_3D\n",
        lambda text: "# \xe9 total energy of something\n" + text,
        lambda text: ("\ufeff" + text).encode(),
    ],
)
def test_variants_read_the_same(change):
    expected, structure = read_one(CRYSTAL), read_one(change(CRYSTAL))
    assert structure.symbols == expected.symbols
    assert structure.energy == expected.energy
    np.testing.assert_array_equal(structure.positions_nc, expected.positions_nc)
    np.testing.assert_array_equal(structure.forces_nc, expected.forces_nc)


def test_animation_with_fixed_cell():
    structures = read(MOVIE)
    assert [s.energy for s in structures] == [-1, -2, -3]
    assert [s.index for s in structures] == [0, 1, 2]
    assert [s.positions_nc[0, 0] for s in structures] == [0, 0.1, 0.2]
    for structure in structures:
        np.testing.assert_array_equal(structure.cell_cc, 4 * np.eye(3))
    assert structures[2].label == "'x.xsf', structure 2"


@pytest.mark.parametrize("pbc", [True, False])
@pytest.mark.parametrize("strain", [0.0, 0.1])
def test_animation_written_by_ase(tmp_path, pbc, strain):
    atoms = ase.Atoms("CO", [(0, 0, 0), (1.1, 0, 0)], cell=np.eye(3) * 5, pbc=pbc)
    images = [atoms.copy() for _ in range(3)]
    for i, image in enumerate(images):
        image.set_cell(np.eye(3) * (5 + i * strain), scale_atoms=True)
        image.rattle(0.1, seed=i)
    ase.io.write(tmp_path / "m.xsf", images)
    structures = list(read_xsf((tmp_path / "m.xsf").read_bytes(), "m.xsf"))
    assert len(structures) == 3
    for structure, image in zip(structures, images, strict=True):
        np.testing.assert_allclose(structure.positions_nc, image.positions, atol=1e-13)
        if pbc:
            np.testing.assert_allclose(structure.cell_cc, image.cell.array)


def test_structures_before_an_error_are_delivered():
    iterator = read_xsf(MOVIE.replace("Cu 0.1 0 0", "Cu 0.1 0"), "x.xsf")
    assert next(iterator).energy == -1
    with pytest.raises(StructureError, match="line 14: 3 columns found"):
        next(iterator)


NUMBERS = """
0 -0 +1 1. .5 -.5e1 1e22 1e-22 123456789012345 9007199254740993 0.1234567890123456789
8.41 1.0D-01 1d2 1E+3 4503599627370496.5 7.2057594037927933 2.2250738585072014e-308
5e-324 1e-400 99999999.99999999 0.30000000000000004 3.141592653589793115997963468
000000000000000000000000001.5 1e00000000000000000005
"""


def test_numbers_are_rounded_like_those_of_python():
    words = [
        word for word in NUMBERS.split() if float(word.upper().replace("D", "E")) < 1e8
    ]
    rng = np.random.default_rng(0)
    words += [repr(x) for x in rng.normal(size=500).tolist()]
    words += [f"{x:.{n}f}" for n in range(20) for x in rng.normal(size=50) * 10]
    words += [f"{x:.{n}e}" for n in range(20) for x in rng.normal(size=50)]
    words = words[: len(words) // 3 * 3]
    # In one structure each: numbers that are left to Python must not hide the others.
    for i in range(0, len(words), 3):
        structure = read_one(f"ATOMS\nTi {' '.join(words[i : i + 3])}\n")
        expected = [float(w.upper().replace("D", "E")) for w in words[i : i + 3]]
        assert structure.positions_nc.tobytes() == np.array(expected).tobytes()


@pytest.mark.parametrize("word", [".", "-", "1e", "1e+", "0x1", "1_0", "1.2.3", "--1"])
def test_what_is_no_number(word):
    with pytest.raises(StructureError, match="line 10: expected a finite number"):
        read(replace_line(10, f"O 2 {word} 2 0 0 0"))


HUGE = f"{CELL}PRIMCOORD\n1000000000000 1\nCu 0 0 0\n"
ERRORS = {
    "empty": ("", "'x.xsf': empty file, expected a structure"),
    "binary": (b"CRYSTAL\n\x00\x01", "line 2: binary data, expected text"),
    "text": ("hello\n", "line 1: a keyword or a comment (#) expected, found 'hello'"),
    "misspelled": (CRYSTAL.replace("PRIMVEC", "PRIMVEK"), "did you mean 'PRIMVEC'?"),
    "no atoms": ("CRYSTAL\n", "PRIMCOORD or ATOMS expected before the end"),
    "cell only": (CELL, "PRIMCOORD or ATOMS expected before the end"),
    "too few": (
        replace_line(8, "3 1"),
        "'x.xsf', line 8: 3 atoms expected after PRIMCOORD, found 2: is the file",
    ),
    "too many": (replace_line(8, "1 1"), "line 10: one atom more than expected"),
    "huge": (HUGE, "line 6: 1000000000000 atoms expected after PRIMCOORD, found 1"),
    "zero": (replace_line(8, "0 1"), "line 8: the number of atoms expected after PRIM"),
    "count": (replace_line(8, "two"), "after PRIMCOORD, found 'two'"),
    "absurd": (replace_line(8, "9" * 9999), "after PRIMCOORD, found '99999"),
    "columns": (
        replace_line(9, "Ti 0 0 0 0"),
        "line 9: 5 columns found, expected 4 (element x y z) or 7 (element x y z fx fy",
    ),
    "forces": (
        replace_line(10, "O 2 2 2"),
        "line 10: this atom has no force, but the first atom has one: expected forces "
        "on all atoms or none",
    ),
    "no forces": (
        replace_line(9, "Ti 0 0 0"),
        "line 10: this atom has a force, but the first atom has no force",
    ),
    "element": (replace_line(10, "Oo 2 2 2 0 0 0"), "line 10: unknown element 'Oo'"),
    "number 0": (replace_line(10, "0 2 2 2 0 0 0"), "line 10: unknown element '0'"),
    "word": (
        replace_line(10, "O 2 2 x 0 0 0"),
        "expected a finite number (below 1e+08",
    ),
    "nan": (replace_line(10, "O 2 2 nan 0 0 0"), "line 10: expected a finite number"),
    "inf": (replace_line(10, "O 2 2 2 0 0 -inf"), "below 1e+08), found '-inf'"),
    "large": (replace_line(10, "O 2 2 1e300 0 0 0"), "found '1e300'"),
    "underscore": (replace_line(10, "O 2 2 1_0 0 0 0"), "line 10: expected a finite"),
    "nan cell": (replace_line(5, "0 nan 0"), "line 5: expected a finite number"),
    "short cell": (replace_line(6, "PRIMCOORD"), "line 6: 3 numbers of a cell vector"),
    "cut cell": (
        "PRIMVEC\n1 0 0\n",
        "3 numbers of a cell vector expected after PRIMVEC",
    ),
    "two cells": (
        CELL + CELL,
        "line 5: PRIMCOORD expected after a cell, found another",
    ),
    "no cell": (
        "PRIMCOORD\n1 1\nO 0 0 0\n",
        "line 1: PRIMVEC expected before PRIMCOORD",
    ),
    "no unit": (
        replace_line(1, "# total energy = -1 Ha"),
        "line 1: total energy in 'Ha'",
    ),
    "per atom": (replace_line(1, "# total energy = -1 eV/atom"), "energy of all atoms"),
    "no energy": (
        replace_line(1, "# total energy ="),
        "line 1: a number in eV expected",
    ),
    "stars": (replace_line(1, "# total energy = **** eV"), "energy =', found '****'"),
    "nan energy": (replace_line(1, "# total energy = nan"), "energy =', found 'nan'"),
    "two energies": (
        replace_line(2, "# total energy = -11.5 eV"),
        "line 2: total energy is -11.5 eV here, but -10.5 eV in line 1: expected one",
    ),
    "energies apart": (
        CRYSTAL + "# total energy = 1\n",
        "line 11: total energy is 1.0",
    ),
    "energy behind": (
        MOVIE.replace("# total energy = -1 eV\n", ""),
        "line 10: an energy behind the atoms of a structure, expected each energy",
    ),
    "energy at end": (MOVIE + "# total energy = -4\n", "line 19: an energy behind the"),
    "after atoms": (CRYSTAL + "and so on\n", "line 11: a keyword or a comment (#) exp"),
    "ATOMS empty": ("ATOMS\n\n", "line 1: atoms expected after ATOMS, found none"),
    "ATOMS cell": (CELL + "ATOMS\nO 0 0 0\n", "line 5: ATOMS (isolated) after PRIMVEC"),
    "ATOMS slab": (
        "SLAB\nATOMS\nO 0 0 0\n",
        "line 2: PRIMVEC expected after SLAB in line 1, found ATOMS (isolated)",
    ),
    "few steps": (
        MOVIE.replace("STEPS 3", "STEPS 4"),
        "line 1: 4 structures expected after ANIMSTEPS, found 3: is the file",
    ),
    "many steps": (
        MOVIE.replace("STEPS 3", "STEPS 2"),
        "line 15: one structure more than expected from ANIMSTEPS 2 in line 1",
    ),
    "steps": ("ANIMSTEPS x\n", "line 1: the number of structures expected after ANIM"),
    "steps again": ("ANIMSTEPS 1\nANIMSTEPS 1\n", "line 2: one ANIMSTEPS expected"),
    "block": (CRYSTAL + "BEGIN_INFO\n", "'BEGIN_INFO' without 'END_INFO'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_message(name):
    text, message = ERRORS[name]
    with pytest.raises(StructureError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("'x.xsf'")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@settings(max_examples=300)
@given(st.data())
def test_damaged_files_raise_structure_errors_only(data):
    content = data.draw(st.sampled_from([CRYSTAL, MOVIE])).encode()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 30)))
    junk = data.draw(
        st.binary(max_size=12)
        | st.sampled_from(
            [b" 1e400", b"-", b"\n", b"\xb2", b" 9" * 9, b"#", b"=", b"nan"]
        )
    )
    end = data.draw(st.sampled_from([len(content), stop]))
    try:
        structures = read(content[:start] + junk + content[stop:end])
    except StructureError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    for structure in structures:
        assert np.isfinite(structure.positions_nc).all()
        assert len(structure) > 0
