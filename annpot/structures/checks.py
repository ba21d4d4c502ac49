"""Checks that every structure has to pass, whatever file it comes from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from annpot.errors import StructureError
from annpot.structures.distances import complete_cell, find_close_pair, invert_cell
from annpot.structures.structure import Array, Structure

LARGEST = 1e8
"""No position, cell, force or stress is as large, in eV and angstrom."""
CLOSEST = 0.1
"""Two atoms nearer than this, in angstrom, are one atom given twice."""
FLATTEST = 1e-6
"""Least volume of a cell relative to the product of its vectors' lengths."""


def check_structure(structure: Structure) -> None:
    """Check shapes, numbers, cell and distances of ``structure``.

    Raises
    ------
    StructureError
        If there is no atom, a number is not finite, the periodic cell vectors have no
        volume, or two atoms (or images) are less than 0.1 angstrom apart.
    """
    _check_shapes(structure)
    _check_numbers(structure)
    cell_cc = complete_cell(structure.cell_cc, structure.pbc_c)
    inverse_cc = _check_cell(structure, cell_cc)
    pair = find_close_pair(
        structure.positions_nc, cell_cc, inverse_cc, structure.pbc_c, CLOSEST
    )
    if pair is not None:
        i, j, distance = pair
        raise StructureError(
            f"{structure.label}: atoms {i} ({structure.symbols[i]}) and {j} "
            f"({structure.symbols[j]}) are {distance:.3g} angstrom apart, expected at "
            f"least {CLOSEST}: is an atom given twice, or the cell too small?"
        )


def is_finite(values: Array) -> bool:
    """Return whether all ``values`` are finite and below `LARGEST` in magnitude."""
    # The sum of squares is much faster, and conclusive unless it is large itself.
    square = np.vdot(values, values)
    return bool(square < LARGEST**2 or (np.abs(values) < LARGEST).all())


def _check_shapes(structure: Structure) -> None:
    n_atoms = len(structure)
    if n_atoms == 0:
        raise StructureError(f"{structure.label}: at least one atom expected, found 0")
    for what, values, shape in (
        ("positions", structure.positions_nc, (n_atoms, 3)),
        ("cell", structure.cell_cc, (3, 3)),
        ("pbc", structure.pbc_c, (3,)),
        ("forces", structure.forces_nc, (n_atoms, 3)),
        ("stress", structure.stress_v, (6,)),
    ):
        if values is not None and values.shape != shape:
            raise StructureError(
                f"{structure.label}: {what} of shape {values.shape}, expected {shape}"
            )


def _check_numbers(structure: Structure) -> None:
    for what, energy in (
        ("energy", structure.energy),
        ("cohesive energy", structure.cohesive_energy),
    ):
        if energy is not None and not math.isfinite(energy):
            raise StructureError(
                f"{structure.label}: {what} is {energy}, expected a finite number in eV"
            )
    for what, values in (
        ("position", structure.positions_nc),
        ("cell vector", structure.cell_cc),
        ("force", structure.forces_nc),
        ("stress", structure.stress_v),
    ):
        if values is not None and not is_finite(values):
            raise _not_finite(structure, what, values)


def _not_finite(structure: Structure, what: str, values: Array) -> StructureError:
    rows = values.reshape(-1, values.shape[-1])
    row = int(np.argmin((np.abs(rows) < LARGEST).all(axis=1)))
    number = "" if what == "stress" else f" {row}"
    return StructureError(
        f"{structure.label}: {what}{number} is {_join(rows[row])}, "
        f"expected finite numbers (below {LARGEST:.0e})"
    )


def _join(numbers: NDArray[np.float64]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _check_cell(structure: Structure, cell_cc: Array) -> Array:
    """Return the inverse of the completed cell, which must have a volume."""
    inverse_cc = invert_cell(cell_cc, FLATTEST)
    if inverse_cc is None:
        found = "; ".join(_join(row) for row in structure.cell_cc[structure.pbc_c])
        raise StructureError(
            f"{structure.label}: the periodic cell vectors ({found}) span no volume, "
            "expected linearly independent ones"
        )
    for i, vector in enumerate(cell_cc.tolist()):
        if (length := math.hypot(*vector)) < CLOSEST:
            raise StructureError(
                f"{structure.label}: cell vector {i} is {length:.3g} angstrom long, "
                f"expected at least {CLOSEST}"
            )
    return inverse_cc
