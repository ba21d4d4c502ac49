"""Where reference energies, forces and stresses stand in what ASE has read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from annpot.errors import StructureError
from annpot.structures.archives import PACKED
from annpot.structures.structure import VOIGT, Array, Structure

if TYPE_CHECKING:
    from ase import Atoms

ENERGY_LABELS = ("REF_energy", "ref_energy", "DFT_energy", "dft_energy")
PLAIN_ENERGY = ("energy", "Energy", "TotEnergy", "total_energy", "free_energy")
FORCE_LABELS = ("REF_forces", "ref_forces", "DFT_forces", "dft_forces")
PLAIN_FORCES = ("forces", "force")
STRESS_LABELS = ("REF_stress", "ref_stress", "DFT_stress", "dft_stress")
VIRIAL_LABELS = ("REF_virial", "ref_virial", "DFT_virial", "dft_virial")
LARGEST = 1e30
"""Of the numbers of a stress or virial, in any unit."""
ASYMMETRY = 0.01
"""A stress may be as asymmetric, relative to its largest component."""
RUNNER_SUFFIXES = tuple(f".data{packed}" for packed in ("", *PACKED))
"""Of the files that RuNNer and n2p2 read, which are called input.data."""
COMPONENTS = tuple(zip(*VOIGT, strict=True))
"""Rows and columns of a matrix in Voigt order."""


def find_energy(atoms: Atoms, label: str) -> float | None:
    """Return the energy in eV; a ``REF_`` key wins over the calculator's energy.

    Last comes a free energy, which is what some programs give only.
    """
    found = _first(
        (atoms.info, ENERGY_LABELS),
        (_results(atoms), ("energy",)),
        (atoms.info, PLAIN_ENERGY[:-1]),
        (_results(atoms), ("free_energy",)),
        (atoms.info, PLAIN_ENERGY[-1:]),
    )
    return _energy(found, label)


def find_forces(atoms: Atoms, label: str) -> Array | None:
    """Return the forces in eV/angstrom, shape=(n_atoms, 3), without constraints.

    Calculator results are taken as they are, ``atoms.get_forces`` would set the forces
    on fixed atoms to zero.
    """
    found = _first(
        (atoms.arrays, FORCE_LABELS),
        (_results(atoms), ("forces",)),
        (atoms.arrays, PLAIN_FORCES),
    )
    return _forces(found, len(atoms), label)


Values = tuple[float | None, Array | None]
"""Energy in eV and forces in eV/angstrom, if they are known."""


def find_predictions(atoms: Atoms, label: str) -> tuple[Values, Values]:
    """Return predictions, the calculator's results, and references, under ``REF_``."""
    results, n_atoms = _results(atoms), len(atoms)
    return (
        (
            _energy(_first((results, ("energy",))), label),
            _forces(_first((results, ("forces",))), n_atoms, label),
        ),
        (
            _energy(_first((atoms.info, ENERGY_LABELS)), label),
            _forces(_first((atoms.arrays, FORCE_LABELS)), n_atoms, label),
        ),
    )


def _energy(found: tuple[str, Any] | None, label: str) -> float | None:
    return None if found is None else float(_numbers(*found, (1,), label)[0])


def _forces(found: tuple[str, Any] | None, n_atoms: int, label: str) -> Array | None:
    if found is None:
        return None
    return _numbers(*found, (3 * n_atoms,), label).reshape(-1, 3)


def find_stress(atoms: Atoms, label: str) -> Array | None:
    """Return the stress in Voigt order, eV/angstrom^3, ``stress = -virial / volume``.

    Structures that are not periodic in three directions have none.
    """
    if not atoms.pbc.all():
        return None
    for values, keys, is_virial in (
        (atoms.info, STRESS_LABELS, False),
        (atoms.info, VIRIAL_LABELS, True),
        (_results(atoms), ("stress",), False),
        (atoms.info, ("stress",), False),
        (atoms.info, ("virial",), True),
    ):
        found = _first((values, keys))
        if found is not None:
            stress_v = _voigt(*found, label)
            return -stress_v / _volume(atoms, label) if is_virial else stress_v
    return None


def _results(atoms: Atoms) -> dict[str, Any]:
    return getattr(atoms.calc, "results", None) or {}


def _first(*groups: tuple[dict[str, Any], Iterable[str]]) -> tuple[str, Any] | None:
    """Return the first key that holds anything, with what it holds."""
    for values, keys in groups:
        for key in keys:
            if values.get(key) is not None:
                return key, values[key]
    return None


def _numbers(key: str, value: Any, sizes: tuple[int, ...], label: str) -> Array:
    """Return ``value`` as a flat array that has one of ``sizes``."""
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different length
        numbers = np.asarray(str(value))
    if numbers.dtype.kind in "iuf" and numbers.size in sizes:
        return np.array(numbers, dtype=float).ravel()
    found = f"{numbers.size} numbers" if numbers.size > 1 else f"'{value}'"[:60]
    expected = " or ".join(str(size) for size in sizes)
    plural = "" if sizes == (1,) else "s"
    raise StructureError(
        f"{label}: {key} is {found}, expected {expected} number{plural}"
    )


def _voigt(key: str, value: Any, label: str) -> Array:
    """Return xx, yy, zz, yz, xz, xy from these 6 or a symmetric 3 x 3 matrix."""
    numbers = _numbers(key, value, (6, 9), label)
    if not (np.abs(numbers) < LARGEST).all():  # false for NaN
        raise StructureError(f"{label}: {key} is not of finite numbers, as expected")
    if len(numbers) == 6:
        return numbers
    matrix = numbers.reshape(3, 3)
    allowed = max(ASYMMETRY * np.abs(matrix).max(), 1e-4)
    if np.abs(matrix - matrix.T).max() > allowed:
        raise StructureError(
            f"{label}: {key} is not symmetric, expected a symmetric one"
        )
    symmetric = 0.5 * (matrix + matrix.T)
    return symmetric[COMPONENTS]


def _volume(atoms: Atoms, label: str) -> float:
    volume = float(atoms.cell.volume)
    if volume > 0.0:
        return volume
    raise StructureError(f"{label}: virial found, expected a cell with a volume, too")


def require_energy(structure: Structure) -> None:
    """Check that ``structure`` has an energy.

    Raises
    ------
    StructureError
        If not; the message says under which names it was looked for.
    """
    if structure.energy is not None or structure.cohesive_energy is not None:
        return
    name = structure.file.lower()
    if name.endswith(".xsf"):
        expected = "a comment line '# total energy = ... eV'"
    elif name.endswith(RUNNER_SUFFIXES):
        expected = "a line 'energy ...'"
    else:
        keys = ", ".join((*ENERGY_LABELS, *PLAIN_ENERGY))
        expected = f"ASE calculator results or one of the keys {keys}"
    raise StructureError(f"{structure.label}: no energy found, expected {expected}")
