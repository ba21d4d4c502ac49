"""The text form of a file: its groups as JSON, a row of numbers in each line.

``README.md`` specifies it; `text_reading` makes a file of it again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from annpot.errors import FileFormatError
from annpot.format import container

_STEP = "  "
_MAX_COLUMNS = 100
"""Of an object or list in a JSON text that is written in one line."""
_MAX_DEPTH = 50
"""Of the same; a text that is nested deeper is written as a string."""

_ORDER = (
    container.FORMAT,
    container.VERSION,
    container.KIND,
    container.UNITS,
    container.WRITER,
    container.CREATED,
    container.SHA256,
    container.SETTINGS,
    container.DESCRIPTOR,
    container.SPECIES,
    container.REFERENCE_ENERGIES,
    container.ENERGY_SHIFT,
    container.ENERGY_SCALE,
    container.PROVENANCE,
    container.NETWORKS,
    container.STATISTICS,
    container.SHORTEST,
    container.N_ATOMS,
    container.MIN,
    container.MAX,
    container.MEAN,
    container.COVARIANCE,
    container.RANGE_LOW,
    container.RANGE_HIGH,
    container.WHITENING,
    container.DISTANCE_LOW,
    container.DISTANCE_HIGH,
    container.TEST_VECTORS,
    container.SPECIES_INDEX,
    container.POSITIONS,
    container.CELLS,
    container.PERIODIC,
    container.ENERGY,
    container.FORCES,
    container.FEATURE_SHIFT,
    container.FEATURE_SCALE,
    container.ACTIVATIONS,
    container.WEIGHTS,
    container.BIASES,
    container.CALIBRATION,
    container.LEVEL,
    container.ENERGY_FACTOR,
    container.ENERGY_FLOOR,
    container.N_ENERGIES,
    container.FORCE_FACTORS,
    container.FORCE_FLOORS,
    container.N_FORCES,
    container.DEVIATION_LIMITS,
    container.MEMBERS,
)
"""Of the names in a group, as `annpot.potential` writes them (the digest last)."""
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}


def iterate_text(file: h5py.File) -> Iterator[str]:
    """Yield the text form of a potential or committee, piece by piece.

    Raises
    ------
    FileFormatError
        If it is a fingerprint set, or holds what no potential does: NaN, an array
        without numbers, numbers that are not of 64 bits, a text in other bytes than
        annpot uses. What was yielded before is to be thrown away.
    """
    kind = container.raw_attribute(file["/"], container.KIND).item()
    if kind == container.FINGERPRINTS.encode():
        raise FileFormatError(
            f"'{file.filename}' is {container.KINDS[container.FINGERPRINTS].noun}, "
            "which has no text form: expected a potential"
        )
    yield from _iterate_group(file["/"], (), "")
    yield "\n"


def _iterate_group(
    group: h5py.Group, species: tuple[str, ...], indent: str
) -> Iterator[str]:
    if container.SPECIES in group:
        species = tuple(_texts(group, container.SPECIES))
    names = [*group.attrs, *group]
    if len(set(names)) < len(names):
        raise FileFormatError(
            f"{_where(group, '')}: an attribute and an object of one name, "
            "which has no text form"
        )
    if group.name == "/":
        names.remove(container.COMPLETE)
    names.sort(key=lambda name: _sort_key(name, species))
    start = f"{{\n{indent}{_STEP}"
    for name in names:
        yield f"{start}{json.dumps(name)}: "
        if name in group.attrs:
            yield _scalar(group, name)
        elif isinstance(group[name], h5py.Group):
            yield from _iterate_group(group[name], species, indent + _STEP)
        else:
            yield from _iterate_dataset(group, name, indent + _STEP)
        start = f",\n{indent}{_STEP}"
    yield f"\n{indent}}}" if names else "{}"


def _sort_key(name: str, species: tuple[str, ...]) -> tuple[int, int, str]:
    """Order names as `_ORDER` does, species as the file does, numbered ones last."""
    if name in species:
        return -1, len(_RANKS) + species.index(name), name
    numbered = None if name in _RANKS else re.fullmatch(r"(.*?) ?(\d{1,9})", name)
    stem, number = numbered.groups() if numbered else (name, "-1")
    return int(number), _RANKS.get(stem, len(_RANKS)), name


def _scalar(group: h5py.Group, name: str) -> str:
    value = container.raw_attribute(group, name)
    where = _where(group, name)
    if value.shape != ():
        raise FileFormatError(f"{where}: an attribute of shape {value.shape}")
    if value.dtype.kind == "S":
        return json.dumps(_decode(value, where))
    if value.dtype == np.bool_:
        return json.dumps(bool(value))
    return _row(value.reshape(1), where)[1:-1]


def _iterate_dataset(group: h5py.Group, name: str, indent: str) -> Iterator[str]:
    dataset, where = group[name], _where(group, name)
    if name in container.JSON_TEXTS and dataset.ndim == 0 and dataset.dtype.kind == "S":
        yield _text(_decode(dataset[()], where), indent)
    elif dataset.ndim == 1 and dataset.dtype == np.uint8:
        yield json.dumps(_texts(group, name))
    elif dataset.ndim and dataset.size:
        yield from _iterate_rows(dataset[()], where, indent)
    else:
        raise FileFormatError(
            f"{where}: {dataset.dtype} of shape {dataset.shape}, which has no text form"
        )


def _iterate_rows(values: npt.NDArray[Any], where: str, indent: str) -> Iterator[str]:
    if values.ndim == 1:
        yield _row(values, where)
        return
    start = f"[\n{indent}{_STEP}"
    for row in values:
        yield start
        yield from _iterate_rows(row, where, indent + _STEP)
        start = f",\n{indent}{_STEP}"
    yield f"\n{indent}]"


def _row(values: npt.NDArray[Any], where: str) -> str:
    """Return numbers as a list, each as the shortest text that gives the same bits."""
    if values.dtype == np.float64:
        texts = [_float(value, where) for value in values.tolist()]
    elif values.dtype == np.int64:
        texts = [str(value) for value in values.tolist()]
    elif values.dtype == np.uint8 and values.max() <= 1:
        texts = ["true" if value else "false" for value in values]
    else:
        raise FileFormatError(
            f"{where}: {values.dtype} {values[0]}, which has no text form"
        )
    return f"[{', '.join(texts)}]"


def _float(value: float, where: str) -> str:
    if math.isfinite(value):
        return repr(value)
    if value == math.inf:
        return "null"
    raise FileFormatError(f"{where}: {value}, which has no text form")


def _texts(group: h5py.Group, name: str) -> list[str]:
    where = _where(group, name)
    *texts, rest = _decode(group[name][()], where).split("\0")
    if rest:
        raise FileFormatError(f"{where}: a NUL after the last text expected")
    return texts


def _text(text: str, indent: str) -> str:
    """Return a text as a string, or as JSON if it is just what annpot makes of it."""
    try:
        value = json.loads(text)
        if isinstance(value, dict) and json.dumps(value, allow_nan=False) == text:
            return _lay_out(value, indent, _MAX_DEPTH)
    except (ValueError, RecursionError):
        pass
    return json.dumps(text)


def _lay_out(value: Any, indent: str, depth: int) -> str:
    """Return JSON in as many lines as make it readable.

    Raises
    ------
    ValueError
        If it is nested deeper than ``depth``.
    """
    if not isinstance(value, dict | list):
        return json.dumps(value)
    if not depth:
        raise ValueError("nested too deep")
    items = value.values() if isinstance(value, dict) else value
    inner = [_lay_out(item, indent + _STEP, depth - 1) for item in items]
    if isinstance(value, dict):
        inner = [f"{json.dumps(k)}: {v}" for k, v in zip(value, inner, strict=True)]
    left, right = "{}" if isinstance(value, dict) else "[]"
    line = f"{left}{', '.join(inner)}{right}"
    plain = isinstance(value, list) and not any(
        isinstance(item, dict | list) for item in items
    )
    if plain or (len(line) <= _MAX_COLUMNS and "\n" not in line):
        return line
    separator = f",\n{indent}{_STEP}"
    return f"{left}\n{indent}{_STEP}{separator.join(inner)}\n{indent}{right}"


def _decode(raw: Any, where: str) -> str:
    """Return the text of bytes that are those which annpot writes for it."""
    array = np.asarray(raw)
    content = array.tobytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise FileFormatError(f"{where}: not UTF-8, which has no text form") from None
    if array.dtype.kind == "S":
        text = text.removesuffix("\0") if len(text) == 1 else text
        if "\0" in text:
            raise FileFormatError(f"{where}: filled with NULs, which has no text form")
    return text


def _where(group: h5py.Group, name: str) -> str:
    return f"'{group.file.filename}', {group.name.rstrip('/')}/{name}"
