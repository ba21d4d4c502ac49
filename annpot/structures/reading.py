"""Structures with their references from files of any kind, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from annpot.structures.parsing import read_file
from annpot.structures.portions import (
    OnError,
    PortionReader,
    Require,
    iterate_portions,
)
from annpot.structures.references import require_energy
from annpot.structures.sources import Source, SourceFile, find_all_files, find_files
from annpot.structures.structure import Structure
from annpot.units import Units

__all__ = [
    "Source",
    "SourceFile",
    "find_all_files",
    "find_files",
    "read_files",
    "read_structures",
    "require_energy",
]


def read_structures(
    path: Path | str,
    *,
    index: str = ":",
    format: str | None = None,
    units: Units | None = None,
    members: Iterable[str] | None = None,
) -> Iterator[Structure]:
    """Yield the structures of the file ``path``, in eV and angstrom, checked.

    XSF files, compressed ones and tar archives of them are read by annpot with aenet's
    conventions (`annpot.structures.xsf`), ``input.data`` of RuNNer and n2p2 by
    `annpot.structures.runner_data`, everything else by ASE.

    Parameters
    ----------
    path
        The file. Structures of an archive are called ``archive.tar.gz:member``.
    index
        Which structures of the file, of each member of an archive: ``":"``, ``"-1"``,
        ``"::10"``.
    format
        ``"xsf"``, ``"runner"`` or ASE's name of the format; by default it follows from
        name and content.
    units
        Units of the file: needed where it does not define them itself (``runner``), and
        only there.
    members
        The names of the members of an archive to be read; by default all.

    Raises
    ------
    StructureError
        If the file cannot be read or a structure is wrong; those before were yielded.
    InputError
        If the units are missing, or given in vain.
    """
    path = path if isinstance(path, Path) else Path(path)
    source = Source(
        (str(path),),
        index=index,
        format=format,
        units=None if units is None else str(units),
    )
    chosen = None if members is None else frozenset(members)
    for found in read_file(SourceFile(path, source, chosen)):
        if not isinstance(found, Structure):
            raise found
        yield found


def read_files(
    files: Iterable[SourceFile],
    *,
    on_error: OnError = "stop",
    skipped: list[str] | None = None,
    require: Require | None = None,
) -> Iterator[tuple[Structure, Source]]:
    """Yield the structures of ``files``, which may be wrapped in a progress bar.

    Parameters
    ----------
    files
        What `find_files` found.
    on_error
        ``"stop"``: raise the first error. ``"skip"``: leave out the structure and, if
        the file (member of an archive) cannot be read on, the rest of it.
    skipped
        Takes the message of each error that was skipped.
    require
        A further check, e.g. `require_energy`, made like the others.
    """
    for structures in PortionReader().read_all(
        iterate_portions(files, strip=False),
        on_error=on_error,
        skipped=skipped,
        require=require,
    ):
        yield from structures
