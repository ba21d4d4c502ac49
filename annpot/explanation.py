"""Which training atom is most like an atom that extrapolates.

The features of the training set stay in the file of the set and are read in blocks.
With x, y the features of two atoms minus the mean, and W the whitening,

    distance^2 = |(x - y) W|^2 = |x W|^2 + |y W|^2 - 2 (x W W^T) . y

so that training atoms need not be whitened, but for their lengths, which are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from annpot.descriptors import Features
from annpot.errors import FileFormatError
from annpot.extrapolation import Assessment, Nearest
from annpot.fingerprints import read_descriptor
from annpot.format import container, reading
from annpot.potential import Potential
from annpot.scaling import Scaling
from annpot.structures.structure import Array, Integers

BLOCK_BYTES = 32 * 2**20
"""Of features that are read at once, and of distances that are computed at once."""


@dataclass(frozen=True)
class _Rows:
    """The training atoms of one species among the rows of the features of a set."""

    dataset: h5py.Dataset
    whitening: Scaling
    first_s: Integers
    """First row of each structure, and the number of rows."""
    chosen_s: Integers
    """Structures that the potential was trained on: 1, others: 0."""

    def blocks(self) -> Iterator[tuple[Integers, Array]]:
        """Yield numbers and centred features of the training atoms, block by block."""
        n_rows, n_features = self.dataset.shape
        step = max(1, BLOCK_BYTES // (8 * n_features))
        for start in range(0, n_rows, step):
            G_nf = reading.read_rows(self.dataset, start, min(start + step, n_rows))
            rows = np.arange(start, start + len(G_nf))
            chosen = self.chosen_s[self.structure_of(rows)] > 0
            yield rows[chosen], G_nf[chosen] - self.whitening.shift_f

    def structure_of(self, rows: Integers) -> Integers:
        """Return the structures that hold some rows."""
        return np.searchsorted(self.first_s, rows, "right") - 1

    def measure(self) -> Array:
        """Return the squared length of each whitened training atom, as blocks come."""
        lengths = [np.zeros(0)]
        for _, D_nf in self.blocks():
            lengths.append(np.sum((D_nf @ self.whitening.matrix_ff) ** 2, axis=1))
        return np.concatenate(lengths)

    def find_nearest(self, G_nf: Array, lengths_n: Array) -> tuple[Integers, Array]:
        """Return the row nearest to each atom (-1: there is none), and the distance.

        Of several that are as near, the first.
        """
        X_nf = self.whitening.apply(G_nf)
        search = _Search(X_nf @ self.whitening.matrix_ff.T)
        first = 0
        for rows, D_nf in self.blocks():
            last = first + len(rows)
            if len(rows):
                search.improve(rows, D_nf, lengths_n[first:last])
            first = last
        # again, without the cancellation of the formula above
        Y_nf = search.D_nf @ self.whitening.matrix_ff
        return search.row_n, np.linalg.norm(X_nf - Y_nf, axis=1)


class _Search:
    """The best so far for some atoms."""

    def __init__(self, Z_nf: Array) -> None:
        self.Z_nf, self.D_nf = Z_nf, np.zeros_like(Z_nf)
        self.row_n = np.full(len(Z_nf), -1)
        self._square_n = np.full(len(Z_nf), np.inf)

    def improve(self, rows: Integers, D_nf: Array, lengths_n: Array) -> None:
        """Compare with a block of training atoms."""
        step = max(1, BLOCK_BYTES // (8 * len(rows)))
        for start in range(0, len(self.Z_nf), step):
            square_nm = lengths_n - 2.0 * (self.Z_nf[start : start + step] @ D_nf.T)
            nearest_n = square_nm.argmin(axis=1)
            square_n = square_nm[np.arange(len(nearest_n)), nearest_n]
            better = np.flatnonzero(square_n < self._square_n[start : start + step])
            nearest = nearest_n[better]
            self._square_n[start + better] = square_n[better]
            self.row_n[start + better] = rows[nearest]
            self.D_nf[start + better] = D_nf[nearest]


class Explainer:
    """Finds the training atoms most like others; see `open_explainer`."""

    def __init__(self, file: h5py.File, guard: Potential) -> None:
        self._file = file
        structures = reading.read_group(file, container.STRUCTURES)
        self._files = reading.read_strings(structures, container.FILES)
        n_structures = (len(self._files),)
        self._frame_s, atoms_s = (
            reading.read_array(structures, name, n_structures, np.int64)
            for name in (container.INDEX, container.N_ATOMS)
        )
        if atoms_s.min(initial=1) < 1:
            raise FileFormatError(f"'{file.filename}': a structure without atoms")
        self._first_s = np.concatenate([[0], np.cumsum(atoms_s)])
        self._species = reading.read_dataset(
            structures, container.SPECIES_INDEX, (self._first_s[-1],), np.int64
        )
        provenance = _find_provenance(guard)
        chosen_s = _find_training(provenance, len(self._files), file.filename)
        first_st = self._count(len(guard.species))
        whitenings = guard.whitenings
        assert whitenings is not None
        features = reading.read_group(file, container.FEATURES)
        sizes = guard.descriptor.n_features
        self._rows_s = [
            _Rows(
                reading.read_dataset(
                    features, symbol, (first_st[-1, s], sizes[symbol])
                ),
                whitening,
                first_st[:, s],
                chosen_s,
            )
            for s, (symbol, whitening) in enumerate(
                zip(guard.species, whitenings, strict=True)
            )
        ]
        self._lengths: dict[int, Array] = {}

    def explain(self, assessment: Assessment, features: Features) -> Assessment:
        """Return the assessment with the training atom nearest to each that it flags.

        The set is read once for each batch with such atoms.
        """
        nearest: dict[int, Nearest] = {}
        blocks = features.blocks(features.G_f)
        for s, (atoms, G_nf) in enumerate(zip(features.atoms_s, blocks, strict=True)):
            flagged = assessment.level_n[atoms] > 0
            if not flagged.any():
                continue
            rows = self._rows_s[s]
            if s not in self._lengths:
                self._lengths[s] = rows.measure()
            row_n, distance_n = rows.find_nearest(G_nf[flagged], self._lengths[s])
            nearest |= self._name(s, atoms[flagged], row_n, distance_n)
        return replace(assessment, nearest=nearest)

    def _name(
        self, s: int, atoms: Integers, row_n: Integers, distance_n: Array
    ) -> dict[int, Nearest]:
        found, rows = {}, self._rows_s[s]
        structure_n = rows.structure_of(row_n)
        for structure in np.unique(structure_n[row_n >= 0]):
            first, last = self._first_s[structure : structure + 2]
            species_n = reading.read_rows(self._species, first, last)
            numbers = np.flatnonzero(species_n == s)
            for k in np.flatnonzero(structure_n == structure):
                found[int(atoms[k])] = Nearest(
                    file=self._files[structure],
                    frame=int(self._frame_s[structure]),
                    atom=int(numbers[row_n[k] - rows.first_s[structure]]),
                    distance=float(distance_n[k]),
                )
        return found

    def _count(self, n_species: int) -> Integers:
        """Return the first row of each structure for each species, and the ends."""
        where = f"'{self._file.filename}', {self._species.name}"
        counts_st = np.zeros((len(self._files) + 1, n_species), dtype=np.int64)
        step = BLOCK_BYTES // 8
        for start in range(0, int(self._first_s[-1]), step):
            stop = min(start + step, int(self._first_s[-1]))
            species_n = reading.read_rows(self._species, start, stop)
            if species_n.min() < 0 or species_n.max() >= n_species:
                raise FileFormatError(f"{where}: an index that is not of a species")
            atoms = np.arange(start, stop)
            structure_n = np.searchsorted(self._first_s, atoms, "right")
            np.add.at(counts_st, (structure_n, species_n), 1)
        return np.cumsum(counts_st, axis=0)


def _find_training(
    provenance: Mapping[str, Any], n_structures: int, name: str
) -> Integers:
    """Return 1 for each structure of the set that was trained on, 0 for others."""
    parts = provenance.get("split", {})
    chosen_s = np.ones(n_structures, dtype=np.int64)
    for part in ("validation", "test"):
        numbers = parts.get(part, []) if isinstance(parts, dict) else []
        if not isinstance(numbers, list) or not all(
            type(s) is int and 0 <= s < n_structures for s in numbers
        ):
            raise FileFormatError(
                f"'{name}' holds {n_structures} structures, which does not fit the "
                "split in the potential"
            )
        chosen_s[numbers] = 0
    return chosen_s


@contextmanager
def open_explainer(
    guard: Potential, potential: Path, training_set: Path | None = None
) -> Iterator[Explainer]:
    """Open the set that a potential was trained on.

    Parameters
    ----------
    guard
        The potential, or the member of a committee that assesses.
    potential
        Its file: the set is looked for beside it.
    training_set
        Where the set is, if it is not there.

    Raises
    ------
    FileFormatError
        If the potential does not know its set, or the set is missing or another one.
    """
    name, sha256 = _find_origin(guard, potential)
    path = training_set or potential.parent / name
    if not path.exists():
        raise FileFormatError(
            f"'{path}', the set that '{potential}' was trained on, is not there: "
            "please name the set with --training-set"
        )
    with reading.open_checked(path, container.FINGERPRINTS) as file:
        found = reading.read_attribute(file, container.SHA256, str)
        if found != sha256:
            raise FileFormatError(
                f"'{path}' is not the set that '{potential}' was trained on: sha256 "
                f"{sha256[:12]}... expected, found {found[:12]}...: please name the "
                "right one with --training-set"
            )
        if read_descriptor(file).recipe != guard.descriptor.recipe:
            raise FileFormatError(f"'{path}': another descriptor than in '{potential}'")
        yield Explainer(file, guard)


def _find_provenance(guard: Potential) -> Mapping[str, Any]:
    """Return where a potential comes from; of an average, if its members share that."""
    members = guard.provenance.get("average_of")
    if not (isinstance(members, list) and members and isinstance(members[0], dict)):
        return guard.provenance
    first: dict[str, Any] = members[0]
    same = all(
        isinstance(other, dict)
        and all(other.get(key) == first.get(key) for key in ("set", "split"))
        for other in members
    )
    return first if same else guard.provenance


def _find_origin(guard: Potential, potential: Path) -> tuple[str, str]:
    """Return name and digest of the set that a potential was trained on."""
    origin = _find_provenance(guard).get("set")
    values = origin if isinstance(origin, dict) else {}
    name, sha256 = values.get("file"), values.get("sha256")
    whitened = guard.whitenings is not None
    if not (whitened and isinstance(name, str) and isinstance(sha256, str)):
        raise FileFormatError(
            f"'{potential}' does not say what it was trained on, as those of other "
            "programs: the nearest training structures cannot be found"
        )
    return Path(name).name or "fingerprints.h5", sha256
