"""Structures from every format that ASE reads."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from annpot.elements import SYMBOLS
from annpot.errors import InputError, StructureError, did_you_mean
from annpot.structures.archives import OPENERS, read_content
from annpot.structures.dangers import REFUSED, check_harmless
from annpot.structures.references import find_energy, find_forces, find_stress
from annpot.structures.selection import Index, select
from annpot.structures.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms

SOUGHT = ("xyz", "extxyz")
"""Formats whose reader jumps back: in a packed file it would unpack all again."""
MAX_COLUMNS = 10_000
"""Most numbers and words in a line of an atom that are read."""
_COLUMNS = re.compile(rb":[SRIL]:(\d+)")


def detect_format(path: Path) -> str:
    """Return ASE's name of the format of the file ``path``.

    Raises
    ------
    StructureError
        If ASE does not know it.
    """
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        # An absolute path, because ASE takes 'postgres.xyz' for a database's address.
        name: str = filetype(str(path.absolute()))
    except UnknownFileTypeError:
        name = ""
    # The same families of exceptions as in `iterate_atoms`, for a file that is packed.
    except Exception as error:
        raise _unreadable(path, "", error) from error
    if name in ioformats:
        if name in REFUSED:
            raise StructureError(f"'{path}': {_refusal(name)}")
        return name
    raise StructureError(
        f"'{path}': no structure format known to ASE, expected one; if it is, name it "
        "(list: 'ase info --formats')"
    )


def check_format(ase_format: str) -> None:
    """Check that ASE knows the format.

    Raises
    ------
    InputError
        If it does not.
    """
    from ase.io.formats import ioformats

    if ase_format not in ioformats:
        hint = did_you_mean(ase_format, [*ioformats, "runner"])
        raise InputError(
            f"format '{ase_format}' is not known to ASE{hint} "
            "(list: 'ase info --formats'), nor is it runner"
        )
    if ase_format in REFUSED:
        raise InputError(_refusal(ase_format))


def _refusal(ase_format: str) -> str:
    return f"format '{ase_format}' is not read, {REFUSED[ase_format]}"


def read_with_ase(path: Path, index: Index, ase_format: str) -> Iterator[Structure]:
    """Yield the structures of ``path`` that ``index`` selects, as ASE reads them."""
    numbered = enumerate(iterate_atoms(path, ase_format))
    for number, atoms in select(numbered, index, str(path)):
        yield from_atoms(atoms, str(path), number)


def iterate_atoms(path: Path, ase_format: str) -> Iterator[Atoms]:
    """Yield the structures of ``path`` as ASE reads them.

    Raises
    ------
    StructureError
        If it cannot.
    """
    from ase.io import iread

    packed = path.suffix.lower() in OPENERS
    check_harmless(path, ase_format)
    if ase_format in SOUGHT:
        _check_counts(path)
    # parallel: under MPI ASE would read on one rank and broadcast, but each rank of
    # annpot reads its own files. A name with '@' is a name, not a name and an index.
    images = iread(
        _text(path) if ase_format in SOUGHT and packed else str(path.absolute()),
        index=":",
        format=ase_format,
        parallel=False,
        do_not_split_by_at_sign=True,
    )
    while True:
        try:
            # ASE warns of what does not concern us, e.g. of occupancies.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                atoms = next(images, None)
        # ASE's readers raise whatever their parsing runs into on a broken file, from
        # AssertionError to struct.error and XML errors: no narrower class exists.
        except Exception as error:
            raise _unreadable(path, ase_format, error) from error
        if atoms is None:
            return
        yield atoms


def _check_counts(path: Path) -> None:
    """Check that a file in (extended) XYZ does not announce more than it can hold.

    ASE would look for two thousand million atoms for hours, or need all memory for as
    many columns.
    """
    content = read_content(path)
    for number, line in enumerate(content.splitlines(), 1):
        word = line.strip()
        if word.isdigit() and (len(word) > 18 or int(word) > len(content)):
            _refuse(path, number, f"{word[:40].decode()} atoms, more than the file has")
        if b"roperties" in line:
            columns = _COLUMNS.findall(line)
            too_long = any(len(count) > 18 for count in columns)
            if too_long or sum(map(int, columns)) > MAX_COLUMNS:
                _refuse(path, number, f"more than {MAX_COLUMNS} columns")


def _refuse(path: Path, number: int, what: str) -> NoReturn:
    raise StructureError(f"'{path}', line {number}: {what}, which cannot be read")


def _text(path: Path) -> StringIO:
    try:
        return StringIO(read_content(path).decode())
    except UnicodeDecodeError as error:
        raise _unreadable(path, "text", error) from error


def _unreadable(path: Path, ase_format: str, error: Exception) -> StructureError:
    reason = " ".join(str(error).split())[:200]
    kind = type(error).__name__
    named = f" as '{ase_format}'" if ase_format else ""
    cause = f"{kind}: {reason}" if reason else kind
    return StructureError(
        f"'{path}': ASE cannot read it{named} ({cause}): "
        "is the file complete, and of this format?"
    )


def from_atoms(atoms: Atoms, file: str, index: int = 0) -> Structure:
    """Return ``atoms`` as a structure; references as in `annpot.structures.references`.

    Units are ASE's: eV, angstrom.

    Raises
    ------
    StructureError
        If an element is unknown, or a reference is not of the shape it should be.
    """
    place = f"'{file}'" + (f", structure {index}" if index else "")
    for i, number in enumerate(atoms.numbers):
        if not 1 <= number < len(SYMBOLS):
            raise StructureError(
                f"{place}: atom {i} has atomic number {number}, expected 1 to 118"
            )
    structure = Structure(
        symbols=tuple(atoms.symbols),
        positions_nc=np.array(atoms.positions, dtype=float),
        cell_cc=np.array(atoms.cell.array, dtype=float),
        pbc_c=np.array(atoms.pbc, dtype=bool),
        file=file,
        index=index,
    )
    label = structure.label
    return dataclasses.replace(
        structure,
        energy=find_energy(atoms, label),
        forces_nc=find_forces(atoms, label),
        stress_v=find_stress(atoms, label),
    )
