"""Mutated files: an `AnnpotError` in one line, or a result; nothing else, no hang.

``ANNPOT_FUZZ=1000`` tries as many mutations of each kind of file, at random; without it
a few, always the same ones. ``-k xsf`` chooses a kind.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annpot.convert.formats import READABLE, recognise
from annpot.structures.archives import PACKED
from fuzz.guard import check
from fuzz.mutations import EDITS, mutate
from fuzz.targets import make_targets

WANTED = os.environ.get("ANNPOT_FUZZ")
QUICK, SLOW = (int(WANTED), int(WANTED) // 4) if WANTED else (60, 8)
NAMES = """
    a.xsf a.xsf.gz a.xsf.bz2 a.xsf.xz a.tar a.tar.gz input.data a.xyz
    a.traj POSCAR a.json a.db a.cif a.gen a.cfg XDATCAR
    names in.yaml option set.h5 p.h5 c.h5 p.json train.log o.xyz o.jsonl
    a.train a.train.ascii Ti.nn Ti.nn.ascii from-aenet.json
    generate.in train.in predict.in Ti.stp predict.out input.nn weights.001.data
    scaling.data nnp.input from-n2p2.json
    manifest.json part.h5 p.h5.checkpoint old.log r.jsonl.journal list q.h5.run
""".split()


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    made = make_targets(tmp_path_factory.mktemp("seeds"))
    assert {target.name for target in made} == set(NAMES)
    return {target.name: target for target in made}


def test_each_format_and_packing_has_a_target(targets, tmp_path):
    found = set()
    for target in targets.values():
        for seed in target.seeds:
            (tmp_path / target.name).write_bytes(seed)
            found.add(recognise(tmp_path / target.name, None))
    assert found == READABLE.keys() - {"n2p2"}  # a folder, its files have targets
    assert {Path(name).suffix for name in NAMES} > {*PACKED, ".h5", ".yaml", ".log"}


@pytest.mark.parametrize("name", NAMES)
def test_mutated(targets, tmp_path, name):
    target = targets[name]
    path = tmp_path / target.name
    for seed in target.seeds:
        path.write_bytes(seed)
        target.read(path)  # what is mutated is valid

    @settings(
        max_examples=SLOW if target.slow else QUICK,
        derandomize=WANTED is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(target.seeds), EDITS)
    def try_one(seed, edits):
        path.write_bytes(mutate(seed, edits))
        check(lambda: target.read(path))

    try_one()
