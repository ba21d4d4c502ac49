"""Structures as bytes, for another process: arrays, and JSON for what is no array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annpot.elements import SYMBOLS
from annpot.errors import AnnpotError, InputError, StructureError
from annpot.messages import join, split
from annpot.structures.structure import Structure

NUMBER_OF = {symbol: number for number, symbol in enumerate(SYMBOLS)}
ERRORS = {"InputError": InputError, "StructureError": StructureError}
Found = Structure | AnnpotError
"""What parsing gives: a structure that has passed its checks, or what is wrong."""


def describe_error(error: AnnpotError) -> list[str]:
    """Return kind and message of an error about files."""
    kind = "InputError" if isinstance(error, InputError) else "StructureError"
    return [kind, str(error)]


def make_error(described: Sequence[str]) -> AnnpotError:
    """Return the error that `describe_error` described."""
    kind, message = described
    return ERRORS[kind](message)


def pack(items: Sequence[Found]) -> bytes:
    """Return structures of one file or member, and errors among them, as bytes."""
    structures = [item for item in items if isinstance(item, Structure)]
    errors = [
        [k, *describe_error(item)]
        for k, item in enumerate(items)
        if isinstance(item, AnnpotError)
    ]
    flags_s = [
        (structure.forces_nc is not None, structure.stress_v is not None)
        for structure in structures
    ]
    head = {
        "errors": errors,
        "flags": flags_s,
        "n_atoms": [len(structure) for structure in structures],
        "index": [structure.index for structure in structures],
        "set": [structure.set for structure in structures],
        "energies": [[s.energy, s.cohesive_energy] for s in structures],
    }
    numbers_n = [NUMBER_OF[symbol] for s in structures for symbol in s.symbols]
    arrays: list[NDArray[Any]] = [
        np.array(numbers_n, dtype=np.uint8),
        _stack([s.positions_nc for s in structures]),
        _stack([s.cell_cc for s in structures]),
        np.array([s.pbc_c for s in structures], dtype=bool),
        _stack([s.forces_nc for s in structures if s.forces_nc is not None]),
        _stack([s.stress_v for s in structures if s.stress_v is not None]),
    ]
    return join(head, [array.tobytes() for array in arrays])


def _stack(arrays: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def unpack(message: bytes | bytearray | memoryview, file: str) -> list[Found]:
    """Return what was packed; the structures are parts of ``file``."""
    head, parts = split(bytearray(message))
    symbols = [SYMBOLS[number] for number in parts[0]]
    positions_nc = np.frombuffer(parts[1]).reshape(-1, 3)
    cells_scc = np.frombuffer(parts[2]).reshape(-1, 3, 3)
    pbc_sc = np.frombuffer(parts[3], dtype=bool).reshape(-1, 3)
    forces_nc = np.frombuffer(parts[4]).reshape(-1, 3)
    stress_sv = np.frombuffer(parts[5]).reshape(-1, 6)
    items: list[Found] = []
    first, first_force, n_stress = 0, 0, 0
    for s, n_atoms in enumerate(head["n_atoms"]):
        with_forces, with_stress = head["flags"][s]
        stop = first + n_atoms
        forces = forces_nc[first_force : first_force + n_atoms]
        items.append(
            Structure(
                symbols=tuple(symbols[first:stop]),
                positions_nc=positions_nc[first:stop],
                cell_cc=cells_scc[s],
                pbc_c=pbc_sc[s],
                energy=head["energies"][s][0],
                cohesive_energy=head["energies"][s][1],
                forces_nc=forces if with_forces else None,
                stress_v=stress_sv[n_stress] if with_stress else None,
                file=file,
                index=head["index"][s],
                set=head["set"][s],
            )
        )
        first, n_stress = stop, n_stress + with_stress
        first_force += n_atoms * with_forces
    for k, *described in head["errors"]:
        items.insert(k, make_error(described))
    return items
