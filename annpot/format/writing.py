"""Write files in the annpot format: complete under their name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from annpot.errors import AnnpotError
from annpot.format import container
from annpot.format.text_writing import iterate_text
from annpot.version import __version__

# Measured: 64 kB to 1 MB make no difference in speed; a small set stays small. Gzip
# would save 10-15 % of coordinates or fingerprints and make writing ten times slower.
_CHUNK_BYTES = 64 * 1024

TEXT_SUFFIX = ".json"
"""A small file whose name ends so is written in its text form."""

_ADVICE = {
    errno.ENOENT: "please make the folder first",
    errno.EACCES: "please choose another folder",
    errno.EROFS: "please choose another folder",
    errno.ENOSPC: "please make room or choose another folder",
    errno.EDQUOT: "please make room or choose another folder",
    errno.EFBIG: "please check 'ulimit -f' and the file system",
    errno.EAGAIN: "another process is writing it",
}
_FAILED_WRITE = re.compile(r"(write failed|extend file).*errno = \d+", re.DOTALL)


@contextlib.contextmanager
def create(
    path: Path,
    kind: str,
    settings: str,
    in_memory: bool = False,
    previous: Path | None = None,
    streams: container.Streams = container.NO_STREAMS,
    durable: bool = True,
) -> Iterator[h5py.File]:
    """Write a file of one of the `container.KINDS`; the with-block fills it.

    The file grows as ``<path>.partial`` and takes its name, replacing an older file,
    when the block ends and all is on the disk. If the block raises, an older file stays
    as it was, and the partial file is removed.

    Parameters
    ----------
    settings
        JSON text of the settings that led to the content.
    in_memory
        For small files: HDF5, which is noisy about a full disk, writes to memory only.
        If the name ends with `TEXT_SUFFIX`, they are written in their text form.
    previous
        Name that an older file gets instead of being replaced, in the same folder.
    streams
        Rows of datasets, by path, that have their shape when the block ends, but no
        content: what is large is written while the digest is computed, not read again.
    durable
        Whether the file outlives a crash of the computer, not of the program alone.
    """
    target = resolve(path)
    unique = f".{os.getpid()}" if in_memory else ""  # HDF5 locks what it has open
    partial = target.with_name(f"{target.name}{unique}.partial")
    check_replaceable(path, target)
    with errors_naming(path):
        file = _create_in_memory(partial) if in_memory else _create_partial(partial)
    try:
        with _failed_writes_naming(path):
            _write_header(file, kind, settings)
            yield file
            digest = container.compute_sha256(file, streams)
            write_attribute(file, container.SHA256, digest)
            write_attribute(file, container.COMPLETE, True)
            file.flush()
        if in_memory:
            _write_out(file, partial, path)
    except BaseException:
        _abandon(file)
        partial.unlink(missing_ok=True)
        raise
    with errors_naming(path):
        file.close()
        _rename(partial, target, previous, durable)


def save(file: h5py.File, path: Path) -> None:
    """Write all that an open file holds, header and digest as they are.

    In the text form if the name ends with ``.json``; for small files.
    """
    target = resolve(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    check_replaceable(path, target)
    try:
        _write_out(file, partial, path)
        with errors_naming(path):
            _rename(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write a file of another format, which appears when all is on the disk.

    Raises
    ------
    AnnpotError
        If that is impossible; an older file stays as it was.
    """
    target = resolve(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    check_replaceable(path, target)
    with errors_naming(path):
        try:
            partial.write_bytes(content)
            _rename(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _rename(
    partial: Path, target: Path, previous: Path | None = None, durable: bool = True
) -> None:
    """Give a complete file its name, when all of it is on the disk if ``durable``."""
    if durable:
        _sync(partial)
    if previous is not None and target.exists():
        os.replace(target, previous)
    os.replace(partial, target)
    if durable:
        _sync(target.parent)


def _write_out(file: h5py.File, partial: Path, path: Path) -> None:
    with errors_naming(path):
        if path.suffix.lower() == TEXT_SUFFIX:
            with partial.open("w", encoding="ascii", newline="\n") as text:
                text.writelines(iterate_text(file))
        else:
            partial.write_bytes(file.id.get_file_image())


def resolve(path: Path) -> Path:
    """Return the file to write: a symbolic link stays, the file behind it is replaced.

    Raises
    ------
    AnnpotError
        If links lead in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # which one depends on the version of Python
        raise AnnpotError(
            f"'{path}' is a symbolic link that leads to itself, a file name expected"
        ) from None


def check_replaceable(path: Path, target: Path) -> None:
    """Check that ``target``, to which ``path`` resolves, is a file or nothing.

    Raises
    ------
    AnnpotError
        If it is a folder, device or pipe.
    """
    if target.is_dir():
        raise AnnpotError(f"'{path}' is a folder, a file name expected")
    if target.exists() and not target.is_file():
        raise AnnpotError(f"'{path}' is a device or pipe, a file name expected")


def _create_partial(partial: Path) -> h5py.File:
    # Default libver: after a crash "latest" leaves files that do not open.
    try:
        return h5py.File(partial, "x", locking="best-effort")
    except FileExistsError:
        pass  # left by a crash, or another process is writing it
    # Mode "w" would empty the file of the other process before it asks for the lock.
    try:
        h5py.File(partial, "r+", locking="best-effort").close()
    except BlockingIOError:
        raise
    except (OSError, RuntimeError):
        pass  # what a crash left can be so damaged that it does not open
    partial.unlink()
    return h5py.File(partial, "x", locking="best-effort")


def _create_in_memory(name: Path) -> h5py.File:
    return h5py.File(name, "w", driver="core", backing_store=False)


def _write_header(file: h5py.File, kind: str, settings: str) -> None:
    write_attribute(file, container.FORMAT, container.FORMAT_NAME)
    write_attribute(file, container.VERSION, container.NEWEST_VERSION)
    write_attribute(file, container.KIND, kind)
    write_attribute(file, container.UNITS, container.UNITS_TEXT)
    write_attribute(file, container.WRITER, f"annpot {__version__}")
    now = datetime.now(timezone.utc)
    write_attribute(file, container.CREATED, now.isoformat(timespec="seconds"))
    write_text(file, container.SETTINGS, settings)


def _abandon(file: h5py.File) -> None:
    """Close a file whose last writes may be impossible."""
    try:
        file.flush()
    except (OSError, RuntimeError):
        # The reason is on its way to the user already. HDF5 (2.0) crashes the process
        # if a write fails while it closes a file, so let it write to nowhere.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, file.id.get_vfd_handle())
        os.close(null)
    # HDF5 may refuse to close what it could not write; its descriptor is free by now.
    with contextlib.suppress(OSError, RuntimeError):
        file.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Turn errors of the block, which only writes, into one that names ``path``."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise _write_error(path, error) from error


@contextlib.contextmanager
def _failed_writes_naming(path: Path) -> Iterator[None]:
    """Leave alone all errors of the block but those of HDF5 writing to the disk."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not _FAILED_WRITE.search(str(error)):
            raise
        raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError | RuntimeError) -> AnnpotError:
    """Return the error to show: HDF5 hides the number of the cause in its text."""
    found = re.search(r"errno = (\d+)", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    if number is None:
        reason = " ".join(str(error).split())
    else:
        reason = os.strerror(number)
        if number in _ADVICE:
            reason += f", {_ADVICE[number]}"
    return AnnpotError(f"'{path}' cannot be written: {reason}")


def write_attribute(
    item: h5py.Group | h5py.Dataset, name: str, value: str | bool | int | float
) -> None:
    """Write a scalar attribute; text, at most 60 kB, gets a fixed length."""
    if isinstance(value, str):
        raw = _encode(value)
        item.attrs.create(name, raw, dtype=_text_dtype(raw))
    else:
        item.attrs[name] = value


def write_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a text of any length."""
    raw = _encode(text)
    group.create_dataset(name, data=raw, dtype=_text_dtype(raw))


def write_strings(group: h5py.Group, name: str, strings: Iterable[str]) -> None:
    """Write a list of texts: their bytes in a row, each text followed by a NUL."""
    write_array(group, name, join_strings(strings))


def write_array(group: h5py.Group, name: str, values: npt.ArrayLike) -> None:
    """Write an array that is known as a whole."""
    array = np.asarray(values)
    group.create_dataset(name, data=array.astype(array.dtype.newbyteorder("<")))


def create_rows(
    group: h5py.Group,
    name: str,
    row_shape: tuple[int, ...] = (),
    dtype: npt.DTypeLike = np.float64,
    n_rows: int = 0,
) -> h5py.Dataset:
    """Return a new dataset that `append` makes longer; its chunks carry checksums.

    Its first ``n_rows`` rows are written in another way, see `create`.
    """
    little_endian = np.dtype(dtype).newbyteorder("<")
    row_bytes = little_endian.itemsize * int(np.prod(row_shape))
    return group.create_dataset(
        name,
        shape=(n_rows, *row_shape),
        maxshape=(None, *row_shape),
        chunks=(max(1, _CHUNK_BYTES // row_bytes), *row_shape),
        dtype=little_endian,
        fletcher32=True,
    )


def append(dataset: h5py.Dataset, rows: npt.ArrayLike) -> None:
    """Append rows to a dataset made by `create_rows`."""
    new = np.asarray(rows)
    old_length = len(dataset)
    dataset.resize(old_length + len(new), axis=0)
    dataset[old_length:] = new


def _encode(text: str) -> bytes:
    # File names may hold bytes that are not UTF-8: they get readable, not lost.
    return text.encode("utf-8", "backslashreplace")


def _text_dtype(raw: bytes) -> np.dtype[np.bytes_]:
    dtype: np.dtype[np.bytes_] = h5py.string_dtype("utf-8", max(1, len(raw)))
    return dtype


def join_strings(strings: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Return the bytes of a list of texts: rows of ``create_rows(dtype=np.uint8)``."""
    texts = [*strings, ""]
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        raise ValueError("a text with a NUL cannot be written")
    return np.frombuffer(_encode(joined), np.uint8)
