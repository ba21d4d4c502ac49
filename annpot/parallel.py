"""Ranks: the processes of a parallel run, and what they do together.

Sums over ranks have the same bits however their parts are dealt to ranks: numbers are
cut into slices on a grid that is the same for all, and the slices added up as integers
(after J. Demmel, H. D. Nguyen, IEEE Trans. Comput. 64, 2060 (2015),
doi:10.1109/TC.2014.2345391).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annpot.errors import InputError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
"""Where Open MPI, MPICH and its kin, MVAPICH and srun tell a process what it is."""

BITS, SLICES = 32, 3
"""Of a slice; so many of the largest part are kept: it is never rounded."""
LOWEST, HIGHEST = -40, 40
"""Below and above the grid of all doubles: of zero, and of what is not finite."""


class ExactSum:
    """A sum of arrays of one shape that does not depend on their order.

    Element by element, accurate to 2^-64 of the largest part; up to 2^30 parts.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.top_i = np.full(shape, LOWEST, dtype=np.int64)
        """Place of the first slice on the grid: its unit is ``2^(BITS top)``."""
        self.slices_ki = np.zeros((SLICES, *shape), dtype=np.int64)

    def add(self, part_i: Array) -> None:
        """Add a part."""
        part_i = np.asarray(part_i, dtype=np.float64)
        if part_i.shape != self.top_i.shape:
            raise ValueError(f"shape {part_i.shape} among {self.top_i.shape}")
        finite_i = np.isfinite(part_i)
        rest_i = np.where(finite_i, part_i, 0.0)
        place_i = (np.frexp(rest_i)[1].astype(np.int64) - 1) // BITS
        place_i = np.where(rest_i == 0.0, LOWEST, place_i)
        self.raise_to(np.where(finite_i, place_i, HIGHEST))
        # an element that is lost takes no part any more
        rest_i = np.where(self.top_i == HIGHEST, 0.0, rest_i)
        rest_i = np.ldexp(rest_i, -BITS * self.top_i)
        for k in range(SLICES):
            whole_i = np.trunc(rest_i)
            self.slices_ki[k] += whole_i.astype(np.int64)
            rest_i = np.ldexp(rest_i - whole_i, BITS)

    def raise_to(self, top_i: Integers) -> None:
        """Let the slices begin higher on the grid, where ``top_i`` is higher."""
        steps_i = np.clip(top_i - self.top_i, 0, SLICES)
        if not steps_i.any():
            return
        before_ki = self.slices_ki.copy()
        self.slices_ki[:] = 0
        for k in range(SLICES):
            for step in range(k + 1):
                moved_i = np.where(steps_i == step, before_ki[k - step], 0)
                self.slices_ki[k] += moved_i
        self.top_i = np.maximum(self.top_i, top_i)

    def value(self) -> Array:
        """Return the sum; NaN where a part is not finite."""
        total_i = np.zeros(self.top_i.shape)
        for k in reversed(range(SLICES)):
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                unit_i = BITS * (self.top_i - k)
                total_i += np.ldexp(self.slices_ki[k].astype(np.float64), unit_i)
        return np.where(self.top_i == HIGHEST, np.nan, total_i)


class Ranks:
    """The processes that work together; here one alone, without MPI.

    What is said of all ranks must be called by all of them, in the same order.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1
    """Ranks on this machine."""

    def total(self, parts: Iterable[Array]) -> Array:
        """Return the sum, element by element, of all parts of all ranks.

        It has the same bits however the parts are dealt to ranks, and in any order. At
        least one rank has a part; all parts have one shape.
        """
        total: ExactSum | None = None
        for part in parts:
            total = total or ExactSum(np.shape(part))
            total.add(part)
        return self._combine(total).value()

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

    def _combine(self, total: ExactSum | None) -> ExactSum:
        if total is None:
            raise ValueError("a sum of no parts")
        return total


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

    def _combine(self, total: ExactSum | None) -> ExactSum:
        """Return the sum over all ranks; those without parts learn its shape."""
        shape = np.full(8, -1)
        if total is not None:
            shape[: total.top_i.ndim] = total.top_i.shape
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


def launched() -> tuple[int, int, str]:
    """Return rank, number of ranks, and the variable in which the launcher says so."""
    for size, rank in LAUNCHERS:
        found = os.environ.get(size, "")
        if found.isdecimal():
            return int(os.environ.get(rank, 0)), int(found), size
    return 0, 1, ""


@cache
def world() -> Ranks:
    """Return all ranks of the run; `ALONE` if no launcher of MPI started several.

    Raises
    ------
    InputError
        If there is no mpi4py that works with the launcher.
    """
    _, size, variable = launched()
    if size == 1:
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
