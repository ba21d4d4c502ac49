"""Chebyshev expansions of the radial and angular distribution functions.

The descriptor of Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017),
doi:10.1103/PhysRevB.96.014112, in the form that aenet 2.0.4 computes:

    radial   c_a = sum_j s_j fc(r_j; Rr) T_a(2 r_j / Rr - 1)
    angular  c_a = sum_{j<k} s_j s_k fc(r_j; Ra) fc(r_k; Ra) T_a(cos theta_jk)

once with s = 1 and, if there are several species, once more with a weight s for the
species of each neighbour: the size does not grow with the number of species. Features
are ordered as aenet's: radial and angular plain, then radial and angular weighted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from annpot.descriptors.base import Features, lay_out
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.kernels import moments
from annpot.kernels.environment import Neighbours, Recipe, make_workspace
from annpot.kernels.harmonics import recurrence_table
from annpot.kernels.threads import share
from annpot.pairs import plan_chunks
from annpot.structures.structure import Array, Batch, Integers

MAX_ORDER, MAX_CUTOFF = 100, 100.0
"""Limits of sense, so that a malformed file cannot ask for all memory."""


@dataclass(frozen=True)
class Expansion:
    """Order (-1: none) and cutoff in angstrom of the radial or the angular part."""

    order: int
    cutoff: float


def aenet_weights(n_species: int) -> list[float]:
    """Return aenet's weights: integers around 0, 0 itself only for odd numbers."""
    half = n_species // 2
    return [float(w) for w in range(-half, half + 1) if w != 0 or n_species % 2]


def legendre_matrix(order: int) -> Array:
    """Return ``M_al`` with ``T_a = sum_l M_al P_l``; shape=(order + 1, order + 1).

    From ``x P_l = [(l + 1) P_l+1 + l P_l-1] / (2 l + 1)`` in the recurrence of T_a; the
    way through powers of x would lose 5 digits at order 20.
    """
    M_al = np.zeros((order + 1, order + 2))
    M_al[0, 0] = 1.0
    l = np.arange(order + 1)  # noqa: E741
    for a in range(1, order + 1):
        shifted = np.zeros(order + 2)
        shifted[1:] += M_al[a - 1, :-1] * (l + 1) / (2 * l + 1)
        shifted[:-2] += M_al[a - 1, 1:-1] * l[1:] / (2 * l[1:] + 1)
        M_al[a] = shifted if a == 1 else 2 * shifted - M_al[a - 2]
    return np.ascontiguousarray(M_al[:, :-1])


@dataclass(frozen=True)
class Chebyshev:
    """The descriptor for given species; parameters per central species.

    Parameters
    ----------
    species
        Chemical symbols.
    radial_s, angular_s
        Order and cutoff of both parts for each central species.
    weights_st
        Weight of neighbour species ``t`` around central species ``s``.
    """

    species: tuple[str, ...]
    radial_s: tuple[Expansion, ...]
    angular_s: tuple[Expansion, ...]
    weights_st: tuple[tuple[float, ...], ...]

    @cached_property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom."""
        parts = [p for p in self.radial_s + self.angular_s if p.order >= 0]
        return tuple(sorted({part.cutoff for part in parts}))

    @property
    def n_channels(self) -> int:
        """Plain sums alone for one species, plain and weighted sums for several."""
        return 1 if len(self.species) == 1 else 2

    @cached_property
    def n_features_s(self) -> Integers:
        """Number of features of each central species."""
        return self.n_channels * np.array(
            [
                radial.order + angular.order + 2
                for radial, angular in zip(self.radial_s, self.angular_s, strict=True)
            ]
        )

    @cached_property
    def _recipe(self) -> Recipe:
        """The parameters as the kernel reads them."""
        radial, angular = self.radial_s, self.angular_s
        shell = {cutoff: k for k, cutoff in enumerate(self.cutoffs)}
        weights_st = np.array(self.weights_st)
        channels = [np.ones_like(weights_st), weights_st][: self.n_channels]
        l_max = max(0, *(part.order for part in angular))
        return Recipe(
            radial_order_s=np.array([part.order for part in radial]),
            radial_cutoff_s=np.array([part.cutoff for part in radial]),
            radial_shell_s=np.array([shell.get(part.cutoff, 0) for part in radial]),
            angular_order_s=np.array([part.order for part in angular]),
            angular_cutoff_s=np.array([part.cutoff for part in angular]),
            angular_shell_s=np.array([shell.get(part.cutoff, 0) for part in angular]),
            weights_sct=np.ascontiguousarray(np.stack(channels, axis=1)),
            legendre_al=legendre_matrix(l_max),
            harmonics=recurrence_table(l_max),
        )

    def labels(self, species: str) -> list[str]:
        """Return a short name of each feature of a central species, in order."""
        s = self.species.index(species)
        parts = (("radial", self.radial_s[s]), ("angular", self.angular_s[s]))
        return [
            f"{name} {a}{suffix}"
            for suffix in ("", " weighted")[: self.n_channels]
            for name, part in parts
            for a in range(part.order + 1)
        ]

    def compute_features(self, batch: Batch, neighbours: Neighbours) -> Features:
        """Return the features of all atoms."""
        atoms_s, feature_n = lay_out(batch, self.n_features_s)
        sizes_s = np.array([len(atoms) for atoms in atoms_s])
        recipe = self._recipe
        G_f = np.empty(int(sizes_s @ self.n_features_s))
        A_ncm = np.empty((batch.n_atoms, self.n_channels, len(recipe.harmonics) ** 2))
        chunk_ki = plan_chunks(batch)

        def work(chunks: Sequence[int]) -> None:
            moments.compute_features(
                chunk_ki[chunks],
                neighbours,
                recipe,
                feature_n,
                make_workspace(recipe),
                G_f,
                A_ncm,
            )

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        state = (chunk_ki, A_ncm, batch.structure_n)
        return Features(
            batch, neighbours, atoms_s, self.n_features_s, feature_n, G_f, state
        )

    def compute_forces(
        self,
        features: Features,
        dEdG_f: Array,
        *,
        virials: bool = False,
        structures: Integers | None = None,
    ) -> tuple[Array, Array | None]:
        """Return forces and, if wanted, the virials of the structures."""
        chunk_ki, A_ncm, structure_n = features.state
        n_atoms = features.batch.n_atoms
        if structures is not None:
            chunk_ki = _one_chunk_each(features.batch, structures)
        rows = chunk_ki[:, 3] - chunk_ki[:, 2]
        buffer = np.zeros((n_atoms if structures is not None else rows.sum(), 3))
        virial_ncc = np.zeros((n_atoms if virials else 0, 3, 3))

        def work(chunks: Sequence[int]) -> None:
            moments.add_forces(
                chunk_ki[chunks],
                features.neighbours,
                self._recipe,
                features.feature_n,
                make_workspace(self._recipe),
                A_ncm,
                dEdG_f,
                buffer,
                virial_ncc,
            )

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        F_nc = buffer
        if len(buffer) != n_atoms:
            F_nc = np.zeros((n_atoms, 3))
            for (_, _, low, high, row), size in zip(chunk_ki, rows, strict=True):
                F_nc[low:high] += buffer[row : row + size]
        if not virials:
            return F_nc, None
        virial_scc = np.zeros((features.batch.n_structures, 3, 3))
        np.add.at(virial_scc, structure_n, virial_ncc)
        return F_nc, virial_scc

    def compute_tangents(
        self,
        features: Features,
        V_nc: Array,
        strain_scc: Array | None = None,
        *,
        structures: Integers | None = None,
    ) -> Array:
        """Return ``sum dG_f/dR V + dG_f/dstrain strain``, laid out as the features."""
        chunk_ki, A_ncm, structure_n = features.state
        if structures is not None:
            chunk_ki = _one_chunk_each(features.batch, structures)
        Gdot_f = np.empty_like(features.G_f)
        if strain_scc is None:
            strain_scc = np.zeros((0, 3, 3))

        def work(chunks: Sequence[int]) -> None:
            moments.compute_tangents(
                chunk_ki[chunks],
                features.neighbours,
                self._recipe,
                features.feature_n,
                make_workspace(self._recipe),
                A_ncm,
                V_nc,
                structure_n,
                strain_scc,
                Gdot_f,
            )

        share(work, len(chunk_ki), _count_atoms(chunk_ki))
        return Gdot_f

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready dictionary, with its ``type``."""
        return {
            "type": "chebyshev",
            "central": {
                symbol: {
                    "radial": {"order": radial.order, "cutoff": radial.cutoff},
                    "angular": {"order": angular.order, "cutoff": angular.cutoff},
                    "weights": dict(zip(self.species, weights, strict=True)),
                }
                for symbol, radial, angular, weights in zip(
                    self.species,
                    self.radial_s,
                    self.angular_s,
                    self.weights_st,
                    strict=True,
                )
            },
        }

    @classmethod
    def from_dict(cls, recipe: Mapping[str, Any]) -> Chebyshev:
        """Return the descriptor that `to_dict` described.

        Raises
        ------
        FileFormatError
            If the recipe is malformed.
        """
        try:
            central = recipe["central"]
            species = tuple(central)
            if not species:
                raise ValueError("no species")
            descriptor = cls(
                species=species,
                radial_s=tuple(_expansion(central[s]["radial"]) for s in species),
                angular_s=tuple(_expansion(central[s]["angular"]) for s in species),
                weights_st=tuple(
                    tuple(float(central[s]["weights"][t]) for t in species)
                    for s in species
                ),
            )
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
        ) as error:
            raise FileFormatError(
                f"malformed Chebyshev descriptor: {error!r}"
            ) from None
        if not np.isfinite(descriptor.weights_st).all():
            raise FileFormatError("malformed Chebyshev descriptor: weight not finite")
        if not descriptor.cutoffs or not set(species) <= set(SYMBOLS[1:]):
            raise FileFormatError(
                "malformed Chebyshev descriptor: no part or no element"
            )
        return descriptor


def _expansion(part: Mapping[str, Any]) -> Expansion:
    order, cutoff = part["order"], float(part["cutoff"])
    if type(order) is not int or not -1 <= order <= MAX_ORDER:
        raise ValueError(f"order {order!r}, expected -1 to {MAX_ORDER}")
    if not 0.0 < cutoff <= MAX_CUTOFF:
        raise ValueError(f"cutoff {cutoff!r}, expected up to {MAX_CUTOFF} angstrom")
    return Expansion(order, cutoff)


def _one_chunk_each(batch: Batch, structures: Integers) -> Integers:
    """Return a chunk for each of some structures that adds to their own rows."""
    first, last = batch.first_s[structures], batch.first_s[structures + 1]
    return np.stack([first, last, first, last, first], axis=1)


def _count_atoms(chunk_ki: Integers) -> int:
    return int((chunk_ki[:, 1] - chunk_ki[:, 0]).sum())
