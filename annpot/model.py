"""The networks of all species as one function of all their weights, with its gradient.

Energies and feature gradients come from the networks, forces from one pass over the
neighbours, and the derivatives of the loss by the feature gradients from one more: no
derivative of a feature is ever stored (Smith, Lubbers, Thompson, Barros,
arXiv:2006.05475).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.kernels.threads import share
from annpot.networks import Network, Trace
from annpot.objective import Slopes, Values
from annpot.scaling import Scaling
from annpot.structures.structure import (
    Array,
    Integers,
    compute_volumes,
    voigt_stress,
)

ROWS = 1024
"""Atoms per matrix product: their values stay in the processor's cache."""

Rows = tuple[int, slice | Integers, Integers]
"""Species, rows of its matrix, and the atoms that these are."""


@dataclass(frozen=True)
class Weighted:
    """The networks with given weights."""

    networks: list[Network]
    folded_s: list[Array]
    """``dZ_1/dG`` of the first layers."""


@dataclass(frozen=True)
class Forward:
    """A pass through the networks and over the neighbours, and what it leaves."""

    weighted: Weighted
    inputs: Features
    structures: Integers | None
    tasks: list[Rows]
    traces: list[Trace]
    values: Values


@dataclass(frozen=True)
class Model:
    """What is trained: energies are ``scale`` times the outputs of the networks.

    The inputs of the networks are the scaled features.
    """

    descriptor: Descriptor
    networks: Sequence[Network]
    """Their weights are those before the training."""
    scalings: Sequence[Scaling]
    scale: float

    def flatten(self) -> Array:
        """Return the weights of all networks in one vector."""
        return np.concatenate([network.flatten() for network in self.networks])

    def restart(self, rng: np.random.Generator) -> Model:
        """Return the model with other random weights before the training."""
        networks = [network.restart(rng) for network in self.networks]
        return replace(self, networks=networks)

    def split(self, weights_w: Array) -> list[Network]:
        """Return the networks with the weights in one vector."""
        sizes = np.cumsum([network.n_weights for network in self.networks])
        return [
            network.with_weights(part)
            for network, part in zip(
                self.networks, np.split(weights_w, sizes[:-1]), strict=True
            )
        ]

    def scale_features(self, features: Features) -> Features:
        """Return the inputs of the networks: scaled in place of raw features."""
        X_f = np.empty_like(features.G_f)
        for scaling, G_nf, X_nf in zip(
            self.scalings,
            features.blocks(features.G_f),
            features.blocks(X_f),
            strict=True,
        ):
            X_nf[:] = scaling.apply(G_nf)
        return replace(features, G_f=X_f)

    def weigh(self, weights_w: Array) -> Weighted:
        """Return the networks with the weights in one vector."""
        networks = self.split(weights_w)
        folded_s = [
            self.scale * network.weights[0] @ scaling.matrix_ff.T
            for network, scaling in zip(networks, self.scalings, strict=True)
        ]
        return Weighted(networks, folded_s)

    def forward(
        self,
        weighted: Weighted,
        inputs: Features,
        *,
        forces: bool,
        virials: bool,
        structures: Integers | None = None,
    ) -> Forward:
        """Return energies, forces and stresses, as far as wanted, and how they arose.

        With ``structures``, values of other structures are zero.
        """
        tasks, batch = _tasks(inputs, structures), inputs.batch
        E_n, dEdG_f = np.zeros(batch.n_atoms), np.empty_like(inputs.G_f)
        X_s, dEdG_s = inputs.blocks(inputs.G_f), inputs.blocks(dEdG_f)
        traces: dict[int, Trace] = {}

        def work(chunk: Sequence[int]) -> None:
            for i in chunk:
                s, rows, atoms = tasks[i]
                traces[i] = weighted.networks[s].forward(X_s[s][rows])
                E_n[atoms] = self.scale * traces[i].E_n
                dEdG_s[s][rows] = traces[i].deltas[0] @ weighted.folded_s[s]

        share(work, len(tasks), sum(len(atoms) for _, _, atoms in tasks))
        F_nc, stress_sv = np.zeros((batch.n_atoms, 3)), None
        if forces or virials:
            F_nc, virial_scc = self.descriptor.compute_forces(
                inputs, dEdG_f, virials=virials, structures=structures
            )
            if virial_scc is not None:
                stress_sv = voigt_stress(virial_scc, compute_volumes(batch))
        E_s = np.add.reduceat(E_n, batch.first_s[:-1])
        ordered = [traces[i] for i in range(len(tasks))]
        values = Values(E_s, F_nc, stress_sv)
        return Forward(weighted, inputs, structures, tasks, ordered, values)

    def backward(self, run: Forward, slopes: Slopes, forces: bool) -> Array:
        """Return what `unfold` turns into the gradient of the loss in all weights.

        It may be summed up over batches first. Without ``forces`` the loss is taken to
        depend on energies alone.
        """
        inputs, weighted = run.inputs, run.weighted
        q_s: list[Array] | None = None
        if forces:
            q_f = self.descriptor.compute_tangents(
                inputs, -slopes.Fbar_nc, slopes.strain_scc, structures=run.structures
            )
            q_s = inputs.blocks(q_f)
        Ebar_n = self.scale * np.repeat(slopes.Ebar_s, inputs.batch.atoms_s)
        parts: dict[int, tuple[Array, Array | None]] = {}

        def work(chunk: Sequence[int]) -> None:
            for i in chunk:
                (s, rows, atoms), trace = run.tasks[i], run.traces[i]
                Zdot_nh, outer = np.zeros_like(trace.deltas[0]), None
                if q_s is not None:
                    q_nf = q_s[s][rows]
                    Zdot_nh = q_nf @ weighted.folded_s[s].T
                    outer = trace.deltas[0].T @ q_nf
                network = weighted.networks[s]
                gradient_w = network.weight_gradient(trace, Ebar_n[atoms], Zdot_nh)
                parts[i] = gradient_w, outer

        share(work, len(run.tasks), sum(len(atoms) for _, _, atoms in run.tasks))
        gradients = [np.zeros(network.n_weights) for network in weighted.networks]
        outers = [np.zeros_like(folded_hf) for folded_hf in weighted.folded_s]
        for i, (s, _, _) in enumerate(run.tasks):
            part_w, outer = parts[i]
            gradients[s] += part_w
            if outer is not None:
                outers[s] += outer
        if forces:
            gradients += [outer.ravel() for outer in outers]
        return np.concatenate(gradients)

    def unfold(self, gradient: Array) -> Array:
        """Return the gradient in all weights from the sum of what `backward` gives.

        With forces the first weights count twice: by themselves and folded with the
        scaling of the features.
        """
        sizes = [network.n_weights for network in self.networks]
        gradient_w, folded = gradient[: sum(sizes)].copy(), gradient[sum(sizes) :]
        if not len(folded):
            return gradient_w
        firsts = [
            network.with_weights(part).weights[0]
            for network, part in zip(
                self.networks, np.split(gradient_w, np.cumsum(sizes)[:-1]), strict=True
            )
        ]
        ends = np.cumsum([first.size for first in firsts])
        for first, outer, scaling in zip(
            firsts, np.split(folded, ends[:-1]), self.scalings, strict=True
        ):
            first += self.scale * outer.reshape(first.shape) @ scaling.matrix_ff
        return gradient_w


def _tasks(inputs: Features, structures: Integers | None) -> list[Rows]:
    """Return the rows of the matrix products."""
    tasks: list[Rows] = []
    if structures is None:
        for s, atoms in enumerate(inputs.atoms_s):
            for first in range(0, len(atoms), ROWS):
                rows = slice(first, first + ROWS)
                tasks.append((s, rows, atoms[rows]))
        return tasks
    chosen_n = inputs.batch.atoms_of(structures)
    species_n = inputs.batch.species_n[chosen_n]
    for s, all_atoms in enumerate(inputs.atoms_s):
        atoms = chosen_n[species_n == s]
        if len(atoms):
            tasks.append((s, np.searchsorted(all_atoms, atoms), atoms))
    return tasks
