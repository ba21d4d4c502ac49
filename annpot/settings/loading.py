"""From in.yaml and command-line options to settings, or to all that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from annpot.errors import InputError, SettingsError
from annpot.settings.document import (
    Document,
    KeyPath,
    Problem,
    load_document,
    parse_value,
    read_document,
)
from annpot.settings.models import Settings, StructureGroup
from annpot.settings.problems import dotted, problems_of

OptionPath = tuple[str, ...]

MAX_PROBLEMS = 50
"""How many problems one message lists."""


def load_settings(
    path: Path | None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """Return the settings in the YAML file ``path``, or the defaults without a file.

    Parameters
    ----------
    path
        Settings file. Paths in ``structures`` are relative to its folder, which the
        caller has to mind.
    overrides
        Values of command-line options by dotted key, ``{"train.epochs": 5}``. They win
        over the file, ``None`` too: leave out what was not given.

    Raises
    ------
    InputError
        With one line for each problem, if there are any.
    """
    document = Document() if path is None else load_document(path)
    name = "settings" if path is None else str(path)
    return _validate(document, name, overrides or {})


def read_settings(text: str, name: str) -> Settings:
    """Return the settings in a YAML text, called ``name`` in messages.

    Raises
    ------
    InputError
        With one line for each problem, if there are any.
    """
    return _validate(read_document(text, name), name, {})


def _validate(
    document: Document, name: str, overrides: Mapping[str, object]
) -> Settings:
    """Return the settings in a document, whose values are changed to the overrides."""
    options = {tuple(key.split(".")): value for key, value in overrides.items()}
    problems = list(document.problems)
    for option, value in options.items():
        hindrance = _override(document.values, option, value)
        if hindrance:
            problems.append(Problem(option, hindrance))
    try:
        settings = Settings.model_validate(document.values)
    except ValidationError as error:
        problems += problems_of(error, document.values)
    if problems:
        raise InputError(_report(problems, _Sources(name, document.lines, options)))
    return settings


def locate(
    error: SettingsError, path: Path | None, options: Collection[str]
) -> InputError:
    """Return an error that also names the line, or the option, of the setting.

    Parameters
    ----------
    path, options
        What the settings were loaded from; options by dotted key.
    """
    words = re.findall(r"\[(\d+)\]|([^.\[\]]+)", error.key)
    key = tuple(int(number) if number else name for number, name in words)
    document = Document() if path is None else load_document(path)
    given = [tuple(option.split(".")) for option in options]
    name = "settings" if path is None else str(path)
    sources = _Sources(name, document.lines, given)
    return InputError(sources.locate(Problem(key, error.text))[1])


def read_override(text: str) -> tuple[str, object]:
    """Return key and value of ``train.hidden=[20, 20]``; the value is YAML.

    Raises
    ------
    InputError
        If there is no ``=``.
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise InputError(f"expected an option such as train.epochs=100, found {text!r}")
    return key.strip(), parse_value(value)


def require_structures(
    settings: Settings, path: Path | None
) -> tuple[StructureGroup, ...]:
    """Return the groups of structure files, of which there must be one at least.

    Raises
    ------
    InputError
        If the settings, read from ``path``, name no structures.
    """
    if not settings.structures:
        source = "settings" if path is None else path
        raise InputError(
            f"{source}: structures: this key is needed, "
            "expected files such as 'structures/*.xsf'"
        )
    return settings.structures


def _override(values: dict[str, Any], option: OptionPath, value: object) -> str | None:
    """Set one value in place, or return what hinders it."""
    for n, key in enumerate(option[:-1], start=1):
        inner = values.get(key)
        if inner is None:
            inner = values[key] = {}
        if not isinstance(inner, dict):
            return f"cannot be set, because {dotted(option[:n])} has no keys"
        values = inner
    values[option[-1]] = deepcopy(value)
    return None


@dataclass(frozen=True)
class _Sources:
    """Where values come from: the file's lines, and the options."""

    name: str
    lines: Mapping[KeyPath, int]
    options: Collection[OptionPath]

    def locate(self, problem: Problem) -> tuple[float, str]:
        """Return the line, infinite for options, and 'file, line n: key: text'."""
        key = dotted(problem.path)
        line = problem.line or self._line_of(problem.path)
        if line is not None:
            where = f"{self.name}, line {line}: "
        else:
            where = "option " if self._is_option(problem.path) else f"{self.name}: "
        return line or math.inf, f"{where}{key}{': ' if key else ''}{problem.text}"

    def _line_of(self, path: KeyPath) -> int | None:
        """Return the line of the value, or of what it is missing in."""
        if any(path[: len(option)] == option for option in self.options):
            return None
        inside = (path[:n] for n in range(len(path), 0, -1))
        return next((self.lines[p] for p in inside if p in self.lines), None)

    def _is_option(self, path: KeyPath) -> bool:
        return any(
            path[: len(option)] == option[: len(path)] for option in self.options
        )


def _report(problems: list[Problem], sources: _Sources) -> str:
    """Return the message: one line for each problem, in the order of the file."""
    located = sorted(map(sources.locate, problems), key=lambda item: item[0])
    texts = [text for _, text in located]
    if len(texts) == 1:
        return texts[0]
    more = len(texts) - MAX_PROBLEMS
    return "\n".join(
        [
            f"{sources.name}: {len(texts)} problems",
            *texts[:MAX_PROBLEMS],
            *([f"... and {more} more"] if more > 0 else []),
        ]
    )
