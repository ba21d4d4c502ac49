"""Files with structures, cut into pieces that can be parsed one by one, anywhere.

To cut is cheap: a small file is a piece, a member of an archive is one, and a large
file of XYZ or ``input.data`` is cut between structures, which are found but not parsed.
Where files are cut depends on the files alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from annpot.errors import AnnpotError, InputError, StructureError
from annpot.structures.archives import (
    LARGEST_FILE,
    PACKED,
    is_archive,
    is_xsf,
    name_unpacked,
    open_content,
    read_members,
    read_start,
)
from annpot.structures.blocks import FINDERS, Place, Window, find_places, join_places
from annpot.structures.lines import BYTE_ORDER_MARK
from annpot.structures.runner_data import is_runner
from annpot.structures.selection import parse_index, select
from annpot.structures.sources import SourceFile
from annpot.units import Units, parse_units

PIECE_BYTES = 1 << 17
"""A file as large is cut, if it can be; small files are taken together up to it."""
BUNDLE_FILES = 256
"""At most as many of them."""
XYZ_SUFFIXES = (".xyz", ".extxyz")


class Piece(NamedTuple):
    """A file, a member of an archive, or a part of a file between structures."""

    file: SourceFile
    name: str
    """What its structures are called after: the file, ``archive.tar:member``."""
    format: str | None = None
    """``None``: a whole file, of a format that is yet to be recognised."""
    place: Place | None = None
    """Which part of the file; ``None``: all."""
    content: bytes | None = None
    """What is in it, if that stands in no file of its own."""
    ordinal: int = 0
    """Number of the piece among those of an archive or a compressed file."""
    n_bytes: int = 0
    """How large it is, roughly: what it costs to parse."""
    failure: AnnpotError | None = None
    """What is wrong with the file, in place of all the rest."""

    @property
    def is_stripped(self) -> bool:
        """Whether its content stands in no file of its own, and was left out."""
        if self.content is not None or self.format is None or self.failure is not None:
            return False
        path = self.file.path
        packed = self.place is not None and path.suffix.lower() in PACKED
        return packed or (self.format == "xsf" and is_archive(path))


def divide(file: SourceFile) -> Iterator[Piece]:
    """Yield a small file as it is, and the pieces of a large one or an archive.

    The last piece may be a failure: what is behind it cannot be read.
    """
    path, source = file.path, file.source
    try:
        n_bytes = os.stat(path).st_size
    except OSError:
        n_bytes = 0  # its reader will say what is wrong
    if is_xsf(path.name) and source.format is None and source.units is None:
        parse_index(source.index)
        yield Piece(file, str(path), "xsf", n_bytes=n_bytes)
    elif is_archive(path) or n_bytes > PIECE_BYTES:
        yield from cut(file)
    else:
        yield Piece(file, str(path), n_bytes=n_bytes)


def cut(file: SourceFile) -> Iterator[Piece]:
    """Yield the pieces of a file, its format recognised."""
    try:
        yield from _cut(file)
    except (StructureError, InputError) as error:
        yield Piece(file, str(file.path), failure=error)


def _cut(file: SourceFile) -> Iterator[Piece]:
    path, source = file.path, file.source
    name, n_bytes = str(path), 0
    parse_index(source.index)
    units = None if source.units is None else parse_units(source.units)
    if is_archive(path) and source.format in (None, "xsf"):
        _refuse(units, name)
        yield from _cut_archive(file)
        return
    format_ = recognise(path, source.format)
    if format_ == "runner":
        _require(units, name)
    else:
        _refuse(units, name)
    if format_ in FINDERS:
        yield from _cut_blocks(file, format_)
        return
    if path.is_file():
        n_bytes = path.stat().st_size
    yield Piece(file, name, format_, n_bytes=n_bytes)


def _cut_archive(file: SourceFile) -> Iterator[Piece]:
    for ordinal, (member, content) in enumerate(read_members(file.path)):
        if file.members is None or member in file.members:
            name, n_bytes = f"{file.path}:{member}", len(content)
            yield Piece(file, name, "xsf", None, content, ordinal, n_bytes)


def _cut_blocks(file: SourceFile, format_: str) -> Iterator[Piece]:
    """Yield blocks of structures; those of a compressed file have their content."""
    path, name = file.path, str(file.path)
    packed = path.suffix.lower() in PACKED
    size = LARGEST_FILE if packed else path.stat().st_size
    with open_content(path) as stream:
        window = Window(stream.read, name) if packed else None
        read = stream.read if window is None else window.read
        places = find_places(read, size, name, format_)
        chosen = select(places, parse_index(file.source.index), name)
        for ordinal, place in enumerate(join_places(chosen, PIECE_BYTES)):
            content = None if window is None else window.take(place.start, place.stop)
            n_bytes = place.stop - place.start
            yield Piece(file, name, format_, place, content, ordinal, n_bytes)


def recognise(path: Path, given: str | None) -> str:
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
    if given is None and _is_xyz(path):
        return "extxyz"
    # Slow import, not needed for the formats above.
    from annpot.structures.ase_reading import check_format, detect_format

    if given is None:
        return detect_format(path)
    check_format(given)
    return given


def _is_xyz(path: Path) -> bool:
    """Return whether ``path`` is called and begins like an XYZ file."""
    start = read_start(path).removeprefix(BYTE_ORDER_MARK).lstrip()
    counts = start.split(b"\n", 1)[0].strip().isdigit()
    return counts and name_unpacked(path).endswith(XYZ_SUFFIXES)


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


def divide_all(files: Iterable[SourceFile]) -> Iterator[Piece]:
    """Yield the pieces of many files."""
    for file in files:
        yield from divide(file)


def bundle(pieces: Iterable[Piece], n_bytes: int) -> Iterator[tuple[Piece, ...]]:
    """Yield pieces in a row, together about ``n_bytes`` large."""
    bundled: list[Piece] = []
    size = 0
    for piece in pieces:
        if bundled and (size + piece.n_bytes > n_bytes or len(bundled) == BUNDLE_FILES):
            yield tuple(bundled)
            bundled, size = [], 0
        bundled.append(piece)
        size += piece.n_bytes
    if bundled:
        yield tuple(bundled)


class Refill:
    """Reads again what pieces hold that have been stripped of their content.

    An archive or a compressed file is read from its beginning once, if the pieces come
    in their order.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._pieces: Iterator[Piece] = iter(())
        self._at = -1

    def fill(self, piece: Piece) -> Piece:
        """Return the piece with its content, or a failure if that has vanished."""
        if not piece.is_stripped:
            return piece
        if self._path != piece.file.path or piece.ordinal <= self._at:
            whole = replace(piece.file, members=None)
            self._path, self._pieces, self._at = piece.file.path, cut(whole), -1
        for found in self._pieces:
            self._at = found.ordinal
            if found.failure is None and found.ordinal == piece.ordinal:
                return piece._replace(content=found.content)
        failure = StructureError(f"'{piece.file.path}': changed while it was read")
        return piece._replace(failure=failure)
