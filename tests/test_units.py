"""Units of foreign files."""

from __future__ import annotations

import ase.units
import pytest

from annpot.errors import InputError
from annpot.units import ENERGIES, LENGTHS, Units, parse_units


def test_values_are_those_of_ase():
    known = {
        "angstrom": ase.units.Ang,
        "bohr": ase.units.Bohr,
        "nm": ase.units.nm,
        "ev": ase.units.eV,
        "hartree": ase.units.Hartree,
        "rydberg": ase.units.Rydberg,
        "kcal/mol": ase.units.kcal / ase.units.mol,
        "kj/mol": ase.units.kJ / ase.units.mol,
    }
    found = LENGTHS | ENERGIES
    assert set(found) == set(known)
    for name, value in known.items():
        assert found[name] == pytest.approx(value, rel=1e-7)  # CODATA 2014 there


@pytest.mark.parametrize("text", ["bohr,hartree", "Bohr Hartree", " bohr,  HARTREE "])
def test_texts_of_units(text):
    units = parse_units(text)
    assert units == Units("bohr", "hartree")
    assert parse_units(str(units)) == units
    assert (units.angstrom, units.ev) == (0.529177210903, 27.211386245988)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bohr", "a length and an energy expected"),
        ("hartree,bohr", "'hartree' is unknown, expected one of angstrom, bohr"),
        ("bohr,hartre", "did you mean 'hartree'"),
        ("", "a length and an energy expected"),
    ],
)
def test_wrong_units(text, message):
    with pytest.raises(InputError, match=message):
        parse_units(text)
