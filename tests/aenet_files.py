"""Read what aenet has written: potentials, features, predictions."""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annpot.convert.aenet import potentials as aenet
from annpot.structures.xsf import read_xsf

DATA = Path(__file__).parent / "data" / "aenet"


def read_potential(name, species=("Ti", "O")):
    """Return the potential in files like ``Ti.15t-15t.nn``."""
    paths = [DATA / f"{symbol}.{name}" for symbol in species]
    return aenet.read_potential(paths, notes=[])


def read_structures(names):
    """Return the structures, in the order of the names."""
    paths = [DATA / "structures" / name for name in names]
    return [next(read_xsf(path.read_bytes(), path.name)) for path in paths]


def read_features(path):
    """Return the names of the structures and, for each, types and features of atoms."""
    lines = iter(lzma.open(path, "rt").read().split("\n"))
    next(lines), next(lines), next(lines), next(lines)
    n_types = int(next(lines))
    for _ in range(n_types):
        next(lines)
    next(lines), next(lines)
    n_structures = int(next(lines))
    next(lines)
    names, features = [], []
    for _ in range(n_structures):
        names.append(Path(next(lines).strip()).name)
        n_atoms = int(next(lines).split()[0])
        next(lines)  # energy
        atoms = []
        for _ in range(n_atoms):
            kind = int(next(lines))
            next(lines), next(lines), next(lines)  # position, force, number
            atoms.append((kind, np.array(next(lines).split(), dtype=float)))
        features.append(atoms)
    return names, features


@dataclass(frozen=True)
class Prediction:
    """What predict.x printed for one structure."""

    name: str
    symbols: tuple[str, ...]
    positions_nc: np.ndarray
    F_nc: np.ndarray
    E_n: np.ndarray
    cohesive_energy: float
    total_energy: float


def read_predictions(path):
    """Return the predictions in an output of predict.x."""
    text = lzma.open(path, "rt").read()
    return [_read_prediction(part) for part in text.split("Structure number")[1:]]


def _read_prediction(text):
    rows = re.findall(r"^ ([A-Z][a-z]?) +((?:\S+ +){6}\S+)$", text, re.MULTILINE)
    table = np.array([row.split() for _, row in rows], dtype=float)
    return Prediction(
        name=Path(re.search(r"File name +: (\S+)", text)[1]).name,
        symbols=tuple(symbol for symbol, _ in rows),
        positions_nc=table[:, :3],
        F_nc=table[:, 3:6],
        E_n=table[:, 6],
        cohesive_energy=float(re.search(r"Cohesive energy +: +(\S+)", text)[1]),
        total_energy=float(re.search(r"Total energy +: +(\S+)", text)[1]),
    )
