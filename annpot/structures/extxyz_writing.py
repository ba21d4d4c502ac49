"""Writer of extended XYZ, character for character as ASE writes it, but quicker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annpot.structures.structure import Structure

FORMATS = {"f": ("R", "%16.8f"), "i": ("I", "%8d")}
"""Of columns of numbers: what ASE calls them, and how it writes them."""
DELIMITERS = frozenset(" \"'{}[]")


def format_extxyz(
    structure: Structure,
    info: Mapping[str, Any],
    columns: Mapping[str, NDArray[Any]],
) -> str:
    """Return the frame of a structure.

    Parameters
    ----------
    info
        Texts, numbers or arrays for the comment; ``stress`` as matrix.
    columns
        What stands behind the positions, shape=(n_atoms,) or (n_atoms, n).
    """
    names, formats = ["species:S:1:pos:R:3"], ["%-2s", *["%16.8f"] * 3]
    values: list[list[Any]] = [list(structure.symbols)]
    values += structure.positions_nc.T.tolist()
    for name, array in columns.items():
        kind, form = FORMATS[array.dtype.kind]
        rows = array.reshape(len(structure), -1).T.tolist()
        names.append(f"{name}:{kind}:{len(rows)}")
        formats += [form] * len(rows)
        values += rows
    words = [f"Properties={':'.join(names)}"]
    if structure.cell_cc.any():
        words.insert(0, f'Lattice="{_join(structure.cell_cc.ravel())}"')
    words += [f"{key}={_escape(value)}" for key, value in info.items()]
    words.append(f'pbc="{" ".join("FT"[on] for on in structure.pbc_c.tolist())}"')
    line = " ".join(formats)
    atoms = [line % row for row in zip(*values, strict=True)]
    return "\n".join([str(len(structure)), " ".join(words), *atoms, ""])


def _join(numbers: NDArray[Any]) -> str:
    return " ".join(map(str, numbers.tolist()))


def _escape(value: Any) -> str:
    """Return a value as ASE writes it: quoted if need be."""
    if isinstance(value, np.ndarray):
        value = _join(value.ravel())
    text = str(value)
    if DELIMITERS.isdisjoint(text):
        return text
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
