"""Files and settings -> the structures to choose: what ``annpot select`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from annpot.committee import Committee
from annpot.descriptors import Descriptor
from annpot.descriptors.building import make_descriptor
from annpot.elements import SYMBOLS
from annpot.errors import FileFormatError, InputError
from annpot.fingerprints import load_set
from annpot.format.reading import is_annpot_file
from annpot.predictor import load_predictor
from annpot.selection.greedy import (
    Choice,
    Judge,
    cover_nothing,
    cover_training,
    judge_deviation,
    judge_novelty,
    per_atom,
    select,
)
from annpot.selection.pool import (
    FilePool,
    SetPool,
    by_committee,
    by_descriptor,
    find_species,
)
from annpot.settings import Settings
from annpot.structures.reading import Source, SourceFile, find_files

Progress = Callable[[list[SourceFile], str], Iterable[SourceFile]]
"""Wraps the list of files, with a word on what is done, to show progress."""


@dataclass(frozen=True)
class Request:
    """What to choose from, and how."""

    source: Source
    """Structure files, or one fingerprint set."""
    count: int
    potential: Path | None = None
    by_committee: bool = False
    per_atom: bool = False
    """Whether the gain is divided by the number of atoms."""
    skip: bool = False
    """Whether structures that cannot be used are left out."""


@dataclass(frozen=True)
class Selection:
    """The choice, which is made while it is iterated over."""

    choices: Iterator[Choice]
    count: int
    skipped: list[str]
    inputs: list[Path]
    """Files that are read."""


def choose(request: Request, settings: Settings, progress: Progress) -> Selection:
    """Return the structures that are most worth a reference calculation.

    Raises
    ------
    AnnpotError
        If files are missing, wrong or do not fit together.
    """
    judge: Judge = judge_novelty
    skipped: list[str] = []
    pool, files = _open_pool(request, progress, skipped)
    if request.potential is None:
        descriptor = _find_descriptor(pool, settings)
        compute = by_descriptor(descriptor)
        covers = cover_nothing(pool, compute)
    else:
        predictor = load_predictor(request.potential)
        if isinstance(pool, FilePool):
            pool.species = predictor.species
        elif set(pool.descriptor.species) - set(predictor.species):
            raise FileFormatError(
                f"'{files[0]}' holds {', '.join(pool.descriptor.species)}, but "
                f"'{request.potential}' knows {', '.join(predictor.species)}"
            )
        compute = by_descriptor(predictor.guard.descriptor)
        covers = cover_training(predictor.guard, known=not request.by_committee)
        if request.by_committee:
            if not isinstance(predictor, Committee):
                raise FileFormatError(
                    f"'{request.potential}' is a potential, expected a committee: "
                    "'annpot train' with train.members makes one"
                )
            compute, judge = by_committee(predictor), judge_deviation
        files.append(request.potential)
    if request.per_atom:
        judge = per_atom(judge)
    choices = select(pool, compute, covers, judge, request.count)
    return Selection(choices, request.count, skipped, files)


def _open_pool(
    request: Request, progress: Progress, skipped: list[str]
) -> tuple[FilePool | SetPool, list[Path]]:
    """Return the pool and the files that it reads."""
    names = request.source.files
    sets = [name for name in names if is_annpot_file(Path(name))]
    if sets and len(names) > 1:
        raise InputError(
            f"'{sets[0]}': structure files or one fingerprint set expected, found it "
            "among other files"
        )
    if sets and request.source != Source((sets[0],)):
        raise InputError(
            f"'{sets[0]}' is a fingerprint set: index, format and units are for "
            "structure files only"
        )
    if sets:
        return SetPool(load_set(Path(sets[0]))), [Path(sets[0])]
    files = find_files(request.source, Path())
    pool = FilePool(
        files,
        request.skip,
        lambda found: progress(found, "select"),
        skipped=skipped,
    )
    return pool, [file.path for file in files]


def _find_descriptor(pool: FilePool | SetPool, settings: Settings) -> Descriptor:
    """Return the descriptor of the set, or that of the settings."""
    if isinstance(pool, SetPool):
        return pool.descriptor
    if settings.species is None:
        species = tuple(sorted(find_species(pool), key=SYMBOLS.index))
    else:
        species = pool.species = tuple(settings.species)
    return make_descriptor(settings.descriptor, species)
