"""One structure, and many structures stacked into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annpot.errors import StructureError, did_you_mean

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure with its reference values, as a reader delivers it.

    Parameters
    ----------
    symbols
        Chemical symbol of each atom.
    positions_nc
        Cartesian positions, angstrom.
    cell_cc
        Cell vectors as rows, angstrom; rows of non-periodic directions may be zero.
    pbc_c
        Which cell vectors are periodic.
    energy
        Total energy, eV; ``None`` where the file gives none.
    cohesive_energy
        Energy relative to isolated atoms, eV; aenet's files may give it instead.
    forces_nc
        Forces, eV/angstrom, or ``None``.
    stress_v
        Stress in Voigt order xx, yy, zz, yz, xz, xy, eV/angstrom^3, ASE's sign
        (``stress = dE/dstrain / volume``), or ``None``.
    file, index
        Where it was read: file name (``archive.tar.gz:member`` in an archive) and
        number of the structure in that file, from 0.
    set
        ``"train"`` or ``"test"``, if the file says which it belongs to.
    """

    symbols: tuple[str, ...]
    positions_nc: Array
    cell_cc: Array
    pbc_c: NDArray[np.bool_]
    energy: float | None = None
    cohesive_energy: float | None = None
    forces_nc: Array | None = None
    stress_v: Array | None = None
    file: str = ""
    index: int = 0
    set: str | None = None

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.symbols)

    @property
    def label(self) -> str:
        """File name, with the structure's number where it is not the first."""
        return make_label(self.file, self.index)


def make_label(file: str, index: int) -> str:
    """Return the name of a structure for messages."""
    return f"'{file}'" + (f", structure {index}" if index else "")


@dataclass(frozen=True)
class Batch:
    """The geometry of many structures, stacked atom by atom: what kernels work on.

    Atoms of structure ``s`` are ``first_s[s]:first_s[s + 1]``.
    """

    species: tuple[str, ...]
    """Chemical symbols; ``species_n`` counts in this table."""
    species_n: Integers
    positions_nc: Array
    cells_scc: Array
    pbc_sc: NDArray[np.bool_]
    first_s: Integers
    """shape=(n_structures + 1)."""

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.first_s) - 1

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return len(self.species_n)

    @property
    def atoms_s(self) -> Integers:
        """Number of atoms of each structure."""
        return np.diff(self.first_s)

    @property
    def structure_n(self) -> Integers:
        """Index of the structure that each atom belongs to."""
        return np.repeat(np.arange(self.n_structures), self.atoms_s)

    def atoms_of(self, structures: Integers) -> Integers:
        """Return the numbers of the atoms of some structures."""
        first_s = self.first_s
        atoms = [np.arange(first_s[s], first_s[s + 1]) for s in structures]
        return np.concatenate(atoms) if atoms else np.zeros(0, dtype=np.int64)

    def with_species(self, species: tuple[str, ...]) -> Batch:
        """Return the batch whose ``species_n`` count in another table of the same."""
        number_s = np.array([species.index(symbol) for symbol in self.species])
        return replace(self, species=species, species_n=number_s[self.species_n])

    def take(self, structures: Integers) -> Batch:
        """Return the batch of some structures, as a copy."""
        atoms = self.atoms_of(structures)
        return Batch(
            species=self.species,
            species_n=self.species_n[atoms],
            positions_nc=self.positions_nc[atoms],
            cells_scc=self.cells_scc[structures],
            pbc_sc=self.pbc_sc[structures],
            first_s=np.concatenate([[0], np.cumsum(self.atoms_s[structures])]),
        )

    def part(self, first: int, last: int) -> Batch:
        """Return the batch of consecutive structures, as views of the arrays."""
        atoms = slice(self.first_s[first], self.first_s[last])
        return Batch(
            species=self.species,
            species_n=self.species_n[atoms],
            positions_nc=self.positions_nc[atoms],
            cells_scc=self.cells_scc[first:last],
            pbc_sc=self.pbc_sc[first:last],
            first_s=self.first_s[first : last + 1] - self.first_s[first],
        )


def stack(structures: Sequence[Structure], species: tuple[str, ...]) -> Batch:
    """Return the batch of ``structures``; their symbols must be among ``species``.

    Raises
    ------
    StructureError
        If a structure holds a species that is not in the table.
    """
    number = {symbol: i for i, symbol in enumerate(species)}
    for structure in structures:
        check_species(structure, species)
    first_s = np.zeros(len(structures) + 1, dtype=np.int64)
    np.cumsum([len(structure) for structure in structures], out=first_s[1:])
    species_n = np.empty(first_s[-1], dtype=np.int64)
    for structure, first, last in zip(
        structures, first_s[:-1], first_s[1:], strict=True
    ):
        species_n[first:last] = [number[symbol] for symbol in structure.symbols]
    if not structures:
        positions_nc = np.zeros((0, 3))
    else:
        positions_nc = np.concatenate([s.positions_nc for s in structures])
    return Batch(
        species=species,
        species_n=species_n,
        positions_nc=positions_nc,
        cells_scc=np.array([s.cell_cc for s in structures]).reshape(-1, 3, 3),
        pbc_sc=np.array([s.pbc_c for s in structures], dtype=bool).reshape(-1, 3),
        first_s=first_s,
    )


def check_species(structure: Structure, species: tuple[str, ...]) -> None:
    """Check that all atoms of a structure are of one of the ``species``.

    Raises
    ------
    StructureError
        If one is not; the message names the first.
    """
    unknown = set(structure.symbols).difference(species)
    if unknown:
        atom = next(n for n, s in enumerate(structure.symbols) if s in unknown)
        symbol = structure.symbols[atom]
        raise StructureError(
            f"{structure.label}: atom {atom} is {symbol}, expected one of "
            f"{', '.join(species)}{did_you_mean(symbol, species)}"
        )


VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of a stress in Voigt order: xx, yy, zz, yz, xz, xy."""


def voigt_stress(virial_scc: Array, volume_s: Array) -> Array:
    """Return the stress ``dE/dstrain / volume`` in Voigt order."""
    stress_scc = -(virial_scc + virial_scc.transpose(0, 2, 1)) / 2
    stress_scc /= volume_s[:, None, None]
    return np.stack([stress_scc[:, a, b] for a, b in VOIGT], axis=1)


def compute_volumes(batch: Batch) -> Array:
    """Return the volume of each structure in angstrom^3; NaN if it is not a crystal."""
    volume_s = np.abs(np.linalg.det(batch.cells_scc))
    return np.where(batch.pbc_sc.all(axis=1), volume_s, np.nan)
