"""Requests: rank 0 trains, the others visit their structures when it asks them to.

Whatever is decided by comparing numbers is decided on rank 0 alone: processors of
another kind round differently, and ranks that decide differently would wait for each
other for ever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from annpot.accuracy import Errors
from annpot.bootstrap import resample
from annpot.loss import Loss, Pass
from annpot.parallel import Ranks
from annpot.posing import Problem
from annpot.runs.interruption import Stop, Stopped
from annpot.settings import TrainSettings
from annpot.structures.structure import Array, Integers

VALIDATION = -1
"""In place of a member: the structures that all are judged by."""
LOOK, END = "look", "end"
"""Requests beside the names of the methods of `Loss`: to visit nothing, and no more."""


@dataclass(frozen=True)
class Request:
    """What all ranks do together."""

    what: str
    """The method of `Loss` to call, `LOOK` or `END`."""
    member: int = VALIDATION
    """The member whose training structures are visited, counted from 0."""
    weights: bytes = b""
    """Or, at the end, what came out of it all."""
    structures: bytes = b""
    """Their numbers, if it is a share of them."""

    def pack(self) -> bytes:
        """Return it as bytes."""
        head = json.dumps([self.what, self.member, len(self.weights)]).encode()
        return b"\n".join([head, self.weights + self.structures])

    @classmethod
    def unpack(cls, packed: bytes) -> Request:
        """Return what `pack` packed."""
        head, _, rest = packed.partition(b"\n")
        what, member, n_bytes = json.loads(head)
        return cls(what, member, rest[:n_bytes], rest[n_bytes:])


class Losses:
    """The losses of a training, each over the structures of this rank."""

    def __init__(self, problem: Problem, settings: TrainSettings) -> None:
        self._problem, self._settings = problem, settings
        self._latest: tuple[int, Loss] | None = None

    def validation(self) -> Loss | None:
        """Return what all members are judged by, if there is something."""
        return self._problem.validation

    def training(self, member: int) -> Loss:
        """Return what a member minimises, counted from 0."""
        if not self._settings.bootstrap:
            return self._problem.training
        if self._latest is None or self._latest[0] != member:
            loss = resample(self._problem.training, self._settings.seed, member)
            self._latest = member, loss
        return self._latest[1]


class Lead(Losses):
    """The same on rank 0 of several: whoever calls one asks all ranks.

    Parameters
    ----------
    stop
        Signals that were noted on this rank.
    """

    def __init__(
        self,
        problem: Problem,
        settings: TrainSettings,
        ranks: Ranks,
        stop: Stop | None,
    ) -> None:
        super().__init__(problem, settings)
        self._ranks, self._stop = ranks, stop

    def validation(self) -> Loss | None:
        """Return what all members are judged by, if there is something."""
        loss = super().validation()
        return loss and _LedLoss(**vars(loss), lead=self, member=VALIDATION)

    def training(self, member: int) -> Loss:
        """Return what a member minimises, counted from 0."""
        return _LedLoss(**vars(super().training(member)), lead=self, member=member)

    def ask(self, request: Request) -> None:
        """Tell all ranks what to do next.

        Raises
        ------
        Stopped
            If a signal asked any of them for the end: then they wait for another
            request.
        """
        self._ranks.broadcast(request.pack())
        if number := _find_signal(self._ranks, self._stop):
            raise Stopped(number)

    def end(self, outcome: bytes) -> None:
        """Let the other ranks go."""
        self._ranks.broadcast(Request(END, weights=outcome).pack())


@dataclass(frozen=True, kw_only=True)
class _LedLoss(Loss):
    """A loss as rank 0 sees it."""

    lead: Lead
    member: int

    def _ask(self, what: str, weights_w: Array, structures: bytes = b"") -> None:
        weights = np.asarray(weights_w, dtype=np.float64).tobytes()
        self.lead.ask(Request(what, self.member, weights, structures))

    def compute(self, weights_w: Array) -> Pass:
        self._ask("compute", weights_w)
        return super().compute(weights_w)

    def measure(self, weights_w: Array) -> tuple[float, Errors]:
        self._ask("measure", weights_w)
        return super().measure(weights_w)

    def compute_share(
        self, weights_w: Array, structures: Integers
    ) -> tuple[float, Array]:
        self._ask("compute_share", weights_w, structures.tobytes())
        return super().compute_share(weights_w, structures)


def follow(losses: Losses, ranks: Ranks, stop: Stop | None) -> bytes:
    """Do what rank 0 asks for, until it lets this rank go; return what came out."""
    while True:
        request = Request.unpack(ranks.broadcast(b""))
        if request.what == END:
            return request.weights
        if _find_signal(ranks, stop) or request.what == LOOK:
            continue
        _visit(losses, request)


def _visit(losses: Losses, request: Request) -> None:
    """Call a loss for what this rank adds to it; what comes out is for rank 0."""
    if request.member == VALIDATION:
        loss = losses.validation()
    else:
        loss = losses.training(request.member)
    assert loss is not None
    weights_w = np.frombuffer(request.weights)
    if request.what == "compute":
        loss.compute(weights_w)
    elif request.what == "measure":
        loss.measure(weights_w)
    else:
        loss.compute_share(weights_w, np.frombuffer(request.structures, np.int64))


def _find_signal(ranks: Ranks, stop: Stop | None) -> int:
    """Return a signal that asked any rank for the end; 0: none did."""
    noted = 0 if stop is None else stop.number or 0
    return int(ranks.maximum(np.array([noted]))[0])
