"""From the settings to the symmetry functions of each species."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from annpot.descriptors.behler import MAX_FUNCTIONS, Behler
from annpot.descriptors.species_weights import check_known
from annpot.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    KINDS,
    NAMES,
    Gaussians,
    SymmetryFunction,
    sort_functions,
)
from annpot.elements import SYMBOLS
from annpot.errors import SettingsError
from annpot.settings.behler import (
    AngularSetSettings,
    BehlerOverride,
    BehlerSettings,
    FunctionSettings,
    RadialSetSettings,
)

Set = TypeVar("Set", RadialSetSettings, AngularSetSettings)


def make_behler(
    settings: BehlerSettings, species: tuple[str, ...], where: str = "descriptor"
) -> Behler:
    """Return the descriptor of the settings for the given species.

    Functions are in the order of `sort_functions`.

    Parameters
    ----------
    where
        Path of the settings, for messages.

    Raises
    ------
    SettingsError
        If the settings name a species that is not there, or a function is wrong.
    """
    check_known(list(settings.central), species, f"{where}.central")
    functions_s = []
    for symbol in species:
        functions = _functions_of(settings, symbol, species, where)
        if not 0 < len(functions) <= MAX_FUNCTIONS:
            raise SettingsError(
                where,
                f"{len(functions)} symmetry functions for {symbol}, expected 1 to "
                f"{MAX_FUNCTIONS}",
            )
        functions_s.append(tuple(sort_functions(functions)))
    return Behler(species, tuple(functions_s))


def _functions_of(
    settings: BehlerSettings, symbol: str, species: tuple[str, ...], where: str
) -> list[SymmetryFunction]:
    """Return all functions of one central species, each once."""
    override = settings.central.get(symbol, BehlerOverride())
    inside = f"{where}.central.{symbol}"
    explicit, at = settings.functions, f"{where}.functions"
    if override.functions is not None:
        explicit, at = override.functions, f"{inside}.functions"
    found: dict[SymmetryFunction, None] = {}
    for n, function in enumerate(explicit):
        place = f"{at}[{n}]"
        for recipe in _expand(function, settings, species, place):
            f = _make(recipe, species, place)
            if f in found:
                raise SettingsError(place, f"'{f.label}' is given twice")
            found[f] = None
    sets = (
        ("radial", _merge(settings.radial, override.radial), RadialSetSettings()),
        ("angular", _merge(settings.angular, override.angular), AngularSetSettings()),
    )
    for name, chosen, default in sets:
        given = getattr(override, name) is not None
        place = f"{inside if given else where}.{name}"
        wanted = chosen or (None if explicit else default)
        if wanted is not None:
            for recipe in _generate(wanted, settings, species, place):
                found[_make(recipe, species, place)] = None
    return list(found)


def _merge(common: Set | None, override: Set | None) -> Set | None:
    """Return the common settings with what the override gives."""
    if common is None or override is None:
        return override or common
    given = {key: getattr(override, key) for key in override.model_fields_set}
    return common.model_copy(update=given)


def _make(
    recipe: dict[str, Any], species: tuple[str, ...], where: str
) -> SymmetryFunction:
    try:
        function = SymmetryFunction.from_dict(recipe)
    except ValueError as error:
        raise SettingsError(where, str(error)) from None
    strangers = sorted(set(function.neighbours) - set(species))
    if strangers:
        raise SettingsError(
            where,
            f"neighbour {', '.join(strangers)} is not among the species "
            f"{', '.join(species)}",
        )
    return function


def _cutoff_name(given: str | int) -> str:
    """Return the name of a cutoff function that is given as name or number."""
    return CUTOFF_FUNCTIONS[given] if isinstance(given, int) else given


def _cut(settings: BehlerSettings) -> dict[str, Any]:
    """Return what functions inherit if they take it."""
    return {
        "cutoff": settings.cutoff,
        "cutoff_function": _cutoff_name(settings.cutoff_function),
        "alpha": settings.alpha,
    }


def _expand(
    function: FunctionSettings,
    settings: BehlerSettings,
    species: tuple[str, ...],
    where: str,
) -> Iterator[dict[str, Any]]:
    """Yield the recipes of a function for each species of neighbours it is for."""
    given = function.model_dump(by_alias=True, exclude_none=True)
    kind = KINDS[NAMES.get(given["type"], given["type"])]
    inherited = {
        key: value
        for key, value in _cut(settings).items()
        if key == "cutoff" or key in kind.optional
    }
    recipe = {**inherited, **given}
    if "cutoff_function" in recipe:
        recipe["cutoff_function"] = _cutoff_name(recipe["cutoff_function"])
    if "neighbour" in recipe:
        if "neighbours" in recipe:
            raise SettingsError(where, "both neighbour and neighbours are given")
        recipe["neighbours"] = [recipe.pop("neighbour")]
    if kind.n_neighbours == 0 or "neighbours" in recipe:
        yield recipe
        return
    for neighbours in _neighbours(kind.n_neighbours, species):
        yield {**recipe, "neighbours": neighbours}


def _neighbours(count: int, species: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all species, or all unordered pairs, by atomic number."""
    ordered = sorted(species, key=SYMBOLS.index)
    return list(itertools.combinations_with_replacement(ordered, count))


def _generate(
    chosen: RadialSetSettings | AngularSetSettings,
    settings: BehlerSettings,
    species: tuple[str, ...],
    where: str,
) -> Iterator[dict[str, Any]]:
    """Yield the recipes of the functions of a set."""
    cutoff = chosen.cutoff or settings.cutoff
    cut = {**_cut(settings), "cutoff": cutoff}
    stop = chosen.stop or cutoff
    try:
        gaussians = Gaussians(
            chosen.n, chosen.scheme, chosen.centred, chosen.start, stop
        ).parameters()
    except ValueError as error:
        raise SettingsError(where, str(error)) from None
    angles: list[dict[str, float]] = [{}]
    if isinstance(chosen, AngularSetSettings):
        angles = [
            {"zeta": zeta, "lambda": lambda_}
            for zeta in chosen.zeta
            for lambda_ in chosen.lambda_
        ]
    name, count = _type_of(chosen, where)
    for (eta, r_s), angle, neighbours in itertools.product(
        gaussians, angles, _neighbours(count, species)
    ):
        recipe = {"type": name, "eta": eta, "r_s": r_s, **angle, **cut}
        yield {**recipe, "neighbours": neighbours} if count else recipe


def _type_of(
    chosen: RadialSetSettings | AngularSetSettings, where: str
) -> tuple[str, int]:
    """Return the type of the functions of a set, and the number of species of each."""
    if isinstance(chosen, RadialSetSettings):
        return ("G12", 0) if chosen.weighted else ("G2", 1)
    if not chosen.weighted:
        return ("G5" if chosen.type == "wide" else "G4"), 2
    if chosen.type == "wide":
        raise SettingsError(
            where, "weighted functions are narrow, expected type: narrow"
        )
    return "G13", 0
