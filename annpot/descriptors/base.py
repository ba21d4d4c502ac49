"""What all descriptors have in common: their interface, and the layout of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from annpot.kernels.environment import Neighbours
from annpot.structures.structure import Array, Batch, Integers


@dataclass(frozen=True)
class Features:
    """The features of all atoms of a batch, and what their derivatives need.

    Features lie in one flat array: those of all atoms of the first species, then of the
    second. ``blocks(G_f)`` gives the matrix of each species as a view.
    """

    batch: Batch
    neighbours: Neighbours
    atoms_s: list[Integers]
    """Atoms of each species, in the order of the rows of its matrix."""
    n_features_s: Integers
    feature_n: Integers
    """First feature of each atom in the flat array."""
    G_f: Array
    state: Any
    """What the descriptor keeps for derivatives (of the size of the features)."""

    def blocks(self, G_f: Array) -> list[Array]:
        """Return the matrices ``G_nf`` of each species in the flat array ``G_f``."""
        sizes_s = [len(atoms) for atoms in self.atoms_s]
        ends_s = np.cumsum(sizes_s * self.n_features_s)
        return [
            block.reshape(size, -1) if size else block.reshape(0, n_features)
            for block, size, n_features in zip(
                np.split(G_f, ends_s[:-1]), sizes_s, self.n_features_s, strict=True
            )
        ]


def lay_out(batch: Batch, n_features_s: Integers) -> tuple[list[Integers], Integers]:
    """Return the atoms of each species and the first feature of each atom."""
    atoms_s = [np.flatnonzero(batch.species_n == s) for s in range(len(batch.species))]
    feature_n = np.zeros(batch.n_atoms, dtype=np.int64)
    first = 0
    for atoms, n_features in zip(atoms_s, n_features_s, strict=True):
        feature_n[atoms] = first + n_features * np.arange(len(atoms))
        first += n_features * len(atoms)
    return atoms_s, feature_n


class Descriptor(Protocol):
    """A recipe that turns the environment of each atom into features.

    All operations work on batches and cost O(neighbours); none stores derivatives.
    """

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species that the descriptor knows."""

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom: the shells of the pair list."""

    @property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""

    def labels(self, species: str) -> list[str]:
        """Return a short name of each feature of a central species, in order."""

    def compute_features(self, batch: Batch, neighbours: Neighbours) -> Features:
        """Return the features of all atoms."""

    def compute_forces(
        self,
        features: Features,
        dEdG_f: Array,
        *,
        virials: bool = False,
        structures: Integers | None = None,
    ) -> tuple[Array, Array | None]:
        """Return forces and, if wanted, the virials of the structures.

        Parameters
        ----------
        dEdG_f
            Derivative of the energy by each feature, laid out as ``features.G_f``.
        structures
            Only these structures of the batch; rows of others are zero.

        Returns
        -------
        F_nc, virial_scc
            ``F = -sum_f dE/dG_f dG_f/dR`` and ``virial = -dE/dstrain``.
        """

    def compute_tangents(
        self,
        features: Features,
        V_nc: Array,
        strain_scc: Array | None = None,
        *,
        structures: Integers | None = None,
    ) -> Array:
        """Return ``sum dG_f/dR V + dG_f/dstrain strain``, laid out as the features.

        With ``structures``, values of atoms in other structures are undefined.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""
