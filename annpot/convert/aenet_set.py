"""Training sets of aenet <-> fingerprint sets.

A training set of aenet holds features, energies and positions, but no cells: they come
from the structure files that it names. What annpot computes of these has to agree with
the features in the file.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from annpot.convert.aenet_bases import read_part
from annpot.convert.aenet_networks import Setup
from annpot.convert.aenet_set_files import (
    Header,
    StoredStructure,
    is_binary_set,
    is_text_set,
    open_set,
)
from annpot.descriptors import Chebyshev, Descriptor, Features
from annpot.errors import FileFormatError
from annpot.fingerprints import Entry, create_set
from annpot.generation import Tally, add_batch, iterate_batches
from annpot.pairs import find_pairs
from annpot.structures.reading import Source, read_structures, require_references
from annpot.structures.structure import Array, Structure, stack

__all__ = ["is_binary_set", "is_text_set", "read_training_set"]

TOLERANCE = 1e-9
"""Largest deviation of features from those in the file, relative to their size."""
SMALLEST = 1e-3
"""Features are at least as large, relative to the largest of their atom: smaller ones
may be what is left of large terms."""
SAME_POSITION, SAME_ENERGY, SAME_FORCE = 1e-4, 1e-6, 1e-4
"""Deviations, angstrom, eV/atom and eV/angstrom, of structures that are the same."""
BOX = 2e-6
"""What aenet adds to the extent of an isolated structure, angstrom."""
LEAST_DEVIATION = 1e-10
"""Features that deviate less are constant for aenet, scaled: 0."""
BATCH_ATOMS = 2000
MAX_LISTED = 3


def read_training_set(
    path: Path,
    output: Path,
    *,
    structures: Path | None = None,
    legacy: bool = False,
    notes: list[str],
) -> None:
    """Write the fingerprint set of a .train file, with reference energies of aenet.

    Parameters
    ----------
    structures
        Folder with the structure files that the set names; by default they are where
        their names say, relative to the folder of the set.
    legacy
        Whether the argument of angular polynomials is that of aenet up to 2.0.3. If the
        features in the file are of the other kind, that is taken, and noted.
    notes
        Takes what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If the set is damaged, structure files are missing or other than when the set
        was made, or annpot's features differ from those in the file.
    StructureError
        If a structure file is wrong.
    """
    with open_set(path) as reader:
        header = reader.header
        names = [stored.name for stored in reader.structures()]
        setups = reader.read_setups()
    if setups is None:
        raise FileFormatError(
            f"'{path}' does not say how its features are made, as text never does: "
            "please give the binary .train file that generate.x wrote"
        )
    files = _find_files(path, names, structures)
    descriptors = _make_descriptors(path, setups, legacy)
    comparison = _Comparison(path, header, setups)
    tally = Tally(header.species, header.reference_energies.tolist())
    with open_set(path) as reader:
        pairs = zip(reader.structures(), files, strict=True)
        entries = (comparison.entry(stored, file, tally) for stored, file in pairs)
        batches = iterate_batches(entries, BATCH_ATOMS)
        first = next(batches)
        descriptor = comparison.choose(first, descriptors, notes)
        settings = json.dumps({"converted from": str(path)})
        with create_set(output, descriptor, settings) as writer:
            for batch in chain([first], batches):
                comparison.check(add_batch(batch, descriptor, writer, tally), batch)
            tally.finish(writer)
    notes.append(
        f"{len(names)} structures, {comparison.n_atoms} atoms: features differ from "
        f"those in '{path}' by up to {comparison.largest:.1e} of their size"
    )


def _make_descriptors(
    path: Path, setups: Sequence[Setup], legacy: bool
) -> list[Descriptor]:
    """Return the descriptor, and that with the other angular argument if it differs."""
    kinds = [legacy, not legacy] if setups[0].is_chebyshev else [False]
    try:
        return [Descriptor((read_part(setups, kind),)) for kind in kinds]
    except ValueError as error:
        raise FileFormatError(f"'{path}', set-ups: {error}") from None


def _find_files(path: Path, names: Sequence[str], folder: Path | None) -> list[Path]:
    """Return the structure files that a set names.

    Raises
    ------
    FileFormatError
        If some are not found.
    """
    found = [_find_file(path.parent, name, folder) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        listed = ", ".join(f"{name!a:.60}" for name in missing[:MAX_LISTED])
        more = ", ..." if len(missing) > MAX_LISTED else ""
        searched = "" if folder is None else f", nor in '{folder}'"
        raise FileFormatError(
            f"'{path}' holds no cells, and of the {len(names)} structure files that it "
            f"names, {len(missing)} are not where it says{searched}: {listed}{more}: "
            "please give --structures with the folder that has them"
        )
    return [file for file in found if file is not None]


def _find_file(base: Path, name: str, folder: Path | None) -> Path | None:
    """Return the file of that name; in ``folder`` with as much of its path as is there.

    Not by ``Path.is_file``, which does not bear all that a name may be.
    """
    relative = os.fsdecode(name.encode("latin-1"))
    parts = [part for part in PurePosixPath(relative).parts if part not in ("/", "..")]
    candidates = [base / relative]
    if folder is not None:
        inside = [folder.joinpath(*parts[i:]) for i in range(len(parts))]
        candidates = inside + candidates
    return next((file for file in candidates if os.path.isfile(file)), None)


class _Comparison:
    """Compares the structures and features of a set with what annpot makes of them."""

    def __init__(self, path: Path, header: Header, setups: Sequence[Setup]) -> None:
        self.path, self.header, self._setups = path, header, setups
        self.largest = 0.0
        """Largest deviation of a feature, relative to its size."""
        self.n_atoms, self._n_structures = 0, 0
        self._waiting: deque[StoredStructure] = deque()
        """Structures whose features have not been compared yet."""
        self._size_sf = [np.zeros(len(setup.kinds_f)) for setup in setups]

    def entry(self, stored: StoredStructure, file: Path, tally: Tally) -> Entry:
        """Return a structure with its cell from ``file``, if it is the same there."""
        structure = next(read_structures(file, index="0"))
        self._n_structures += 1
        require_references(structure)
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
        return tally.entry(structure, Source((str(file),)))

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
        descriptors: Sequence[Descriptor],
        notes: list[str],
    ) -> Descriptor:
        """Return the descriptor whose features are those of the first structures."""
        stored = list(self._waiting)
        for descriptor in descriptors:
            batch = stack([entry.structure for entry in entries], descriptor.species)
            pairs = find_pairs(batch, descriptor.cutoffs)
            features = descriptor.compute_features(batch, pairs)
            if self._deviation(features, stored)[0] <= TOLERANCE:
                if descriptor is not descriptors[0]:
                    notes.append(self._describe_choice(descriptor))
                return descriptor
        return descriptors[0]

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
        mean_f = setup.mean_f
        deviation_f = np.sqrt(np.maximum(setup.mean_square_f - mean_f**2, 0.0))
        deviation_f[deviation_f <= LEAST_DEVIATION] = 0.0
        return G_nf * deviation_f + mean_f


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
