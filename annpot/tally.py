"""What is counted while a set is made, and the summary at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annpot.descriptors import Descriptor
from annpot.errors import StructureError
from annpot.fingerprints import Environments
from annpot.format import container
from annpot.scaling import Statistics, merge_statistics
from annpot.set_writing import Entry, Rows, SetPart, Writer, structure_path
from annpot.structures.references import require_energy
from annpot.structures.sources import Source
from annpot.structures.structure import Array, Integers, Structure, check_species


@dataclass(frozen=True)
class Summary:
    """What went into a set."""

    path: Path
    species: tuple[str, ...]
    n_files: int
    n_structures: int
    n_atoms_s: Array
    reference_energies: Array
    rank: int
    """Rank of the compositions, if reference energies were fitted to them."""
    n_fitted: int
    energy_range: tuple[float, float]
    """Least and largest energy per atom minus the reference energies, eV."""
    force_range: tuple[float, float]
    """Least and largest size of a force on an atom, eV/angstrom; NaN without forces."""
    n_with_forces: int
    n_with_stress: int
    statistics: list[Statistics]
    labels: dict[str, list[str]]
    """Names of the features of each species."""
    constant: dict[str, list[str]]
    """Names of the constant features of each species that has such."""
    environments: Environments
    skipped: list[str]


@dataclass(frozen=True)
class Rules:
    """Which structures a set takes, and with which energies."""

    species: tuple[str, ...]
    given: list[float | str]
    """Reference energy of each species, or ``fit``."""

    def check(self, structure: Structure) -> None:
        """Check that a structure can be used.

        Raises
        ------
        StructureError
            If it cannot.
        """
        require_energy(structure)
        check_species(structure, self.species)
        if "fit" in self.given and structure.energy is None:
            raise StructureError(
                f"{structure.label}: cohesive energy found, which needs energies of "
                "free atoms: give the reference energies of all species"
            )

    def entry(self, structure: Structure, source: Source) -> Entry:
        """Return the entry of a structure, with its total energy."""
        energy = structure.energy
        if energy is None:
            assert structure.cohesive_energy is not None
            counts = [structure.symbols.count(symbol) for symbol in self.species]
            free_atoms = np.dot(counts, np.array(self.given, dtype=float))
            energy = structure.cohesive_energy + float(free_atoms)
        set_ = source.set or structure.set or ""
        return Entry(structure, energy, source.group or "", set_, source.weight)


@dataclass
class Tally:
    """What is counted of all structures: a few numbers of each, none of each atom."""

    rules: Rules
    energies: list[Array] = field(default_factory=list)
    """Of the structures of each part, eV."""
    compositions: list[Integers] = field(default_factory=list)
    """Atoms of each species in the structures of each part; shape=(S, T)."""
    force_range: tuple[float, float] = (np.inf, 0.0)
    n_with_forces: int = 0
    n_with_stress: int = 0
    statistics: list[Statistics] = field(default_factory=list)
    _shortest_st: Array = field(init=False)
    _neighbours_s: Array = field(init=False)
    """Least, sum and largest number of neighbours of each species."""

    def __post_init__(self) -> None:
        """Begin with no atoms."""
        n_species = len(self.rules.species)
        self._shortest_st = np.full((n_species, n_species), np.inf)
        self._neighbours_s = np.tile([np.inf, 0.0, 0.0], (n_species, 1))

    @property
    def n_structures(self) -> int:
        """Number of structures so far."""
        return sum(map(len, self.energies))

    def add_structures(self, rows: Rows, environments: Environments) -> None:
        """Add the structures of a part, and what surrounds their atoms."""
        atoms_s = rows[structure_path(container.N_ATOMS)]
        species_n = rows[structure_path(container.SPECIES_INDEX)]
        forces_nc = rows[structure_path(container.FORCES)]
        stress_sv = rows[structure_path(container.STRESS)]
        n_species = len(self.rules.species)
        structure_n = np.repeat(np.arange(len(atoms_s)), atoms_s)
        composition_sk = np.bincount(
            structure_n * n_species + species_n, minlength=len(atoms_s) * n_species
        ).reshape(-1, n_species)
        self.energies.append(rows[structure_path(container.ENERGY)])
        self.compositions.append(composition_sk)
        known_n = np.isfinite(forces_nc[:, 0])
        self.n_with_forces += int(known_n[np.cumsum(atoms_s) - atoms_s].sum())
        self.n_with_stress += int(np.isfinite(stress_sv[:, 0]).sum())
        size_n = np.linalg.norm(forces_nc[known_n], axis=1)
        low, high = self.force_range
        self.force_range = (
            float(size_n.min(initial=low)),
            float(size_n.max(initial=high)),
        )
        self._add_environments(environments, composition_sk.sum(axis=0))

    def _add_environments(self, environments: Environments, atoms_k: Integers) -> None:
        np.minimum(self._shortest_st, environments.shortest_st, out=self._shortest_st)
        for s in np.flatnonzero(atoms_k):
            low, mean, high = environments.neighbours_s[s]
            least, total, largest = self._neighbours_s[s]
            # whole numbers are summed: neither order nor parts change the result
            total += np.rint(mean * atoms_k[s])
            self._neighbours_s[s] = min(least, low), total, max(largest, high)

    def add_statistics(self, statistics: list[Statistics]) -> None:
        """Add the statistics of the features of some more structures."""
        self.statistics = merge_statistics(self.statistics, statistics)

    def add(self, part: SetPart) -> None:
        """Add all that is to be counted of a part."""
        self.add_structures(part.rows, part.environments)
        self.add_statistics(part.statistics)

    def environments(self) -> Environments:
        """Return what is known of the surroundings of all atoms."""
        atoms_k = np.concatenate(self.compositions).sum(axis=0)
        neighbours_s = np.where(atoms_k[:, None], self._neighbours_s, 0.0)
        neighbours_s[:, 1] /= np.maximum(atoms_k, 1)
        return Environments(self._shortest_st, neighbours_s)

    def fit_reference_energies(self) -> Array:
        """Return the reference energies; those not given by least squares.

        Of all that fit equally well, the ones closest to equal: where compositions do
        not tell species apart, only their sums in the structures have a meaning.
        """
        given = self.rules.given
        energies = np.array([0.0 if e == "fit" else float(e) for e in given])
        free = np.array([e == "fit" for e in given])
        if free.any():
            atoms_sk = np.concatenate(self.compositions).astype(float)
            share_sk = atoms_sk / atoms_sk.sum(axis=1, keepdims=True)
            rest_s = np.concatenate(self.energies) / atoms_sk.sum(axis=1)
            rest_s = rest_s - share_sk @ energies
            share = share_sk[:, free].sum(axis=1).mean()
            mean = rest_s.mean() / share if share > 0.0 else 0.0
            centred_s = rest_s - share_sk[:, free].sum(axis=1) * mean
            fit, *_ = np.linalg.lstsq(share_sk[:, free], centred_s, rcond=1e-8)
            energies[free] = fit + mean
        return energies

    def finish(self, writer: Writer) -> None:
        """Write what is known only after the last structure."""
        energies = self.fit_reference_energies()
        writer.finish(energies, self.statistics, self.environments())

    def summary(
        self, path: Path, n_files: int, descriptor: Descriptor, skipped: list[str]
    ) -> Summary:
        """Return all that was counted."""
        energies = self.fit_reference_energies()
        atoms_sk = np.concatenate(self.compositions).astype(float)
        per_atom_s = np.concatenate(self.energies) - atoms_sk @ energies
        per_atom_s /= atoms_sk.sum(axis=1)
        free = np.array([e == "fit" for e in self.rules.given])
        species = self.rules.species
        labels = {symbol: descriptor.labels(symbol) for symbol in species}
        return Summary(
            path=path,
            species=species,
            n_files=n_files,
            n_structures=self.n_structures,
            n_atoms_s=atoms_sk.sum(axis=0).astype(int),
            reference_energies=energies,
            rank=int(np.linalg.matrix_rank(atoms_sk[:, free])) if free.any() else 0,
            n_fitted=int(free.sum()),
            energy_range=(float(per_atom_s.min()), float(per_atom_s.max())),
            force_range=self.force_range if self.n_with_forces else (np.nan, np.nan),
            n_with_forces=self.n_with_forces,
            n_with_stress=self.n_with_stress,
            statistics=self.statistics,
            labels=labels,
            constant=_name_constant(labels, self.statistics),
            environments=self.environments(),
            skipped=skipped,
        )


def _name_constant(
    labels: dict[str, list[str]], statistics: list[Statistics]
) -> dict[str, list[str]]:
    """Return the names of the constant features of each species that has such."""
    constant = {
        symbol: [
            label
            for label, flag in zip(names, values.constant_f, strict=True)
            if flag and values.n_atoms
        ]
        for (symbol, names), values in zip(labels.items(), statistics, strict=True)
    }
    return {symbol: names for symbol, names in constant.items() if names}
