"""Fingerprint set -> potential: what ``annpot train`` does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from annpot.accuracy import Errors, compute_errors
from annpot.bootstrap import draw_counts, reweigh
from annpot.committee import Committee
from annpot.dataset import Split, split
from annpot.errors import TrainingError
from annpot.evaluation import Row, calibrate, error_table
from annpot.fingerprints import FingerprintSet
from annpot.loss import Loss
from annpot.objective import References, Values
from annpot.optimizers.adam import run_adam
from annpot.optimizers.lbfgs import run_lbfgs
from annpot.planning import MemoryPlan
from annpot.posing import Problem, pose, small_structures
from annpot.potential import Potential, assemble
from annpot.settings import TrainSettings
from annpot.structures.structure import Array, Batch

EPOCHS = {"lbfgs": 300, "adam": 100}
"""Of each method, if the settings do not say."""


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch."""

    number: int
    member: int
    """Counted from 1, as epochs are; those run on from member to member."""
    loss: float
    train: Errors
    validation: Errors
    seconds: float
    best: bool
    """Whether no epoch before had a smaller validation loss."""


@dataclass(frozen=True)
class Plan:
    """What is about to be trained."""

    n_structures: dict[str, int]
    n_references: dict[str, int]
    """Training structures that have an energy, forces, a stress to fit to."""
    n_atoms: int
    n_weights: int
    layers: dict[str, tuple[int, ...]]
    epochs: int
    """Of each member."""
    members: int
    memory: MemoryPlan


@dataclass(frozen=True)
class Result:
    """A trained potential, or the committee of its members, and how good it is."""

    potential: Potential | Committee
    best: list[Epoch]
    """The epoch that was kept of each member."""
    n_epochs: int
    reason: str
    """Why the training ended."""
    table: list[Row]


class _Trainer:
    """Keeps the best weights while an optimiser runs, and says when to stop.

    Members are trained one after the other; epochs and time run on.
    """

    def __init__(
        self,
        training: Loss,
        validation: Loss | None,
        settings: TrainSettings,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self.training, self.validation = training, validation
        self.settings, self.on_epoch = settings, on_epoch
        self.start = time.monotonic()
        self.n_epochs = self.member = 0
        self.reason = "all epochs done"
        self.kept: list[tuple[Epoch, Array]] = []
        """Epoch and weights of each member so far."""
        self._best_loss = np.inf

    def begin_member(self) -> None:
        """Start to look for the best weights of a further member."""
        self.member += 1
        self._best_loss = np.inf

    def interrupt(self) -> None:
        """End; a member that is not done would spoil the mean of those that are."""
        self.reason = "interrupted"
        if len(self.kept) > 1 and np.isfinite(self._best_loss):
            self.kept.pop()

    def step(self, weights_w: Array, loss: float, values: Values) -> bool:
        """Judge the weights after an epoch; return whether to go on."""
        if not np.isfinite(loss):
            self.reason = "the loss is not finite any more"
            return False
        self.n_epochs += 1
        held_out = self.validation or self.training
        if self.validation is not None:
            held_values = self.validation.compute_values(weights_w)
        else:
            held_values = values
        held_loss = held_out.compute_loss(held_values)
        better = held_loss < self._best_loss
        epoch = Epoch(
            number=self.n_epochs,
            member=self.member,
            loss=loss,
            train=_errors(self.training, values),
            validation=_errors(held_out, held_values)
            if self.validation is not None
            else Errors(*[np.nan] * 4),
            seconds=time.monotonic() - self.start,
            best=bool(better),
        )
        if better:
            if np.isfinite(self._best_loss):
                self.kept.pop()
            self._best_loss = held_loss
            self.kept.append((epoch, weights_w))
        self.on_epoch(epoch)
        return self._goes_on(epoch)

    def _goes_on(self, epoch: Epoch) -> bool:
        patience, members = self.settings.patience, self.settings.members
        limit = (self.settings.time_limit or np.inf) * self.member / members
        if epoch.seconds > limit:
            self.reason = "time limit"
        elif (
            patience is not None
            and self.kept
            and epoch.number - self.kept[-1][0].number >= patience
        ):
            self.reason = f"no better validation for {patience} epochs"
        else:
            return True
        return False


def _errors(loss: Loss, values: Values) -> Errors:
    targets = loss.targets
    known, atoms_s = targets.references, targets.batch.atoms_s
    F_nc = values.F_nc if loss.objective.with_forces else np.nan
    return compute_errors(values.E_s - known.E_s, atoms_s, F_nc - known.F_nc)


def train(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Result:
    """Return the potential fitted to a fingerprint set.

    An optimiser of scipy runs the show, hence callbacks and not a generator. An
    interrupt by the keyboard ends the training and keeps the best potential so far.

    Raises
    ------
    TrainingError
        If the set and the settings do not allow a fit.
    """
    split_rng, weights_rng, order_rng = np.random.default_rng(settings.seed).spawn(3)
    parts = split(
        fingerprints, settings.test_fraction, settings.validation_fraction, split_rng
    )
    problem = pose(fingerprints, settings, parts, weights_rng)
    epochs = settings.epochs or EPOCHS[settings.method]
    on_plan(_plan(parts, problem, epochs, settings.members))
    trainer = _Trainer(problem.training, problem.validation, settings, on_epoch)
    model, batch = problem.training.model, problem.training.targets.batch
    start_w = model.flatten()
    try:
        for k in range(settings.members):
            trainer.begin_member()
            if settings.bootstrap:
                counts_s = draw_counts(settings.seed, k, batch.n_structures)
                trainer.training = reweigh(problem.training, counts_s)
            _optimise(trainer, start_w, epochs, order_rng)
            start_w = model.restart(weights_rng).flatten()
    except KeyboardInterrupt:
        trainer.interrupt()
    if not trainer.kept:
        raise TrainingError(
            f"'{fingerprints.path}': no epoch was finished: {trainer.reason}; please "
            "lower the weights of the loss"
        )
    members = _assemble_members(problem, fingerprints, trainer.kept)
    del problem, trainer.training, trainer.validation  # what is kept of shards
    potential = Committee(members) if len(members) > 1 else members[0]
    try:
        table = error_table(potential, fingerprints, parts)
        if isinstance(potential, Committee):
            potential = calibrate(potential, fingerprints, parts.validation)
    except KeyboardInterrupt:  # a second one: no table, but the potential
        table = []
    provenance = _provenance(fingerprints, settings, parts, trainer, table)
    potential = _describe(potential, provenance, small_structures(batch))
    best = [epoch for epoch, _ in trainer.kept]
    return Result(potential, best, trainer.n_epochs, trainer.reason, table)


def _assemble_members(
    problem: Problem, fingerprints: FingerprintSet, kept: list[tuple[Epoch, Array]]
) -> tuple[Potential, ...]:
    """Return the potential of the weights that were kept of each member."""
    model = problem.training.model
    return tuple(
        assemble(
            model.descriptor,
            model.split(weights_w),
            model.scalings,
            problem.domains,
            reference_energies=fingerprints.reference_energies,
            energy_shift=problem.shift,
            energy_scale=model.scale,
            shortest_st=problem.shortest_st,
            provenance={},
        )
        for _, weights_w in kept
    )


def _describe(
    potential: Potential | Committee, provenance: dict[str, Any], batch: Batch
) -> Potential | Committee:
    """Return the potential, or each member, with its provenance and test vectors."""
    if isinstance(potential, Potential):
        return replace(potential, provenance=provenance).with_test_vectors(batch)
    members = tuple(
        replace(member, provenance=provenance | {"member": k}).with_test_vectors(batch)
        for k, member in enumerate(potential.members)
    )
    return replace(potential, members=members)


def _optimise(
    trainer: _Trainer, start_w: Array, epochs: int, rng: np.random.Generator
) -> None:
    loss, settings = trainer.training, trainer.settings
    if settings.method == "lbfgs":
        memory = settings.lbfgs.memory
        reason = run_lbfgs(loss, start_w, epochs, memory, trainer.step)
        trainer.reason = reason or trainer.reason
        return

    def step(weights_w: Array) -> bool:
        values = loss.compute_values(weights_w)
        return trainer.step(weights_w, loss.compute_loss(values), values)

    run_adam(
        loss,
        start_w,
        epochs,
        start=settings.adam.learning_rate,
        schedule=settings.adam.schedule,
        batch=settings.adam.batch,
        averaging=settings.adam.averaging,
        rng=rng,
        step=step,
    )


def _plan(parts: Split, problem: Problem, epochs: int, members: int) -> Plan:
    targets, networks = problem.training.targets, problem.training.model.networks
    batch = targets.batch
    return Plan(
        n_structures={name: len(ids) for name, ids in asdict(parts).items()},
        n_references=_count_references(targets.references, batch),
        n_atoms=batch.n_atoms,
        n_weights=sum(network.n_weights for network in networks),
        layers={
            symbol: network.sizes
            for symbol, network in zip(batch.species, networks, strict=True)
        },
        epochs=epochs,
        members=members,
        memory=problem.memory,
    )


def _count_references(known: References, batch: Batch) -> dict[str, int]:
    first_F = known.F_nc[batch.first_s[:-1], 0]
    return {
        "energy": int(np.isfinite(known.E_s).sum()),
        "force": int(np.isfinite(first_F).sum()),
        "stress": int(np.isfinite(known.stress_sv[:, 0]).sum()),
    }


def _provenance(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    parts: Split,
    trainer: _Trainer,
    table: list[Row],
) -> dict[str, Any]:
    return {
        "set": {"file": fingerprints.path.name, "sha256": fingerprints.sha256},
        "split": {
            "n_train": len(parts.train),
            "validation": parts.validation.tolist(),
            "test": parts.test.tolist(),
        },
        "settings": settings.model_dump(mode="json"),
        "epochs": trainer.n_epochs,
        "best_epochs": [epoch.number for epoch, _ in trainer.kept],
        "ended": trainer.reason,
        "errors": {
            row.set: {
                name: None if np.isnan(value) else value
                for name, value in asdict(row.errors).items()
            }
            for row in table
            if row.kind == "all"
        },
    }
