"""Ranks: the processes of a parallel run, and what they do together.

Sums over ranks have the same bits however their parts are dealt to ranks, see
`annpot.exact_sums`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annpot.errors import InputError
from annpot.launch import launched

if TYPE_CHECKING:
    from annpot.exact_sums import ExactSum

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Ranks:
    """The processes that work together; here one alone, without MPI.

    What is said of all ranks must be called by all of them, in the same order.
    """

    rank: int = 0
    size: int = 1
    node: int = 0
    """The least rank on this machine."""
    local_size: int = 1
    """Ranks on this machine."""

    def total(self, parts: Iterable[Array]) -> Array:
        """Return the sum, element by element, of all parts of all ranks.

        It has the same bits however the parts are dealt to ranks, and in any order. At
        least one rank has a part; all parts have one shape.
        """
        from annpot.exact_sums import ExactSum

        total: ExactSum | None = None
        for part in parts:
            total = total or ExactSum(np.shape(part))
            total.add(part)
        return self.combine(total).value()

    def combine(self, total: ExactSum | None) -> ExactSum:
        """Return the sum of the sums of all ranks; ``None`` has no parts."""
        if total is None:
            raise ValueError("a sum of no parts")
        return total

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true on any rank."""
        return flag

    def maximum(self, values: Array) -> Array:
        """Return the largest of all ranks, element by element."""
        return np.array(values, dtype=np.float64)

    def minimum(self, values: Array) -> Array:
        """Return the smallest of all ranks, element by element."""
        return np.array(values, dtype=np.float64)

    def broadcast(self, data: bytes) -> bytes:
        """Return what rank 0 gives."""
        return data

    def gather(self, data: bytes) -> list[bytes]:
        """Return what each rank gives, on all ranks."""
        return [data]

    def collect(self, data: bytes) -> list[bytes]:
        """Return what each rank gives, on rank 0; nothing on the others."""
        return [data]

    def barrier(self) -> None:
        """Wait for all ranks."""

    def farewell(self, data: bytes, patience: float) -> list[bytes] | None:
        """Return what each rank gives at its end; None if some do not come to theirs.

        Parameters
        ----------
        patience
            For how many seconds to wait for them.
        """
        return [data]

    def finalize(self) -> None:
        """End the use of MPI, which the launcher takes for a proper end."""

    def abort(self, code: int) -> None:
        """End the processes of all ranks at once."""
        os._exit(code)


ALONE = Ranks()


class MPIRanks(Ranks):
    """All processes that the launcher of MPI started."""

    def __init__(self, mpi: Any) -> None:
        # apart from what others of this process may do with COMM_WORLD
        self._mpi, self._world = mpi, mpi.COMM_WORLD.Dup()
        self._end = mpi.COMM_WORLD.Dup()
        self.rank, self.size = self._world.rank, self._world.size
        local = self._world.Split_type(mpi.COMM_TYPE_SHARED)
        self.local_size = local.size
        node = np.array([self.rank])
        local.Bcast(node, root=0)
        self.node = int(node[0])
        local.Free()

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true on any rank."""
        return bool(self.maximum(np.array([float(flag)]))[0])

    def maximum(self, values: Array) -> Array:
        """Return the largest of all ranks, element by element."""
        return self._reduce(np.array(values, dtype=np.float64), self._mpi.MAX)

    def minimum(self, values: Array) -> Array:
        """Return the smallest of all ranks, element by element."""
        return self._reduce(np.array(values, dtype=np.float64), self._mpi.MIN)

    def broadcast(self, data: bytes) -> bytes:
        """Return what rank 0 gives."""
        length = np.array([len(data)])
        self._world.Bcast(length, root=0)
        buffer = np.zeros(length[0], dtype=np.uint8)
        if self.rank == 0:
            buffer[:] = np.frombuffer(data, dtype=np.uint8)
        self._world.Bcast(buffer, root=0)
        return buffer.tobytes()

    def gather(self, data: bytes) -> list[bytes]:
        """Return what each rank gives, on all ranks."""
        return _gather(self._world, data)

    def collect(self, data: bytes) -> list[bytes]:
        """Return what each rank gives, on rank 0; nothing on the others."""
        lengths = np.zeros(self.size, dtype=np.int64)
        self._world.Allgather(np.array([len(data)]), lengths)
        if self.rank > 0:
            self._world.Send(np.frombuffer(data, dtype=np.uint8), dest=0)
            return []
        # one after the other: their sum may be longer than MPI can count
        parts = [data]
        for rank in range(1, self.size):
            buffer = np.empty(lengths[rank], dtype=np.uint8)
            self._world.Recv(buffer, source=rank)
            parts.append(buffer.tobytes())
        return parts

    def barrier(self) -> None:
        """Wait for all ranks."""
        self._world.Barrier()

    def farewell(self, data: bytes, patience: float) -> list[bytes] | None:
        """Return what each rank gives at its end; None if some do not come to theirs.

        Parameters
        ----------
        patience
            For how many seconds to wait for them.
        """
        request, limit = self._end.Ibarrier(), time.monotonic() + patience
        while not request.Test():
            if time.monotonic() > limit:
                return None
            time.sleep(0.002)
        return _gather(self._end, data)

    def finalize(self) -> None:
        """End the use of MPI, which the launcher takes for a proper end."""
        self._mpi.Finalize()

    def abort(self, code: int) -> None:
        """End the processes of all ranks at once."""
        self._mpi.COMM_WORLD.Abort(code)

    def _reduce(self, values: NDArray[Any], operation: Any) -> NDArray[Any]:
        self._world.Allreduce(self._mpi.IN_PLACE, values, op=operation)
        return values

    def combine(self, total: ExactSum | None) -> ExactSum:
        """Return the sum of the sums of all ranks; ``None`` has no parts."""
        from annpot.exact_sums import ExactSum

        shape = np.full(8, -1)  # a rank without parts does not know it
        if total is not None:
            shape[: len(total.shape)] = total.shape
        shape = self._reduce(shape, self._mpi.MAX)
        total = total or ExactSum(tuple(shape[shape >= 0].tolist()))
        total.raise_to(self._reduce(total.top_i.copy(), self._mpi.MAX))
        total.slices_ki = self._reduce(total.slices_ki, self._mpi.SUM)
        return total


def _gather(communicator: Any, data: bytes) -> list[bytes]:
    lengths = np.zeros(communicator.size, dtype=np.int64)
    communicator.Allgather(np.array([len(data)]), lengths)
    buffer = np.zeros(lengths.sum(), dtype=np.uint8)
    communicator.Allgatherv(np.frombuffer(data, dtype=np.uint8), (buffer, lengths))
    parts = np.split(buffer, np.cumsum(lengths)[:-1])
    return [part.tobytes() for part in parts]


@cache
def world() -> Ranks:
    """Return all ranks of the run; `ALONE` if no launcher of MPI started several.

    Raises
    ------
    InputError
        If there is no mpi4py that works with the launcher.
    """
    _, size, variable = launched()
    if size <= 1:
        return ALONE
    where = f"started by MPI with {size} ranks ({variable})"
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{where}, but mpi4py cannot be used: {reason}; please install it with the "
            "MPI of the launcher (pip install mpi4py), or start without MPI"
        ) from None
    if size != MPI.COMM_WORLD.size:
        library = MPI.Get_library_version().strip("\0").strip().partition("\n")[0]
        library = " ".join(library.split())
        raise InputError(
            f"{where}, but mpi4py finds {MPI.COMM_WORLD.size} with {library}: please "
            "use the launcher of this MPI (with srun: --mpi=pmix or --mpi=pmi2), or "
            "an mpi4py made for that of the launcher"
        )
    return MPIRanks(MPI)


def deal(cost_k: Array, ranks: Ranks) -> Integers:
    """Return the numbers, ascending, of the tasks that fall to this rank.

    The most costly tasks are dealt first, each to the rank with the least to do so far.
    """
    load_r = np.zeros(ranks.size)
    rank_k = np.zeros(len(cost_k), dtype=np.int64)
    for k in np.argsort(-np.asarray(cost_k), kind="stable"):
        rank_k[k] = load_r.argmin()
        load_r[rank_k[k]] += cost_k[k]
    return np.flatnonzero(rank_k == ranks.rank)


def share_cores(ranks: Ranks) -> int:
    """Return how many processor cores there are for this rank, at least 1.

    A core that several ranks of a machine may run on counts as a share for each: ranks
    that are bound to their own cores by the launcher have those.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = os.sched_getaffinity(0)
    else:
        cores = set(range(os.cpu_count() or 1))
    mine = np.array([ranks.node, *sorted(cores)])
    all_masks = [np.frombuffer(data, np.int64) for data in ranks.gather(mine.tobytes())]
    local = [set(mask[1:].tolist()) for mask in all_masks if mask[0] == ranks.node]
    share = sum(1.0 / sum(core in mask for mask in local) for core in cores)
    return max(1, int(share + 1e-6))
