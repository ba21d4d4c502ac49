"""Predictions beside their references, read back from what ``annpot predict`` wrote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.errors import FileFormatError, StructureError
from annpot.structures.ase_reading import detect_format, iterate_atoms
from annpot.structures.references import find_predictions
from annpot.structures.structure import Array


@dataclass(frozen=True)
class Comparison:
    """Energies and forces of all structures that have references."""

    E_s: Array
    """eV/atom."""
    E_reference_s: Array
    baseline_s: Array | None
    """What both have from the composition, eV/atom: the energies of free atoms that
    fit the references best; ``None`` if all compositions are alike."""
    F_nc: Array
    """eV/angstrom."""
    F_reference_nc: Array
    symbols_n: NDArray[np.str_]
    """Chemical symbols of the atoms whose forces are known."""


class _Pair(NamedTuple):
    """One structure: predictions, references; ``None`` where not known."""

    symbols: list[str]
    energy: float | None
    forces: Array | None
    reference_energy: float | None
    reference_forces: Array | None


def read_comparison(paths: Iterable[Path]) -> Comparison:
    """Return predictions and references of all structures in some files.

    A file is what ``annpot predict -o`` wrote (extxyz, or another format of ASE, with
    references called ``REF_energy`` and ``REF_forces``), or what
    ``annpot predict --json`` printed.

    Raises
    ------
    AnnpotError
        If a file cannot be read, or holds no prediction that has a reference.
    """
    energies: list[tuple[float, float]] = []
    formulas: list[Counter[str]] = []
    forces: list[tuple[Array, Array]] = []
    symbols: list[str] = []
    for path in paths:
        known = len(energies) + len(forces)
        for number, pair in enumerate(_read(path)):
            _check_finite(pair, f"'{path}', structure {number}")
            if pair.energy is not None and pair.reference_energy is not None:
                energies.append((pair.energy, pair.reference_energy))
                formulas.append(Counter(pair.symbols))
            if pair.forces is not None and pair.reference_forces is not None:
                forces.append((pair.forces, pair.reference_forces))
                symbols += pair.symbols
        if len(energies) + len(forces) == known:
            raise StructureError(
                f"'{path}': no predictions with references, expected what "
                "'annpot predict -o' writes for structures with energies or forces"
            )
    atoms_s = np.array([formula.total() for formula in formulas], dtype=float)
    E_sk = np.array(energies).reshape(-1, 2) / atoms_s[:, None]
    F_knc = np.concatenate([np.zeros((2, 0, 3)), *map(np.array, forces)], axis=1)
    return Comparison(
        E_s=E_sk[:, 0],
        E_reference_s=E_sk[:, 1],
        baseline_s=_fit_baseline(formulas, E_sk[:, 1]),
        F_nc=F_knc[0],
        F_reference_nc=F_knc[1],
        symbols_n=np.array(symbols, dtype=str),
    )


def _check_finite(pair: _Pair, label: str) -> None:
    for name, values in pair._asdict().items():
        if name != "symbols" and values is not None and not np.isfinite(values).all():
            what = name.replace("_", " ")
            raise StructureError(f"{label}: {what} not finite, expected numbers")


def _fit_baseline(formulas: list[Counter[str]], E_s: Array) -> Array | None:
    species = sorted(set().union(*formulas))
    share_st = np.array(
        [[formula[t] / formula.total() for t in species] for formula in formulas]
    )
    if not len(E_s) or np.ptp(share_st, axis=0).max() < 1e-9:
        return None
    atoms_t, *_ = np.linalg.lstsq(share_st, E_s, rcond=1e-8)
    baseline_s: Array = share_st @ atoms_t
    return baseline_s


def _read(path: Path) -> Iterator[_Pair]:
    if not path.is_file():
        found = "is a folder, expected a file" if path.is_dir() else "no such file"
        raise StructureError(f"'{path}': {found}")
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    return _read_json(path) if is_json else _read_with_ase(path)


def _read_with_ase(path: Path) -> Iterator[_Pair]:
    for number, atoms in enumerate(iterate_atoms(path, detect_format(path))):
        label = f"'{path}', structure {number}"
        predicted, references = find_predictions(atoms, label)
        yield _Pair(list(atoms.symbols), *predicted, *references)


def _read_json(path: Path) -> Iterator[_Pair]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _pair_of(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise FileFormatError(
                    f"'{path}', line {number}: expected a prediction, as 'annpot "
                    "predict --json' prints"
                ) from None


def _pair_of(record: Any) -> _Pair:
    reference = record.get("reference", {})
    symbols = [str(symbol) for symbol in record["symbols"]]
    if not symbols:
        raise ValueError("no atoms")
    energy = reference.get("energy")
    return _Pair(
        symbols,
        float(record["energy"]),
        _array(record["forces"], len(symbols)),
        None if energy is None else float(energy),
        _array(reference.get("forces"), len(symbols)),
    )


def _array(values: Any, n_atoms: int) -> Array | None:
    if values is None:
        return None
    return np.array(values, dtype=float).reshape(n_atoms, 3)
