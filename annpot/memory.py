"""How much memory this process has, may have, and had at most; all in bytes.

What is free is the least of what the system, its control groups (versions 1 and 2), the
batch system Slurm and the limits of the shell (``ulimit``) leave.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

MB, GB = 10**6, 10**9
PROCESS, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
"""Version 1 of control groups writes 2^63 less a page for 'no limit'."""

SHARE = 0.6
"""Of what is free, by default."""


class Budget(NamedTuple):
    """What the whole process may hold in RAM."""

    bytes: int
    reason: str


class Free(NamedTuple):
    """Memory that can be had beyond what the process already uses."""

    bytes: int
    reason: str
    """Who sets the limit."""


def say_size(n_bytes: float) -> str:
    """Return a size in a few characters, ``1.3 GB``."""
    if n_bytes >= 0.995 * GB:
        return f"{n_bytes / GB:.3g} GB"
    if n_bytes >= MB:
        return f"{n_bytes / MB:.0f} MB"
    return f"{n_bytes / 1000:.0f} kB"


def resident(process: Path = PROCESS) -> int:
    """Return what the process holds in RAM now."""
    try:
        pages = (process / "self" / "statm").read_text().split()[1]
    except OSError:  # not Linux
        return peak(process)
    return int(pages) * resource.getpagesize()


def peak(process: Path = PROCESS) -> int:
    """Return the most that the process held in RAM.

    Not ``ru_maxrss`` where it can be avoided: Linux counts there what the parent held
    when it started this program.
    """
    found = _read_table(process / "self" / "status").get("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free(
    process: Path = PROCESS,
    groups: Path = GROUPS,
    environment: Mapping[str, str] = os.environ,
) -> Free:
    """Return what can be had beyond what the process uses, and who says so."""
    found = [Free(_free_in_system(process), "this machine")]
    found += [Free(n, "the control group") for n in _free_in_groups(process, groups)]
    used = resident(process)
    found += [Free(n - used, "Slurm") for n in _granted_by_slurm(environment)]
    found += [Free(n, "ulimit") for n in _free_by_ulimit(process, used)]
    least = min(found)
    return least._replace(bytes=max(0, least.bytes))


def budget(wanted: int | None, n_sharing: int = 1) -> Budget:
    """Return what the process may hold in RAM in all: as wanted, or a share of it.

    Parameters
    ----------
    wanted
        By all processes together that share the memory of this machine.
    n_sharing
        How many those are.
    """
    left, used = free(), resident()
    most = used + left.bytes // n_sharing
    if wanted is None:
        share = int(SHARE * left.bytes) // n_sharing
        return Budget(used + share, f"{SHARE:.0%} of what {left.reason} leaves")
    if wanted // n_sharing > most:
        reason = f"{say_size(wanted)} wanted, but {left.reason} leaves no more"
        return Budget(most, reason)
    return Budget(wanted // n_sharing, "as wanted")


def _read_table(path: Path) -> dict[str, int]:
    """Return the sizes in a file of lines like ``VmRSS:  1234 kB``."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = (line.replace(":", " ").split() for line in lines)
    return {w[0]: 1024 * int(w[1]) for w in words if len(w) == 3 and w[2] == "kB"}


def _free_in_system(process: Path) -> int:
    available = _read_table(process / "meminfo").get("MemAvailable")
    if available is not None:
        return available
    # not Linux: nobody says what is free; half of the RAM is a guess
    return os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() // 2


def _free_in_groups(process: Path, groups: Path) -> Iterator[int]:
    """Yield what each control group of the process leaves, and each above those."""
    for folder, limits, usage, cache in _groups_of(process, groups):
        limit = min((_read_size(folder / name) for name in limits), default=UNLIMITED)
        if limit < UNLIMITED:
            # what the system keeps of files is given back when it is needed
            used = _read_size(folder / usage, 0)
            yield limit - used + _read_cache(folder, cache)


Group = tuple[Path, tuple[str, ...], str, str]
"""Folder, files with limits, file with the usage, and what counts the cache there."""


def _groups_of(process: Path, groups: Path) -> Iterator[Group]:
    try:
        lines = (process / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, name = line.split(":", 2)
        if "memory" in controllers.split(","):
            root = groups / "memory"
            limits: tuple[str, ...] = ("memory.limit_in_bytes",)
            usage, cache = "memory.usage_in_bytes", "total_inactive_file"
        elif number == "0" and not controllers:
            root = groups / "unified" if (groups / "unified").is_dir() else groups
            limits = ("memory.max", "memory.high")
            usage, cache = "memory.current", "inactive_file"
        else:
            continue
        folder = root / name.lstrip("/")
        # in a container the name may be the host's, and lead nowhere
        inside = folder if folder.is_dir() else root
        while True:
            yield inside, limits, usage, cache
            if inside == root:
                break
            inside = inside.parent


def _read_size(path: Path, otherwise: int = UNLIMITED) -> int:
    try:
        text = path.read_text().strip()
    except OSError:
        return otherwise
    return int(text) if text.isdecimal() else otherwise


def _read_cache(folder: Path, name: str) -> int:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def _granted_by_slurm(environment: Mapping[str, str]) -> Iterator[int]:
    """Yield what the job may use on this node; Slurm counts in MiB, 0 is all."""

    def number(name: str) -> int:
        text = environment.get(name, "")
        return int(text) if text.isdecimal() else 0

    per_node, per_cpu = number("SLURM_MEM_PER_NODE"), number("SLURM_MEM_PER_CPU")
    cpus = number("SLURM_CPUS_ON_NODE") or number("SLURM_CPUS_PER_TASK") or 1
    for granted in (per_node, per_cpu * cpus):
        if granted:
            yield granted << 20


def _free_by_ulimit(process: Path, used: int) -> Iterator[int]:
    status = _read_table(process / "self" / "status")
    for kind, held in (
        (resource.RLIMIT_AS, status.get("VmSize", used)),
        (resource.RLIMIT_DATA, status.get("VmData", used)),
        (resource.RLIMIT_RSS, used),
    ):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - held
