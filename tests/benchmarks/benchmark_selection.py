"""Test errors after training on structures chosen by annpot select, and at random.

    python tests/benchmarks/benchmark_selection.py FOLDER TRAIN.txt TEST.txt

FOLDER has the files that the lists name. 100 structures are chosen from the training
list, and a small network is trained on them, with several seeds; the test list is the
same for all. Random choices differ from seed to seed. Energies in meV/atom, forces in
meV/angstrom.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from annpot.fingerprints import load_set
from annpot.generation.generating import generate
from annpot.selection.choosing import Request, choose
from annpot.settings import load_settings
from annpot.structures.reading import Source
from annpot.training import train

COUNT, SEEDS, EPOCHS, HELD_OUT = 100, (0, 1, 2), 200, 0.1

DESCRIPTOR = {
    "radial": {"order": 8, "cutoff": 6.0},
    "angular": {"order": 3, "cutoff": 5.0, "radial_order": 2},
}


def make_settings(training, test, output, **train_values):
    values = {
        "structures": [
            {"files": [str(path) for path in training]},
            {"files": [str(path) for path in test], "set": "test"},
        ],
        "species": ["Ti", "O"],
        "descriptor": DESCRIPTOR,
        "generate.output": str(output),
        "train.hidden": [15, 15],
        "train.members": 1,
        "train.epochs": EPOCHS,
        "train.validation_fraction": HELD_OUT,
    }
    return load_settings(None, values | train_values)


def measure(training, test, folder, seed):
    """Return number of atoms, RMSE of energies and of forces on the test list."""
    settings = make_settings(training, test, folder / "set.h5", **{"train.seed": seed})
    generate(settings, Path())
    fingerprints = load_set(folder / "set.h5")
    result = train(fingerprints, settings.train)
    (row,) = [r for r in result.table if r.set == "test" and r.kind == "all"]
    n_atoms = fingerprints.batch.atoms_s[: len(training)].sum()
    return n_atoms, 1000 * row.errors.energy_rmse, 1000 * row.errors.force_rmse


def pick(training, test, folder, count, **request):
    settings = make_settings(training, test, folder / "set.h5")
    source = Source(tuple(str(path) for path in training))
    selection = choose(
        Request(source, count, **request), settings, lambda files, _: files
    )
    return [Path(choice.structure.file) for choice in selection.choices]


def report(name, rows):
    mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    print(
        f"{name:32s} {mean[0]:6.0f} atoms  E {mean[1]:6.2f} +- {spread[1]:.2f}"
        f"  F {mean[2]:6.1f} +- {spread[2]:.1f}",
        flush=True,
    )


def main(folder, training_list, test_list):
    training, test = (
        [folder / name for name in Path(names).read_text().split()]
        for names in (training_list, test_list)
    )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        random = [
            np.random.default_rng(seed).permutation(training)[:COUNT] for seed in SEEDS
        ]
        rows = [
            measure(list(paths), test, work, seed)
            for paths, seed in zip(random, SEEDS, strict=True)
        ]
        report("at random", rows)
        for by in ("structure", "atom"):
            chosen = pick(training, test, work, COUNT, per_atom=by == "atom")
            rows = [measure(chosen, test, work, seed) for seed in SEEDS]
            report(f"novelty per {by}", rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
