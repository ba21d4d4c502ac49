"""Structures from every format that ASE reads."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annpot.elements import SYMBOLS
from annpot.errors import InputError, StructureError, did_you_mean
from annpot.structures.archives import LARGEST_FILE, open_content
from annpot.structures.blocks import Window, find_places
from annpot.structures.dangers import REFUSED, check_harmless
from annpot.structures.references import find_energy, find_forces, find_stress
from annpot.structures.selection import Index, select
from annpot.structures.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms

SOUGHT = ("xyz", "extxyz")
"""Formats whose structures can be found without parsing them."""
COLUMN_COUNTS = re.compile(rb":[SRIL]:([^:\s]*)")
PUNCTUATION = b"\\\"'{}[]"
"""What ASE leaves out of values."""


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
        raise _unreadable(f"'{path}'", "", error) from error
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
    if ase_format not in SOUGHT:
        check_harmless(path, ase_format)
        # A name with '@' is a name, not a name and an index.
        yield from _iterate(str(path.absolute()), ase_format, f"'{path}'")
        return
    with open_content(path) as stream:
        window = Window(stream.read, str(path))
        for place in find_places(window.read, LARGEST_FILE, str(path), ase_format):
            content = window.take(place.start, place.stop)
            where = str(path), place.number, place.line + 1
            yield read_frame(content, ase_format, *where)


def read_frame(
    content: bytes, ase_format: str, file: str, number: int, line: int
) -> Atoms:
    """Return the only structure in ``content``, a part of an XYZ file, as ASE reads it.

    Raises
    ------
    StructureError
        If ASE cannot read it, or finds another number of structures.
    """
    label = f"'{file}', line {line}"
    comment = content.split(b"\n", 2)[1].translate(None, PUNCTUATION)
    counts = COLUMN_COUNTS.findall(comment)
    if any(not word.isdigit() or len(word) > 4 for word in counts):
        raise StructureError(
            f"'{file}', line {line + 1}: more than 10000 columns, or no number of them"
        )
    try:
        text = StringIO(content.decode())
    except UnicodeDecodeError as error:
        raise _unreadable(label, "text", error) from error
    found = list(_iterate(text, ase_format, label))
    if len(found) != 1:
        raise StructureError(f"{label}: one structure expected, found {len(found)}")
    return found[0]


def _iterate(file: str | StringIO, ase_format: str, label: str) -> Iterator[Atoms]:
    from ase.io import iread

    # parallel: under MPI ASE would read on one rank and broadcast, but each rank of
    # annpot reads its own files.
    images = iread(
        file,
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
            raise _unreadable(label, ase_format, error) from error
        if atoms is None:
            return
        yield atoms


def _unreadable(label: str, ase_format: str, error: Exception) -> StructureError:
    reason = " ".join(str(error).split())[:200]
    kind = type(error).__name__
    named = f" as '{ase_format}'" if ase_format else ""
    cause = f"{kind}: {reason}" if reason else kind
    return StructureError(
        f"{label}: ASE cannot read it{named} ({cause}): "
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
