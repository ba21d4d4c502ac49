"""Training sets of aenet <-> fingerprint sets.

A training set of aenet holds features, energies and positions, but no cells: they come
from the structure files that it names. What annpot computes of these has to agree with
the features in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from annpot.convert.aenet.bases import read_part
from annpot.convert.aenet.networks import Setup
from annpot.convert.aenet.set_comparison import Comparison
from annpot.convert.aenet.set_files import (
    Header,
    is_binary_set,
    is_text_set,
    open_set,
)
from annpot.convert.aenet.set_setups import find_setups, measure_setups
from annpot.convert.aenet.set_writing import write_training_set
from annpot.descriptors import Descriptor
from annpot.errors import FileFormatError
from annpot.set_writing import create_set, iterate_batches, make_part
from annpot.tally import Rules, Tally

__all__ = ["is_binary_set", "is_text_set", "read_training_set", "write_training_set"]

BATCH_ATOMS = 2000
MAX_LISTED = 3


def read_training_set(
    path: Path,
    output: Path,
    *,
    structures: Path | None = None,
    legacy: bool = False,
    notes: list[str],
) -> None:
    """Write the fingerprint set of a .train file, with reference energies of aenet.

    Parameters
    ----------
    path
        If it is text, the set-ups of its features are the ``.stp`` files beside it.
    structures
        Folder with the structure files that the set names; by default they are where
        their names say, relative to the folder of the set.
    legacy
        Whether the argument of angular polynomials is that of aenet up to 2.0.3. If the
        features in the file are of the other kind, that is taken, and noted.
    notes
        Takes what the user should know, a line each.

    Raises
    ------
    FileFormatError
        If the set is damaged, structure files are missing or other than when the set
        was made, or annpot's features differ from those in the file.
    StructureError
        If a structure file is wrong.
    """
    with open_set(path) as reader:
        header = reader.header
        names = [stored.name for stored in reader.structures()]
        setups = reader.read_setups()
    if setups is None:
        setups = find_setups(path, reader, notes)
    files = _find_files(path, names, structures)
    candidates = _make_candidates(path, header, setups, legacy, files)
    comparison = Comparison(path, header)
    rules = Rules(header.species, header.reference_energies.tolist())
    tally = Tally(rules)
    with open_set(path) as reader:
        pairs = zip(reader.structures(), files, strict=True)
        entries = (comparison.entry(stored, file, rules) for stored, file in pairs)
        batches = iterate_batches(entries, BATCH_ATOMS)
        first = next(batches)
        descriptor = comparison.choose(first, candidates, notes)
        settings = json.dumps({"converted from": str(path)})
        with create_set(output, descriptor, settings) as writer:
            for batch in chain([first], batches):
                part, features = make_part(batch, descriptor)
                writer.append(part.rows)
                tally.add(part)
                comparison.check(features, batch)
            tally.finish(writer)
    notes.append(
        f"{len(names)} structures, {comparison.n_atoms} atoms: features differ from "
        f"those in '{path}' by up to {comparison.largest:.1e} of their size"
    )


def _make_candidates(
    path: Path,
    header: Header,
    setups: Sequence[Setup],
    legacy: bool,
    files: Sequence[Path],
) -> list[tuple[Descriptor, Sequence[Setup]]]:
    """Return the descriptor, and that with the other angular argument if it differs.

    With each its set-ups: if the file has no statistics, they are computed.
    """
    kinds = [legacy, not legacy] if setups[0].is_chebyshev else [False]
    try:
        descriptors = [Descriptor((read_part(setups, kind),)) for kind in kinds]
    except ValueError as error:
        raise FileFormatError(f"'{path}', set-ups: {error}") from None
    if not header.normalized or any(setup.n_atoms for setup in setups):
        return [(descriptor, setups) for descriptor in descriptors]
    return [
        (descriptor, measure_setups(setups, descriptor, files))
        for descriptor in descriptors
    ]


def _find_files(path: Path, names: Sequence[str], folder: Path | None) -> list[Path]:
    """Return the structure files that a set names.

    Raises
    ------
    FileFormatError
        If some are not found.
    """
    found = [_find_file(path.parent, name, folder) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        listed = ", ".join(f"{name!a:.60}" for name in missing[:MAX_LISTED])
        more = ", ..." if len(missing) > MAX_LISTED else ""
        searched = "" if folder is None else f", nor in '{folder}'"
        raise FileFormatError(
            f"'{path}' holds no cells, and of the {len(names)} structure files that it "
            f"names, {len(missing)} are not where it says{searched}: {listed}{more}: "
            "please give --structures with the folder that has them"
        )
    return [file for file in found if file is not None]


def _find_file(base: Path, name: str, folder: Path | None) -> Path | None:
    """Return the file of that name; in ``folder`` with as much of its path as is there.

    Not by ``Path.is_file``, which does not bear all that a name may be.
    """
    relative = os.fsdecode(name.encode("latin-1"))
    parts = [part for part in PurePosixPath(relative).parts if part not in ("/", "..")]
    candidates = [base / relative]
    if folder is not None:
        inside = [folder.joinpath(*parts[i:]) for i in range(len(parts))]
        # annpot calls members of archives archive.tar.gz:member
        inside.append(folder / relative.rpartition(":")[2])
        candidates = inside + candidates
    return next((file for file in candidates if os.path.isfile(file)), None)
