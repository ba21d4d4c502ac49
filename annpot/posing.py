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
OBJECT_BYTES = 6000
"""What Python needs for a shard beside its arrays: 4200 to 5100 were counted."""
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
    sets, shift = _find_targets(fingerprints, parts, settings)
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
    budget = memory.budget(settings.memory, ranks.local_size)
    rest = _count_rest(sets[0], descriptor, networks, settings, shards_of)
    at_once = count_visits(sizes, budget.bytes - rest, thread_count())
    ledger = Ledger(sizes, budget.bytes - rest, forces=forces, at_once=at_once)
    scale = _energy_scale(sets[0])

    def make_model(statistics: Sequence[Statistics]) -> Model:
        scalings = [_fit_scaling(found, settings, ranks) for found in statistics]
        return Model(descriptor, networks, scalings, scale)

    prepared = prepare(caching, shards_of, ledger, make_model, ranks)
    losses = [
        Loss(prepared.model, *terms, ranks, at_once)
        for terms in zip(objectives, sets, prepared.shards_of, strict=True)
    ]
    return Problem(
        losses[0],
        losses[1] if losses[1:] else None,
        shift,
        prepared.domains,
        prepared.shortest_st,
        _plan(ledger, budget, rest, caching, ranks),
    )


def _count_rest(
    training: Targets,
    descriptor: Descriptor,
    networks: list[Network],
    settings: TrainSettings,
    shards_of: list[list[Shard]],
) -> float:
    """Return the bytes that the process needs beside shards and visits to them."""
    n_features_s = descriptor.n_features_s
    work = max(  # one after the other: means, limits of distances, optimiser
        8 * len(shards_of[0]) * int(n_features_s.sum()),
        8 * DISTANCE_COPIES * training.batch.n_atoms,
        _optimiser_bytes(settings, networks),
    )
    objects = OBJECT_BYTES * sum(map(len, shards_of))
    matrices = 8 * MATRICES * int((n_features_s**2).sum())
    return memory.resident() + LATER_BYTES + objects + matrices + work


def _plan(
    ledger: Ledger,
    budget: memory.Budget,
    rest: float,
    caching: CachingDescriptor,
    ranks: Ranks,
) -> MemoryPlan:
    """Return what all ranks keep, and the peak of the one that needs most."""
    names, counts = zip(*ledger.tally().items(), strict=True)
    rows = ranks.total([np.array(counts, dtype=float)]).tolist()
    expected = np.array([max(memory.peak(), rest + ledger.peak())])
    return MemoryPlan(
        budget=budget,
        n_shards=int(ranks.total([np.array([len(ledger.sizes)])])[0]),
        kept={
            name: (int(n), n_bytes)
            for name, (n, n_bytes) in zip(names, rows, strict=True)
        },
        forces=ledger.forces,
        derivatives=bool(caching.caches),
        expected=float(ranks.maximum(expected)[0]),
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


def _find_targets(
    fingerprints: FingerprintSet, parts: Split, settings: TrainSettings
) -> tuple[list[Targets], float]:
    """Return what is trained on, and validated with if there is that, and the shift."""
    batch = fingerprints.batch.take(parts.train)
    _check_species(fingerprints, batch)
    known = references(fingerprints, parts.train)
    shift = float(np.mean(known.E_s / batch.atoms_s))
    return [
        _targets(fingerprints, structures, shift, settings)
        for structures in (parts.train, parts.validation)
        if len(structures)
    ], shift


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
    for symbol, n_features in descriptor.n_features.items():
        hidden = settings.hidden
        if isinstance(hidden, Mapping):
            if symbol not in hidden:
                raise SettingsError(
                    "train.hidden",
                    f"no layers for {symbol}, expected some for each of "
                    f"{', '.join(descriptor.species)}",
                )
            hidden = hidden[symbol]
        sizes = (n_features, *hidden, 1)
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
