"""annpot check: the report, JSON, and exit codes."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import run

TRAIN = "train/structure0001.xsf"


def spoil(folder):
    """Give one energy in hartree, and copy a training structure to the tests."""
    path = folder / TRAIN
    path.write_text(path.read_text().replace("-19960.66173260", "-733.540437"))
    shutil.copy(folder / "train/structure0019.xsf", folder / "test/copy.xsf")


@pytest.mark.parametrize("given", [(), ("in.yaml",), ("fingerprints.h5",)])
def test_clean(work, given):
    result = run("check", *given, folder=work)
    assert result.exit_code == 0, result.output
    assert "error:" not in result.stdout
    assert "16 structures" in result.stderr
    assert "0 errors" in result.stderr


@pytest.mark.parametrize("by_set", [False, True])
def test_spoiled(work, by_set):
    spoil(work)
    given = "in.yaml"
    if by_set:
        assert run("generate", folder=work).exit_code == 0
        given = "fingerprints.h5"
    result = run("check", given, folder=work)
    assert result.exit_code == 1
    assert "error: energy outliers" in result.stdout
    assert TRAIN in result.stdout
    assert "in hartree?" in result.stdout
    assert "error: test leakage" in result.stdout
    assert result.stdout.startswith("error:")


def test_json_and_limit(work):
    spoil(work)
    result = run("check", "--json", "--limit", "0", folder=work)
    found = json.loads(result.stdout)
    outlier = next(f for f in found["findings"] if f["check"] == "energy outliers")
    assert outlier["severity"] == "error"
    assert outlier["n_places"] == 1
    assert outlier["places"] == []
    found = json.loads(run("check", "--json", folder=work).stdout)
    outlier = next(f for f in found["findings"] if f["check"] == "energy outliers")
    assert outlier["places"][0]["file"].endswith(TRAIN)
    assert found["n_structures"] == 17


def test_what_fails(work):
    (work / "in.yaml").write_text("structures: train\n")
    assert run("check", folder=work).exit_code == 0
    assert run("check", "--fail-on", "note", folder=work).exit_code == 1
    spoil(work)
    assert run("check", folder=work).exit_code == 1
    assert run("check", "--fail-on", "never", folder=work).exit_code == 0
    assert run("check", "--fail-on", "none", folder=work).exit_code == 2


def test_unreadable_files_are_listed(work):
    (work / TRAIN).write_text("junk")
    result = run("check", folder=work)
    assert result.exit_code == 1
    assert "error: unreadable: 1 structures or files cannot be used" in result.stdout
    assert f"'{TRAIN}'" in result.stdout
    for path in work.glob("t*/*.xsf"):
        path.write_text("junk")
    result = run("check", folder=work)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_no_input(tmp_path):
    result = run("check", folder=tmp_path)
    assert result.exit_code == 2
    assert "in.yaml: no such file" in result.stderr
