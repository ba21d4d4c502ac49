"""What a set is made of, and whether parts made earlier still belong to it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from annpot.elements import SYMBOLS
from annpot.errors import AnnpotError, FileFormatError, InputError
from annpot.settings import Settings
from annpot.structures.portions import iterate_portions
from annpot.structures.sources import Source, SourceFile, find_all_files
from annpot.version import __version__

FORMAT = "annpot parts"
VERSION = 1

LARGEST = 8 * 2**20
"""Bytes of a portion: so much is read again when work on it was interrupted."""
MOST = 1000
"""About so many portions are enough for any number of ranks."""
ATOM_BYTES = 64
"""Least size of an atom in a file, about: a portion is no smaller than a batch."""


class ManifestFile(NamedTuple):
    """A file with structures, as it was when the work began."""

    path: str
    size: int
    """In bytes."""
    mtime_ns: int
    """Time of its last change, nanoseconds."""


class ManifestPortion(NamedTuple):
    """Files, or parts of one, that are worked on by one process."""

    first: int
    """Number of its first file."""
    stop: int
    """Number of its last file, plus 1."""
    n_bytes: int
    """How large it is: what it costs, roughly."""
    digest: str
    """SHA-256 of what is read of them."""


@dataclass(frozen=True)
class Manifest:
    """What a set is made of, in the order in which it goes into the set."""

    writer: str
    """Program and version that began the work."""
    started: str
    """When it began: ISO 8601, UTC."""
    settings: dict[str, Any]
    """Those that decide what is in the parts."""
    species: dict[str, float | str]
    """Reference energy of each species in eV, or ``fit``; empty: not yet known."""
    files: list[ManifestFile]
    portions: list[ManifestPortion]

    def to_json(self) -> bytes:
        """Return the text to keep, or to send to other processes."""
        head = {"format": FORMAT, "version": VERSION}
        return json.dumps(head | vars(self)).encode()

    def origins(self) -> list[str]:
        """Return the digest of what decides what is in the parts of each portion."""
        common = [self.writer, self.settings, self.species]
        return [
            _digest([common, portion.digest, *self.files_of(portion)])
            for portion in self.portions
        ]

    def made_of(self, on_error: str) -> str:
        """Return the digest of all that decides what is in the set, but for species.

        Those are settings, or found in the files.
        """
        return _digest([self.settings, on_error, self.files, self.portions])

    def files_of(self, portion: ManifestPortion) -> list[ManifestFile]:
        """Return the files of a portion."""
        return self.files[portion.first : portion.stop]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Return what the file ``path`` holds.

    Raises
    ------
    FileFormatError
        If it is not a manifest, or that of another version.
    """
    try:
        return parse_manifest(path.read_bytes())
    except OSError as error:
        raise FileFormatError(f"'{path}' cannot be read: {error.strerror}") from None
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        raise FileFormatError(
            f"'{path}' is damaged, or of another version of annpot: please say "
            "--restart to start anew"
        ) from None


def parse_manifest(text: bytes) -> Manifest:
    """Return what `Manifest.to_json` gave; other texts raise, in one way or another."""
    values = json.loads(text)
    if values.pop("format") != FORMAT or values.pop("version") != VERSION:
        raise ValueError(f"format '{FORMAT}', version {VERSION} expected")
    files, portions = values.pop("files"), values.pop("portions")
    species = {
        symbol: energy if energy == "fit" else float(energy)
        for symbol, energy in values.pop("species").items()
    }
    if not set(SYMBOLS).issuperset(species):
        raise ValueError("a species that is no element")
    if not all(energy == "fit" or math.isfinite(energy) for energy in species.values()):
        raise ValueError("a reference energy that is no number")
    return Manifest(
        files=[ManifestFile(str(path), int(n), int(t)) for path, n, t in files],
        portions=[
            ManifestPortion(int(first), int(stop), int(n_bytes), str(digest))
            for first, stop, n_bytes, digest in portions
        ],
        species=species,
        **values,
    )


def plan(settings: Settings, base: Path) -> tuple[Manifest, list[str]]:
    """Return the manifest of the files as they are now, and their portions as JSON.

    As text they need a tenth of the memory: there may be a million files.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.

    Raises
    ------
    InputError
        If there are no files, or one cannot be read.
    """
    sources = [Source(**dict(group)) for group in settings.structures]
    files = find_all_files(sources, base)
    stamped = [_stamp(file) for file in files]
    wanted = min(LARGEST, sum(file.size for file in stamped) // MOST)
    wanted = max(wanted, ATOM_BYTES * settings.generate.batch_atoms)
    portions, texts = _cut(files, wanted)
    dumped = settings.model_dump(mode="json")
    species = dumped["species"]
    manifest = Manifest(
        writer=f"annpot {__version__}",
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        settings={
            "structures": [_without_files(group) for group in dumped["structures"]],
            "species": species,
            "descriptor": dumped["descriptor"],
            "generate": {"batch_atoms": settings.generate.batch_atoms},
        },
        species={symbol: one["energy"] for symbol, one in (species or {}).items()},
        files=stamped,
        portions=portions,
    )
    return manifest, texts


def _stamp(file: SourceFile) -> ManifestFile:
    try:
        status = os.stat(file.path)
    except OSError as error:
        raise InputError(f"'{file.path}' cannot be read: {error.strerror}") from None
    return ManifestFile(str(file.path), status.st_size, status.st_mtime_ns)


def _without_files(group: dict[str, Any]) -> dict[str, Any]:
    """Return what else a group says: its files are in the manifest one by one."""
    return {key: value for key, value in group.items() if key not in ("files", "names")}


def _cut(
    files: Sequence[SourceFile], n_bytes: int
) -> tuple[list[ManifestPortion], list[str]]:
    """Return the portions of files, described and as JSON."""
    number = {id(file): i for i, file in enumerate(files)}
    described, texts = [], []
    for portion in iterate_portions(files, n_bytes):
        first, last = (number[id(portion.pieces[i].file)] for i in (0, -1))
        text = portion.to_json()
        digest = hashlib.sha256(text.encode()).hexdigest()
        described.append(ManifestPortion(first, last + 1, portion.n_bytes, digest))
        texts.append(text)
    return described, texts


def check_settings(old: Manifest, new: Manifest, where: Path) -> None:
    """Check that the settings are those that the parts in a folder were made with.

    Raises
    ------
    AnnpotError
        If not; the first difference is named.
    """
    if old.writer != new.writer:
        raise _refusal(where, f"it was begun by {old.writer}, this is {new.writer}")
    then, now = dict(_flatten(old.settings)), dict(_flatten(new.settings))
    for key in [*now, *then]:
        before, after = (
            json.dumps(values[key]) if key in values else "not there"
            for values in (then, now)
        )
        if before != after:
            raise _refusal(where, f"{key} was {before:.200}, now it is {after:.200}")


def _refusal(where: Path, difference: str) -> AnnpotError:
    return AnnpotError(
        f"'{where}' cannot be gone on with: {difference}; please undo that, or say "
        "--restart to start anew"
    )


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each value that holds no others, and the value."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _flatten(item, f"{key}[{number}]")
    else:
        yield key, value


def go_on(
    old: Manifest, new: Manifest, complete: set[int], where: Path
) -> tuple[Manifest, str]:
    """Return the manifest to go on with, and how its files differ, if they do.

    Files may have changed as long as the portions with them are not complete.

    Parameters
    ----------
    old, new
        Of the work that was begun, and as it would begin now.
    complete
        Numbers of the portions of ``old`` that are complete.
    where
        The folder with the parts.

    Raises
    ------
    AnnpotError
        If what is complete is not right any more; the first change is named.
    """
    new = replace(new, started=old.started, species=new.species or old.species)
    change = "" if old.files == new.files else _describe_change(old.files, new.files)
    before, after = old.origins(), new.origins()
    if any(before[n : n + 1] != after[n : n + 1] for n in complete):
        # the cause may be a file before: sizes decide how files are cut
        raise _refusal(where, change or "the files are read in another way")
    return new, change


def _describe_change(before: list[ManifestFile], after: list[ManifestFile]) -> str:
    """Return how lists of files differ: the first file that does."""
    now = {file.path: file for file in after}
    for file in before:
        if file.path not in now:
            return f"'{file.path}' is missing now"
        if file != now[file.path]:
            return f"'{file.path}' has been changed"
    then = {file.path for file in before}
    for file in after:
        if file.path not in then:
            return f"'{file.path}' is new"
    return "the files are in another order"
