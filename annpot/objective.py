"""The loss as a function of energies, forces and stresses, and its derivatives by them.

    loss = w_E mean_s (dE_s / N_s)^2 + w_F mean_sic dF_sic^2 + w_S mean_sv dstress_sv^2

with the means weighted by structure. It is a sum over structures, so parts of a set
can be worked on one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annpot.structures.structure import (
    VOIGT,
    Array,
    Batch,
    Integers,
    compute_volumes,
)


@dataclass(frozen=True)
class References:
    """What the structures of a batch are fitted to; NaN where it is not known."""

    E_s: Array
    """Total energies minus the reference energies of the species, eV."""
    F_nc: Array
    stress_sv: Array
    weight_s: Array


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss; energies per atom in eV, eV/A, eV/A^3."""

    energy: float
    force: float
    stress: float
    l2: float


@dataclass(frozen=True)
class Values:
    """What the networks give for a batch."""

    E_s: Array
    F_nc: Array
    stress_sv: Array | None


@dataclass(frozen=True)
class Targets:
    """References of a batch, and what it takes to compare values with them."""

    batch: Batch
    references: References
    volume_s: Array

    @classmethod
    def of(cls, batch: Batch, references: References) -> Targets:
        """Return the targets; only crystals have a stress."""
        volume_s = compute_volumes(batch)
        stress_sv = references.stress_sv + 0.0 * volume_s[:, None]
        return cls(batch, replace(references, stress_sv=stress_sv), volume_s)

    @property
    def weight_n(self) -> Array:
        """Weight of the structure of each atom."""
        return np.repeat(self.references.weight_s, self.batch.atoms_s)

    def part(self, first: int, last: int) -> Targets:
        """Return the targets of consecutive structures, as views."""
        known, rows = self.references, slice(first, last)
        atoms = slice(*self.batch.first_s[[first, last]])
        return Targets(
            self.batch.part(first, last),
            References(
                known.E_s[rows],
                known.F_nc[atoms],
                known.stress_sv[rows],
                known.weight_s[rows],
            ),
            self.volume_s[rows],
        )

    def take(self, structures: Integers) -> Targets:
        """Return the targets of some structures, as copies."""
        known, atoms = self.references, self.batch.atoms_of(structures)
        return Targets(
            self.batch.take(structures),
            References(
                known.E_s[structures],
                known.F_nc[atoms],
                known.stress_sv[structures],
                known.weight_s[structures],
            ),
            self.volume_s[structures],
        )


@dataclass(frozen=True)
class Slopes:
    """Derivatives of the loss of a batch."""

    loss: float
    Ebar_s: Array
    Fbar_nc: Array
    strain_scc: Array | None
    """By the virials; with them forces and virials have one and the same tangent."""


@dataclass(frozen=True)
class Objective:
    """The terms of the loss with their norms, which are those of the whole set."""

    weights: LossWeights
    n_structures: int
    energy_norm: float
    force_norm: float
    stress_norm: float
    with_forces: bool
    """Whether the loss depends on forces or stresses."""
    with_stress: bool

    @classmethod
    def of(cls, weights: LossWeights, targets: Targets) -> Objective:
        """Return the loss over the structures of ``targets``."""
        known = targets.references
        # without any reference a term is zero, whatever it is divided by
        with_stress = weights.stress > 0 and np.isfinite(known.stress_sv).any()
        with_forces = weights.force > 0 and np.isfinite(known.F_nc).any()
        return cls(
            weights,
            targets.batch.n_structures,
            energy_norm=float(known.weight_s @ _known(known.E_s)) or 1.0,
            force_norm=3 * float(targets.weight_n @ _known(known.F_nc)) or 1.0,
            stress_norm=6 * float(known.weight_s @ _known(known.stress_sv)) or 1.0,
            with_forces=bool(with_forces or with_stress),
            with_stress=bool(with_stress),
        )

    def compute_slopes(
        self,
        values: Values,
        targets: Targets,
        structures: Integers | None = None,
        share: float = 1.0,
    ) -> Slopes:
        """Return the loss, without the term of the weights, and its derivatives.

        With ``structures`` only their rows are looked at; others are zero.

        Parameters
        ----------
        share
            What the structures are of the whole set: the loss is divided by it.
        """
        weights, references = self.weights, targets.references
        batch = targets.batch
        rows_s: slice | Integers = slice(None)
        rows_n: slice | Integers = slice(None)
        if structures is not None:
            rows_s, rows_n = structures, batch.atoms_of(structures)
        atoms_s, weight_s = batch.atoms_s[rows_s], references.weight_s[rows_s]
        Ebar_s = np.zeros_like(values.E_s)
        loss, slope = _mean_square(
            values.E_s[rows_s] / atoms_s,
            references.E_s[rows_s] / atoms_s,
            weights.energy * weight_s / (share * self.energy_norm),
        )
        Ebar_s[rows_s] = slope / atoms_s
        Fbar_nc = np.zeros_like(values.F_nc)
        loss_F, Fbar_nc[rows_n] = _mean_square(
            values.F_nc[rows_n],
            references.F_nc[rows_n],
            weights.force * targets.weight_n[rows_n] / (share * self.force_norm),
        )
        if values.stress_sv is None:
            return Slopes(loss + loss_F, Ebar_s, Fbar_nc, None)
        loss_S, Sbar_sv = _mean_square(
            values.stress_sv[rows_s],
            references.stress_sv[rows_s],
            weights.stress * weight_s / (share * self.stress_norm),
        )
        strain_scc = np.zeros((batch.n_structures, 3, 3))
        strain_scc[rows_s] = _strain_rates(Sbar_sv, targets.volume_s[rows_s])
        return Slopes(loss + loss_F + loss_S, Ebar_s, Fbar_nc, strain_scc)


def _strain_rates(Sbar_sv: Array, volume_s: Array) -> Array:
    rate_scc = np.zeros((len(Sbar_sv), 3, 3))
    for v, (a, b) in enumerate(VOIGT):
        rate_scc[:, a, b] += Sbar_sv[:, v] / 2
        rate_scc[:, b, a] += Sbar_sv[:, v] / 2
    rate_scc /= np.where(np.isfinite(volume_s), volume_s, 1.0)[:, None, None]
    return rate_scc


def _known(reference: Array) -> NDArray[np.bool_]:
    """Return for which rows there is a reference."""
    known_in: NDArray[np.bool_] = np.isfinite(reference.reshape(len(reference), -1))
    return np.asarray(known_in.all(axis=1))


def _mean_square(
    value: Array, reference: Array, weight_i: Array
) -> tuple[float, Array]:
    """Return the weighted sum of squared deviations and its derivative.

    Rows whose reference is not finite do not count.
    """
    known_i = _known(reference)
    row_shape = (-1,) + (1,) * (value.ndim - 1)
    factor = np.where(known_i, weight_i, 0.0).reshape(row_shape)
    residual = np.where(known_i.reshape(row_shape), value - reference, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = 2.0 * factor * residual
        return float(0.5 * np.sum(slope * residual)), slope
