"""Read the text form of a file: JSON, into a file in the annpot format in memory.

The text is read once from its beginning to its end, and what is read goes into the file
array by array: besides the text and the file, nothing of their size is kept.
"""

from __future__ import annotations

import array
import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import numpy.typing as npt

from annpot.errors import FileFormatError
from annpot.format import container, writing
from annpot.format.json_scanner import Scanner

MAX_BYTES = 2**28
_MAX_LEVELS = 8
"""Of groups in groups."""
_MAX_TEXT_BYTES = 60_000
"""Of an attribute."""

_START = re.compile(rb"[ \t\r\n]*\{")
_OURS = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"format"[ \t\r\n]*:[ \t\r\n]*"annpot"')
_INTEGERS = range(-(2**63), 2**63)
# By the types in a list: that of the array that gathers numbers, and that in the file.
_TYPES: dict[frozenset[type], tuple[str, type[np.generic]]] = {
    frozenset({float}): ("d", np.float64),
    frozenset({int}): ("q", np.int64),
    frozenset({bool}): ("B", np.uint8),
}


def is_text(path: Path) -> bool:
    """Return whether a file begins as a JSON object does."""
    with path.open("rb") as file:
        return _START.match(file.read(100)) is not None


def is_annpot_text(path: Path) -> bool:
    """Return whether a file begins as the text form of one in the annpot format."""
    with path.open("rb") as file:
        return _OURS.match(file.read(200)) is not None


def open_text(path: Path) -> h5py.File:
    """Return the file of which ``path`` is the text form, in memory.

    Raises
    ------
    FileFormatError
        If the text is damaged, or was edited and still has the old digest.
    """
    parser = _Parser(str(path), _read(path))
    file = _create(path)
    try:
        parser.read_file(file)
        found = container.compute_sha256(file)
        if parser.sha256 not in (None, found):
            raise FileFormatError(
                f"'{path}': the content does not have its checksum, it was damaged or "
                f"edited: to accept an edit, please remove '{container.SHA256}'"
            )
        writing.write_attribute(file, container.SHA256, found)
        writing.write_attribute(file, container.COMPLETE, True)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileFormatError(
            f"'{path}': a text of {size} bytes, at most {MAX_BYTES} are allowed: "
            "please use the HDF5 file"
        )
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"'{path}': UTF-8 expected, which byte {error.start} is not"
        ) from None


def _create(path: Path) -> h5py.File:
    """Return a new file in memory with the name ``path``, for messages."""
    name = str(path)
    while True:
        try:
            return h5py.File(name, "w", driver="core", backing_store=False)
        except OSError:
            # Somebody in this process reads it too, and names are to differ.
            if len(name) > len(str(path)) + 100:
                raise
            name = f"{Path(name).parent}/./{path.name}"


class _Parser:
    """Turns objects into groups, lists into datasets, and the rest into attributes."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._scanner = name, Scanner(name, text)
        self._n_keys = 0
        self.sha256: str | None = None
        """The digest that the text names, if it does."""

    def read_file(self, file: h5py.File) -> None:
        """Fill a file with all of the text."""
        self._read_group(file["/"])
        if not {container.FORMAT, container.VERSION} <= set(file.attrs):
            self._fail_as_foreign()
        if self._scanner.peek():
            self._fail("nothing expected after the last brace")

    def _fail(self, what: str) -> NoReturn:
        self._scanner.fail(what)

    def _fail_as_foreign(self) -> NoReturn:
        raise FileFormatError(
            f"'{self._name}' is a JSON file, but not an annpot file, which begins with "
            f'"{container.FORMAT}": "{container.FORMAT_NAME}", "{container.VERSION}": 1'
        )

    def _read_group(self, group: h5py.Group) -> None:
        scanner, found = self._scanner, set[str]()
        if len(scanner.keys) > _MAX_LEVELS:
            self._fail("objects are nested too deep")
        scanner.take("{")
        if scanner.peek() == "}":
            scanner.take("}")
            return
        while True:
            name = self._read_name(found)
            scanner.keys.append(name)
            if group.name == "/" and self._n_keys == 1 and name != container.FORMAT:
                self._fail_as_foreign()
            self._read_value(group, name)
            scanner.keys.pop()
            if group.name == "/":
                self._check_header(group, name)
            if scanner.take(",}") == "}":
                return

    def _read_name(self, found: set[str]) -> str:
        """Return a key, which becomes one of those ``found`` in its object."""
        if self._scanner.peek() != '"':
            self._fail("a key in quotes expected")
        name = str(self._scanner.decode())
        if not container.NAME.fullmatch(name) or name == ".":
            self._fail(f"key {name!a:.200} is not a name of the annpot format")
        if name in found:
            self._fail(f"key {name!a} twice in one object")
        found.add(name)
        self._n_keys += 1
        if self._n_keys > container.MAX_OBJECTS:
            self._fail(f"more than {container.MAX_OBJECTS} keys")
        self._scanner.take(":")
        return name

    def _read_value(self, group: h5py.Group, name: str) -> None:
        start = self._scanner.peek()
        if name in container.JSON_TEXTS:
            writing.write_text(group, name, self._read_json())
        elif start == "{":
            self._read_group(group.create_group(name))
        elif start == "[":
            self._read_list(group, name)
        elif name == container.SHA256 and group.name == "/":
            self.sha256 = str(self._scanner.decode())
        else:
            self._read_attribute(group, name)

    def _check_header(self, root: h5py.Group, name: str) -> None:
        """Check whose text it is, and how new, before it is checked for mistakes."""
        value = root.attrs.get(name)
        if name == container.FORMAT and value != container.FORMAT_NAME.encode():
            self._fail_as_foreign()
        if name == container.VERSION and isinstance(value, np.integer):
            container.check_version(self._name, int(value))

    def _read_json(self) -> str:
        """Return a text: that of a string, or that of an object as annpot writes it."""
        if self._scanner.peek() not in ('"', "{"):
            self._fail("an object or a text in quotes expected")
        value = self._scanner.decode()
        if isinstance(value, str):
            self._check_text(value)
            return value
        try:
            return json.dumps(value, allow_nan=False)
        except (ValueError, RecursionError) as error:
            self._fail(str(error))

    def _read_attribute(self, group: h5py.Group, name: str) -> None:
        if len(group.attrs) >= container.MAX_ATTRIBUTES:
            self._fail(f"more than {container.MAX_ATTRIBUTES} numbers and texts")
        value = self._scanner.decode()
        if isinstance(value, str):
            self._check_text(value, _MAX_TEXT_BYTES)
        elif isinstance(value, float) and not math.isfinite(value):
            self._fail("a number that is too large")
        elif isinstance(value, int) and value not in _INTEGERS:
            self._fail("an integer of at most 64 bits expected")
        elif value is None:
            self._fail("a number, text, true or false expected, found null")
        writing.write_attribute(group, name, value)

    def _check_text(self, text: str, n_max: int = MAX_BYTES) -> None:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            self._fail(f"text {text!a:.80} with half a character")
        if size > n_max:
            self._fail(f"a text of at most {n_max} bytes expected, found {size}")
        if "\0" in text:
            self._fail(f"text {text!a:.80} with a NUL")

    def _read_list(self, group: h5py.Group, name: str) -> None:
        if self._scanner.at_texts():
            texts = self._scanner.decode()
            for text in texts:
                if not isinstance(text, str):
                    self._fail("texts only expected in a list that begins with one")
                self._check_text(text)
            writing.write_strings(group, name, texts)
        else:
            writing.write_array(group, name, self._read_array())

    def _read_array(self) -> npt.NDArray[Any]:
        numbers = _Numbers(self._scanner)
        shape = self._read_rows(numbers, container.MAX_RANK)
        if numbers.dtype == np.uint8 and len(shape) == 1:
            self._fail("true and false expected in lists of a list only")
        return np.frombuffer(numbers.values, numbers.dtype).reshape(shape)

    def _read_rows(self, numbers: _Numbers, depth: int) -> tuple[int, ...]:
        """Append nested lists to ``numbers``, and return their shape."""
        scanner = self._scanner
        if scanner.peek() == "[" and scanner.at_row():
            return (numbers.append_row(),)
        if not depth:
            self._fail("lists are nested too deep")
        scanner.take("[")
        shape = self._read_rows(numbers, depth - 1)
        length = 1
        while scanner.take(",]") == ",":
            row_shape = self._read_rows(numbers, depth - 1)
            length += 1
            if row_shape != shape:
                self._fail(
                    f"lists of shape {shape} expected, as the first is, "
                    f"found {row_shape}"
                )
        return (length, *shape)


class _Numbers:
    """Numbers of one type, in rows."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self.dtype: type[np.generic] | None = None
        self.values = array.array("d")

    def append_row(self) -> int:
        """Append a list of numbers, and return how many there are."""
        row = self._scanner.decode()
        if math.inf in row or -math.inf in row:
            self._scanner.fail("a number that is too large")
        if None in row:
            row = [math.inf if value is None else value for value in row]
        code, dtype = _TYPES.get(frozenset(map(type, row)), ("", None))
        if self.dtype is None and dtype is not None:
            self.dtype, self.values = dtype, array.array(code)
        if dtype is None or dtype != self.dtype:
            self._scanner.fail(
                "numbers expected that all have a point or exponent, or none of them, "
                "or only true and false"
            )
        try:
            self.values.extend(row)
        except OverflowError:
            self._scanner.fail("integers of at most 64 bits expected")
        return len(row)
