"""Portions of work for ranks or for a run that can be resumed: some pieces of files.

They depend on the files alone, never on the number of ranks that share them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from annpot.errors import InputError, StructureError
from annpot.structures.blocks import Place
from annpot.structures.pieces import PIECE_BYTES, Piece, Refill, bundle, divide_all
from annpot.structures.reading import read_pieces
from annpot.structures.sources import Source, SourceFile
from annpot.structures.structure import Structure

PORTION_BYTES = PIECE_BYTES
"""Of text in a portion, about: 1200 atoms with forces."""
ERRORS = {"InputError": InputError, "StructureError": StructureError}


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
                        piece.failure
                        and [type(piece.failure).__name__, str(piece.failure)],
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
        failure=None if failure is None else ERRORS[failure[0]](failure[1]),
    )


def iterate_portions(
    files: Iterable[SourceFile], n_bytes: int = PORTION_BYTES
) -> Iterator[Portion]:
    """Yield the portions of ``files`` in their order, as far as those are looked at."""
    for pieces in bundle(divide_all(files), n_bytes):
        yield Portion(tuple(piece._replace(content=None) for piece in pieces))


def plan_portions(
    files: Iterable[SourceFile], n_bytes: int = PORTION_BYTES
) -> list[Portion]:
    """Return the portions of ``files``: consecutive files, or parts of a large one.

    The structures of all portions, one after the other, are those that `read_files`
    yields. A portion is about ``n_bytes`` of text, whatever reads it, unless a single
    file that cannot be cut is larger. Archives and large files are read through, but
    nothing is parsed.
    """
    return list(iterate_portions(files, n_bytes))


class PortionReader:
    """Reads portions; quickest in the order in which they were planned."""

    def __init__(self) -> None:
        self._refill = Refill()

    def read(
        self,
        portion: Portion,
        *,
        on_error: Literal["stop", "skip"] = "stop",
        skipped: list[str] | None = None,
        require: Callable[[Structure], None] | None = None,
    ) -> Iterator[tuple[Structure, Source]]:
        """Yield the structures of a portion; parameters as of `read_files`."""
        pieces = map(self._refill.fill, portion.pieces)
        return read_pieces(pieces, on_error, skipped, require)

    def read_all(
        self,
        portions: Iterable[Portion],
        *,
        on_error: Literal["stop", "skip"] = "stop",
        skipped: list[str] | None = None,
        require: Callable[[Structure], None] | None = None,
    ) -> Iterator[Iterator[tuple[Structure, Source]]]:
        """Yield what `read` does of each portion; each must be read before the next."""
        for portion in portions:
            yield self.read(
                portion, on_error=on_error, skipped=skipped, require=require
            )
