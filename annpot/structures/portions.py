"""Portions of work for ranks or for a run that can be resumed, planned and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from annpot.errors import AnnpotError, StructureError
from annpot.structures.packing import Found
from annpot.structures.pieces import Refill
from annpot.structures.portion import Portion, iterate_portions
from annpot.structures.reading_ahead import Parsed, parse_portions
from annpot.structures.sources import Source
from annpot.structures.structure import Structure

__all__ = ["Portion", "PortionReader", "iterate_portions"]

OnError = Literal["stop", "skip"]
Require = Callable[[Structure], None]


class PortionReader:
    """Reads portions; quickest in the order in which they were planned.

    Parameters
    ----------
    n_workers
        Processes that parse ahead, see `annpot.structures.reading_ahead`.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        self._n_workers = n_workers
        self._refill = Refill()

    def read_all(
        self,
        portions: Iterable[Portion],
        *,
        on_error: OnError = "stop",
        skipped: list[str] | None = None,
        require: Require | None = None,
    ) -> Iterator[Iterator[tuple[Structure, Source]]]:
        """Yield the structures of each portion; parameters as of `read_files`.

        Those of a portion must be read before the next.
        """
        for portion, parsed in parse_portions(portions, self._refill, self._n_workers):
            yield _select(portion, parsed, on_error, skipped, require)


def _select(
    portion: Portion,
    parsed: Parsed,
    on_error: OnError,
    skipped: list[str] | None,
    require: Require | None,
) -> Iterator[tuple[Structure, Source]]:
    """Yield the structures; raise errors or note them."""
    for number, found in parsed:
        error = _find_error(found, require)
        if error is None:
            assert isinstance(found, Structure)
            yield found, portion.pieces[number].file.source
        elif on_error == "stop" or not isinstance(error, StructureError):
            raise error
        elif skipped is not None:
            skipped.append(str(error))


def _find_error(found: Found, require: Require | None) -> AnnpotError | None:
    if not isinstance(found, Structure):
        return found
    try:
        if require is not None:
            require(found)
    except StructureError as error:
        return error
    return None
