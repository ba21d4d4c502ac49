"""Units of foreign files: inside, annpot knows eV and angstrom only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from annpot.errors import InputError, did_you_mean

LENGTHS = {"angstrom": 1.0, "bohr": 0.529177210903, "nm": 10.0}
"""Angstrom of one unit; CODATA 2018."""
ENERGIES = {
    "ev": 1.0,
    "hartree": 27.211386245988,
    "rydberg": 13.605693122994,
    "kcal/mol": 4.184 / 96.48533212331002,
    "kj/mol": 1.0 / 96.48533212331002,
}
"""eV of one unit; CODATA 2018, thermochemical calories."""


@dataclass(frozen=True)
class Units:
    """Units of length and energy; those of forces and stresses follow."""

    length: str = "angstrom"
    energy: str = "ev"

    @property
    def angstrom(self) -> float:
        """Angstrom of one unit of length."""
        return LENGTHS[self.length]

    @property
    def ev(self) -> float:
        """Electron volts of one unit of energy."""
        return ENERGIES[self.energy]

    def __str__(self) -> str:
        """Return them as `parse_units` reads them."""
        return f"{self.length},{self.energy}"


def parse_units(text: str) -> Units:
    """Return the units of a text like ``bohr,hartree``; case does not matter.

    Raises
    ------
    InputError
        If they are not a length and an energy that annpot knows.
    """
    words = re.split(r"[,\s]+", text.strip().lower())
    if len(words) != 2:
        raise InputError(
            f"units {text!r:.60}: a length and an energy expected, e.g. bohr,hartree"
        )
    for word, known in zip(words, (LENGTHS, ENERGIES), strict=True):
        if word not in known:
            raise InputError(
                f"units: {word!r:.40} is unknown, expected one of "
                f"{', '.join(known)}{did_you_mean(word, known)}"
            )
    return Units(*words)
