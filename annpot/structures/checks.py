"""Checks that every structure has to pass, whatever file it comes from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annpot.errors import StructureError
from annpot.kernels import faults as kernel
from annpot.structures.structure import Array, Structure

LARGEST = 1e8
"""No position, cell, energy per atom, force or stress is as large, eV, angstrom."""
CLOSEST = 0.1
"""Two atoms nearer than this, in angstrom, are one atom given twice."""
FLATTEST = 1e-6
"""Least volume of a cell relative to the product of its vectors' lengths."""
NO_FORCES = np.zeros((0, 3))
NO_STRESS = np.zeros((0, 6))


def check_structure(structure: Structure) -> None:
    """Check shapes, numbers, cell and distances of ``structure``.

    Raises
    ------
    StructureError
        If there is no atom, a number is not finite, the periodic cell vectors have no
        volume, or two atoms (or images) are less than 0.1 angstrom apart.
    """
    _check_shapes(structure)
    for what, energy in (
        ("energy", structure.energy),
        ("cohesive energy", structure.cohesive_energy),
    ):
        if energy is not None and not abs(energy) < LARGEST * len(structure):
            raise StructureError(
                f"{structure.label}: {what} is {energy:g}, expected a finite number in "
                f"eV (below {LARGEST:.0e} per atom)"
            )
    forces_nc, stress_v = structure.forces_nc, structure.stress_v
    fault, i, j, length = kernel.find_fault(
        structure.positions_nc,
        _complete_cell(structure.cell_cc, structure.pbc_c),
        structure.pbc_c,
        NO_FORCES if forces_nc is None else forces_nc,
        NO_STRESS if stress_v is None else stress_v.reshape(1, 6),
        LARGEST,
        FLATTEST,
        CLOSEST,
    )
    if fault != kernel.SOUND:
        message = _describe(structure, fault, i, j, length)
        raise StructureError(f"{structure.label}: {message}")


def _check_shapes(structure: Structure) -> None:
    n_atoms = len(structure.symbols)
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


def _complete_cell(cell_cc: Array, pbc_c: NDArray[np.bool_]) -> Array:
    """Return ``cell_cc`` with normal unit vectors where it is not periodic."""
    n_periodic = sum(pbc_c.tolist())
    if n_periodic == 3 or not (np.abs(cell_cc) < LARGEST).all():  # a fault by itself
        return cell_cc
    complete_cc = np.eye(3)
    if n_periodic > 0:
        complete_cc[pbc_c] = cell_cc[pbc_c]
        # Rows of the right factor beyond the rank are normal to all periodic vectors.
        complete_cc[~pbc_c] = np.linalg.svd(cell_cc[pbc_c])[2][n_periodic:]
    return complete_cc


def _describe(structure: Structure, fault: int, i: int, j: int, length: float) -> str:
    """Return the fault that `find_fault` found in words."""
    symbols = structure.symbols
    if fault == kernel.PAIR:
        return (
            f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are {length:.3g} "
            f"angstrom apart, expected at least {CLOSEST}: is an atom given twice, or "
            "the cell too small?"
        )
    if fault == kernel.FLAT_CELL:
        found = "; ".join(map(_join, structure.cell_cc[structure.pbc_c]))
        expected = "expected linearly independent ones"
        return f"the periodic cell vectors ({found}) span no volume, {expected}"
    if fault == kernel.SHORT_VECTOR:
        found = f"cell vector {i} is {length:.3g} angstrom long"
        return f"{found}, expected at least {CLOSEST}"
    what, rows = {
        kernel.POSITION: (f"position {i}", structure.positions_nc),
        kernel.CELL_VECTOR: (f"cell vector {i}", structure.cell_cc),
        kernel.FORCE: (f"force {i}", structure.forces_nc),
        kernel.STRESS: ("stress", structure.stress_v),
    }[fault]
    found = _join(
        np.reshape(np.asarray(rows), (-1, 6 if fault == kernel.STRESS else 3))[i]
    )
    return f"{what} is {found}, expected finite numbers (below {LARGEST:.0e})"


def _join(numbers: Array) -> str:
    return " ".join(f"{number:g}" for number in numbers)
