"""Fingerprint set and settings -> the losses to minimise, prepared within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annpot import memory
from annpot.dataset import Split, references
from annpot.descriptors import Descriptor
from annpot.descriptors.cached_triplets import CachingDescriptor
from annpot.errors import SettingsError, TrainingError
from annpot.extrapolation import Domain
from annpot.fingerprints import FingerprintSet
from annpot.loss import Loss
from annpot.model import Model
from annpot.networks import Network, initial_network
from annpot.objective import LossWeights, Objective, References, Targets
from annpot.planning import SHARD_BYTES, Ledger, MemoryPlan, Size
from annpot.preparation import load_kernels, prepare, size_structures
from annpot.scaling import Scaling, Statistics, fit_whitening, fit_zscore
from annpot.settings import TrainSettings
from annpot.shards import cut
from annpot.structures.structure import Array, Batch, Integers

N_TEST_VECTORS = 3
LATER_BYTES = 10_000_000
"""What modules and memory pages need that are not used before the training."""


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, and what was learned on the way there."""

    training: Loss
    validation: Loss | None
    shift: float
    """Of the energies, eV/atom."""
    domains: list[Domain]
    shortest_st: Array
    memory: MemoryPlan


def pose(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    parts: Split,
    rng: np.random.Generator,
) -> Problem:
    """Return the losses for training and validation.

    Raises
    ------
    TrainingError, SettingsError
        If the set and the settings do not allow a fit.
    """
    descriptor = fingerprints.descriptor
    training, shift = _training_targets(fingerprints, parts.train, settings)
    scale = _energy_scale(training)
    sets = [training]
    if len(parts.validation):
        sets.append(_targets(fingerprints, parts.validation, shift, settings))
    weights = LossWeights(
        settings.energy_weight,
        settings.force_weight,
        settings.stress_weight,
        settings.l2,
    )
    objectives = [Objective.of(weights, targets) for targets in sets]
    networks = _initial_networks(descriptor, settings, rng)
    forces = any(objective.with_forces for objective in objectives)
    virials = any(objective.with_stress for objective in objectives)
    caching = CachingDescriptor(descriptor.parts, strains=virials)
    parts_of, sizes = _cut(fingerprints, caching, sets, networks, forces)
    rest = memory.resident() + LATER_BYTES + _optimiser_bytes(settings, networks, sets)
    budget = memory.budget(settings.memory)
    ledger = Ledger(sizes, budget.bytes - rest, forces=forces)

    def make_model(statistics: Sequence[Statistics]) -> Model:
        scalings = [_fit_scaling(found, settings) for found in statistics]
        return Model(descriptor, networks, scalings, scale)

    prepared = prepare(caching, parts_of, ledger, make_model)
    losses = [
        Loss(prepared.model, objective, targets, shards)
        for objective, targets, shards in zip(
            objectives, sets, prepared.shards_of, strict=True
        )
    ]
    plan = MemoryPlan(
        budget=budget,
        n_shards=len(sizes),
        kept=ledger.tally(),
        forces=forces,
        derivatives=bool(caching.caches),
        expected=max(memory.peak(), rest + ledger.peak()),
    )
    return Problem(
        losses[0],
        losses[1] if losses[1:] else None,
        shift,
        prepared.domains,
        prepared.shortest_st,
        plan,
    )


def _cut(
    fingerprints: FingerprintSet,
    descriptor: CachingDescriptor,
    sets: Sequence[Targets],
    networks: Sequence[Network],
    forces: bool,
) -> tuple[list[list[Targets]], list[Size]]:
    """Return the shards of each set, and the sizes of all shards.

    They depend on the sets and the networks, never on the memory that is free.
    """
    state_bytes = load_kernels(descriptor, small_structures(sets[0].batch))
    parts_of, sizes = [], []
    for targets in sets:
        size_s = size_structures(
            descriptor,
            targets.batch,
            fingerprints.environments.neighbours_s[:, 1],
            [sum(network.sizes[1:]) for network in networks],
            state_bytes if forces else 0.0,
        )
        edges = cut(size_s.work, SHARD_BYTES)
        parts_of.append([targets.part(*edge) for edge in edges])
        sizes += [size_s.part(*edge) for edge in edges]
    return parts_of, sizes


def _optimiser_bytes(
    settings: TrainSettings, networks: Sequence[Network], sets: Sequence[Targets]
) -> int:
    """Return what the optimiser and the values of all structures need."""
    n_vectors = 2 * settings.lbfgs.memory + 12 if settings.method == "lbfgs" else 10
    n_weights = sum(network.n_weights for network in networks)
    # values now and at the last point, their parts, deviations and derivatives
    n_values = 8 * sum(targets.references.F_nc.size for targets in sets)
    return 8 * (n_vectors * n_weights + n_values)


def _training_targets(
    fingerprints: FingerprintSet, structures: Integers, settings: TrainSettings
) -> tuple[Targets, float]:
    """Return what is trained on, and the shift of the energies."""
    batch = fingerprints.batch.take(structures)
    _check_species(fingerprints, batch)
    known = references(fingerprints, structures)
    shift = float(np.mean(known.E_s / batch.atoms_s))
    return _targets(fingerprints, structures, shift, settings), shift


def _targets(
    fingerprints: FingerprintSet,
    structures: Integers,
    shift: float,
    settings: TrainSettings,
) -> Targets:
    batch = fingerprints.batch.take(structures)
    known = references(fingerprints, structures)
    _check_references(fingerprints, known, settings)
    E_s = known.E_s - shift * batch.atoms_s
    return Targets.of(batch, replace(known, E_s=E_s))


def _check_species(fingerprints: FingerprintSet, batch: Batch) -> None:
    for s, symbol in enumerate(batch.species):
        if not (batch.species_n == s).any():
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


def _energy_scale(targets: Targets) -> float:
    """Return the spread of the energies per atom, or 1 eV if there is none."""
    spread = float(np.std(targets.references.E_s / targets.batch.atoms_s))
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
                raise SettingsError(
                    "train.hidden",
                    f"no layers for {symbol}, expected some for each of "
                    f"{', '.join(descriptor.species)}",
                )
            hidden = hidden[symbol]
        sizes = (int(n_features), *hidden, 1)
        networks.append(initial_network(sizes, settings.activation, rng))
    return networks


def small_structures(batch: Batch) -> Batch:
    """Return the smallest structures that hold each species, and some more."""
    order = np.argsort(batch.atoms_s, kind="stable")
    chosen = list(order[:N_TEST_VECTORS])
    for s in range(len(batch.species)):
        with_species = np.unique(batch.structure_n[batch.species_n == s])
        if not np.isin(with_species, chosen).any():
            chosen.append(with_species[batch.atoms_s[with_species].argmin()])
    return batch.take(np.array(chosen))
