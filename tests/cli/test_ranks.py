"""Commands run by several ranks of MPI: what they say, and how they end."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from commands import run
from ranks import needs_mpi, run_ranks

from annpot.potential import Potential

pytestmark = needs_mpi

PROGRAM = """
import os, signal, sys
from annpot.errors import AnnpotError, InputError
from annpot.launch import launched
from annpot.loss import Loss

compute, calls = Loss.compute, []

def stumble(self, weights_w):
    calls.append(1)
    if launched().rank == RANK and len(calls) == 12:
        ACTION
    return compute(self, weights_w)

Loss.compute = stumble
from annpot.cli.main import main
main()
"""
"""annpot, but one rank does something else amid the training."""

ANNPOT = "from annpot.cli.main import main; main()"
TRAIN = ("train", "--set", "train.log=log")


def annpot(n_ranks, folder, *arguments, program=ANNPOT, **environment):
    return run_ranks(n_ranks, "-c", program, *arguments, folder=folder, **environment)


def stumbling(rank, action):
    return PROGRAM.replace("RANK", str(rank)).replace("ACTION", action)


def said(result):
    """Return what annpot said, without what the launcher says."""
    lines = result.stderr.splitlines()
    return [line for line in lines if line and not line.startswith("Abort(")]


def numbers(path):
    potential = Potential.load(path)
    return np.concatenate([m.network.flatten() for m in potential.models])


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """Return a folder where one rank has trained."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(made, folder, dirs_exist_ok=True)
    result = annpot(1, folder, *TRAIN)
    assert result.returncode == 0, result.stderr
    return folder


def test_train_says_and_writes_the_same_on_any_number_of_ranks(whole, work):
    alone = annpot(1, whole, *TRAIN)
    result = annpot(3, work, *TRAIN)
    assert result.returncode == 0, result.stderr
    assert result.stdout == alone.stdout
    assert "3 ranks of MPI" in said(result)[0]
    assert said(result)[-1] == "wrote potential.h5 and log"
    found, expected = (numbers(f / "potential.h5") for f in (work, whole))
    np.testing.assert_array_equal(found, expected)
    logs = [
        [row.split()[:10] for row in (f / "log").read_text().splitlines()]
        for f in (work, whole)
    ]
    assert logs[0] == logs[1]
    assert not list(work.glob("*.checkpoint*")) + list(work.glob("*.run"))


def test_what_goes_wrong_everywhere_is_said_once(work):
    result = annpot(3, work, "train", "--input", "nothing.h5")
    assert result.returncode == 1
    assert [line for line in said(result) if "ranks of MPI" not in line] == [
        "Error: 'nothing.h5': no such file: 'annpot generate' makes one"
    ]
    result = annpot(2, work, "train", "--set", "train.epochz=3")
    assert result.returncode == 2
    assert result.stderr.count("epochz") == 1
    result = annpot(2, work, *TRAIN, ANNPOT_NUM_THREADS="many")
    assert result.returncode == 2
    assert said(result) == [
        "Error: ANNPOT_NUM_THREADS: a number of threads expected, found 'many'"
    ]
    result = annpot(2, work, "trian")
    assert result.returncode == 2
    assert result.stderr.count("No such command") == 1


FAILURE = "raise AnnpotError('the sky falls')", 1, "Error: the sky falls"
INPUT = "raise InputError('too blue')", 2, "Error: too blue"
OUR_OWN = "calls.nothing", 1, "'list' object has no attribute 'nothing'"
KILLED = "os.kill(os.getpid(), signal.SIGKILL)", None, ""


@pytest.mark.parametrize(
    ("rank", "action", "code", "message"),
    [(0, *FAILURE), (1, *FAILURE), (1, *INPUT), (0, *OUR_OWN), (1, *KILLED)],
    ids=["failure 0", "failure 1", "input 1", "our own 0", "killed 1"],
)
def test_a_rank_that_fails_stops_the_job(work, rank, action, code, message):
    result = annpot(2, work, *TRAIN, program=stumbling(rank, action))
    assert result.returncode == code if code else result.returncode != 0
    assert result.stderr.count(message) == 1 if message else True
    if code:
        assert f"rank {rank}: " in result.stderr
    assert ("Traceback" in result.stderr) == (message.startswith("'list'"))


@pytest.mark.parametrize(("name", "rank"), [("SIGUSR1", 1), ("SIGHUP", 0)])
def test_a_signal_to_any_rank_stops_all_and_any_number_goes_on(whole, work, name, rank):
    (work / "potential.h5").unlink()
    action = f"os.kill(os.getpid(), signal.{name})"
    # nohup, which ignores it, hands that down
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    program += stumbling(rank, action)
    result = annpot(2, work, *TRAIN, program=program)
    assert result.returncode == 75, result.stderr
    assert sum(f"stopped by {name}" in line for line in said(result)) == 1
    assert (work / "potential.h5.checkpoint").exists()
    assert (work / "potential.h5").exists() == (name == "SIGHUP")  # that of a user
    result = annpot(3, work, *TRAIN, "--resume")
    assert result.returncode == 0, result.stderr
    found, expected = (numbers(f / "potential.h5") for f in (work, whole))
    np.testing.assert_array_equal(found, expected)


PREPARING = """
import os, signal
from annpot import posing
from annpot.cli import ranks
from annpot.launch import launched
from annpot.parallel import MPIRanks

size_structures = posing.size_structures

def stumble(*arguments):
    if launched().rank in RANKS:
        os.kill(os.getpid(), signal.SIGTERM)
    return size_structures(*arguments)

farewell = MPIRanks.farewell

def stumble_again(self, data, patience):  # as launchers do that pass signals on
    os.kill(os.getpid(), signal.SIGTERM)
    return farewell(self, data, patience)

posing.size_structures, MPIRanks.farewell = stumble, stumble_again
if RANKS == (1,):  # else both end, however long that takes
    ranks.PATIENCE[75] = ranks.PATIENCE[130] = 2.0
from annpot.cli.main import main
main()
"""


@pytest.mark.parametrize(("who", "code"), [((0, 1), 130), ((0, 1), 75), ((1,), 75)])
def test_a_signal_during_the_preparation_is_not_kept_waiting(work, who, code):
    """Also that to one rank alone, which others wait for."""
    options = ("--resume", "auto") if code == 75 else ()
    program = PREPARING.replace("RANKS", str(who))
    (work / "potential.h5").unlink()
    result = annpot(2, work, *TRAIN, *options, program=program)
    assert result.returncode == code, result.stderr
    assert not list(work.glob("*.checkpoint*"))
    assert "Traceback" not in result.stderr
    assert ("stopped by SIGTERM" in result.stderr) == (0 in who)
    assert ("rank 1: asked to end" in result.stderr) == (0 not in who)


def test_other_commands_are_those_of_the_first_rank(work):
    result = annpot(3, work, "info", "potential.h5")
    assert result.returncode == 0
    assert result.stdout.count("kind: potential") == 1
    assert result.stderr == ""
    result = annpot(2, work, "info", "--nonsense")
    assert result.returncode == 2
    assert result.stderr.count("No such option") == 1


def test_ranks_that_are_told_different_numbers_of_threads(work):
    program = (
        "import os\n"
        "if os.environ['PMI_RANK'] == '1': del os.environ['ANNPOT_NUM_THREADS']\n"
    )
    result = annpot(2, work, "info", "potential.h5", program=program + ANNPOT)
    assert result.returncode == 0, result.stderr


def test_without_mpi4py_one_rank_says_what_to_install(work):
    program = f"import sys; sys.modules['mpi4py'] = None; {ANNPOT}"
    result = annpot(2, work, *TRAIN, program=program)
    assert result.returncode == 2
    (error,) = re.findall("Error: .*", result.stderr)
    assert "started by MPI with 2 ranks (PMI_SIZE), but mpi4py cannot be used" in error
    assert "pip install mpi4py" in error


def test_other_ranks_do_nothing_for_them(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    for rank, idle in ((0, False), (1, True)):
        monkeypatch.setenv("PMI_RANK", str(rank))
        result = run("schema", "--yaml")
        assert result.exit_code == 0
        assert (result.stdout == "") == idle
