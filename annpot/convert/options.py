"""What a conversion may be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from annpot.convert.aenet.records import LAYOUTS, Layout
from annpot.errors import InputError
from annpot.units import Units

Angular = Literal["auto", "cosine", "legacy"]


@dataclass(frozen=True)
class Options:
    """Options of a conversion; the formats that need none ignore them."""

    source: str | None = None
    """Name of the format of the files that are read; ``None``: by their content."""
    target: str | None = None
    """Name of the format to write; ``None``: by the name of the file."""
    check: tuple[str, ...] = ()
    """Structure files on which a potential is checked, too: ``FILE`` or
    ``FILE=ENERGY`` with the energy in eV that was published for it."""
    units: Units | None = None
    """Units of files that do not name theirs."""
    angular: Angular = "auto"
    """Argument of the angular polynomials of a potential of aenet."""
    member: int | None = None
    """Which member of a committee to take."""
    mean: bool = False
    """Whether to take the mean of the members of a committee, as one potential."""
    structures: Path | None = None
    """Folder of the structure files that a training set of aenet names."""
    layout: Layout = LAYOUTS[0]
    """Byte order and record markers of binary files for aenet."""

    def require_units(self, what: str, stated: Units | None = None) -> Units:
        """Return the units of a file.

        Parameters
        ----------
        stated
            What a comment in it says.

        Raises
        ------
        InputError
            If they were not given, or are others than the file states.
        """
        if stated is not None and self.units not in (None, stated):
            raise InputError(
                f"--units {self.units}, but {what} says that its units are {stated}: "
                "please give those or none, or delete that comment"
            )
        if stated is not None:
            return stated
        if self.units is None:
            raise InputError(
                f"{what} does not say its units: please give those of length and "
                "energy, e.g. --units bohr,hartree or --units angstrom,ev"
            )
        return self.units
