"""Files of all versions stay readable, and the layout does not change unnoticed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from commands import PATIENCE

from annpot.committee import Committee
from annpot.description import describe, verify_file
from annpot.fingerprints import load_features, load_set
from annpot.kernels import compilation
from annpot.potential import Potential

DATA = Path(__file__).parent / "data" / "format"


def layout(path):
    """Return kind of number and number of dimensions of all that a file holds."""
    found = {}

    def visit(name, item):
        for key in item.attrs:
            found[f"{name}@{key}"] = item.attrs.get_id(key).dtype.kind
        if isinstance(item, h5py.Dataset):
            found[name] = f"{item.dtype.kind}{item.dtype.itemsize}"
            if item.dtype.kind == "S":
                found[name] = "S"
            found[name] += f" {item.ndim}"

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found


OPTIONAL = ("@range_low", "@range_high", "@made_of")
"""What older files of version 1 do not have, and need not have."""


def without_optional(layout):
    return {key: x for key, x in layout.items() if not key.endswith(OPTIONAL)}


@pytest.mark.parametrize("kind", ["fingerprints", "potential"])
def test_the_layout_is_that_of_version_1(kind, made):
    # whoever changes the layout adds a version, a migration and a file
    found = without_optional(layout(made / f"{kind}.h5"))
    assert found == layout(DATA / f"{kind}-v1.h5")


def test_a_set_of_version_1_is_read():
    path = DATA / "fingerprints-v1.h5"
    fingerprints = load_set(path)
    assert fingerprints.batch.n_structures == 4
    assert fingerprints.labels.groups == ["bulk"] * 4
    assert fingerprints.labels.energy_s[0] == -4986.47542569
    assert [G_nf.shape for G_nf in load_features(path)] == [(8, 8), (16, 8)]
    assert describe(path)["n_features"] == {"Ti": 8, "O": 8}
    assert verify_file(path).energy_deviation is None


def test_a_potential_of_version_1_gives_what_it_gave():
    path = DATA / "potential-v1.h5"
    potential = Potential.load(path)
    assert max(potential.verify()) < 1e-9
    assert verify_file(path).force_deviation < 1e-9


def test_an_old_potential_keeps_its_limits(tmp_path):
    potential = Potential.load(DATA / "potential-v1.h5")
    for again in (potential, saved(potential, tmp_path / "again.h5")):
        for model, symbol in zip(again.models, again.species, strict=True):
            assert model.domain.range == (0.0, 0.1)
            with h5py.File(DATA / "potential-v1.h5") as file:
                limits = dict(file[f"statistics/{symbol}"].attrs)
            assert model.domain.low == limits["distance_low"]
            assert model.domain.high == limits["distance_high"]
            assert model.domain.high == 2 * model.domain.low


def saved(potential, path):
    potential.save(path)
    return Potential.load(path)


def test_the_layout_of_a_committee_is_that_of_version_1(made, tmp_path):
    potential = Potential.load(made / "potential.h5")
    Committee((potential, potential)).save(tmp_path / "committee.h5")
    expected = layout(DATA / "committee-v1.h5")
    assert without_optional(layout(tmp_path / "committee.h5")) == expected
    assert "members/1/networks/O/weights 0" in expected
    assert "members/1/statistics/O/whitening" not in expected


def test_a_committee_of_version_1_gives_what_it_gave():
    path = DATA / "committee-v1.h5"
    committee = Committee.load(path)
    assert max(committee.verify()) < 1e-9
    assert verify_file(path).force_deviation < 1e-9
    result = committee.evaluate(committee.members[0].test_vectors.batch)
    # the members differ by 1 meV for each of 6 atoms
    assert result.E_std_s[0] == pytest.approx(0.006 / 2**0.5, rel=1e-6)


def test_compiled_kernels_are_not_kept_beyond_a_change(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(
        compilation.SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(compilation, "SOURCES", folder)
    fresh = compilation.cache_folder.__wrapped__
    before = fresh("root")
    assert fresh("root") == before
    (folder / "radial.py").write_text((folder / "radial.py").read_text() + "\n# new\n")
    assert fresh("root") != before


def test_threads_work_in_a_forked_process():
    code = (
        "import os, numpy as np\n"
        "from annpot.kernels.threads import share\n"
        "done = np.zeros(9)\n"
        "def work(chunks):\n"
        "    done[list(chunks)] += 1\n"
        "share(work, 9, 9000)\n"
        "child = os.fork()\n"
        "share(work, 9, 9000)\n"
        "if child == 0:\n"
        "    os._exit(0 if (done == 2).all() else 1)\n"
        "os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = os.environ | {"ANNPOT_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, env=environment, timeout=PATIENCE, check=True)
