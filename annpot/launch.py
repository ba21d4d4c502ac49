"""What the launcher of MPI tells this process, if one started it."""

from __future__ import annotations

import os
from typing import NamedTuple

LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
"""Where Open MPI, MPICH and its kin, MVAPICH and srun tell a process what it is."""


class Launch(NamedTuple):
    """The place of this process among all that were started together."""

    rank: int = 0
    size: int = 1
    variable: str = ""
    """Of the environment; it tells the size."""


def launched() -> Launch:
    """Return what the first launcher tells that is known; one rank without any.

    The first one: mpirun starts its daemons by srun, whose variables are theirs.
    """
    for size, rank in LAUNCHERS:
        found = os.environ.get(size, "")
        if found.isdecimal():
            return Launch(int(os.environ.get(rank, 0)), int(found), size)
    return Launch()
