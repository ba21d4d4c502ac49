"""Time to read the XSF files of a folder by annpot and by ASE.

Usage: ``benchmark_xsf.py [FOLDER]``. All read the same files from the page cache, in
turn and several times; the best time of each counts: other programs only add to it.
"""

import sys
import time
from pathlib import Path

import ase.io

from annpot.structures.archives import read_content
from annpot.structures.reading import read_structures
from annpot.structures.xsf import read_xsf

REPEATS = 10


def read_only(paths: list[Path]) -> int:
    return sum(len(s) for p in paths for s in read_xsf(read_content(p), str(p)))


def read_and_check(paths: list[Path]) -> int:
    return sum(len(s) for p in paths for s in read_structures(p))


def read_ase(paths: list[Path]) -> int:
    return sum(len(ase.io.read(p, format="xsf")) for p in paths)


READERS = {
    "ASE": read_ase,
    "annpot": read_and_check,
    "annpot, without checks": read_only,
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("tests/data/structures")
    paths = sorted(folder.glob("*.xsf"))
    if not paths:
        sys.exit(f"no *.xsf in '{folder}'")
    best = dict.fromkeys(READERS, float("inf"))
    for _ in range(REPEATS):
        for name, read in READERS.items():
            start = time.perf_counter()
            n_atoms = read(paths)
            best[name] = min(best[name], time.perf_counter() - start)
    print(f"{len(paths)} files with {n_atoms} atoms")
    for name, seconds in best.items():
        per_file, ratio = seconds / len(paths) * 1e6, best["ASE"] / seconds
        print(f"{name:24s}{per_file:5.0f} us per file, {ratio:.1f} x as fast as ASE")


if __name__ == "__main__":
    main()
