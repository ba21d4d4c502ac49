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
from annpot.kernels.threads import thread_count
from annpot.loss import Loss
from annpot.model import Model
from annpot.networks import Network, initial_network
from annpot.objective import LossWeights, Objective, References, Targets
from annpot.parallel import ALONE, Ranks, deal
from annpot.planning import (
    SHARD_ATOMS,
    SHARD_BYTES,
    Ledger,
    MemoryPlan,
    Size,
    count_visits,
)
from annpot.preparation import load_kernels, prepare, size_structures
from annpot.scaling import Scaling, Statistics, fit_whitening, fit_zscore
from annpot.settings import TrainSettings
from annpot.shards import Shard, cut
from annpot.structures.structure import Array, Batch, Integers

N_TEST_VECTORS = 3
DISTANCE_COPIES = 4
"""Of the distances: those found, together, as sent, and together as received."""
MATRICES = 3
"""Of the features of each species: covariances, and two maps made of them."""
OBJECT_BYTES = 5000
"""What Python needs for a shard beside its arrays: 4300 as it counts, and gaps."""
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
    ranks: Ranks = ALONE,
) -> Problem:
    """Return the losses for training and validation, each rank with its shards.

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
    shards_of, sizes = _cut(fingerprints, caching, sets, networks, forces, ranks)
    rest = memory.resident() + LATER_BYTES + OBJECT_BYTES * len(sizes)
    rest += _matrix_bytes(descriptor)
    rest += max(  # one after the other
        _survey_bytes(descriptor, len(shards_of[0])),
        _distance_bytes(training),
        _optimiser_bytes(settings, networks),
    )
    budget = memory.budget(settings.memory, ranks.local_size)
    room = budget.bytes - rest
    at_once = count_visits(sizes, room, thread_count())
    ledger = Ledger(sizes, room, forces=forces, at_once=at_once)

    def make_model(statistics: Sequence[Statistics]) -> Model:
        scalings = [_fit_scaling(found, settings, ranks) for found in statistics]
        return Model(descriptor, networks, scalings, scale)

    prepared = prepare(caching, shards_of, ledger, make_model, ranks)
    losses = [
        Loss(prepared.model, objective, targets, shards, ranks, at_once)
        for objective, targets, shards in zip(
            objectives, sets, prepared.shards_of, strict=True
        )
    ]
    tally = ranks.total([np.array(list(ledger.tally().values()), dtype=float)])
    expected = np.array([max(memory.peak(), rest + ledger.peak())])
    plan = MemoryPlan(
        budget=budget,
        n_shards=int(ranks.total([np.array([len(sizes)])])[0]),
        kept={
            name: (int(n), n_bytes)
            for name, (n, n_bytes) in zip(ledger.tally(), tally, strict=True)
        },
        forces=forces,
        derivatives=bool(caching.caches),
        expected=float(ranks.maximum(expected)[0]),
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
    ranks: Ranks,
) -> tuple[list[list[Shard]], list[Size]]:
    """Return the shards of each set that fall to this rank, and their sizes.

    Shards depend on the sets and the networks, never on ranks or memory that is free.
    """
    state_bytes = load_kernels(descriptor, small_structures(sets[0].batch))
    shards_of, sizes = [], []
    for targets in sets:
        size_s = size_structures(
            descriptor,
            targets.batch,
            fingerprints.environments.neighbours_s[:, 1],
            [sum(network.sizes[1:]) for network in networks],
            state_bytes if forces else 0.0,
        )
        cost_s = np.maximum(size_s.work / SHARD_BYTES, size_s.n_atoms / SHARD_ATOMS)
        edges = cut(cost_s)
        costs = np.array([size_s.work[first:last].sum() for first, last in edges])
        mine = [edges[k] for k in deal(costs, ranks)]
        shards_of.append([Shard(targets.part(*edge), edge[0]) for edge in mine])
        sizes += [size_s.part(*edge) for edge in mine]
    return shards_of, sizes


def _optimiser_bytes(settings: TrainSettings, networks: Sequence[Network]) -> int:
    """Return what the optimiser needs, and the sums of gradients of each thread."""
    n_vectors = 2 * settings.lbfgs.memory + 12 if settings.method == "lbfgs" else 10
    n_weights = sum(network.n_weights for network in networks)
    return 8 * (n_vectors + 8 * thread_count()) * n_weights


def _matrix_bytes(descriptor: Descriptor) -> int:
    """Return what the maps of the features to inputs and distances need."""
    return 8 * MATRICES * int((descriptor.n_features_s**2).sum())


def _survey_bytes(descriptor: Descriptor, n_shards: int) -> int:
    """Return what the means of the features of all training shards need."""
    return 8 * n_shards * int(descriptor.n_features_s.sum())


def _distance_bytes(training: Targets) -> int:
    """Return what the distances of all atoms need, while limits are fitted to them."""
    return 8 * DISTANCE_COPIES * training.batch.n_atoms


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


def _fit_scaling(
    statistics: Statistics, settings: TrainSettings, ranks: Ranks
) -> Scaling:
    """Return the scaling that rank 0 finds: other processors may turn components."""
    if settings.scaling == "zscore":
        return fit_zscore(statistics)
    scaling = fit_whitening(statistics, settings.whitening_floor)
    matrix = np.frombuffer(ranks.broadcast(scaling.matrix_ff.tobytes()))
    return replace(scaling, matrix_ff=matrix.reshape(scaling.matrix_ff.shape))


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
