"""Threads: all work is done once, within each other's work too, and errors arrive."""

from __future__ import annotations

import threading
import time

import pytest
from commands import PATIENCE

from annpot.kernels import threads


@pytest.fixture(params=[1, 2, 5])
def n_threads(request, monkeypatch):
    threads.team.cache_clear()
    monkeypatch.setattr(threads, "thread_count", lambda: request.param)
    yield request.param
    threads.team.cache_clear()


def test_work_within_work_is_done_once(n_threads):
    done = []

    def outer(k):
        def inner(chunk):
            time.sleep(0.001)
            done.extend((k, i) for i in chunk)

        threads.share(inner, 7, 10_000)

    for _ in range(3):
        threads.work_on_each(outer, range(11))
    assert sorted(done) == sorted(3 * [(k, i) for k in range(11) for i in range(7)])


def test_no_more_items_at_once_than_wanted(n_threads):
    lock, running, most = threading.Lock(), [], []
    together = threading.Barrier(min(2, n_threads), timeout=PATIENCE)

    def work(k):
        with lock:
            running.append(k)
            most.append(len(running))
        together.wait()
        time.sleep(0.001)
        with lock:
            running.remove(k)

    threads.work_on_each(work, range(12), at_once=2)
    assert max(most) == min(2, n_threads)
    most.clear()
    together = threading.Barrier(1)
    threads.work_on_each(work, range(12))
    assert max(most) <= n_threads


def test_few_atoms_are_worked_on_by_one_thread(n_threads):
    names = []
    threads.share(lambda _: names.append(threading.current_thread().name), 9, 100)
    assert names == [threading.current_thread().name]


def test_an_error_ends_the_work_and_arrives(n_threads):
    begun = []

    def work(k):
        begun.append(k)
        if k == 3:
            raise ZeroDivisionError
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        threads.work_on_each(work, range(1000))
    assert len(begun) < 1000
    # all threads are free again
    done = []
    threads.work_on_each(done.append, range(5))
    assert sorted(done) == list(range(5))
