"""Neighbour pairs: against brute force, sorted as promised, the same on any threads."""

from __future__ import annotations

from dataclasses import replace

import direct_sum
import numpy as np
import pytest
import systems
from systems import DESCRIPTOR, STRUCTURES, SYSTEMS, stack_all

from annpot.errors import InputError
from annpot.kernels import threads
from annpot.pairs import find_nearest, find_pairs, move_pairs, plan_chunks

SHELLS = [(3.1,), (2.0, 4.3), (1.0, 2.5, 2.6, 5.0)]


def rows(pairs):
    """Return pairs (j, D) as sorted rows that compare with a tolerance."""
    table = np.array([(j, *D) for j, D in pairs]).reshape(-1, 4) + 0.0
    return table[np.lexsort(np.round(table, 6).T)]


def groups_of(neighbours):
    """Yield central atom, species, shell and the pairs (slice) of each group."""
    n_groups = len(neighbours.first_g) - 1
    assert n_groups == (
        len(neighbours.species_n) * neighbours.n_species * neighbours.n_shells
    )
    for group in range(n_groups):
        rest, shell = divmod(group, neighbours.n_shells)
        atom, species = divmod(rest, neighbours.n_species)
        yield atom, species, shell, slice(*neighbours.first_g[group : group + 2])


def pairs_of(neighbours, atom):
    """Return all pairs (j, D) of one central atom."""
    size = neighbours.n_species * neighbours.n_shells
    p = slice(neighbours.first_g[atom * size], neighbours.first_g[(atom + 1) * size])
    return zip(neighbours.j_p[p], neighbours.D_cp[:, p].T, strict=True)


@pytest.mark.parametrize("skin", [0.0, 0.4])
@pytest.mark.parametrize("cutoffs", SHELLS, ids=str)
def test_pairs_are_those_of_brute_force(cutoffs, skin):
    batch = stack_all()
    neighbours = find_pairs(batch, cutoffs, skin)
    for structure, first in zip(STRUCTURES, batch.first_s, strict=False):
        for i in range(len(structure)):
            expected = direct_sum.neighbours_of(
                i,
                structure.positions_nc,
                structure.cell_cc,
                structure.pbc_c,
                cutoffs[-1] + skin,
            )
            found = [(j - first, D) for j, D in pairs_of(neighbours, first + i)]
            np.testing.assert_allclose(rows(found), rows(expected), atol=1e-12)


@pytest.mark.parametrize("skin", [0.0, 0.4])
@pytest.mark.parametrize("cutoffs", SHELLS, ids=str)
def test_groups_hold_one_species_and_one_shell(cutoffs, skin):
    batch = stack_all()
    neighbours = find_pairs(batch, cutoffs, skin)
    edges = np.array([0.0, *cutoffs]) + np.array([0.0, *[skin] * len(cutoffs)])
    n_pairs = 0
    for _, species, shell, p in groups_of(neighbours):
        r_p = np.linalg.norm(neighbours.D_cp[:, p], axis=0)
        assert (batch.species_n[neighbours.j_p[p]] == species).all()
        assert (r_p > edges[shell]).all()
        assert (r_p <= edges[shell + 1]).all()
        n_pairs += len(r_p)
    assert n_pairs == len(neighbours.j_p) > 0


def test_padding_lets_the_last_block_be_read():
    neighbours = find_pairs(stack_all(), DESCRIPTOR.cutoffs)
    assert neighbours.D_cp.shape == (3, len(neighbours.j_p) + 8)
    assert not neighbours.D_cp[:, len(neighbours.j_p) :].any()


def test_pairs_join_atoms_of_the_same_structure():
    batch = stack_all()
    neighbours = find_pairs(batch, (5.0,))
    for atom, _, _, p in groups_of(neighbours):
        structures = batch.structure_n[neighbours.j_p[p]]
        assert (structures == batch.structure_n[atom]).all()


def test_every_pair_has_its_opposite():
    batch = stack_all()
    neighbours = find_pairs(batch, (4.5,))
    there, back = [], []
    for i in range(batch.n_atoms):
        for j, D in pairs_of(neighbours, i):
            there.append((i, (j, *D)))
            back.append((j, (i, *-D)))
    for i in range(batch.n_atoms):
        ours, theirs = ([row for n, row in x if n == i] for x in (there, back))
        np.testing.assert_array_equal(
            rows((j, D) for j, *D in ours), rows((j, D) for j, *D in theirs)
        )


def test_nearest_distances():
    batch = stack_all()
    neighbours = find_pairs(batch, (2.0, 4.3))
    expected = np.full((batch.n_atoms, 2), np.inf)
    for atom, species, _, p in groups_of(neighbours):
        r_p = np.linalg.norm(neighbours.D_cp[:, p], axis=0)
        expected[atom, species] = min(expected[atom, species], r_p.min(initial=np.inf))
    np.testing.assert_allclose(find_nearest(neighbours), expected, rtol=1e-14)


def test_moved_pairs_are_those_of_the_moved_atoms():
    batch = stack_all()
    shift_nc = np.random.default_rng(0).uniform(-0.1, 0.1, size=(batch.n_atoms, 3))
    before = find_pairs(batch, DESCRIPTOR.cutoffs, skin=0.4)
    moved = replace(batch, positions_nc=batch.positions_nc + shift_nc)
    fresh = DESCRIPTOR.compute_features(moved, find_pairs(moved, DESCRIPTOR.cutoffs))
    reused = DESCRIPTOR.compute_features(moved, move_pairs(before, shift_nc))
    np.testing.assert_allclose(reused.G_f, fresh.G_f, rtol=0, atol=1e-12)
    unmoved = find_pairs(batch, DESCRIPTOR.cutoffs, skin=0.4)
    np.testing.assert_array_equal(before.D_cp, unmoved.D_cp)


def large_batch():
    """Return structures of all sizes, of which some fill several chunks."""
    large = systems.repeat(SYSTEMS["skewed cell"], (3, 3, 3))
    medium = systems.repeat(SYSTEMS["slab"], (3, 2, 1))
    return stack_all([*STRUCTURES, large, *STRUCTURES * 3, medium, large])


BATCHES = {
    "empty": lambda: stack_all([]),
    "one atom": lambda: stack_all([SYSTEMS["one isolated atom"]]),
    "all systems": stack_all,
    "large": large_batch,
    "one large structure": lambda: stack_all(
        [systems.repeat(SYSTEMS["cubic"], (4, 4, 4))]
    ),
    "many small structures": lambda: stack_all(STRUCTURES * 30),
    "many atoms": lambda: stack_all(
        [systems.repeat(SYSTEMS["cubic"], (12, 10, 9)), *STRUCTURES]
    ),
}


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
def test_chunks_cover_all_atoms_once_and_reach_their_structures(make):
    batch = make()
    chunk_ki = plan_chunks(batch)
    row = 0
    covered = []
    for start, stop, low, high, first_row in chunk_ki:
        covered.extend(range(start, stop))
        assert low <= start < stop <= high
        # whole structures: pairs never lead out of one
        assert low == batch.first_s[batch.structure_n[start]]
        assert high == batch.first_s[batch.structure_n[stop - 1] + 1]
        assert first_row == row
        row += high - low
    assert covered == list(range(batch.n_atoms))


def test_chunks_are_enough_for_many_threads():
    assert len(plan_chunks(large_batch())) > 20


@pytest.fixture
def use_threads(monkeypatch):
    """Return a function that sets the number of threads."""

    def use(n_threads):
        threads.team.cache_clear()
        monkeypatch.setattr(threads, "thread_count", lambda: n_threads)

    yield use
    threads.team.cache_clear()


def test_results_are_the_same_bits_on_any_number_of_threads(use_threads):
    batch = large_batch()
    neighbours = find_pairs(batch, DESCRIPTOR.cutoffs)
    rng = np.random.default_rng(0)
    V_nc = rng.normal(size=(batch.n_atoms, 3))
    strain_scc = rng.normal(size=(batch.n_structures, 3, 3))
    chosen = np.array([0, 2, 10, 13, 41])
    results = []
    for n_threads in (1, 2, 3, 7):
        use_threads(n_threads)
        features = DESCRIPTOR.compute_features(batch, neighbours)
        dEdG_f = np.sin(np.arange(len(features.G_f)))
        results.append(
            [
                features.G_f,
                *DESCRIPTOR.compute_forces(features, dEdG_f, virials=True),
                DESCRIPTOR.compute_forces(features, dEdG_f, structures=chosen)[0],
                DESCRIPTOR.compute_tangents(features, V_nc, strain_scc),
            ]
        )
    for other in results[1:]:
        for expected, found in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_all_chunks_are_shared_among_the_threads(use_threads):
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        for n_chunks in (0, 1, 2, 7, 100):
            done = []
            threads.share(done.extend, n_chunks, 10_000)
            assert sorted(done) == list(range(n_chunks))


@pytest.fixture
def thread_count(monkeypatch):
    """Return the function to be tested, with no variable set."""
    for name in ("ANNPOT_NUM_THREADS", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return threads.thread_count.__wrapped__


def test_number_of_threads_is_what_the_user_grants(thread_count, monkeypatch):
    assert thread_count() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert thread_count() == 2
    for n, name in enumerate(
        ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "ANNPOT_NUM_THREADS"), start=3
    ):
        monkeypatch.setenv(name, str(n))
        assert thread_count() == n


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_wrong_number_of_threads_is_an_error(thread_count, monkeypatch, value):
    monkeypatch.setenv("ANNPOT_NUM_THREADS", value)
    with pytest.raises(InputError, match=f"ANNPOT_NUM_THREADS: .*'{value}'"):
        thread_count()
