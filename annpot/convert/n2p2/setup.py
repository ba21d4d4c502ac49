"""What an input.nn sets up: elements, symmetry functions, networks, scaling, energies.

Defaults and order are those of n2p2 2.3.0. Lengths become angstrom; energies stay in
units of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from annpot.convert.n2p2.functions import convert_function, parse_function
from annpot.convert.n2p2.input_nn import InputNN, Line
from annpot.descriptors.behler import MAX_FUNCTIONS
from annpot.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    SymmetryFunction,
    sort_functions,
)
from annpot.elements import SYMBOLS
from annpot.units import Units

MAX_LAYERS, MAX_NODES = 50, 10_000
"""Limits of sense for hidden layers, and for the nodes of one."""

LETTERS = "ltsSprgceh"
"""n2p2's activation functions."""


@dataclass(frozen=True)
class ScalingMode:
    """How symmetry functions become inputs of the networks."""

    name: str
    """``scale``, ``center``, ``scale center``, ``sigma`` or ``none``."""
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Layout:
    """What the network of an element may look like."""

    nodes: tuple[int, ...]
    """Of each hidden layer."""
    letters: str
    """Activation function of each hidden layer."""
    syntax: str
    """Whose reading of ``element_nodes_short`` this is."""


@dataclass(frozen=True)
class Setup:
    """What an input.nn sets up."""

    species: tuple[str, ...]
    """By atomic number."""
    functions_s: tuple[tuple[SymmetryFunction, ...], ...]
    """In n2p2's order, parameters in angstrom."""
    layouts_s: tuple[tuple[Layout, ...], ...]
    """The network of each element. ``element_nodes_short`` has two meanings, and which
    is meant only the number of weights tells: the likeliest comes first."""
    normalize_nodes: bool
    scaling: ScalingMode
    mean_energy: float
    """Added to the energy of each atom, in units of the file."""
    conv_energy: float
    """What the networks give is this times an energy in units of the file."""
    atom_energies: dict[str, float]
    """Of free atoms, in units of the file."""


def read_setup(content: InputNN, units: Units, notes: list[str]) -> Setup:
    """Return what the lines set up.

    Raises
    ------
    FileFormatError
        If something is missing or wrong.
    """
    species = _species(content)
    mean_energy, conv_energy = _normalization(content)
    return Setup(
        species=species,
        functions_s=_functions(content, species, units, notes),
        layouts_s=tuple(tuple(_layouts(content, s, species)) for s in species),
        normalize_nodes=content.find("normalize_nodes") is not None,
        scaling=_scaling(content, notes),
        mean_energy=mean_energy,
        conv_energy=conv_energy,
        atom_energies=_atom_energies(content, species, notes),
    )


def _species(content: InputNN) -> tuple[str, ...]:
    line = content.need("elements")
    content.argument(line)
    for symbol in line.words:
        if symbol not in SYMBOLS[1:]:
            raise content.error(line, f"{symbol!a:.20} is not a chemical element")
    species = tuple(sorted(set(line.words), key=SYMBOLS.index))
    if len(species) < len(line.words):
        raise content.error(line, "an element stands twice")
    line = content.need("number_of_elements")
    number = content.count(line, 0, 1, len(SYMBOLS))
    if number != len(species):
        raise content.error(
            line, f"number_of_elements {number}, but there are {len(species)} elements"
        )
    return species


def _cutoff(content: InputNN, notes: list[str]) -> tuple[str, float]:
    """Return cutoff function and alpha of all functions that are not compact."""
    line = content.find("cutoff_type")
    if line is None:
        notes.append(f"'{content.path}': no cutoff_type, RuNNer's default 1 is taken")
        return "cosine", 0.0
    number = content.count(line, 0, 0, len(CUTOFF_FUNCTIONS) - 1)
    alpha = content.number(line, 1) if len(line.words) > 1 else 0.0
    inner = content.find("cutoff_alpha")
    if inner is not None and content.number(inner) != alpha:
        raise content.error(
            inner,
            "n2p2 does not know cutoff_alpha: if that is what is meant, write it as "
            "second argument of cutoff_type",
        )
    return CUTOFF_FUNCTIONS[number], alpha


def _functions(
    content: InputNN, species: tuple[str, ...], units: Units, notes: list[str]
) -> tuple[tuple[SymmetryFunction, ...], ...]:
    """Return the functions of each element in n2p2's order."""
    cutoff = _cutoff(content, notes)
    converted: dict[SymmetryFunction, SymmetryFunction] = {}
    found: dict[str, list[SymmetryFunction]] = {symbol: [] for symbol in species}
    for line in content.find_all("symfunction_short"):
        central = content.symbol(line, 0, species)
        try:
            function = parse_function(line.words[1:], *cutoff)
            converted[function] = convert_function(function, units.angstrom)
        except ValueError as error:
            raise content.error(line, f"{line.written}: {error}") from None
        for symbol in function.neighbours:
            content.check_symbol(line, symbol, species)
        found[central].append(function)
    for symbol, functions in found.items():
        if not 0 < len(functions) <= MAX_FUNCTIONS:
            raise content.error(
                content.need("elements"),
                f"{len(functions)} symmetry functions for {symbol}, expected 1 to "
                f"{MAX_FUNCTIONS} lines 'symfunction_short {symbol} ...'",
            )
    # sorted by the numbers in the file, as n2p2 sorts them
    return tuple(
        tuple(converted[f] for f in sort_functions(functions))
        for functions in found.values()
    )


def _layouts(content: InputNN, symbol: str, species: tuple[str, ...]) -> list[Layout]:
    """Return what the network of an element may look like, the likeliest first."""
    n_layers = _depth(content)
    letters = _letters(content, symbol, n_layers, species)
    lines = [
        line
        for line in content.find_all("element_nodes_short")
        if content.symbol(line, 0, species) == symbol
    ]
    default = _global_nodes(content, n_layers)
    if not lines:
        return [Layout(_complete(content, default), letters, "")]
    rows = [
        [
            content.count(line, n, 1, MAX_NODES)
            for n in range(1, max(2, len(line.words)))
        ]
        for line in lines
    ]
    found = []
    if all(len(row) == 2 and row[0] <= n_layers for row in rows):
        nodes = list(default)
        for layer, number in rows:
            nodes[layer - 1] = number
        found.append((nodes, "layer and number of nodes, as RuNNer and n2p2 2"))
    if len(rows) == 1 and len(rows[0]) <= n_layers:
        # n2p2's development version leaves out the last layer
        heard = [*rows[0][: n_layers - 1], *default[len(rows[0][: n_layers - 1]) :]]
        found.append((heard, "nodes of all layers but the last, as n2p2 3"))
        found.append(([*rows[0], *default[len(rows[0]) :]], "nodes of all layers"))
    if not found:
        raise content.error(
            lines[0],
            f"{lines[0].written}: 'ELEMENT LAYER NODES' expected, with a layer from 1 "
            f"to {n_layers}",
        )
    layouts: dict[tuple[int, ...], Layout] = {}
    for candidate, syntax in found:
        if None not in candidate:
            nodes_k = _complete(content, candidate)
            layouts.setdefault(nodes_k, Layout(nodes_k, letters, syntax))
    return list(layouts.values()) or [Layout(_complete(content, default), letters, "")]


def _depth(content: InputNN) -> int:
    """Return the number of hidden layers, which must be the same for all elements."""
    depth = content.count(content.need("global_hidden_layers_short"), 0, 1, MAX_LAYERS)
    for line in content.find_all("element_hidden_layers_short"):
        if content.count(line, 1, 1, MAX_LAYERS) != depth:
            raise content.error(
                line,
                f"{line.written} {line.words[1]}, but global_hidden_layers_short "
                f"{depth}: expected the same number, as n2p2 has it",
            )
    return depth


def _global_nodes(content: InputNN, n_layers: int) -> list[int | None]:
    """Return the nodes of the layers of all elements, ``None`` where not given."""
    line = content.find("global_nodes_short")
    if line is None:
        return [None] * n_layers
    if len(line.words) < n_layers:
        raise content.error(
            line,
            f"{line.written}: a number of nodes for each of {n_layers} hidden layers "
            f"expected, found {len(line.words)}",
        )
    return [content.count(line, n, 1, MAX_NODES) for n in range(n_layers)]


def _complete(content: InputNN, nodes: list[int | None]) -> tuple[int, ...]:
    """Return the nodes if all are known; else `global_nodes_short` is missing."""
    if None in nodes:
        content.need("global_nodes_short")
    return tuple(number for number in nodes if number is not None)


def _letters(
    content: InputNN, symbol: str, n_layers: int, species: tuple[str, ...]
) -> str:
    """Return the letters of the activation functions of an element."""
    line = content.need("global_activation_short")
    letters = _check_letters(content, line, line.words, n_layers)
    for line in content.find_all("element_activation_short"):
        if content.symbol(line, 0, species) != symbol:
            continue
        words = line.words[1:]
        if words and words[0].isdigit():
            layer = content.count(line, 1, 1, n_layers + 1)
            old = (letters + "l")[layer - 1]
            new = content.argument(line, len(words))
            if len(words) == 3 and new != old:
                raise content.error(
                    line, f"{line.written}: single nodes that differ cannot be read"
                )
            changed = [*(letters + "l")[: layer - 1], new, *(letters + "l")[layer:]]
            letters = _check_letters(content, line, changed, n_layers)
        else:
            letters = _check_letters(content, line, words, n_layers)
    return letters


def _check_letters(
    content: InputNN, line: Line, words: tuple[str, ...] | list[str], n_layers: int
) -> str:
    """Return the letters of the hidden layers; that of the output must be ``l``."""
    if not n_layers <= len(words) <= n_layers + 1:
        raise content.error(
            line,
            f"{line.written}: a letter for each of {n_layers} hidden layers and the "
            f"output expected, found {len(words)}",
        )
    for word in words:
        if len(word) != 1 or word not in LETTERS:
            raise content.error(
                line,
                f"{line.written}: activation function {word!a:.20} is unknown, "
                f"expected one of {' '.join(LETTERS)}",
            )
    if words[n_layers:] and words[n_layers] != "l":
        raise content.error(
            line,
            f"{line.written}: output layer '{words[n_layers]}', expected l: n2p2 does "
            "not use another one, and annpot has none",
        )
    return "".join(words[:n_layers])


def _scaling(content: InputNN, notes: list[str]) -> ScalingMode:
    scale, centre, sigma = (
        content.find(keyword)
        for keyword in (
            "scale_symmetry_functions",
            "center_symmetry_functions",
            "scale_symmetry_functions_sigma",
        )
    )
    if sigma is not None and (scale is not None or centre is not None):
        notes.append(
            f"'{content.path}', line {sigma.number}: {sigma.written} has no effect "
            "beside another scaling, as in n2p2"
        )
    if scale is not None:
        name = "scale" if centre is None else "scale center"
    elif centre is not None:
        return ScalingMode("center")
    elif sigma is not None:
        name = "sigma"
    else:
        return ScalingMode("none")
    low = content.single_number("scale_min_short", 0.0)
    high = content.single_number("scale_max_short", 1.0)
    if not low < high:
        raise content.error(
            content.find("scale_max_short") or content.need("scale_min_short"),
            f"inputs from scale_min_short {low:g} to scale_max_short {high:g}, "
            "expected the lower first",
        )
    return ScalingMode(name, low, high)


def _normalization(content: InputNN) -> tuple[float, float]:
    """Return mean energy and energy unit of the networks.

    The unit of length, ``conv_length``, changes nothing: n2p2 converts cutoffs and eta
    along with positions.
    """
    keywords = ("mean_energy", "conv_energy", "conv_length")
    lines = {keyword: content.find(keyword) for keyword in keywords}
    given = [line for line in lines.values() if line is not None]
    if not given:
        return 0.0, 1.0
    for keyword, line in lines.items():
        if line is None:
            raise content.error(
                given[0],
                f"'{given[0].keyword}', but no '{keyword}': expected all of "
                f"{', '.join(keywords)}, or none",
            )
        if keyword != "mean_energy" and not content.number(line) > 0.0:
            raise content.error(
                line, f"{keyword} {line.words[0]}, expected more than 0"
            )
    mean, unit, _ = (content.number(line) for line in given)
    return mean, unit


def _atom_energies(
    content: InputNN, species: tuple[str, ...], notes: list[str]
) -> dict[str, float]:
    lines = content.find_all("atom_energy")
    energies: dict[str, float] = {}
    for line in lines:
        symbol = content.symbol(line, 0, species)
        if symbol in energies:
            raise content.error(line, f"a second atom_energy of {symbol}")
        energies[symbol] = content.number(line, 1)
    runner = content.find("runner_mode") is not None
    if lines and runner and content.find("remove_atom_energies") is None:
        notes.append(
            f"'{content.path}': atom_energy without remove_atom_energies: added to the "
            "energies, as n2p2 does"
        )
    return energies
