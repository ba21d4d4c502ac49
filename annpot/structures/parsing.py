"""Pieces of files -> structures, checked: what costs most when files are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annpot.errors import StructureError
from annpot.structures.archives import damage_named, read_content
from annpot.structures.blocks import Place
from annpot.structures.checks import check_structure
from annpot.structures.extxyz import read_xyz
from annpot.structures.packing import Found
from annpot.structures.pieces import Piece, cut
from annpot.structures.runner_data import read_blocks
from annpot.structures.selection import parse_index, select
from annpot.structures.sources import SourceFile
from annpot.structures.structure import Structure
from annpot.structures.xsf import read_xsf
from annpot.units import parse_units


def read_file(file: SourceFile) -> Iterator[Found]:
    """Yield the structures of a whole file, as `parse`."""
    for piece in cut(file):
        yield from parse(piece)


def parse(piece: Piece) -> Iterator[Found]:
    """Yield the structures of a piece, and an error for each that is wrong.

    An error may stand for all the rest of a piece, if that cannot be read.
    """
    if piece.format is None and piece.failure is None:
        yield from read_file(piece.file)
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


def _parse(piece: Piece) -> Iterator[Found]:
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
