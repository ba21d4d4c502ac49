"""Threads that share the atoms of a batch; compiled kernels release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from annpot.errors import InputError


@cache
def thread_count() -> int:
    """Return the number of threads to use: what the user or the scheduler grants.

    The first that is set of ``ANNPOT_NUM_THREADS``, ``SLURM_CPUS_PER_TASK`` and
    ``OMP_NUM_THREADS``; otherwise the cores that this process may run on.
    """
    for name in ("ANNPOT_NUM_THREADS", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        value = os.environ.get(name)
        if value:
            if not value.isdecimal() or int(value) < 1:
                raise InputError(
                    f"{name}: a number of threads expected, found '{value}'"
                )
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="annpot")


# a forked process has the pool of its parent, but none of its threads
os.register_at_fork(after_in_child=_pool.cache_clear)


ATOMS = 128
"""So many are worth a thread."""


def share(work: Callable[[Sequence[int]], None], n_chunks: int, n_atoms: int) -> None:
    """Call ``work`` with the numbers of some chunks, until all chunks are done.

    Each thread gets several portions, so that uneven ones even out; few atoms in all
    the chunks are worked on by one thread.
    """
    n_threads = min(thread_count(), n_chunks, n_atoms // ATOMS)
    if n_threads <= 1:
        work(range(n_chunks))
        return
    portions = np.array_split(np.arange(n_chunks), min(n_chunks, 4 * n_threads))
    for _ in _pool().map(work, portions):
        pass
