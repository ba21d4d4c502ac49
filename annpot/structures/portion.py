"""A portion of work for a rank, or for a run that can be resumed: some pieces of files.

They depend on the files alone, never on the number of ranks that share them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from annpot.structures.blocks import Place
from annpot.structures.packing import describe_error, make_error
from annpot.structures.pieces import PIECE_BYTES, Piece, bundle, divide_all
from annpot.structures.sources import Source, SourceFile

PORTION_BYTES = PIECE_BYTES
"""Of text in a portion, about: 1200 atoms with forces."""


@dataclass(frozen=True)
class Portion:
    """Some pieces of files in a row, without what is in them."""

    pieces: tuple[Piece, ...]

    @property
    def n_bytes(self) -> int:
        """How large it is: what it costs, roughly."""
        return sum(piece.n_bytes for piece in self.pieces)

    def to_json(self) -> str:
        """Return it as text, for another process with the same files."""
        sources = list({id(p.file.source): p.file.source for p in self.pieces}.values())
        number = {id(source): i for i, source in enumerate(sources)}
        return json.dumps(
            {
                "sources": [_describe(source) for source in sources],
                "pieces": [
                    [
                        number[id(piece.file.source)],
                        str(piece.file.path),
                        piece.name,
                        piece.format,
                        piece.place,
                        piece.ordinal,
                        piece.n_bytes,
                        piece.failure and describe_error(piece.failure),
                    ]
                    for piece in self.pieces
                ],
            }
        )

    @property
    def check_sum(self) -> int:
        """What tells whether two portions are the same part of the same files."""
        return zlib.crc32(self.to_json().encode())

    @classmethod
    def from_json(cls, text: str) -> Portion:
        """Return the portion that `to_json` described."""
        described = json.loads(text)
        sources = [Source(files=(), **values) for values in described["sources"]]
        return cls(tuple(_make_piece(sources, *row) for row in described["pieces"]))


def _describe(source: Source) -> dict[str, Any]:
    """Return all of a source but where its files are."""
    return {
        field.name: getattr(source, field.name)
        for field in fields(source)
        if field.name not in ("files", "names")
    }


def _make_piece(
    sources: list[Source],
    source: int,
    path: str,
    name: str,
    format_: str | None,
    place: list[int] | None,
    ordinal: int,
    n_bytes: int,
    failure: list[str] | None,
) -> Piece:
    return Piece(
        file=SourceFile(Path(path), sources[source]),
        name=name,
        format=format_,
        place=None if place is None else Place(*place),
        ordinal=ordinal,
        n_bytes=n_bytes,
        failure=None if failure is None else make_error(failure),
    )


def iterate_portions(
    files: Iterable[SourceFile], n_bytes: int = PORTION_BYTES, strip: bool = True
) -> Iterator[Portion]:
    """Yield the portions of ``files`` in their order, as far as those are looked at.

    A portion is consecutive files, or parts of a large one, of about ``n_bytes`` of
    text, unless a single file that cannot be cut is larger. Nothing is parsed.

    With ``strip`` without what stands in archives and compressed files, which is read
    a second time when the portions are.
    """
    for pieces in bundle(divide_all(files), n_bytes):
        if strip:
            pieces = tuple(piece._replace(content=None) for piece in pieces)
        yield Portion(pieces)
