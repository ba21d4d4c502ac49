"""Training sets of aenet against the structure files that they were made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from annpot.convert.aenet.models import compute_deviation
from annpot.convert.aenet.networks import Setup
from annpot.convert.aenet.set_files import Header, StoredStructure
from annpot.descriptors import Chebyshev, Descriptor, Features
from annpot.errors import FileFormatError
from annpot.set_writing import Entry
from annpot.structures.reading import Source, read_structures, require_energy
from annpot.structures.structure import Array, Structure, stack
from annpot.tally import Rules

TOLERANCE = 1e-9
"""Largest deviation of features from those in the file, relative to their size."""
SMALLEST = 1e-3
"""Features are at least as large, relative to the largest of their atom: smaller ones
may be what is left of large terms."""
SAME_POSITION, SAME_ENERGY, SAME_FORCE = 1e-4, 1e-6, 1e-4
"""Deviations, angstrom, eV/atom and eV/angstrom, of structures that are the same."""
BOX = 2e-6
"""What aenet adds to the extent of an isolated structure, angstrom."""


class Comparison:
    """Compares the structures and features of a set with what annpot makes of them."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header
        self._setups: Sequence[Setup] = ()
        self.largest = 0.0
        """Largest deviation of a feature, relative to its size."""
        self.n_atoms, self._n_structures = 0, 0
        self._waiting: deque[StoredStructure] = deque()
        """Structures whose features have not been compared yet."""
        self._size_sf: list[Array] = []

    def entry(self, stored: StoredStructure, file: Path, rules: Rules) -> Entry:
        """Return a structure with its cell from ``file``, if it is the same there."""
        structure = next(read_structures(file, index="0"))
        self._n_structures += 1
        require_energy(structure)
        problem = self._differences(stored, structure)
        if problem:
            raise FileFormatError(
                f"'{self.path}', structure {self._n_structures}: '{file}' is not the "
                f"file that this set was made of: {problem}"
            )
        if structure.cohesive_energy:  # aenet takes it, if there are both
            structure = replace(structure, energy=None)
        self._waiting.append(stored)
        self.n_atoms += len(structure)
        return rules.entry(structure, Source((str(file),)))

    def _differences(self, stored: StoredStructure, structure: Structure) -> str:
        """Return what differs, if anything does."""
        header, n_atoms = self.header, len(stored.species_n)
        if n_atoms != len(structure):
            return f"{len(structure)} atoms there, expected {n_atoms}"
        symbols = [header.species[s] for s in stored.species_n]
        for n, symbol in enumerate(symbols):
            if structure.symbols[n] != symbol:
                return f"atom {n} is {structure.symbols[n]} there, expected {symbol}"
        distance_n = _distances(stored.positions_nc, structure)
        if distance_n.max() > SAME_POSITION:
            n = int(distance_n.argmax())
            return f"atom {n} is {distance_n[n]:.3g} angstrom away"
        expected, found = self._energy(stored), self._cohesive(stored, structure)
        if not abs(found - expected) <= SAME_ENERGY * n_atoms:
            return f"cohesive energy {found:.8f} eV there, expected {expected:.8f} eV"
        if structure.forces_nc is not None:
            scale = header.scale if header.normalized else 1.0
            error = np.abs(structure.forces_nc - stored.forces_nc / scale).max()
            if not error <= SAME_FORCE:
                return f"forces differ by up to {error:.3g} eV/angstrom"
        return ""

    def _energy(self, stored: StoredStructure) -> float:
        """Return the cohesive energy in the set, eV."""
        header = self.header
        if not header.normalized:
            return stored.energy
        return stored.energy / header.scale + len(stored.species_n) * header.shift

    def _cohesive(self, stored: StoredStructure, structure: Structure) -> float:
        """Return the cohesive energy in the structure file as aenet takes it, eV."""
        if structure.cohesive_energy:
            return structure.cohesive_energy
        assert structure.energy is not None
        atoms = self.header.reference_energies[stored.species_n]
        return structure.energy - float(atoms.sum())

    def choose(
        self,
        entries: Sequence[Entry],
        candidates: Sequence[tuple[Descriptor, Sequence[Setup]]],
        notes: list[str],
    ) -> Descriptor:
        """Return the descriptor whose features are those of the first structures."""
        stored = list(self._waiting)
        structures = [entry.structure for entry in entries]
        for descriptor, setups in candidates:
            self._take(setups)
            batch = stack(structures, descriptor.species)
            features = descriptor.compute_features(batch)
            if self._deviation(features, stored)[0] <= TOLERANCE:
                if descriptor is not candidates[0][0]:
                    notes.append(self._describe_choice(descriptor))
                return descriptor
        self._take(candidates[0][1])
        return candidates[0][0]

    def _take(self, setups: Sequence[Setup]) -> None:
        self._setups = setups
        self._size_sf = [np.zeros(len(setup.kinds_f)) for setup in setups]

    def _describe_choice(self, descriptor: Descriptor) -> str:
        (part,) = descriptor.parts
        assert isinstance(part, Chebyshev)
        versions = "up to 2.0.3" if part.angular_s[0].legacy else "from 2.0.4 on"
        return (
            f"'{self.path}': the features are those of aenet {versions}: their angular "
            "argument is taken"
        )

    def check(self, features: Features, entries: Sequence[Entry]) -> None:
        """Check that features are those in the file.

        Raises
        ------
        FileFormatError
            If not.
        """
        stored = [self._waiting.popleft() for _ in entries]
        deviation, where = self._deviation(features, stored)
        if not deviation <= TOLERANCE:
            raise FileFormatError(
                f"'{self.path}': {where} differs from what annpot computes by "
                f"{deviation:.1e} of its size, {TOLERANCE:.0e} allowed; aenet misses "
                "neighbours in skewed cells, and species beyond the radial cutoff: "
                "'annpot generate' makes a sound set of the structure files"
            )
        self.largest = max(self.largest, deviation)

    def _deviation(
        self, features: Features, stored: Sequence[StoredStructure]
    ) -> tuple[float, str]:
        """Return the largest relative deviation, and which feature it is."""
        G_n = [G_f for structure in stored for G_f in structure.features]
        largest, where = 0.0, ""
        for s, (atoms, found_nf) in enumerate(
            zip(features.atoms_s, features.blocks(features.G_f), strict=True)
        ):
            if not len(atoms):
                continue
            expected_nf = self._unscale(np.array([G_n[n] for n in atoms]), s)
            size_nf = np.maximum(np.abs(expected_nf), np.abs(found_nf))
            self._size_sf[s] = np.maximum(self._size_sf[s], size_nf.max(axis=0))
            floor_n = np.maximum(SMALLEST * size_nf.max(axis=1), 1e-300)
            deviation_nf = np.abs(found_nf - expected_nf)
            deviation_nf /= np.maximum(self._size_sf[s], floor_n[:, None])
            worst = float(deviation_nf.max())
            if worst > largest:
                n, f = np.unravel_index(int(deviation_nf.argmax()), deviation_nf.shape)
                number = int(features.batch.structure_n[atoms[n]])
                atom = int(atoms[n] - features.batch.first_s[number])
                name, symbol = stored[number].name, self.header.species[s]
                largest = worst
                where = f"feature {f} of atom {atom} ({symbol}) of {name!a:.60}"
        return largest, where

    def _unscale(self, G_nf: Array, s: int) -> Array:
        if not self.header.normalized:
            return G_nf
        setup = self._setups[s]
        return G_nf * compute_deviation(setup) + setup.mean_f


def _distances(positions_nc: Array, structure: Structure) -> Array:
    """Return how far atoms are from where ``structure`` has them, periods aside.

    aenet wraps atoms into the cell. An isolated structure is in a box of its size, with
    another origin.
    """
    D_nc = positions_nc - structure.positions_nc
    cell_cc = structure.cell_cc
    if not structure.pbc_c.all():
        D_nc = D_nc - D_nc[0]
        extent_c = np.ptp(structure.positions_nc, axis=0)
        cell_cc = np.diag(extent_c + BOX)
    steps_nc = np.rint(D_nc @ np.linalg.inv(cell_cc))
    distance_n: Array = np.linalg.norm(D_nc - steps_nc @ cell_cc, axis=1)
    return distance_n
