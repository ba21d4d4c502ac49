"""A process that parses pieces of files for another one, until that closes the pipe."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from annpot.messages import join, split
from annpot.structures.packing import pack
from annpot.structures.parsing import parse
from annpot.structures.portion import Portion

LENGTH = 8
"""Bytes of the length of a message."""


def send(stream: BinaryIO, message: bytes) -> None:
    """Write a message."""
    stream.write(len(message).to_bytes(LENGTH, "little"))
    stream.write(message)
    stream.flush()


def receive(stream: BinaryIO) -> bytearray | None:
    """Return the next message; ``None``: there is none, or only a part of it."""
    start = stream.read(LENGTH)
    if len(start) < LENGTH:
        return None
    message = bytearray(int.from_bytes(start, "little"))
    at = memoryview(message)
    while len(at):
        n_bytes = stream.readinto(at)  # type: ignore[attr-defined]
        if not n_bytes:
            return None
        at = at[n_bytes:]
    return message


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Parse portions as long as there are any."""
    while (message := receive(requests)) is not None:
        (text, numbers), contents = split(message)
        pieces = list(Portion.from_json(text).pieces)
        for k, content in zip(numbers, contents, strict=True):
            pieces[k] = pieces[k]._replace(content=bytes(content))
        send(replies, join(None, [pack(list(parse(piece))) for piece in pieces]))


def main() -> None:
    """Serve the process that started this one; what is printed goes to its stderr."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, replies)
    except BrokenPipeError:
        os._exit(1)
