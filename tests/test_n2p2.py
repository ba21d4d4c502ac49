"""Against n2p2 2.3.0: symmetry functions, energies and forces of made-up potentials."""

from __future__ import annotations

import functools
from pathlib import Path

import n2p2_files
import numpy as np
import pytest
from n2p2_files import ALL, DATA

from annpot.convert.n2p2.potentials import read_potential, write_potential
from annpot.descriptors.symmetry_functions import CUTOFF_FUNCTIONS, NAMES
from annpot.structures.runner_data import read_blocks
from annpot.structures.structure import stack
from annpot.units import Units


@functools.cache
def cases(archive):
    return n2p2_files.read_archive(archive)


CASES = [
    pytest.param(archive, case, id=f"{'some' if archive == DATA else 'all'}-{case}")
    for archive in (DATA, *filter(Path.exists, ALL))
    for case in cases(archive)
]


def read(files, folder):
    """Return the potential in the files; there is nothing to note."""
    notes = []
    potential = read_potential(n2p2_files.write_files(files, folder), Units(), notes)
    assert not notes
    return potential


def assert_same(potential, files, tolerance):
    """Check features, energies, atomic energies and forces, relative to their sizes.

    Returns
    -------
    What the potential gives for the structures.
    """
    structures = list(read_blocks(files["input.data"].encode(), "input.data", Units()))
    expected = n2p2_files.read_predictions(files["reference.txt"])
    result = potential.evaluate(stack(structures, potential.species))
    assert len(structures) == len(expected) > 0
    G_n = [G for prediction in expected for G in prediction.G_n]
    for atoms, found_nf in zip(
        result.features.atoms_s,
        result.features.blocks(result.features.G_f),
        strict=True,
    ):
        if len(atoms):
            expected_nf = np.array([G_n[n] for n in atoms])
            close(found_nf, expected_nf, tolerance)
    E_s = [prediction.E for prediction in expected]
    np.testing.assert_allclose(result.E_s, E_s, rtol=tolerance)
    offset_s = potential.reference_energies + potential.energy_shift
    E_n = np.concatenate([prediction.E_n for prediction in expected])
    close(result.E_n - offset_s[result.features.batch.species_n], E_n, tolerance)
    close(result.F_nc, np.concatenate([p.F_nc for p in expected]), tolerance)
    return result


def close(found, expected, tolerance):
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def tolerance_of(case):
    """Return the tolerance; n2p2 loses digits in its polynomials of highest order."""
    return 1e-9 if "p4" in case else 1e-10


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("archive", "case"), CASES)
def test_potential(archive, case, tmp_path):
    files = cases(archive)[case]
    potential = read(files, tmp_path / "given")
    result = assert_same(potential, files, tolerance_of(case))
    folders = [tmp_path / "once", tmp_path / "twice"]
    assert write_potential(potential, folders[0], Units(), []) == folders[:1]
    again = read_potential(folders[0], Units(), [])
    write_potential(again, folders[1], Units(), [])
    assert contents(folders[0]) == contents(folders[1])
    same = again.evaluate(result.features.batch)
    for name in ("E_s", "E_n", "F_nc"):
        close(getattr(same, name), getattr(result, name), 1e-14)


def test_all_types_are_tested(tmp_path):
    functions = {
        (f.type, f.cutoff_function, f.core)
        for case, files in cases(DATA).items()
        for fs in read(files, tmp_path / case).descriptor.parts[0].functions_s
        for f in fs
    }
    types, cutoff_functions, cores = map(set, zip(*functions, strict=True))
    assert types == set(NAMES.values())
    assert cutoff_functions == set(CUTOFF_FUNCTIONS)
    assert {core.rstrip("a") for core in cores} == {"", "e", "p1", "p2", "p3", "p4"}
