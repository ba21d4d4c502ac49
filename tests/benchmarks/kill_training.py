"""Trainings on examples/tio2 that are killed (kill -9) at random moments and go on.

    python kill_training.py [KILLS [SECONDS]]

For each method, an undisturbed training of about SECONDS (12), and then processes with
``--resume auto`` that are killed at random moments, KILLS (50) times in all. Whenever
one gets to the end before, its potential is compared with the undisturbed one, and the
next begins anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from annpot.checkpoints import keeper
from annpot.committee import Committee
from annpot.training_log import read_log

EXAMPLE = Path(__file__).parents[2] / "examples" / "tio2"
COMMAND = [sys.executable, "-c", "from annpot.cli.main import main; main()"]
OPTIONS = [
    "--set", "train.members=2", "--set", "train.hidden=[8]",
    "--set", "train.checkpoint_every=0.2",
]  # fmt: skip


def run(*arguments: str, folder: Path, timeout: float | None = None) -> bool:
    """Run annpot; return whether it came to its end before it was killed."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        _, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode:
        raise SystemExit(stderr.decode())
    return True


class Outcome:
    """What a training ended with."""

    def __init__(self, folder: Path) -> None:
        committee = Committee.load(folder / "potential.h5")
        models = [model for member in committee.members for model in member.models]
        self.weights_w = np.concatenate([model.network.flatten() for model in models])
        log = read_log(folder / "train.log")
        del log["seconds"]
        self.log = np.array(list(log.values()))
        self.loss = log["loss"][-1]

    def compare(self, other: Outcome) -> str:
        """Return how they differ, in words."""
        if np.array_equal(self.weights_w, other.weights_w):
            same_log = np.array_equal(self.log, other.log, equal_nan=True)
            return "the same to the last bit" + ("" if same_log else ", log differs")
        return f"loss differs by {abs(self.loss - other.loss):.1e}"


def measure(method: str, epochs: int, n_kills: int, folder: Path) -> None:
    """Kill trainings by one method, and print what became of them."""
    options = ["train", "--method", method, "--epochs", str(epochs), *OPTIONS]
    begin = time.monotonic()
    run(*options, folder=folder)
    duration = time.monotonic() - begin
    undisturbed = Outcome(folder)
    (folder / "potential.h5").unlink()
    rng = np.random.default_rng(0)
    found, n_epochs, done = Counter[str](), 0, 0
    while done < n_kills:
        timeout = float(rng.uniform(0.0, duration))
        if run(*options, "--resume", "auto", folder=folder, timeout=timeout):
            found[Outcome(folder).compare(undisturbed)] += 1
            (folder / "potential.h5").unlink()
            n_epochs = 0
            continue
        done += 1
        n_epochs = check(folder, n_epochs, found)
    run(*options, "--resume", "auto", folder=folder)
    found[Outcome(folder).compare(undisturbed)] += 1
    print(f"{method}: {duration:.1f} s undisturbed, {n_kills} kills")
    for what, n in found.items():
        print(f"  {n:3d} {what}")


def check(folder: Path, n_epochs: int, found: Counter[str]) -> int:
    """Look at what a killed process left; return the epochs of its checkpoint."""
    newest = keeper.find(folder / "potential.h5")
    if newest is None:
        found["kills before a checkpoint"] += 1
        if n_epochs:
            found["CHECKPOINTS LOST"] += 1
        return 0
    reached = newest.checkpoint.progress.n_epochs
    found["kills with a sound checkpoint"] += 1
    if newest.complaint:
        found["of these between two checkpoints (the previous one is taken)"] += 1
    if (folder / "potential.h5").exists():
        found["of these after the potential was written"] += 1
    if reached < n_epochs:
        found["EPOCHS LOST"] += 1
    return reached


def main() -> None:
    """Measure both methods."""
    n_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 12.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(EXAMPLE / "train", folder / "train")
        shutil.copytree(EXAMPLE / "test", folder / "test")
        shutil.copy(EXAMPLE / "in.yaml", folder)
        run("generate", folder=folder)
        for method, probe in (("lbfgs", 20), ("adam", 2)):
            options = ["train", "--method", method, *OPTIONS, "--epochs", str(probe)]
            run(*options, folder=folder)
            pace = read_log(folder / "train.log")["seconds"][-1] / probe
            measure(method, max(2, round(seconds / pace)), n_kills, folder)


if __name__ == "__main__":
    main()
