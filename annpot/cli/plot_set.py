"""The commands ``annpot plot features`` and ``annpot plot correlation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import pictures

if TYPE_CHECKING:
    from annpot.fingerprints import FingerprintSet

fingerprint_set = click.argument("file", metavar="SET", type=click.Path(path_type=Path))


@click.command()
@fingerprint_set
@pictures.species
@pictures.output("features.png")
@pictures.show
def features(file: Path, species: str | None, output: Path, show: bool) -> None:
    """Draw histograms of the features in SET, of each species."""
    pictures.check(output, [file])

    from annpot.fingerprints import load_features, load_set
    from annpot.plotting.features import figure_of_features

    fingerprints = load_set(file)
    chosen = _choose(species, fingerprints)
    blocks = dict(
        zip(fingerprints.descriptor.species, load_features(file), strict=True)
    )
    figure = figure_of_features(
        {symbol: blocks[symbol] for symbol in chosen},
        {symbol: fingerprints.descriptor.labels(symbol) for symbol in chosen},
    )
    pictures.write(figure, output, show)


@click.command()
@fingerprint_set
@pictures.species
@click.option(
    "-p",
    "--potential",
    type=click.Path(path_type=Path),
    help="Also draw how much each feature matters to this potential.",
)
@pictures.output("correlation.png")
@pictures.show
def correlation(
    file: Path, species: str | None, potential: Path | None, output: Path, show: bool
) -> None:
    """Draw correlation and importance of features.

    Which features of the fingerprint set SET tell the same, for each species.

    With a potential, also their importance: by how much it moves the energy of an atom
    if the feature changes by its standard deviation, rms(dE/dG) std(G) over the atoms.
    """
    pictures.check(output, [file, potential])

    from annpot.fingerprints import load_features, load_set
    from annpot.plotting.correlation import figure_of_correlation
    from annpot.plotting.importance import compute_importance
    from annpot.predictor import load_predictor

    fingerprints = load_set(file)
    names = fingerprints.descriptor.species
    importance = None
    if potential is not None:
        of_species = compute_importance(
            load_predictor(potential), fingerprints, load_features(file)
        )
        importance = dict(zip(names, of_species, strict=True))
    statistics = dict(zip(names, fingerprints.statistics, strict=True))
    chosen = _choose(species, fingerprints)
    figure = figure_of_correlation(
        {symbol: statistics[symbol] for symbol in chosen},
        {symbol: fingerprints.descriptor.labels(symbol) for symbol in chosen},
        importance,
    )
    pictures.write(figure, output, show)


def _choose(species: str | None, fingerprints: FingerprintSet) -> list[str]:
    """Return the species to draw, of those that the set has atoms of."""
    names, statistics = fingerprints.descriptor.species, fingerprints.statistics
    present = [s for s, values in zip(names, statistics, strict=True) if values.n_atoms]
    return pictures.choose(species, present)
