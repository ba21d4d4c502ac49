"""Lists of files as patterns that match exactly these, relative to another folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

LEAST = 3
"""Fewer files are listed one by one."""


def find_patterns(files: Sequence[str], base: str, folder: str) -> list[str]:
    """Return patterns that match exactly the files that are given, or their names.

    Parameters
    ----------
    files
        Their paths, relative to the folder ``base``.
    folder
        What the patterns are relative to; absolute paths stay absolute.
    """
    by_folder: dict[str, list[str]] = {}
    for file in dict.fromkeys(files):
        head, name = os.path.split(file)
        by_folder.setdefault(head, []).append(name)
    found = []
    for head, names in by_folder.items():
        place = relocate(head, base, folder)
        pattern = _pattern(os.path.join(base, head), place, names)
        found += [_join(place, name) for name in ([pattern] if pattern else names)]
    return found


def relocate(path: str, base: str, folder: str) -> str:
    """Return a path relative to ``base`` as one that is relative to ``folder``."""
    if os.path.isabs(path):
        return path
    return os.path.relpath(os.path.join(base, path), folder).replace(os.sep, "/")


def _join(place: str, name: str) -> str:
    return name if place == "." else f"{place.rstrip('/')}/{name}"


def _pattern(real: str, place: str, names: Sequence[str]) -> str:
    """Return the pattern that matches the names alone in a folder; '' for none."""
    if len(names) < LEAST or glob.has_magic(place) or not os.path.isdir(real):
        return ""
    there = [name for name in os.listdir(real) if not name.startswith(".")]
    for pattern in _candidates(names):
        if {name for name in there if fnmatchcase(name, pattern)} == set(names):
            return pattern
    return ""


def _beginning(one: str, other: str) -> str:
    """Return what two names, and all between them in order, begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((n for n, (a, b) in pairs if a != b), len(one))]


def _candidates(names: Sequence[str]) -> Iterator[str]:
    """Yield patterns that match at least the names."""
    endings = {os.path.splitext(name)[1] for name in names}
    beginning = _beginning(min(names), max(names))
    if len(endings) == 1 and not glob.has_magic(beginning + min(endings)):
        yield f"*{min(endings)}"
        yield f"{beginning}*{min(endings)}"
