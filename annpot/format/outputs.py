"""Outputs: whether they can be written, and what they would replace, before work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from annpot.errors import FileFormatError, InputError
from annpot.format import container, reading
from annpot.format.writing import check_replaceable, errors_naming, resolve


def check_writable(path: Path, *kinds: str) -> None:
    """Check that ``path`` can be written, before hours of work.

    Parameters
    ----------
    kinds
        Of a file in the annpot format that may be replaced.

    Raises
    ------
    InputError
        If such a file of another kind is there, which took long to make.
    AnnpotError
        If its folder is missing or read-only, or it is a folder or device itself.
    """
    target = resolve(path)
    check_replaceable(path, target)
    _check_kind(path, kinds)
    with (
        errors_naming(path),
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}."),
    ):
        pass


def _check_kind(path: Path, kinds: tuple[str, ...]) -> None:
    if not reading.is_annpot_file(path):
        return
    try:
        with reading.open_checked(path) as file:
            kind = reading.read_attribute(file, container.KIND, str)
    except FileFormatError:  # of others, or damaged
        return
    if kind not in kinds:
        raise InputError(
            f"output '{path}' is {container.KINDS[kind].noun}, which would be replaced:"
            " please choose another name, or remove it first"
        )
