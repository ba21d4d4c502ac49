"""Recipes that turn the environments of atoms into features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annpot.descriptors.base import Descriptor, Features, Part
from annpot.descriptors.behler import Behler
from annpot.descriptors.chebyshev import Chebyshev
from annpot.errors import FileFormatError

__all__ = ["Behler", "Chebyshev", "Descriptor", "Features", "descriptor_from_dict"]

PARTS: dict[str, type[Part]] = {"chebyshev": Chebyshev, "behler": Behler}
MAX_PARTS = 20


def descriptor_from_dict(recipe: Mapping[str, Any]) -> Descriptor:
    """Return the descriptor that ``Descriptor.to_dict`` described.

    Raises
    ------
    FileFormatError
        If this annpot does not know a type, or the recipe is malformed.
    """
    recipes = [recipe]
    if recipe.get("type") == "concatenation":
        recipes = recipe.get("parts", [])
        if not isinstance(recipes, list) or not 1 <= len(recipes) <= MAX_PARTS:
            raise FileFormatError(f"parts: a list of 1 to {MAX_PARTS} recipes expected")
    descriptor = Descriptor(tuple(map(_part, recipes)))
    if any(part.species != descriptor.species for part in descriptor.parts):
        raise FileFormatError("parts: the same species in the same order expected")
    return descriptor


def _part(recipe: Any) -> Part:
    kind = recipe.get("type") if isinstance(recipe, dict) else None
    if not isinstance(kind, str) or kind not in PARTS:
        raise FileFormatError(
            f"descriptor type {kind!r} is unknown, expected one of {', '.join(PARTS)}: "
            "please upgrade annpot"
        )
    return PARTS[kind].from_dict(recipe)
