"""Training by several ranks and threads: the potential has the same bits."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import run
from ranks import needs_mpi, run_ranks

PROGRAM = """
import hashlib, json
from pathlib import Path
import numpy as np
from annpot import posing
from annpot.fingerprints import load_set
from annpot.parallel import world
from annpot.settings import load_settings
from annpot.training import train

posing.SHARD_ATOMS = 50
ranks = world()
fingerprints = load_set(Path("fingerprints.h5"))
fingerprints.labels.stress_sv[:] = 0.01  # none is known in this set: any will do
changes = {"epochs": 6, "members": 1, "hidden": [4], "stress_weight": 1.0}
changes["validation_fraction"] = 0.3
found = {}
for method in ("lbfgs", "adam"):
    changes["method"] = method
    settings = load_settings(None, {f"train.{k}": v for k, v in changes.items()}).train
    plans = []
    result = train(fingerprints, settings, plans.append, ranks=ranks)
    for name, numbers in {
        "weights": [m.network.flatten() for m in result.potential.models],
        "scaling": [m.shift_f for m in result.potential.models]
        + [m.scale_f for m in result.potential.models],
        "ranges": [m.domain.statistics.min_f for m in result.potential.models]
        + [m.domain.statistics.max_f for m in result.potential.models]
        + [[m.domain.low, m.domain.high] for m in result.potential.models],
        "covariances": [
            m.domain.statistics.covariance_ff for m in result.potential.models
        ],
        "distances": [result.potential.shortest_st],
        "epochs": [[e.loss, *vars(e.validation).values()] for e in result.best],
        "table": [list(vars(row.errors).values()) for row in result.table],
    }.items():
        bits = np.concatenate([np.ravel(n) for n in numbers]).tobytes()
        found[f"{method} {name}"] = hashlib.sha256(bits).hexdigest()
    found["shards"] = plans[0].memory.n_shards
    found["kept"] = [n for n, _ in plans[0].memory.kept.values()]
    found["n_epochs"] = result.n_epochs
texts = ranks.gather(json.dumps(found).encode())
if ranks.rank == 0:
    print("\\n".join(text.decode() for text in texts))
"""


@pytest.fixture(scope="module", params=["moments", "triplets"])
def trained(request, made, tmp_path_factory):
    """Return a function that trains, and gives what each rank found."""
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    (folder / "program.py").write_text(PROGRAM)
    if request.param == "triplets":
        descriptor = "{type: behler, cutoff: 4, angular: {type: narrow, n: 1}}"
        result = run("generate", "--set", f"descriptor={descriptor}", folder=folder)
        assert result.exit_code == 0, result.stderr

    def train(n_ranks, n_threads):
        result = run_ranks(
            n_ranks, "program.py", folder=folder, ANNPOT_NUM_THREADS=str(n_threads)
        )
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return train


@needs_mpi
def test_ranks_and_threads_do_not_change_a_bit(trained):
    (alone,) = trained(1, 1)
    assert alone["shards"] > 4
    assert alone["n_epochs"] == 6
    for n_ranks, n_threads in ((1, 2), (2, 2), (4, 1)):
        found = trained(n_ranks, n_threads)
        assert found == [alone] * n_ranks


ROUNDING = """
import hashlib
from dataclasses import replace
from pathlib import Path
import numpy as np
from annpot import posing, trainer
from annpot.fingerprints import load_set
from annpot.loss import Loss
from annpot.parallel import world
from annpot.settings import TrainSettings
from annpot.training import train

posing.SHARD_ATOMS = 50
ranks, rng = world(), np.random.default_rng(0)

def rounded(found):
    return found * (1 + 0.1 * rng.normal(size=np.shape(found)))

compute, measure, share = Loss.compute, Loss.measure, Loss.compute_share
if ranks.rank:  # what it finds decides nothing
    def round_pass(found):
        loss, gradient_w = rounded(found.loss), rounded(found.gradient_w)
        return replace(found, loss=loss, gradient_w=gradient_w)

    Loss.compute = lambda self, w: round_pass(compute(self, w))
    def round_measure(self, weights_w):
        loss, errors = measure(self, weights_w)
        return rounded(loss), errors

    Loss.measure = round_measure
    Loss.compute_share = lambda self, w, s: tuple(map(rounded, share(self, w, s)))
    trainer.time = None

for changes in (
    {"method": "lbfgs", "bootstrap": True},
    {"method": "adam", "patience": 2},
    {"method": "lbfgs", "time_limit": 1e-9},
):
    settings = TrainSettings(
        hidden=(4,), epochs=12, members=2, validation_fraction=0.3, **changes
    )
    result = train(load_set(Path("fingerprints.h5")), settings, ranks=ranks)
    members = getattr(result.potential, "members", [result.potential])
    weights = [m.network.flatten() for member in members for m in member.models]
    digest = hashlib.sha256(np.concatenate(weights).tobytes()).hexdigest()
    line = f"{result.n_epochs} {result.reason} {digest}"
    assert ranks.gather(line.encode()) == [line.encode()] * ranks.size
    if ranks.rank == 0:
        print(line)
"""


@needs_mpi
def test_rank_0_decides_alone(made, tmp_path):
    """Whatever others find for the loss: they might round in another way."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (tmp_path / "program.py").write_text(ROUNDING)
    alone, two = (run_ranks(n, "program.py", folder=tmp_path) for n in (1, 2))
    assert alone.returncode == 0, alone.stderr
    assert len(alone.stdout.splitlines()) == 3
    assert two.stdout == alone.stdout, two.stderr
