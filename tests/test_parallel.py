"""Ranks: sums that do not depend on them, what they exchange, how they are found."""

from __future__ import annotations

import json
import math
import os
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranks import needs_mpi, run_ranks

from annpot.errors import InputError
from annpot.exact_sums import ExactSum
from annpot.launch import LAUNCHERS
from annpot.parallel import ALONE, Ranks, deal, share_cores, world

numbers = st.floats(allow_nan=False, allow_infinity=False)


def sum_up(parts):
    total = ExactSum(np.shape(parts[0]))
    for part in parts:
        total.add(part)
    return total


@given(st.lists(numbers, min_size=1, max_size=30), st.randoms())
def test_sums_are_as_good_as_exact_and_have_no_order(values, random):
    with np.errstate(over="ignore"):
        found = ALONE.total(np.array([v]) for v in values)
    exact = sum(Fraction(v) for v in values)
    largest = max(abs(Fraction(v)) for v in values)
    if abs(exact) < Fraction(sys.float_info.max):
        error = abs(Fraction(float(found[0])) - exact)
        rounding = abs(exact) / 2**51 + len(values) * Fraction(2.0**-992)
        assert error <= rounding + len(values) * largest / 2**64
    shuffled = random.sample(values, len(values))
    with np.errstate(over="ignore"):
        again = ALONE.total(np.array([v]) for v in shuffled)
    assert again.tobytes() == found.tobytes()


@given(st.lists(numbers, min_size=2, max_size=30), st.data())
def test_sums_of_sums_have_the_same_bits(values, data):
    parts = [np.array([v, 1.0]) for v in values]
    whole = sum_up(parts)
    cut = data.draw(st.integers(1, len(parts) - 1))
    first, second = sum_up(parts[:cut]), sum_up(parts[cut:])
    first.merge(second)
    with np.errstate(over="ignore"):
        assert first.value().tobytes() == whole.value().tobytes()


def test_terms_that_cancel_leave_what_is_small():
    big, small = np.array([1e16, 3e-3, 1e300]), np.array([1.0, 1e-15, 2.0**960])
    total = ALONE.total([big, small, -big])
    np.testing.assert_allclose(total, small, rtol=1e-7)
    assert total[0] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so_in_its_element_alone(bad):
    parts = [np.array([1.0, 1.0]), np.array([bad, 1.0]), np.array([2.0, 1.0])]
    total = ALONE.total(parts)
    assert math.isnan(total[0])
    assert total[1] == 3.0


def test_any_shape_is_summed_and_parts_stay_as_they_are():
    part = np.arange(6.0).reshape(2, 3)
    assert (ALONE.total([part, part]) == 2 * np.arange(6.0).reshape(2, 3)).all()
    assert ALONE.total([np.float64(2.5), np.float64(0.25)]) == 2.75
    assert (part == np.arange(6.0).reshape(2, 3)).all()
    with pytest.raises(ValueError, match="shape"):
        ALONE.total([part, part[0]])
    with pytest.raises(ValueError, match="no parts"):
        ALONE.total([])


def ranks_of(rank, size):
    ranks = Ranks()
    ranks.rank, ranks.size = rank, size
    return ranks


@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(1, 7))
def test_tasks_are_dealt_evenly_and_each_once(costs, size):
    cost_k = np.array(costs)
    dealt = [deal(cost_k, ranks_of(rank, size)) for rank in range(size)]
    assert sorted(np.concatenate(dealt).tolist()) == list(range(len(costs)))
    loads = [cost_k[mine].sum() for mine in dealt]
    assert max(loads) - min(loads) <= max(costs, default=0) * (1 + 1e-9)
    assert all((np.diff(mine) > 0).all() for mine in dealt)


def test_the_most_costly_tasks_are_dealt_first_to_who_has_least():
    cost_k = np.array([4.0, 8.0, 7.0, 5.0, 6.0])
    assert deal(cost_k, ranks_of(0, 2)).tolist() == [0, 1, 3]
    assert deal(cost_k, ranks_of(1, 2)).tolist() == [2, 4]


EXCHANGE = """
import json, sys
import numpy as np
from annpot.parallel import deal, world

ranks = world()
rng = np.random.default_rng(1)
parts = [np.exp(rng.uniform(-80, 80, 50)) * rng.normal(size=50) for _ in range(23)]
if ranks.rank == 0 and ranks.size > 1:
    mine = []  # a rank with nothing to do
else:
    mine = [parts[k] for k in range(23) if k % max(1, ranks.size - 1) == ranks.rank - 1
            or ranks.size == 1]
bad = [np.array([np.nan if ranks.rank == ranks.size - 1 else 1.0, 1.0])]
here = np.array([ranks.rank, -ranks.rank], dtype=float)
ranks.barrier()
out = {
    "size": ranks.size,
    "local": ranks.local_size,
    "total": [x.hex() for x in ranks.total(mine)],
    "bad": [str(x) for x in ranks.total(bad)],
    "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
    "maximum": ranks.maximum(here).tolist(),
    "minimum": ranks.minimum(here).tolist(),
    "broadcast": ranks.broadcast(b"rank %d" % ranks.rank).decode(),
    "empty": ranks.broadcast(b"").decode(),
    "gather": [b.decode() for b in ranks.gather(b"x" * ranks.rank)],
    "dealt": deal(np.arange(5.0), ranks).tolist(),
}
texts = ranks.gather(json.dumps(out).encode())
if ranks.rank == 0:
    print("\\n".join(t.decode() for t in texts))
"""


def exchange(n_ranks, tmp_path):
    (tmp_path / "exchange.py").write_text(EXCHANGE)
    result = run_ranks(n_ranks, "exchange.py", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@needs_mpi
def test_ranks_exchange_what_they_should(tmp_path):
    (alone,), three = exchange(1, tmp_path), exchange(3, tmp_path)
    assert alone["size"] == 1
    assert len(three) == 3
    for out in three:
        assert out["size"] == out["local"] == 3
        assert out["total"] == alone["total"]
        assert out["bad"] == ["nan", "3.0"]
        assert out["any"] == [True, False]
        assert out["maximum"] == [2.0, 0.0]
        assert out["minimum"] == [0.0, -2.0]
        assert out["broadcast"] == "rank 0"
        assert out["empty"] == ""
        assert out["gather"] == ["", "x", "xx"]
    assert sorted(k for out in three for k in out["dealt"]) == list(range(5))


@needs_mpi
def test_the_launcher_and_mpi4py_must_fit_together(tmp_path):
    program = "from annpot.parallel import world; world()"
    more = {"OMPI_COMM_WORLD_SIZE": "4"}
    result = run_ranks(1, "-c", program, folder=tmp_path, **more)
    assert result.returncode != 0
    assert "with 4 ranks (OMPI_COMM_WORLD_SIZE)" in result.stderr
    assert "mpi4py finds 1 with MPICH" in result.stderr


class Gathered(Ranks):
    """A rank that gets what others are said to give."""

    def __init__(self, node, given):
        self.node, self.given = node, given

    def gather(self, data):
        return [data, *self.given]


@pytest.mark.parametrize(
    ("mine", "others", "expected"),
    [
        (range(8), [], 8),
        (range(8), [(0, range(8))], 4),  # nobody bound them
        (range(4), [(0, range(4, 8))], 4),  # bound to cores of their own
        (range(8), [(0, range(8)), (0, range(8))], 2),
        (range(8), [(5, range(8))], 8),  # on another machine
        (range(2), [(0, range(2))] * 3, 1),  # more ranks than cores
        ([3, 5], [(0, [5, 7])], 1),
    ],
)
def test_ranks_share_the_cores_of_their_machine(monkeypatch, mine, others, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(mine), raising=False)
    given = [np.array([node, *cores]).tobytes() for node, cores in others]
    assert share_cores(Gathered(0, given)) == expected


@pytest.fixture
def no_launcher(monkeypatch):
    for names in LAUNCHERS:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    world.cache_clear()
    yield monkeypatch
    world.cache_clear()


def test_without_a_launcher_mpi_is_not_touched(no_launcher):
    no_launcher.setitem(sys.modules, "mpi4py", None)
    assert world() is ALONE
    no_launcher.setenv("PMI_SIZE", "1")
    no_launcher.setenv("SLURM_STEP_NUM_TASKS", "4")  # of the launcher's own daemons
    world.cache_clear()
    assert world() is ALONE


@pytest.mark.parametrize("variable", [size for size, _ in LAUNCHERS])
def test_without_mpi4py_it_is_said_what_to_install(no_launcher, variable):
    no_launcher.setitem(sys.modules, "mpi4py", None)
    no_launcher.setenv(variable, "3")
    with pytest.raises(InputError, match=rf"with 3 ranks \({variable}\).*pip install"):
        world()
