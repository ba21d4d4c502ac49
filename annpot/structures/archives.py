"""XSF files in tar archives and compressed ones, read without unpacking to disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from annpot.errors import StructureError

LARGEST_FILE = 1 << 30
"""Bytes of one unpacked XSF file: a guard against archive bombs."""
USUAL_FILE, USUAL_PACKING = 1 << 26, 100
"""Bytes that a packed file may unpack to, or as many times its own size: text of any
kind packs 3 to 20 times smaller, a bomb 1000 times."""
LARGEST_HEADER = 1 << 15
"""Bytes of a name or other header in an archive, which is read as a whole."""
START_BYTES = 1 << 12
"""From which formats are recognised."""
MAX_MEMBERS = 1_000_000
"""Of an archive: a small packed one can hold billions of empty ones."""

ARCHIVE_SUFFIXES = tuple(".tar .tar.gz .tgz .tar.bz2 .tbz2 .tar.xz .txz".split())
XSF_SUFFIXES = (".xsf", ".xsf.gz", ".xsf.bz2", ".xsf.xz")
OPENERS: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": lambda path: cast(BinaryIO, gzip.open(path, "rb")),
    ".bz2": lambda path: cast(BinaryIO, bz2.open(path, "rb")),
    ".xz": lambda path: cast(BinaryIO, lzma.open(path, "rb")),
}
PACKED = tuple(OPENERS)
DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)
"""What the libraries raise when an archive is damaged, truncated or absent."""
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)


def _open_plain(path: Path) -> BinaryIO:
    return open(path, "rb")


def is_archive(path: Path) -> bool:
    """Return whether the name of ``path`` is that of a tar archive."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def is_xsf(name: str) -> bool:
    """Return whether ``name`` is that of an XSF file, perhaps a compressed one."""
    return name.lower().endswith(XSF_SUFFIXES)


def name_unpacked(path: Path) -> str:
    """Return the name of a file in lower case, without the suffix of a packing."""
    name = path.name.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return name


def read_content(path: Path) -> bytes:
    """Return the content of the file ``path``, uncompressed."""
    opener = OPENERS.get(path.suffix.lower())
    with damage_named(path):
        if opener is None:
            return _read_plain(path)
        limit = min(LARGEST_FILE, _largest(path))
        with opener(path) as packed:
            content = packed.read(limit + 1)
    _check_size(len(content), str(path), limit)
    return content


def check_unpacked(path: Path) -> None:
    """Check that a packed file does not unpack to far more than it is.

    Raises
    ------
    StructureError
        If it does, or cannot be unpacked.
    """
    limit = min(LARGEST_FILE, _largest(path))
    size = 0
    with damage_named(path), OPENERS[path.suffix.lower()](path) as packed:
        while part := packed.read(1 << 20):
            size += len(part)
            _check_size(size, str(path), limit)


def _largest(path: Path) -> int:
    """Return what a packed file may unpack to."""
    return max(USUAL_FILE, USUAL_PACKING * path.stat().st_size)


MAGIC = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ": ".xz",
    b"\x5d\x00\x00\x80": ".xz",
}
"""How packed files begin, and the suffix that goes with it."""


@contextmanager
def open_content(path: Path) -> Iterator[BinaryIO]:
    """Open the file ``path`` to read it, uncompressed, bit by bit.

    Raises
    ------
    StructureError
        If that cannot be done, or fails before the block ends.
    """
    opener = OPENERS.get(path.suffix.lower(), _open_plain)
    with damage_named(path):
        _check_kind(path, os.stat(path).st_mode)
        with opener(path) as file:
            yield file


def read_start(path: Path) -> bytes:
    """Return the first bytes of the file ``path``, uncompressed; none if there is none.

    What is wrong with a file is told when it is read as a whole.
    """
    if not path.is_file():
        return b""
    opener = OPENERS.get(path.suffix.lower())
    try:
        with open(path, "rb") if opener is None else opener(path) as file:
            return file.read(START_BYTES)
    except DAMAGE:
        return b""


def _read_plain(path: Path, n_bytes: int | None = None) -> bytes:
    """Return the content of ``path``, or its first bytes.

    With half the system calls of ``open``.
    """
    parts = []
    # without O_NONBLOCK, to open a pipe might last for ever
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | _NO_WAITING)
    try:
        _check_kind(path, os.fstat(descriptor).st_mode)
        if n_bytes is not None:
            return os.read(descriptor, n_bytes)
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise StructureError(f"'{path}': is {found}, expected a file")


def list_members(path: Path) -> list[str]:
    """Return the names of the XSF files in the archive ``path``."""
    with _open_archive(path) as archive:
        return [
            _name(member)
            for member in _iterate_members(archive, path)
            if _is_wanted(member)
        ]


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the XSF files in the archive ``path``, in its order.

    Folders, links and files that are not called ``*.xsf`` are passed over.
    """
    empty = True
    with _open_archive(path) as archive:
        for member in _iterate_members(archive, path):
            if not _is_wanted(member):
                continue
            empty, name = False, _name(member)
            # The size is checked first: it is what is going to be allocated.
            _check_size(member.size, f"{path}:{name}", LARGEST_FILE)
            if member.issparse():
                raise StructureError(f"'{path}:{name}': a file with holes")
            yield name, archive.read(member)
    if empty:
        raise StructureError(f"'{path}': files called *.xsf expected, found none")


class _Stream:
    """The unpacked bytes of an archive, of which headers may claim no more than a bit.

    `tarfile` reads names and other headers as a whole, however long they say they are.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._end = _largest(path)
        self.limit = LARGEST_HEADER

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.limit:
            raise StructureError(
                f"'{self._path}': a header of {size} bytes in this archive, at most "
                f"{self.limit} are allowed"
            )
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        _check_size(position, str(self._path), self._end)
        return self._file.seek(position)


class _Archive:
    """A tar archive whose members are read one after the other."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._tar = tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:")

    def next(self) -> tarfile.TarInfo | None:
        """Return the next member; none is kept."""
        self._tar.members = []  # type: ignore[attr-defined]
        return self._tar.next()

    def read(self, member: tarfile.TarInfo) -> bytes:
        """Return the content of a member whose size was checked."""
        self._stream.limit = LARGEST_FILE
        try:
            file = self._tar.extractfile(member)
            return b"" if file is None else file.read()
        finally:
            self._stream.limit = LARGEST_HEADER


@contextmanager
def _open_archive(path: Path) -> Iterator[_Archive]:
    """Open an archive, however it is packed; errors name it."""
    with damage_named(path):
        start = _read_plain(path, 6)
        packing = next((MAGIC[m] for m in MAGIC if start.startswith(m)), "")
        opener = OPENERS.get(packing)
        with open(path, "rb") if opener is None else opener(path) as file:
            yield _Archive(_Stream(file, path))


def _iterate_members(archive: _Archive, path: Path) -> Iterator[tarfile.TarInfo]:
    for _ in range(MAX_MEMBERS):
        member = archive.next()
        if member is None:
            return
        yield member
    raise StructureError(f"'{path}': more than {MAX_MEMBERS} members in this archive")


def _is_wanted(member: tarfile.TarInfo) -> bool:
    # '._x.xsf' is what macOS adds to archives: attributes, not structures.
    base = member.name.rpartition("/")[2]
    hidden = base.startswith(".")
    return member.isfile() and base.lower().endswith(".xsf") and not hidden


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _check_size(n_bytes: int, name: str, limit: int) -> None:
    if n_bytes > limit:
        raise StructureError(
            f"'{name}': larger than {limit} bytes when unpacked, "
            "please unpack it yourself or split it"
        )


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what a damaged or absent file raises into one line with its name."""
    try:
        yield
    except FileNotFoundError:
        raise StructureError(f"'{path}': no such file") from None
    except IsADirectoryError:
        raise StructureError(f"'{path}': is a folder, expected a file") from None
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StructureError(
            f"'{path}': cannot be read ({reason}): is it complete?"
        ) from error
