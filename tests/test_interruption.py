"""Signals: the first one stops, later ones wait, a second Ctrl-C ends at once."""

from __future__ import annotations

import signal
import threading

import pytest

from annpot.runs import interruption
from annpot.runs.interruption import SIGNALS, Stopped, stoppable


def numbers():
    return [getattr(signal, name) for name in SIGNALS]


@pytest.fixture(autouse=True)
def _no_signal_is_ignored():
    before = {number: signal.getsignal(number) for number in numbers()}
    for number in numbers():
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", numbers())
def test_a_signal_stops(number):
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(number)
    assert stopped.value.number == number
    assert str(stopped.value) == f"stopped by {signal.Signals(number).name}"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_nothing_that_handles_errors_swallows_it():
    assert not issubclass(Stopped, Exception)


def test_later_signals_leave_time_to_save():
    with stoppable():
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGUSR1)
        for number in numbers():
            signal.raise_signal(number)


def test_a_second_ctrl_c_ends_at_once(monkeypatch):
    monkeypatch.setattr(interruption, "ECHO", -1.0)
    with stoppable():
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ranks_only_take_a_note():
    with stoppable(raising=False) as stop:
        assert stop.number is None
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGUSR1)
        assert stop.number == signal.SIGTERM


def test_what_was_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stoppable() as stop:
        signal.raise_signal(signal.SIGHUP)
    assert stop.number is None


def test_one_that_comes_before_all_are_handled(monkeypatch):
    real = signal.signal

    def install(number, handler):
        real(number, handler)
        if number == signal.SIGTERM and callable(handler):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", install)
        with pytest.raises(Stopped), stoppable():
            pass
    assert {signal.getsignal(number) for number in numbers()} == {signal.SIG_DFL}


def test_other_threads_cannot_handle_signals():
    found = []

    def work():
        with stoppable() as stop:
            found.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found
