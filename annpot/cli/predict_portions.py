"""Portions of files -> predictions in words: what a rank of ``annpot predict`` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from annpot.cli.predictions import Predictions, Totals
from annpot.cli.report import MAX_SKIPPED
from annpot.errors import AnnpotError
from annpot.messages import join, split
from annpot.prediction import Explain, predict
from annpot.predictor import Predictor
from annpot.structures.packing import describe_error, make_error
from annpot.structures.portions import Portion, PortionReader
from annpot.structures.structure import Structure, check_species


@dataclass
class Part:
    """What a portion gave: results, frames of the extxyz, findings, totals."""

    lines: bytes
    frames: bytes
    findings: bytes
    totals: Totals
    failure: AnnpotError | None
    """What ended it; the rest came before."""

    def pack(self) -> bytes:
        """Return it as bytes."""
        failure = self.failure and describe_error(self.failure)
        head = [self.totals.to_json(), failure]
        return join(head, [self.lines, self.frames, self.findings])

    @classmethod
    def unpack(cls, packed: bytes) -> Part:
        """Return what `pack` packed."""
        (totals, failure), parts = split(packed)
        lines, frames, findings = map(bytes, parts)
        error = None if failure is None else make_error(failure)
        return cls(lines, frames, findings, Totals.from_json(totals), error)


@dataclass
class PortionPredictor:
    """Predicts portions, one after the other; each is the same whoever does it."""

    predictor: Predictor
    words: Predictions
    on_error: Literal["stop", "skip"]
    stress: bool
    batch_atoms: int
    details: bool = False
    explain: Explain | None = None
    reader: PortionReader = field(default_factory=PortionReader)
    """One for all calls: it reads an archive once."""

    def __call__(self, portions: Iterable[Portion]) -> Iterator[bytes]:
        """Yield the packed `Part` of each portion."""
        skipped: list[str] = []
        for structures in self.reader.read_all(
            portions, on_error=self.on_error, skipped=skipped, require=self._check
        ):
            failure = self._add(structure for structure, _ in structures)
            lines, frames, findings, totals = self.words.take()
            totals.skipped = skipped[:MAX_SKIPPED]
            totals.n_skipped = len(skipped)
            skipped.clear()
            yield Part(lines, frames, findings, totals, failure).pack()
            if failure is not None:
                return

    def _check(self, structure: Structure) -> None:
        check_species(structure, self.predictor.species)

    def _add(self, structures: Iterable[Structure]) -> AnnpotError | None:
        """Predict some structures; return what ended that, if it was an error."""
        try:
            for prediction in predict(
                self.predictor,
                structures,
                stress=self.stress,
                batch_atoms=self.batch_atoms,
                details=self.details,
                explain=self.explain,
            ):
                self.words.add(prediction)
        except AnnpotError as error:
            return error
        return None
