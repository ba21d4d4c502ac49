"""What aenet's predict.x printed: structures with the energies of the potential.

The only place where a potential of aenet says what it should give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annpot.errors import StructureError
from annpot.structures.structure import Array, Structure

MARK = b"Atomic Energy Network Interpolation"
MAX_BYTES = 200_000_000
_NUMBER = r"[-+]?\d+\.\d*(?:[EeDd][-+]?\d+)?"
_VECTOR = re.compile(
    rf"^ *[abc] = \( *({_NUMBER}) +({_NUMBER}) +({_NUMBER}) *\)", re.MULTILINE
)
_ATOM = re.compile(rf"^ ([A-Z][a-z]?)((?: +{_NUMBER}){{3,7}}) *$", re.MULTILINE)
_COUNT = re.compile(r"^ Number of atoms +: +(\d{1,9})$", re.MULTILINE)
_NAME = re.compile(r"^ File name +: +(.+?) *$", re.MULTILINE)
_TOTAL = re.compile(rf"^ Total energy +: +({_NUMBER}) eV", re.MULTILINE)


def is_predictions(head: bytes) -> bool:
    """Return whether a file begins like an output of predict.x."""
    return MARK in head


def read_predictions(path: Path) -> list[Structure]:
    """Return the structures in an output of predict.x, with total energies and forces.

    eV, angstrom; forces only if they were asked for. Numbers have as many digits as
    were printed, usually six after the point.

    Raises
    ------
    StructureError
        If it is not such an output, or a part of it is missing.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StructureError(
                f"'{path}': larger than {MAX_BYTES} bytes, expected an output of "
                "predict.x"
            )
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise StructureError(f"'{path}' cannot be read: {error.strerror}") from None
    _, *parts = re.split(r"^ Structure number +: +\d+ *$", text, flags=re.MULTILINE)
    if not parts:
        raise StructureError(
            f"'{path}': no structures, expected an output of predict.x"
        )
    return [
        _read_part(part, f"'{path}', structure {n}") for n, part in enumerate(parts)
    ]


def _read_part(text: str, where: str) -> Structure:
    count, name, total = (pattern.search(text) for pattern in (_COUNT, _NAME, _TOTAL))
    atoms, vectors = _ATOM.findall(text), _VECTOR.findall(text)
    if count is None or name is None or total is None:
        raise StructureError(f"{where}: its number of atoms, file or energy is missing")
    if len(atoms) != int(count[1]) or len(vectors) not in (0, 3):
        raise StructureError(
            f"{where}: {count[1]} atoms and 3 lattice vectors or none expected, found "
            f"{len(atoms)} and {len(vectors)}"
        )
    rows = [row.split() for _, row in atoms]
    positions_nc, cell_cc = _numbers([row[:3] for row in rows]), _numbers(vectors)
    # an atom's energy may be the last number
    forces_nc = None
    if min(map(len, rows), default=0) >= 6:
        forces_nc = _numbers([row[3:6] for row in rows])
    energy = _numbers([(total[1],)])
    found = [positions_nc, cell_cc, energy, *([] if forces_nc is None else [forces_nc])]
    if not all(np.isfinite(x).all() for x in found):
        raise StructureError(f"{where}: a number is too large")
    return Structure(
        symbols=tuple(symbol for symbol, *_ in atoms),
        positions_nc=positions_nc,
        cell_cc=cell_cc if vectors else np.zeros((3, 3)),
        pbc_c=np.full(3, bool(vectors)),
        energy=float(energy[0, 0]),
        forces_nc=forces_nc,
        file=name[1],
    )


def _numbers(rows: Sequence[Sequence[str]]) -> Array:
    return np.array([[float(x.lower().replace("d", "e")) for x in row] for row in rows])
