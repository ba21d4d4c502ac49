"""Symmetry functions as they stand in input.nn, with n2p2's numbers for the types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from annpot.convert.plain_text import invert, parse_number
from annpot.descriptors.symmetry_functions import (
    KINDS,
    NAMES,
    SymmetryFunction,
)

ARGUMENTS = {
    2: "neighbour eta r_s cutoff",
    3: "neighbour neighbour eta lambda zeta cutoff r_s",
    9: "neighbour neighbour eta lambda zeta cutoff r_s",
    12: "eta r_s cutoff",
    13: "eta r_s lambda zeta cutoff",
    20: "neighbour r_low cutoff core",
    21: "neighbour neighbour r_low cutoff theta_low theta_high core",
    22: "neighbour neighbour r_low cutoff theta_low theta_high core",
    23: "r_low cutoff core",
    24: "r_low cutoff theta_low theta_high core",
    25: "r_low cutoff theta_low theta_high core",
}
"""What follows the number of a type; the last of 3 and 9 may be missing."""

LENGTHS = ("cutoff", "r_s", "r_low")


def parse_function(
    words: Sequence[str], cutoff_function: str, alpha: float
) -> SymmetryFunction:
    """Return the function that the words after the central element describe.

    Parameters are in the units of the file.

    Raises
    ------
    ValueError
        If they describe none; one line that says why.
    """
    numbers = {str(number): number for number in ARGUMENTS}
    if not words or words[0] not in numbers:
        found = f"type {words[0]!a:.20}" if words else "no type"
        raise ValueError(f"{found}, expected one of {', '.join(numbers)}")
    number = numbers[words[0]]
    keys = ARGUMENTS[number].split()
    least = len(keys) - (number in (3, 9))
    if not least <= len(words) - 1 <= len(keys):
        raise ValueError(
            f"type {number} takes {ARGUMENTS[number].replace(' ', ', ')}: {least} "
            f"arguments, found {len(words) - 1}"
        )
    recipe: dict[str, Any] = {"type": number, "neighbours": []}
    for key, word in zip(keys, words[1:], strict=False):
        if key == "neighbour":
            recipe["neighbours"].append(word)
        elif key == "core":
            recipe[key] = word
        else:
            recipe[key] = parse_number(word)
            if recipe[key] is None:
                raise ValueError(f"{key} {word!a:.40}, expected a number")
    if "core" not in recipe:
        recipe |= {"cutoff_function": cutoff_function, "alpha": alpha}
    if not KINDS[NAMES[number]].n_neighbours:
        del recipe["neighbours"]
    return SymmetryFunction.from_dict(recipe)


def convert_function(function: SymmetryFunction, unit: float) -> SymmetryFunction:
    """Return the function with lengths multiplied by ``unit``, and eta accordingly.

    Raises
    ------
    ValueError
        If a parameter leaves its limits.
    """
    recipe = function.to_dict()
    for key in LENGTHS:
        if key in recipe:
            recipe[key] *= unit
    if "eta" in recipe:
        recipe["eta"] /= unit**2
    return SymmetryFunction.from_dict(recipe)


def restore_function(function: SymmetryFunction, unit: float) -> SymmetryFunction:
    """Return the function that `convert_function` turns into ``function``.

    Functions G1 become G2, which n2p2 knows.

    Raises
    ------
    ValueError
        If n2p2 has no such function.
    """
    if function.type == "G1":
        function = replace(function, type="G2", eta=0.0, r_s=0.0)
    if not function.kind.number:
        raise ValueError(f"it has no functions {function.type}")
    recipe = function.to_dict()
    for key in LENGTHS:
        if key in recipe:
            recipe[key] = invert(recipe[key], lambda x: x * unit, lambda x: x / unit)
    if "eta" in recipe:
        square = unit**2
        recipe["eta"] = invert(
            recipe["eta"], lambda x: x / square, lambda x: x * square
        )
    return SymmetryFunction.from_dict(recipe)


def format_function(central: str, function: SymmetryFunction) -> str:
    """Return the arguments of ``symfunction_short``; numbers are exact."""
    number = function.kind.number
    recipe = function.to_dict()
    neighbours = list(function.neighbours)
    words = [central, str(number)]
    for key in ARGUMENTS[number].split():
        if key == "neighbour":
            words.append(neighbours.pop(0))
        elif key == "core":
            words.append(recipe[key])
        elif key != "r_s" or number not in (3, 9) or recipe[key]:
            words.append(repr(recipe[key]))
    return " ".join(words)
