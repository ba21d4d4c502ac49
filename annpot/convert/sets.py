"""Structures and training sets of any format, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from annpot.convert.aenet.sets import read_training_set, write_training_set
from annpot.convert.formats import READABLE, WRITABLE, Content, advice
from annpot.convert.options import Options
from annpot.convert.structure_files import (
    lost_with_set,
    structures_of_set,
    write_structures,
)
from annpot.convert.verification import check_structures
from annpot.errors import InputError
from annpot.fingerprints import load_set
from annpot.format import container, reading
from annpot.structures.reading import Source, find_files, read_files
from annpot.structures.runner_data import is_runner
from annpot.structures.structure import Structure


def content_of(path: Path, name: str) -> Content:
    """Return what a file of a readable format holds.

    Raises
    ------
    FileFormatError
        If a file of annpot is damaged: what is converted gets a new, valid checksum.
    """
    if name == "annpot":
        with reading.open_checked(path) as file:
            kind = reading.read_attribute(file, container.KIND, str)
            reading.verify_checksum(file)
        return "set" if kind == container.FINGERPRINTS else "potential"
    return READABLE[name].content


def write_set(
    path: Path,
    name: str,
    output: Path,
    target: str,
    options: Options,
    notes: list[str],
) -> None:
    """Convert a training set: to that of the other program, or to its structures.

    Raises
    ------
    AnnpotError
        If that is not possible, or structure files are missing.
    """
    if name.startswith("aenet-train"):
        if target != "annpot":
            raise InputError(
                f"--to {target}: a training set of aenet becomes one of annpot first: "
                f"annpot convert {path} fingerprints.h5"
            )
        read_training_set(
            path,
            output,
            structures=options.structures,
            legacy=options.angular == "legacy",
            notes=notes,
        )
        return
    fingerprints = load_set(path)
    if target.startswith("aenet-train"):
        text = target == "aenet-train-ascii"
        write_training_set(
            fingerprints, output, text=text, layout=options.layout, notes=notes
        )
        return
    if WRITABLE[target].content != "structures":
        raise InputError(
            f"--to {target}: a fingerprint set becomes structures or aenet-train"
        )
    notes += lost_with_set(fingerprints)
    _write_checked(
        lambda: structures_of_set(fingerprints), output, target, options, notes
    )


def write_all(
    paths: Sequence[Path],
    output: Path,
    target: str,
    options: Options,
    notes: list[str],
) -> None:
    """Write the structures of files of any format into another.

    Raises
    ------
    AnnpotError
        If a file is wrong, or the format cannot hold its structures.
    """
    if WRITABLE[target].content != "structures":
        raise InputError(
            f"'{paths[0]}' is no potential, training set or input that annpot knows; "
            f"structures do not become {WRITABLE[target].noun}, but runner, extxyz or "
            "xsf; 'annpot generate' makes a set of fingerprints of them"
            f"{advice(['structures'])}"
        )
    _write_checked(lambda: _read_all(paths, options), output, target, options, notes)


def _write_checked(
    structures: Callable[[], Iterator[Structure]],
    output: Path,
    target: str,
    options: Options,
    notes: list[str],
) -> None:
    """Write structures, and compare what is read back with them."""
    write_structures(structures(), output, target, options.units, notes)
    format_ = None if output.is_dir() else target
    again = _read_all([output], options, format_)
    check_structures(structures(), again, f"'{output}'")


def _read_all(
    paths: Sequence[Path], options: Options, format_: str | None = None
) -> Iterator[Structure]:
    for path in paths:
        units = str(options.units) if options.units and is_runner(path) else None
        source = Source((str(path),), units=units, format=format_)
        for structure, _ in read_files(find_files(source, Path())):
            yield structure
