"""Read what n2p2 reads and writes: potentials, structures, predictions."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annpot.descriptors import Descriptor
from annpot.descriptors.behler import Behler
from annpot.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    KINDS,
    NAMES,
    SymmetryFunction,
    sort_functions,
)
from annpot.elements import SYMBOLS
from annpot.networks import Network
from annpot.potential import Potential, SpeciesModel

DATA = Path(__file__).parent / "data" / "n2p2" / "synthetic.tar.xz"
ALL = [
    folder / "shared" / "reference" / "n2p2" / "synthetic.tar.xz"
    for folder in Path(__file__).parents
]
"""Where all 45 potentials may be, for those who have them beside the project."""

ACTIVATIONS = {
    "l": ("linear", 1.0),
    "t": ("tanh", 1.0),
    "s": ("sigmoid", 1.0),
    "S": ("sigmoid", -1.0),
    "p": ("softplus", 1.0),
    "r": ("relu", 1.0),
    "g": ("gaussian", np.sqrt(0.5)),
    "c": ("cosine", 1.0),
    "e": ("exponential", 1.0),
    "h": ("square", 1.0),
}
"""Activation function and factor of its argument by n2p2's letter."""

ARGUMENTS = {
    **dict.fromkeys((2,), "neighbour eta r_s cutoff"),
    **dict.fromkeys((3, 9), "neighbour neighbour eta lambda zeta cutoff r_s"),
    12: "eta r_s cutoff",
    13: "eta r_s lambda zeta cutoff",
    20: "neighbour r_low cutoff core",
    **dict.fromkeys(
        (21, 22), "neighbour neighbour r_low cutoff theta_low theta_high core"
    ),
    23: "r_low cutoff core",
    **dict.fromkeys((24, 25), "r_low cutoff theta_low theta_high core"),
}
"""What follows the number of a type in a line of input.nn."""


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


def read_keywords(text):
    """Return the arguments of each line of input.nn by keyword."""
    keywords = defaultdict(list)
    for line in text.splitlines():
        keyword, *arguments = line.split("#")[0].split() or [""]
        keywords[keyword].append(arguments)
    return keywords


def read_function(words, cutoff):
    """Return central species and function of a line of input.nn."""
    central, number, *words = words
    cutoff_function, alpha = cutoff
    recipe = {"type": int(number), "neighbours": []}
    for key, word in zip(ARGUMENTS[int(number)].split(), words, strict=False):
        if key == "neighbour":
            recipe["neighbours"].append(word)
        else:
            recipe[key] = word if key == "core" else float(word)
    if "core" not in recipe:
        recipe |= {"cutoff_function": cutoff_function, "alpha": alpha}
    if not KINDS[NAMES[int(number)]].n_neighbours:
        del recipe["neighbours"]
    return central, SymmetryFunction.from_dict(recipe)


def read_functions(keywords):
    """Return species by atomic number and the functions of each, in n2p2's order."""
    number, alpha = (*keywords["cutoff_type"][0], "0.0")[:2]
    cutoff = CUTOFF_FUNCTIONS[int(number)], float(alpha)
    functions = defaultdict(list)
    for words in keywords["symfunction_short"]:
        central, function = read_function(words, cutoff)
        functions[central].append(function)
    species = tuple(sorted(functions, key=SYMBOLS.index))
    return species, tuple(tuple(sort_functions(functions[s])) for s in species)


def read_scaling(text, keywords):
    """Return shift and scale of the functions of each species: (G - shift) scale."""
    rows = np.array([x.split() for x in text.splitlines() if x[0] != "#"], dtype=float)
    low = float(keywords["scale_min_short"][0][0])
    high = float(keywords["scale_max_short"][0][0])
    result = []
    for s in np.unique(rows[:, 0]):
        least, largest, mean, sigma = rows[rows[:, 0] == s][:, 2:6].T
        if "scale_symmetry_functions_sigma" in keywords:
            scale = (high - low) / sigma
            result.append((mean - low / scale, scale))
        elif "scale_symmetry_functions" in keywords:
            scale = (high - low) / (largest - least)
            centre = mean if "center_symmetry_functions" in keywords else least
            result.append((centre - low / scale, scale))
        elif "center_symmetry_functions" in keywords:
            result.append((mean, np.ones_like(mean)))
        else:
            result.append((np.zeros_like(mean), np.ones_like(mean)))
    return result


def read_network(text, keywords, n_inputs):
    """Return the network of a weights file."""
    numbers = [float(x.split()[0]) for x in text.splitlines() if x[0] != "#"]
    letters = keywords["global_activation_short"][0]
    sizes = [n_inputs, *map(int, keywords["global_nodes_short"][0]), 1]
    weights, biases = [], []
    at = 0
    for n_in, n_out, letter in zip(sizes[:-1], sizes[1:], letters, strict=True):
        factor = ACTIVATIONS[letter][1]
        if "normalize_nodes" in keywords:
            factor /= n_in
        matrix = np.array(numbers[at : at + n_in * n_out]).reshape(n_in, n_out).T
        at += n_in * n_out
        weights.append(factor * np.ascontiguousarray(matrix))
        biases.append(factor * np.array(numbers[at : at + n_out]))
        at += n_out
    assert at == len(numbers)
    *hidden, last = (ACTIVATIONS[letter][0] for letter in letters)
    assert last == "linear"
    return Network(tuple(hidden), tuple(weights), tuple(biases))


def make_potential(files):
    """Return the potential of a folder; numbers are taken as they are.

    ``conv_length`` changes nothing: n2p2 converts cutoffs and eta with the positions.
    """
    keywords = read_keywords(files["input.nn"])
    species, functions_s = read_functions(keywords)
    scalings = read_scaling(files["scaling.data"], keywords)
    models = []
    for symbol, functions, (shift_f, scale_f) in zip(
        species, functions_s, scalings, strict=True
    ):
        weights = files[f"weights.{SYMBOLS.index(symbol):03d}.data"]
        network = read_network(weights, keywords, len(functions))
        models.append(SpeciesModel(shift_f, scale_f, network, domain=None))
    offsets = {symbol: float(e) for symbol, e in keywords["atom_energy"]}
    mean = float((keywords["mean_energy"] or [[0.0]])[0][0])
    unit = float((keywords["conv_energy"] or [[1.0]])[0][0])
    return Potential(
        descriptor=Descriptor((Behler(species, functions_s),)),
        reference_energies=np.array([mean + offsets.get(s, 0.0) for s in species]),
        models=tuple(models),
        energy_shift=0.0,
        energy_scale=1.0 / unit,
        shortest_st=np.full((len(species),) * 2, np.inf),
        provenance={"made by": "n2p2"},
    )


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
