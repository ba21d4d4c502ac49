"""Programs run by several ranks of MPI, as a user's launcher starts them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import PATIENCE, python_path

BESIDE = Path(sys.executable).parent
MPIEXEC = shutil.which("mpiexec", path=f"{BESIDE}{os.pathsep}{os.environ['PATH']}")

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="no MPI on this machine: neither mpiexec nor mpi4py may be missing",
)


def run_ranks(n_ranks, *arguments, folder=None, **environment):
    """Run Python with arguments on each rank; return the completed process.

    A job that hangs is ended, which is an error.
    """
    command = [MPIEXEC, "-n", n_ranks, sys.executable, *arguments]
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        env={"ANNPOT_NUM_THREADS": "1"}
        | os.environ
        | {"PYTHONPATH": python_path()}
        | environment,
    )
