"""Warnings of extrapolation in words: lines on stderr, and all findings as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydantic import NonNegativeInt

from annpot.cli.report import to_json
from annpot.logfmt import format_line
from annpot.prediction import Prediction

MAX_WARNINGS = 20
"""Lines of warnings, where a million structures would drown all else."""


@dataclass
class Warnings:
    """What is said about extrapolation; the same however predictions are dealt."""

    n_extrapolating: NonNegativeInt = 0
    n_far: NonNegativeInt = 0
    lines: list[str] = field(default_factory=list)
    """The first of them."""
    worst: tuple[float, str, int] | None = None
    """Excess, file and frame of the structure that is farthest outside."""
    largest_std: float | None = None
    """Largest deviation of a force among a committee, eV/angstrom."""

    def look(self, prediction: Prediction) -> None:
        """Count one prediction."""
        if (std_n := prediction.forces_std_n) is not None:
            self.largest_std = _larger(self.largest_std, float(std_n.max()))
        finding, structure = prediction.finding, prediction.structure
        if finding is None or prediction.level_n is None:
            return
        self.n_extrapolating += 1
        self.n_far += finding.level == 2
        self._rank((finding.excess, structure.file, structure.index))
        if len(self.lines) < MAX_WARNINGS:
            line = finding.line(
                int(np.count_nonzero(prediction.level_n)),
                len(structure),
                file=structure.file,
                frame=structure.index,
            )
            self.lines.append(f"annpot-warning: extrapolation {line}")

    def _rank(self, other: tuple[float, str, int]) -> None:
        if self.worst is None or other[0] > self.worst[0]:
            self.worst = other

    def add(self, other: Warnings) -> None:
        """Add what comes behind."""
        self.n_extrapolating += other.n_extrapolating
        self.n_far += other.n_far
        self.lines = (self.lines + other.lines)[:MAX_WARNINGS]
        if other.worst is not None:
            self._rank(other.worst)
        self.largest_std = _larger(self.largest_std, other.largest_std)

    def summarise(self, n_structures: int) -> str | None:
        """Return the last line, if anything extrapolates."""
        if self.worst is None:
            return None
        excess, file, frame = self.worst
        values: dict[str, object] = {
            "structures": n_structures,
            "extrapolating": self.n_extrapolating,
            "high": self.n_far,
            "percent": f"{100 * self.n_extrapolating / n_structures:.1f}",
            "worst": file,
            "frame": frame,
            "excess": excess,
        }
        if self.largest_std is not None:
            values["max_force_std"] = self.largest_std
        return f"annpot-summary: {format_line(values)}"


def _larger(a: float | None, b: float | None) -> float | None:
    known = [x for x in (a, b) if x is not None]
    return max(known, default=None)


def word_findings(prediction: Prediction) -> str:
    """Return a line of JSON for each thing that was found about an atom."""
    structure = prediction.structure
    where = {"file": structure.file, "frame": structure.index}
    return "".join(
        f"{to_json(where | finding.to_dict())}\n" for finding in prediction.findings
    )
