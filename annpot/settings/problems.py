"""What pydantic found wrong with settings, told to the person who wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from annpot.errors import did_you_mean
from annpot.logfmt import printable
from annpot.settings.document import KeyPath, Problem
from annpot.settings.schema import Schema, children, choices, describe, find

MAX_FOUND = 60
"""Longest value that is shown in full, characters."""

_WORDED = ("missing", "extra_forbidden", "value_error")
"""Pydantic's errors that are about a key as such, whatever the form of its value."""


def dotted(path: KeyPath) -> str:
    """Return ``structures[0].files`` for ``("structures", 0, "files")``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + _shorten(printable(key) or "''")
    return text


def problems_of(error: ValidationError, values: dict[str, Any]) -> list[Problem]:
    """Return one problem for each wrong key in ``values``.

    Where a value may have several forms pydantic reports what is wrong with it as each
    of them. These are reports on the same key, or on the key and on one inside it: only
    the innermost is kept, and worded from the schema, which knows all forms.
    """
    reports = [
        (_path_in(values, details) + _tag_of(details), details)
        for details in error.errors(include_url=False)
    ]
    told = {path[:n] for path, _ in reports for n in range(len(path))}
    told |= {path for path, details in reports if details["type"] in _WORDED}
    problems = [
        Problem(path, _word(details, path, values))
        for path, details in reports
        if path not in told or details["type"] in _WORDED
    ]
    return list(dict.fromkeys(problems))


def _tag_of(details: ErrorDetails) -> KeyPath:
    """Return the key that says of which kind a section is, if that is what is wrong."""
    if details["type"] != "union_tag_invalid":
        return ()
    return (details["ctx"]["discriminator"].strip("'"),)


def _path_in(values: Any, details: ErrorDetails) -> KeyPath:
    """Return the error's location less the steps that are not in the file.

    Those are pydantic's own (``tuple[int, ...]``, ``[key]``) and those that a short
    form leaves out.
    """
    path: list[str | int] = []
    value = values
    steps = details["loc"]
    for n, step in enumerate(steps):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(step, str) and isinstance(value, list) and step in value:
            step = value.index(step)  # a symbol in [Ti, O] becomes a key
            value = value[step]
        elif isinstance(value, (list, tuple)) and step in range(len(value)):
            value = value[int(step)]
        elif not (details["type"] == "missing" and n == len(steps) - 1):
            continue
        path.append(step)
    return tuple(path)


def _value_at(values: Any, path: KeyPath) -> Any:
    for step in path:
        values = values[step]
    return values


def _word(details: ErrorDetails, path: KeyPath, values: dict[str, Any]) -> str:
    if details["type"] == "missing":
        return "this key is needed"
    if details["type"] == "extra_forbidden":
        return _word_unknown(path)
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    schema = find(path)
    if schema is None:
        return details["msg"]
    value = _value_at(values, path)
    hint = did_you_mean(value, choices(schema)) if isinstance(value, str) else ""
    return f"expected {describe(schema)}, found {show(value)}{hint}"


def show(value: Any) -> str:
    """Return a value of the file in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        keys = _shorten(printable(", ".join(map(str, value))))
        return f"keys ({keys})" if value else "no keys"
    return _shorten(repr(value))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_FOUND else text[: MAX_FOUND - 3] + "..."


def _word_unknown(path: KeyPath) -> str:
    name = str(path[-1])
    known = children(find(path[:-1]) or {})
    hint = did_you_mean(name, known)
    if not hint:
        elsewhere = [dotted(p) for p in key_paths() if p[-1] == name]
        hint = f", did you mean '{elsewhere[0]}'?" if elsewhere else ""
    return f"unknown key{hint or ', expected one of ' + ', '.join(known)}"


def key_paths(schema: Schema | None = None, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the paths of all keys with fixed names, outer sections first."""
    known = children(schema or find(()) or {})
    yield from ((*path, name) for name in known)
    for name, child in known.items():
        yield from key_paths(child, (*path, name))
