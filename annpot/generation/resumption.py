"""How the making of a set begins: anew, or with the parts that an earlier run left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from annpot.errors import AnnpotError, FileFormatError, InputError
from annpot.format import container, reading
from annpot.format.outputs import check_writable
from annpot.generation.manifest import (
    Manifest,
    check_settings,
    go_on,
    parse_manifest,
    plan,
)
from annpot.generation.parts import Mark, PartsFolder, check_part
from annpot.parallel import Ranks, deal
from annpot.settings import Settings
from annpot.structures.portions import Portion
from annpot.structures.structure import Array

Resume = Literal["yes", "auto", "no"]
TRIFLE = 600.0
"""Seconds of work that are given up without asking."""
Say = Callable[[str], None]
Marks = dict[int, list[Mark]]
"""The parts that there are of each portion, by its number."""


@dataclass(frozen=True)
class Beginning:
    """What is to be done, and what is there of it already: the same on all ranks."""

    manifest: Manifest
    """Its species may be open still."""
    portions: list[str]
    """As JSON."""
    marks: Marks

    def costs(self) -> Array:
        """Return about what the work on each portion costs."""
        sizes = [portion.n_bytes for portion in self.manifest.portions]
        return np.array(sizes, dtype=float)

    def take(self, numbers: Sequence[int]) -> Iterator[Portion]:
        """Yield some portions."""
        for number in numbers:
            yield Portion.from_json(self.portions[number])


def begin(
    settings: Settings,
    base: Path,
    folder: PartsFolder,
    resume: Resume | None,
    say: Say,
    ranks: Ranks,
) -> Beginning | None:
    """Return what is to be done, and what is there of it already.

    ``None``: the set is there, and ``resume`` is ``"auto"``.

    Raises
    ------
    AnnpotError
        If there are parts that are not wanted, or none, or of something else.
    """
    plans = ""
    if ranks.rank == 0:
        old, new, portions = _look(settings, base, folder, resume, say)
        manifests = [m.to_json().decode() for m in (new, old) if m is not None]
        if resume == "auto" and old is None and _is_complete(settings, new):
            manifests = []
        plans = json.dumps([manifests, portions])
    manifests, portions = json.loads(ranks.broadcast(plans.encode()))
    if not manifests:
        return None
    new, *olds = (parse_manifest(text.encode()) for text in manifests)
    if not olds:
        return Beginning(new, portions, {})
    marks, problems = _survey(olds[0], folder, ranks)
    if ranks.rank == 0:
        new, marks = _go_on(olds[0], new, marks, folder, say, problems)
    new = parse_manifest(ranks.broadcast(new.to_json()))
    return Beginning(new, portions, _parse_marks(ranks.broadcast(_dump_marks(marks))))


def _look(
    settings: Settings,
    base: Path,
    folder: PartsFolder,
    resume: Resume | None,
    say: Say,
) -> tuple[Manifest | None, Manifest, list[str]]:
    """Return what was begun, if that is to be gone on with, and what is to be done."""
    output = settings.generate.output
    n_parts, is_there = folder.count(), folder.manifest.exists()
    if n_parts and resume is None:
        words = f"{n_parts} finished batches of a run that did not end"
        if folder.seconds() >= TRIFLE:
            raise AnnpotError(
                f"'{folder.path}' holds {words}: please say --resume to go on from "
                "them, or --restart to start anew"
            )
        say(f"starting anew; '{folder.path}' held {words}")
    if resume == "yes" and not is_there:
        raise AnnpotError(
            f"there is nothing to resume: no '{folder.manifest}'; without --resume, or "
            "with --resume auto, the set is made from the beginning"
        )
    check_writable(output, container.FINGERPRINTS)
    new, portions = plan(settings, base)
    if output.exists() and any(output.samefile(file.path) for file in new.files):
        raise InputError(
            f"generate.output: '{output}' is one of the files with structures, "
            "expected another name"
        )
    if resume in (None, "no") or not is_there:
        return None, new, portions
    old = folder.load_manifest()
    check_settings(old, new, folder.path)
    return old, new, portions


def _is_complete(settings: Settings, manifest: Manifest) -> bool:
    """Return whether the set is there, made of the same files by the same settings."""
    made_of = manifest.made_of(settings.generate.on_error)
    try:
        with reading.open_checked(
            settings.generate.output, container.FINGERPRINTS
        ) as file:
            return reading.read_attribute(file, container.MADE_OF, str) == made_of
    except FileFormatError:
        return False


def _survey(
    manifest: Manifest, folder: PartsFolder, ranks: Ranks
) -> tuple[Marks, list[str]]:
    """Return the sound parts of each portion, and what is wrong with others.

    Each rank reads some of them. Those that are of no use are removed.
    """
    listed = json.dumps(folder.list_batches() if ranks.rank == 0 else {}).encode()
    batches = {int(n): c for n, c in json.loads(ranks.broadcast(listed)).items()}
    numbers, origins = list(batches), manifest.origins()
    marks: Marks = {}
    problems: list[str] = []
    for k in deal(np.array(list(batches.values()), dtype=float), ranks):
        number = numbers[k]
        marks[number] = []
        for batch in range(batches[number]):
            try:
                path = folder.part(number, batch)
                origin = origins[number] if number < len(origins) else ""
                marks[number].append(check_part(path, origin, number, batch))
            except FileFormatError as error:
                problems.append(str(error))
                folder.discard(number, batch)
                break
    everything = {
        number: found
        for text in ranks.gather(_dump_marks(marks))
        for number, found in _parse_marks(text).items()
    }
    texts = ranks.gather(json.dumps(problems).encode())
    return everything, [problem for text in texts for problem in json.loads(text)]


def _dump_marks(marks: Marks) -> bytes:
    return json.dumps(
        {n: list(map(asdict, found)) for n, found in marks.items()}
    ).encode()


def _parse_marks(text: bytes) -> Marks:
    return {
        int(number): [Mark(**mark) for mark in found]
        for number, found in json.loads(text).items()
        if found
    }


def _go_on(
    old: Manifest,
    new: Manifest,
    marks: Marks,
    folder: PartsFolder,
    say: Say,
    problems: list[str],
) -> tuple[Manifest, Marks]:
    """Return the manifest to go on with, and the parts that still belong to it."""
    complete = {number for number, found in marks.items() if found[-1].last}
    new, change = go_on(old, new, complete, folder.path)
    for problem in problems:
        say(f"{problem}: it is made again")
    if change:
        say(f"note: {change}; nothing that is finished was made of it")
    before, after = old.origins(), new.origins()
    for number in list(marks):
        if before[number : number + 1] != after[number : number + 1]:
            folder.discard(number, 0)
            del marks[number]
    if n_parts := sum(map(len, marks.values())):
        say(f"going on: {n_parts} finished batches in '{folder.path}'")
    else:
        say(f"no finished batch in '{folder.path}': starting anew")
    return new, marks
