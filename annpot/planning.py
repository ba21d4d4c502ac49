"""The memory plan: what is kept in RAM of each shard, and what the work on it needs.

Of a shard can be kept, in double precision:

* its pairs packed (atom and integer shift), which saves the search;
* the vectors of the pairs as well, which saves their unpacking;
* the inputs of the networks and what the descriptor keeps for derivatives, which saves
  the features;
* with the inputs, the derivatives of triplet functions, which saves visits to triplets.

What saves most time per byte is kept first. A result changes by rounding at most: not
at all with L-BFGS as long as there are no triplet functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from annpot.memory import Budget

REAL, INDEX, SHIFT = 8, 4, 1
"""Bytes of a number, of the number of an atom in a pair, of a shift by a cell."""
SHARD_BYTES = 128e6
"""What the work on a shard may need: enough atoms for many threads."""

NEEDS = {"vectors": "packed", "derivatives": "inputs"}
"""What is of no use without something else."""
WITH = {needed: name for name, needed in NEEDS.items()}


class Size(NamedTuple):
    """What the memory of a shard depends on; or arrays, one row per structure."""

    n_atoms: Any
    n_pairs: Any
    n_features: Any
    """Of all atoms together."""
    n_groups: Any
    """Groups of pairs, of all atoms together."""
    state_bytes: Any
    """What the descriptor keeps for derivatives."""
    trace_bytes: Any
    """What the passes through the networks leave."""
    derivatives: Any = 0.0
    """Bytes of the derivatives of triplet functions."""

    def part(self, first: int, last: int) -> Size:
        """Return the size of consecutive structures together."""
        return Size(*(float(value_s[first:last].sum()) for value_s in self))

    @property
    def packed(self) -> Any:
        """Bytes of the packed pairs."""
        return REAL * self.n_groups + (INDEX + 3 * SHIFT) * self.n_pairs

    @property
    def vectors(self) -> Any:
        """Bytes that the vectors of pairs need beyond the packed pairs."""
        return 3 * (REAL - SHIFT) * self.n_pairs

    @property
    def inputs(self) -> Any:
        """Bytes of the inputs with their layout, and of what derivatives need."""
        return REAL * (self.n_features + 2 * self.n_atoms) + self.state_bytes

    @property
    def work(self) -> Any:
        """Bytes of all that exists at once during a visit, kept or not."""
        pairs, features = REAL * 3 * self.n_pairs + self.packed, REAL * self.n_features
        # the half list that vesin returns, and the next free place of each group
        search = (2 * INDEX + 3 * SHIFT) * self.n_pairs / 2 + REAL * self.n_groups
        build = pairs + self.inputs + 2 * features
        # derivatives by features and along the forces; forces, their buffers, residuals
        visit = pairs + self.inputs + 2 * features + self.trace_bytes
        visit = visit + 25 * REAL * self.n_atoms
        return np.maximum(self.packed + search, np.maximum(build, visit))


class Seconds(NamedTuple):
    """What it takes to compute again what is not kept, per pair."""

    search: float
    unpacking: float
    features: float
    derivatives: float = 0.0
    """What forces and tangents take longer without derivatives of triplets."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a shard."""

    packed: bool = False
    vectors: bool = False
    inputs: bool = False
    derivatives: bool = False

    def bytes(self, size: Size) -> float:
        """Return what that needs."""
        return sum(
            float(getattr(size, field.name))
            for field in fields(self)
            if getattr(self, field.name)
        )


def choose(
    sizes: Sequence[Size], seconds: Seconds, room: float, *, forces: bool
) -> list[Kept]:
    """Return what to keep of each shard, so that shards and visits need ``room`` bytes.

    Without ``forces`` the networks need their inputs and nothing else.
    """
    saved = {"inputs": seconds.features}
    if forces:
        saved |= {"packed": seconds.search, "vectors": seconds.unpacking}
        saved |= {"derivatives": seconds.derivatives}
    else:
        saved["inputs"] += seconds.search + seconds.unpacking
    steps = []
    for k, size in enumerate(sizes):
        for name, gain in saved.items():
            per_byte = gain * size.n_pairs / max(getattr(size, name), 1.0)
            if getattr(size, name):
                steps.append((name in NEEDS, -per_byte, k, name))
    kept = [Kept()] * len(sizes)
    for _, _, k, name in sorted(steps):
        if name in NEEDS and not getattr(kept[k], NEEDS[name]):
            continue
        more = [*kept]
        more[k] = replace(kept[k], **{name: True})
        if peak(sizes, more) <= room:
            kept = more
    return kept


def peak(sizes: Sequence[Size], kept: Sequence[Kept]) -> float:
    """Return the bytes of what is kept of all shards, and of a visit to one of them."""
    kept_bytes = [k.bytes(size) for k, size in zip(kept, sizes, strict=True)]
    visits = [
        float(size.work) - replace(k, derivatives=False).bytes(size)
        for k, size in zip(kept, sizes, strict=True)
    ]
    return sum(kept_bytes) + max(visits)


class Ledger:
    """Keeps book of what shards really need while they are prepared one by one."""

    def __init__(self, sizes: Sequence[Size], room: float, *, forces: bool) -> None:
        self.sizes, self.room, self.forces = list(sizes), room, forces
        self._kept: list[Kept] = []

    def admit(
        self, k: int, n_pairs: int, seconds: Seconds, derivatives: float = 0.0
    ) -> Kept:
        """Return what to keep of shard ``k`` with so many pairs, bytes of derivatives.

        The first shard tells the ``seconds`` that decide for all.
        """
        if not self._kept:
            self._kept = choose(self.sizes, seconds, self.room, forces=self.forces)
        self.sizes[k] = self.sizes[k]._replace(
            n_pairs=float(n_pairs), derivatives=derivatives
        )
        for name in ("derivatives", "vectors", "inputs", "packed"):
            less = [*self._kept]
            if name not in NEEDS.values() or not getattr(less[k], WITH[name]):
                less[k] = replace(less[k], **{name: False})
            # more pairs than foreseen; what a visit needs anyway may as well be kept
            if self.peak() > max(self.room, peak(self.sizes, less)):
                self._kept = less
        return self._kept[k]

    def foresees(self, k: int) -> bool:
        """Return whether anything is to be kept of shard ``k``, after the first."""
        return self._kept[k] != Kept()

    def tally(self) -> dict[str, tuple[int, float]]:
        """Return of how many shards each ingredient is kept, and its bytes."""
        found = {}
        for name in ("packed", "vectors", "inputs", "derivatives"):
            sizes = [
                getattr(size, name)
                for size, kept in zip(self.sizes, self._kept, strict=True)
                if getattr(kept, name)
            ]
            found[name] = len(sizes), sum(sizes)
        return found

    def peak(self) -> float:
        """Return the most that the shards and a visit to one of them need."""
        return peak(self.sizes, self._kept)


@dataclass(frozen=True)
class MemoryPlan:
    """What is kept in RAM, and the expected peak of the whole process; bytes."""

    budget: Budget
    n_shards: int
    kept: dict[str, tuple[int, float]]
    """Number of shards and bytes of each ingredient, see `Kept`."""
    derivatives: bool
    """Whether there are triplet functions."""
    forces: bool
    """Whether pairs are needed at all after the inputs are known."""
    expected: float


def count_bytes(value: Any) -> int:
    """Return the bytes of all arrays in nested tuples and lists."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, list | tuple):
        return sum(count_bytes(item) for item in value)
    return 0
