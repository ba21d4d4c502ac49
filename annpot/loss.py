"""The loss over a set of structures, and its exact gradient in every weight.

    loss = w_E mean_s (dE_s / N_s)^2 + w_F mean_sic dF_sic^2 + w_S mean_sv dstress_sv^2
           + l2 |weights|^2

with the means weighted by structure. Energies and feature gradients come from the
networks, forces from one pass over the neighbours, and the derivatives of the loss by
the feature gradients from one more: no derivative of a feature is ever stored
(Smith, Lubbers, Thompson, Barros, arXiv:2006.05475).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annpot.descriptors import Descriptor, Features
from annpot.kernels.threads import share
from annpot.networks import Network, Trace
from annpot.scaling import Scaling
from annpot.structures.structure import (
    VOIGT,
    Array,
    Integers,
    compute_volumes,
    voigt_stress,
)

ROWS = 1024
"""Atoms per matrix product: their values stay in the processor's cache."""


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


class Loss:
    """Loss and gradient for one set of structures as functions of the weights.

    The weights of all networks form one vector. Energies are ``scale`` times the
    output of the networks, whose inputs are the scaled features.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        features: Features,
        references: References,
        scalings: Sequence[Scaling],
        networks: Sequence[Network],
        scale: float,
        weights: LossWeights,
    ) -> None:
        self.descriptor, self.features = descriptor, features
        self.scalings, self.scale, self.weights = scalings, scale, weights
        self.networks, self.batch = networks, features.batch
        batch, blocks = features.batch, features.blocks(features.G_f)
        self.X_s = [a.apply(G_nf) for a, G_nf in zip(scalings, blocks, strict=True)]
        self.row_n = np.empty(batch.n_atoms, dtype=np.int64)
        for atoms in self.features.atoms_s:
            self.row_n[atoms] = np.arange(len(atoms))
        self.atoms_s, self.volume_s = batch.atoms_s, compute_volumes(batch)
        stress_sv = references.stress_sv + 0.0 * self.volume_s[:, None]
        self.references = references = replace(references, stress_sv=stress_sv)
        self.weight_n = np.repeat(references.weight_s, self.atoms_s)
        weight_s = references.weight_s
        # without any reference a term is zero, whatever it is divided by
        self.norm_E = float(weight_s @ _known(references.E_s)) or 1.0
        self.norm_F = 3 * float(self.weight_n @ _known(references.F_nc)) or 1.0
        self.norm_S = 6 * float(weight_s @ _known(references.stress_sv)) or 1.0
        with_stress = weights.stress > 0 and np.isfinite(references.stress_sv).any()
        self.with_stress = bool(with_stress)
        with_forces = weights.force > 0 and np.isfinite(references.F_nc).any()
        self.energies_only = not (with_forces or with_stress)

    def split(self, weights_w: Array) -> list[Network]:
        """Return the networks with the weights in one vector."""
        sizes = np.cumsum([network.n_weights for network in self.networks])
        return [
            network.with_weights(part)
            for network, part in zip(
                self.networks, np.split(weights_w, sizes[:-1]), strict=True
            )
        ]

    def compute_values(self, weights_w: Array) -> Values:
        """Return energies, forces and, if fitted, stresses of all structures."""
        tasks = self._tasks(None)
        values, _, _ = self._forward(self.split(weights_w), tasks, None, True)
        return values

    def compute_loss(self, values: Values) -> float:
        """Return the loss, without the term of the weights, of given values."""
        return self._residuals(values, None)[0]

    def compute(
        self, weights_w: Array, structures: Integers | None = None
    ) -> tuple[float, Array, Values]:
        """Return the loss, its gradient and the values; with ``structures``, a share.

        A share is scaled such that the mean over shares of equal size is the loss.
        Forces are not computed if nothing but energies is fitted.
        """
        networks, tasks = self.split(weights_w), self._tasks(structures)
        values, traces, folded_s = self._forward(
            networks, tasks, structures, not self.energies_only
        )
        loss, Ebar_s, Fbar_nc, strain_scc = self._residuals(values, structures)
        q_f = np.zeros_like(self.features.G_f)
        if not self.energies_only:
            q_f = self.descriptor.compute_tangents(
                self.features, -Fbar_nc, strain_scc, structures=structures
            )
        q_s, Ebar_n = self.features.blocks(q_f), np.repeat(Ebar_s, self.atoms_s)
        parts: list[tuple[Array, Array]] = [(q_f, q_f)] * len(tasks)

        def backward(chunk: Sequence[int]) -> None:
            for i in chunk:
                (s, rows, atoms), trace = tasks[i], traces[i]
                q_nf = q_s[s][rows]
                gradient_w = networks[s].weight_gradient(
                    trace, self.scale * Ebar_n[atoms], q_nf @ folded_s[s].T
                )
                parts[i] = gradient_w, trace.deltas[0].T @ q_nf

        share(backward, len(tasks), sum(len(atoms) for _, _, atoms in tasks))
        gradient_w = 2 * self.weights.l2 * weights_w
        networks_gradient = self.split(gradient_w)
        firsts = np.cumsum([0, *(network.n_weights for network in networks)])
        for (s, _, _), (part_w, outer) in zip(tasks, parts, strict=True):
            gradient_w[firsts[s] : firsts[s + 1]] += part_w
            networks_gradient[s].weights[0][:] += (
                self.scale * outer @ self.scalings[s].matrix_ff
            )
        loss += self.weights.l2 * float(weights_w @ weights_w)
        return loss, gradient_w, values

    def _tasks(
        self, structures: Integers | None
    ) -> list[tuple[int, slice | Integers, Integers]]:
        """Return species, rows and atoms of the matrix products."""
        tasks: list[tuple[int, slice | Integers, Integers]] = []
        if structures is None:
            for s, atoms in enumerate(self.features.atoms_s):
                for first in range(0, len(atoms), ROWS):
                    rows = slice(first, first + ROWS)
                    tasks.append((s, rows, atoms[rows]))
            return tasks
        chosen_n = self._atoms_of(structures)
        for s in range(len(self.batch.species)):
            atoms = chosen_n[self.batch.species_n[chosen_n] == s]
            if len(atoms):
                tasks.append((s, self.row_n[atoms], atoms))
        return tasks

    def _forward(
        self,
        networks: Sequence[Network],
        tasks: Sequence[tuple[int, slice | Integers, Integers]],
        structures: Integers | None,
        forces: bool,
    ) -> tuple[Values, list[Trace], list[Array]]:
        """Return the values, the passes through the networks and ``dZ_1/dG``."""
        features, scale = self.features, self.scale
        folded_s = [
            scale * network.weights[0] @ scaling.matrix_ff.T
            for network, scaling in zip(networks, self.scalings, strict=True)
        ]
        E_n, dEdG_f = np.zeros(self.batch.n_atoms), np.zeros_like(features.G_f)
        dEdG_s = features.blocks(dEdG_f)
        traces: dict[int, Trace] = {}

        def forward(chunk: Sequence[int]) -> None:
            for i in chunk:
                s, rows, atoms = tasks[i]
                traces[i] = networks[s].forward(self.X_s[s][rows])
                E_n[atoms] = scale * traces[i].E_n
                dEdG_s[s][rows] = traces[i].deltas[0] @ folded_s[s]

        share(forward, len(tasks), sum(len(atoms) for _, _, atoms in tasks))
        F_nc, stress_sv = np.zeros((self.batch.n_atoms, 3)), None
        if forces:
            F_nc, virial_scc = self.descriptor.compute_forces(
                features, dEdG_f, virials=self.with_stress, structures=structures
            )
            if virial_scc is not None:
                stress_sv = voigt_stress(virial_scc, self.volume_s)
        E_s = np.add.reduceat(E_n, self.batch.first_s[:-1])
        values = Values(E_s, F_nc, stress_sv)
        return values, [traces[i] for i in range(len(tasks))], folded_s

    def _residuals(
        self, values: Values, structures: Integers | None
    ) -> tuple[float, Array, Array, Array | None]:
        """Return the loss and its derivatives by energies, forces and strain rates.

        Only the rows of the chosen structures are looked at; others are zero.
        """
        weights, references = self.weights, self.references
        rows_s: slice | Integers = slice(None)
        rows_n: slice | Integers = slice(None)
        part = 1.0
        if structures is not None:
            rows_s, rows_n = structures, self._atoms_of(structures)
            part = self.batch.n_structures / len(structures)

        atoms_s, weight_s = self.atoms_s[rows_s], references.weight_s[rows_s]
        Ebar_s = np.zeros_like(values.E_s)
        loss, slope = _mean_square(
            values.E_s[rows_s] / atoms_s,
            references.E_s[rows_s] / atoms_s,
            part * weights.energy * weight_s / self.norm_E,
        )
        Ebar_s[rows_s] = slope / atoms_s
        Fbar_nc = np.zeros_like(values.F_nc)
        loss_F, Fbar_nc[rows_n] = _mean_square(
            values.F_nc[rows_n],
            references.F_nc[rows_n],
            part * weights.force * self.weight_n[rows_n] / self.norm_F,
        )
        if values.stress_sv is None:
            return loss + loss_F, Ebar_s, Fbar_nc, None
        loss_S, Sbar_sv = _mean_square(
            values.stress_sv[rows_s],
            references.stress_sv[rows_s],
            part * weights.stress * weight_s / self.norm_S,
        )
        rate_scc = np.zeros((len(Sbar_sv), 3, 3))
        for v, (a, b) in enumerate(VOIGT):
            rate_scc[:, a, b] += Sbar_sv[:, v] / 2
            rate_scc[:, b, a] += Sbar_sv[:, v] / 2
        volume_s = self.volume_s[rows_s]
        rate_scc /= np.where(np.isfinite(volume_s), volume_s, 1.0)[:, None, None]
        strain_scc = np.zeros((self.batch.n_structures, 3, 3))
        strain_scc[rows_s] = rate_scc
        return loss + loss_F + loss_S, Ebar_s, Fbar_nc, strain_scc

    def _atoms_of(self, structures: Integers) -> Integers:
        first_s = self.batch.first_s
        return np.concatenate(
            [np.arange(first_s[i], first_s[i + 1]) for i in structures]
        )


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
