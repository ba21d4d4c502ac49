"""Structures with their references from files of any kind, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from annpot.errors import AnnpotError, StructureError
from annpot.structures.archives import damage_named, read_content
from annpot.structures.blocks import Place
from annpot.structures.checks import check_structure
from annpot.structures.extxyz import read_xyz
from annpot.structures.pieces import Piece, cut, divide_all
from annpot.structures.references import require_references
from annpot.structures.runner_data import read_blocks
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
    for found in _read_file(SourceFile(path, source, chosen)):
        if not isinstance(found, Structure):
            raise found
        yield found


Found = Iterator[Structure | AnnpotError]
"""Structures that have passed their checks, and what is wrong with others."""


def _read_file(file: SourceFile) -> Found:
    for piece in cut(file):
        yield from parse(piece)


def parse(piece: Piece) -> Found:
    """Yield the structures of a piece, and an error for each that is wrong.

    An error may stand for all the rest of a piece, if that cannot be read.
    """
    if piece.format is None and piece.failure is None:
        yield from _read_file(piece.file)
        return
    try:
        for found in _parse(piece):
            if isinstance(found, Structure):
                try:
                    check_structure(found)
                except StructureError as error:
                    yield error
                    continue
            yield found
    except StructureError as error:
        yield error


def _parse(piece: Piece) -> Found:
    source, name, format_ = piece.file.source, piece.name, piece.format
    if piece.failure is not None:
        yield piece.failure
    elif piece.place is not None:
        content = piece.content
        if content is None:
            content = _read_part(piece.file.path, piece.place)
        where = piece.place.line, piece.place.number
        if format_ == "runner":
            assert source.units is not None
            units = parse_units(source.units)
            yield from read_blocks(content, name, units, *where)
        else:
            assert format_ is not None
            yield from read_xyz(content, name, format_, *where)
    elif format_ == "xsf":
        content = piece.content
        if content is None:
            content = read_content(piece.file.path)
        yield from select(read_xsf(content, name), parse_index(source.index), name)
    else:
        from annpot.structures.ase_reading import read_with_ase

        assert format_ is not None
        yield from read_with_ase(piece.file.path, parse_index(source.index), format_)


def _read_part(path: Path, place: Place) -> bytes:
    with damage_named(path), path.open("rb") as file:
        file.seek(place.start)
        return file.read(place.stop - place.start)


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
    yield from read_pieces(divide_all(files), on_error, skipped, require)


def read_pieces(
    pieces: Iterable[Piece],
    on_error: Literal["stop", "skip"],
    skipped: list[str] | None,
    require: Callable[[Structure], None] | None,
) -> Iterator[tuple[Structure, Source]]:
    """Yield the structures of ``pieces``; parameters as of `read_files`."""
    for piece in pieces:
        for found in parse(piece):
            error = _find_error(found, require)
            if error is None:
                assert isinstance(found, Structure)
                yield found, piece.file.source
            elif on_error == "stop" or not isinstance(error, StructureError):
                raise error
            elif skipped is not None:
                skipped.append(str(error))


def _find_error(
    found: Structure | AnnpotError, require: Callable[[Structure], None] | None
) -> AnnpotError | None:
    if not isinstance(found, Structure):
        return found
    try:
        if require is not None:
            require(found)
    except StructureError as error:
        return error
    return None
