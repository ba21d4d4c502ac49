"""Files of one format -> files of another: what ``annpot convert`` does.

Potentials are read back and compared before the new files get their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annpot.committee import Committee
from annpot.convert import formats, potentials, sets
from annpot.convert.aenet.inputs import convert_aenet_inputs
from annpot.convert.aenet.records import LAYOUTS
from annpot.convert.formats import READABLE, WRITABLE, Content
from annpot.convert.n2p2.input_nn import find_stated_units
from annpot.convert.n2p2.inputs import convert_n2p2_input
from annpot.convert.options import Options
from annpot.convert.published import (
    AGREES,
    Deviation,
    compute_deviation,
    read_published,
)
from annpot.convert.staging import staged
from annpot.convert.verification import Difference, compare
from annpot.errors import InputError
from annpot.format import container
from annpot.format.copying import copy
from annpot.structures.structure import stack


@dataclass(frozen=True)
class Conversion:
    """What was converted, and how well."""

    source: str
    """Name of the format that was read, of `annpot.convert.formats.READABLE`."""
    target: str
    """Name of the format that was written, of `WRITABLE`."""
    files: list[Path]
    """Files that were written, a folder of many as one."""
    notes: list[str]
    """What the user should know."""
    difference: Difference | None = None
    """Between the potentials before and after; ``None`` for other contents."""
    published: Deviation | None = None
    """From what was published for the potential; ``None`` if nothing was given."""


def convert(inputs: Sequence[Path], output: Path, options: Options) -> Conversion:
    """Convert files; nothing is left of what fails.

    Raises
    ------
    AnnpotError
        If an input is wrong, the output cannot hold it, or does not give the same.
    """
    for path in inputs:
        formats.check_no_device(path)
    names = [formats.recognise(path, options.source) for path in inputs]
    contents = list(map(sets.content_of, inputs, names))
    if len(set(contents)) > 1:
        listed = ", ".join(
            f"'{path}' is {READABLE[name].noun}"
            for path, name in zip(inputs, names, strict=True)
        )
        raise InputError(
            f"these files do not belong together: {listed}{formats.advice(names)}"
        )
    target = formats.format_of_output(output, contents[0], options.target)
    _check_options(options, contents[0], names, target)
    if target in potentials.AENET and output.is_dir():
        output = output / WRITABLE[target].suffixes[0].lstrip(".")
    if contents[0] == "potential":
        return _convert_potentials(inputs, names, output, target, options)
    notes: list[str] = []
    if contents[0] == "inputs":
        files = _convert_inputs(inputs, names[0], output, target, options, notes)
    else:
        files = _convert_structures(inputs, names[0], output, target, options, notes)
    return Conversion(names[0], target, files, notes)


def _check_options(
    options: Options, content: Content, names: Sequence[str], target: str
) -> None:
    """Check that no option is given that has nothing to do.

    Raises
    ------
    InputError
        If one is.
    """
    binaries = {"aenet", "aenet-train"}
    angular = binaries | {"aenet-ascii", "aenet-train-ascii"}
    idle = {
        "--check": options.check and content != "potential",
        "--member": options.member is not None and content != "potential",
        "--mean": options.mean and content != "potential",
        "--aenet-angular": options.angular != "auto"
        and angular.isdisjoint({*names, target}),
        "--structures": options.structures is not None
        and not names[0].startswith("aenet-train"),
        "--records": options.layout != LAYOUTS[0] and target not in binaries,
    }
    for option, has_nothing_to_do in idle.items():
        if has_nothing_to_do:
            raise InputError(
                f"{option} has no effect when {READABLE[names[0]].noun} becomes "
                f"{WRITABLE[target].noun}: please leave it out"
            )


def _convert_potentials(
    inputs: Sequence[Path],
    names: Sequence[str],
    output: Path,
    target: str,
    options: Options,
) -> Conversion:
    if WRITABLE[target].content != "potential":
        raise InputError(
            f"--to {target}, '{output}': a potential becomes a potential, "
            f"not {WRITABLE[target].noun}"
        )
    notes: list[str] = []
    published = read_published(options.check, options.units)
    model = potentials.read_potentials(inputs, names, options, published, notes)
    members = model.members if isinstance(model, Committee) else (model,)
    batches = [m.test_vectors.batch for m in members if m.test_vectors is not None]
    batches.append(stack(published.structures, model.species))
    forms = {"annpot", "json"}
    whole = options.member is None and not options.mean
    same = len(inputs) == 1 and whole and {*names, target} <= forms
    kinds = [container.POTENTIAL, container.COMMITTEE]
    if len(inputs) > 1 and len(members) > 1:
        kinds.remove(container.POTENTIAL)  # the last of them, and no OUT
    with staged(output, notes, inputs, kinds) as path:
        if same:
            copy(inputs[0], path)
            files = [path]
        else:
            files = potentials.write_potential(model, path, target, options, notes)
        again = potentials.read_back(model, files, target, options)
        difference = compare(model, again, batches)
        difference.check(f"'{output}'")
    written = [output.parent / file.name for file in files]
    deviation = compute_deviation(model, published)
    if deviation is not None and deviation.energy > AGREES:
        notes.append(
            "the published energies are not those of this potential: "
            f"{deviation.energy:.2g} eV/atom off"
        )
    return Conversion(names[0], target, written, notes, difference, deviation)


def _convert_structures(
    inputs: Sequence[Path],
    name: str,
    output: Path,
    target: str,
    options: Options,
    notes: list[str],
) -> list[Path]:
    if name == "structures":
        with staged(output, notes, inputs) as path:
            sets.write_all(inputs, path, target, options, notes)
        return [output]
    if len(inputs) > 1:
        raise InputError(f"{len(inputs)} training sets, expected one")
    with staged(output, notes, inputs) as path:
        sets.write_set(inputs[0], name, path, target, options, notes)
    return [output]


def _convert_inputs(
    inputs: Sequence[Path],
    name: str,
    output: Path,
    target: str,
    options: Options,
    notes: list[str],
) -> list[Path]:
    if target != "yaml":
        raise InputError(
            f"--to {target}: inputs become settings, expected yaml; for a potential "
            "give its files, or the folder of one of n2p2"
        )
    if name == "n2p2-input":
        stated = find_stated_units(inputs[0])
        units = options.require_units(f"'{inputs[0]}'", stated)
        if len(inputs) > 1:
            raise InputError(f"{len(inputs)} inputs of n2p2, expected one")
        text = convert_n2p2_input(inputs[0], units, notes, output.parent)
    else:
        text = convert_aenet_inputs(inputs, notes, output.parent)
    with staged(output, inputs=inputs) as path:
        path.write_text(text, encoding="utf-8")
    return [output]
