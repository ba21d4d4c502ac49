"""Threads that share the atoms of a batch; compiled kernels release the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Semaphore
from typing import Any, TypeVar

import numpy as np

from annpot.errors import InputError

T = TypeVar("T")


VARIABLES = ("ANNPOT_NUM_THREADS", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS")
"""Of the environment; the first that is set says how many threads to use."""


def is_granted() -> bool:
    """Return whether the user or the scheduler says how many threads to use."""
    return any(os.environ.get(name) for name in VARIABLES)


@cache
def thread_count() -> int:
    """Return the number of threads to use: what the user or the scheduler grants.

    Otherwise the cores that this process may run on.
    """
    for name in VARIABLES:
        value = os.environ.get(name)
        if value:
            if name == "OMP_NUM_THREADS":  # a list is for loops within loops
                value = value.partition(",")[0].strip()
            if not value.isdecimal() or int(value) < 1:
                raise InputError(
                    f"{name}: a number of threads expected, found '{value}'"
                )
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """The threads besides those that call them; each helps one of them at a time.

    A thread that is helped may itself be a helper, who passes on a part of its part:
    those who ask never wait for others to become free.
    """

    def __init__(self, n_helpers: int) -> None:
        self._pool = ThreadPoolExecutor(max(1, n_helpers), thread_name_prefix="annpot")
        self._free = Semaphore(n_helpers)

    def work_through(
        self, work: Callable[[Any], None], portions: Sequence[Any], n_threads: int
    ) -> None:
        """Call ``work`` with each portion, on as many threads as are free.

        What one call raises ends the work, when those that run are done.
        """
        waiting = deque(portions)

        def proceed() -> None:
            try:
                while waiting:
                    # another thread may have been quicker
                    try:
                        portion = waiting.popleft()
                    except IndexError:
                        return
                    work(portion)
            finally:
                waiting.clear()

        helpers: list[Future[None]] = []
        while len(helpers) < n_threads - 1 and self._free.acquire(blocking=False):
            helpers.append(self._pool.submit(self._help, proceed))
        try:
            proceed()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()

    def _help(self, proceed: Callable[[], None]) -> None:
        try:
            proceed()
        finally:
            self._free.release()


@cache
def team() -> Team:
    """Return the threads of this process."""
    return Team(thread_count() - 1)


# a forked process has the team of its parent, but none of its threads
os.register_at_fork(after_in_child=team.cache_clear)


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
    team().work_through(work, portions, n_threads)


def work_on_each(
    work: Callable[[T], None], items: Sequence[T], at_once: int | None = None
) -> None:
    """Call ``work`` with each item, in no order; of those, ``share`` finds more to do.

    Parameters
    ----------
    at_once
        Most items to work on at the same time; ``None``: one for each thread.
    """
    n_threads = min(thread_count(), len(items), at_once or len(items))
    team().work_through(work, items, n_threads)
