"""What is in a file in the annpot format, and whether it holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annpot.checkpoints import file as checkpoint_file
from annpot.committee import Committee
from annpot.errors import FileFormatError
from annpot.fingerprints import load_set
from annpot.format import container, reading
from annpot.potential import Potential
from annpot.predictor import load_predictor

TOLERANCE = 1e-9
"""Largest deviation from the test vectors in eV/atom and eV/angstrom."""


@dataclass(frozen=True)
class Verification:
    """What was checked of a file."""

    checksum: str
    energy_deviation: float | None
    """Largest deviation from the test vectors, eV/atom; ``None``: no potential."""
    force_deviation: float | None
    """eV/angstrom."""


def describe(path: Path) -> dict[str, Any]:
    """Return what is in a file, JSON-ready.

    Raises
    ------
    FileFormatError
        If it is damaged, of no known kind or of a newer version.
    """
    with reading.open_checked(path) as file:
        header: dict[str, Any] = {
            name: reading.read_attribute(file, name, str)
            for name in (
                container.KIND,
                container.UNITS,
                container.WRITER,
                container.CREATED,
                container.SHA256,
            )
        }
        header["version"] = reading.read_attribute(file, container.VERSION, int)
        settings = reading.read_text(file, container.SETTINGS)
    description = {"file": str(path), **header}
    if header[container.KIND] == container.FINGERPRINTS:
        description |= _describe_set(path)
    elif header[container.KIND] == container.CHECKPOINT:
        description |= _describe_checkpoint(path)
    else:
        predictor = load_predictor(path)
        if isinstance(predictor, Committee):
            description |= _describe_committee(predictor)
        else:
            description |= _describe_potential(predictor)
    try:
        description["settings"] = json.loads(settings)
    except (ValueError, RecursionError):
        raise FileFormatError(f"'{path}', settings: not JSON") from None
    return description


def _describe_set(path: Path) -> dict[str, Any]:
    fingerprints = load_set(path)
    batch, labels = fingerprints.batch, fingerprints.labels
    counts = np.bincount(batch.species_n, minlength=len(batch.species))
    sets = labels.sets
    return {
        "species": _by_species(batch.species, counts.tolist()),
        "reference_energies": _by_species(
            batch.species, fingerprints.reference_energies.tolist()
        ),
        "n_structures": batch.n_structures,
        "n_atoms": batch.n_atoms,
        "n_with_forces": int(
            np.isfinite(labels.forces_nc[batch.first_s[:-1], 0]).sum()
        ),
        "n_with_stress": int(np.isfinite(labels.stress_sv[:, 0]).sum()),
        "sets": {name or "unassigned": sets.count(name) for name in sorted(set(sets))},
        "groups": {
            name: labels.groups.count(name)
            for name in sorted(set(labels.groups))
            if name
        },
        "descriptor": fingerprints.descriptor.to_dict(),
        "n_features": fingerprints.descriptor.n_features,
    }


def _describe_checkpoint(path: Path) -> dict[str, Any]:
    checkpoint = checkpoint_file.load(path)
    progress = checkpoint.progress
    return {
        "set": {"file": checkpoint.set_name, "sha256": checkpoint.set_sha256},
        "members_done": progress.n_done,
        "epochs": progress.n_epochs,
        "seconds": progress.seconds,
        "best_epochs": [epoch.number for epoch, _ in progress.kept],
    }


def _describe_committee(committee: Committee) -> dict[str, Any]:
    return {
        "species": list(committee.species),
        "cutoff": committee.cutoffs[-1],
        "n_members": len(committee.members),
        "calibration": _describe_calibration(committee),
        "members": [_describe_potential(member) for member in committee.members],
    }


def _describe_calibration(committee: Committee) -> dict[str, Any] | str:
    """Return by what deviations are multiplied for bounds of errors."""
    calibration = committee.calibration
    if calibration is None:
        return "none"
    words: dict[str, Any] = {"level": calibration.level}
    if calibration.energy is not None:
        words["energy_per_atom"] = asdict(calibration.energy)
    if calibration.forces is not None:
        scales = [asdict(scale) for scale in calibration.forces]
        words["forces"] = _by_species(committee.species, scales)
    return words


def _describe_potential(potential: Potential) -> dict[str, Any]:
    species = potential.species
    return {
        "species": list(species),
        "reference_energies": _by_species(
            species, potential.reference_energies.tolist()
        ),
        "cutoff": potential.descriptor.cutoffs[-1],
        "descriptor": potential.descriptor.to_dict(),
        "networks": {
            symbol: {
                "layers": list(model.network.sizes),
                "activations": list(model.network.activations),
                "n_weights": model.network.n_weights,
            }
            for symbol, model in zip(species, potential.models, strict=True)
        },
        "n_test_vectors": potential.test_vectors.batch.n_structures
        if potential.test_vectors
        else 0,
        "provenance": potential.provenance,
    }


def _by_species(species: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    return dict(zip(species, values, strict=True))


def verify_file(path: Path) -> Verification:
    """Check the checksum of a file, and the test vectors of all potentials in it.

    Raises
    ------
    FileFormatError
        If the content does not have its checksum, or the potential gives other
        energies or forces than when it was written.
    """
    with reading.open_checked(path) as file:
        reading.verify_checksum(file)
        checksum = reading.read_attribute(file, container.SHA256, str)
        kind = reading.read_attribute(file, container.KIND, str)
    if kind in (container.FINGERPRINTS, container.CHECKPOINT):
        return Verification(checksum, None, None)
    predictor = load_predictor(path)
    if isinstance(predictor, Potential):
        return Verification(checksum, *_verify(predictor, f"'{path}'"))
    deviations = [
        _verify(member, f"'{path}', member {k}")
        for k, member in enumerate(predictor.members)
    ]
    dE, dF = (max(values) for values in zip(*deviations, strict=True))
    return Verification(checksum, dE, dF)


def _verify(potential: Potential, where: str) -> tuple[float, float]:
    """Return the largest deviations from the test vectors, if they are small."""
    if potential.test_vectors is None:
        raise FileFormatError(f"{where}: no test vectors")
    dE, dF = potential.verify()
    if not (dE <= TOLERANCE and dF <= TOLERANCE):
        raise FileFormatError(
            f"{where}: this potential gives other energies (by {dE:.1e} eV/atom) and "
            f"forces (by {dF:.1e} eV/angstrom) than when it was written"
        )
    return dE, dF
