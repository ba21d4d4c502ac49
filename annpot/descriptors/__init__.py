"""Recipes that turn the environments of atoms into features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annpot.descriptors.base import Descriptor, Features
from annpot.descriptors.chebyshev import Chebyshev
from annpot.errors import FileFormatError

__all__ = ["Chebyshev", "Descriptor", "Features", "descriptor_from_dict"]

TYPES = {"chebyshev": Chebyshev}


def descriptor_from_dict(recipe: Mapping[str, Any]) -> Descriptor:
    """Return the descriptor that ``Descriptor.to_dict`` described.

    Raises
    ------
    FileFormatError
        If this annpot does not know the type, or the recipe is malformed.
    """
    kind = recipe.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise FileFormatError(
            f"descriptor type {kind!r} is unknown, expected one of {', '.join(TYPES)}: "
            "please upgrade annpot"
        )
    return TYPES[kind].from_dict(recipe)
