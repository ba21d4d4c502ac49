"""What weights of the species gain: the same training with different channels.

    python tests/benchmarks/benchmark_species.py [EPOCHS [TRAIN.xyz TEST.xyz]]

Without files, on a made-up set of 11 species: random alloys with energies and forces of
effective medium theory as ASE has it.
"""

import sys
import tempfile
import time
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from annpot.fingerprints import load_set
from annpot.generation.generating import generate
from annpot.settings import Settings
from annpot.training import train

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
OTHERS = ("H", "C", "N", "O")

CHOICES = {
    "all alike": {"weights": "auto", "channels": 1},
    "aenet": {"weights": "aenet"},
    "electronegativity": {"weights": "electronegativity"},
    "group and period": {"weights": ["group", "period"]},
    "auto, 2 channels": {"weights": "auto", "channels": 2},
    "auto, 3 channels": {"weights": "auto", "channels": 3},
    "auto, 4 channels": {"weights": "auto", "channels": 4},
    "auto, 4, not mixed": {
        "weights": "auto",
        "channels": 4,
        "angular": {"mixed": False},
    },
    "each species, not mixed": {"weights": "species", "angular": {"mixed": False}},
}


def make_alloys(n_structures, rng):
    """Return random alloys of seven metals with some of the other four species."""
    structures = []
    for _ in range(n_structures):
        atoms = bulk("Cu", "fcc", a=rng.uniform(3.8, 4.3), cubic=True).repeat(2)
        kinds = rng.choice(METALS, size=3, replace=False)
        symbols = rng.choice(kinds, size=len(atoms)).astype("<U2")
        few = rng.random(len(atoms)) < 0.1
        symbols[few] = rng.choice(OTHERS, size=few.sum())
        atoms.set_chemical_symbols(list(symbols))
        strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        structures.append(atoms)
    return structures


def measure(name, descriptor, files, epochs, folder):
    """Print the size and the test errors with one choice of weights."""
    settings = Settings.model_validate(
        {
            "structures": [
                {"files": str(files[0]), "set": "train"},
                {"files": str(files[1]), "set": "test"},
            ],
            "descriptor": descriptor,
            "generate": {"output": str(folder / "fingerprints.h5")},
            "train": {
                "input": str(folder / "fingerprints.h5"),
                "epochs": epochs,
                "members": 1,
            },
        }
    )
    generate(settings, Path())
    fingerprints = load_set(settings.train.input)
    start = time.perf_counter()
    result = train(fingerprints, settings.train)
    errors = next(r.errors for r in result.table if (r.set, r.kind) == ("test", "all"))
    print(
        f"{name:24} {fingerprints.descriptor.n_features_s.max():4d} features  test "
        f"{1e3 * errors.energy_rmse:6.2f} meV/atom {1e3 * errors.force_rmse:6.1f} "
        f"meV/angstrom  {time.perf_counter() - start:4.0f} s",
        flush=True,
    )


def main(epochs="150", *files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not files:
            rng = np.random.default_rng(0)
            files = [folder / "train.xyz", folder / "test.xyz"]
            for path, n_structures in zip(files, (300, 60), strict=True):
                ase.io.write(path, make_alloys(n_structures, rng))
        for choice, descriptor in CHOICES.items():
            measure(choice, descriptor, files, int(epochs), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
