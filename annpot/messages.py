"""Messages between processes: a JSON value, and parts that are bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def join(head: Any, parts: Sequence[bytes]) -> bytes:
    """Return a message of a JSON value and some parts; see `split`."""
    raw = json.dumps([head, [len(part) for part in parts]]).encode()
    return b"".join([raw, b"\n", *parts])


def split(message: bytes | bytearray) -> tuple[Any, list[memoryview]]:
    """Return the JSON value and the parts of a message that `join` made."""
    at = message.index(b"\n") + 1
    head, lengths = json.loads(message[:at])
    parts = []
    for length in lengths:
        parts.append(memoryview(message)[at : at + length])
        at += length
    return head, parts
