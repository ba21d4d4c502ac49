"""Fingerprint set -> potential: what ``annpot train`` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from annpot.accuracy import Errors, compute_errors
from annpot.dataset import Split, references, split, subset
from annpot.descriptors import Descriptor, Features
from annpot.errors import TrainingError
from annpot.evaluation import Row, error_table
from annpot.extrapolation import fit_domain
from annpot.fingerprints import FingerprintSet
from annpot.loss import Loss, LossWeights, References, Values
from annpot.networks import Network, initial_network
from annpot.optimizers.adam import run_adam
from annpot.optimizers.lbfgs import run_lbfgs
from annpot.pairs import find_nearest, find_pairs
from annpot.potential import Potential, assemble
from annpot.scaling import (
    Scaling,
    Statistics,
    compute_statistics,
    fit_whitening,
    fit_zscore,
)
from annpot.settings import TrainSettings
from annpot.structures.structure import Array, Batch

DOMAIN_FLOOR = 1e-4
"""Floor of the variances for distances from the training data."""
N_TEST_VECTORS = 3
EPOCHS = {"lbfgs": 1000, "adam": 250}
"""Of each method, if the settings do not say."""


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch."""

    number: int
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


@dataclass(frozen=True)
class Result:
    """A trained potential and how good it is."""

    potential: Potential
    best: Epoch | None
    n_epochs: int
    reason: str
    """Why the training ended."""
    table: list[Row]


class _Trainer:
    """Keeps the best weights while an optimiser runs, and says when to stop."""

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
        self.best_loss = np.inf
        self.best_w: Array | None = None
        self.best: Epoch | None = None
        self.n_epochs = 0
        self.reason = "all epochs done"

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
        better = held_loss < self.best_loss
        epoch = Epoch(
            number=self.n_epochs,
            loss=loss,
            train=_errors(self.training, values),
            validation=_errors(held_out, held_values)
            if self.validation is not None
            else Errors(*[np.nan] * 4),
            seconds=time.monotonic() - self.start,
            best=bool(better),
        )
        if better:
            self.best_loss, self.best_w, self.best = held_loss, weights_w, epoch
        self.on_epoch(epoch)
        return self._goes_on(epoch)

    def _goes_on(self, epoch: Epoch) -> bool:
        limit, patience = self.settings.time_limit, self.settings.patience
        if limit is not None and epoch.seconds > limit:
            self.reason = "time limit"
        elif (
            patience is not None
            and self.best is not None
            and epoch.number - self.best.number >= patience
        ):
            self.reason = f"no better validation for {patience} epochs"
        else:
            return True
        return False


def _errors(loss: Loss, values: Values) -> Errors:
    F_nc = np.nan if loss.energies_only else values.F_nc
    return compute_errors(
        values.E_s - loss.references.E_s, loss.atoms_s, F_nc - loss.references.F_nc
    )


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
    training, validation, shift = _pose(fingerprints, settings, parts, weights_rng)
    epochs = settings.epochs or EPOCHS[settings.method]
    on_plan(_plan(parts, training, epochs))
    trainer = _Trainer(training, validation, settings, on_epoch)
    start_w = np.concatenate([network.flatten() for network in training.networks])
    try:
        _optimise(trainer, start_w, epochs, order_rng)
    except KeyboardInterrupt:
        trainer.reason = "interrupted"
    if trainer.best_w is None:
        raise TrainingError(
            f"'{fingerprints.path}': no epoch was finished: {trainer.reason}; please "
            "lower the weights of the loss"
        )
    potential = _assemble(fingerprints, training, trainer.best_w, shift)
    small = _small_structures(training.batch)
    del training, validation, trainer.training, trainer.validation  # the pairs
    try:
        table = error_table(potential, fingerprints, parts)
    except KeyboardInterrupt:  # a second one: no table, but the potential
        table = []
    provenance = _provenance(fingerprints, settings, parts, trainer, table)
    potential = replace(potential, provenance=provenance).with_test_vectors(small)
    return Result(potential, trainer.best, trainer.n_epochs, trainer.reason, table)


def _pose(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    parts: Split,
    rng: np.random.Generator,
) -> tuple[Loss, Loss | None, float]:
    """Return the losses for training and validation, and the energy shift, eV/atom."""
    descriptor = fingerprints.descriptor
    features = _compute_features(descriptor, subset(fingerprints.batch, parts.train))
    _check_species(fingerprints, features)
    blocks = features.blocks(features.G_f)
    scalings = [_fit_scaling(compute_statistics(G_nf), settings) for G_nf in blocks]
    known = references(fingerprints, parts.train)
    shift = _energy_shift(known, features.batch)
    known = _shifted(known, shift, features.batch)
    scale = _energy_scale(known, features.batch)
    networks = _initial_networks(descriptor, settings, rng)
    weights = LossWeights(
        settings.energy_weight,
        settings.force_weight,
        settings.stress_weight,
        settings.l2,
    )

    def make_loss(features: Features, known: References) -> Loss:
        _check_references(fingerprints, known, settings)
        return Loss(descriptor, features, known, scalings, networks, scale, weights)

    training = make_loss(features, known)
    if not len(parts.validation):
        return training, None, shift
    batch = subset(fingerprints.batch, parts.validation)
    held = _shifted(references(fingerprints, parts.validation), shift, batch)
    return training, make_loss(_compute_features(descriptor, batch), held), shift


def _assemble(
    fingerprints: FingerprintSet, training: Loss, weights_w: Array, shift: float
) -> Potential:
    """Return the potential of trained networks, without provenance."""
    features = training.features
    return assemble(
        training.descriptor,
        training.split(weights_w),
        training.scalings,
        [fit_domain(G, DOMAIN_FLOOR) for G in features.blocks(features.G_f)],
        reference_energies=fingerprints.reference_energies,
        energy_shift=shift,
        energy_scale=training.scale,
        shortest_st=_shortest(features),
        provenance={},
    )


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


def _compute_features(descriptor: Descriptor, batch: Batch) -> Features:
    neighbours = find_pairs(batch, descriptor.cutoffs)
    return descriptor.compute_features(batch, neighbours)


def _check_species(fingerprints: FingerprintSet, features: Features) -> None:
    for symbol, atoms in zip(features.batch.species, features.atoms_s, strict=True):
        if not len(atoms):
            raise TrainingError(
                f"'{fingerprints.path}': no {symbol} atom among the training "
                "structures, expected some of each species"
            )


def _check_references(
    fingerprints: FingerprintSet, known: References, settings: TrainSettings
) -> None:
    """Check that the loss has something to be computed from, stress if asked for."""
    with_stress = np.isfinite(known.stress_sv).any()
    with_forces = np.isfinite(known.F_nc).any()
    if settings.stress_weight > 0 and not with_stress:
        raise TrainingError(
            f"'{fingerprints.path}': train.stress_weight is {settings.stress_weight:g},"
            " but no training or no "
            "validation structure has a reference stress"
        )
    if settings.energy_weight == 0 and not with_forces and not with_stress:
        raise TrainingError(
            f"'{fingerprints.path}': train.energy_weight is 0, but no training or no "
            "validation structure has forces"
        )


def _fit_scaling(statistics: Statistics, settings: TrainSettings) -> Scaling:
    if settings.scaling == "zscore":
        return fit_zscore(statistics)
    return fit_whitening(statistics, settings.whitening_floor)


def _energy_shift(known: References, batch: Batch) -> float:
    return float(np.mean(known.E_s / batch.atoms_s))


def _shifted(known: References, shift: float, batch: Batch) -> References:
    return replace(known, E_s=known.E_s - shift * batch.atoms_s)


def _energy_scale(known: References, batch: Batch) -> float:
    """Return the spread of the energies per atom, or 1 eV if there is none."""
    spread = float(np.std(known.E_s / batch.atoms_s))
    return spread if spread > 1e-6 else 1.0


def _initial_networks(
    descriptor: Descriptor, settings: TrainSettings, rng: np.random.Generator
) -> list[Network]:
    networks = []
    for symbol, n_features in zip(
        descriptor.species, descriptor.n_features_s, strict=True
    ):
        hidden = settings.hidden
        if isinstance(hidden, Mapping):
            if symbol not in hidden:
                raise TrainingError(
                    f"train.hidden: no layers for {symbol}, expected some for each of "
                    f"{', '.join(descriptor.species)}"
                )
            hidden = hidden[symbol]
        sizes = (int(n_features), *hidden, 1)
        networks.append(initial_network(sizes, settings.activation, rng))
    return networks


def _plan(parts: Split, training: Loss, epochs: int) -> Plan:
    batch, networks = training.batch, training.networks
    return Plan(
        n_structures={name: len(ids) for name, ids in asdict(parts).items()},
        n_references=_count_references(training.references, batch),
        n_atoms=batch.n_atoms,
        n_weights=sum(network.n_weights for network in networks),
        layers={
            symbol: network.sizes
            for symbol, network in zip(batch.species, networks, strict=True)
        },
        epochs=epochs,
    )


def _count_references(known: References, batch: Batch) -> dict[str, int]:
    first_F = known.F_nc[batch.first_s[:-1], 0]
    return {
        "energy": int(np.isfinite(known.E_s).sum()),
        "force": int(np.isfinite(first_F).sum()),
        "stress": int(np.isfinite(known.stress_sv[:, 0]).sum()),
    }


def _shortest(features: Features) -> Array:
    nearest_nt = find_nearest(features.neighbours)
    n_species = nearest_nt.shape[1]
    shortest_st = np.full((n_species, n_species), np.inf)
    np.minimum.at(shortest_st, features.batch.species_n, nearest_nt)
    return shortest_st


def _small_structures(batch: Batch) -> Batch:
    """Return the smallest structures that hold each species, and some more."""
    order = np.argsort(batch.atoms_s, kind="stable")
    chosen = list(order[:N_TEST_VECTORS])
    for s in range(len(batch.species)):
        with_species = np.unique(batch.structure_n[batch.species_n == s])
        if not np.isin(with_species, chosen).any():
            chosen.append(with_species[batch.atoms_s[with_species].argmin()])
    return subset(batch, np.array(chosen))


def _provenance(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    parts: Split,
    trainer: _Trainer,
    table: list[Row],
) -> dict[str, Any]:
    assert trainer.best is not None
    return {
        "set": {"file": fingerprints.path.name, "sha256": fingerprints.sha256},
        "split": {
            "n_train": len(parts.train),
            "validation": parts.validation.tolist(),
            "test": parts.test.tolist(),
        },
        "settings": settings.model_dump(mode="json"),
        "epochs": trainer.n_epochs,
        "best_epoch": trainer.best.number,
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
