"""What memory there is: sizes as text, control groups, Slurm, limits; the budget."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from annpot import memory
from annpot.errors import InputError
from annpot.settings import load_settings

GB = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8G", 8 * GB),
        ("8GB", 8 * GB),
        ("500M", 500_000_000),
        (" 1.5 g ", 1_500_000_000),
        ("512MiB", 512 << 20),
        ("6400k", 6_400_000),
        ("1Ti", 1 << 40),
        (12345678, 12345678),
        (None, None),
    ],
)
def test_sizes(text, expected):
    assert load_settings(None, {"train.memory": text}).train.memory == expected


@pytest.mark.parametrize(
    "text", ["8 apples", "-1G", "", "G", "1.2.3G", "8Gib/s", 0, 8, 1.5]
)
def test_a_wrong_size_is_one_line(text):
    with pytest.raises(InputError, match=r"train\.memory: expected") as error:
        load_settings(None, {"train.memory": text})
    assert "\n" not in str(error.value)


def test_sizes_are_said_in_a_few_characters():
    assert memory.say_size(8 * GB) == "8 GB"
    assert memory.say_size(1_234_000_000) == "1.23 GB"
    assert memory.say_size(56_700_000) == "57 MB"
    assert memory.say_size(8_200) == "8 kB"


def test_the_process_grows_by_what_it_allocates():
    before = memory.resident()
    block = np.ones(5_000_000)
    grown = memory.resident() - before
    assert 0.8 * block.nbytes < grown < 1.5 * block.nbytes
    # the system counts pages of several processors now and then only
    assert memory.peak() > 0.99 * memory.resident()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return fake folders for /proc and control groups, with 10 GB of RAM free."""
    process, groups = tmp_path / "proc", tmp_path / "groups"
    (process / "self").mkdir(parents=True)
    groups.mkdir()
    page = resource.getpagesize()
    (process / "meminfo").write_text(
        f"MemTotal: 20000000 kB\nMemAvailable: {10 * GB // 1024} kB\n"
    )
    (process / "self" / "statm").write_text(f"9 {GB // page} 3 4 5 6 7\n")
    (process / "self" / "status").write_text(
        "Name:\tpython\nVmSize:\t2000000 kB\nVmData:\t1500000 kB\nVmHWM:\t1200000 kB\n"
    )
    unlimited = (resource.RLIM_INFINITY,) * 2
    monkeypatch.setattr(resource, "getrlimit", lambda kind: unlimited)
    return process, groups


def free(machine, environment=None):
    """Return what is free in GB, and who says so."""
    n_bytes, reason = memory.free(*machine, environment or {})
    return n_bytes / GB, reason


def make_group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_limits_the_machine_decides(machine):
    assert free(machine) == (pytest.approx(10.0, rel=1e-6), "this machine")


def test_control_groups_of_version_2_up_to_the_root(machine):
    process, groups = machine
    (process / "self" / "cgroup").write_text("0::/user/job\n")
    make_group(groups / "user" / "job", memory__max="max", memory__current=GB)
    make_group(groups / "user", memory__max=5 * GB, memory__current=2 * GB)
    assert free(machine) == (3.0, "the control group")
    # what is kept of files can be given back
    make_group(groups / "user", memory__stat=f"anon 5\ninactive_file {GB // 2}")
    assert free(machine) == (3.5, "the control group")
    make_group(groups / "user" / "job", memory__high=2 * GB)
    assert free(machine) == (1.0, "the control group")


def test_control_groups_of_version_1(machine):
    process, groups = machine
    (process / "self" / "cgroup").write_text("5:cpu:/x\n4:memory:/slurm/job\n0::/\n")
    folder = groups / "memory" / "slurm" / "job"
    make_group(folder, memory__limit_in_bytes=4 * GB, memory__usage_in_bytes=3 * GB)
    make_group(groups / "memory", memory__limit_in_bytes=(1 << 63) - 4096)
    assert free(machine) == (1.0, "the control group")
    # inside a container the path is the host's
    (process / "self" / "cgroup").write_text("4:memory:/elsewhere\n")
    make_group(
        groups / "memory",
        memory__limit_in_bytes=2 * GB,
        memory__usage_in_bytes=3 * GB,
    )
    assert free(machine) == (0.0, "the control group")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, 4 * 1.073741824 - 1),
        ({"SLURM_MEM_PER_NODE": "0"}, 10.0),
        ({"SLURM_MEM_PER_CPU": "1024"}, 1.073741824 - 1),
        (
            {"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "5"},
            5 * 1.073741824 - 1,
        ),
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_PER_TASK": "2"}, 4.294967296 - 1),
        ({"SLURM_MEM_PER_NODE": "much"}, 10.0),
    ],
    ids=str,
)
def test_slurm(machine, environment, expected):
    assert free(machine, environment)[0] == pytest.approx(expected, rel=1e-4)


def test_limits_of_the_shell(machine, monkeypatch):
    limits = {resource.RLIMIT_AS: 4 * 1024 * 10**6, resource.RLIMIT_DATA: 10 * GB}
    monkeypatch.setattr(
        resource,
        "getrlimit",
        lambda kind: (limits.get(kind, resource.RLIM_INFINITY),) * 2,
    )
    assert free(machine) == (pytest.approx(2.048), "ulimit")


def test_the_peak_is_of_this_program(machine):
    assert memory.peak(machine[0]) == 1200000 * 1024


def test_the_budget(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: memory.Free(10 * GB, "Slurm"))
    monkeypatch.setattr(memory, "resident", lambda: GB)
    assert memory.budget(None) == (7 * GB, "60% of what Slurm leaves")
    assert memory.budget(2 * GB) == (2 * GB, "as wanted")
    assert memory.budget(12 * GB) == (11 * GB, "12 GB wanted, but Slurm leaves no more")


def test_ranks_of_a_machine_share_its_memory(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: memory.Free(10 * GB, "Slurm"))
    monkeypatch.setattr(memory, "resident", lambda: GB)
    assert memory.budget(None, 4).bytes == GB + 6 * GB // 4
    assert memory.budget(8 * GB, 4) == (2 * GB, "as wanted")
    found = memory.budget(40 * GB, 4)
    assert found == (GB + 10 * GB // 4, "40 GB wanted, but Slurm leaves no more")
