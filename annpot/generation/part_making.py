"""Portions of files -> parts of a fingerprint set, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from annpot.descriptors import Descriptor
from annpot.generation.parts import Mark, PartsFolder, open_part, write_part
from annpot.scaling import Statistics, merge_statistics
from annpot.set_writing import Entry, iterate_batches, make_empty_part, make_part
from annpot.settings import GenerateSettings
from annpot.structures.sources import Source
from annpot.structures.structure import Structure
from annpot.tally import Rules


@dataclass(frozen=True)
class PartMaker:
    """Makes the parts of portions."""

    settings: GenerateSettings
    folder: PartsFolder
    descriptor: Descriptor
    rules: Rules
    origins: Sequence[str]
    """Digest of what the parts of each portion are made of."""

    def make(
        self,
        number: int,
        structures: Iterator[tuple[Structure, Source]],
        skipped: Sequence[str],
        done: Sequence[Mark],
    ) -> Iterator[tuple[int, Callable[[], None]]]:
        """Make the parts of a portion that are not ``done``.

        Parameters
        ----------
        structures
            All those of the portion.
        skipped
            Grows while they are read: what was wrong with others.

        Yields
        ------
        With each part how many there are, those before included, and what writes it.
        """
        entries = (
            self.rules.entry(structure, source) for structure, source in structures
        )
        left = islice(entries, sum(mark.n_structures for mark in done), None)
        statistics = self._statistics_of(number, len(done))
        n_told = sum(mark.n_skipped for mark in done)
        batch = len(done)
        for chosen, last in mark_last(iterate_batches(left, self.settings.batch_atoms)):
            if chosen:
                part, _ = make_part(chosen, self.descriptor)
            else:
                part = make_empty_part(self.descriptor)
            statistics = merge_statistics(statistics, part.statistics)
            told = skipped[n_told:]
            n_told += len(told)
            origin = self.origins[number]
            mark = Mark(origin, number, batch, last, len(chosen), len(told))
            path = self.folder.part(number, batch)
            part = replace(part, statistics=statistics if last else [])
            batch += 1
            yield batch, partial(write_part, path, mark, self.descriptor, part, told)

    def _statistics_of(self, number: int, n_batches: int) -> list[Statistics]:
        """Return the statistics of the first batches of a portion."""
        statistics: list[Statistics] = []
        for batch in range(n_batches):
            path = self.folder.part(number, batch)
            with open_part(path, self.descriptor) as part:
                more = part.recompute_statistics()
            statistics = merge_statistics(statistics, more)
        return statistics


def mark_last(batches: Iterable[list[Entry]]) -> Iterator[tuple[list[Entry], bool]]:
    """Yield each batch, and whether it is the last; an empty one if there is none."""
    before: list[Entry] | None = None
    for batch in batches:
        if before is not None:
            yield before, False
        before = batch
    yield before or [], True
