"""The step from one structure to a near one, atom by atom, and the work along it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annpot.checks.sample import Progress, Sample, show_nothing
from annpot.checks.twins import Twins
from annpot.structures.structure import VOIGT, Array, Integers

MAX_STEP = 0.4
"""Largest root mean square displacement of a step, angstrom."""
MAX_STRAIN = 0.1
"""Largest component of the strain of a step."""


@dataclass(frozen=True)
class Steps:
    """Pairs of structures whose atoms correspond one by one.

    Works are in eV, from a to b; NaN without forces (or stresses, if the cell changes).
    """

    a_k: Integers
    b_k: Integers
    displacement_k: Array
    """Root mean square over the atoms, angstrom."""
    strain_k: Array
    """Largest component of the strain."""
    force_work_k: Array
    """``-(F_a + F_b)/2 . dR``, the trapezoid rule."""
    stress_work_k: Array
    """``V (s_a + s_b)/2 : strain``; 0 if the cells are equal."""
    bend_k: Array
    """``|(F_b - F_a) . dR|/2``, the same for the stress added: how much the two end
    points disagree about the work. For a harmonic energy the trapezoid is exact
    whatever this is; beyond, its error is a fraction of this."""
    force_change_k: Array
    """Root mean square difference of the components of the forces, eV/angstrom."""


def find_steps(
    sample: Sample, twins: Twins, progress: Progress = show_nothing
) -> Steps:
    """Return the steps between structures with the same species in the same order.

    Molecules are turned onto each other (Kabsch, DOI 10.1107/S0567739476001873), and
    the centres of all are brought together. In crystals an atom moves the shortest way
    in fractional coordinates; what the cell does is the strain. Pairs further apart
    than `MAX_STEP` or `MAX_STRAIN` are left out.
    """
    rows = array("d")  # tuples would need five times as much
    for k in progress(range(len(twins.a_k)), "steps", "pair"):
        a, b = int(twins.a_k[k]), int(twins.b_k[k])
        row = _compare(sample, a, b)
        if row is not None:
            rows.extend((a, b, *row))
    table = np.array(rows).reshape(-1, 8).T
    return Steps(table[0].astype(np.int64), table[1].astype(np.int64), *table[2:])


def _compare(sample: Sample, a: int, b: int) -> tuple[float, ...] | None:
    """Return displacement, strain, works, bend and dF of a step, or None."""
    batch = sample.batch
    first_s = batch.first_s
    atoms_a = slice(first_s[a], first_s[a + 1])
    atoms_b = slice(first_s[b], first_s[b + 1])
    if not np.array_equal(batch.species_n[atoms_a], batch.species_n[atoms_b]):
        return None
    if not np.array_equal(batch.pbc_sc[a], batch.pbc_sc[b]):
        return None
    R_a, R_b = batch.positions_nc[atoms_a], batch.positions_nc[atoms_b]
    F_a, F_b = sample.forces_nc[atoms_a], sample.forces_nc[atoms_b]
    strain_cc, stress_work, stress_bend = np.zeros((3, 3)), 0.0, 0.0
    if batch.pbc_sc[a].all():
        moved = _move_crystal(R_a, R_b, batch.cells_scc[a], batch.cells_scc[b])
        if moved is None:
            return None
        D_nc, strain_cc = moved
        if np.abs(strain_cc).max() > 1e-8:
            stress_work, stress_bend = _work_of_stress(sample, a, b, strain_cc)
    elif batch.pbc_sc[a].any():
        if not np.allclose(batch.cells_scc[a], batch.cells_scc[b], atol=1e-6):
            return None
        D_nc = _shortest(R_b - R_a, batch.cells_scc[a], batch.pbc_sc[a])
    else:
        D_nc, F_b = _move_molecule(R_a, R_b, F_b)
    displacement = float(np.sqrt((D_nc**2).sum(axis=1).mean()))
    if displacement > MAX_STEP:
        return None
    work_a, work_b = -float((F_a * D_nc).sum()), -float((F_b * D_nc).sum())
    dF = float(np.sqrt(((F_b - F_a) ** 2).mean()))
    return (
        displacement,
        float(np.abs(strain_cc).max()),
        (work_a + work_b) / 2,
        stress_work,
        abs(work_b - work_a) / 2 + stress_bend,
        dF,
    )


def _move_crystal(
    R_a: Array, R_b: Array, cell_a: Array, cell_b: Array
) -> tuple[Array, Array] | None:
    """Return displacements in the mean cell without drift, and the symmetric strain."""
    if np.array_equal(cell_a, cell_b):
        mean_cc, strain_cc = cell_a, np.zeros((3, 3))
    else:
        mean_cc = (cell_a + cell_b) / 2
        gradient_cc = np.linalg.solve(mean_cc, cell_b - cell_a)
        strain_cc = (gradient_cc + gradient_cc.T) / 2
        # a turn of the cell would turn the forces, too
        spin = np.abs(gradient_cc - gradient_cc.T).max()
        if max(np.abs(strain_cc).max(), spin) > MAX_STRAIN:
            return None
    S_nc = np.linalg.solve(cell_b.T, R_b.T).T - np.linalg.solve(cell_a.T, R_a.T).T
    S_nc -= S_nc[0]  # a drift of all atoms, first to within half a cell
    S_nc -= np.round(S_nc)
    S_nc -= S_nc.mean(axis=0)
    return S_nc @ mean_cc, strain_cc


def _shortest(D_nc: Array, cell_cc: Array, pbc_c: NDArray[np.bool_]) -> Array:
    cell_cc = cell_cc.copy()
    cell_cc[~pbc_c] = 0.0
    S_nc = D_nc @ np.linalg.pinv(cell_cc)
    return D_nc - np.round(S_nc) @ cell_cc


def _move_molecule(R_a: Array, R_b: Array, F_b: Array) -> tuple[Array, Array]:
    """Return displacements and forces of b after b is turned onto a."""
    A_nc, B_nc = R_a - R_a.mean(axis=0), R_b - R_b.mean(axis=0)
    U_cc, _, V_cc = np.linalg.svd(B_nc.T @ A_nc)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(U_cc @ V_cc)) or 1.0])
    turn_cc = (U_cc * flip) @ V_cc
    return B_nc @ turn_cc - A_nc, F_b @ turn_cc


def _work_of_stress(
    sample: Sample, a: int, b: int, strain_cc: Array
) -> tuple[float, float]:
    cells_scc = sample.batch.cells_scc
    volume = abs(float(np.linalg.det((cells_scc[a] + cells_scc[b]) / 2)))
    # shear strains count twice in Voigt order
    strain_v = np.array([strain_cc[i, j] * (1 if i == j else 2) for i, j in VOIGT])
    stress_a, stress_b = sample.stress_sv[a], sample.stress_sv[b]
    mean = volume * float((stress_a + stress_b) @ strain_v) / 2
    return mean, abs(volume * float((stress_b - stress_a) @ strain_v)) / 2
