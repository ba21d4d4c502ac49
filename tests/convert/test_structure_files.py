"""Structures written for other programs: read back, they are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run
from systems import STRUCTURES, SYSTEMS

from annpot.convert.structure_files import (
    lost_with_set,
    structures_of_set,
    write_structures,
)
from annpot.errors import AnnpotError, InputError, StructureError
from annpot.fingerprints import load_set
from annpot.structures.reading import read_structures
from annpot.structures.structure import compute_volumes, stack
from annpot.units import Units

ATOMIC = Units("bohr", "hartree")
RNG = np.random.default_rng(0)


def complete(structure, seed):
    """Return a structure with made-up references."""
    rng = np.random.default_rng(seed)
    return replace(
        structure,
        energy=1000.0 * rng.normal(),
        forces_nc=rng.normal(size=(len(structure), 3)),
        stress_v=rng.normal(size=6) if structure.pbc_c.all() else None,
        file=f"some/where{seed}.xsf",
        index=seed,
    )


ALL = [complete(structure, seed) for seed, structure in enumerate(STRUCTURES)]
WHOLE = [s for s in ALL if s.pbc_c.all() or not s.pbc_c.any()]


def assert_same(found, expected, rtol, stress=False):
    assert found.symbols == expected.symbols
    np.testing.assert_array_equal(found.pbc_c, expected.pbc_c)
    for attribute in ("positions_nc", "cell_cc", "energy", "forces_nc"):
        np.testing.assert_allclose(
            getattr(found, attribute), getattr(expected, attribute), rtol=rtol
        )
    if not stress or expected.stress_v is None:
        assert found.stress_v is None
    else:
        np.testing.assert_array_equal(found.stress_v, expected.stress_v)


@pytest.mark.parametrize("units", [Units(), ATOMIC, Units("nm", "kcal/mol")])
def test_input_data(tmp_path, units):
    notes: list[str] = []
    path = tmp_path / "input.data"
    assert write_structures(iter(WHOLE), path, "runner", units, notes) == [path]
    found = list(read_structures(path, units=units))
    rtol = 0 if units == Units() else 1e-12
    for structure, expected in zip(found, WHOLE, strict=True):
        assert_same(structure, expected, rtol)
    assert "comment 'some/where2.xsf', structure 2\n" in path.read_text()
    assert notes == [
        "'input.data': runner has no place for stresses, those of 5 structures are not "
        "written"
    ]


def test_extxyz(tmp_path):
    path = tmp_path / "all.extxyz"
    notes: list[str] = []
    # the units of an input.data that was read do not matter here
    assert write_structures(iter(ALL), path, "extxyz", ATOMIC, notes) == [path]
    for found, expected in zip(read_structures(path), ALL, strict=True):
        assert_same(found, expected, 0, stress=True)
    assert notes == []


def test_xsf(tmp_path):
    paths = write_structures(iter(WHOLE), tmp_path / "out", "xsf", None, [])
    assert [p.name for p in paths[:2]] == ["structure000001.xsf", "structure000002.xsf"]
    for path, expected in zip(paths, WHOLE, strict=True):
        (found,) = read_structures(path)
        assert_same(found, expected, 0)


def test_xsf_keeps_cohesive_energies(tmp_path):
    structure = replace(WHOLE[1], energy=None, cohesive_energy=-3.25)
    (path,) = write_structures([structure], tmp_path, "xsf", None, [])
    (found,) = read_structures(path)
    assert (found.energy, found.cohesive_energy) == (None, -3.25)


def test_names_do_no_harm(tmp_path):
    name = 'total energy = 5 "\n\\end'
    structure = replace(WHOLE[1], file=name, energy=-1.0)
    for format_ in ("runner", "extxyz", "xsf"):
        path = tmp_path / format_
        files = write_structures([structure], path, format_, Units(), [])
        units = Units() if format_ == "runner" else None
        kind = format_ if format_ != "xsf" else None
        (found,) = read_structures(files[0], units=units, format=kind)
        assert_same(found, structure, 0, stress=format_ == "extxyz")


def test_what_is_missing_is_said(tmp_path):
    bare = replace(
        WHOLE[1], energy=None, forces_nc=None, stress_v=None, set="validation"
    )
    notes: list[str] = []
    write_structures([bare], tmp_path / "input.data", "runner", Units(), notes)
    assert "1 structures have no energies, their 'energy' is left out" in notes[0]
    assert "1 structures have no forces, zeros are written: do not train" in notes[1]
    assert "1 structures for validation are written as set=train" in notes[2]
    (found,) = read_structures(tmp_path / "input.data", units=Units())
    assert (found.energy, found.set, found.forces_nc.any()) == (None, "train", False)
    notes = []
    write_structures([bare], tmp_path / "out", "xsf", None, notes)
    assert "no forces, none are written, without which aenet's generate.x" in notes[1]
    assert "xsf has no place for assignments to training and test sets" in notes[2]


CASES = {
    "no units": (WHOLE, "runner", None, "cannot say its units: please give those to"),
    "slab": (
        [replace(SYSTEMS["slab"], energy=1.0, file="s")],
        "runner",
        ATOMIC,
        "'s': periodic in 2 directions, expected 3 or none for runner",
    ),
    "wire": ([SYSTEMS["wire"]], "xsf", None, "periodic in 1 directions"),
    "cohesive": (
        [replace(WHOLE[0], energy=None, cohesive_energy=1.0)],
        "extxyz",
        None,
        "a cohesive energy only, expected a total one",
    ),
    "nothing": ([], "extxyz", None, "no structure to write"),
}


@pytest.mark.parametrize("name", CASES)
def test_message(tmp_path, name):
    structures, format_, units, message = CASES[name]
    with pytest.raises((InputError, StructureError), match=message):
        write_structures(structures, tmp_path / "out", format_, units, [])


def test_no_folder(tmp_path):
    for format_ in ("runner", "xsf"):
        with pytest.raises(AnnpotError, match="cannot be written: No such file"):
            write_structures(WHOLE, tmp_path / "no" / "x", format_, Units(), [])


def test_structures_of_a_set(made):
    loaded = load_set(made / "fingerprints.h5")
    files = [*sorted((made / "train").iterdir()), *sorted((made / "test").iterdir())]
    for found, path in zip(structures_of_set(loaded), files, strict=True):
        (expected,) = read_structures(path)
        assert_same(found, expected, 0)
        assert Path(found.file).name == path.name
        assert found.set == (None if path.parent.name == "train" else "test")
    assert lost_with_set(loaded) == [
        f"'{made / 'fingerprints.h5'}': names of groups are not written"
    ]


def test_volumes_stay(tmp_path):
    path = tmp_path / "input.data"
    write_structures(WHOLE, path, "runner", ATOMIC, [])
    found = list(read_structures(path, units=ATOMIC))
    volumes = [compute_volumes(stack(s, ("Ti", "O"))) for s in (found, WHOLE)]
    np.testing.assert_allclose(*volumes, rtol=1e-12)


# --- generate and predict from an input.data ----------------------------------------


def test_the_same_features_and_predictions_as_from_xsf(work):
    names = sorted((work / "train").glob("*.xsf"))
    structures = [s for path in names for s in read_structures(path)]
    write_structures(structures, work / "input.data", "runner", ATOMIC, [])
    settings = (work / "in.yaml").read_text().partition("species:")[2]
    sets = []
    for source in (
        "train/*.xsf",
        "[{files: input.data, units: 'Bohr, Hartree'}]",
    ):
        (work / "in.yaml").write_text(f"structures: {source}\nspecies:{settings}")
        result = run("generate", folder=work)
        assert result.exit_code == 0, result.stderr
        sets.append(load_set(work / "fingerprints.h5"))
    one, other = sets
    for attribute in ("positions_nc", "cells_scc"):
        values = [getattr(s.batch, attribute) for s in sets]
        np.testing.assert_allclose(*values, rtol=1e-13)
    for attribute in ("energy_s", "forces_nc"):
        values = [getattr(s.labels, attribute) for s in sets]
        np.testing.assert_allclose(*values, rtol=1e-13, atol=1e-13)
    for a, b in zip(one.statistics, other.statistics, strict=True):
        np.testing.assert_allclose(a.mean_f, b.mean_f, rtol=1e-10)

    tables = []
    for files in (names, ["input.data", "--units", "bohr,hartree"]):
        result = run("predict", *files, "--forces", folder=work)
        assert result.exit_code == 0, result.stderr
        rows = [line.split() for line in result.stdout.splitlines()]
        tables.append([row[2:] for row in rows if row[0] != "#"])
    for row, expected in zip(*tables, strict=True):
        for word, number in zip(row, expected, strict=True):
            if word[-1].isdigit():
                assert float(word) == pytest.approx(float(number), abs=2e-6)
            else:
                assert word == number


def test_set_of_the_file_and_of_the_group(work):
    paths = sorted((work / "train").glob("*.xsf"))[:3]
    structures = [
        replace(structure, set=name)
        for name, path in zip(("train", "test", None), paths, strict=True)
        for structure in read_structures(path)
    ]
    write_structures(structures, work / "input.data", "runner", Units(), [])
    group = "files: input.data, units: [angstrom, ev]"
    for extra, expected in (("", ["train", "test", ""]), (", set: test", ["test"] * 3)):
        (work / "in.yaml").write_text(f"structures: [{{{group}{extra}}}]\n")
        assert run("generate", folder=work).exit_code == 0
        assert load_set(work / "fingerprints.h5").labels.sets == expected


def test_units_are_asked_for(work):
    path = work / "input.data"
    write_structures(WHOLE[:1], path, "runner", Units(), [])
    (work / "in.yaml").write_text("structures: input.data\n")
    for arguments in (["generate"], ["predict", "input.data"]):
        result = run(*arguments, folder=work)
        assert result.exit_code == 2
        assert "'input.data' does not say its units" in result.stderr
    result = run("predict", "input.data", "--units", "bohr", folder=work)
    assert result.exit_code == 2
    assert "a length and an energy expected" in result.stderr
    (work / "in.yaml").write_text("structures: [{files: input.data, units: [bohr]}]\n")
    result = run("generate", folder=work)
    assert result.exit_code == 2
    assert "line 1: structures[0].units: units 'bohr': a length and" in result.stderr
