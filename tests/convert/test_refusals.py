"""What convert refuses before it reads anything."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest
from aenet_files import DATA
from commands import run

FORMAT = DATA.parent / "format"


@pytest.fixture
def folder(tmp_path):
    for species in ("Ti", "O"):
        shutil.copy(DATA / f"{species}.2t.nn", tmp_path)
    shutil.copy(DATA / "structures" / "structure0001.xsf", tmp_path / "a.xsf")
    for kind in ("potential", "committee", "fingerprints"):
        shutil.copy(FORMAT / f"{kind}-v1.h5", tmp_path / f"{kind}.h5")
    for kind in ("committee", "fingerprints"):
        with h5py.File(tmp_path / f"{kind}.h5", "r+") as file:
            file.attrs["settings"] = np.bytes_("{}")
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "broken.nn").write_bytes(bytes(100))
    return tmp_path


REFUSED = {
    "pipe.h5 out.json": (2, "'pipe.h5' is a device or pipe"),
    "committee.h5 out.h5 --member 0": (1, "the content has not its checksum"),
    "fingerprints.h5 out.train": (1, "the content has not its checksum"),
    "Ti.2t.nn O.2t.nn 2t.nn": (2, ".2t.nn': this file is read"),
    "Ti.2t.nn broken.nn out.h5": (2, "--from with its format tells what is wrong"),
    "broken.nn out.h5": (2, "--from with its format tells what is wrong"),
    "Ti.2t.nn O.2t.nn out.h5 --check a.xsf=nan": (2, "'nan' is no number"),
    "a.xsf out.extxyz --check a.xsf": (2, "--check has no effect"),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refused(folder, arguments):
    code, message = REFUSED[arguments]
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = run("convert", *arguments.split(), folder=folder)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
