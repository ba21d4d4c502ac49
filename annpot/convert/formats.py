"""The formats that annpot converts: their names, and how files are recognised.

Files that are read are recognised by their content; the name of a file that is written
tells its format, unless it is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from annpot.convert.aenet.inputs import is_aenet_input
from annpot.convert.aenet.networks import is_binary_network, is_text_network
from annpot.convert.aenet.sets import is_binary_set, is_text_set
from annpot.convert.n2p2.inputs import is_input_nn
from annpot.convert.n2p2.potentials import is_potential_folder
from annpot.errors import InputError, did_you_mean
from annpot.format.writing import TEXT_SUFFIX

Content = Literal["potential", "set", "structures", "inputs"]

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """A format of files."""

    noun: str
    content: Content
    """What it holds; a file of annpot may also hold a set."""
    suffixes: tuple[str, ...] = ()
    """Ends of the names of files that are written."""


READABLE = {
    "annpot": Format("a file of annpot", "potential"),
    "json": Format("a potential of annpot as text", "potential"),
    "aenet": Format("a potential of aenet", "potential"),
    "aenet-ascii": Format("a potential of aenet as text", "potential"),
    "n2p2": Format("a potential of n2p2 or RuNNer", "potential"),
    "aenet-train": Format("a training set of aenet", "set"),
    "aenet-train-ascii": Format("a training set of aenet as text", "set"),
    "aenet-input": Format("an input of aenet", "inputs"),
    "n2p2-input": Format("an input.nn of n2p2 or RuNNer", "inputs"),
    "structures": Format("structures", "structures"),
}
"""Formats that are read, by the names that ``--from`` takes."""

WRITABLE = {
    "annpot": Format("a file of annpot", "potential", (".h5", ".hdf5")),
    "json": Format("a potential of annpot as text", "potential", (".json",)),
    "aenet": Format("a potential of aenet", "potential", (".nn",)),
    "aenet-ascii": Format("a potential of aenet as text", "potential", (".nn.ascii",)),
    "n2p2": Format("a potential of n2p2 or RuNNer, a folder", "potential"),
    "aenet-train": Format("a training set of aenet", "set", (".train",)),
    "aenet-train-ascii": Format(
        "a training set of aenet as text", "set", (".train.ascii",)
    ),
    "runner": Format("structures of n2p2 or RuNNer", "structures", (".data",)),
    "extxyz": Format("structures", "structures", (".extxyz", ".xyz")),
    "xsf": Format("structures, a folder of XSF files", "structures"),
    "yaml": Format("settings of annpot", "inputs", (".yaml", ".yml")),
}
"""Formats that are written, by the names that ``--to`` takes."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADS = {
    "annpot": lambda head: head.startswith(_HDF5),
    "json": lambda head: head.lstrip().startswith(b"{"),
    "aenet": is_binary_network,
    "aenet-train": is_binary_set,
    "aenet-input": is_aenet_input,
    "n2p2-input": is_input_nn,
    "aenet-ascii": is_text_network,
    "aenet-train-ascii": is_text_set,
}


def recognise(path: Path, given: str | None) -> str:
    """Return the name of the format of a file or folder.

    Parameters
    ----------
    given
        The name, if it was given.

    Raises
    ------
    InputError
        If there is no such format, or the file does not exist or cannot be read.
    """
    if given is not None:
        return _check_name(given, READABLE, "--from")
    if path.is_dir():
        return "n2p2" if is_potential_folder(path) else "structures"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from None
    found = (name for name, is_of in _HEADS.items() if is_of(head))
    return next(found, "structures")


def format_of_output(path: Path, content: Content, given: str | None) -> str:
    """Return the name of the format that a file to be written should have.

    Parameters
    ----------
    given
        The name, if it was given.

    Raises
    ------
    InputError
        If there is no such format, or the name of the file does not tell.
    """
    if given is not None:
        _check_suffix(path, _check_name(given, WRITABLE, "--to"))
        return given
    name = path.name.lower()
    ends = {
        suffix: format_name
        for format_name, format_ in WRITABLE.items()
        for suffix in format_.suffixes
        if name.endswith(suffix)
    }
    if ends:
        return ends[max(ends, key=len)]
    names = [
        format_name
        for format_name, format_ in WRITABLE.items()
        if format_.content == content or format_name == "annpot"
    ]
    raise InputError(
        f"'{path}': this name does not tell the format to write: please give --to "
        f"{', '.join(names[:-1])} or {names[-1]}"
    )


def _check_name(name: str, known: Iterable[str], option: str) -> str:
    """Return the name of a format.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if name not in known:
        raise InputError(
            f"{option} {name!a:.40}: expected one of {', '.join(known)}"
            f"{did_you_mean(name, known)}"
        )
    return name


def _check_suffix(path: Path, name: str) -> None:
    """Check that a file in the text form of annpot is called so, and no other is."""
    if name in ("annpot", "json"):
        text = path.suffix.lower() == TEXT_SUFFIX
        if text != (name == "json"):
            way = "a name with" if name == "json" else "another suffix than"
            raise InputError(f"--to {name}, '{path}': expected {way} {TEXT_SUFFIX}")
