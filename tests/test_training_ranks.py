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
    plans, epochs = [], []
    result = train(fingerprints, settings, plans.append, epochs.append, ranks=ranks)
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
        "epochs": [[e.loss, *vars(e.validation).values()] for e in epochs],
        "table": [list(vars(row.errors).values()) for row in result.table],
    }.items():
        bits = np.concatenate([np.ravel(n) for n in numbers]).tobytes()
        found[f"{method} {name}"] = hashlib.sha256(bits).hexdigest()
    found["shards"] = plans[0].memory.n_shards
    found["kept"] = [n for n, _ in plans[0].memory.kept.values()]
    found["epochs"] = len(epochs)
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
    assert alone["epochs"] == 6
    for n_ranks, n_threads in ((1, 2), (2, 2), (4, 1)):
        found = trained(n_ranks, n_threads)
        assert found == [alone] * n_ranks
