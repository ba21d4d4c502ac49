"""Files of many structures, cut into blocks without parsing what is in them.

The structures of an (extended) XYZ file are found by their numbers of atoms, those of
an ``input.data`` by their ``begin`` and ``end``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from annpot.errors import StructureError
from annpot.kernels import block_lines as kernel
from annpot.structures.archives import LARGEST_FILE
from annpot.structures.lines import BYTE_ORDER_MARK, show
from annpot.structures.structure import Integers

CHUNK_BYTES = 1 << 20
"""So much of a file is looked at in one go."""
LONGEST_LINE = 1 << 26
"""Bytes of a line: a guard against files that are not text."""
BEGIN, END = (np.frombuffer(word, dtype=np.uint8) for word in (b"begin", b"end"))

Find = Callable[[Any, int, int, Integers, Integers, Integers], tuple[int, int]]


class Place(NamedTuple):
    """Where one or more structures stand in a file, next to each other."""

    start: int
    stop: int
    """First and last + 1 byte."""
    line: int
    """Number of the first line, from 0."""
    number: int
    """Number of the first structure."""


def _find_blocks(
    text_b: Any, at: int, rest: int, state_k: Integers, at_f: Integers, line_f: Integers
) -> tuple[int, int]:
    found: tuple[int, int] = kernel.find_blocks(
        text_b, at, BEGIN, END, state_k, at_f, line_f
    )
    return found


FINDERS: dict[str, tuple[Find, int]] = {
    "extxyz": (kernel.find_xyz, 0),
    "xyz": (kernel.find_xyz, 0),
    "runner": (_find_blocks, 1),
}
"""By format: what finds structures, and its first state."""


class Window:
    """A stream of bytes of which the part that is still needed is kept.

    Parameters
    ----------
    read
        Returns the next bytes, at most as many as asked for; none at the end.
    name
        Name of the file, for messages.
    """

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._read, self._name = read, name
        self._kept, self._start = bytearray(), 0

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes, and keep them."""
        chunk = self._read(n_bytes)
        self._kept += chunk
        if len(self._kept) > LARGEST_FILE:
            raise StructureError(
                f"'{self._name}': larger than {LARGEST_FILE} bytes when unpacked, "
                "please unpack it yourself or split it"
            )
        return chunk

    def take(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; forget those before ``stop``."""
        content = bytes(self._kept[start - self._start : stop - self._start])
        del self._kept[: stop - self._start]
        self._start = stop
        return content


def find_places(
    read: Callable[[int], bytes], size: int, name: str, format_: str
) -> Iterator[Place]:
    """Yield the place of each structure in a file.

    Parameters
    ----------
    read
        Returns the next bytes of the file.
    size
        Bytes of the file, or more if that is unknown.
    format_
        One of `FINDERS`.

    Raises
    ------
    StructureError
        Where no structure begins though one should.
    """
    find, state = FINDERS[format_]
    state_k = np.array([state, 0, 0, 0])
    at_f, line_f = np.empty((2, 4096), dtype=np.int64)
    text, offset, number = _next_text(read, b"", name), 0, 0
    if text.startswith(BYTE_ORDER_MARK):
        text, offset = text[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
    last = (offset, 0)
    while text:
        end = text.rfind(b"\n") + 1
        text_b = np.frombuffer(text, dtype=np.uint8)[:end]
        at = 0
        while at < end:
            rest = max(0, size - offset - end)
            n_found, at = find(text_b, at, rest, state_k, at_f, line_f)
            places = zip(
                at_f[:n_found].tolist(), line_f[:n_found].tolist(), strict=True
            )
            for start, line in places:
                # before the first structure stands what its reader will judge
                if number:
                    yield Place(last[0], offset + start, last[1], number - 1)
                    last = offset + start, line
                number += 1
            if at < 0:
                start = int(state_k[3])
                if number:
                    yield Place(last[0], offset + start, last[1], number - 1)
                found = text[start : text.index(b"\n", start)].decode("latin-1")
                raise _fault(name, int(state_k[2]), at, found)
        offset += end
        text = _next_text(read, text[end:], name)
    if number or format_ == "runner":
        yield Place(last[0], offset, last[1], max(0, number - 1))


def _next_text(read: Callable[[int], bytes], begun: bytes, name: str) -> bytes:
    """Return the next text of the file, behind the line that has begun."""
    if len(begun) > LONGEST_LINE:
        raise StructureError(
            f"'{name}': a line of more than {LONGEST_LINE} bytes, expected text"
        )
    chunk = read(CHUNK_BYTES)
    if b"\r" in chunk and b"\n" not in chunk:  # the lines of old Macs
        chunk = chunk.replace(b"\r", b"\n")
    if not chunk and begun:
        return begun + b"\n"
    return begun + chunk


def _fault(name: str, line: int, code: int, found: str) -> StructureError:
    where = f"'{name}', line {line + 1}"
    if code == kernel.TOO_MANY_ATOMS:
        return StructureError(
            f"{where}: {found.strip()[:40]} atoms, more than the file has, which "
            "cannot be read"
        )
    return StructureError(
        f"{where}: a number of atoms expected, found {show(found.strip())}: is the "
        "number above it wrong, or the file truncated?"
    )


def join_places(places: Iterable[Place], n_bytes: int) -> Iterator[Place]:
    """Join neighbours to blocks of about ``n_bytes``."""
    block: Place | None = None
    count = 0
    try:
        for place in places:
            if block is not None:
                follows = place[::3] == (block.stop, block.number + count)
                if follows and place.stop - block.start <= n_bytes:
                    block, count = block._replace(stop=place.stop), count + 1
                    continue
                yield block
            block, count = place, 1
    except StructureError:
        if block is not None:
            yield block
        raise
    if block is not None:
        yield block
