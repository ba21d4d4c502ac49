"""Structures with their references from files of any kind, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

from annpot.errors import InputError, StructureError
from annpot.structures.archives import is_archive, is_xsf, read_content, read_members
from annpot.structures.checks import check_structure
from annpot.structures.references import require_references
from annpot.structures.runner_data import is_runner, read_runner
from annpot.structures.selection import parse_index, select
from annpot.structures.sources import Source, SourceFile, find_all_files, find_files
from annpot.structures.structure import Structure
from annpot.structures.xsf import read_xsf
from annpot.units import Units, parse_units

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
    units: Units | None = None,
    members: Container[str] | None = None,
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
    for part in _open(path, source, members):
        for structure in part:
            check_structure(structure)
            yield structure


Part = Iterator[Structure]
"""The structures, not yet checked, of one file or one member of an archive."""


def _open(path: Path, source: Source, members: Container[str] | None) -> Iterator[Part]:
    """Yield the parts of the file ``path``: an error in one does not end the others."""
    name, index = str(path), parse_index(source.index)
    units = None if source.units is None else parse_units(source.units)
    if is_archive(path) and source.format in (None, "xsf"):
        _refuse(units, name)
        for member, content in read_members(path, members):
            member_name = f"{path}:{member}"
            yield select(read_xsf(content, member_name), index, member_name)
        return
    format_ = _recognise(path, source.format)
    if format_ == "runner":
        units = _require(units, name)
        yield select(read_runner(read_content(path), name, units), index, name)
        return
    _refuse(units, name)
    if format_ == "xsf":
        yield select(read_xsf(read_content(path), name), index, name)
        return
    from annpot.structures.ase_reading import read_with_ase

    yield read_with_ase(path, index, format_)


def _recognise(path: Path, given: str | None) -> str:
    """Return the format of a file, ``xsf``, ``runner`` or ASE's name of it."""
    if given in ("xsf", "runner"):
        return given
    if given is None and is_xsf(path.name):
        return "xsf"
    if given is None and is_runner(path):
        return "runner"
    if not path.is_file():
        found = "is a folder, expected a file" if path.is_dir() else "no such file"
        raise StructureError(f"'{path}': {found}")
    if path.stat().st_size == 0:
        raise StructureError(f"'{path}': empty file, expected a structure")
    # Slow import, not needed for the formats above.
    from annpot.structures.ase_reading import check_format, detect_format

    if given is None:
        return detect_format(path)
    check_format(given)
    return given


def _require(units: Units | None, name: str) -> Units:
    if units is None:
        raise InputError(
            f"'{name}' does not say its units: please give those of length and energy, "
            "e.g. units: bohr,hartree beside 'files' in the settings, or --units "
            "angstrom,ev on the command line"
        )
    return units


def _refuse(units: Units | None, name: str) -> None:
    if units is not None:
        raise InputError(
            f"units {units} for '{name}': only files of format runner (input.data of "
            "RuNNer and n2p2) leave them open, expected no units"
        )


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
        parts = _open(file.path, file.source, file.members)
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
