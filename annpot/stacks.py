"""Networks of several potentials on one descriptor, evaluated side by side.

A potential is a stack of one. First layers that see the same scaled features lie side
by side in one matrix product, blocks of atoms stay in the processor's cache, and one
pass over the pairs gives the forces of all. A member differs from the same potential
alone at most by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.kernels.products import COLUMNS, set_product
from annpot.kernels.threads import share
from annpot.networks import Network
from annpot.structures.structure import Array, compute_volumes, voigt_stress

ROWS = 256
"""Atoms per matrix product: their features stay in the processor's cache."""


class Member(NamedTuple):
    """What turns features of one species into atomic energies, for one potential.

    ``E = energy_scale network((G - shift_f) scale_f) + energy_shift``
    """

    shift_f: Array
    scale_f: Array
    network: Network
    energy_scale: float
    energy_shift: float


class Room:
    """Memory for block after block of atoms: fresh pages cost more than the sums."""

    def __init__(self) -> None:
        self._parts = [np.empty(0), np.empty(0)]

    def take(self, part: int, *shape: int) -> Array:
        """Return an array of that shape, which overwrites the last one of the part."""
        size = math.prod(shape)
        if size > len(self._parts[part]):
            self._parts[part] = np.empty(size)
        return self._parts[part][:size].reshape(shape)


class _Group(NamedTuple):
    """Members that see the same scaled features."""

    members: list[int]
    first_fh: Array
    """The weights of all first layers, of each node a column."""
    ends: list[int]
    """Nodes after which those of the next member begin."""


@dataclass(frozen=True)
class Stack:
    """The networks of one species of all members."""

    members: tuple[Member, ...]

    @cached_property
    def _groups(self) -> list[_Group]:
        numbers: dict[bytes, list[int]] = {}
        for k, member in enumerate(self.members):
            key = member.shift_f.tobytes() + member.scale_f.tobytes()
            numbers.setdefault(key, []).append(k)
        groups = []
        for found in numbers.values():
            weights = [self.members[k].network.weights[0] for k in found]
            ends = np.cumsum([len(W) for W in weights])[:-1].tolist()
            first_fh = np.ascontiguousarray(np.concatenate(weights).T)
            groups.append(_Group(found, first_fh, ends))
        return groups

    @cached_property
    def _folded_khf(self) -> list[Array]:
        """``dZ/dG`` of the first layers, times the scale of the energy."""
        return [  # in the order that kernels take for granted
            member.energy_scale
            * np.ascontiguousarray(member.network.weights[0])
            * member.scale_f
            for member in self.members
        ]

    def evaluate(
        self, G_nf: Array, E_kn: Sequence[Array], dEdG_knf: Sequence[Array], room: Room
    ) -> None:
        """Set the energies of some atoms, and their derivatives by the features."""
        for group in self._groups:
            first = self.members[group.members[0]]
            X_nf = room.take(0, *G_nf.shape)
            np.subtract(G_nf, first.shift_f, out=X_nf)
            X_nf *= first.scale_f
            Z_nh = room.take(1, len(G_nf), group.first_fh.shape[1])
            _multiply(X_nf, group.first_fh, Z_nh)
            parts = np.split(Z_nh, group.ends, axis=1)
            for k, Z_nh in zip(group.members, parts, strict=True):
                member = self.members[k]
                trace = member.network.forward(X_nf, Z_nh)
                E_kn[k][:] = member.energy_scale * trace.E_n + member.energy_shift
                _multiply(trace.deltas[0], self._folded_khf[k], dEdG_knf[k])


def _multiply(A: Array, B: Array, product: Array) -> None:
    if B.shape[1] < COLUMNS:
        np.matmul(A, B, out=product)
    else:
        set_product(A, B, product)


class Values(NamedTuple):
    """What each member gives for a batch."""

    E_kn: Array
    E_ks: Array
    F_knc: Array | None
    stress_ksv: Array | None


def evaluate(
    stacks: Sequence[Stack],
    descriptor: Descriptor,
    features: Features,
    *,
    forces: bool,
    stress: bool,
) -> Values:
    """Return energies and, as far as wanted, forces and stresses of all members.

    Parameters
    ----------
    stacks
        Of each species.
    """
    batch, n_members = features.batch, len(stacks[0].members)
    E_kn, dEdG_kf = evaluate_networks(stacks, features)
    F_knc = stress_ksv = None
    if forces or stress:
        F_knc, virial_kscc = descriptor.compute_all_forces(
            features, dEdG_kf, virials=stress
        )
        if virial_kscc is not None:
            volume_s = compute_volumes(batch)
            stress_ksv = np.array([voigt_stress(v, volume_s) for v in virial_kscc])
    E_ks = np.zeros((n_members, batch.n_structures))
    if batch.n_atoms:
        E_ks = np.add.reduceat(E_kn, batch.first_s[:-1], axis=1)
    return Values(E_kn, E_ks, F_knc, stress_ksv)


def evaluate_networks(
    stacks: Sequence[Stack], features: Features
) -> tuple[Array, Array]:
    """Return ``E_kn`` and ``dEdG_kf``, laid out as the features, of all members."""
    n_members = len(stacks[0].members)
    E_kn = np.empty((n_members, features.batch.n_atoms))
    dEdG_kf = np.empty((n_members, len(features.G_f)))
    G_s = features.blocks(features.G_f)
    dEdG_ks = [features.blocks(dEdG_f) for dEdG_f in dEdG_kf]
    tasks = [
        (s, first)
        for s, atoms in enumerate(features.atoms_s)
        for first in range(0, len(atoms), ROWS)
    ]

    def work(numbers: Sequence[int]) -> None:
        room = Room()
        for i in numbers:
            s, first = tasks[i]
            rows = slice(first, first + ROWS)
            atoms = features.atoms_s[s][rows]
            energies = np.empty((n_members, len(atoms)))
            slopes = [dEdG_s[s][rows] for dEdG_s in dEdG_ks]
            stacks[s].evaluate(G_s[s][rows], list(energies), slopes, room)
            E_kn[:, atoms] = energies

    share(work, len(tasks), features.batch.n_atoms)
    return E_kn, dEdG_kf
