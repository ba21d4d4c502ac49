"""The output of ``annpot predict``: a table, JSON lines, an extxyz, and warnings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import click
import numpy as np

from annpot.accuracy import RunningErrors
from annpot.cli.output import open_output
from annpot.cli.report import print_json, say
from annpot.cli.warnings import Warnings
from annpot.extrapolation import LEVELS
from annpot.prediction import Prediction
from annpot.settings import PredictSettings


class Predictions:
    """Prints predictions one by one, and a summary at the end.

    Parameters
    ----------
    spread
        Whether they are those of a committee, with standard deviations.
    warnings
        Gets all findings; ``None``: they are not written.
    """

    def __init__(
        self,
        settings: PredictSettings,
        as_json: bool,
        output: Path | None,
        spread: bool,
        warnings: Path | None = None,
    ) -> None:
        self._settings, self._as_json, self._output = settings, as_json, output
        self._spread = spread
        self._stack = contextlib.ExitStack()
        self._write: Callable[[bytes], None] | None = None
        self._errors = RunningErrors()
        self._warnings = Warnings(warnings)
        self.n_structures = 0

    @property
    def n_extrapolating(self) -> int:
        """Number of structures outside the training data."""
        return self._warnings.n_extrapolating

    def __enter__(self) -> Predictions:
        """Open the files to write, and print the head of the table."""
        self._stack.enter_context(self._warnings)
        if self._output is not None:
            self._write = self._stack.enter_context(open_output(self._output))
        if not self._as_json:
            click.echo(
                "# file frame atoms energy(eV) energy/atom(eV) "
                "max_force(eV/angstrom) extrapolation dE(meV/atom) "
                "force_rmse(meV/angstrom)"
                + self._spread
                * " energy_std(meV/atom) max_force_std(meV/angstrom)"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print the summary, unless an error ended the table."""
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self._summarise()

    def add(self, prediction: Prediction) -> None:
        """Print one prediction."""
        self.n_structures += 1
        deviations = self._collect_errors(prediction)
        self._warnings.add(prediction)
        if self._as_json:
            print_json(as_record(prediction))
        else:
            self._print_row(prediction, deviations)
        if self._write is not None:
            text = StringIO()
            write_extxyz(text, prediction)
            self._write(text.getvalue().encode())

    def _print_row(self, prediction: Prediction, deviations: list[str]) -> None:
        structure, settings = prediction.structure, self._settings
        n_atoms, forces_nc = len(structure), prediction.forces_nc
        assert forces_nc is not None
        largest = np.sqrt(np.max(np.sum(forces_nc**2, axis=1)))
        click.echo(
            f"{structure.file} {structure.index} {n_atoms} {prediction.energy:.8f} "
            f"{prediction.energy / n_atoms:.8f} {largest:.6f} {level_of(prediction)} "
            f"{' '.join(deviations + _spread_of(prediction))}"
        )
        if settings.stress:
            stress_v = prediction.stress_v
            words = ["none"] if stress_v is None else [f"{x:.10f}" for x in stress_v]
            click.echo(f"  stress {' '.join(words)}")
        if settings.forces or settings.atomic_energies:
            for n, symbol in enumerate(structure.symbols):
                words = [f"  {n} {symbol}"]
                if settings.forces:
                    words += [f"{x:.8f}" for x in forces_nc[n]]
                if settings.atomic_energies:
                    words.append(f"{prediction.atomic_energies[n]:.8f}")
                if settings.forces and prediction.forces_std_n is not None:
                    words.append(f"{prediction.forces_std_n[n]:.8f}")
                click.echo(" ".join(words))

    def _collect_errors(self, prediction: Prediction) -> list[str]:
        """Add the errors of a prediction; return them as words, ``-`` if unknown."""
        structure, words = prediction.structure, ["-", "-"]
        if prediction.reference_energy is not None:
            dE = prediction.energy - prediction.reference_energy
            self._errors.add_energy(dE, len(structure))
            words[0] = f"{1000 * dE / len(structure):.3f}"
        if structure.forces_nc is not None and prediction.forces_nc is not None:
            dF_nc = prediction.forces_nc - structure.forces_nc
            self._errors.add_forces(dF_nc)
            words[1] = f"{1000 * np.sqrt(np.mean(dF_nc**2)):.3f}"
        return words

    def _summarise(self) -> None:
        self._print_errors()
        self._warnings.summarise(self.n_structures)
        if self._output is not None:
            say(f"wrote {self._output}")

    def _print_errors(self) -> None:
        sums, errors = self._errors, self._errors.errors()
        lines = [
            f"errors of {sums.n_energies} energies: RMSE "
            f"{1000 * errors.energy_rmse:.3f} MAE {1000 * errors.energy_mae:.3f} "
            "meV/atom",
            f"errors of forces of {sums.n_forces} structures: RMSE "
            f"{1000 * errors.force_rmse:.3f} MAE {1000 * errors.force_mae:.3f} "
            "meV/angstrom",
        ]
        for line, n_known in zip(lines, (sums.n_energies, sums.n_forces), strict=True):
            if n_known and self._as_json:
                say(line)
            elif n_known:
                click.echo(f"# {line}")


def _spread_of(prediction: Prediction) -> list[str]:
    """Return the standard deviations of a committee as words; none of a potential."""
    energy_std, forces_std_n = prediction.energy_std, prediction.forces_std_n
    if energy_std is None or forces_std_n is None:
        return []
    per_atom = energy_std / len(prediction.structure)
    return [f"{1000 * per_atom:.3f}", f"{1000 * forces_std_n.max():.3f}"]


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
    references = {
        "energy": prediction.reference_energy,
        "forces": structure.forces_nc,
        "stress": structure.stress_v,
    }
    known = {key: value for key, value in references.items() if value is not None}
    return record | ({"reference": known} if known else {})


def write_extxyz(file: IO[str], prediction: Prediction) -> None:
    """Append a prediction in ASE's conventions; references get the prefix ``REF_``."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io.extxyz import write_extxyz as write

    structure = prediction.structure
    atoms = Atoms(
        structure.symbols,
        structure.positions_nc,
        cell=structure.cell_cc,
        pbc=structure.pbc_c,
        info={"file": structure.file, "extrapolation": level_of(prediction)},
    )
    results = {
        "energy": prediction.energy,
        "forces": prediction.forces_nc,
        "energies": prediction.atomic_energies,
        "stress": prediction.stress_v,
    }
    atoms.calc = SinglePointCalculator(
        atoms, **{key: value for key, value in results.items() if value is not None}
    )
    if prediction.level_n is not None:
        atoms.set_array("extrapolation_level", prediction.level_n)
    if prediction.energy_std is not None:
        atoms.info["energy_std"] = prediction.energy_std
    if prediction.forces_std_n is not None:
        atoms.set_array("forces_std", prediction.forces_std_n)
    if prediction.reference_energy is not None:
        atoms.info["REF_energy"] = prediction.reference_energy
    if structure.forces_nc is not None:
        atoms.set_array("REF_forces", structure.forces_nc)
    if structure.stress_v is not None:
        atoms.info["REF_stress"] = structure.stress_v
    write(file, [atoms])
