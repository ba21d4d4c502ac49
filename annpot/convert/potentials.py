"""Potentials of any format, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from annpot.committee import Committee
from annpot.convert.aenet import potentials as aenet
from annpot.convert.n2p2 import potentials as n2p2
from annpot.convert.n2p2.input_nn import find_stated_units
from annpot.convert.options import Options
from annpot.convert.published import Published, guess_legacy, is_legacy
from annpot.convert.vectors import make_vectors
from annpot.errors import FileFormatError, InputError
from annpot.potential import Potential
from annpot.predictor import load_predictor

AENET = ("aenet", "aenet-ascii")


def read_potentials(
    paths: Sequence[Path],
    formats: Sequence[str],
    options: Options,
    published: Published,
    notes: list[str],
) -> Potential | Committee:
    """Return the potential in some files, or the committee of several potentials.

    All files of aenet together are one potential. Test vectors are made up for
    potentials that have none.

    Parameters
    ----------
    formats
        Of each path, from `annpot.convert.formats.recognise`.
    notes
        Takes remarks for the user.

    Raises
    ------
    FileFormatError, InputError
        If a file is wrong, or the member that is asked for does not exist.
    """
    files = [p for p, name in zip(paths, formats, strict=True) if name in AENET]
    models: list[Potential | Committee] = []
    for path, name in zip(paths, formats, strict=True):
        if name in AENET:
            if path == files[0]:
                models.append(_read_aenet(files, options, published, notes))
        elif name == "n2p2":
            stated = find_stated_units(path / n2p2.INPUT)
            units = options.require_units(f"'{path}'", stated)
            models.append(n2p2.read_potential(path, units, notes))
        else:
            models.append(load_predictor(path))
    members = [_with_vectors(member) for model in models for member in _members(model)]
    if options.member is not None:
        return _choose(members, options.member)
    if options.mean:
        return _average(members)
    if len(models) == 1 and isinstance(models[0], Committee):
        return replace(models[0], members=tuple(members))
    return members[0] if len(members) == 1 else Committee(tuple(members))


def _read_aenet(
    files: Sequence[Path], options: Options, published: Published, notes: list[str]
) -> Potential:
    if options.angular != "auto":
        legacy = options.angular == "legacy"
        return aenet.read_potential(files, legacy=legacy, notes=notes)
    cosine = aenet.read_potential(files, legacy=False, notes=notes)
    if not published.structures or not aenet.has_angular_argument(cosine):
        return cosine
    legacy_one = aenet.read_potential(files, legacy=True, notes=[])
    if is_legacy(cosine, legacy_one, published):
        notes.append(
            "the published energies are those of the angular argument of aenet up to "
            "2.0.3, 2 cos(theta) / pi - 1: taken"
        )
        return legacy_one
    if not any(published.own):
        notes.extend(filter(None, [guess_legacy(cosine, legacy_one, published)]))
    return cosine


def _members(model: Potential | Committee) -> tuple[Potential, ...]:
    return model.members if isinstance(model, Committee) else (model,)


def _with_vectors(potential: Potential) -> Potential:
    if potential.test_vectors is not None:
        return potential
    return potential.with_test_vectors(make_vectors(potential))


def _choose(members: Sequence[Potential], number: int) -> Potential:
    if not 0 <= number < len(members):
        raise InputError(
            f"--member {number}: there are members 0 to {len(members) - 1}"
            if len(members) > 1
            else f"--member {number}: this is a single potential, not a committee"
        )
    return members[number]


def _average(members: Sequence[Potential]) -> Potential:
    if len(members) == 1:
        raise InputError("--mean: this is a single potential, not a committee")
    return Committee(tuple(members)).average()


def write_potential(
    model: Potential | Committee,
    path: Path,
    name: str,
    options: Options,
    notes: list[str],
) -> list[Path]:
    """Write a potential; return the files, a folder of several as one.

    Raises
    ------
    FileFormatError
        If the format cannot hold it.
    """
    if name in ("annpot", "json"):
        model.save(path)
        return [path]
    if isinstance(model, Committee):
        raise FileFormatError(
            f"a committee of {len(model.members)} potentials, but {name} holds one: "
            "please give --mean for the mean as one potential, or --member 0 and so on "
            "for each"
        )
    if name == "n2p2":
        units = options.require_units(f"n2p2's '{path.name}'")
        return n2p2.write_potential(model, path, units, notes)
    return aenet.write_potential(
        model,
        path,
        text=name == "aenet-ascii",
        legacy=options.angular == "legacy",
        layout=options.layout,
        notes=notes,
    )


def read_back(
    model: Potential | Committee, files: Sequence[Path], name: str, options: Options
) -> Potential | Committee:
    """Return what files say that `write_potential` has written."""
    formats = [name] * len(files)
    legacy = isinstance(model, Potential) and aenet.is_legacy(model)
    again = replace(options, angular="legacy" if legacy else "cosine")
    again = replace(again, member=None, mean=False)
    return read_potentials(files, formats, again, Published(), [])
