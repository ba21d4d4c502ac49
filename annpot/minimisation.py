"""The minimisation on all ranks: rank 0 trains, others follow, and all end alike."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

import numpy as np

from annpot.accuracy import Errors
from annpot.checkpoints.keeper import Keeper
from annpot.checkpoints.progress import INTERRUPTED, TIME_LIMIT, Epoch, Progress
from annpot.messages import join, split
from annpot.parallel import Ranks
from annpot.posing import Problem
from annpot.requests import LOOK, Lead, Losses, Request, follow
from annpot.runs.interruption import Stop, Stopped
from annpot.settings import TrainSettings
from annpot.trainer import Trainer

PATIENT = (signal.SIGINT, signal.SIGHUP)
"""Signals of a user, who wants to see the potential so far. Batch systems kill soon."""


def minimise(
    problem: Problem,
    settings: TrainSettings,
    epochs: int,
    generators: Mapping[str, np.random.Generator],
    on_epoch: Callable[[Epoch], None],
    keeper: Keeper | None,
    begun: Progress | None,
    stop: Stop | None,
    ranks: Ranks,
) -> Progress:
    """Train until the end, or what comes before; return how far that is on all ranks.

    Raises
    ------
    Stopped, KeyboardInterrupt
        On all ranks, if there is no time, or nothing, to make a potential of.
    """
    if ranks.rank:
        with _noting(stop):
            return _unpack(follow(Losses(problem, settings), ranks, stop))
    lead = Lead(problem, settings, ranks, stop) if ranks.size > 1 else None
    trainer = Trainer(
        lead or Losses(problem, settings),
        settings,
        epochs,
        generators,
        on_epoch,
        lambda progress: None if keeper is None else keeper.offer(progress),
        begun,
    )
    if lead is None:
        _run(trainer, keeper)
        return trainer.progress
    with _noting(stop):
        try:
            _run(trainer, keeper, lead)
        except Stopped as stopped:
            lead.end(_pack(trainer.progress, stopped.number))
            raise
        lead.end(_pack(trainer.progress))
    return trainer.progress


@contextlib.contextmanager
def _noting(stop: Stop | None) -> Iterator[None]:
    """Let signals be noted only, while ranks wait for each other."""
    if stop is None:
        yield
        return
    stop.raising = False
    yield
    stop.raising = True  # not after an error: this rank is on its way out


def _run(trainer: Trainer, keeper: Keeper | None, lead: Lead | None = None) -> None:
    """Train until the end, or a signal or the time limit: those leave a checkpoint."""
    reason = TIME_LIMIT
    try:
        trainer.run()
        if lead is not None:
            lead.ask(Request(LOOK))
        if trainer.done:
            return
        if keeper is not None:
            keeper.save_last(trainer.progress)
    except (KeyboardInterrupt, Stopped) as interrupt:
        if keeper is not None:
            keeper.save_last(trainer.progress)
        if lead is not None and isinstance(interrupt, KeyboardInterrupt):
            raise  # the others are elsewhere
        number = getattr(interrupt, "number", signal.SIGINT)
        if number not in PATIENT or not trainer.progress.kept:
            raise
        reason = INTERRUPTED
    trainer.leave(reason)


def _pack(progress: Progress, number: int = 0) -> bytes:
    """Return what ranks must know of a training, and the signal that stopped it."""
    epochs = [asdict(epoch) for epoch, _ in progress.kept]
    head = [number, progress.n_epochs, progress.reason, epochs]
    return join(head, [weights_w.tobytes() for _, weights_w in progress.kept])


def _unpack(packed: bytes) -> Progress:
    """Return what `_pack` packed.

    Raises
    ------
    Stopped
        If a signal stopped it.
    """
    (number, n_epochs, reason, epochs), parts = split(packed)
    if number:
        raise Stopped(number)
    kept = []
    for known, raw in zip(epochs, parts, strict=True):
        errors = {name: Errors(**known[name]) for name in ("train", "validation")}
        kept.append((Epoch(**known | errors), np.frombuffer(raw)))
    return Progress({}, n_epochs=n_epochs, kept=tuple(kept), reason=reason)
