"""Read what aenet writes: potentials (binary and text), features, predictions."""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from systems import aenet_descriptor

from annpot.descriptors import Descriptor
from annpot.descriptors.behler import Behler
from annpot.descriptors.chebyshev import Expansion
from annpot.descriptors.species_weights import aenet_weights
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.networks import Network
from annpot.potential import Potential, SpeciesModel
from annpot.structures.xsf import read_xsf

DATA = Path(__file__).parent / "data" / "aenet"

ACTIVATIONS = ("linear", "tanh", "sigmoid", "mtanh", "twist")
"""Activation functions by aenet's numbers."""


@dataclass(frozen=True)
class NetworkFile:
    """The part of a .nn file that says what the potential gives."""

    nodes: tuple[int, ...]
    codes: tuple[int, ...]
    """Activation function of each layer from the second on."""
    weights_w: np.ndarray
    symbol: str
    environment: tuple[str, ...]
    radial: Expansion | None
    angular: Expansion | None
    """``None`` where the basis is not Chebyshev but Behler2011."""
    functions: tuple[SymmetryFunction, ...]
    """In the order of the features."""
    mean_f: np.ndarray
    mean_square_f: np.ndarray
    energy_scale: float
    energy_shift: float
    species: tuple[str, ...]
    reference_energies: np.ndarray


class BinaryRecords:
    """The records of a gfortran file: length, content, length."""

    def __init__(self, path):
        self.content, self.at = path.read_bytes(), 0

    def _next(self):
        size = int(np.frombuffer(self.content, "<i4", 1, self.at)[0])
        start, self.at = self.at + 4, self.at + size + 8
        assert np.frombuffer(self.content, "<i4", 1, self.at - 4)[0] == size
        return self.content[start : start + size]

    def integers(self, count=1):
        return self._numbers("<i4", count)

    def floats(self, count=1):
        return self._numbers("<f8", count)

    def _numbers(self, kind, count):
        numbers = np.frombuffer(self._next(), kind)
        assert len(numbers) == count
        return numbers

    def words(self, count=1):
        """Return names of equal length, padded with blanks."""
        text = self._next().decode()
        size = len(text) // count
        return tuple(text[i * size : (i + 1) * size].strip() for i in range(count))

    def line(self):
        return self._next().decode().strip()

    logical = integers


class TextRecords:
    """The same records as text: numbers and words separated by blanks."""

    def __init__(self, path):
        self.text, self.at = path.read_text(), 0

    def words(self, count=1):
        words = []
        for _ in range(count):
            word = re.compile(r"\s*(\S+)").match(self.text, self.at)
            words.append(word[1])
            self.at = word.end()
        return tuple(words)

    def line(self):
        """Return the rest up to the end of the next line that is not empty."""
        line = re.compile(r"\s*(\S.*)").match(self.text, self.at)
        self.at = line.end()
        return line[1]

    def integers(self, count=1):
        return np.array([int(word) for word in self.words(count)])

    def floats(self, count=1):
        return np.array([float(word) for word in self.words(count)])

    def logical(self):
        return self.words()


def read_network(path):
    """Return the content of a .nn or .nn.ascii file."""
    records = (TextRecords if path.suffix == ".ascii" else BinaryRecords)(path)
    (n_layers,), _, (n_weights,), _ = (records.integers() for _ in range(4))
    nodes = records.integers(n_layers)
    codes = records.integers(n_layers - 1)
    records.integers(n_layers)  # where the weights of each layer begin
    records.integers(n_layers)  # where its values begin
    weights_w = records.floats(n_weights)

    records.line()  # description
    (symbol,) = records.words()
    environment = records.words(int(records.integers()[0]))
    records.floats()  # least distance
    records.floats()  # largest cutoff
    (basis,) = records.words()
    (n_features,), (n_parameters,) = records.integers(), records.integers()
    kinds = records.integers(n_features)
    parameters = records.floats(n_parameters * n_features)
    neighbours = records.integers(2 * n_features)
    radial, angular, functions = None, None, ()
    if basis == "Chebyshev":
        radial = Expansion(int(parameters[1]), float(parameters[0]))
        angular = Expansion(int(parameters[3]), float(parameters[2]))
    else:
        assert basis == "Behler2011"
        functions = make_functions(
            environment,
            kinds,
            parameters.reshape(n_features, n_parameters),
            neighbours.reshape(n_features, 2),
        )
    records.integers()  # number of atoms
    records.floats(n_features), records.floats(n_features)  # least and largest
    mean_f, mean_square_f = records.floats(n_features), records.floats(n_features)

    records.line()  # name of the training set
    records.logical()  # normalized
    (energy_scale,), (energy_shift,) = records.floats(), records.floats()
    (n_species,) = records.integers()
    return NetworkFile(
        nodes=tuple(int(n) for n in nodes),
        codes=tuple(int(code) for code in codes),
        weights_w=weights_w,
        symbol=symbol,
        environment=environment,
        radial=radial,
        angular=angular,
        functions=functions,
        mean_f=mean_f,
        mean_square_f=mean_square_f,
        energy_scale=float(energy_scale),
        energy_shift=float(energy_shift),
        species=records.words(int(n_species)),
        reference_energies=records.floats(n_species),
    )


PARAMETERS = {
    1: "cutoff",
    2: "cutoff r_s eta",
    3: "cutoff kappa",
    4: "cutoff lambda zeta eta",
    5: "cutoff lambda zeta eta",
}
"""Parameters of each kind of symmetry function in their order in the file."""


def make_functions(environment, kinds, parameters, neighbours):
    """Return the symmetry functions in the order of the features in memory.

    For each species t: G1, G2, G3 of t, then for each species u from t on: G4, G5 of
    the pair; functions of one kind in the order of the file.
    """
    functions = []
    for number, (kind, values, indices) in enumerate(
        zip(kinds, parameters, neighbours, strict=True)
    ):
        t, u = sorted(indices[indices > 0]) if kind > 3 else (indices[0], 0)
        symbols = [environment[i - 1] for i in (t, u) if i > 0]
        keys = PARAMETERS[int(kind)].split()
        recipe = dict(zip(keys, map(float, values), strict=False))
        recipe |= {"type": f"G{kind}", "neighbours": symbols}
        function = SymmetryFunction.from_dict(recipe)
        functions.append(((t, u, kind, number), function))
    return tuple(function for _, function in sorted(functions, key=lambda x: x[0]))


def make_network(file):
    """Return the network; aenet's matrices are column-major, biases the last column."""
    weights, biases, at = [], [], 0
    for n_in, n_out in zip(file.nodes[:-1], file.nodes[1:], strict=True):
        size = (n_in + 1) * n_out
        matrix = file.weights_w[at : at + size].reshape(n_out, n_in + 1, order="F")
        weights.append(np.ascontiguousarray(matrix[:, :-1]))
        biases.append(np.ascontiguousarray(matrix[:, -1]))
        at += size
    assert at == len(file.weights_w)
    *hidden, last = (ACTIVATIONS[code] for code in file.codes)
    assert last == "linear"
    return Network(tuple(hidden), tuple(weights), tuple(biases))


def make_descriptor(files):
    """Return the descriptor of all species; weights go by the environment's order."""
    species = tuple(file.symbol for file in files)
    if files[0].functions:
        functions_s = tuple(file.functions for file in files)
        return Descriptor((Behler(species, functions_s),))
    weights_st = []
    for file in files:
        weight = dict(
            zip(file.environment, aenet_weights(len(file.environment)), strict=True)
        )
        weights_st.append(tuple(weight[symbol] for symbol in species))
    return aenet_descriptor(
        species,
        (file.radial for file in files),
        (file.angular for file in files),
        weights_st,
    )


def make_potential(*paths):
    """Return the potential of the files of all species."""
    files = [read_network(path) for path in paths]
    models = [
        SpeciesModel(
            shift_f=file.mean_f,
            scale_f=1.0 / np.sqrt(file.mean_square_f - file.mean_f**2),
            network=make_network(file),
            domain=None,
        )
        for file in files
    ]
    first = files[0]
    reference = dict(zip(first.species, first.reference_energies, strict=True))
    return Potential(
        descriptor=make_descriptor(files),
        reference_energies=np.array([reference[file.symbol] for file in files]),
        models=tuple(models),
        energy_shift=first.energy_shift,
        energy_scale=1.0 / first.energy_scale,
        shortest_st=np.full((len(files),) * 2, np.inf),
        provenance={"made by": "aenet"},
    )


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
