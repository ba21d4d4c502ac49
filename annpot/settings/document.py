"""A YAML file as plain values that remember their lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from annpot.errors import InputError, did_you_mean
from annpot.logfmt import printable

KeyPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

HDF5 = b"\x89HDF\r\n\x1a\n"
"""How files in the annpot format begin."""
MAX_BYTES = 2_000_000
MAX_NODES = 50_000
"""Values and keys: the parser takes a second for as many."""
MAX_DEPTH = 50
MAX_REPEATED = 10_000
"""How many values aliases may repeat: few lines can spell billions."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in words, and where."""

    path: KeyPath
    text: str
    line: int | None = None


@dataclass
class Document:
    """The values of a YAML file, the line of each, and what is wrong with it."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _RefusedError(Exception):
    """The text is no YAML, or YAML that no one writes as settings."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = printable(" ".join(text.split()))
        self.line = line


class _CountingComposer(Composer):
    """Composes a tree of nodes that is not too large."""

    n_nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            line = self.parser.peek_event().start_mark.line + 1
            raise _RefusedError(f"more than {MAX_NODES} keys and values", line)
        return super().compose_node(parent, index)


def load_document(path: Path) -> Document:
    """Return the mapping in the YAML file ``path``.

    Raises
    ------
    InputError
        If the file cannot be read or holds anything but one YAML mapping.
    """
    return read_document(_read(path), str(path))


def read_document(text: str, name: str) -> Document:
    """Return the mapping in a YAML text, called ``name`` in messages.

    Raises
    ------
    InputError
        If it is anything but one YAML mapping.
    """
    try:
        node = _compose(text)
        if node is None:
            raise _RefusedError("the file is empty, expected keys such as 'structures'")
        if not isinstance(node, MappingNode):
            line = node.start_mark.line + 1
            raise _RefusedError(
                "expected settings in YAML, with keys such as 'structures'", line
            )
        builder = _Builder()
        builder.document.values = builder.build(node, ())
        return builder.document
    except _RefusedError as refused:
        where = name if refused.line is None else f"{name}, line {refused.line}"
        raise InputError(f"{where}: {refused.text}") from None


def parse_value(text: str) -> Any:
    """Return ``text`` read as a YAML value; what is no YAML (``*.xsf``) stays text."""
    try:
        node = _compose(text)
        builder = _Builder()
        value = None if node is None else builder.build(node, ())
    except _RefusedError:
        return text
    return text if builder.document.problems else value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        siblings = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
        hint = did_you_mean(path.name, [sibling.name for sibling in siblings])
        hint = hint or ": 'annpot schema --yaml' prints an example"
        raise InputError(f"{path}: no such file{hint}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a YAML file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{path}: larger than {MAX_BYTES // 10**6} MB, expected a YAML file "
            "(long lists of files: use patterns or 'names')"
        )
    if data.startswith(HDF5):
        raise InputError(
            f"{path}: an HDF5 file, expected settings in YAML; 'annpot train -i' reads "
            "a fingerprint set"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not text in UTF-8") from None


def _compose(text: str) -> Node | None:
    """Return the tree of YAML nodes, whose scalars are still text."""
    # pure: the same marks and messages with and without ruamel's C extension
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _CountingComposer
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reasons = [error.context, error.problem]
        reason = ", ".join(filter(None, reasons)) or "not valid YAML"
        raise _RefusedError(reason, None if mark is None else mark.line + 1) from None
    except RecursionError:
        raise _RefusedError(f"nested more than {MAX_DEPTH} levels deep") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _RefusedError(
            f"unprintable character {text[error.position]!r}", line
        ) from None
    except (OverflowError, ValueError) as error:
        # ruamel hands escapes such as "\UFFFFFFFF" to chr() as they are
        raise _RefusedError(f"not valid YAML, {error}") from None
    return node


class _Builder:
    """Turns nodes into dict, list, str, int, float, bool, None, and notes lines.

    ruamel's own constructors are not used: they keep no line for each list item, read
    YAML 1.1's ``No`` as false if a file asks for it, dates as dates, and stop at the
    first of several problems.
    """

    def __init__(self) -> None:
        self.document = Document()
        self._seen: set[int] = set()
        self._repeated = 0

    def build(self, node: Node, path: KeyPath) -> Any:
        """Return the value of ``node``."""
        line = node.start_mark.line + 1
        self.document.lines.setdefault(path, line)
        self._check_size(node, path, line)
        if (node.tag or "").rpartition(":")[0] != "tag:yaml.org,2002":
            self._add_problem(
                path, f"unknown tag {printable(str(node.tag)[:80])}", line
            )
        if isinstance(node, MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._build_scalar(node, path)

    def _check_size(self, node: Node, path: KeyPath, line: int) -> None:
        if len(path) > MAX_DEPTH:
            raise _RefusedError(f"nested more than {MAX_DEPTH} levels deep", line)
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > MAX_REPEATED:
            raise _RefusedError(f"aliases repeat more than {MAX_REPEATED} values")

    def _build_mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._add_problem(path, "expected a word as key", line)
                continue
            # the text, whatever the tag: N, No, Y and 1 are keys as they stand
            key = self._checked(key_node, path)
            here = (*path, key)
            if key in values:
                first = self.document.lines[here]
                self._add_problem(here, f"given twice, first in line {first}", line)
                continue
            self.document.lines[here] = line
            values[key] = self.build(value_node, here)
        return values

    def _build_scalar(self, node: Node, path: KeyPath) -> Any:
        text = self._checked(node, path)
        try:
            match (node.tag or "").rpartition(":")[-1]:
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}.get(text.lower(), text)
                case "int":
                    return _integer(text)
                case "float":
                    return float(re.sub(r"_|\.(?=inf|nan)", "", text.lower()))
        except ValueError:
            return text  # then the check of the key says what it expects
        return text

    def _checked(self, node: Node, path: KeyPath) -> str:
        """Return the node's text without what no file name, symbol or word can hold."""
        text = str(node.value)
        if any("\ud800" <= c <= "\udfff" for c in text):
            line = node.start_mark.line + 1
            self._add_problem(path, "half a surrogate pair is no character", line)
            return text.encode("ascii", "backslashreplace").decode()
        return text

    def _add_problem(self, path: KeyPath, text: str, line: int) -> None:
        self.document.problems.append(Problem(path, text, line))


def _integer(text: str) -> int:
    prefix = text.lstrip("+-")[:2].lower()
    return int(text, 0 if prefix in ("0o", "0x") else 10)
