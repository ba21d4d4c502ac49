"""Outputs of predict.x: structures and energies."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from aenet_files import DATA
from damage import assert_ends_well, flips, truncations

from annpot.convert.aenet.predictions import is_predictions, read_predictions
from annpot.errors import StructureError
from annpot.structures.xsf import read_xsf


@pytest.fixture(scope="module")
def content():
    return lzma.decompress((DATA / "15t-15t.predict.out.xz").read_bytes())


def test_structures_and_energies(tmp_path, content):
    path = tmp_path / "predict.out"
    path.write_bytes(content)
    assert is_predictions(content[:4096])
    structures = read_predictions(path)
    assert len(structures) == 20
    first = structures[0]
    assert first.file.endswith("structure1067.xsf")
    assert first.energy == -4.9864421102372953e03
    assert first.forces_nc.shape == (6, 3)
    assert first.forces_nc[2, 1] == 2.5958197456925841e-01
    name = "structure1067.xsf"
    original = next(read_xsf((DATA / "structures" / name).read_bytes(), name))
    assert first.symbols == original.symbols
    np.testing.assert_allclose(first.cell_cc, original.cell_cc, rtol=1e-14)
    shift_nc = first.positions_nc - original.positions_nc
    shift_nc = shift_nc @ np.linalg.inv(original.cell_cc)
    np.testing.assert_allclose(shift_nc, np.rint(shift_nc), atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Structure number", b"Structure", "no structures"),
        (b"Number of atoms   : 6", b"Number of atoms   : 7", "found 6 and 3"),
        (b"Total energy    ", b"Total", "energy is missing"),
        (b"   b = (", b"   b = ", "found 6 and 2"),
        (b"E+03 eV", b"E+999 eV", "structure 0: a number is too large"),
    ],
)
def test_errors(tmp_path, content, old, new, message):
    path = tmp_path / "predict.out"
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(StructureError, match=message):
        read_predictions(path)


def test_damage(tmp_path, content):
    path = tmp_path / "predict.out"
    short = content[: content.index(b"Structure number  : 3")]

    def read(damaged):
        path.write_bytes(damaged)
        return read_predictions(path)

    assert_ends_well(read, truncations(short))
    assert assert_ends_well(read, flips(short))
