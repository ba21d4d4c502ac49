"""Files that grow by portions, and a journal by which they can be continued.

A file grows as ``<path>.partial``. Each portion is written to all files, and then a
line to the journal, ``<first path>.journal``: how long the files are now. Whatever ends
the process, what is behind the last line of the journal is cut off when it is
continued, and the result has the same bytes as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

from annpot.errors import AnnpotError
from annpot.format.outputs import check_writable
from annpot.format.writing import errors_naming, resolve

SUFFIX = ".journal"
VERSION = 1
KEYS = ("input", "sizes", "crcs", "state")
"""Of a line of the journal."""
Json = Any


class _File:
    """One file that grows; special ones (pipes, /dev/stdout) are written as they are.

    What was written before an error takes the final name, like all of it at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.target = path, resolve(path)
        target = self.target
        self.special = target.exists() and not (target.is_file() or target.is_dir())
        self.partial = target.with_name(f"{target.name}.partial")
        self.size, self.crc = 0, 0
        if not self.special:
            check_writable(path)
        self._file: Any = None

    def open(self, size: int) -> None:
        """Open it, to write behind its first ``size`` bytes."""
        with errors_naming(self.path):
            if self.special:  # who reads it has what came before
                self._file = open(self.target, "wb", buffering=0)
            elif size:
                if not self.partial.exists():
                    os.replace(self.target, self.partial)
                self._file = open(self.partial, "r+b", buffering=0)
                self._file.truncate(size)
                self._file.seek(size)
            else:
                self._file = open(self.partial, "wb", buffering=0)
        self.size = size

    def write(self, raw: bytes) -> None:
        """Append to it."""
        with errors_naming(self.path):
            done = 0
            while done < len(raw):
                n_bytes = self._file.write(raw[done:])
                if not n_bytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += n_bytes
        self.size += len(raw)
        self.crc = zlib.crc32(raw)

    def close(self, complete: bool) -> None:
        """Give it its name, unless there is nothing in it and more was expected."""
        if self._file is None:
            return
        if self.special:
            self._file.close()
            return
        with errors_naming(self.path):
            if complete:
                os.fsync(self._file.fileno())
            self._file.close()
            if complete or self.size:
                os.replace(self.partial, self.target)
            else:
                self.partial.unlink(missing_ok=True)

    def holds(self, size: int, before: int, crc: int) -> bool:
        """Return whether it holds what ended at ``size`` when that was written."""
        for path in (self.partial, self.target):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if not before <= size <= os.fstat(file.fileno()).st_size:
                    return False
                file.seek(before)
                return zlib.crc32(file.read(size - before)) == crc
        return False


class GrowingFiles:
    """Several files that grow together, as a context.

    Parameters
    ----------
    paths
        The files; with none, or special ones only, there is no journal.
    identity
        What a run must have in common with the one it continues.
    resume
        ``"yes"``, ``"auto"`` (if there is anything to continue) or ``None``.

    Raises
    ------
    AnnpotError
        If there is nothing to continue, or it was begun in another way.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        identity: Mapping[str, Json],
        resume: str | None,
    ) -> None:
        self._files = [_File(path) for path in paths]
        self._identity = {"version": VERSION, **identity}
        kept = [file for file in self._files if not file.special]
        self.journal: Path | None = None
        self.path: Path | None = None
        """The first of the files that are no special ones."""
        if kept:
            self.path = kept[0].path
            self.journal = journal_of(self.path)
        self._lines: Any = None
        self.inputs: list[int] = []
        """Check sums of the input of the portions that are complete."""
        self.state: Json = None
        """What was told with the last of them."""
        self._begun = self._load(resume) if resume else None

    def _load(self, resume: str) -> list[Json] | None:
        """Return the lines of the journal that hold, if there is anything to continue.

        Raises
        ------
        AnnpotError
            If that is not so though it should.
        """
        if self.journal is None or not self.journal.is_file():
            if resume == "auto":
                return None
            what = "no output file" if self.journal is None else f"no '{self.journal}'"
            raise AnnpotError(
                f"{what}, so there is nothing to go on from: please leave --resume "
                "out, or say '--resume auto'"
            )
        lines = _read_lines(self.journal)
        if not lines or not isinstance(lines[0], dict):
            if resume == "auto":
                return None
            raise AnnpotError(f"'{self.journal}': damaged, please leave --resume out")
        self._compare(lines[0])
        n_sound = len(list(takewhile(self._is_sound, lines[1:])))
        del lines[1 + n_sound :]
        while len(lines) > 1 and not self._holds(lines):
            lines.pop()
        return lines

    def _is_sound(self, line: Json) -> bool:
        """Return whether `commit` may have written this line of the journal."""
        if not isinstance(line, dict) or line.keys() != set(KEYS):
            return False
        rows = line["sizes"], line["crcs"], [line["input"]] * len(self._files)
        return all(
            isinstance(row, list)
            and len(row) == len(self._files)
            and all(isinstance(number, int) and number >= 0 for number in row)
            for row in rows
        )

    def _holds(self, lines: list[Json]) -> bool:
        last, before = lines[-1], lines[-2]
        sizes = before.get("sizes", [0] * len(self._files))
        return all(
            file.special or file.holds(*row)
            for file, *row in zip(
                self._files, last["sizes"], sizes, last["crcs"], strict=True
            )
        )

    def _compare(self, found: dict[str, Json]) -> None:
        mine = json.loads(json.dumps(self._identity))
        for key in {**mine, **found}:
            if mine.get(key) != found.get(key):
                raise AnnpotError(
                    f"'{self.journal}' is of a run with {key} {found.get(key)!r:.80}, "
                    f"but now it is {mine.get(key)!r:.80}: please leave --resume out "
                    "to start anew, or say the same as before"
                )

    def __enter__(self) -> GrowingFiles:
        """Open the files behind what is complete."""
        lines = self._begun or [self._identity]
        last = lines[-1]
        done = len(lines) > 1
        sizes = last["sizes"] if done else [0] * len(self._files)
        self.inputs = [line["input"] for line in lines[1:]]
        self.state = last["state"] if done else None
        try:
            for file, size in zip(self._files, sizes, strict=True):
                file.open(size)
            if self.journal is not None:
                with errors_naming(self.journal):
                    self._rewrite(lines)
        except BaseException:
            self._close(complete=False)
            raise
        return self

    def _rewrite(self, lines: list[Json]) -> None:
        """Replace the journal, and open it to go on."""
        assert self.journal is not None
        partial = self.journal.with_name(f"{self.journal.name}.partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.replace(partial, self.journal)
        self._lines = self.journal.open("ab", buffering=0)

    def write(self, parts: Sequence[bytes]) -> None:
        """Append to each file, without saying that anything is complete."""
        for file, raw in zip(self._files, parts, strict=True):
            file.write(raw)

    def commit(self, parts: Sequence[bytes], described: int, state: Json) -> None:
        """Append a portion to each file; it is complete.

        Parameters
        ----------
        described
            Check sum of what it was made from.
        state
            What the rest of the run needs to know.
        """
        self.write(parts)
        self.inputs.append(described)
        if self._lines is None:
            return
        sizes = [file.size for file in self._files]
        crcs = [file.crc for file in self._files]
        line = dict(zip(KEYS, (described, sizes, crcs, state), strict=True))
        assert self.journal is not None
        with errors_naming(self.journal):
            raw = json.dumps(line).encode() + b"\n"
            if self._lines.write(raw) < len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @property
    def can_go_on(self) -> bool:
        """Whether there is a portion that need not be done again."""
        return self._lines is not None and bool(self.inputs)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the files their names; without an error the journal is not needed."""
        self._close(complete=kind is None)

    def _close(self, complete: bool) -> None:
        for file in self._files:
            file.close(complete)
        if self._lines is not None:
            self._lines.close()
        if self.journal is not None and (complete or not self.inputs):
            self.journal.unlink(missing_ok=True)


def journal_of(path: Path) -> Path:
    """Return the name of the journal of files of which ``path`` is the first."""
    target = resolve(path)
    return target.with_name(target.name + SUFFIX)


def last_state(journal: Path) -> Json:
    """Return what was told with the last portion in a journal, if there is one."""
    with contextlib.suppress(AnnpotError):
        for line in reversed(_read_lines(journal)):
            if isinstance(line, dict) and "state" in line:
                return line["state"]
    return None


def _read_lines(path: Path) -> list[Json]:
    """Return the complete lines of a journal."""
    lines = []
    with errors_naming(path):
        raw = path.read_bytes()
    for line in raw.split(b"\n")[:-1]:
        try:
            lines.append(json.loads(line))
        except (ValueError, RecursionError):
            break
    return lines
