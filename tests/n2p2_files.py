"""Potentials of n2p2 with what n2p2 gives for them: predictions of structures."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "n2p2" / "synthetic.tar.xz"
ALL = [
    folder / "shared" / "reference" / "n2p2" / "synthetic.tar.xz"
    for folder in Path(__file__).parents
]
"""Where all 45 potentials may be, for those who have them beside the project."""


@dataclass(frozen=True)
class Prediction:
    """What n2p2 gives for one structure; energies and forces in its own units."""

    E: float
    E_n: np.ndarray
    """Without the energies of free atoms and the mean energy."""
    F_nc: np.ndarray
    G_n: list[np.ndarray]
    """Raw symmetry functions."""


def read_archive(path):
    """Return the texts of the files of each potential by name."""
    cases = defaultdict(dict)
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("synthetic/"):
                _, case, name = member.name.split("/")
                cases[case][name] = archive.extractfile(member).read().decode()
    return dict(cases)


def write_files(files, folder):
    """Write the texts of the files of a potential into a folder, and return it."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def read_predictions(text):
    """Return the predictions in a reference.txt."""
    predictions = []
    for part in text.split("structure ")[1:]:
        words = [line.split() for line in part.splitlines()]
        atoms = [w for w in words if w[0] == "atom"]
        predictions.append(
            Prediction(
                E=float(words[1][1]),
                E_n=np.array([w[w.index("e") + 1] for w in atoms], dtype=float),
                F_nc=np.array([w[w.index("f") + 1 :] for w in atoms], dtype=float),
                G_n=[np.array(w[1:], dtype=float) for w in words if w[0] == "Graw"],
            )
        )
    return predictions
