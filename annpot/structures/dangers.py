"""What must not be given to ASE's readers, which trust a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from annpot.errors import StructureError
from annpot.structures.archives import OPENERS, check_unpacked, read_content

REFUSED = {
    "trj": "which holds code (pickle)",
    "bundletrajectory": "which is a folder",
    "postgresql": "a database on a server",
    "mysql": "a database on a server",
    "mariadb": "a database on a server",
}
"""Formats of ASE that are not read, and what is against them."""
_COUNT_LINES = {"vasp": (5, 6), "cube": (2,), "gen": (0,)}
"""Where the number of atoms stands, counted from 0, in formats that give it."""


def check_harmless(path: Path, ase_format: str) -> None:
    """Check that a file does not make ASE's reader run code or need all memory.

    Raises
    ------
    StructureError
        If it does.
    """
    if ase_format == "db":
        _check_database(path)
    if path.suffix.lower() in OPENERS:
        check_unpacked(path)
    numbers = _COUNT_LINES.get(ase_format, ())
    if numbers or ase_format == "vasp-xdatcar":
        _check_counts(path, read_content(path), numbers)


def _check_database(path: Path) -> None:
    """Refuse views and triggers, which are programs, and need not end."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        found = sqlite3.connect(uri, uri=True)
        try:
            rows = found.execute(
                "select name from sqlite_master where type in ('view', 'trigger') "
                "or sql like '%virtual%'"
            ).fetchmany(1)
        finally:
            found.close()
    except sqlite3.Error as error:
        reason = " ".join(str(error).split())[:200]
        raise StructureError(
            f"'{path}': ASE cannot read it as 'db' ({reason}): is the file complete, "
            "and of this format?"
        ) from None
    if rows:
        raise StructureError(
            f"'{path}': a database with a program in it ({rows[0][0]!a:.40}), "
            "expected tables"
        )


def _check_counts(path: Path, content: bytes, numbers: Sequence[int]) -> None:
    """Refuse more atoms than the file has bytes for; ASE would make room for them.

    Parameters
    ----------
    numbers
        Of the lines with numbers of atoms; with none, any line of integers may be one.
    """
    lines = content.split(b"\n", max(numbers, default=-2) + 1)
    for number in numbers or range(len(lines)):
        line = lines[number] if number < len(lines) else b""
        if not numbers and b"." in line:  # coordinates
            continue
        counts = [_integer(word) for word in line.split()]
        if not numbers and None in counts:
            continue
        n_atoms = sum(filter(None, counts))
        if n_atoms > len(content):
            raise StructureError(
                f"'{path}', line {number + 1}: {n_atoms!s:.40} atoms, more than the "
                "file has"
            )


def _integer(word: bytes) -> int | None:
    """Return the size of the integer that Python, so ASE, sees in a word, if any."""
    try:
        return abs(int(word[:4000].decode(errors="replace")))
    except ValueError:
        return None
