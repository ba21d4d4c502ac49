"""Which files a group of structures comes from."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from annpot.errors import InputError, did_you_mean
from annpot.structures.archives import is_archive, list_members, name_unpacked
from annpot.structures.runner_data import is_runner

STRUCTURE_NAMES = tuple(
    """
    *.xsf *.xyz *.extxyz *.traj *.db *.json *.cif *.vasp *.poscar *.gen *.cfg *.castep
    *vasprun*.xml *outcar* *poscar* *contcar* *xdatcar* *.pwo
    """.split()
)
"""Which files of a folder are taken, case aside; compressed ones, too; besides, files
called ``*.data`` that begin as RuNNer's structures do."""

MAX_NAMES_BYTES, MAX_NAME = 1 << 26, 1 << 12
"""Of a file with names, and of one of them."""


@dataclass(frozen=True)
class Source:
    """A group of structures: where they are, and what to do with them."""

    files: tuple[str, ...]
    """Paths, glob patterns (``**`` too), folders, tar archives of XSF files."""
    names: Path | None = None
    """Text file with the names of the files to take, one per line; ``#``: comment."""
    index: str = ":"
    """Which structures of each file (each member of an archive), as in ASE."""
    format: str | None = None
    """``runner``, ``xsf`` or ASE's name of the format; ``None``: from name and content
    of each file."""
    units: str | None = None
    """Units of length and energy of files that do not define theirs (``runner``)."""
    group: str | None = None
    """Name of the group in reports."""
    set: Literal["train", "validation", "test"] | None = None
    """The set all its structures belong to; ``None``: as the file says, or else split
    at random."""
    weight: float = 1.0
    """Weight of each structure in the loss."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source."""

    path: Path
    source: Source
    members: frozenset[str] | None = None
    """Of an archive, only these; ``None``: all."""


def find_files(source: Source, base: Path) -> list[SourceFile]:
    """Return the files of ``source`` in the order of its patterns, each file once.

    Patterns are relative to ``base``; what one pattern matches is sorted in natural
    order: ``s2.xsf`` before ``s10.xsf``.

    Raises
    ------
    InputError
        If a pattern matches nothing, or a name that is listed does not exist.
    """
    if not source.files:
        raise InputError("files: at least one path or pattern expected, found none")
    paths = [path for pattern in source.files for path in _match(pattern, base, source)]
    found = [SourceFile(path, source) for path in paths]
    if source.names is not None:
        found = _keep_named(found, base / source.names, base)
    once: dict[str, SourceFile] = {}
    for file in found:
        once.setdefault(os.path.realpath(file.path), file)
    return list(once.values())


def _match(pattern: str, base: Path, source: Source) -> list[Path]:
    if len(pattern) > MAX_NAME:
        raise InputError(f"files: '{pattern[:40]}...': longer than {MAX_NAME} letters")
    path = base / Path(pattern).expanduser()
    if path.is_dir():
        found = [file for file in path.iterdir() if _is_structure_file(file, source)]
        expected = "expected files with structures in it (or name the format)"
    elif path.exists():  # before the glob: a name may hold brackets
        found, expected = [path], ""
    else:
        names = glob.glob(os.path.expanduser(pattern), root_dir=base, recursive=True)
        found = [base / name for name in names if (base / name).is_file()]
        expected = f"no such file, or nothing matches{_suggest(path)}"
    if not found:
        raise InputError(f"files: '{pattern}': {expected}")
    return sorted(found, key=_natural)


def _is_structure_file(path: Path, source: Source) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    name = name_unpacked(path)
    if source.format is not None:
        return not is_archive(path)
    if name.endswith(".data"):
        return is_runner(path)
    return any(fnmatchcase(name, known) for known in STRUCTURE_NAMES)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(x[:18]), "") if x.isdecimal() else (0, x) for x in parts], str(path)


def _suggest(path: Path) -> str:
    if glob.has_magic(str(path)):
        return ""
    if not path.parent.is_dir():
        return f" (there is no folder '{path.parent}')"
    return did_you_mean(path.name, (near.name for near in path.parent.iterdir()))


def _keep_named(found: list[SourceFile], names: Path, base: Path) -> list[SourceFile]:
    """Return the files, and the members of archives, that the file ``names`` lists."""
    listed = _read_names(names)
    chosen: list[SourceFile] = []
    matches: dict[str, list[str]] = {name: [] for name in listed}
    known: set[str] = set()
    for file in found:
        archive = is_archive(file.path)
        full = (
            list_members(file.path) if archive else [os.path.relpath(file.path, base)]
        )
        members = {name for name in full if _add_matches(matches, name)}
        known.update(PurePosixPath(name).name for name in full)
        if members:
            wanted = frozenset(members) if archive else None
            chosen.append(SourceFile(file.path, file.source, wanted))
    for name, where in matches.items():
        if not where:
            hint = did_you_mean(name, known)
            raise InputError(f"'{names}': '{name}' is not among the files{hint}")
        if len(set(where)) > 1:
            raise InputError(
                f"'{names}': '{name}' is ambiguous ({where[0]}, {where[1]}): "
                "please write the folder, too"
            )
    return chosen


def _add_matches(matches: dict[str, list[str]], full: str) -> bool:
    """Note where a listed name is ``full`` or its end; return whether any is."""
    hits = [end for end in _ends(full) if end in matches]
    for name in hits:
        matches[name].append(full)
    return bool(hits)


def _ends(full: str) -> Iterator[str]:
    """Yield ``a/b/c.xsf``, ``b/c.xsf`` and ``c.xsf`` of ``a/b/c.xsf``."""
    parts = PurePosixPath(full).parts
    for i in range(len(parts)):
        yield str(PurePosixPath(*parts[i:]))


def _read_names(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_NAMES_BYTES + 1)
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise InputError(f"names: '{path}' cannot be read: {reason}") from None
    if len(content) > MAX_NAMES_BYTES or max(map(len, lines), default=0) > MAX_NAME:
        raise InputError(f"names: '{path}': too long, expected file names, one a line")
    names = [line.split("#", 1)[0].strip().removeprefix("./") for line in lines]
    if not any(names):
        raise InputError(f"names: '{path}': file names expected, found none")
    return [name for name in names if name]


def find_all_files(sources: Iterable[Source], base: Path) -> list[SourceFile]:
    """Return the files of all ``sources``; the same file may be in several of them."""
    return [file for source in sources for file in find_files(source, base)]
