"""Files that get their names only when they have been written and checked."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from annpot.errors import AnnpotError, InputError
from annpot.format.outputs import check_writable
from annpot.format.writing import errors_naming, resolve


@contextlib.contextmanager
def staged(
    output: Path,
    notes: list[str] | None = None,
    inputs: Sequence[Path] = (),
    kinds: Sequence[str] = (),
) -> Iterator[Path]:
    """Give the path to write to; what is there goes beside ``output`` at the end.

    The path has the name of ``output`` in an empty folder beside it, or beside the
    file that it links to. All files that the block leaves in that folder, and folders
    of files, replace those of the same name beside ``output``; other files there, and
    links, stay. If the block raises, nothing is replaced. Errors of the block and
    ``notes`` then name the file as it will be.

    Parameters
    ----------
    inputs
        Files, and folders of files, that must not be replaced.
    kinds
        Of files in the annpot format that may be, see `check_writable`.

    Raises
    ------
    AnnpotError
        If the folder of ``output`` is missing or cannot be written to, or a file would
        replace one of the inputs.
    """
    target = resolve(output)
    name = target.name if output.name in ("", "..") else output.name
    if not target.is_dir():
        check_writable(output, *kinds)
    with (
        errors_naming(output),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".annpot-") as folder,
    ):
        path = Path(folder) / name
        try:
            yield path
        except AnnpotError as error:
            error.args = (_rename(str(error), path, output),)
            raise
        if notes:
            notes[:] = [_rename(note, path, output) for note in notes]
        moves = []
        for item in sorted(Path(folder).iterdir()):
            new = target if item.name == name else output.parent / item.name
            moves += list(_list_moves(item, new))
        _check_kept([new for _, new in moves], inputs)
        for old, new in moves:
            new.parent.mkdir(exist_ok=True)
            os.replace(old, new)


def _rename(text: str, path: Path, output: Path) -> str:
    """Return a text that names files in the folder as those beside ``output``."""
    return text.replace(str(path), str(output)).replace(
        str(path.parent), str(output.parent)
    )


def _list_moves(item: Path, new: Path) -> Iterator[tuple[Path, Path]]:
    """Yield old and new names of a file, or of the files in a folder."""
    if not item.is_dir():
        yield item, new
        return
    if new.exists() and not new.is_dir():
        raise AnnpotError(f"'{new}' is a file, expected a folder or nothing")
    for part in sorted(item.iterdir()):
        yield from _list_moves(part, new / part.name)


def _check_kept(files: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Check that no file to be written is one of the inputs, or in one of them."""
    kept = [path for path in inputs if path.exists()]
    for file in filter(Path.exists, files):
        if any(path.samefile(file) or path.samefile(file.parent) for path in kept):
            raise InputError(
                f"output '{file}': this file is read, expected another name"
            )
