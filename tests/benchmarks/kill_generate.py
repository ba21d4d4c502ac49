"""Kill 'annpot generate' at random moments, resume it, and compare the sets.

    python tests/benchmarks/kill_generate.py FILES [--kills 50] [--ranks 1] [--set K=V]

Each time: a fresh run is killed (SIGKILL, all its processes) after a random time, then
what is left is resumed, sometimes killed again. Nothing that was finished may be lost,
and the set must have the bytes of one that was made without disturbance, but for
its time of creation.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py


def content_of(path: Path) -> bytes:
    """Return the bytes of a set without its time of creation."""
    with h5py.File(path) as file:
        created = bytes(file.attrs["created"])
    content = path.read_bytes()
    assert content.count(created) == 1
    return content.replace(created, bytes(len(created)))


def start(arguments: list[str], ranks: int, folder: Path) -> subprocess.Popen[str]:
    """Start annpot in a group of processes of its own."""
    launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    program = [sys.executable, "-c", "from annpot.cli.main import main; main()"]
    return subprocess.Popen(
        [*launcher, *program, "generate", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(arguments: list[str], ranks: int, folder: Path) -> tuple[float, str]:
    """Run annpot to its end; return how long it took, and what it said."""
    began = time.perf_counter()
    process = start(arguments, ranks, folder)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {said}")
    return time.perf_counter() - began, said


def kill_at(moment: float, arguments: list[str], ranks: int, folder: Path) -> bool:
    """Start annpot and kill it; return whether it had not ended before."""
    process = start(arguments, ranks, folder)
    time.sleep(moment)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def parts_in(folder: Path) -> dict[str, str]:
    """Return the digest of each part that has its name."""
    found = (folder / "fingerprints.h5.parts").glob("*.h5")
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@dataclass
class Account:
    """What came of the kills."""

    kills: int = 0
    lost: int = 0
    """Parts that were finished, and are gone or changed."""
    different: int = 0
    """Sets that are not as they should be."""

    def check(self, before: dict[str, str], after: dict[str, str]) -> None:
        """Count what was lost by a kill."""
        self.lost += sum(after.get(name) != before[name] for name in before)


def torture(
    arguments: list[str],
    ranks: int,
    folder: Path,
    seconds: float,
    rng: random.Random,
    account: Account,
) -> None:
    """Kill one run, perhaps several times, and resume it to its end."""
    output = folder / "fingerprints.h5"
    output.unlink()
    how = "--restart"
    before: dict[str, str] = {}
    while True:
        moment = rng.uniform(0.0, seconds)
        killed = kill_at(moment, [how, *arguments], ranks, folder)
        account.kills += killed
        after = parts_in(folder)
        state = f"killed after {moment:.2f} s" if killed else "ended before"
        print(f"{account.kills:3d} {state}, {len(after)} parts", flush=True)
        if output.exists():
            break
        account.check(before, after)
        before, how = after, "--resume=auto"
        if rng.random() < 0.5:
            break
    if killed:
        run(["--resume=auto", *arguments], ranks, folder)
    left = {path.name for path in folder.iterdir()} - {"in.yaml", output.name}
    if left:
        print(f"left behind: {left}")


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Kill, resume, compare; print a line for each kill, and the sum."""
    options = parse()
    rng, account = random.Random(options.seed), Account()
    folder = Path(tempfile.mkdtemp(prefix="annpot-kills-"))
    names = "".join(f"  - files: {Path(f).absolute()}\n" for f in options.files)
    (folder / "in.yaml").write_text(f"structures:\n{names}")
    arguments = [word for pair in options.overrides for word in ("--set", pair)]
    run(arguments, options.ranks, folder)  # compiles the kernels
    seconds, _ = run(arguments, options.ranks, folder)
    expected = content_of(folder / "fingerprints.h5")
    print(f"undisturbed: {seconds:.2f} s, {len(expected)} bytes")
    while account.kills < options.kills:
        torture(arguments, options.ranks, folder, seconds, rng, account)
        account.different += content_of(folder / "fingerprints.h5") != expected
    print(account)
    shutil.rmtree(folder)
    raise SystemExit(bool(account.lost or account.different))


if __name__ == "__main__":
    main()
