"""Structures with their references from files of any kind, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

from annpot.errors import StructureError
from annpot.structures.archives import is_archive, is_xsf, read_content, read_members
from annpot.structures.checks import check_structure
from annpot.structures.references import require_references
from annpot.structures.selection import Index, parse_index, select
from annpot.structures.sources import Source, SourceFile, find_all_files, find_files
from annpot.structures.structure import Structure
from annpot.structures.xsf import read_xsf

__all__ = [
    "Source",
    "SourceFile",
    "find_all_files",
    "find_files",
    "read_files",
    "read_structures",
    "require_references",
]


Item = TypeVar("Item")


def read_structures(
    path: Path | str,
    *,
    index: str = ":",
    format: str | None = None,
    members: Container[str] | None = None,
) -> Iterator[Structure]:
    """Yield the structures of the file ``path``, in eV and angstrom, checked.

    XSF files, compressed ones and tar archives of them are read by annpot with aenet's
    conventions (`annpot.structures.xsf`), everything else by ASE.

    Parameters
    ----------
    path
        The file. Structures of an archive are called ``archive.tar.gz:member``.
    index
        Which structures of the file, of each member of an archive: ``":"``, ``"-1"``,
        ``"::10"``.
    format
        ASE's name of the format; by default it follows from name and content.
    members
        The names of the members of an archive to be read; by default all.

    Raises
    ------
    StructureError
        If the file cannot be read or a structure is wrong; those before were yielded.
    """
    path = path if isinstance(path, Path) else Path(path)
    for part in _open(path, parse_index(index), format, members):
        for structure in part:
            check_structure(structure)
            yield structure


Part = Iterator[Structure]
"""The structures, not yet checked, of one file or one member of an archive."""


def _open(
    path: Path, index: Index, ase_format: str | None, members: Container[str] | None
) -> Iterator[Part]:
    """Yield the parts of the file ``path``: an error in one does not end the others."""
    if is_archive(path) and ase_format in (None, "xsf"):
        for member, content in read_members(path, members):
            name = f"{path}:{member}"
            yield select(read_xsf(content, name), index, name)
        return
    if ase_format is None and is_xsf(path.name):
        ase_format = "xsf"
    if ase_format != "xsf":
        if not path.is_file():
            found = "is a folder, expected a file" if path.is_dir() else "no such file"
            raise StructureError(f"'{path}': {found}")
        if path.stat().st_size == 0:
            raise StructureError(f"'{path}': empty file, expected a structure")
        # Slow import, not needed for XSF.
        from annpot.structures.ase_reading import (
            check_format,
            detect_format,
            read_with_ase,
        )

        if ase_format is not None:
            check_format(ase_format)
        ase_format = ase_format or detect_format(path)
        if ase_format != "xsf":
            yield read_with_ase(path, index, ase_format)
            return
    name = str(path)
    yield select(read_xsf(read_content(path), name), index, name)


def read_files(
    files: Iterable[SourceFile],
    *,
    on_error: Literal["stop", "skip"] = "stop",
    skipped: list[str] | None = None,
    require: Callable[[Structure], None] | None = None,
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
        A further check, e.g. `require_references`, made like the others.
    """
    errors = None if on_error == "stop" else [] if skipped is None else skipped
    for file in files:
        index = parse_index(file.source.index)
        parts = _open(file.path, index, file.source.format, file.members)
        for part in _each(parts, errors):
            for structure in _each(part, errors):
                if _passes(structure, require, errors):
                    yield structure, file.source


def _each(items: Iterator[Item], errors: list[str] | None) -> Iterator[Item]:
    """Yield ``items``; an error that ends them is added to ``errors``, if not None."""
    try:
        yield from items
    except StructureError as error:
        if errors is None:
            raise
        errors.append(str(error))


def _passes(
    structure: Structure,
    require: Callable[[Structure], None] | None,
    errors: list[str] | None,
) -> bool:
    """Return whether ``structure`` passes all checks; add to ``errors`` as `_each`."""
    try:
        check_structure(structure)
        if require is not None:
            require(structure)
    except StructureError as error:
        if errors is None:
            raise
        errors.append(str(error))
        return False
    return True
