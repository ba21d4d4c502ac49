"""The memory plan: what is kept at several budgets, and that training obeys it."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from commands import run

from annpot import memory, posing
from annpot.dataset import Split
from annpot.extrapolation import begin_domain
from annpot.fingerprints import load_set
from annpot.pairs import find_packed_pairs, take_pairs, unpack_pairs
from annpot.parallel import ALONE
from annpot.planning import (
    Kept,
    Ledger,
    Seconds,
    Size,
    choose,
    count_bytes,
    count_visits,
    peak,
)
from annpot.posing import pose
from annpot.potential import Potential
from annpot.preparation import _gather
from annpot.scaling import compute_statistics
from annpot.settings import load_settings
from annpot.shards import cut
from annpot.training import train

SECONDS = Seconds(search=1.3e-7, unpacking=2e-9, features=3e-8)
SIZES = [
    Size(n, 100.0 * n, 40.0 * n, 4.0 * n, 300.0 * n, 400.0 * n)
    for n in (1000.0, 1000.0, 500.0)
]
ALL = Kept(packed=True, vectors=True, inputs=True)


def room_for(**names):
    """Return what shards need of which all the same is kept."""
    return peak(SIZES, [Kept(**names)] * 3)


def count(kept, name):
    return sum(getattr(k, name) for k in kept)


def test_everything_is_kept_where_it_fits():
    kept = choose(SIZES, SECONDS, peak(SIZES, [ALL] * 3), forces=True)
    assert kept == [ALL] * 3


def test_nothing_is_kept_without_room():
    for room in (-1e9, 0.0):
        assert choose(SIZES, SECONDS, room, forces=True) == [Kept()] * 3


def test_what_saves_most_time_per_byte_comes_first():
    kept = choose(SIZES, SECONDS, room_for(packed=True), forces=True)
    assert [count(kept, n) for n in ("packed", "inputs", "vectors")] == [3, 0, 0]
    kept = choose(SIZES, SECONDS, room_for(packed=True, inputs=True), forces=True)
    assert [count(kept, n) for n in ("packed", "inputs", "vectors")] == [3, 3, 0]
    # features that cost much come before pairs
    slow = SECONDS._replace(features=1e-5)
    kept = choose(SIZES, slow, room_for(inputs=True), forces=True)
    assert [count(kept, n) for n in ("packed", "inputs", "vectors")] == [0, 3, 0]


def test_no_plan_exceeds_its_room_and_more_room_saves_more():
    saved = []
    for room in np.linspace(room_for(), peak(SIZES, [ALL] * 3), 23):
        kept = choose(SIZES, SECONDS, room, forces=True)
        assert peak(SIZES, kept) <= room
        assert all(k.packed or not k.vectors for k in kept)
        saved.append(
            sum(
                size.n_pairs * (k.packed * 1.3e-7 + k.vectors * 2e-9 + k.inputs * 3e-8)
                for k, size in zip(kept, SIZES, strict=True)
            )
        )
    assert saved[0] == 0.0
    assert (np.diff(saved) >= 0.0).all()


def test_energies_need_no_pairs():
    kept = choose(SIZES, SECONDS, 1e12, forces=False)
    assert kept == [Kept(inputs=True)] * 3


def test_derivatives_come_with_their_inputs_if_they_save_enough():
    sizes = [size._replace(derivatives=1e7) for size in SIZES]
    slow = SECONDS._replace(derivatives=1e-5, features=1e-5)
    everything = replace(ALL, derivatives=True)
    enough = peak(sizes, [everything] * 3)
    assert choose(sizes, slow, enough, forces=True) == [everything] * 3
    kept = choose(sizes, slow, enough - 1e7, forces=True)
    assert [count(kept, n) for n in ("inputs", "derivatives")] == [3, 2]
    assert choose(SIZES, slow, enough, forces=True) == [ALL] * 3  # no triplets
    assert count(choose(sizes, slow, enough, forces=False), "derivatives") == 0


def test_the_ledger_gives_way_to_more_pairs_than_foreseen():
    ledger = Ledger(SIZES, peak(SIZES, [ALL] * 3), forces=True)
    assert ledger.admit(0, 100_000, SECONDS) == ALL
    # the largest must be visited anyway, so another one gives way
    assert ledger.admit(1, 110_000, SECONDS) == ALL
    assert ledger.peak() > ledger.room
    assert ledger.admit(2, 50_000, SECONDS) == replace(ALL, vectors=False)
    assert ledger.peak() <= ledger.room
    assert ledger.tally()["vectors"] == (2, 21.0 * 210_000)


def test_visits_at_the_same_time_need_their_room():
    alone = peak(SIZES, [Kept()] * 3)
    assert alone == SIZES[0].work
    assert peak(SIZES, [Kept()] * 3, 2) == 2 * SIZES[0].work
    assert peak(SIZES, [Kept()] * 3, 9) == sum(size.work for size in SIZES)
    # what is kept of a shard is there for its visit
    kept = [Kept(packed=True), Kept(), Kept()]
    assert peak(SIZES, kept, 3) == peak(SIZES, [Kept()] * 3, 3)
    for at_once in (1, 2, 3):
        for room in np.linspace(0.0, peak(SIZES, [ALL] * 3, at_once), 17):
            kept = choose(SIZES, SECONDS, room, forces=True, at_once=at_once)
            assert peak(SIZES, kept, at_once) <= max(
                room, peak(SIZES, [Kept()] * 3, at_once)
            )
    assert count_visits(SIZES, 1e12, 2) == 2
    assert count_visits(SIZES, 1e12, 64) == 3
    assert count_visits(SIZES, 4 * 2 * alone, 64) == 2
    assert count_visits(SIZES, 0.0, 64) == count_visits([], 1e12, 4) == 1


def test_shards_cover_the_set_and_are_about_equal():
    bytes_s = np.random.default_rng(0).uniform(1.0, 3.0, size=500)
    edges = cut(bytes_s / 100.0)
    assert edges[0][0] == 0
    assert edges[-1][1] == 500
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    sums = [bytes_s[first:last].sum() for first, last in edges]
    assert max(sums) < 104.0
    assert min(sums) > 80.0
    assert cut(np.array([0.05, 9.0, 0.05]))[-1][1] == 3


@pytest.fixture(scope="module")
def example(made):
    return load_set(made / "fingerprints.h5")


def test_sizes_are_those_of_the_arrays(example):
    batch, descriptor = example.batch, example.descriptor
    packed = find_packed_pairs(batch, descriptor.cutoffs)
    neighbours = unpack_pairs(packed, batch)
    features = descriptor.compute_features(batch, neighbours)
    n_pairs = len(packed.j_p)
    groups = len(packed.first_g) - 1
    size = Size(
        batch.n_atoms,
        n_pairs,
        features.G_f.size,
        groups,
        count_bytes(features.states),
        0,
    )
    found = count_bytes(packed[3:])
    assert found == pytest.approx(size.packed, rel=1e-3)
    full = count_bytes(neighbours[3:])
    assert full == pytest.approx(size.packed + size.vectors, rel=1e-3)
    held = [features.G_f, features.feature_n, features.atoms_s, features.states]
    assert count_bytes(held) == pytest.approx(size.inputs, rel=1e-3)


def test_pairs_of_some_structures(example):
    batch, cutoffs = example.batch, example.descriptor.cutoffs
    chosen = np.array([1, 4, 5, 11])
    expected = find_packed_pairs(batch.take(chosen), cutoffs)
    found = take_pairs(find_packed_pairs(batch, cutoffs), batch, chosen)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_atoms_many_cells_away_are_found(example):
    batch = example.batch.take(np.arange(2))
    moved = batch.take(np.arange(2))
    moved.positions_nc[0] += 200 * batch.cells_scc[0, 0]
    expected = find_packed_pairs(batch, (4.0,))
    found = find_packed_pairs(moved, (4.0,))
    assert expected.S_cp.dtype == np.int8
    assert found.S_cp.dtype == np.int32
    D_cp = unpack_pairs(found, moved).D_cp
    np.testing.assert_allclose(
        np.sort(D_cp, axis=1), np.sort(unpack_pairs(expected, batch).D_cp), atol=1e-9
    )


def trace(action):
    """Return the bytes that are held after an action, and at most meanwhile."""
    gc.collect()
    tracemalloc.start()
    try:
        result = action()
        gc.collect()
        return result, *tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def test_copies_of_distances(example):
    domain, n = begin_domain(example.statistics[0], 1e-4), 200_000
    rng = np.random.default_rng(0)

    def limit():
        parts = [rng.random(n // 4) for _ in range(4)]
        return domain.with_limits(_gather(parts, ALONE))

    _, _, most = trace(limit)
    assert most / (8 * n) == pytest.approx(posing.DISTANCE_COPIES, rel=0.05)


def test_what_python_needs_for_a_shard(example, monkeypatch):
    settings = load_settings(None, {"train.memory": "20G"}).train
    nothing = np.zeros(0, dtype=np.int64)
    parts = Split(np.arange(12), nothing, nothing)

    def measure(shard_bytes):
        monkeypatch.setattr(posing, "SHARD_BYTES", shard_bytes)
        rng = np.random.default_rng(0)
        problem, held, _ = trace(lambda: pose(example, settings, parts, rng))
        plan = problem.memory
        return plan.n_shards, held - sum(n_bytes for _, n_bytes in plan.kept.values())

    pose(example, settings, parts, np.random.default_rng(0))  # loads what is needed
    (n_few, few), (n_many, many) = measure(1e9), measure(1.0)
    assert (n_few, n_many) == (1, 12)
    needed = (many - few) / (n_many - n_few)
    assert 0.5 * posing.OBJECT_BYTES < needed < posing.OBJECT_BYTES


def test_matrices_of_features():
    settings = load_settings(None, {}).train
    G_nf = np.random.default_rng(0).random((300, 200))

    def make():
        known = compute_statistics(G_nf)
        domain = begin_domain(known, 1)
        return known, domain, posing._fit_scaling(known, settings, ALONE)

    _, held, _ = trace(make)
    assert held / (8 * 200**2) == pytest.approx(posing.MATRICES, rel=0.05)


def test_what_is_counted_beside_the_shards(example, monkeypatch):
    """Each term by its own definition, the others being constant."""
    settings = load_settings(None, {}).train
    rng = np.random.default_rng(0)
    targets = posing._find_targets(example, Split(*[np.arange(12)] * 3), settings)[0][0]
    networks = posing._initial_networks(example.descriptor, settings, rng)
    monkeypatch.setattr(memory, "resident", lambda: 10**9)

    def count(n_shards):
        shards_of = [[None] * n for n in n_shards]
        parts = targets, example.descriptor, networks, settings, shards_of
        return posing._count_rest(*parts)

    n_f = np.array(example.descriptor.n_features_s, dtype=float)
    few = count([10, 10])
    assert count([10, 20]) - few == 10 * posing.OBJECT_BYTES
    many, more = 10**6, 2 * 10**6  # means of the features need most then
    difference = count([more]) - count([many])
    assert difference == many * (posing.OBJECT_BYTES + 8 * n_f.sum())
    monkeypatch.setattr(posing, "MATRICES", posing.MATRICES + 1)
    assert count([10, 10]) - few == 8 * (n_f**2).sum()


def fit(example, monkeypatch, room, method, stress_weight=0.0):
    """Return the plan and the result of a training with so much room."""
    monkeypatch.setattr(posing, "SHARD_BYTES", 3e5)
    monkeypatch.setattr(posing, "LATER_BYTES", 0)
    monkeypatch.setattr(posing, "OBJECT_BYTES", 0)
    # neither the cores of the machine nor what else is in memory matter
    monkeypatch.setattr(posing, "thread_count", lambda: 2)
    monkeypatch.setattr(memory, "resident", lambda: 10**9)
    monkeypatch.setattr(posing, "MATRICES", 0)

    def budget(wanted, n_sharing):
        return memory.Budget(int(memory.resident() + room), "as wanted")

    monkeypatch.setattr(memory, "budget", budget)
    settings = load_settings(
        None,
        {
            "train.epochs": 12,
            "train.members": 1,
            "train.method": method,
            "train.hidden": [5],
            "train.stress_weight": stress_weight,
        },
    ).train
    plans = []
    return plans, train(example, settings, plans.append)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_the_potential_does_not_depend_on_the_plan(example, monkeypatch, method):
    weights, kept = [], []
    for room in (1e9, 8e5, 6e5, 0.0):
        plans, result = fit(example, monkeypatch, room, method)
        assert plans[0].memory.n_shards > 2
        kept.append([n for n, _ in plans[0].memory.kept.values()])
        weights.append(
            np.concatenate([m.network.flatten() for m in result.potential.models])
        )
    assert kept[0] == [*[plans[0].memory.n_shards] * 3, 0]
    assert kept[-1] == [0, 0, 0, 0]
    assert 0 < sum(kept[2]) < sum(kept[1]) < sum(kept[0])
    for other in weights[1:]:
        np.testing.assert_allclose(other, weights[0], rtol=1e-8, atol=1e-8)
        if method == "lbfgs":
            np.testing.assert_array_equal(other, weights[0])


@pytest.mark.parametrize("stress_weight", [0.0, 1.0])
def test_kept_derivatives_of_triplets_give_the_same(work, monkeypatch, stress_weight):
    descriptor = "{type: behler, cutoff: 4, angular: {type: narrow, n: 1}}"
    result = run("generate", "--set", f"descriptor={descriptor}", folder=work)
    assert result.exit_code == 0, result.stderr
    narrow = load_set(work / "fingerprints.h5")
    # no stress is known in this set: any will do
    narrow.labels.stress_sv[:] = 0.01
    weights, kept = [], []
    for room in (1e9, 1.5e6, 0.0):
        plans, result = fit(narrow, monkeypatch, room, "lbfgs", stress_weight)
        kept.append(plans[0].memory.kept["derivatives"][0])
        weights.append(
            np.concatenate([m.network.flatten() for m in result.potential.models])
        )
        assert plans[0].memory.derivatives
    assert kept[0] == plans[0].memory.n_shards
    assert kept[0] > kept[1] >= kept[2] == 0
    for other in weights[1:]:
        np.testing.assert_allclose(other, weights[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", ["1M", "100G"])
def test_the_command_says_what_it_keeps(work, size):
    result = run("train", "--memory", size, "--epochs", "2", folder=work)
    assert result.exit_code == 0, result.stderr
    (plan,) = [line for line in result.stderr.splitlines() if "expected peak" in line]
    if size == "1M":
        assert "keeps nothing; recomputes pairs" in plan
        assert "less is not possible" in plan
    else:
        assert "recomputes nothing" in plan
        assert "100 GB wanted" in plan or "100 GB, as wanted" in plan
    assert "memory: peak" in result.stderr
    assert Potential.load(work / "potential.h5").verify()[0] < 1e-10


def test_a_wrong_size_is_refused(work):
    result = run("train", "--memory", "8 apples", folder=work)
    assert result.exit_code == 2
    assert "train.memory: expected" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
