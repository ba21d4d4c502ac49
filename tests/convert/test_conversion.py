"""Conversions whose result is not what was read are refused, and leave nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_potential import standard_potential

from annpot.committee import Committee
from annpot.convert import potentials
from annpot.convert.conversion import convert
from annpot.convert.options import Options
from annpot.convert.verification import Difference
from annpot.errors import AnnpotError
from annpot.potential import Potential


def shifted(potential, energy):
    return replace(potential, energy_shift=potential.energy_shift + energy)


@pytest.fixture
def inputs(tmp_path):
    """Return the files of two potentials that differ."""
    paths = [tmp_path / "one.h5", tmp_path / "other.h5"]
    for number, path in enumerate(paths):
        shifted(standard_potential(), 0.5 * number).save(path)
    return paths


def write_wrong(error):
    """Return a writer that adds ``error`` in eV to the energy of each atom."""

    def write(model, path, *_):
        Committee(tuple(shifted(m, error) for m in model.members)).save(path)
        return [path]

    return write


def test_what_a_writer_gets_wrong_is_refused(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(potentials, "write_potential", write_wrong(1e-8))
    output = tmp_path / "out.h5"
    output.write_text("what was there")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AnnpotError, match=r"out\.h5': read back, energies differ by"):
        convert(inputs, output, Options())
    assert output.read_text() == "what was there"
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_right_but_for_rounding_is_written(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(potentials, "write_potential", write_wrong(1e-11))
    result = convert(inputs, tmp_path / "out.h5", Options())
    assert 1e-12 < result.difference.energy < 1e-10
    assert (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("energy", "force"), [(2e-9, 0.0), (0.0, 2e-9), (np.nan, 0.0), (0.0, np.nan)]
)
def test_energies_and_forces_must_agree(energy, force):
    Difference(1, 5e-10, 5e-10).check("x")
    with pytest.raises(AnnpotError, match=r"1e-09 allowed: nothing was written"):
        Difference(1, energy, force).check("x")


def test_members_keep_the_order_of_the_files(inputs, tmp_path):
    convert(inputs, tmp_path / "committee.h5", Options())
    for number, path in enumerate(inputs):
        taken = tmp_path / f"member{number}.h5"
        convert([tmp_path / "committee.h5"], taken, Options(member=number))
        found, expected = Potential.load(taken), Potential.load(path)
        assert found.energy_shift == expected.energy_shift
