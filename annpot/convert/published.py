"""Structures on which a potential is checked, and energies published for them.

They also tell which argument the angular polynomials of a potential of aenet have, as
nothing in its file does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from annpot.convert.aenet.predictions import is_predictions, read_predictions
from annpot.errors import InputError
from annpot.potential import Potential
from annpot.predictor import Predictor
from annpot.structures.archives import read_start
from annpot.structures.reading import Source, find_files, read_structures
from annpot.structures.runner_data import is_runner
from annpot.structures.structure import Array, Structure, stack
from annpot.units import Units

AGREES = 1e-4
"""Largest deviation in eV/atom from energies that are given with few digits."""
CLEARLY = 10.0
"""One argument must be so many times nearer to the energies than the other."""


@dataclass(frozen=True)
class Published:
    """Structures, and which of their energies are the potential's own."""

    structures: tuple[Structure, ...] = ()
    own: tuple[bool, ...] = ()
    """Whether the energy is what the potential should give, not a reference."""

    @property
    def known(self) -> list[Structure]:
        """The structures for which an energy of the potential was published."""
        return [s for s, own in zip(self.structures, self.own, strict=True) if own]


def read_published(files: Sequence[str], units: Units | None) -> Published:
    """Return the structures of ``FILE``, ``FILE=ENERGY`` or outputs of predict.x.

    A file may be a pattern or a folder of files.

    Raises
    ------
    InputError, StructureError
        If a file cannot be read or an energy is no number.
    """
    structures: list[Structure] = []
    own: list[bool] = []
    for text in files:
        name, energy = _split(text)
        found: list[Structure] = []
        for file in find_files(Source((name,)), Path()):
            known = is_predictions(read_start(file.path))
            part = read_predictions(file.path) if known else _read(file.path, units)
            found += part
            own += [known or energy is not None] * len(part)
        if energy is not None:
            if len(found) != 1:
                raise InputError(
                    f"--check {text}: an energy for one structure, but the file holds "
                    f"{len(found)}"
                )
            found = [
                replace(found[0], energy=energy, cohesive_energy=None, forces_nc=None)
            ]
        structures += found
    return Published(tuple(structures), tuple(own))


def _read(path: Path, units: Units | None) -> list[Structure]:
    return list(read_structures(path, units=units if is_runner(path) else None))


def _split(text: str) -> tuple[str, float | None]:
    if "=" not in text or Path(text).exists():
        return text, None
    name, _, number = text.rpartition("=")
    try:
        energy = float(number)
    except ValueError:
        energy = np.nan
    if not np.isfinite(energy):
        raise InputError(
            f"--check {text}: FILE or FILE=ENERGY expected, {number!r} is no number"
        )
    return name, energy


@dataclass(frozen=True)
class Deviation:
    """The largest deviations from what was published for a potential."""

    energy: float
    """Of total or cohesive energies, eV/atom."""
    force: float | None
    """Of components, eV/angstrom; ``None`` if none were published."""


def compute_deviation(model: Predictor, published: Published) -> Deviation | None:
    """Return how far a potential is from what was published for it, if anything was."""
    known = published.known
    if not known:
        return None
    force = None
    with_forces = [s for s in known if s.forces_nc is not None]
    if with_forces:
        found_nc = model.evaluate(stack(with_forces, model.species)).F_nc
        assert found_nc is not None
        given_nc = np.concatenate([s.forces_nc for s in with_forces])
        force = float(np.abs(found_nc - given_nc).max())
    return Deviation(_largest_error(model, known), force)


def is_legacy(cosine: Potential, legacy: Potential, published: Published) -> bool:
    """Return whether energies agree with the argument of aenet up to 2.0.3.

    Total or cohesive energies; without energies of the potential itself the argument of
    aenet 2.0.4 is assumed.

    Raises
    ------
    InputError
        If the energies that were published agree with neither.
    """
    known = published.known
    if not known:
        return False
    errors = [_largest_error(potential, known) for potential in (cosine, legacy)]
    if min(errors) > AGREES or max(errors) < CLEARLY * min(errors):
        raise InputError(
            "the published energies do not tell the argument of the angular "
            f"polynomials: they differ from this potential by up to {errors[0]:.2g} "
            f"eV/atom, with the legacy argument by {errors[1]:.2g} eV/atom: please "
            "check them, or give --aenet-angular cosine or legacy"
        )
    return errors[1] < errors[0]


def _largest_error(potential: Predictor, structures: Sequence[Structure]) -> float:
    batch = stack(structures, potential.species)
    E_s = potential.evaluate(batch, forces=False).E_s
    free_s = np.add.reduceat(
        potential.reference_energies[batch.species_n], batch.first_s[:-1]
    )
    known_s = np.array([structure.energy for structure in structures], dtype=float)
    totals_s: Array = np.abs(E_s - known_s)
    cohesive_s = np.abs(E_s - free_s - known_s)
    return float((np.minimum(totals_s, cohesive_s) / batch.atoms_s).max())


def guess_legacy(
    cosine: Potential, legacy: Potential, published: Published
) -> str | None:
    """Return a remark if reference energies are far nearer to the legacy argument."""
    known = [s for s in published.structures if s.energy is not None]
    if not known:
        return None
    errors = [_largest_error(potential, known) for potential in (cosine, legacy)]
    if errors[0] < CLEARLY * errors[1]:
        return None
    return (
        f"the energies of the structures to check are off by up to {errors[0]:.2g} "
        f"eV/atom, with the argument of aenet up to 2.0.3 by {errors[1]:.2g}: is this "
        "potential that old? Then give --aenet-angular legacy"
    )
