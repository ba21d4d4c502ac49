"""One .nn or .nn.ascii file of aenet: the network of one species, in 36 records.

Nine of the network, 17 of the set-up of its features, which stand in training sets,
too, and ten of the training set. The order and the lengths of the records are those of
aenet 2.0.4 (feedforward.f90, sfsetup.f90, trainset.f90).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annpot.convert.aenet.records import (
    Records,
    Writer,
    find_layout,
    find_lengths,
    open_records,
)
from annpot.structures.structure import Array, Integers

ACTIVATIONS = ("linear", "tanh", "sigmoid", "mtanh", "twist")
"""Activation functions by aenet's numbers."""

CHEBYSHEV, BEHLER = "chebyshev", "behler2011"
"""The bases, in lower case."""

N_PARAMETERS, N_NEIGHBOURS = 4, 2
"""Parameters and neighbours' species of each function."""

MAX_LAYERS, MAX_NODES, MAX_FEATURES, MAX_SPECIES = 100, 100_000, 2000, 118
MAX_COUNT = 2**31 - 1
_LINE, _WORD = 1024, 100


@dataclass(frozen=True)
class Setup:
    """How the features of one species are made, and their statistics."""

    description: str
    symbol: str
    environment: tuple[str, ...]
    """Species of the neighbours; the place tells their weights."""
    r_min: float
    """Distance in angstrom that atoms are supposed to keep."""
    cutoff: float
    """The largest cutoff, angstrom."""
    basis: str
    """``Chebyshev`` or ``Behler2011``."""
    kinds_f: Integers
    """Type of each symmetry function, 0 for Chebyshev polynomials."""
    parameters_fk: Array
    """Parameters of each symmetry function; of a Chebyshev basis in the first row."""
    neighbours_fk: Integers
    """Places in ``environment``, from 1, of the species that a function sees."""
    n_atoms: int
    """Atoms from which the statistics come."""
    min_f: Array
    max_f: Array
    mean_f: Array
    mean_square_f: Array

    @property
    def is_chebyshev(self) -> bool:
        """Whether the basis is Chebyshev polynomials, not symmetry functions."""
        return self.basis.lower() == CHEBYSHEV


@dataclass(frozen=True)
class TrainingInfo:
    """What a network knows of the set that it was trained on."""

    file: str
    normalized: bool
    scale: float
    """The networks give ``scale (E - shift)`` of an atom."""
    shift: float
    species: tuple[str, ...]
    reference_energies: Array
    """Energies of the atoms of each species, eV."""
    n_atoms: int
    n_structures: int
    energies: Array
    """Least, largest and mean energy per atom, usually scaled."""


@dataclass(frozen=True)
class NetworkFile:
    """What stands in a file."""

    nodes: tuple[int, ...]
    """Number of features, nodes of each hidden layer, and 1."""
    codes: tuple[int, ...]
    """Activation function of each layer from the second on, see `ACTIVATIONS`."""
    weights_w: Array
    """Matrix of each layer by columns, the last of which are the biases."""
    setup: Setup
    training: TrainingInfo


def count_weights(nodes: Sequence[int]) -> list[int]:
    """Return the number of weights up to each layer."""
    sizes = ((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(nodes))
    return [0, *itertools.accumulate(sizes)]


def count_values(nodes: Sequence[int]) -> list[int]:
    """Return the number of the last node of each layer, with a bias node behind it."""
    return [0, *itertools.accumulate(n + 1 for n in nodes[:-1])]


def is_binary_network(head: bytes) -> bool:
    """Return whether a file begins like a .nn file."""
    layout = find_layout(head)
    if layout is None:
        return False
    n_layers = layout.marker(head[layout.marker_bytes :][:4])
    lengths = find_lengths(head, layout)[:6]
    return lengths == [4] * 4 + [4 * n_layers, 4 * (n_layers - 1)]


def is_text_network(head: bytes) -> bool:
    """Return whether a file begins like a .nn.ascii file."""
    words = head.split()[: MAX_LAYERS + 4]
    if not all(word.isdigit() and len(word) < 10 for word in words[:4]):
        return False
    numbers = [int(word) for word in words if word.isdigit() and len(word) < 10]
    n_layers, n_weights = (numbers + [0] * 4)[0], (numbers + [0] * 4)[2]
    nodes = numbers[4 : 4 + n_layers]
    return len(nodes) == n_layers > 1 and count_weights(nodes)[-1] == n_weights


def read_network(path: Path) -> NetworkFile:
    """Return what stands in a .nn or .nn.ascii file, whatever its name.

    Raises
    ------
    FileFormatError
        If the file cannot be read, is damaged or is none of these.
    """
    with open_records(path) as records:
        return read_records(records)


def read_records(records: Records) -> NetworkFile:
    """Return what stands in all records of a file.

    Raises
    ------
    FileFormatError
        If something is wrong with one of them.
    """
    nodes, codes, weights_w = _read_layers(records)
    setup = read_setup(records, nodes[0])
    training = _read_training(records)
    records.end()
    return NetworkFile(nodes, codes, weights_w, setup, training)


def _read_layers(
    records: Records,
) -> tuple[tuple[int, ...], tuple[int, ...], Array]:
    """Return nodes, activation functions and weights."""
    n_layers = records.integer("number of layers", 2, MAX_LAYERS)
    largest = records.integer("largest number of nodes", 1, MAX_NODES)
    n_weights = records.integer("number of weights", 2, MAX_COUNT)
    n_values = records.integer("number of values", 2, MAX_COUNT)
    nodes = tuple(records.integers("nodes of each layer", n_layers).tolist())
    if not all(1 <= n <= MAX_NODES for n in nodes) or nodes[-1] != 1:
        records.fail(
            f"{_join(nodes)}, expected 1 to {MAX_NODES} each, and 1 in the last layer"
        )
    first_weights, last_values = count_weights(nodes), count_values(nodes)
    counts = (max(nodes), first_weights[-1], last_values[-1] + 1)
    if (largest, n_weights, n_values) != counts:
        records.fail(
            f"layers of {_join(nodes)} nodes have {_join(counts)} nodes at most, "
            f"weights and values, but the file says {largest}, {n_weights}, {n_values}"
        )
    codes = tuple(records.integers("activation functions", n_layers - 1).tolist())
    if not all(0 <= code < len(ACTIVATIONS) for code in codes) or codes[-1] != 0:
        names = ", ".join(f"{code} {name}" for code, name in enumerate(ACTIVATIONS))
        records.fail(f"{_join(codes)}, expected {names}, and 0 in the last layer")
    for what, expected in (
        ("weights before each layer", first_weights),
        ("values before each layer", last_values),
    ):
        found = records.integers(what, n_layers).tolist()
        if found != expected:
            records.fail(f"{_join(found)}, expected {_join(expected)}")
    return nodes, codes, records.floats("weights", n_weights)


def read_setup(records: Records, n_features: int | None = None) -> Setup:
    """Return the set-up that the next 17 records hold.

    Parameters
    ----------
    n_features
        The number of features there should be, if it is known.

    Raises
    ------
    FileFormatError
        If there is none, or it makes no sense.
    """
    description = records.line("description", _LINE)
    (symbol,) = records.symbols("species", 1)
    n_species = records.integer("number of species around", 1, MAX_SPECIES)
    environment = records.symbols("species around", n_species)
    if len(set(environment)) < n_species:
        records.fail(f"{', '.join(environment)}: the same species twice")
    r_min, cutoff = records.number("least distance"), records.number("largest cutoff")
    basis = records.word("basis", _WORD)
    if basis.lower() not in (CHEBYSHEV, BEHLER):
        records.fail(f"{basis!a:.40} is unknown, expected Chebyshev or Behler2011")
    n = records.integer("number of features", 1, MAX_FEATURES)
    if n_features not in (n, None):
        records.fail(f"{n}, but the network has {n_features} inputs")
    records.integer("number of parameters", N_PARAMETERS, N_PARAMETERS)
    kinds_f = records.integers("types of functions", n)
    # what a function does not need may be anything
    parameters = records.floats("parameters", N_PARAMETERS * n, finite=False)
    neighbours = records.integers("species of functions", N_NEIGHBOURS * n)
    n_atoms = records.integer("number of atoms", 0, MAX_COUNT)
    min_f = records.floats("least features", n)
    max_f = records.floats("largest features", n)
    if (min_f > max_f).any():
        f = int(np.flatnonzero(min_f > max_f)[0])
        records.fail(f"feature {f + 1}: {max_f[f]:g}, but the least is {min_f[f]:g}")
    return Setup(
        description=description,
        symbol=symbol,
        environment=environment,
        r_min=r_min,
        cutoff=cutoff,
        basis=basis,
        kinds_f=kinds_f,
        parameters_fk=parameters.reshape(n, N_PARAMETERS),
        neighbours_fk=neighbours.reshape(n, N_NEIGHBOURS),
        n_atoms=n_atoms,
        min_f=min_f,
        max_f=max_f,
        mean_f=records.floats("mean features", n),
        mean_square_f=records.floats("mean squares of features", n),
    )


def _read_training(records: Records) -> TrainingInfo:
    file = records.line("name of the training set", _LINE)
    normalized = records.logical("whether energies were scaled")
    scale = records.number("scale of energies")
    if not 1e-100 < abs(scale) < 1e100:
        records.fail(f"{scale:g}, expected another number than 0")
    shift = records.number("shift of energies")
    n_species = records.integer("number of species", 1, MAX_SPECIES)
    return TrainingInfo(
        file=file,
        normalized=normalized,
        scale=scale,
        shift=shift,
        species=records.symbols("species of the training set", n_species),
        reference_energies=records.floats("energies of atoms", n_species),
        n_atoms=records.integer("number of atoms", 0, MAX_COUNT),
        n_structures=records.integer("number of structures", 0, MAX_COUNT),
        energies=records.floats("least, largest, mean energy", 3),
    )


def _join(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:10]))}{', ...' if len(numbers) > 10 else ''}"


def write_records(file: NetworkFile, writer: Writer) -> None:
    """Write all records of a file."""
    nodes, training = file.nodes, file.training
    writer.integers([len(nodes)])
    writer.integers([max(nodes)])
    writer.integers([len(file.weights_w)])
    writer.integers([count_values(nodes)[-1] + 1])
    writer.integers(nodes)
    writer.integers(file.codes)
    writer.integers(count_weights(nodes))
    writer.integers(count_values(nodes))
    writer.floats(file.weights_w)
    write_setup(writer, file.setup)
    writer.line(training.file, _LINE)
    writer.logical(training.normalized)
    writer.floats([training.scale])
    writer.floats([training.shift])
    writer.integers([len(training.species)])
    writer.symbols(training.species)
    writer.floats(training.reference_energies)
    writer.integers([training.n_atoms])
    writer.integers([training.n_structures])
    writer.floats(training.energies)


def write_setup(writer: Writer, setup: Setup) -> None:
    """Write the 17 records of a set-up."""
    writer.line(setup.description, _LINE)
    writer.symbols([setup.symbol])
    writer.integers([len(setup.environment)])
    writer.symbols(setup.environment, lines=True)
    writer.floats([setup.r_min])
    writer.floats([setup.cutoff])
    writer.line(setup.basis, _WORD)
    writer.integers([len(setup.kinds_f)])
    writer.integers([N_PARAMETERS])
    writer.integers(setup.kinds_f)
    writer.floats(setup.parameters_fk)
    writer.integers(setup.neighbours_fk.ravel())
    writer.integers([setup.n_atoms])
    for values_f in (setup.min_f, setup.max_f, setup.mean_f, setup.mean_square_f):
        writer.floats(values_f)
