"""Settings of a descriptor that reproduce the set-up files of aenet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annpot.convert.aenet.stp import Setup
from annpot.convert.behler_settings import put_functions
from annpot.convert.yaml_text import Section
from annpot.descriptors.chebyshev import Expansion
from annpot.descriptors.species_weights import aenet_weights
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.errors import FileFormatError

MAX_DESCRIPTION = 10
"""How many lines of a description become comments."""


def put_descriptor(
    root: Section, species: Sequence[str], setups: Sequence[Setup], notes: list[str]
) -> None:
    """Add the section of the descriptor.

    Parameters
    ----------
    species
        In the order of TYPES.
    setups
        One for each species.

    Raises
    ------
    FileFormatError
        If they are of different types, which aenet does not read either.
    """
    chebyshev = [setup.radial is not None for setup in setups]
    if len(set(chebyshev)) > 1:
        one, other = setups[chebyshev.index(True)], setups[chebyshev.index(False)]
        raise FileFormatError(
            f"'{one.path}' is of type Chebyshev, '{other.path}' of type Behler2011: "
            "aenet cannot mix them, expected one type"
        )
    described: dict[str, list[str]] = {}
    for setup in setups:
        text = " ".join(setup.description[:MAX_DESCRIPTION])
        described.setdefault(text, []).append(setup.symbol)
    for text, symbols in described.items():
        if text:
            root.say(f"{', '.join(symbols)}: {text}")
    section = root.section("descriptor")
    for setup in setups:
        _note_strangers(section, setup, species, notes)
    if chebyshev[0]:
        _put_chebyshev(section, species, setups, notes)
    else:
        _put_behler(section, species, setups, notes)


def _note_strangers(
    section: Section, setup: Setup, species: Sequence[str], notes: list[str]
) -> None:
    """Say which species only one of TYPES and ENV lists."""
    absent = [symbol for symbol in species if symbol not in setup.environment]
    if absent:
        text = (
            f"ENV of {setup.symbol} is without {', '.join(absent)}, for which aenet "
            "reads beyond its tables: seen in the features without weights only"
        )
        section.say(setup.basis.comment(text))
        notes.append(setup.basis.note(text))


def _weights(setup: Setup, species: Sequence[str]) -> dict[str, float] | None:
    """Return aenet's weights of the species, None where it makes no such features."""
    if len(setup.environment) == 1:
        return None
    numbers = aenet_weights(len(setup.environment))
    by_symbol = dict(zip(setup.environment, numbers, strict=True))
    return {symbol: by_symbol.get(symbol, 0.0) for symbol in species}


def _put_chebyshev(
    section: Section, species: Sequence[str], setups: Sequence[Setup], notes: list[str]
) -> None:
    first = setups[0]
    assert first.radial is not None
    assert first.angular is not None
    section.put(
        "type", "chebyshev", "aenet 2.0.4's; up to 2.0.3, angles were different"
    )
    section.put("radial", _part(first.radial))
    angular = section.section("angular")
    for key, value in _part(first.angular).items():
        angular.put(key, value)
    angular.put(
        "radial_order", "none", "angles alone; 'auto', distances too, is better"
    )
    weights_s = [_weights(setup, species) for setup in setups]
    remark = "'auto' tells species apart by their chemistry, even three and more"
    section.put("weights", _weights_as_set(weights_s[0], species), remark)
    central = section.section("central")
    for symbol, setup, weights in zip(species, setups, weights_s, strict=True):
        _note_reach(section, setup, weights, notes)
        override = _differences(setup, first)
        if weights != weights_s[0]:
            override["weights"] = [weights] if weights else []
        if override:
            inner = central.section(symbol)
            for key, value in override.items():
                inner.put(key, value, "ENV" if key == "weights" else "")


def _part(part: Expansion) -> dict[str, Any]:
    return {"order": part.order, "cutoff": part.cutoff}


def _differences(setup: Setup, first: Setup) -> dict[str, Any]:
    """Return the orders and cutoffs that are not those of the first species."""
    override = {}
    for name in ("radial", "angular"):
        mine, common = _part(getattr(setup, name)), _part(getattr(first, name))
        differing = {key: mine[key] for key in mine if mine[key] != common[key]}
        if differing:
            override[name] = differing
    return override


def _weights_as_set(weights: dict[str, float] | None, species: Sequence[str]) -> Any:
    """Return weights as the settings take them."""
    if weights is None:
        return []
    if list(weights.values()) == aenet_weights(len(species)):
        return "aenet"
    return [weights]


def _note_reach(
    section: Section,
    setup: Setup,
    weights: dict[str, float] | None,
    notes: list[str],
) -> None:
    """Say where aenet gives neighbours the weight of another one."""
    assert setup.radial is not None
    assert setup.angular is not None
    if weights is not None and setup.angular.cutoff > setup.radial.cutoff:
        text = (
            f"angular_Rc of {setup.symbol} is larger than radial_Rc: beyond radial_Rc "
            "aenet gives neighbours the weight of whichever came before, annpot their "
            "own, so these features differ"
        )
        section.say(setup.basis.comment(text))
        notes.append(setup.basis.note(text))


def _put_behler(
    section: Section, species: Sequence[str], setups: Sequence[Setup], notes: list[str]
) -> None:
    if any(setup.environment != tuple(species) for setup in setups):
        text = (
            "ENV has not the order of TYPES: aenet then evaluates functions of other "
            "species than these, annpot these"
        )
        section.say(setups[0].basis.comment(text))
        notes.append(setups[0].basis.note(text))
    entries_s = {
        symbol: _functions(setup, species, notes)
        for symbol, setup in zip(species, setups, strict=True)
    }
    put_functions(section, entries_s)


def _functions(
    setup: Setup, species: Sequence[str], notes: list[str]
) -> list[SymmetryFunction | str]:
    """Return the functions of a set-up, as comments those that cannot be had."""
    entries: list[SymmetryFunction | str] = []
    first: dict[SymmetryFunction, int] = {}
    for line, recipe in ((f.line, dict(f.recipe)) for f in setup.functions):
        strangers = sorted(set(recipe["neighbours"]) - set(species))
        reason = f"{', '.join(strangers)} is not in TYPES" if strangers else ""
        try:
            function = SymmetryFunction.from_dict(recipe)
        except ValueError as error:
            reason = str(error)
        else:
            number = first.setdefault(function, line.number)
            if number != line.number:
                reason = f"the same function as in line {number}"
        if reason:
            entries.append(line.comment(f"left out, {reason}: {line.text}"))
            notes.append(line.note(f"function left out: {reason}"))
        else:
            entries.append(function)
    if not any(isinstance(entry, SymmetryFunction) for entry in entries):
        raise setup.basis.error("no function is left")
    return entries
