"""Set-ups for a training set that has none: from .stp files, and the structures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from annpot.convert.aenet.bases import PARAMETERS
from annpot.convert.aenet.networks import N_NEIGHBOURS, N_PARAMETERS, Setup
from annpot.convert.aenet.set_files import SetReader
from annpot.convert.aenet.stp import StpFile, read_stp
from annpot.descriptors import Descriptor
from annpot.errors import FileFormatError
from annpot.scaling import Statistics, compute_statistics, merge_statistics
from annpot.structures.reading import read_structures
from annpot.structures.structure import Structure, stack

BATCH_ATOMS = 2000


def find_setups(path: Path, reader: SetReader, notes: list[str]) -> tuple[Setup, ...]:
    """Return the set-ups in the .stp files beside a training set, without statistics.

    Raises
    ------
    FileFormatError
        If there is not exactly one for each species, or they do not fit the set.
    """
    species = reader.header.species
    found: dict[str, list[StpFile]] = {symbol: [] for symbol in species}
    for file in sorted(path.parent.glob("*.stp")):
        setup = read_stp(file, notes)
        found.get(setup.symbol, []).append(setup)
    for symbol, setups in found.items():
        if len(setups) != 1:
            names = ", ".join(f"'{setup.path.name}'" for setup in setups) or "none"
            raise FileFormatError(
                f"'{path}' does not say how its features are made, as text never does: "
                "please give the binary .train file, or put the set-ups (.stp) beside "
                f"it, one for each species; found for {symbol}: {names}"
            )
    for s, symbol in enumerate(species):
        _check(path, reader, s, found[symbol][0])
    names = ", ".join(f"'{setups[0].path}'" for setups in found.values())
    notes.append(f"'{path}' does not say how its features are made: taken from {names}")
    return tuple(_complete(found[symbol][0]) for symbol in species)


def _check(path: Path, reader: SetReader, s: int, setup: StpFile) -> None:
    species = reader.header.species
    if set(setup.environment) != set(species):
        raise FileFormatError(
            f"'{setup.path}': neighbours {', '.join(setup.environment)}, but "
            f"'{path}' has {', '.join(species)}"
        )
    n_features = _count_features(setup)
    expected = reader.n_features_s.get(s, n_features)
    if n_features != expected:
        raise FileFormatError(
            f"'{setup.path}' makes {n_features} features, but {setup.symbol} has "
            f"{expected} in '{path}'"
        )


def _count_features(setup: StpFile) -> int:
    if setup.radial is None or setup.angular is None:
        return len(setup.functions)
    n_orders = setup.radial.order + setup.angular.order + 2
    return n_orders * min(len(setup.environment), 2)


def _complete(setup: StpFile) -> Setup:
    """Return a set-up as it would stand in a binary file."""
    n = _count_features(setup)
    kinds_f = np.zeros(n, dtype=np.int64)
    parameters_fk = np.zeros((n, N_PARAMETERS))
    neighbours_fk = np.zeros((n, N_NEIGHBOURS), dtype=np.int64)
    radial, angular = setup.radial, setup.angular
    if radial is not None and angular is not None:
        cutoffs = [radial.cutoff, angular.cutoff]
        parameters_fk[0] = cutoffs[0], radial.order, cutoffs[1], angular.order
    else:
        recipes = [function.recipe for function in setup.functions]
        cutoffs = [float(recipe["cutoff"]) for recipe in recipes]
        for f, recipe in enumerate(recipes):
            kinds_f[f] = int(recipe["type"][1:])
            values = list(_values(recipe, int(kinds_f[f])))
            parameters_fk[f, : len(values)] = values
            places = [setup.environment.index(x) + 1 for x in recipe["neighbours"]]
            neighbours_fk[f, : len(places)] = places
    zero_f = np.zeros(n)
    return Setup(
        description="",
        symbol=setup.symbol,
        environment=setup.environment,
        r_min=0.0,
        cutoff=max(cutoffs),
        basis="Behler2011" if setup.functions else "Chebyshev",
        kinds_f=kinds_f,
        parameters_fk=parameters_fk,
        neighbours_fk=neighbours_fk,
        n_atoms=0,
        min_f=zero_f,
        max_f=zero_f,
        mean_f=zero_f,
        mean_square_f=zero_f,
    )


def _values(recipe: Mapping[str, float], kind: int) -> Iterator[float]:
    for name in PARAMETERS[kind]:
        yield float(recipe.get(name, 0.0))


def measure_setups(
    setups: Sequence[Setup], descriptor: Descriptor, files: Sequence[Path]
) -> tuple[Setup, ...]:
    """Return set-ups with the statistics of the features of some structure files."""
    statistics: list[Statistics] = []
    for structures in _batches(files):
        features = descriptor.compute_features(stack(structures, descriptor.species))
        new = [compute_statistics(G_nf) for G_nf in features.blocks(features.G_f)]
        statistics = merge_statistics(statistics, new)
    return tuple(
        replace(
            setup,
            n_atoms=known.n_atoms,
            min_f=known.min_f,
            max_f=known.max_f,
            mean_f=known.mean_f,
            mean_square_f=np.diag(known.covariance_ff) + known.mean_f**2,
        )
        for setup, known in zip(setups, statistics, strict=True)
    )


def _batches(files: Sequence[Path]) -> Iterator[list[Structure]]:
    batch: list[Structure] = []
    size = 0
    for file in files:
        structure = next(read_structures(file, index="0"))
        batch.append(structure)
        size += len(structure)
        if size >= BATCH_ATOMS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
