"""Files that get their names only when they have been written and checked."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from annpot.errors import AnnpotError
from annpot.format.writing import check_writable, errors_naming


@contextlib.contextmanager
def staged(output: Path, notes: list[str] | None = None) -> Iterator[Path]:
    """Give the path to write to; what is there goes beside ``output`` at the end.

    The path has the name of ``output`` in an empty folder beside it. All files that
    the block leaves in that folder, and folders of files, replace those of the same
    name beside ``output``; other files there stay. If the block raises, nothing is
    replaced. Errors of the block and ``notes`` then name the file as it will be.

    Raises
    ------
    AnnpotError
        If the folder of ``output`` is missing or cannot be written to.
    """
    target = output.resolve()
    if not target.is_dir():
        check_writable(output)
    with (
        errors_naming(output),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".annpot-") as folder,
    ):
        try:
            yield Path(folder) / output.name
        except AnnpotError as error:
            error.args = (_rename(str(error), folder, output),)
            raise
        if notes:
            notes[:] = [_rename(note, folder, output) for note in notes]
        _move(Path(folder), target.parent)


def _rename(text: str, folder: str, output: Path) -> str:
    """Return a text that names files in the folder as those beside ``output``."""
    return text.replace(f"{folder}{os.sep}{output.name}", str(output)).replace(
        folder, str(output.parent)
    )


def _move(folder: Path, target: Path) -> None:
    """Move the files of a folder into another, and those of folders in it."""
    for item in sorted(folder.iterdir()):
        new = target / item.name
        if item.is_dir():
            if new.exists() and not new.is_dir():
                raise AnnpotError(f"'{new}' is a file, expected a folder or nothing")
            new.mkdir(exist_ok=True)
            _move(item, new)
        else:
            os.replace(item, new)
