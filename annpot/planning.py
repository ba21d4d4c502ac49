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
SHARD_BYTES, SHARD_ATOMS = 16e6, 1024
"""What the work on a shard may need, and its atoms: several shards for each thread of
each rank, but so many atoms that what is done once for a shard does not count."""
VISITS_SHARE = 0.25
"""Of the room, for visits to several shards at once."""

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
    sizes: Sequence[Size],
    seconds: Seconds,
    room: float,
    *,
    forces: bool,
    at_once: int = 1,
) -> list[Kept]:
    """Return what to keep of each shard, so that shards and visits need ``room`` bytes.

    Without ``forces`` the networks need their inputs and nothing else. Visits to
    ``at_once`` shards may happen at the same time.
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
    needs = _Needs(sizes, kept, at_once)
    for _, _, k, name in sorted(steps):
        if name in NEEDS and not getattr(kept[k], NEEDS[name]):
            continue
        more = replace(kept[k], **{name: True})
        needs.change(k, sizes[k], more)
        if needs.peak() <= room:
            kept[k] = more
        else:
            needs.change(k, sizes[k], kept[k])
    return kept


class _Needs:
    """What is kept of each shard, and what a visit to it needs beyond; bytes."""

    def __init__(
        self, sizes: Sequence[Size], kept: Sequence[Kept], at_once: int
    ) -> None:
        self.at_once = at_once
        self.kept_k, self.visit_k = np.zeros(len(sizes)), np.zeros(len(sizes))
        for k, (size, of_this) in enumerate(zip(sizes, kept, strict=True)):
            self.change(k, size, of_this)

    def change(self, k: int, size: Size, kept: Kept) -> None:
        """Plan otherwise for shard ``k``."""
        self.kept_k[k] = kept.bytes(size)
        # derivatives come on top of what a visit without them needs
        at_hand = replace(kept, derivatives=False).bytes(size)
        self.visit_k[k] = float(size.work) - at_hand

    def peak(self) -> float:
        """Return the bytes of all that is kept, and of the largest visits at once."""
        first = max(0, len(self.visit_k) - self.at_once)
        largest = np.partition(self.visit_k, first)[first:] if first else self.visit_k
        return float(self.kept_k.sum() + largest.sum())


def peak(sizes: Sequence[Size], kept: Sequence[Kept], at_once: int = 1) -> float:
    """Return the bytes of what is kept of all shards, and of visits to some of them."""
    return _Needs(sizes, kept, at_once).peak()


def count_visits(sizes: Sequence[Size], room: float, n_threads: int) -> int:
    """Return how many shards may be worked on at the same time."""
    largest = max((float(size.work) for size in sizes), default=1.0)
    return max(1, min(n_threads, len(sizes), int(VISITS_SHARE * room / largest)))


class Ledger:
    """Keeps book of what shards really need while they are prepared one by one."""

    def __init__(
        self,
        sizes: Sequence[Size],
        room: float,
        *,
        forces: bool,
        at_once: int = 1,
    ) -> None:
        self.sizes, self.room, self.forces = list(sizes), room, forces
        self._kept: list[Kept] = []
        self._needs = _Needs(sizes, [Kept()] * len(sizes), at_once)

    def admit(
        self, k: int, n_pairs: int, seconds: Seconds, derivatives: float = 0.0
    ) -> Kept:
        """Return what to keep of shard ``k`` with so many pairs, bytes of derivatives.

        The first shard tells the ``seconds`` that decide for all.
        """
        needs = self._needs
        if not self._kept:
            self._kept = choose(
                self.sizes,
                seconds,
                self.room,
                forces=self.forces,
                at_once=needs.at_once,
            )
            self._needs = needs = _Needs(self.sizes, self._kept, needs.at_once)
        size = self.sizes[k]._replace(n_pairs=float(n_pairs), derivatives=derivatives)
        self.sizes[k] = size
        needs.change(k, size, self._kept[k])
        for name in ("derivatives", "vectors", "inputs", "packed"):
            kept = less = self._kept[k]
            if name not in NEEDS.values() or not getattr(kept, WITH[name]):
                less = replace(kept, **{name: False})
            before = needs.peak()
            needs.change(k, size, less)
            # more pairs than foreseen; what a visit needs anyway may as well be kept
            if before > max(self.room, needs.peak()):
                self._kept[k] = less
            else:
                needs.change(k, size, kept)
        return self._kept[k]

    def foresees(self, k: int) -> bool:
        """Return whether shard ``k`` is to be looked at: the first, or to be kept."""
        return not self._kept or self._kept[k] != Kept()

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
        return self._needs.peak()


@dataclass(frozen=True)
class MemoryPlan:
    """What is kept in RAM, and the expected peak of the process that needs most."""

    budget: Budget
    n_shards: int
    kept: dict[str, tuple[int, float]]
    """Number of shards and bytes of each ingredient, see `Kept`; by all ranks."""
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
