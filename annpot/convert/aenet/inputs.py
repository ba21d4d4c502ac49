"""Inputs of aenet -> settings of annpot: generate.in, train.in, predict.in, .stp."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annpot.convert.aenet.keywords import (
    KEYWORDS,
    Block,
    Keywords,
    read_keywords,
    recognise_keywords,
)
from annpot.convert.aenet.stp import Setup, read_setup
from annpot.convert.aenet.stp_settings import put_descriptor
from annpot.convert.aenet.training import Training, read_layouts
from annpot.convert.file_patterns import find_patterns
from annpot.convert.text_lines import TextLine, read_text
from annpot.convert.yaml_text import Section, write_settings
from annpot.descriptors.building import make_descriptor
from annpot.errors import FileFormatError, SettingsError
from annpot.settings import read_settings
from annpot.structures.archives import is_xsf

SETUP_WORDS = frozenset({"ATOM", "ENV"})
"""First words of lines that are in all set-ups."""

GENERATE_WITHOUT = {
    "OUTPUT": "'annpot generate' writes fingerprints.h5; 'annpot convert' makes a "
    "training set of aenet of it",
    "FORCES": "annpot stores no derivatives of features and needs none: "
    "train.force_weight decides whether forces are fitted",
    "FORCESPERCENT": "annpot fits the forces of all structures",
    "TIMING": "no counterpart",
    "DEBUG": "no counterpart, nor an effect in aenet",
    "VERBOSITY": "no counterpart, nor an effect in aenet",
}
PREDICT_WITHOUT = {
    "RELAX": "annpot does not move atoms itself: the optimisers of ASE do, with "
    "annpot.Calculator",
    "TIMING": "no counterpart",
    "DEBUG": "no counterpart, nor an effect in aenet",
    "VERBOSITY": "no counterpart",
}
"""What is said of keywords that settings have nothing like."""


def is_aenet_input(head: bytes) -> bool:
    """Return whether a file that begins so is an input of aenet."""
    if b"\0" in head:
        return False
    lines = head.decode("latin-1").split("\n")
    words = {line.split()[0].upper() for line in lines if line.strip()}
    known = set().union(*KEYWORDS.values())
    return _is_setup(words) or (
        bool(recognise_keywords(words)) and len(words & known) > 1
    )


def _is_setup(words: set[str]) -> bool:
    """Return whether first words of lines are those of a set-up."""
    return words >= SETUP_WORDS


@dataclass
class _Inputs:
    """What was read."""

    keywords: dict[str, Keywords] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)

    @property
    def generate(self) -> Keywords | None:
        return self.keywords.get("generate.in")

    @property
    def train(self) -> Keywords | None:
        return self.keywords.get("train.in")

    @property
    def predict(self) -> Keywords | None:
        return self.keywords.get("predict.in")


def convert_aenet_inputs(
    paths: Sequence[Path], notes: list[str], folder: Path = Path()
) -> str:
    """Return the settings that reproduce inputs of aenet, as commented YAML.

    Parameters
    ----------
    paths
        generate.in, train.in, predict.in, set-ups: any of them, each once. Set-ups that
        generate.in names are read from there.
    notes
        Gets a line on everything that has no counterpart.
    folder
        Where the settings will be, to which paths in them are relative.

    Raises
    ------
    FileFormatError
        If an input is wrong.
    """
    inputs = _read(paths, notes)
    species = _species(inputs)
    root = Section()
    if inputs.generate is not None:
        _put_structures(root, inputs.generate, folder, notes)
        _put_species(root, inputs.generate)
        _read_setups(inputs, inputs.generate, species, notes)
    if inputs.setups:
        setups = [inputs.setups[symbol] for symbol in species]
        put_descriptor(root, species, setups, notes)
    if inputs.generate is not None:
        generate = root.section("generate")
        generate.put("output", "fingerprints.h5")
        _lose_all(generate, inputs.generate, GENERATE_WITHOUT, notes)
    if inputs.train is not None:
        training = root.section("train")
        if inputs.generate is None:
            _lose_set(training, inputs.train, notes)
        Training(inputs.train, training, notes).put()
        _check_networks(inputs.train, species)
    if inputs.predict is not None:
        _put_predict(root.section("predict"), inputs.predict, notes)
    names = ", ".join(path.name for path in paths)
    text = write_settings(_head(names), root, f"'{paths[0]}'")
    if inputs.setups:
        _check_descriptor(text, species, paths[0])
    return text


def _head(names: str) -> str:
    return (
        f"Settings of annpot that reproduce {names} of aenet, made by annpot convert. "
        "Comments tell what has no counterpart and what annpot offers instead. All "
        "keys: annpot schema --yaml"
    )


def _read(paths: Sequence[Path], notes: list[str]) -> _Inputs:
    """Return the content of all files."""
    inputs = _Inputs()
    for path in paths:
        if _is_setup({line.keyword for line in read_text(path)}):
            setup = read_setup(path, notes)
            other = inputs.setups.setdefault(setup.symbol, setup)
            if other is not setup:
                raise FileFormatError(
                    f"'{path}' and '{other.path}' are both set-ups of {setup.symbol}"
                )
            continue
        content = read_keywords(path, notes)
        first = inputs.keywords.setdefault(content.kind, content)
        if first is not content:
            raise FileFormatError(
                f"'{path}' and '{first.path}' are both a {content.kind} of aenet, "
                "expected one"
            )
    return inputs


def _species(inputs: _Inputs) -> tuple[str, ...]:
    """Return the species, in the order of the first file that lists them."""
    for content in (inputs.generate, inputs.predict):
        if content is not None:
            rows = content.need("TYPES").rows
            symbols = tuple(
                row.symbol(row.words[0] if row.words else "") for row in rows
            )
            for n, row in enumerate(rows):
                if symbols[n] in symbols[:n]:
                    raise row.error(f"{symbols[n]} is given twice")
            return symbols
    if inputs.setups:
        return tuple(inputs.setups)
    train = inputs.train
    block = None if train is None else train.find("NETWORKS")
    return () if block is None else tuple(x.symbol for x in read_layouts(block))


def _put_structures(
    root: Section, content: Keywords, folder: Path, notes: list[str]
) -> None:
    """Add the files with structures."""
    rows = content.need("FILES").rows
    names = [_file_name(row) for row in rows]
    base = str(content.path.parent)
    absent = [
        (row, name)
        for row, name in zip(rows, names, strict=True)
        if not os.path.isfile(os.path.join(base, name))
    ]
    if absent:
        row, name = absent[0]
        notes.append(
            row.note(
                f"'{name}' is not there"
                + (f", nor {len(absent) - 1} more" if len(absent) > 1 else "")
                + ": 'annpot generate' will need it"
            )
        )
    if len(set(names)) < len(names):
        notes.append(
            content.need("FILES").line.note(
                f"{len(names) - len(set(names))} files are listed more than once: "
                "annpot takes each once"
            )
        )
    groups = root.items("structures")
    for named_xsf in (True, False):
        chosen = [name for name in names if is_xsf(name) == named_xsf]
        if chosen:
            group = groups.section()
            _put_files(group, find_patterns(chosen, base, str(folder)))
            if not named_xsf:
                group.put("format", "xsf", "whatever their names")


def _file_name(row: TextLine) -> str:
    """Return the whole line, without quotes around it."""
    text = row.text
    quoted = len(text) > 2 and text[0] in "\"'" and text[-1] == text[0]
    return text[1:-1] if quoted else text


def _put_files(group: Section, patterns: Sequence[str]) -> None:
    if len(patterns) == 1:
        group.put("files", patterns[0])
        return
    items = group.items("files")
    for pattern in patterns:
        items.put(pattern)


def _put_species(root: Section, content: Keywords) -> None:
    """Add the species with the energies of free atoms."""
    section = root.section("species", "energies of free atoms, eV (TYPES)")
    for row in content.need("TYPES").rows:
        if len(row.words) < 2:
            raise row.error("an element and the energy of its atom expected")
        symbol = row.symbol(row.words[0])
        section.put(symbol, row.float(row.words[1], "energy of the atom"))


def _read_setups(
    inputs: _Inputs, content: Keywords, species: Sequence[str], notes: list[str]
) -> None:
    """Read the set-ups that generate.in names and that are not there yet."""
    seen = set()
    for row in content.need("SETUPS").rows:
        symbol, name = row.symbol(row.words[0]), row.words[1]
        if symbol in seen:
            raise row.error(f"a second set-up of {symbol}")
        seen.add(symbol)
        if symbol not in species:
            raise row.error(f"{symbol} is not in TYPES: {', '.join(species)}")
        if symbol in inputs.setups:
            continue
        path = content.path.parent / name
        if not os.path.isfile(path):
            raise row.error(f"'{path}': no such file, expected the set-up of {symbol}")
        setup = read_setup(path, notes)
        if setup.symbol != symbol:
            raise row.error(
                f"'{path}' is a set-up of ATOM {setup.symbol}, expected {symbol}"
            )
        inputs.setups[symbol] = setup
    missing = [symbol for symbol in species if symbol not in inputs.setups]
    if missing:
        raise content.need("SETUPS").line.error(f"no set-up of {', '.join(missing)}")
    strangers = [symbol for symbol in inputs.setups if symbol not in species]
    if strangers:
        raise FileFormatError(
            f"'{inputs.setups[strangers[0]].path}': {strangers[0]} is not in TYPES of "
            f"'{content.path}'"
        )


def _check_networks(content: Keywords, species: Sequence[str]) -> None:
    """Check that there is a network of each species and no other."""
    block = content.find("NETWORKS")
    if block is None:
        return
    layouts = read_layouts(block)
    for layout in layouts:
        if layout.symbol not in species:
            raise layout.line.error(
                f"{layout.symbol} is not among the species {', '.join(species)}"
            )
    missing = sorted(set(species) - {layout.symbol for layout in layouts})
    if missing:
        raise block.line.error(f"no network of {', '.join(missing)}")


def _lose_set(section: Section, content: Keywords, notes: list[str]) -> None:
    """Say what becomes of the training set, of which no generate.in tells."""
    block = content.find("TRAININGSET")
    if block is not None:
        text = (
            f"TRAININGSET {block.words[0][:200]}: 'annpot convert' makes "
            "fingerprints.h5 of it; or give generate.in, too, for its structures and "
            "descriptor"
        )
        _lose(section, block, text, notes)


def _put_predict(section: Section, content: Keywords, notes: list[str]) -> None:
    """Add what is to be predicted."""
    for keyword, key in (
        ("FORCES", "forces"),
        ("PRINT_ATOMIC_ENERGIES", "atomic_energies"),
    ):
        if content.find(keyword) is not None:
            section.put(key, True)
    names = [row.words[1] for row in content.need("NETWORKS").rows]
    section.say(
        f"{content.need('NETWORKS').line.comment('NETWORKS')}: "
        f"annpot convert {' '.join(names)[:200]} potential.h5"
    )
    if content.find("FILES") is not None:
        _lose(
            section,
            content.need("FILES"),
            "FILES: structures to predict are arguments: annpot predict FILES",
            notes,
        )
    _lose_all(section, content, PREDICT_WITHOUT, notes)


def _lose_all(
    section: Section, content: Keywords, without: dict[str, str], notes: list[str]
) -> None:
    """Say which keywords have no counterpart."""
    for keyword, text in without.items():
        block = content.find(keyword)
        if block is not None:
            words = " ".join((keyword, *block.words))
            _lose(section, block, f"{words[:200]}: {text}", notes)


def _lose(section: Section, block: Block, text: str, notes: list[str]) -> None:
    section.say(block.line.comment(text))
    notes.append(block.line.note(text))


def _check_descriptor(text: str, species: tuple[str, ...], path: Path) -> None:
    """Check that annpot can make the descriptor."""
    settings = read_settings(text, "settings")
    try:
        make_descriptor(settings.descriptor, species)
    except SettingsError as error:
        raise FileFormatError(
            f"'{path}': annpot cannot make this descriptor: {error}"
        ) from None
