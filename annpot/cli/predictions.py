"""The output of ``annpot predict`` in words: table, JSON lines, extxyz, warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import NonNegativeInt, PlainValidator, TypeAdapter

from annpot.accuracy import RunningErrors
from annpot.cli.report import MAX_SKIPPED, to_json
from annpot.cli.warnings import Warnings, word_findings
from annpot.committee import Committee
from annpot.extrapolation import LEVELS
from annpot.logfmt import one_line
from annpot.prediction import Prediction
from annpot.predictor import Predictor
from annpot.settings import PredictSettings
from annpot.structures.extxyz_writing import format_extxyz
from annpot.structures.structure import Array

MATRIX = [0, 5, 4, 5, 1, 3, 4, 3, 2]
"""Voigt components in a symmetric matrix."""


HEAD = (
    "# file frame atoms energy(eV) energy/atom(eV) max_force(eV/angstrom) "
    "extrapolation dE(meV/atom) force_rmse(meV/angstrom)"
)


@dataclass
class Totals:
    """What is counted over all predictions; the same however they are dealt to ranks.

    It is told to other processes, and to the run that goes on, as JSON.
    """

    n_structures: NonNegativeInt = 0
    n_skipped: NonNegativeInt = 0
    errors: Annotated[RunningErrors, PlainValidator(RunningErrors.from_json)] = field(
        default_factory=RunningErrors
    )
    warnings: Warnings = field(default_factory=Warnings)
    skipped: list[str] = field(default_factory=list)
    """The first lines about what was skipped."""

    def add(self, other: Totals) -> None:
        """Add what comes behind."""
        self.n_structures += other.n_structures
        self.n_skipped += other.n_skipped
        self.errors.add(other.errors)
        self.warnings.add(other.warnings)
        self.skipped = (self.skipped + other.skipped)[:MAX_SKIPPED]

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        errors, warnings = self.errors.to_json(), vars(self.warnings)
        return {**vars(self), "errors": errors, "warnings": warnings}

    @classmethod
    def from_json(cls, values: Any) -> Totals:
        """Return what `to_json` described.

        Raises
        ------
        ValueError
            If these are no totals.
        """
        totals = _TOTALS.validate_python(values)
        n_found, worst = totals.warnings.n_extrapolating, totals.warnings.worst
        if n_found > totals.n_structures or (worst is None) != (n_found == 0):
            raise ValueError("counts of structures that cannot be")
        return totals


_TOTALS = TypeAdapter(Totals)


class Predictions:
    """Words predictions: a table or JSON lines, an extxyz, warnings, and totals.

    Parameters
    ----------
    extxyz
        Whether that is wanted, too.
    spread
        What the last columns are, which the predictions of a committee have: ``error``
        or ``std``, of energies and of forces.
    """

    def __init__(
        self,
        settings: PredictSettings,
        as_json: bool,
        extxyz: bool,
        spread: tuple[str, str] | None,
    ) -> None:
        self._settings, self._as_json, self._extxyz = settings, as_json, extxyz
        self._rows: list[str] = []
        self._frames: list[str] = []
        self._findings: list[str] = []
        self.totals = Totals()
        self.head = "" if as_json else _word_head(settings, spread)

    def take(self) -> tuple[bytes, bytes, bytes, Totals]:
        """Return lines, frames, findings and totals of what was added since."""
        lines = "\n".join([*self._rows, ""]) if self._rows else ""
        taken = (
            _encode(lines),
            _encode("".join(self._frames)),
            _encode("".join(self._findings)),
            self.totals,
        )
        self._rows, self._frames, self._findings = [], [], []
        self.totals = Totals()
        return taken

    def add(self, prediction: Prediction) -> None:
        """Add one prediction."""
        self.totals.n_structures += 1
        deviations = self._collect_errors(prediction)
        self.totals.warnings.look(prediction)
        self._findings.append(word_findings(prediction))
        if self._as_json:
            self._rows.append(to_json(as_record(prediction)))
        else:
            self._add_row(prediction, deviations)
        if self._extxyz:
            self._frames.append(to_extxyz(prediction))

    def _add_row(self, prediction: Prediction, deviations: list[str]) -> None:
        structure, settings = prediction.structure, self._settings
        n_atoms, forces_nc = len(structure), prediction.forces_nc
        largest = np.sqrt(np.max(np.sum(forces_nc**2, axis=1)))
        self._rows.append(
            f"{one_line(structure.file)} {structure.index} {n_atoms} "
            f"{prediction.energy:.8f} {prediction.energy / n_atoms:.8f} {largest:.6f} "
            f"{level_of(prediction)} "
            f"{' '.join(deviations + _spread_words(prediction))}"
        )
        if settings.stress:
            stress_v = prediction.stress_v
            words = ["none"] if stress_v is None else [f"{x:.10f}" for x in stress_v]
            self._rows.append(f"  stress {' '.join(words)}")
        if settings.forces or settings.atomic_energies:
            _, spread_n = _spread_of(prediction)
            for n, symbol in enumerate(structure.symbols):
                words = [f"  {n} {symbol}"]
                if settings.forces:
                    words += [f"{x:.8f}" for x in forces_nc[n]]
                if settings.atomic_energies:
                    words.append(f"{prediction.atomic_energies[n]:.8f}")
                if settings.forces and spread_n is not None:
                    words.append(f"{spread_n[n]:.8f}")
                self._rows.append(" ".join(words))

    def _collect_errors(self, prediction: Prediction) -> list[str]:
        """Add the errors of a prediction; return them as words, ``-`` if unknown."""
        structure, words = prediction.structure, ["-", "-"]
        if prediction.reference_energy is not None:
            dE = prediction.energy - prediction.reference_energy
            self.totals.errors.add_energy(dE, len(structure))
            words[0] = f"{1000 * dE / len(structure):.3f}"
        if structure.forces_nc is not None:
            dF_nc = prediction.forces_nc - structure.forces_nc
            self.totals.errors.add_forces(dF_nc)
            words[1] = f"{1000 * np.sqrt(np.mean(dF_nc**2)):.3f}"
        return words


def _word_head(settings: PredictSettings, spread: tuple[str, str] | None) -> str:
    """Return the lines that name the columns of all lines of the table."""
    columns, atoms = HEAD, "#   atom species"
    if spread is not None:
        of_energy, of_force = spread
        columns += f" energy_{of_energy}(meV/atom) max_force_{of_force}(meV/angstrom)"
    lines = [columns]
    if settings.stress:
        lines.append("#   stress xx yy zz yz xz xy(eV/angstrom^3)")
    if settings.forces:
        atoms += " force_x force_y force_z(eV/angstrom)"
    if settings.atomic_energies:
        atoms += " energy(eV)"
    if settings.forces and spread is not None:
        atoms += f" force_{of_force}(eV/angstrom)"
    if settings.forces or settings.atomic_energies:
        lines.append(atoms)
    return "\n".join([*lines, ""])


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # names of files may be no text


def word_errors(sums: RunningErrors) -> list[str]:
    """Return the lines about the errors, as far as there are references."""
    errors, lines = sums.errors(), []
    if sums.n_energies:
        lines.append(
            f"errors of {sums.n_energies} energies: RMSE "
            f"{1000 * errors.energy_rmse:.3f} MAE {1000 * errors.energy_mae:.3f} "
            "meV/atom"
        )
    if sums.n_forces:
        lines.append(
            f"errors of forces of {sums.n_forces} structures: RMSE "
            f"{1000 * errors.force_rmse:.3f} MAE {1000 * errors.force_mae:.3f} "
            "meV/angstrom"
        )
    return lines


def name_spread(predictor: Predictor) -> tuple[str, str] | None:
    """Return what the last columns are, ``error`` or ``std``; none for a potential."""
    if not isinstance(predictor, Committee):
        return None
    known = predictor.calibration
    return (
        "error" if known and known.energy else "std",
        "error" if known and known.forces else "std",
    )


def _spread_of(prediction: Prediction) -> tuple[float | None, Array | None]:
    """Return the bounds of the errors, or standard deviations without calibration."""
    energy, forces_n = prediction.energy_error, prediction.forces_error_n
    return (
        prediction.energy_std if energy is None else energy,
        prediction.forces_std_n if forces_n is None else forces_n,
    )


def _spread_words(prediction: Prediction) -> list[str]:
    energy, forces_n = _spread_of(prediction)
    if energy is None or forces_n is None:
        return []
    per_atom = energy / len(prediction.structure)
    return [f"{1000 * per_atom:.3f}", f"{1000 * forces_n.max():.3f}"]


def level_of(prediction: Prediction) -> str:
    """Return ``none``, ``low``, ``high`` or, without training data, ``unknown``."""
    if prediction.extrapolates is None:
        return "unknown"
    return LEVELS[prediction.finding.level if prediction.finding else 0]


def as_record(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction with its references, JSON-ready."""
    structure, finding = prediction.structure, prediction.finding
    level_n = prediction.level_n
    extrapolation: dict[str, Any] = {
        "level": level_of(prediction),
        "atoms": [] if level_n is None else np.flatnonzero(level_n),
        "distance": prediction.distance_n,
    }
    if finding is not None:
        extrapolation["worst"] = finding.to_dict()
        extrapolation["findings"] = [found.to_dict() for found in prediction.findings]
    record = {
        "file": structure.file,
        "frame": structure.index,
        "n_atoms": len(structure),
        "symbols": structure.symbols,
        "energy": prediction.energy,
        "forces": prediction.forces_nc,
        "stress": prediction.stress_v,
        "atomic_energies": prediction.atomic_energies,
        "extrapolation": extrapolation,
    }
    if prediction.energy_std is not None:
        record["energy_std"] = prediction.energy_std
        record["forces_std"] = prediction.forces_std_n
    if prediction.energy_error is not None:
        record["energy_error"] = prediction.energy_error
    if prediction.forces_error_n is not None:
        record["forces_error"] = prediction.forces_error_n
    references = {
        "energy": prediction.reference_energy,
        "forces": structure.forces_nc,
        "stress": structure.stress_v,
    }
    known = {key: value for key, value in references.items() if value is not None}
    return record | ({"reference": known} if known else {})


def to_extxyz(prediction: Prediction) -> str:
    """Return a prediction in ASE's conventions; references get the prefix ``REF_``."""
    structure = prediction.structure
    info: dict[str, Any] = {
        "file": structure.file,
        "extrapolation": level_of(prediction),
        "energy_std": prediction.energy_std,
        "energy_error": prediction.energy_error,
        "REF_energy": prediction.reference_energy,
        "REF_stress": structure.stress_v,
        "energy": prediction.energy,
        "stress": None,
    }
    if prediction.stress_v is not None:
        info["stress"] = prediction.stress_v[MATRIX]
    columns = {
        "extrapolation_level": prediction.level_n,
        "forces_std": prediction.forces_std_n,
        "forces_error": prediction.forces_error_n,
        "REF_forces": structure.forces_nc,
        "forces": prediction.forces_nc,
        "energies": prediction.atomic_energies,
    }
    return format_extxyz(
        structure,
        {key: value for key, value in info.items() if value is not None},
        {key: value for key, value in columns.items() if value is not None},
    )
