"""The trainer: trains members, keeps their best weights, knows when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

import numpy as np

from annpot.accuracy import Errors
from annpot.checkpoints.progress import Epoch, Progress, State
from annpot.loss import Loss
from annpot.optimizers import adam, lbfgs
from annpot.requests import Losses
from annpot.settings import TrainSettings
from annpot.structures.structure import Array


class Trainer:
    """Trains the members one after the other; epochs and time run on.

    `progress` is replaced after each step of the optimiser, as a whole: whatever
    interrupts the training, it can go on from there.

    Parameters
    ----------
    generators
        Of the ``weights`` before a training and of the ``order`` of structures.
    on_progress
        Called after each step.
    begun
        Where to go on from.
    """

    def __init__(
        self,
        losses: Losses,
        settings: TrainSettings,
        epochs: int,
        generators: Mapping[str, np.random.Generator],
        on_epoch: Callable[[Epoch], None],
        on_progress: Callable[[Progress], None],
        begun: Progress | None = None,
    ) -> None:
        self._losses, self.validation = losses, losses.validation()
        self.settings, self.epochs = settings, epochs
        self.on_epoch, self.on_progress = on_epoch, on_progress
        self._generators = generators
        self._start = time.monotonic()
        if begun is not None:
            for name, generator in generators.items():
                generator.bit_generator.state = begun.random[name]
        self._begun = begun or Progress(self._random())
        self.progress = self._begun

    @property
    def training(self) -> Loss:
        """What the present member sees of the training set."""
        return self._losses.training(self.progress.n_done)

    def run(self) -> None:
        """Train all members that are not done, or until the time is up."""
        while not self.done and not self._time_is_up():
            reason = self._train_member()
            if reason is None:
                return
            self.progress = replace(
                self.progress,
                n_done=self.progress.n_done + 1,
                best_loss=np.inf,
                state=None,
                reason=reason,
                random=self._random(),
            )
            self.on_progress(self.progress)

    @property
    def done(self) -> bool:
        """Whether all members are done."""
        return self.progress.n_done >= self.settings.members

    def leave(self, reason: str) -> None:
        """End; a member that is not done would spoil the mean of those that are."""
        progress = replace(self.progress, reason=reason)
        if len(progress.kept) > 1 and np.isfinite(progress.best_loss):
            progress = replace(progress, kept=progress.kept[:-1])
        self.progress = progress

    def _train_member(self) -> str | None:
        """Return why it ended; ``None``: it did not, but the time is up."""
        states = self._iterate(self.progress.state or self._begin())
        while (reason := self._find_end(self.progress)) is None:
            if self._time_is_up():
                return None
            try:
                state = next(states)
            except StopIteration as end:
                return end.value or "all epochs done"
            if not self._take(state):
                return "the loss is not finite any more"
            self.on_progress(self.progress)
        return reason

    def _begin(self) -> State:
        """Return the state of the next member before its first step."""
        model = self.training.model
        if self.progress.n_done:
            model = model.restart(self._generators["weights"])
        if self.settings.method == "lbfgs":
            memory = self.settings.lbfgs.memory
            return lbfgs.start(self.training, model.flatten(), memory)
        return adam.start(model.flatten(), self.settings.adam.averaging)

    def _iterate(self, state: State) -> Generator[State, None, str | None]:
        if isinstance(state, lbfgs.State):
            return lbfgs.iterate(self.training, state, self.epochs)
        return adam.iterate(
            self.training,
            state,
            self.epochs,
            self.settings.adam,
            self._generators["order"],
        )

    def _take(self, state: State) -> bool:
        """Note how far the training is; return whether the loss is finite."""
        progress = replace(
            self.progress, state=state, seconds=self._seconds(), random=self._random()
        )
        if state.complete:
            loss, errors = self._measure(state)
            if not np.isfinite(loss):
                return False
            progress = self._judge(progress, state.weights_w, loss, errors)
        self.progress = progress
        return True

    def _measure(self, state: State) -> tuple[float, Errors]:
        """Return what the training structures say of the weights after an epoch."""
        if isinstance(state, lbfgs.State) and state.point.errors is not None:
            return state.point.loss, state.point.errors
        return self.training.measure(state.weights_w)

    def _judge(
        self, progress: Progress, weights_w: Array, loss: float, errors: Errors
    ) -> Progress:
        """Return the progress with a further epoch."""
        held_loss, held_errors = loss, Errors(*[np.nan] * 4)
        if self.validation is not None:
            held_loss, held_errors = self.validation.measure(weights_w)
        epoch = Epoch(
            number=progress.n_epochs + 1,
            member=progress.n_done + 1,
            loss=loss,
            train=errors,
            validation=held_errors,
            seconds=progress.seconds,
            best=bool(held_loss < progress.best_loss),
        )
        self.on_epoch(epoch)
        progress = replace(progress, n_epochs=epoch.number)
        if not epoch.best:
            return progress
        kept = progress.kept
        if np.isfinite(progress.best_loss):
            kept = kept[:-1]
        kept = (*kept, (epoch, weights_w))
        return replace(progress, kept=kept, best_loss=held_loss)

    def _find_end(self, progress: Progress) -> str | None:
        """Return why the member ends after its last epoch, if it does."""
        if progress.state is None or not progress.state.complete:
            return None
        patience = self.settings.patience
        if (
            patience is not None
            and np.isfinite(progress.best_loss)
            and progress.n_epochs - progress.kept[-1][0].number >= patience
        ):
            return f"no better validation for {patience} epochs"
        return None

    def _time_is_up(self) -> bool:
        """Return whether this job has used its time; one epoch is done in any case."""
        limit = self.settings.time_limit
        seconds = self.progress.seconds - self._begun.seconds
        return limit is not None and bool(self.progress.kept) and seconds > limit

    def _seconds(self) -> float:
        return self._begun.seconds + time.monotonic() - self._start

    def _random(self) -> dict[str, dict[str, object]]:
        return {
            name: dict(generator.bit_generator.state)
            for name, generator in self._generators.items()
        }
