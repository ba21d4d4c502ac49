"""Potentials of n2p2 and RuNNer: folders with input.nn, scaling.data, weights.ZZZ.data.

Formulas and order are those of n2p2 2.3.0; what is written loads in LAMMPS
(``pair_style hdnnp``). The files do not say their units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annpot.convert.n2p2.form import make_form
from annpot.convert.n2p2.input_nn import read_input_nn
from annpot.convert.n2p2.input_text import format_input_nn
from annpot.convert.n2p2.networks import format_weights, read_network
from annpot.convert.n2p2.scaling_data import (
    MAX_COVARIANCES,
    Ranges,
    compute_scaling,
    format_scaling_data,
    read_scaling_data,
)
from annpot.convert.n2p2.setup import Setup, read_setup
from annpot.descriptors import Descriptor
from annpot.descriptors.behler import MAX_CUTOFFS, Behler
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError
from annpot.format.writing import errors_naming
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.structures.structure import Array
from annpot.units import Units

INPUT = "input.nn"
SCALING = ("scaling.data", "scaling_short.data")
WEIGHTS = ("weights.{:03d}.data", "weights_short.{:03d}.data")
"""Names of files; the second are those of RuNNer 2."""

CHARGES = ("hardness.*.data", "weightse.*.data", "weights_elec.*.data")
"""Files of potentials with charges."""


def is_potential_folder(folder: Path) -> bool:
    """Return whether there is a potential of n2p2 or RuNNer in a folder."""
    return (folder / INPUT).is_file()


def read_potential(folder: Path, units: Units, notes: list[str]) -> Potential:
    """Return the potential in a folder.

    Parameters
    ----------
    units
        Of lengths and energies in the files.
    notes
        Gets what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If a file is missing or wrong, or annpot cannot express the potential.
    """
    if not folder.is_dir():
        raise FileFormatError(f"'{folder}': not a folder, expected one with {INPUT}")
    for pattern in CHARGES:
        for path in sorted(folder.glob(pattern)):
            raise FileFormatError(
                f"'{path}' belongs to a potential with charges, which annpot cannot "
                "express"
            )
    files = {INPUT: _find(folder, (INPUT,))}
    setup = read_setup(read_input_nn(files[INPUT], notes), units, notes)
    files["scaling"] = _find(folder, SCALING)
    for symbol in setup.species:
        names = [name.format(SYMBOLS.index(symbol)) for name in WEIGHTS]
        files[symbol] = _find(folder, names)
    return _make_potential(setup, files, units, notes)


def _find(folder: Path, names: Sequence[str]) -> Path:
    """Return the file in the folder that has one of the names.

    Raises
    ------
    FileFormatError
        If there is none.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    stem = names[0].removesuffix(".data")
    epochs = sorted(path.name for path in folder.glob(f"{stem}.??????.out"))
    hint = (
        f": please copy that of the best epoch, one of {epochs[0]} to {epochs[-1]}"
        if epochs
        else ""
    )
    raise FileFormatError(f"'{folder}': no file {' or '.join(names)}{hint}")


def _make_potential(
    setup: Setup, files: dict[str, Path], units: Units, notes: list[str]
) -> Potential:
    counts = [len(functions) for functions in setup.functions_s]
    part = Behler(setup.species, setup.functions_s)
    if len(part.cutoffs) > MAX_CUTOFFS:
        raise FileFormatError(
            f"'{files[INPUT]}': {len(part.cutoffs)} different cutoffs, expected at "
            f"most {MAX_CUTOFFS}"
        )
    keep_ranges = sum(count**2 for count in counts) <= MAX_COVARIANCES
    if not keep_ranges:
        notes.append("too many symmetry functions: their ranges are not kept")
    models = []
    for symbol, ranges, layouts in zip(
        setup.species,
        read_scaling_data(files["scaling"], setup.species, counts),
        setup.layouts_s,
        strict=True,
    ):
        shift_f, scale_f = _scaling(setup, symbol, ranges, files["scaling"])
        network = read_network(
            files[symbol], layouts, len(shift_f), setup.normalize_nodes, notes
        )
        domain = ranges.domain if keep_ranges else None
        models.append(SpeciesModel(shift_f, scale_f, network, domain))
    atom_energies = [setup.atom_energies.get(symbol, 0.0) for symbol in setup.species]
    potential = Potential(
        descriptor=Descriptor((part,)),
        reference_energies=np.array([units.ev * energy for energy in atom_energies]),
        models=tuple(models),
        energy_shift=units.ev * setup.mean_energy,
        energy_scale=units.ev / setup.conv_energy,
        shortest_st=np.full((len(setup.species),) * 2, np.inf),
        provenance={
            "made by": "n2p2 or RuNNer",
            "units": str(units),
            "files": {path.name: _hash(path) for path in files.values()},
        },
    )
    _check_energies(files[INPUT], potential)
    return potential


def _scaling(
    setup: Setup, symbol: str, ranges: Ranges, path: Path
) -> tuple[Array, Array]:
    try:
        return compute_scaling(setup.scaling, ranges)
    except ValueError as error:
        raise FileFormatError(f"'{path}': {symbol}, {error}") from None


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_energies(path: Path, potential: Potential) -> None:
    """Check that units have made no energy infinite.

    Raises
    ------
    FileFormatError
        If they have.
    """
    energies = [potential.energy_shift, potential.energy_scale]
    if not np.isfinite([*energies, *potential.reference_energies]).all():
        raise FileFormatError(f"'{path}': energies are too large")


def write_potential(
    potential: Potential, folder: Path, units: Units, notes: list[str]
) -> list[Path]:
    """Write a potential into a folder, and return the folder.

    Parameters
    ----------
    units
        Of lengths and energies in the files.
    notes
        Gets what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If n2p2 cannot express the potential.
    """
    form = make_form(potential, units, notes)
    files = {
        INPUT: format_input_nn(form, units),
        SCALING[0]: format_scaling_data(form.ranges_s),
    }
    for symbol, network in zip(form.species, form.networks, strict=True):
        name = WEIGHTS[0].format(SYMBOLS.index(symbol))
        files[name] = format_weights(network)
    with errors_naming(folder):
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="ascii", newline="\n")
    return [folder]
