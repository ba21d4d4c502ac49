"""Calibration: from deviations among the members of a committee to bounds of errors.

    |F_i - reference| < factor max(std(F_i), floor)                for 90 % of the atoms
    |E - reference| / N < factor max(std(E) / N, floor)            of the structures

Split conformal prediction (J. Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018),
doi:10.1080/01621459.2017.1307116): the factor is the quantile of error / deviation
among structures that were not trained on. It holds for further structures drawn like
those, and for no others. The floor keeps atoms on which the members agree by accident,
or by symmetry, from having no error at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import h5py
import numpy as np

from annpot.errors import FileFormatError
from annpot.format import container, reading, writing
from annpot.structures.structure import Array, Integers

LEVEL = 0.9
"""Share of the errors that are below their bounds."""
LEAST = 10
"""Fewer errors do not have that quantile; species with fewer share one factor."""
FLOOR = 0.1
"""Smallest deviation that is believed, in units of the median."""
TINY = 1e-6
"""The same in eV/angstrom and eV/atom: references are no better."""


@dataclass(frozen=True)
class Scale:
    """What turns a deviation into a bound of the error."""

    factor: float
    floor: float
    """Smallest deviation that counts, in units of the deviation."""
    count: int
    """Number of errors that it was fitted to."""

    def bound(self, deviation: Array) -> Array:
        """Return the bounds."""
        return np.asarray(self.factor * np.maximum(deviation, self.floor))


@dataclass(frozen=True)
class Calibration:
    """The scales of a committee."""

    level: float
    energy: Scale | None
    """For energies per atom, eV; ``None`` if there were too few."""
    forces: tuple[Scale, ...] | None
    """For the force on atoms of each species, eV/angstrom."""

    def bound_energies(self, E_std_s: Array, atoms_s: Integers) -> Array | None:
        """Return the bounds of the errors of energies of structures, eV."""
        if self.energy is None:
            return None
        return np.asarray(self.energy.bound(E_std_s / atoms_s) * atoms_s)

    def bound_forces(self, F_std_n: Array | None, species_n: Integers) -> Array | None:
        """Return the bounds of the errors of the forces on atoms, eV/angstrom."""
        if self.forces is None or F_std_n is None:
            return None
        factor_s = np.array([scale.factor for scale in self.forces])
        floor_s = np.array([scale.floor for scale in self.forces])
        return np.asarray(factor_s[species_n] * np.maximum(F_std_n, floor_s[species_n]))


@dataclass(frozen=True)
class Deviations:
    """Errors of a committee, and the deviations among its members.

    NaN where there is no reference.
    """

    energy_error_s: Array
    """Of energies, eV per atom."""
    E_std_s: Array
    force_error_n: Array
    """Lengths of the error of the force on each atom, eV/angstrom."""
    F_std_n: Array
    species_n: Integers


def fit_calibration(
    deviations: Deviations, n_species: int, level: float = LEVEL
) -> Calibration:
    """Return the calibration by structures that were not trained on."""
    known_n, species_n = np.isfinite(deviations.force_error_n), deviations.species_n
    pooled = _fit_scale(deviations.force_error_n, deviations.F_std_n, known_n, level)
    forces = [
        _fit_scale(
            deviations.force_error_n,
            deviations.F_std_n,
            known_n & (species_n == s),
            level,
        )
        or pooled
        for s in range(n_species)
    ]
    known_s = np.isfinite(deviations.energy_error_s)
    return Calibration(
        level,
        _fit_scale(
            np.abs(deviations.energy_error_s), deviations.E_std_s, known_s, level
        ),
        None if pooled is None else tuple(scale for scale in forces if scale),
    )


def _fit_scale(
    error_i: Array, std_i: Array, chosen_i: Array, level: float
) -> Scale | None:
    """Return the scale of some errors; ``None`` if they are too few."""
    count = int(chosen_i.sum())
    rank = math.ceil((count + 1) * level - 1e-9)
    if count < LEAST or rank > count:
        return None
    error_i, std_i = error_i[chosen_i], std_i[chosen_i]
    floor = max(FLOOR * float(np.median(std_i)), TINY)
    score_i = error_i / np.maximum(std_i, floor)
    return Scale(float(np.sort(score_i)[rank - 1]), floor, count)


def write_calibration(file: h5py.Group, calibration: Calibration) -> None:
    """Write a calibration as a group of the file of a committee."""
    group = file.create_group(container.CALIBRATION)
    writing.write_attribute(group, container.LEVEL, calibration.level)
    if (energy := calibration.energy) is not None:
        writing.write_attribute(group, container.ENERGY_FACTOR, energy.factor)
        writing.write_attribute(group, container.ENERGY_FLOOR, energy.floor)
        writing.write_attribute(group, container.N_ENERGIES, energy.count)
    if (forces := calibration.forces) is not None:
        factor_s = np.array([scale.factor for scale in forces])
        floor_s = np.array([scale.floor for scale in forces])
        count_s = np.array([scale.count for scale in forces], dtype=np.int64)
        writing.write_array(group, container.FORCE_FACTORS, factor_s)
        writing.write_array(group, container.FORCE_FLOORS, floor_s)
        writing.write_array(group, container.N_FORCES, count_s)


def read_calibration(file: h5py.Group, n_species: int) -> Calibration | None:
    """Return the calibration in a file; ``None`` if there is none.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    if container.CALIBRATION not in file:
        return None
    group = reading.read_group(file, container.CALIBRATION)
    level = reading.read_attribute(group, container.LEVEL, float)
    energy = None
    if container.ENERGY_FACTOR in group.attrs:
        energy = Scale(
            reading.read_attribute(group, container.ENERGY_FACTOR, float),
            reading.read_attribute(group, container.ENERGY_FLOOR, float),
            reading.read_attribute(group, container.N_ENERGIES, int),
        )
    forces = None
    if container.FORCE_FACTORS in group:
        columns = [
            reading.read_array(group, container.FORCE_FACTORS, (n_species,)),
            reading.read_array(group, container.FORCE_FLOORS, (n_species,)),
            reading.read_array(group, container.N_FORCES, (n_species,), dtype="<i8"),
        ]
        forces = tuple(
            Scale(float(factor), float(floor), int(count))
            for factor, floor, count in zip(*columns, strict=True)
        )
    calibration = Calibration(level, energy, forces)
    _check(calibration, f"'{file.file.filename}', {group.name}")
    return calibration


def _check(calibration: Calibration, where: str) -> None:
    scales = [calibration.energy, *(calibration.forces or ())]
    numbers = [x for scale in scales if scale for x in (scale.factor, scale.floor)]
    if not 0.0 < calibration.level < 1.0:
        raise FileFormatError(f"{where}: level {calibration.level:g}, expected 0 to 1")
    if not all(0.0 <= x < math.inf for x in numbers):
        raise FileFormatError(f"{where}: factors and floors, expected 0 or more")
