"""The commands ``annpot plot expansion`` and ``annpot plot basis``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annpot.cli import options, pictures
from annpot.errors import InputError

if TYPE_CHECKING:
    from annpot.descriptors import Descriptor
    from annpot.structures.structure import Structure

MAX_ORDERS = 10


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--atom", type=int, required=True, help="Number of the atom, from 0.")
@click.option(
    "--index", default="0", show_default=True, help="Which structure of the file."
)
@options.format_
@options.units
@click.option(
    "--orders",
    default="4,8,16,32,64",
    show_default=True,
    help="Highest orders of the polynomials, 0 to 100; the last sets the broadening.",
)
@click.option(
    "--radial-cutoff",
    type=float,
    help="In angstrom.  [default: that of default settings]",
)
@click.option(
    "--angular-cutoff",
    type=float,
    help="In angstrom.  [default: that of default settings]",
)
@click.option(
    "--weighted", is_flag=True, help="Also draw the functions weighted by species."
)
@pictures.output("expansion.png")
@pictures.show
def expansion(
    file: Path,
    atom: int,
    index: str,
    format_: str | None,
    units: str | None,
    orders: str,
    radial_cutoff: float | None,
    angular_cutoff: float | None,
    weighted: bool,
    output: Path,
    show: bool,
) -> None:
    """Draw RDF and ADF of an atom, and their expansions.

    The exact distribution functions around an atom of the structure in FILE, broadened,
    and what the Chebyshev features up to several orders give back of them: the figure
    of Artrith, Urban, Ceder, Phys. Rev. B 96, 014112 (2017).
    """
    pictures.check(output, [file])
    numbers = _orders(orders)

    from annpot.cli import report
    from annpot.plotting.distributions import compute_distributions
    from annpot.plotting.expansion import figure_of_expansion
    from annpot.settings import ChebyshevSettings

    structure = _structure(file, index, format_, units)
    report.announce_compilation()
    defaults = ChebyshevSettings()
    cutoffs = (
        _radius(radial_cutoff, defaults.radial.cutoff),
        _radius(angular_cutoff, defaults.angular.cutoff),
    )
    distributions = compute_distributions(structure, atom, numbers[-1], *cutoffs)
    if weighted and len(distributions) == 2:
        raise InputError(f"{structure.label}: one species, --weighted needs several")
    title = f"atom {atom} ({structure.symbols[atom]}) of {structure.label}"
    figure = figure_of_expansion(
        distributions if weighted else distributions[:2], numbers, title
    )
    pictures.write(figure, output, show)


def _orders(text: str) -> list[int]:
    from annpot.descriptors.chebyshev import MAX_ORDER

    words = text.split(",")
    numbers = sorted({int(word) for word in words if word.strip().isdecimal()})
    if not len(numbers) == len(words) <= MAX_ORDERS or numbers[-1] > MAX_ORDER:
        raise InputError(
            f"--orders '{text}': expected up to {MAX_ORDERS} different numbers from 0 "
            f"to {MAX_ORDER}, e.g. 4,8,16"
        )
    return numbers


def _radius(value: float | None, default: float) -> float:
    from annpot.descriptors.chebyshev import MAX_CUTOFF

    if value is None:
        return default
    if not 0.0 < value <= MAX_CUTOFF:
        raise InputError(f"cutoff {value:g}: expected up to {MAX_CUTOFF:g} angstrom")
    return value


def _structure(
    file: Path, index: str, format_: str | None, units: str | None
) -> Structure:
    from annpot.structures.reading import read_structures
    from annpot.structures.selection import parse_index
    from annpot.units import parse_units

    if not isinstance(parse_index(index), int):
        raise InputError(f"index '{index}': the number of one structure expected")
    parsed = None if units is None else parse_units(units)
    return next(read_structures(file, index=index, format=format_, units=parsed))


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@pictures.species
@click.option(
    "--distance",
    type=click.FloatRange(0.1, 100.0),
    default=2.0,
    show_default=True,
    help="Of the two neighbours whose angle varies, angstrom.",
)
@options.set_
@pictures.output("basis.png")
@pictures.show
def basis(
    file: Path | None,
    species: str | None,
    distance: float,
    overrides: tuple[str, ...],
    output: Path,
    show: bool,
) -> None:
    """Draw the functions that the features sum up.

    What one neighbour adds to each feature depending on its distance, and what two add
    depending on the angle between them.

    FILE is a potential, a fingerprint set or a settings file, by default in.yaml.
    """
    pictures.check(output, [file])
    if math.isnan(distance):
        raise InputError("--distance nan: expected a number of angstrom")

    from annpot.cli import report
    from annpot.plotting.basis import figure_of_basis
    from annpot.plotting.responses import compute_responses

    report.announce_compilation()
    descriptor = _descriptor(file, overrides)
    chosen = pictures.choose(species, descriptor.species)
    responses = [
        response
        for symbol in chosen
        for response in compute_responses(descriptor, symbol, distance)
    ]
    if not any(len(r.neighbours) == 1 or r.of_angle for r in responses):
        raise InputError(
            f"--distance {distance:g}: no feature sees neighbours so far away, "
            f"expected less than the cutoff {descriptor.cutoffs[-1]:g} angstrom"
        )
    labels = {symbol: descriptor.labels(symbol) for symbol in chosen}
    pictures.write(figure_of_basis(responses, labels, distance), output, show)


def _descriptor(file: Path | None, overrides: tuple[str, ...]) -> Descriptor:
    """Return the descriptor of a file in the annpot format, or of settings."""
    from annpot.descriptors.building import make_descriptor
    from annpot.fingerprints import read_descriptor
    from annpot.format.container import COMMITTEE, FINGERPRINTS, MEMBERS, POTENTIAL
    from annpot.format.reading import is_annpot_file, open_checked, read_group
    from annpot.generation.generating import find_species
    from annpot.settings import require_structures

    if file is not None and is_annpot_file(file):
        if overrides:
            raise InputError(f"--set: settings expected, '{file}' has its descriptor")
        with open_checked(file, POTENTIAL, COMMITTEE, FINGERPRINTS) as opened:
            if MEMBERS in opened:  # of a committee: the first stands for all
                return read_descriptor(read_group(read_group(opened, MEMBERS), "0"))
            return read_descriptor(opened)
    loaded, path = options.load(file or options.DEFAULT_SETTINGS, overrides, {})
    if loaded.species is None:
        require_structures(loaded, path)
    base = path.parent if path is not None else Path()
    with options.naming_lines(path, overrides):
        return make_descriptor(loaded.descriptor, find_species(loaded, base))
