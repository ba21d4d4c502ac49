"""How the state of an optimiser is read back."""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt


class Read(Protocol):
    """Returns an array by its name, of a shape (``None``: any length) and a type.

    Anything else is an error; floating point numbers are finite.
    """

    def __call__(
        self, name: str, shape: tuple[int | None, ...], dtype: npt.DTypeLike, /
    ) -> npt.NDArray[Any]:
        """Return the array."""
