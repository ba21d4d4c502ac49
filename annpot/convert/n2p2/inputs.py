"""input.nn of n2p2 and RuNNer, and input.data beside it -> settings of annpot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from annpot.convert.behler_settings import put_functions
from annpot.convert.file_patterns import relocate
from annpot.convert.n2p2.input_nn import InputNN, read_input_nn
from annpot.convert.n2p2.keywords import ALIASES, POTENTIAL, TRAINING
from annpot.convert.n2p2.setup import Setup, read_setup
from annpot.convert.n2p2.training import Training
from annpot.convert.yaml_text import Section, write_settings
from annpot.descriptors.building import make_descriptor
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError, SettingsError
from annpot.settings import read_settings
from annpot.units import Units

STRUCTURES = "input.data"

TELLING = frozenset(
    """
    number_of_elements elements symfunction_short cutoff_type global_nodes_short
    global_hidden_layers_short global_activation_short
    """.split()
)
"""Keywords that hardly any other file has."""


def is_input_nn(head: bytes) -> bool:
    """Return whether a file that begins so is an input.nn."""
    if b"\0" in head:
        return False
    lines = head.decode("latin-1").split("\n")
    words = {line.split()[0] for line in lines if line.strip()}
    words = {ALIASES.get(word, word) for word in words}
    return bool(words & TELLING) and len(words & (POTENTIAL | TRAINING)) > 1


def convert_n2p2_input(
    path: Path, units: Units, notes: list[str], folder: Path = Path()
) -> str:
    """Return the settings that reproduce an input.nn, as commented YAML.

    Parameters
    ----------
    units
        Of the numbers in it, and of input.data.
    notes
        Gets a line on everything that has no counterpart.
    folder
        Where the settings will be, to which paths in them are relative.

    Raises
    ------
    FileFormatError
        If the file is wrong, or belongs to a potential that annpot has not.
    """
    content = read_input_nn(path, notes)
    setup = read_setup(content, units, notes)
    root = Section()
    _put_structures(root, path, units, folder, notes)
    _put_species(root, content, setup, units)
    descriptor = root.section("descriptor")
    functions_s = {
        symbol: _different(functions, symbol, path, notes)
        for symbol, functions in zip(setup.species, setup.functions_s, strict=True)
    }
    put_functions(descriptor, functions_s)
    Training(content, setup, root.section("train"), notes).put()
    text = write_settings(_head(path, units), root, f"'{path}'")
    try:
        make_descriptor(read_settings(text, "settings").descriptor, setup.species)
    except SettingsError as error:
        raise FileFormatError(
            f"'{path}': annpot cannot make this descriptor: {error}"
        ) from None
    return text


def _head(path: Path, units: Units) -> str:
    return (
        f"Settings of annpot that reproduce {path.name} of n2p2 or RuNNer, its numbers "
        f"being in {units.length} and {units.energy}, made by annpot convert. Here all "
        "are in angstrom and eV. Comments tell what has no counterpart and what annpot "
        "offers instead. All keys: annpot schema --yaml"
    )


def _put_structures(
    root: Section, path: Path, units: Units, folder: Path, notes: list[str]
) -> None:
    """Add the structures beside the file."""
    data = path.parent / STRUCTURES
    if not os.path.isfile(data):
        text = f"no {STRUCTURES} beside {path.name}: please name your structures"
        root.say(f"{text}, structures: files: ...")
        notes.append(f"'{path}': {text} in the settings")
        return
    group = root.items("structures").section()
    group.put("files", relocate(STRUCTURES, str(path.parent), str(folder)))
    group.put("format", "runner")
    group.put("units", str(units))


def _put_species(root: Section, content: InputNN, setup: Setup, units: Units) -> None:
    """Add the species with the energies of free atoms."""
    if not setup.atom_energies:
        section = root.section("species", "energies of free atoms in eV, or 'fit'")
        section.say("There is no atom_energy: annpot fits them to the structures.")
    else:
        section = root.section("species", "energies of free atoms, eV (atom_energy)")
    for symbol in setup.species:
        energy = setup.atom_energies.get(symbol, 0.0) * units.ev
        section.put(symbol, energy if setup.atom_energies else "fit")
    line = content.find("mean_energy")
    if line is not None:
        section.say(
            f"{content.path.name}, line {line.number}: mean_energy, conv_energy, "
            "conv_length: annpot finds its own scale; features do not depend on it."
        )


def _different(
    functions: Sequence[SymmetryFunction], symbol: str, path: Path, notes: list[str]
) -> list[SymmetryFunction | str]:
    """Return the functions of a species, each once."""
    found: dict[SymmetryFunction, None] = dict.fromkeys(functions)
    if len(found) < len(functions):
        notes.append(
            f"'{path}': {len(functions) - len(found)} functions of {symbol} are there "
            "twice: taken once"
        )
    return list(found)
