"""Portions parsed ahead by other processes, which are started when that is worth it.

The processes are programs of their own, not forks: threads of this one do not matter,
and they end when it ends, however that comes about. They get descriptions of pieces and
send back arrays.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from annpot.errors import AnnpotError
from annpot.kernels.threads import thread_count
from annpot.launch import launched
from annpot.messages import join, split
from annpot.structures.packing import Found, unpack
from annpot.structures.parsing import parse
from annpot.structures.pieces import Refill
from annpot.structures.portion import Portion
from annpot.structures.reading_worker import receive, send

PATIENCE = 1.0
"""Seconds of parsing after which other processes are started: it takes them as long."""
LARGEST = 1 << 24
"""Bytes of a portion that is parsed by others, as a whole; larger ones are not."""
AHEAD = 3
"""Portions for each process that are waiting or ready."""
PROGRAM = """\
import signal
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
from annpot.structures.reading_worker import main
main()
"""
"""Signals are for the process that it works for."""

Parsed = Iterator[tuple[int, Found]]
"""What is found in a portion, each with the number of its piece."""


def parse_portions(
    portions: Iterable[Portion], refill: Refill, n_workers: int | None = None
) -> Iterator[tuple[Portion, Parsed]]:
    """Yield portions with what is in them, in order, parsed ahead if there is much.

    Parameters
    ----------
    portions
        Looked at ahead of time, but not far.
    n_workers
        Other processes to be used; by default as many as there are threads, none if
        there is one thread or if this is one of several ranks of MPI.

    Raises
    ------
    AnnpotError
        If one of the processes was ended.
    """
    if n_workers is None:
        alone = launched().size == 1 and bool(sys.executable)
        n_workers = thread_count() if alone and thread_count() > 1 else 0
    waiting, spent = iter(portions), 0.0
    while spent < PATIENCE or n_workers == 0:
        portion = next(waiting, None)
        if portion is None:
            return
        parsed = parse_portion(portion, refill)
        if portion.n_bytes <= LARGEST:
            start = time.perf_counter()
            parsed = iter(list(parsed))
            spent += time.perf_counter() - start
        yield portion, parsed
    with _Workers(n_workers) as workers:
        ahead = deque[tuple[Portion, Parsed | Future[Parsed]]]()
        for portion in _fill(waiting, refill):
            if portion.n_bytes <= LARGEST:
                ahead.append((portion, workers.submit(portion)))
            else:
                ahead.append((portion, parse_portion(portion, refill)))
            if len(ahead) == AHEAD * n_workers:
                yield _take(ahead)
        while ahead:
            yield _take(ahead)


def _take(
    ahead: deque[tuple[Portion, Parsed | Future[Parsed]]],
) -> tuple[Portion, Parsed]:
    portion, parsed = ahead.popleft()
    return portion, parsed.result() if isinstance(parsed, Future) else parsed


def parse_portion(portion: Portion, refill: Refill) -> Parsed:
    """Yield what is in a portion, parsed by this process."""
    for number, piece in enumerate(portion.pieces):
        for found in parse(refill.fill(piece)):
            yield number, found


def _fill(portions: Iterator[Portion], refill: Refill) -> Iterator[Portion]:
    for portion in portions:
        yield Portion(tuple(map(refill.fill, portion.pieces)))


class _Workers:
    """Processes that parse; each has a thread here that talks to it."""

    def __init__(self, n_workers: int) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._mine = threading.local()
        self._pool = ThreadPoolExecutor(n_workers, "reading", self._choose)
        self._n = n_workers

    def __enter__(self) -> _Workers:
        folder = str(Path(__file__).parents[2])
        paths = [
            folder,
            *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONSAFEPATH": "1",  # no module of the working directory
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        for _ in range(self._n):
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            self._processes.append(process)
            self._free.put(process)
        return self

    def _choose(self) -> None:
        """Give this thread a process of its own."""
        self._mine.process = self._free.get_nowait()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    assert stream is not None
                    stream.close()

    def submit(self, portion: Portion) -> Future[Parsed]:
        """Have a portion parsed."""
        return self._pool.submit(self._ask, portion)

    def _ask(self, portion: Portion) -> Parsed:
        pieces = portion.pieces
        contents = {k: p.content for k, p in enumerate(pieces) if p.content is not None}
        head = [portion.to_json(), list(contents)]
        message = join(head, list(contents.values()))
        reply = _exchange(self._mine.process, message)
        _, parts = split(reply)
        found = [unpack(raw, p.name) for raw, p in zip(parts, pieces, strict=True)]
        return iter([(k, item) for k, items in enumerate(found) for item in items])


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> bytearray:
    """Send a message, and return the reply.

    Raises
    ------
    AnnpotError
        If the process does not reply, but ends.
    """
    requests, replies = process.stdin, process.stdout
    assert requests is not None
    assert replies is not None
    with contextlib.suppress(BrokenPipeError):
        send(_binary(requests), message)
    reply = receive(_binary(replies))
    if reply is None:
        code = process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise AnnpotError(
            f"a process that reads structures was ended {how}: is there enough memory? "
            "ANNPOT_NUM_THREADS=1 reads without such processes"
        )
    return reply


def _binary(stream: object) -> BinaryIO:
    return stream  # type: ignore[return-value]
