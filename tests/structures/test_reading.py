"""Reading of any format: references, selection, archives, and what is refused."""

import bz2
import gzip
import io
import itertools
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import Hartree
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annpot.errors import InputError, StructureError
from annpot.structures import archives, checks
from annpot.structures.reading import (
    Source,
    find_all_files,
    find_files,
    read_files,
    read_structures,
    require_energy,
)
from annpot.structures.selection import parse_index
from annpot.structures.structure import Structure
from annpot.units import Units

DATA = Path(__file__).parents[1] / "data" / "structures"
STRESS = np.array([0.1, 0.2, 0.3, 0.04, 0.05, 0.06])
XSF = """\
# total energy = {energy} eV
PRIMVEC
4 0 0
0 4 0
0 0 4
PRIMCOORD
1 1
Cu 0 0 0 0 0 1
"""


def make_atoms(energy=-1.0, cell=4.0, seed=0):
    atoms = ase.Atoms("TiO", [(0, 0, 0), (2, 2, 2)], cell=np.eye(3) * cell, pbc=True)
    atoms.rattle(0.1, seed=seed)
    forces = np.random.default_rng(seed).normal(size=(2, 3))
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy, forces=forces, stress=STRESS
    )
    return atoms


def read_one(path, **options):
    (structure,) = read_structures(path, **options)
    return structure


def write_xsf(folder, *names):
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(XSF.format(energy=-i))


def write_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


def files_of(source, base):
    return [str(f.path.relative_to(base)) for f in find_files(source, base)]


# --- formats ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["extxyz", "xyz", "traj", "db", "json", "extxyz.gz"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"postgres@1.{suffix}"
    images = [make_atoms(energy=-i, seed=i) for i in range(3)]
    images[1].set_constraint(FixAtoms([0]))
    for image in images:
        append = suffix in ("db", "json") and path.exists()
        if suffix in ("db", "json"):
            ase.io.write(path, image, append=append)
    if suffix not in ("db", "json"):
        ase.io.write(path, images)
    structures = list(read_structures(path))
    assert [s.index for s in structures] == [0, 1, 2]
    for structure, image in zip(structures, images, strict=True):
        forces_nc = image.get_forces(apply_constraint=False)
        assert structure.file == str(path)
        assert structure.symbols == ("Ti", "O")
        assert structure.energy == image.get_potential_energy()
        np.testing.assert_allclose(structure.positions_nc, image.positions, atol=1e-8)
        np.testing.assert_allclose(structure.cell_cc, image.cell.array)
        np.testing.assert_allclose(structure.forces_nc, forces_nc, atol=1e-8)
        np.testing.assert_allclose(structure.stress_v, STRESS)


def test_xsf_written_by_ase(tmp_path):
    atoms = make_atoms()
    ase.io.write(tmp_path / "a.xsf", atoms)
    structure = read_one(tmp_path / "a.xsf")
    np.testing.assert_allclose(structure.positions_nc, atoms.positions, atol=1e-13)
    # As ASE writes Hartree/angstrom: see the docstring of read_xsf.
    np.testing.assert_allclose(
        structure.forces_nc, atoms.get_forces() / Hartree, atol=1e-13
    )


def test_xsf_without_suffix_has_the_same_units(tmp_path):
    content = (DATA / "structure1067.xsf").read_text()
    (tmp_path / "noname").write_text(content)
    expected = read_one(DATA / "structure1067.xsf")
    np.testing.assert_array_equal(
        read_one(tmp_path / "noname").forces_nc, expected.forces_nc
    )


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)]
)
def test_compressed_xsf(tmp_path, suffix, pack):
    path = tmp_path / f"a.xsf.{suffix}"
    path.write_bytes(pack((DATA / "structure1067.xsf").read_bytes()))
    assert read_one(path).energy == read_one(DATA / "structure1067.xsf").energy


def test_vasp_without_references(tmp_path):
    atoms = make_atoms()
    ase.io.write(tmp_path / "POSCAR", atoms)
    structure = read_one(tmp_path / "POSCAR")
    assert structure.symbols == ("Ti", "O")
    assert structure.energy is structure.forces_nc is structure.stress_v is None


def test_package_does_not_import_ase():
    code = "import sys, annpot.structures.reading; print('ase' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"


# --- references -------------------------------------------------------------------


def write_extxyz(path, info="", columns="", values=("", ""), pbc="T T T"):
    path.write_text(
        f'2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3{columns} '
        f'pbc="{pbc}" {info}\nTi 0 0 0 {values[0]}\nO 2 2 2 {values[1]}\n'
    )
    return path


@pytest.mark.parametrize(
    ("info", "energy"),
    [
        ("energy=-1", -1),
        ("energy=-1 REF_energy=-2", -2),
        ("energy=-1 ref_energy=-2", -2),
        ("dft_energy=-3 Energy=-1", -3),
        ("Energy=-4", -4),
        ("TotEnergy=-5", -5),
        ("free_energy=-6", -6),
        ("free_energy=-6 energy=-7", -7),
        ("other=-1", None),
    ],
)
def test_energy_keys(tmp_path, info, energy):
    assert read_one(write_extxyz(tmp_path / "a.xyz", info)).energy == energy


@pytest.mark.parametrize("key", ["forces", "force", "REF_forces", "dft_forces"])
def test_force_keys(tmp_path, key):
    columns = f":{key}:R:3" + (":forces:R:3" if key != "forces" else "")
    values = ("1 2 3 9 9 9", "4 5 6 9 9 9") if key != "forces" else ("1 2 3", "4 5 6")
    if key == "force":
        columns, values = ":force:R:3", ("1 2 3", "4 5 6")
    structure = read_one(write_extxyz(tmp_path / "a.xyz", "", columns, values))
    np.testing.assert_array_equal(structure.forces_nc, [[1, 2, 3], [4, 5, 6]])


def test_stress_keys(tmp_path):
    matrix = voigt_6_to_full_3x3_stress(STRESS)
    nine = " ".join(map(str, matrix.ravel()))
    six = " ".join(map(str, STRESS))
    virial = " ".join(map(str, (-64 * matrix).ravel()))
    path = tmp_path / "a.xyz"
    for info in (
        f'stress="{nine}"',
        f'stress="{nine}" virial="{nine}"',
        f'REF_stress="{six}" stress="{virial}"',
        f'virial="{virial}"',
        f'REF_virial="{virial}" stress="{virial}"',
    ):
        structure = read_one(write_extxyz(path, info))
        np.testing.assert_allclose(structure.stress_v, STRESS, err_msg=info)
    assert (
        read_one(write_extxyz(path, f'stress="{nine}"', pbc="T T F")).stress_v is None
    )


def test_references_of_the_wrong_shape(tmp_path):
    path = tmp_path / "a.xyz"
    for info, message in (
        ("REF_energy=abc", f"'{path}': REF_energy is 'abc', expected 1 number"),
        ('REF_energy="1 2"', "REF_energy is 2 numbers, expected 1 number"),
        ('REF_stress="1 2 3"', "REF_stress is 3 numbers, expected 6 or 9 numbers"),
        ('REF_stress="1 2 3 4 5 6 7 8 9"', "REF_stress is not symmetric"),
        ("REF_energy=nan", "energy is nan, expected a finite number in eV"),
    ):
        with pytest.raises(StructureError) as caught:
            read_one(write_extxyz(path, info))
        assert message in str(caught.value)


def test_require_energy():
    bare = Structure(("H",), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool))
    expected = "no energy found, expected ASE calculator results or one of the keys R"
    with pytest.raises(StructureError, match=expected):
        require_energy(bare)
    require_energy(replace(bare, energy=1.0))
    require_energy(replace(bare, cohesive_energy=1.0))


def test_require_energy_of_xsf(tmp_path):
    (tmp_path / "a.xsf").write_text("ATOMS\nH 0 0 0\n")
    structure = read_one(tmp_path / "a.xsf")
    with pytest.raises(StructureError, match=r"comment line '# total energy = ... eV'"):
        require_energy(structure)


# --- selection --------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [":", "3", "-1", "-3", "::2", "1:4", "-2:", ":-1", "::-2"]
)
def test_index(tmp_path, index):
    path = tmp_path / "a.xyz"
    ase.io.write(path, [make_atoms(energy=i) for i in range(5)])
    expected = list(range(5))[parse_index(index)]
    expected = expected if isinstance(expected, list) else [expected]
    structures = list(read_structures(path, index=index))
    assert [s.energy for s in structures] == expected
    assert [s.index for s in structures] == expected


@pytest.mark.parametrize("index", ["a", "", "1.5", "1:2:3:4", "::0"])
def test_index_that_is_none(index):
    with pytest.raises(InputError, match="a number or a slice expected"):
        parse_index(index)


@pytest.mark.parametrize(
    ("index", "expected"),
    [(f":{10**30}", [0]), (f"-{10**30}:", [0]), (f"::{10**30}", [0])],
)
def test_slices_of_huge_numbers(index, expected):
    structures = read_structures(DATA / "structure1067.xsf", index=index)
    assert [s.index for s in structures] == expected


@pytest.mark.parametrize("index", [str(10**30), str(-(10**30))])
def test_index_far_beyond_the_end(index):
    with pytest.raises(StructureError, match="expected, the file has fewer"):
        read_one(DATA / "structure1067.xsf", index=index)


@pytest.mark.parametrize("index", ["1", "-2"])
def test_index_beyond_the_end(index):
    with pytest.raises(
        StructureError, match=f"structure {index} expected, the file has"
    ):
        read_one(DATA / "structure1067.xsf", index=index)


def test_files_are_found_in_natural_order_and_once(tmp_path):
    write_xsf(tmp_path, "s10.xsf", "s2.xsf", "sub/s1.xsf", "[x].xsf")
    (tmp_path / "notes.txt").write_text("no structure")
    assert files_of(Source(("s*.xsf",)), tmp_path) == ["s2.xsf", "s10.xsf"]
    assert files_of(Source(("s10.xsf", "s*.xsf")), tmp_path) == ["s10.xsf", "s2.xsf"]
    assert files_of(Source((".",)), tmp_path) == ["[x].xsf", "s2.xsf", "s10.xsf"]
    assert files_of(Source(("[x].xsf",)), tmp_path) == ["[x].xsf"]
    assert files_of(Source(("**/s1.xsf",)), tmp_path) == ["sub/s1.xsf"]
    assert files_of(Source((str(tmp_path / "s2.xsf"),)), tmp_path) == ["s2.xsf"]


def test_patterns_that_match_nothing(tmp_path):
    write_xsf(tmp_path, "copper.xsf")
    (tmp_path / "empty").mkdir()
    for pattern, message in (
        (
            "coper.xsf",
            "files: 'coper.xsf': no such file, or nothing matches, did you mean",
        ),
        ("*.xyz", "files: '*.xyz': no such file, or nothing matches"),
        ("nowhere/a.xsf", "there is no folder"),
        ("empty", "files: 'empty': expected files with structures in it"),
    ):
        with pytest.raises(InputError) as caught:
            find_files(Source((pattern,)), tmp_path)
        assert message in str(caught.value)
    with pytest.raises(InputError, match="at least one path or pattern"):
        find_files(Source(()), tmp_path)


def test_names_choose_files(tmp_path):
    write_xsf(tmp_path, "a/1.xsf", "a/2.xsf", "b/1.xsf")
    names = tmp_path / "names.txt"
    source = Source(("a", "b"), names=Path("names.txt"))
    names.write_text("# the first\nb/1.xsf  # with folder\n\n2.xsf\n")
    assert files_of(source, tmp_path) == ["a/2.xsf", "b/1.xsf"]
    for text, message in (
        ("1.xsf\n", "'1.xsf' is ambiguous (a/1.xsf, b/1.xsf): please write the folder"),
        ("22.xsf\n", "'22.xsf' is not among the files, did you mean '2.xsf'?"),
        ("# nothing\n", "file names expected, found none"),
    ):
        names.write_text(text)
        with pytest.raises(InputError) as caught:
            find_files(source, tmp_path)
        assert message in str(caught.value)
    names.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        find_files(source, tmp_path)


# --- archives ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_archive(tmp_path, mode):
    path = tmp_path / f"all.tar{mode[1:].replace(':', '.')}"
    members = {f"./s{i}.xsf": XSF.format(energy=-i) for i in range(3)}
    write_tar(path, {**members, "._s0.xsf": "junk", "README": "text"}, mode)
    structures = list(read_structures(path))
    assert [s.energy for s in structures] == [0, -1, -2]
    assert structures[1].file == f"{path}:s1.xsf"

    (tmp_path / "names").write_text("s2.xsf\ns0.xsf\n")
    source = Source((path.name,), names=Path("names"), group="some")
    pairs = list(read_files(find_all_files([source], tmp_path)))
    assert [(s.energy, of.group) for s, of in pairs] == [(0, "some"), (-2, "some")]
    (tmp_path / "names").write_text("s9.xsf\n")
    with pytest.raises(InputError, match=r"'s9.xsf' is not among the files, did you"):
        find_files(source, tmp_path)


def test_archives_that_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.tar.gz"
    write_tar(path, {"README": "text"})
    with pytest.raises(
        StructureError, match=r"files called \*.xsf expected, found none"
    ):
        read_one(path)
    write_tar(path, {f"{i}.xsf": XSF.format(energy=i) * 50 for i in range(50)})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StructureError, match="cannot be read"):
        list(read_structures(path))
    path.write_bytes(b"no archive")
    with pytest.raises(StructureError, match="cannot be read"):
        list(read_structures(path))
    monkeypatch.setattr(archives, "LARGEST_FILE", 20)
    write_tar(path, {"s.xsf": XSF})
    with pytest.raises(StructureError, match=r"s.xsf': larger than 20 bytes"):
        read_one(path)


# --- broken files -----------------------------------------------------------------


def test_broken_files_give_one_line(tmp_path):
    for name, content, message in (
        ("a.xyz", "2\n\nH 0 0 0\n", "line 1: 2 atoms expected, found 1: is the"),
        ("a.xyz", "1\n\nH 0 0\n", "line 1: ASE cannot read it as 'extxyz' ("),
        ("a.extxyz", "", "empty file, expected a structure"),
        ("a.traj", "junk", "ASE cannot read it as 'traj' ("),
        ("vasprun.xml", "<a>", "ASE cannot read it as 'vasp-xml' ("),
        ("OUTCAR", "junk\n", "'vasp-out'"),
        ("a.xyz.gz", "junk", "ASE cannot read it (BadGzipFile: Not a gzipped file"),
        ("a.what", "junk\n", "no structure format known to ASE"),
        ("x.xyz", "1\n\nX 0 0 0\n", "atom 0 has atomic number 0, expected 1 to 118"),
        ("b.xyz", '1\npbc="T T T"\nH 0 0 0\n', "span no volume"),
    ):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(StructureError) as caught:
            list(read_structures(path))
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"'{path}'")
        assert "\n" not in str(caught.value)
    for name in ("none.xsf", "none.xyz", "none.tar.gz"):
        with pytest.raises(StructureError, match="no such file"):
            read_one(tmp_path / name)


def test_errors_can_be_skipped(tmp_path):
    good = XSF.format(energy=-1)
    close = good.replace("1 1\n", "2 1\nCu 0 0 3.95 0 0 0\n")
    write_tar(tmp_path / "a.tar", {"1.xsf": good, "2.xsf": "bad", "3.xsf": good}, "w")
    (tmp_path / "b.xsf").write_text(
        good + good.replace("# total", "# no") + close + good
    )
    (tmp_path / "c.xsf").write_text("bad")
    (tmp_path / "d.xsf").write_text(good)
    files = find_files(Source(("a.tar", "*.xsf")), tmp_path)
    assert len(files) == 4
    skipped: list[str] = []
    pairs = list(
        read_files(files, on_error="skip", skipped=skipped, require=require_energy)
    )
    read = [f"{Path(s.file).name}#{s.index}" for s, _ in pairs]
    assert read == ["a.tar:1.xsf#0", "a.tar:3.xsf#0", "b.xsf#0", "b.xsf#3", "d.xsf#0"]
    assert len(skipped) == 4
    assert "a.tar:2.xsf', line 1: a keyword" in skipped[0]
    assert "b.xsf', structure 1: no energy found" in skipped[1]
    assert "structure 2: atoms 0 (Cu) and 1 (Cu) are 0.05 angstrom apart" in skipped[2]
    assert len(list(read_files(files, on_error="skip"))) == 6
    with pytest.raises(StructureError, match=r"a.tar:2.xsf"):
        list(read_files(files))


# --- checks -----------------------------------------------------------------------


def make(positions, cell=4.0, pbc=True, **references):
    positions = np.array(positions, dtype=float)
    cell_cc = np.array(cell * np.eye(3) if np.ndim(cell) == 0 else cell, dtype=float)
    pbc_c = np.array(np.broadcast_to(pbc, 3))
    return Structure(("H",) * len(positions), positions, cell_cc, pbc_c, **references)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (make(np.zeros((0, 3))), "at least one atom expected, found 0"),
        (make([[0, 0, 0, 0]]), "positions of shape (1, 4), expected (1, 3)"),
        (make([[0, 0, 0]], forces_nc=np.zeros((2, 3))), "forces of shape (2, 3)"),
        (make([[0, 0, 0], [0, np.nan, 0]]), "position 1 is 0 nan 0, expected finite"),
        (make([[0, 0, 1e300]]), "position 0 is 0 0 1e+300, expected finite"),
        (make([[0, 0, 0]], stress_v=np.full(6, np.inf)), "stress is inf inf"),
        (make([[0, 0, 0]], energy=np.inf), "energy is inf, expected a finite"),
        (make([[0, 0, 0]], cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "span no volume"),
        (
            make(
                [[0, 0, 0]],
                cell=[[1, 0, 0], [2, 0, 0], [0, 0, 0]],
                pbc=(True, True, False),
            ),
            "span no volume",
        ),
        (make([[0, 0, 0]], cell=0.05), "cell vector 0 is 0.05 angstrom long"),
        (
            make([[0, 0, 0], [3.97, 3.97, 3.97]]),
            "atoms 0 (H) and 1 (H) are 0.052 angstrom",
        ),
        (make([[0, 0, 0], [0, 0, 0.05]], pbc=False), "are 0.05 angstrom apart"),
    ],
)
def test_checks(structure, message):
    with pytest.raises(StructureError) as caught:
        checks.check_structure(structure)
    assert message in str(caught.value)


SKEWED = np.array([[3.0, 0, 0], [7.0, 3.5, 0], [-4.0, 9.0, 3.0]])


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0)])
def test_close_pairs_are_found_in_any_cell(pbc):
    rng = np.random.default_rng(1)
    pbc_c = np.array(pbc, dtype=bool)
    cell_cc = np.where(pbc_c[:, None], SKEWED, 0.0)
    apart = np.array([[0, 0, 0], [1.5, 0, 0.4], [1, 1.5, 1]])
    checks.check_structure(make(apart, cell_cc, pbc_c))
    for _ in range(20):
        shift = rng.integers(-3, 4, size=3) * pbc_c @ SKEWED
        direction = rng.normal(size=3)
        near = apart[1] + shift + 0.09 * direction / np.linalg.norm(direction)
        structure = make([*apart, near], cell_cc, pbc_c)
        with pytest.raises(StructureError, match=r"atoms 1 .* and 3 .* are 0.09 ang"):
            checks.check_structure(structure)
        far = apart[1] + shift + 0.11 * direction / np.linalg.norm(direction)
        checks.check_structure(make([*apart, far], cell_cc, pbc_c))


def test_many_atoms_are_checked():
    grid = np.stack(np.meshgrid(*[np.arange(20.0)] * 3), axis=-1).reshape(-1, 3) * 2
    checks.check_structure(make(grid, cell=40.0))
    grid[-1] = grid[0] - [0.05, 0, 0]
    with pytest.raises(StructureError, match=r"atoms 0 .* and 7999"):
        checks.check_structure(make(grid, cell=40.0))


def test_many_identical_atoms_are_found_at_once():
    with pytest.raises(StructureError, match="are 0 angstrom apart"):
        checks.check_structure(make(np.ones((30_000, 3)), cell=40.0))


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.5, 2.0]))
def test_close_pairs_agree_with_all_images(seed, height):
    rng = np.random.default_rng(seed)
    pbc_c = rng.random(3) < 0.7
    cell_cc = rng.normal(size=(3, 3)) * [[2], [2], [height]]
    # Cells flatter than 1/15 angstrom would need more images than are tried here.
    assume((np.linalg.inv(cell_cc) ** 2).sum(axis=0).max() < 15.0**2)
    assume(np.linalg.norm(cell_cc, axis=1).min() > 0.1)
    positions_nc = rng.random((rng.integers(2, 6), 3)) * 0.3
    ranges = [range(-10, 11) if periodic else [0] for periodic in pbc_c]
    images_kc = np.array(list(itertools.product(*ranges))) @ cell_cc
    i, j = np.triu_indices(len(positions_nc), 1)
    D_pc = positions_nc[j] - positions_nc[i]
    r = np.linalg.norm(D_pc[:, None] + images_kc, axis=-1).min()
    structure = make(positions_nc, cell_cc, pbc_c)
    if r < 0.1:
        with pytest.raises(StructureError, match="angstrom apart"):
            checks.check_structure(structure)
    else:
        checks.check_structure(structure)


XYZ = """1
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T T"
Ti 0.0 0.0 0.0
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1\n", "2147483647\n", "line 1: 2147483647 atoms, more than the file has"),
        ("1\n", "9" * 5000 + "\n", "line 1: 9+ atoms, more than the file has"),
        ("R:3", "R:2147483647", "line 2: more than 10000 columns"),
    ],
)
def test_xyz_that_announces_too_much(tmp_path, old, new, message):
    path = tmp_path / "a.xyz"
    path.write_text(XYZ)
    assert len(list(read_structures(path))) == 1
    path.write_text(XYZ.replace(old, new, 1))
    with pytest.raises(StructureError, match=message):
        list(read_structures(path))


@pytest.mark.parametrize(
    ("name", "units"), [("input.data", Units("bohr", "hartree")), ("a.xsf", None)]
)
def test_pipes_do_not_block(tmp_path, name, units):
    os.mkfifo(tmp_path / name)
    with pytest.raises(StructureError, match="is a device or pipe, expected a file"):
        list(read_structures(tmp_path / name, units=units))
