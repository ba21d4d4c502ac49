"""Warnings of extrapolation: lines on stderr, and all findings in a file."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from annpot.cli.report import finite, say
from annpot.extrapolation import Finding
from annpot.format.writing import errors_naming
from annpot.logfmt import format_line
from annpot.prediction import Prediction

MAX_LINES = 20
"""On stderr, where a million structures would drown all else."""


class Warnings:
    """Tells which predictions extrapolate.

    Parameters
    ----------
    path
        Gets all findings, one JSON object in each line. It is written to at once, under
        its own name, so that after a crash it holds what was found so far.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.n_extrapolating = 0
        self.n_far = 0
        self._worst: tuple[Finding, str, int] | None = None
        self._largest_std: float | None = None

    def __enter__(self) -> Warnings:
        """Open the file."""
        if self._path is not None:
            with errors_naming(self._path):
                self._file = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None and self._path is not None:
            with errors_naming(self._path):
                self._file.close()

    def add(self, prediction: Prediction) -> None:
        """Tell what is to be said of one prediction."""
        if prediction.forces_std_n is not None:
            largest = float(prediction.forces_std_n.max())
            self._largest_std = max(largest, self._largest_std or 0.0)
        finding, level_n = prediction.finding, prediction.level_n
        if finding is None or level_n is None:
            return
        structure = prediction.structure
        self.n_extrapolating += 1
        self.n_far += finding.level == 2
        if self._worst is None or finding.excess > self._worst[0].excess:
            self._worst = finding, structure.file, structure.index
        if self.n_extrapolating <= MAX_LINES:
            n_flagged = int(np.count_nonzero(level_n))
            where = {"file": structure.file, "frame": structure.index}
            line = finding.line(n_flagged, len(structure), **where)
            say(f"annpot-warning: extrapolation {line}")
        elif self.n_extrapolating == MAX_LINES + 1:
            say("annpot-warning: more structures extrapolate; the summary counts them")
        self._write(prediction)

    def _write(self, prediction: Prediction) -> None:
        """Write all findings of a structure, in one go."""
        if self._file is None or self._path is None:
            return
        structure = prediction.structure
        where = {"file": structure.file, "frame": structure.index}
        lines = [
            json.dumps(finite(where | finding.to_dict()), allow_nan=False)
            for finding in prediction.findings
        ]
        with errors_naming(self._path):
            self._file.write("".join(f"{line}\n" for line in lines).encode())
            self._file.flush()

    def summarise(self, n_structures: int) -> None:
        """Say how many structures extrapolate, and which most."""
        if self._worst is None:
            return
        finding, file, frame = self._worst
        values: dict[str, object] = {
            "structures": n_structures,
            "extrapolating": self.n_extrapolating,
            "high": self.n_far,
            "percent": f"{100 * self.n_extrapolating / n_structures:.1f}",
            "worst": file,
            "frame": frame,
            "excess": finding.excess,
        }
        if self._largest_std is not None:
            values["max_force_std"] = self._largest_std
        say(f"annpot-summary: {format_line(values)}")
        if self._path is not None:
            say(f"wrote {self._path}")
