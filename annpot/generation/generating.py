"""Structure files -> fingerprint set: what ``annpot generate`` does.

Files are cut into portions, which are dealt to the ranks. A portion becomes parts, one
for each batch of structures, and rank 0 merges all parts. What is cut where depends on
neither ranks nor threads nor interruptions, so neither does any bit of the set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from annpot.descriptors import Descriptor
from annpot.descriptors.building import make_descriptor
from annpot.elements import SYMBOLS
from annpot.errors import AnnpotError, StructureError
from annpot.generation.crew import Crew, Watch
from annpot.generation.manifest import Manifest, plan
from annpot.generation.merging import merge
from annpot.generation.part_making import PartMaker
from annpot.generation.parts import PartsFolder
from annpot.generation.resumption import Beginning, Resume, Say, begin
from annpot.kernels.threads import thread_count
from annpot.parallel import ALONE, Ranks, deal
from annpot.settings import Settings
from annpot.structures.portions import PortionReader
from annpot.structures.references import require_energy
from annpot.tally import Rules, Summary, Tally

Progress = Callable[[Sequence[int], str], Iterable[int]]
"""Wraps the numbers of the portions to work on, with a word on what is done."""


def _show_nothing(numbers: Sequence[int], _: str) -> Sequence[int]:
    return numbers


def _watch_nothing(*_: object) -> None:
    pass


def generate(
    settings: Settings,
    base: Path,
    progress: Progress = _show_nothing,
    *,
    resume: Resume | None = None,
    say: Say = lambda text: None,
    watch: Watch = _watch_nothing,
    ranks: Ranks = ALONE,
) -> Summary | None:
    """Write the fingerprint set that ``settings`` describe; rank 0 gets the summary.

    Nobody gets one if the set is there already, and ``resume`` is ``"auto"``.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.
    progress
        Wraps the list of portions while it is worked off.
    resume
        Whether to go on from the parts that an earlier run left: ``"yes"``, it is an
        error if there are none; ``"auto"``, if there are some, or else if the set is
        not complete; ``"no"``; ``None``: it is an error if they took long to make.
    say
        Takes a line about what there is to go on with.
    watch
        Is told after each part, when nothing is half done, how many of how many
        portions are done; a `Stopped` that it raises ends the work of all ranks.

    Raises
    ------
    AnnpotError
        On the first wrong structure, unless those are to be skipped; if parts cannot
        be gone on with; if something cannot be written. Finished parts stay.
    """
    output = settings.generate.output
    folder = PartsFolder(output)
    beginning = begin(settings, base, folder, resume, say, ranks)
    if beginning is None:
        say(f"'{output}' is complete, of these files and settings")
        return None
    manifest = beginning.manifest
    if not manifest.species:
        symbols = _read_species(beginning, progress, watch, ranks)
        manifest = replace(manifest, species=dict.fromkeys(symbols, "fit"))
    rules = Rules(tuple(manifest.species), list(manifest.species.values()))
    descriptor = make_descriptor(settings.descriptor, rules.species)
    if ranks.rank == 0:
        folder.begin(manifest, keep=bool(beginning.marks))
    ranks.barrier()
    maker = PartMaker(settings.generate, folder, descriptor, rules, manifest.origins())
    tally = Tally(rules)
    try:
        parts = _make_parts(maker, beginning, progress, watch, ranks)
        if ranks.rank:
            return None
        skipped = _merge(settings, manifest, parts, folder, descriptor, tally, watch)
    except BaseException as error:
        if ranks.rank == 0:
            _leave(folder, error, say)
        raise
    return tally.summary(output, len(manifest.files), descriptor, skipped)


def _merge(
    settings: Settings,
    manifest: Manifest,
    parts: list[list[Path]],
    folder: PartsFolder,
    descriptor: Descriptor,
    tally: Tally,
    watch: Watch,
) -> list[str]:
    """Write the set, remove its parts, and return what was skipped."""
    output, text = settings.generate.output, settings.to_json()
    made_of = manifest.made_of(settings.generate.on_error)
    try:
        skipped = merge(parts, output, descriptor, text, made_of, tally, watch)
    except StructureError:  # there are none: nothing to go on from
        folder.remove()
        raise
    folder.remove()
    return skipped


def _leave(folder: PartsFolder, error: BaseException, say: Say) -> None:
    """Remove the folder if there is nothing in it, or else tell what it is good for."""
    n_parts = folder.count()
    if not n_parts:
        folder.remove()
    elif isinstance(error, AnnpotError):
        say(
            f"{n_parts} finished batches stay in '{folder.path}': the same "
            "'annpot generate' with --resume goes on from them"
        )


def _make_parts(
    maker: PartMaker,
    beginning: Beginning,
    progress: Progress,
    watch: Watch,
    ranks: Ranks,
) -> list[list[Path]]:
    """Make the parts that are not there yet; return those of each portion.

    Each rank makes some of them, and returns when all are there.
    """
    crew = Crew(ranks, watch)
    marks = beginning.marks
    n_parts = {number: len(found) for number, found in marks.items()}
    missing = [
        number
        for number in range(len(beginning.portions))
        if number not in marks or not marks[number][-1].last
    ]
    costs = beginning.costs()
    numbers = [missing[k] for k in deal(costs[missing], ranks)]
    n_before = len(beginning.portions) - len(missing)
    made: dict[int, int] = {}
    shown = progress(numbers, "fingerprints")
    with closing(_iterate_parts(maker, beginning, numbers, shown)) as parts:
        for number, n_made in parts:
            made[number] = n_made
            if not crew.goes_on(n_before + len(made) - 1, n_before + len(numbers)):
                break
    # told, not looked for: a folder on another machine may be seen late
    for theirs in crew.gather(made):
        n_parts |= {int(number): n for number, n in theirs.items()}
    return [
        [maker.folder.part(number, batch) for batch in range(n_parts[number])]
        for number in range(len(beginning.portions))
    ]


def _iterate_parts(
    maker: PartMaker,
    beginning: Beginning,
    numbers: Sequence[int],
    shown: Iterable[int],
) -> Generator[tuple[int, int]]:
    """Make parts; yield, after each, its portion and how many parts that has.

    With several threads, one writes a part while the next one is made.
    """
    skipped: list[str] = []
    readable = PortionReader().read_all(
        beginning.take(numbers),
        on_error=maker.settings.on_error,
        skipped=skipped,
        require=maker.rules.check,
    )
    n_ahead = 1 if thread_count() > 1 else 0
    waiting: deque[tuple[int, int, Future[None]]] = deque()
    with ThreadPoolExecutor(1, "annpot-parts") as writer:
        for number, structures in zip(shown, readable, strict=True):
            skipped.clear()
            done = beginning.marks.get(number, [])
            for n_made, write in maker.make(number, structures, skipped, done):
                waiting.append((number, n_made, writer.submit(write)))
                if len(waiting) > n_ahead:
                    yield _take_written(waiting)
        while waiting:
            yield _take_written(waiting)


def _take_written(waiting: deque[tuple[int, int, Future[None]]]) -> tuple[int, int]:
    """Return the first of the parts, when it is written."""
    number, n_made, written = waiting.popleft()
    written.result()
    return number, n_made


def find_species(settings: Settings, base: Path) -> tuple[str, ...]:
    """Return the species of the settings, or else those of the structures.

    Parameters
    ----------
    base
        Folder that the paths of the structures are relative to.
    """
    if settings.species is not None:
        return tuple(settings.species)
    beginning = Beginning(*plan(settings, base), marks={})
    return _read_species(beginning, _show_nothing, _watch_nothing, ALONE)


def _read_species(
    beginning: Beginning, progress: Progress, watch: Watch, ranks: Ranks
) -> tuple[str, ...]:
    """Return the species of all structures that can be read, by atomic number."""
    numbers = deal(beginning.costs(), ranks).tolist()
    crew = Crew(ranks, watch)
    skipped: list[str] = []
    found: set[str] = set()
    readable = PortionReader().read_all(
        beginning.take(numbers),
        on_error="skip",
        skipped=skipped,
        require=require_energy,
    )
    shown = progress(numbers, "species")
    for _, structures in zip(shown, readable, strict=True):
        if not crew.goes_on(0, len(beginning.portions)):
            break
        for structure, _ in structures:
            found.update(structure.symbols)
    shares = crew.gather([sorted(found), skipped[:1]])
    symbols = {symbol for theirs, _ in shares for symbol in theirs}
    if not symbols:
        messages = [message for _, theirs in shares for message in theirs]
        raise StructureError(messages[0] if messages else "no structure found")
    return tuple(sorted(symbols, key=SYMBOLS.index))
