"""Compare the expected and the actual peak memory of training at several budgets.

    python tests/benchmarks/benchmark_memory.py FINGERPRINTS ...

FINGERPRINTS are sets that annpot generate wrote. The actual peak is that of the whole
process as the system tells it to its parent.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ANNPOT = Path(sys.executable).with_name("annpot")
BUDGETS = ("100M", "400M", "500M", "700M", "1G", "100G")
EPOCHS = 6
FACTOR = {"MB": 1e6, "GB": 1e9}
# a small process in between: Linux hands the memory of the parent down to the peak
RUN = (
    "import json, os, subprocess, sys;"
    "p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL);"
    "_, status, used = os.wait4(p.pid, 0);"
    "print(json.dumps([status, 1024 * used.ru_maxrss]))"
)


def train(fingerprints, budget, folder, *options):
    """Return expected and actual peak in bytes, seconds per epoch, and the plan."""
    command = [ANNPOT, "train", "-i", fingerprints.resolve(), "--epochs", EPOCHS]
    command += ["--memory", budget, *options]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, command)],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"ANNPOT_NUM_THREADS": "1"},
    )
    status, actual = json.loads(done.stdout)
    assert status == 0, done.stderr
    plan = re.search(r"memory: (.*); expected peak ([\d.]+) (MB|GB)", done.stderr)
    seconds = np.genfromtxt(folder / "train.log", names=True)["seconds"]
    per_epoch = np.diff(seconds).min()
    return float(plan[2]) * FACTOR[plan[3]], actual, per_epoch, plan[1]


def main(sets):
    print("set budget: expected and actual peak, ratio, time of an epoch: plan")
    for fingerprints in sets:
        with tempfile.TemporaryDirectory() as name:
            train(fingerprints, "100G", Path(name))  # may have to compile
            for budget in BUDGETS:
                expected, actual, seconds, plan = train(
                    fingerprints, budget, Path(name)
                )
                print(
                    f"{fingerprints.parent.name} {budget}: {expected / 1e6:.0f} MB, "
                    f"{actual / 1e6:.0f} MB, {actual / expected:.2f}, {seconds:.2f} s: "
                    f"{plan}",
                    flush=True,
                )


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
