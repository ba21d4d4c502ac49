"""Time whole processes on one core, kernels already compiled.

    taskset -c 0 python tests/benchmarks/benchmark_commands.py FOLDER

FOLDER holds XSF files with energies and forces.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_kernel import rutile

ANNPOT = Path(sys.executable).with_name("annpot")


def clock(name, *arguments, folder):
    """Print the shortest wall time of a command."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        subprocess.run(
            [ANNPOT, *map(str, arguments)],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"ANNPOT_NUM_THREADS": "1"},
        )
        times.append(time.perf_counter() - start)
    # the first run may have to compile
    print(f"{name:40} {min(times[1:]):.2f} s")


def write_xsf(path, structure):
    """Write a periodic structure."""
    cell = "\n".join(" ".join(map(str, row)) for row in structure.cell_cc)
    atoms = "\n".join(
        f"{symbol} {x} {y} {z}"
        for symbol, (x, y, z) in zip(
            structure.symbols, structure.positions_nc, strict=True
        )
    )
    text = f"PRIMVEC\n{cell}\nPRIMCOORD\n{len(structure)} 1\n{atoms}\n"
    path.write_text("CRYSTAL\n" + text)


def main(source):
    files = sorted(source.resolve().glob("*.xsf"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_xsf(folder / "large.xsf", rutile((14, 14, 26)))
        (folder / "in.yaml").write_text(f"structures: {source.resolve()}/*.xsf\n")
        clock(f"generate, {len(files)} files", "generate", folder=folder)
        subprocess.run(
            [ANNPOT, "train", "--epochs", "2"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        clock(f"predict, {len(files)} files", "predict", *files, folder=folder)
        clock("predict, one file", "predict", files[0], folder=folder)
        clock("predict, 30,576 atoms", "predict", "large.xsf", folder=folder)
        clock("--help", "--help", folder=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
