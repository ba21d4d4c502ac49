"""Read files in the annpot format, whoever made them: nothing in a file is trusted.

All checks come before the first read: what is inside the file only, of plain types,
and not much larger in memory than on the disk. Any damage that HDF5 notices later is a
`FileFormatError` too, as long as it is read by the functions of this module.
"""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from annpot.errors import FileFormatError, ForeignFileError
from annpot.format import container, text_reading

Shape = tuple[int | None, ...]
_Scalar = TypeVar("_Scalar", str, bool, int, float)

_MAX_CHUNK_BYTES = 64 * 2**20
# HDF5 unpacks a chunk to whatever is in it, up to 1032 times its size, not only to what
# the file says: larger packed chunks are unpacked here first, to see what they hold.
_SAFE_PACKED_BYTES = 64 * 2**10
# A tiny compressed file can unfold to petabytes: in memory, all datasets together may
# take this many bytes, and this many times the size of the file on top.
_FREE_BYTES = 64 * 2**20
_MAX_EXPANSION = 100
# Between holes of a file; no file of annpot has any.
_MAX_EXTENTS = 10_000

_DTYPES = {"<f8", "<f4", "<i8", "<i4", "|i1", "|u1", "|b1"}
_LAYOUTS = {h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED}
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
}
# NumPy kinds that are read as a wanted kind.
_READ_AS = {"f": "f", "i": "iu", "u": "u", "b": "b", "S": "S"}
_NUMPY_KIND = {str: "S", bool: "b", int: "i", float: "f"}

# What h5py raises, somewhere, for one or the other kind of damage.
_H5PY_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    MemoryError,
    zlib.error,
)


@contextlib.contextmanager
def open_checked(path: Path, *kinds: str) -> Iterator[h5py.File]:
    """Open a complete file in the annpot format, of one of ``kinds`` if any are given.

    Messages tell how to make the first of them.
    """
    with _damage_named(f"'{path}'"):
        if not path.exists():
            hint = f": '{container.KINDS[kinds[0]].command}' makes one" if kinds else ""
            raise FileFormatError(f"'{path}': no such file{hint}")
        if not path.is_file():
            raise FileFormatError(f"'{path}' is not a file")
        path.open("rb").close()  # here the system says best why it may not be read
        file = _open(path)
    try:
        with _damage_named(f"'{path}'"):
            _check_version(file)
            _check_safety(file)
            _check_header(file, kinds)
        yield file
    finally:
        file.close()


def is_annpot_file(path: Path) -> bool:
    """Return whether a file is in the annpot format, or at least in HDF5."""
    try:
        return h5py.is_hdf5(path) or text_reading.is_annpot_text(path)
    except OSError:  # who opens it gets the reason
        return False


def _open(path: Path) -> h5py.File:
    if h5py.is_hdf5(path):
        return h5py.File(path, "r", locking="best-effort")
    if text_reading.is_text(path):
        return text_reading.open_text(path)
    raise FileFormatError(
        f"'{path}' is not an annpot file (HDF5 or JSON expected): 'annpot convert' "
        "reads those of other programs"
    )


@contextlib.contextmanager
def _damage_named(where: str) -> Iterator[None]:
    try:
        yield
    except _H5PY_ERRORS as error:
        system = getattr(error, "strerror", None)
        reason = " ".join((system or f"the file is damaged ({error})").split())
        raise FileFormatError(f"{where} cannot be read: {reason:.300}") from error


def _check_version(file: h5py.File) -> None:
    name = f"'{file.filename}'"
    for attribute in (container.FORMAT, container.VERSION):
        if attribute not in file.attrs:
            raise ForeignFileError(f"{name} is an HDF5 file, but not an annpot file")
        _check_attribute(file, attribute)
    if read_attribute(file, container.FORMAT, str) != container.FORMAT_NAME:
        raise ForeignFileError(f"{name} is an HDF5 file, but not an annpot file")
    version = read_attribute(file, container.VERSION, int)
    container.check_version(file.filename, version)


def _check_header(file: h5py.File, wanted: tuple[str, ...]) -> None:
    name = f"'{file.filename}'"
    kind = read_attribute(file, container.KIND, str)
    if kind not in container.KINDS:
        raise FileFormatError(f"{name} is of an unknown kind, {kind!a:.50}")
    if wanted and kind not in wanted:
        noun, command = container.KINDS[wanted[0]]
        way = f"'{command}' makes one"
        if kind == container.COMMITTEE and container.POTENTIAL in wanted:
            way = "'annpot convert COMMITTEE --mean OUT' makes one of it"
        raise FileFormatError(
            f"{name} is {container.KINDS[kind].noun}, expected {noun}: {way}"
        )
    units = read_attribute(file, container.UNITS, str)
    if units != container.UNITS_TEXT:
        raise FileFormatError(
            f"{name}: units {container.UNITS_TEXT!r} expected, found {units!a:.100}"
        )
    if container.COMPLETE not in file.attrs:
        raise FileFormatError(
            f"{name} is incomplete, its writing was interrupted: "
            f"please run '{container.KINDS[kind].command}' again"
        )


def _check_safety(file: h5py.File) -> None:
    """Refuse a file that is dangerous to read, by what it says about its content."""
    free = _FREE_BYTES + _MAX_EXPANSION * _size_on_disk(Path(file.filename))
    for item in container.iterate_objects(file):
        if len(item.attrs) > container.MAX_ATTRIBUTES:
            raise FileFormatError(
                f"'{file.filename}', {item.name}: too many attributes"
            )
        for name in item.attrs:
            _check_attribute(item, name)
        if isinstance(item, h5py.Dataset):
            _check_dataset(item)
            free -= item.dtype.itemsize * math.prod(item.shape)
    if free < 0:
        raise FileFormatError(
            f"'{file.filename}': the datasets are too large for the size of the file"
        )


def _size_on_disk(path: Path) -> int:
    """Return the size of a file, less its holes if the system knows of them.

    By extents, not by blocks: some file systems count those seconds after the writing.
    """
    seek_data, seek_hole = (
        getattr(os, "SEEK_DATA", None),
        getattr(os, "SEEK_HOLE", None),
    )
    if seek_data is None or seek_hole is None:
        return path.stat().st_size
    held, end = 0, 0
    with path.open("rb") as file, contextlib.suppress(OSError):  # no more data
        for _ in range(_MAX_EXTENTS):
            start = os.lseek(file.fileno(), end, seek_data)
            end = os.lseek(file.fileno(), start, seek_hole)
            held += end - start
    return held


def _check_attribute(item: h5py.Group | h5py.Dataset, name: str) -> None:
    where = f"'{item.file.filename}', attribute {name!a:.200} of {item.name}"
    attribute = item.attrs.get_id(name)
    _check_dtype(attribute.dtype, where)
    if attribute.shape is None:
        raise FileFormatError(f"{where}: no value")
    size = attribute.dtype.itemsize * math.prod(attribute.shape)
    if size > container.MAX_ATTRIBUTE_BYTES:
        raise FileFormatError(f"{where}: {size} bytes, at most 64 kB are allowed")


def _check_dataset(dataset: h5py.Dataset) -> None:
    where = f"'{dataset.file.filename}', dataset {dataset.name}"
    # The layout first: to tell its shape, a virtual dataset opens other files.
    properties = dataset.id.get_create_plist()
    if properties.get_layout() not in _LAYOUTS:
        raise FileFormatError(f"{where}: a virtual dataset, which is not allowed")
    if properties.get_external_count():
        raise FileFormatError(f"{where}: is in another file, which is not allowed")
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not _FILTERS.issuperset(filters):
        raise FileFormatError(f"{where}: a filter that is not allowed, of {filters}")
    _check_dtype(dataset.dtype, where)
    if dataset.shape is None or dataset.ndim > container.MAX_RANK:
        raise FileFormatError(
            f"{where}: between 0 and {container.MAX_RANK} axes expected"
        )
    if math.prod(dataset.chunks or ()) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise FileFormatError(f"{where}: chunks of {dataset.chunks} are too large")
    if h5py.h5z.FILTER_DEFLATE in filters:
        _check_packed_chunks(dataset, filters, where)


def _check_packed_chunks(dataset: h5py.Dataset, filters: list[int], where: str) -> None:
    """Refuse chunks that would unpack to more than the file says they hold."""
    deflate = h5py.h5z.FILTER_DEFLATE
    after = set(filters[filters.index(deflate) + 1 :])
    if filters.count(deflate) > 1 or after - {h5py.h5z.FILTER_FLETCHER32}:
        raise FileFormatError(f"{where}: packed in an order that is not allowed")
    # a checksum before the packing makes chunks a little longer
    limit = math.prod(dataset.chunks) * dataset.dtype.itemsize + 64

    def check(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size <= _SAFE_PACKED_BYTES:
            return
        _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if len(zlib.decompressobj().decompress(packed, limit + 1)) > limit:
            raise FileFormatError(f"{where}: a chunk that unpacks to more than it is")

    dataset.id.chunk_iter(check)


def _check_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Refuse references, texts of variable length, compounds, enumerations, ..."""
    if dtype.kind == "S" or (
        dtype.str in _DTYPES and h5py.check_enum_dtype(dtype) is None
    ):
        return
    raise FileFormatError(f"{where}: type {dtype}, which is not allowed")


def verify_checksum(file: h5py.File) -> None:
    """Check that the content is still what was written, reading all of it."""
    name = f"'{file.filename}'"
    with _damage_named(name):
        found = container.compute_sha256(file)
    if found != read_attribute(file, container.SHA256, str):
        raise FileFormatError(f"{name} is damaged: the content has not its checksum")


def read_attribute(
    item: h5py.Group | h5py.Dataset, name: str, kind: type[_Scalar]
) -> _Scalar:
    """Return a scalar attribute that must be there, as a ``kind``."""
    where = f"'{item.file.filename}', attribute {name} of {item.name}"
    with _damage_named(where):
        if name not in item.attrs:
            raise FileFormatError(f"{where}: missing")
        value = container.raw_attribute(item, name)
        if value.shape != () or value.dtype.kind not in _READ_AS[_NUMPY_KIND[kind]]:
            raise FileFormatError(
                f"{where}: {kind.__name__} expected, "
                f"found {value.dtype} of shape {value.shape}"
            )
        scalar = value.item()
        if isinstance(scalar, float) and not math.isfinite(scalar):
            raise FileFormatError(f"{where}: a finite number expected, found {scalar}")
        return kind(scalar.decode() if isinstance(scalar, bytes) else scalar)


def read_group(group: h5py.Group, name: str) -> h5py.Group:
    """Return a group that must be there."""
    item = _child(group, name, "group")
    if not isinstance(item, h5py.Group):
        raise FileFormatError(f"{_where(group, name, 'group')}: found a dataset")
    return item


def read_dataset(
    group: h5py.Group,
    name: str,
    shape: Shape | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> h5py.Dataset:
    """Return a dataset that must be there, unread: `read_rows` reads it in parts.

    Parameters
    ----------
    shape
        The expected lengths, None for any length; None instead of a tuple: not checked.
    dtype
        Expected: the same sort of number, of whatever size.
    """
    where = _where(group, name, "dataset")
    dataset = _child(group, name, "dataset")
    if not isinstance(dataset, h5py.Dataset):
        raise FileFormatError(f"{where}: found a group")
    wanted = np.dtype(dtype)
    if dataset.dtype.kind not in _READ_AS[wanted.kind]:
        raise FileFormatError(f"{where}: {wanted} expected, found {dataset.dtype}")
    if shape is not None and not _fits(dataset.shape, shape):
        lengths = ", ".join("any" if n is None else str(n) for n in shape)
        raise FileFormatError(
            f"{where}: shape ({lengths}) expected, found {dataset.shape}"
        )
    return dataset


def read_array(
    group: h5py.Group,
    name: str,
    shape: Shape | None = None,
    dtype: npt.DTypeLike = np.float64,
    finite: bool = True,
) -> npt.NDArray[Any]:
    """Return a dataset as an array of ``dtype``; see `read_dataset` for the checks."""
    values = _read(read_dataset(group, name, shape, dtype), ()).astype(
        dtype, copy=False
    )
    if finite and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise FileFormatError(
            f"{_where(group, name, 'dataset')}: finite numbers expected, "
            f"found {values[~np.isfinite(values)][0]}"
        )
    return values


def read_rows(dataset: h5py.Dataset, start: int, stop: int) -> npt.NDArray[Any]:
    """Return the rows from ``start`` to before ``stop``."""
    return _read(dataset, slice(start, stop))


def read_text(group: h5py.Group, name: str) -> str:
    """Return a text written by `annpot.format.writing.write_text`."""
    dataset = read_dataset(group, name, (), np.bytes_)
    raw: bytes = _read(dataset, ()).item()
    return _decode(raw, dataset)


def read_strings(group: h5py.Group, name: str) -> list[str]:
    """Return a list of texts, each of which ends with a NUL in the file."""
    dataset = read_dataset(group, name, (None,), np.uint8)
    *texts, rest = _decode(_read(dataset, ()).tobytes(), dataset).split("\0")
    if rest:
        where = _where(group, name, "dataset")
        raise FileFormatError(f"{where}: a NUL after the last text expected")
    return texts


def _decode(raw: bytes, dataset: h5py.Dataset) -> str:
    with _damage_named(f"'{dataset.file.filename}', dataset {dataset.name}"):
        return raw.decode()


def _read(dataset: h5py.Dataset, rows: slice | tuple[()]) -> npt.NDArray[Any]:
    with _damage_named(f"'{dataset.file.filename}', dataset {dataset.name}"):
        return np.asarray(dataset[rows])


def _child(group: h5py.Group, name: str, noun: str) -> Any:
    with _damage_named(_where(group, name, noun)):
        if name not in group:
            raise FileFormatError(f"{_where(group, name, noun)}: missing")
        return group[name]


def _where(group: h5py.Group, name: str, noun: str) -> str:
    return f"'{group.file.filename}', {noun} {group.name.rstrip('/')}/{name}"


def _fits(found: tuple[int, ...], expected: Shape) -> bool:
    return len(found) == len(expected) and all(
        wanted is None or wanted == length
        for length, wanted in zip(found, expected, strict=True)
    )
