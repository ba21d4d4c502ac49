"""Structures -> energies, forces, stresses, warnings: what ``annpot predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from annpot.descriptors import Features
from annpot.errors import AnnpotError
from annpot.extrapolation import Assessment, Finding
from annpot.predictor import Predictor
from annpot.structures.structure import (
    Array,
    Integers,
    Structure,
    check_species,
    stack,
)


@dataclass(frozen=True)
class Prediction:
    """What a potential or a committee says of one structure."""

    structure: Structure
    energy: float
    """Total energy, eV."""
    atomic_energies: Array
    """They sum to the energy, eV."""
    forces_nc: Array
    """eV/angstrom."""
    stress_v: Array | None
    """eV/angstrom^3, Voigt order, ASE's sign; ``None`` if not periodic throughout."""
    extrapolates: bool | None
    """Whether it is outside the training data; ``None`` if those are unknown."""
    finding: Finding | None
    """The worst about it, if it extrapolates."""
    level_n: Integers | None
    """Of each atom: 0 inside, 1 outside (low), 2 far outside (high)."""
    distance_n: Array | None
    """Squared Mahalanobis distance of each atom, in units of the limit of level low."""
    reference_energy: float | None
    """From the file, eV."""
    energy_std: float | None = None
    """Standard deviation of the energy among the members of a committee, eV."""
    forces_std_n: Array | None = None
    """The same of the force on each atom, eV/angstrom."""
    energy_error: float | None = None
    """Bound of the error of the energy, eV, of a calibrated committee: 90 % of the
    errors are smaller, for structures like those of its calibration."""
    forces_error_n: Array | None = None
    """The same of the length of the error of the force on each atom, eV/angstrom."""
    findings: tuple[Finding, ...] = ()
    """What each test found about each atom, if asked for."""


Explain = Callable[[Assessment, Features], Assessment]
"""Adds the nearest training atoms, see `annpot.explanation`."""


def predict(
    predictor: Predictor,
    structures: Iterable[Structure],
    *,
    stress: bool = False,
    batch_atoms: int = 20000,
    details: bool = False,
    explain: Explain | None = None,
) -> Iterator[Prediction]:
    """Yield the predictions for ``structures``, worked on in batches.

    An error of ``structures`` comes after the predictions for those before it.

    Parameters
    ----------
    details
        Give all findings, not only the worst of each structure.
    explain
        Find the training atoms nearest to those that extrapolate.

    Raises
    ------
    StructureError
        If a structure holds a species that the potential does not know.
    """

    def predict_batch(structures: list[Structure]) -> Iterator[Prediction]:
        return _predict_batch(predictor, structures, stress, details, explain)

    batch: list[Structure] = []
    size = 0
    failure: AnnpotError | None = None
    try:
        for structure in structures:
            check_species(structure, predictor.species)
            batch.append(structure)
            size += len(structure)
            if size >= batch_atoms:
                yield from predict_batch(batch)
                batch, size = [], 0
    except AnnpotError as error:
        failure = error
    if batch:
        yield from predict_batch(batch)
    if failure is not None:
        raise failure


def _predict_batch(
    predictor: Predictor,
    structures: list[Structure],
    stress: bool,
    details: bool,
    explain: Explain | None,
) -> Iterator[Prediction]:
    batch = stack(structures, predictor.species)
    result = predictor.evaluate(batch, stress=stress)
    assert result.F_nc is not None
    assessment = predictor.assess(result.features, result.F_std_n)
    if explain is not None and assessment is not None:
        assessment = explain(assessment, result.features)
    references = dict(zip(predictor.species, predictor.reference_energies, strict=True))
    for s, structure in enumerate(structures):
        atoms = slice(batch.first_s[s], batch.first_s[s + 1])
        finding = None if assessment is None else assessment.findings[s]
        stress_v = None if result.stress_sv is None else result.stress_sv[s]
        if stress_v is not None and not np.isfinite(stress_v).all():
            stress_v = None
        yield Prediction(
            structure=structure,
            energy=float(result.E_s[s]),
            atomic_energies=result.E_n[atoms],
            forces_nc=result.F_nc[atoms],
            stress_v=stress_v,
            extrapolates=None if assessment is None else finding is not None,
            finding=finding,
            level_n=None if assessment is None else assessment.level_n[atoms],
            distance_n=None if assessment is None else assessment.distance_n[atoms],
            reference_energy=_reference_energy(structure, references),
            energy_std=None if result.E_std_s is None else float(result.E_std_s[s]),
            forces_std_n=None if result.F_std_n is None else result.F_std_n[atoms],
            energy_error=None
            if result.E_error_s is None
            else float(result.E_error_s[s]),
            forces_error_n=None
            if result.F_error_n is None
            else result.F_error_n[atoms],
            findings=tuple(assessment.find_all(s)) if details and assessment else (),
        )


def _reference_energy(
    structure: Structure, references: dict[str, float]
) -> float | None:
    """Return the total energy in the file; a cohesive one counts from free atoms."""
    if structure.energy is not None or structure.cohesive_energy is None:
        return structure.energy
    atoms = sum(references[symbol] for symbol in structure.symbols)
    return structure.cohesive_energy + float(atoms)
