"""Fingerprint set -> potential: what ``annpot train`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from annpot.checkpoints.checkpoint import Checkpoint
from annpot.checkpoints.keeper import Keeper
from annpot.checkpoints.progress import Epoch, Progress
from annpot.committee import Committee
from annpot.dataset import Split, split
from annpot.errors import TrainingError
from annpot.evaluation import Row, calibrate, error_table
from annpot.fingerprints import FingerprintSet
from annpot.minimisation import minimise
from annpot.objective import References
from annpot.parallel import ALONE, Ranks
from annpot.planning import MemoryPlan
from annpot.posing import Problem, pose, small_structures
from annpot.potential import Potential, assemble
from annpot.runs.interruption import Stop
from annpot.settings import TrainSettings
from annpot.structures.structure import Array, Batch

EPOCHS = {"lbfgs": 300, "adam": 100}
"""Of each method, if the settings do not say."""


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


def train(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    keeper: Keeper | None = None,
    begun: Checkpoint | None = None,
    stop: Stop | None = None,
    ranks: Ranks = ALONE,
) -> Result:
    """Return the potential fitted to a fingerprint set.

    Ctrl-C, `Stopped` by it or by a lost terminal, and the time limit end the training
    and keep the best potential so far.

    Parameters
    ----------
    on_epoch, keeper, begun
        What takes each epoch, what writes checkpoints, and the one to go on from: of
        several ranks, all are those of rank 0.
    stop
        Signals that are noted: any rank's stops all of them.
    ranks
        They share the structures, and all get the same result.

    Raises
    ------
    TrainingError
        If the set and the settings do not allow a fit.
    AnnpotError
        If ``begun`` is of another set or other settings.
    Stopped
        By a signal that leaves no time for more than a checkpoint.
    """
    if begun is not None:
        begun.check(fingerprints, settings)
    split_rng, weights_rng, order_rng = np.random.default_rng(settings.seed).spawn(3)
    parts = split(
        fingerprints, settings.test_fraction, settings.validation_fraction, split_rng
    )
    problem = pose(fingerprints, settings, parts, weights_rng, ranks)
    epochs = settings.epochs or EPOCHS[settings.method]
    if begun is not None:
        begun.check_sizes(problem)
    on_plan(_plan(parts, problem, epochs, settings.members))
    progress = minimise(
        problem,
        settings,
        epochs,
        {"weights": weights_rng, "order": order_rng},
        on_epoch,
        keeper,
        None if begun is None else begun.progress,
        stop,
        ranks,
    )
    if not progress.kept:
        raise TrainingError(
            f"'{fingerprints.path}': no epoch was finished: {progress.reason}; please "
            "lower the weights of the loss"
        )
    members = _assemble_members(problem, fingerprints, progress.kept)
    potential = Committee(members) if len(members) > 1 else members[0]
    small = small_structures(problem.training.targets.batch)
    del problem  # what is kept of shards
    try:
        table = error_table(potential, fingerprints, parts, ranks)
        if isinstance(potential, Committee):
            potential = calibrate(potential, fingerprints, parts.validation, ranks)
    except KeyboardInterrupt:  # a second one: no table, but the potential
        if ranks.size > 1:  # the others wait for this one
            raise
        table = []
    provenance = _provenance(fingerprints, settings, parts, progress, table)
    potential = _describe(potential, provenance, small)
    best = [epoch for epoch, _ in progress.kept]
    return Result(potential, best, progress.n_epochs, progress.reason, table)


def _assemble_members(
    problem: Problem, fingerprints: FingerprintSet, kept: Sequence[tuple[Epoch, Array]]
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
    progress: Progress,
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
        "epochs": progress.n_epochs,
        "best_epochs": [epoch.number for epoch, _ in progress.kept],
        "ended": progress.reason,
        "errors": {
            row.set: {
                name: None if np.isnan(value) else value
                for name, value in asdict(row.errors).items()
            }
            for row in table
            if row.kind == "all"
        },
    }
