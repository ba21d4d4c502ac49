"""Settings of given symmetry functions, in as few lines as they allow."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from annpot.convert.yaml_text import Items, Section
from annpot.descriptors.symmetry_functions import SymmetryFunction
from annpot.elements import SYMBOLS

Entries = Sequence[SymmetryFunction | str]
"""Functions, all different, and comments between them."""


def put_functions(section: Section, entries_s: Mapping[str, Entries]) -> None:
    """Add type, cutoffs and functions to the section of a descriptor.

    Parameters
    ----------
    entries_s
        The functions of each central species; there is one at least.
    """
    species = tuple(entries_s)
    entries = itertools.chain.from_iterable(entries_s.values())
    defaults = _defaults([f for f in entries if isinstance(f, SymmetryFunction)])
    section.put("type", "behler")
    section.put("cutoff", defaults["cutoff"], "of functions that have no other")
    if defaults["cutoff_function"] != "cosine":
        section.put("cutoff_function", defaults["cutoff_function"])
    if defaults["alpha"]:
        section.put("alpha", defaults["alpha"])
    section.say("Functions without a neighbour are for each species, or each pair.")
    if len(set(map(tuple, entries_s.values()))) == 1:
        _put(section.items("functions"), entries_s[species[0]], species, defaults)
        return
    central = section.section("central")
    for symbol in species:
        items = central.section(symbol).items("functions")
        _put(items, entries_s[symbol], species, defaults)


def _defaults(functions: Sequence[SymmetryFunction]) -> dict[str, Any]:
    """Return what most functions have; compact ones have no cutoff function."""
    cutoffs = Counter(f.cutoff for f in functions)
    cuts = Counter((f.cutoff_function, f.alpha) for f in functions if not f.core)
    cut = cuts.most_common(1)[0][0] if cuts else ("cosine", 0.0)
    cutoff = cutoffs.most_common(1)[0][0]
    return {"cutoff": cutoff, "cutoff_function": cut[0], "alpha": cut[1], "r_s": 0.0}


def _put(
    items: Items, entries: Entries, species: Sequence[str], defaults: dict[str, Any]
) -> None:
    """Add the functions of one central species.

    Those that are there for each species, or pair, of neighbours stand in one line.
    """
    families: dict[SymmetryFunction, set[tuple[str, ...]]] = {}
    for f in entries:
        if isinstance(f, SymmetryFunction):
            families.setdefault(replace(f, neighbours=()), set()).add(f.neighbours)
    written = set()
    for entry in entries:
        if isinstance(entry, str):
            items.say(entry)
            continue
        family = replace(entry, neighbours=())
        if families[family] != _all_neighbours(entry.kind.n_neighbours, species):
            items.put(_keys(entry, defaults))
        elif family not in written:
            written.add(family)
            items.put(_keys(family, defaults))


def _all_neighbours(count: int, species: Sequence[str]) -> set[tuple[str, ...]]:
    ordered = sorted(species, key=SYMBOLS.index)
    return set(itertools.combinations_with_replacement(ordered, count))


def _keys(function: SymmetryFunction, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a function, less those that are inherited."""
    keys = function.to_dict()
    if len(function.neighbours) == 1:
        name = keys.pop("type")
        keys = {"type": name, "neighbour": keys.pop("neighbours")[0], **keys}
    inherited = dict(defaults)
    if function.core:
        inherited["r_low"] = -function.cutoff
    return {
        key: value
        for key, value in keys.items()
        if key not in inherited or value != inherited[key]
    }
