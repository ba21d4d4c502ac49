"""The commands of annpot, run in this process or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from click.testing import CliRunner

import annpot

MAIN = "from annpot.cli.main import main; main()"
PATIENCE = 600
"""Seconds after which a process hangs, whatever else the machine does."""


def run(*arguments, folder=None):
    """Run annpot and return click's result, stdout and stderr apart."""
    from annpot.cli.main import annpot

    before = Path.cwd()
    try:
        if folder is not None:
            os.chdir(folder)
        return CliRunner().invoke(annpot, [str(a) for a in arguments])
    finally:
        os.chdir(before)


def python_path():
    """Return where other processes find this annpot, and all that this one finds."""
    return os.pathsep.join([str(Path(annpot.__file__).parents[1]), *sys.path])


def start(*arguments, folder=None, before="", **environment):
    """Start annpot as a process of its own, which runs the program ``before`` first."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{MAIN}", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": python_path()} | environment,
    )


def wait_for(condition, process):
    """Wait until a condition holds or a process ends; return whether it still runs."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
    return process.returncode is None
