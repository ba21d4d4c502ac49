"""Structures -> files of other programs: input.data, extxyz, XSF as aenet reads it.

Numbers are written with as many digits as it takes to read the same again. Files grow
structure by structure; they are complete when `write_structures` returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from annpot.errors import InputError, StructureError
from annpot.fingerprints import FingerprintSet
from annpot.format.writing import errors_naming
from annpot.structures.structure import Array, Structure
from annpot.units import Units

FORMATS = ("runner", "extxyz", "xsf")


def structures_of_set(loaded: FingerprintSet) -> Iterator[Structure]:
    """Yield the structures of a fingerprint set with total energies, forces, stresses.

    Weights and groups have no place in a structure.
    """
    batch, labels = loaded.batch, loaded.labels
    symbols = np.array(batch.species)[batch.species_n].tolist()
    for s in range(batch.n_structures):
        atoms = slice(int(batch.first_s[s]), int(batch.first_s[s + 1]))
        forces_nc, stress_v = labels.forces_nc[atoms], labels.stress_sv[s]
        yield Structure(
            symbols=tuple(symbols[atoms]),
            positions_nc=batch.positions_nc[atoms],
            cell_cc=batch.cells_scc[s],
            pbc_c=batch.pbc_sc[s],
            energy=float(labels.energy_s[s]),
            forces_nc=forces_nc if np.isfinite(forces_nc).all() else None,
            stress_v=stress_v if np.isfinite(stress_v).all() else None,
            file=labels.files[s],
            index=int(labels.index_s[s]),
            set=labels.sets[s] or None,
        )


def lost_with_set(loaded: FingerprintSet) -> list[str]:
    """Return one line on what `structures_of_set` does not give, if it is there."""
    labels = loaded.labels
    lost = []
    if len(set(labels.weight_s.tolist())) > 1 or labels.weight_s[0] != 1.0:
        lost.append("weights")
    if any(labels.groups):
        lost.append("names of groups")
    return [f"'{loaded.path}': {' and '.join(lost)} are not written"] if lost else []


def write_structures(
    structures: Iterable[Structure],
    path: Path,
    format_: str,
    units: Units | None,
    notes: list[str],
) -> list[Path]:
    """Write structures, and return the files; ``path`` is a folder for ``xsf``.

    Parameters
    ----------
    format_
        ``runner``: one ``input.data``; ``extxyz``: one file; ``xsf``: one file each.
    units
        Those to write: needed for ``runner``, which does not name them; the others are
        always in angstrom and eV.
    notes
        Takes a line on each thing that the format cannot hold.

    Raises
    ------
    InputError
        If the units are missing.
    StructureError
        If a structure cannot be expressed, or there is none.
    """
    if format_ == "runner" and units is None:
        raise InputError(
            f"'{path.name}' cannot say its units: please give those to write, e.g. "
            "--units bohr,hartree or --units angstrom,ev"
        )
    counts: Counter[str] = Counter()
    checked = _count_losses(structures, format_, counts)
    with errors_naming(path):
        files = _WRITERS[format_](checked, path, units or Units())
    if not counts["structures"]:
        raise StructureError(f"'{path.name}': no structure to write")
    notes += _describe(counts, format_, path)
    return files


def _count_losses(
    structures: Iterable[Structure], format_: str, counts: Counter[str]
) -> Iterator[Structure]:
    """Yield structures that can be written; count what gets lost of them."""
    for structure in structures:
        counts["structures"] += 1
        if format_ != "extxyz" and structure.pbc_c.any() != structure.pbc_c.all():
            raise StructureError(
                f"{structure.label}: periodic in {structure.pbc_c.sum()} directions, "
                f"expected 3 or none for {format_}: write extxyz instead, or add vacuum"
            )
        if format_ != "xsf" and structure.energy is None:
            if structure.cohesive_energy is not None:
                raise StructureError(
                    f"{structure.label}: a cohesive energy only, expected a total one: "
                    "annpot generate adds the energies of the atoms, convert its set"
                )
        if structure.energy is None and structure.cohesive_energy is None:
            counts["energies"] += 1
        counts["forces"] += structure.forces_nc is None
        counts["stresses"] += structure.stress_v is not None
        counts["sets"] += structure.set is not None
        counts["validation"] += structure.set == "validation"
        yield structure


def _describe(counts: Counter[str], format_: str, path: Path) -> list[str]:
    """Return what is missing or lost, one line each."""
    no_forces = {
        "runner": "zeros are written: do not train on them",
        "extxyz": "none are written",
        "xsf": "none are written, without which aenet's generate.x stops",
    }[format_]
    no_energies = {
        "runner": "their 'energy' is left out, which n2p2 takes as 0",
        "extxyz": "none are written",
        "xsf": "none are written, without which aenet's generate.x stops",
    }[format_]
    cannot_hold = {
        "runner": {"stresses": "stresses"},
        "extxyz": {"sets": "assignments to training and test sets"},
        "xsf": {
            "stresses": "stresses",
            "sets": "assignments to training and test sets",
        },
    }[format_]
    lines = [
        f"'{path.name}': {counts[what]} structures have no {what}, {text}"
        for what, text in (("energies", no_energies), ("forces", no_forces))
        if counts[what]
    ]
    lines += [
        f"'{path.name}': {format_} has no place for {text}, those of {counts[key]} "
        "structures are not written"
        for key, text in cannot_hold.items()
        if counts[key]
    ]
    if format_ == "runner" and counts["validation"]:
        lines.append(
            f"'{path.name}': {counts['validation']} structures for validation are "
            "written as set=train"
        )
    return lines


def _write_runner(
    structures: Iterable[Structure], path: Path, units: Units
) -> list[Path]:
    """Write an ``input.data``, see `annpot.structures.runner_data`."""
    per_length, per_energy = 1.0 / units.angstrom, 1.0 / units.ev
    per_force = units.angstrom / units.ev
    with _open(path) as file:
        for structure in structures:
            forces_nc = structure.forces_nc
            if forces_nc is None:
                forces_nc = np.zeros((len(structure), 3))
            lines = [_BEGIN[structure.set], f"comment {_printable(structure.label)}"]
            if structure.pbc_c.all():
                cell = _rows(structure.cell_cc * per_length)
                lines += [f"lattice {row}" for row in cell]
            lines += [
                f"atom {position} {symbol} 0.0 0.0 {force}"
                for position, symbol, force in zip(
                    _rows(structure.positions_nc * per_length),
                    structure.symbols,
                    _rows(forces_nc * per_force),
                    strict=True,
                )
            ]
            if structure.energy is not None:
                lines.append(f"energy {float(structure.energy * per_energy)!r}")
            file.write("\n".join([*lines, "charge 0.0", "end", ""]))
    return [path]


_BEGIN = {
    None: "begin",
    "train": "begin set=train",
    "validation": "begin set=train",
    "test": "begin set=test",
}


def _write_extxyz(
    structures: Iterable[Structure], path: Path, units: Units
) -> list[Path]:
    """Write an extxyz with ASE's keys; ASE's own writer rounds to 8 digits."""
    with _open(path) as file:
        for structure in structures:
            columns = ["species:S:1:pos:R:3"]
            values_nc = structure.positions_nc
            if structure.forces_nc is not None:
                columns.append("forces:R:3")
                values_nc = np.concatenate([values_nc, structure.forces_nc], axis=1)
            head = [f"Properties={':'.join(columns)}"]
            if structure.cell_cc.any():
                head.insert(0, f'Lattice="{_join(structure.cell_cc)}"')
            if structure.energy is not None:
                head.append(f"energy={float(structure.energy)!r}")
            if structure.stress_v is not None:
                head.append(f'stress="{_join(structure.stress_v[_FULL])}"')
            periodic = " ".join("T" if p else "F" for p in structure.pbc_c)
            head.append(f'pbc="{periodic}"')
            name = _printable(structure.label).replace("\\", "/").replace('"', "'")
            head.append(f'file="{name}"')
            lines = [
                f"{symbol} {row}"
                for symbol, row in zip(structure.symbols, _rows(values_nc), strict=True)
            ]
            file.write("\n".join([str(len(structure)), " ".join(head), *lines, ""]))
    return [path]


_FULL = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Where the components of a 3 x 3 stress stand in Voigt order."""


def _write_xsf(structures: Iterable[Structure], path: Path, units: Units) -> list[Path]:
    """Write a folder of XSF files as aenet reads them: energies in comments, eV."""
    path.mkdir(exist_ok=True)
    files = []
    for number, structure in enumerate(structures, start=1):
        files.append(path / f"structure{number:06d}.xsf")
        with _open(files[-1]) as file:
            file.write(_xsf(structure))
    return files


def _xsf(structure: Structure) -> str:
    lines = []
    if structure.energy is not None:
        lines.append(f"# total energy = {float(structure.energy)!r} eV")
    if structure.cohesive_energy is not None:
        lines.append(f"# cohesive energy = {float(structure.cohesive_energy)!r} eV")
    name = _printable(structure.label)
    if "energy" not in name.lower():  # aenet looks for the word in every line
        lines.append(f"# from {name}")
    if structure.pbc_c.all():
        lines += ["CRYSTAL", "PRIMVEC", *_rows(structure.cell_cc)]
        lines += ["PRIMCOORD", f"{len(structure)} 1"]
    else:
        lines.append("ATOMS")
    values_nc = structure.positions_nc
    if structure.forces_nc is not None:
        values_nc = np.concatenate([values_nc, structure.forces_nc], axis=1)
    lines += [
        f"{symbol} {row}"
        for symbol, row in zip(structure.symbols, _rows(values_nc), strict=True)
    ]
    return "\n".join([*lines, ""])


_WRITERS: dict[str, Callable[[Iterable[Structure], Path, Units], list[Path]]] = {
    "runner": _write_runner,
    "extxyz": _write_extxyz,
    "xsf": _write_xsf,
}


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _rows(values: Array) -> list[str]:
    """Return the rows of a matrix as text, exactly."""
    return [_join_list(row) for row in values.tolist()]


def _join(values: Array) -> str:
    return _join_list(values.ravel().tolist())


def _join_list(numbers: Sequence[float]) -> str:
    return " ".join(map(repr, numbers))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
