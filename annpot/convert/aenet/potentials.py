"""Potentials of aenet <-> potentials of annpot.

    G'_f = (G_f - mean_f) / sqrt(mean_square_f - mean_f^2)
    E_i  = network(G'_i) / scale + shift + E_reference(species of i)

One file for each species; all of them together are a potential. What a potential of
annpot has no place for is kept in its provenance, so that the files can be written
again as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annpot.convert.aenet.bases import check_basis, read_part
from annpot.convert.aenet.models import make_file, make_model
from annpot.convert.aenet.networks import NetworkFile, read_network, write_records
from annpot.convert.aenet.origin import read_again, recall, remember
from annpot.convert.aenet.record_writing import open_writer
from annpot.convert.aenet.records import LAYOUTS, Layout
from annpot.descriptors import Chebyshev, Descriptor
from annpot.elements import SYMBOLS
from annpot.errors import AnnpotError, FileFormatError
from annpot.potential import Potential
from annpot.structures.structure import Array

AENET = "aenet"
"""Key in the provenance."""


def has_angular_argument(potential: Potential) -> bool:
    """Return whether aenet's versions differ in the angular polynomials' argument."""
    return any(
        angular.radial_order is None and angular.order > 0
        for part in potential.descriptor.parts
        if isinstance(part, Chebyshev)
        for angular in part.angular_s
    )


def is_legacy(potential: Potential) -> bool:
    """Return whether the argument is that of aenet up to version 2.0.3."""
    return any(
        angular.legacy
        for part in potential.descriptor.parts
        if isinstance(part, Chebyshev)
        for angular in part.angular_s
    )


def read_potential(
    paths: Sequence[Path], *, legacy: bool = False, notes: list[str]
) -> Potential:
    """Return the potential in the files of all species, binary or text.

    Parameters
    ----------
    paths
        In any order; the species get that of the files.
    legacy
        Whether the argument of the angular polynomials is ``2 cos(theta) / pi - 1``, as
        in aenet up to version 2.0.3. Nothing in the files tells.
    notes
        Gets what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If a file is wrong or missing, or they do not belong together.
    """
    files = [read_network(path) for path in paths]
    names = [f"'{path}'" for path in paths]
    _check_species(files, names)
    _check_agreement(files, names)
    for path, file in zip(paths, files, strict=True):
        try:
            check_basis(file.setup)
        except ValueError as error:
            raise FileFormatError(f"'{path}': {error}") from None
        notes += _remarks(path, file)
    return _make_potential(files, legacy)


def _check_species(files: Sequence[NetworkFile], names: Sequence[str]) -> None:
    """Check that there is one file for each species."""
    name_of: dict[str, str] = {}
    for file, name in zip(files, names, strict=True):
        symbol = file.setup.symbol
        if symbol in name_of:
            raise FileFormatError(
                f"{name_of[symbol]} and {name} are both of {symbol}: one file for each "
                "species expected"
            )
        name_of[symbol] = name
    for file, name in zip(files, names, strict=True):
        missing = [t for t in file.setup.environment if t not in name_of]
        if missing:
            raise FileFormatError(
                f"{name} knows {' and '.join(file.setup.environment)}, but there is no "
                f"file of {' and '.join(missing)}: please give those of all species, "
                "then OUT"
            )
        for symbol, other in name_of.items():
            if symbol not in file.setup.environment:
                raise FileFormatError(
                    f"{name} does not know {symbol}, the species of {other}: the files "
                    "are not of one potential"
                )


def _check_agreement(files: Sequence[NetworkFile], names: Sequence[str]) -> None:
    """Check that the files are of one training."""
    first, first_name = files[0], names[0]
    for file, name in zip(files, names, strict=True):
        if file.setup.symbol not in file.training.species:
            raise FileFormatError(
                f"{name}: no energy of the atom of {file.setup.symbol}, only of "
                f"{', '.join(file.training.species)}"
            )
        pairs: list[tuple[str, Any, Any]] = [
            ("basis", file.setup.basis.lower(), first.setup.basis.lower()),
            ("scale of energies", file.training.scale, first.training.scale),
            ("shift of energies", file.training.shift, first.training.shift),
        ]
        known = _references(first)
        pairs += [
            (f"energy of the atom of {symbol}", energy, known.get(symbol, energy))
            for symbol, energy in _references(file).items()
        ]
        for what, found, expected in pairs:
            if found != expected:
                raise FileFormatError(
                    f"{name}: {what} {found}, but {expected} in {first_name}: the "
                    "files are not of one potential"
                )


def _references(file: NetworkFile) -> dict[str, float]:
    training = file.training
    energies = training.reference_energies.tolist()
    return dict(zip(training.species, energies, strict=True))


def _remarks(path: Path, file: NetworkFile) -> Iterator[str]:
    """Yield what the user should know of a file."""
    setup = file.setup
    named = path.name.split(".")[0]
    if named in SYMBOLS[1:] and named != setup.symbol:
        yield f"'{path}' is not of {named}, but of {setup.symbol}"
    below = setup.mean_square_f < setup.mean_f**2
    # round-off of constant features makes NaN of all energies of aenet
    if below.any():
        yield (
            f"'{path}': mean squares of {below.sum()} features are below their squared "
            "means, with which aenet gives NaN: taken as constant"
        )
    if setup.is_chebyshev:
        radial, _, angular, _ = setup.parameters_fk[0].tolist()
        if angular > radial and len(setup.environment) > 1:
            yield (
                f"'{path}': the angular cutoff is larger than the radial one: aenet "
                "mistakes the species of neighbours between them and gives other "
                "energies"
            )
    elif setup.environment != file.training.species:
        yield (
            f"'{path}': species {', '.join(setup.environment)} around it, but "
            f"{', '.join(file.training.species)} in the set: where the order differs, "
            "aenet takes the symmetry functions of one species for another's and gives "
            "other energies"
        )


def _make_potential(files: Sequence[NetworkFile], legacy: bool) -> Potential:
    part, training = read_part([f.setup for f in files], legacy), files[0].training
    return Potential(
        descriptor=Descriptor((part,)),
        reference_energies=np.array(
            [_references(file)[file.setup.symbol] for file in files]
        ),
        models=tuple(make_model(file) for file in files),
        energy_shift=training.shift,
        energy_scale=1.0 / training.scale,
        shortest_st=np.full((len(files),) * 2, np.inf),
        provenance={
            "made by": "aenet",
            AENET: {file.setup.symbol: remember(file) for file in files},
        },
    )


def write_potential(
    potential: Potential,
    path: Path,
    *,
    text: bool,
    legacy: bool = False,
    layout: Layout = LAYOUTS[0],
    notes: list[str],
) -> list[Path]:
    """Write a file for each species beside ``path``, and return them.

    The name ``15t-15t.nn`` gives ``Ti.15t-15t.nn`` and so on, and so does
    ``Ti.15t-15t.nn``. A potential that came
    from aenet gets the records that it had there.

    Parameters
    ----------
    text
        Write text, which nnASCII2bin.x of aenet makes binary.
    legacy
        Whether the files are for aenet up to version 2.0.3.
    layout
        How binary files are written.
    notes
        Gets what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If aenet has no such potentials, or a file cannot be written.
    """
    _check_argument(potential, legacy)
    files = _recall(potential)
    if files is None:
        files = [
            read_again(make_file(potential, s)) for s in range(len(potential.species))
        ]
        if AENET in potential.provenance:
            notes.append(
                "the potential is not any more as it was read from aenet: statistics "
                "and names are written anew"
            )
    if not files[0].setup.is_chebyshev and len(files) > 1:
        notes.append(
            "aenet takes symmetry functions for those of other species unless TYPES of "
            f"its inputs are {', '.join(files[0].setup.environment)}, in this order"
        )
    if legacy and has_angular_argument(potential):
        notes.append("for aenet up to 2.0.3: later versions give other energies")
    first, _, rest = path.name.partition(".")
    name = rest if rest and first in potential.species else path.name
    paths = []
    for symbol, file in zip(potential.species, files, strict=True):
        paths.append(path.with_name(f"{symbol}.{name}"))
        with open_writer(paths[-1], text=text, layout=layout) as writer:
            write_records(file, writer)
    return paths


def _check_argument(potential: Potential, legacy: bool) -> None:
    if not has_angular_argument(potential) or is_legacy(potential) == legacy:
        return
    if legacy:
        raise FileFormatError(
            "--aenet-angular legacy: the angular argument of this potential is that of "
            "aenet from 2.0.4 on, with which earlier versions give other energies"
        )
    raise FileFormatError(
        "the angular argument of this potential is that of aenet up to 2.0.3, so that "
        "later versions would give other energies: please give --aenet-angular legacy "
        "to write it for an earlier one"
    )


def _recall(potential: Potential) -> list[NetworkFile] | None:
    """Return the files that a potential was read from, if it is still the same."""
    try:
        known = potential.provenance[AENET]
        files = [
            recall(known[symbol], model.network)
            for symbol, model in zip(potential.species, potential.models, strict=True)
        ]
        again = _make_potential(files, is_legacy(potential))
    except (KeyError, TypeError, ValueError, AnnpotError):
        return None
    return files if _are_equal(potential, again) else None


def _are_equal(one: Potential, other: Potential) -> bool:
    """Return whether two potentials have the same numbers."""
    return (
        one.descriptor == other.descriptor
        and one.energy_shift == other.energy_shift
        and one.energy_scale == other.energy_scale
        and all(
            np.array_equal(a, b)
            for a, b in zip(_arrays(one), _arrays(other), strict=True)
        )
    )


def _arrays(potential: Potential) -> Iterator[Array]:
    yield potential.reference_energies
    for model in potential.models:
        yield from (model.shift_f, model.scale_f)
        yield from (*model.network.weights, *model.network.biases)
        if model.domain is not None:
            yield from (model.domain.statistics.min_f, model.domain.statistics.max_f)
