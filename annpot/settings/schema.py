"""The JSON schema of the settings, and what it says about one key, in words.

Error messages, the reference and the commented example are all worded from the schema,
so they cannot disagree with the models.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from annpot.settings.document import KeyPath
from annpot.settings.models import Settings

Schema = dict[str, Any]

_BOUNDS = {
    "minimum": ">= {:g}",
    "exclusiveMinimum": "> {:g}",
    "maximum": "<= {:g}",
    "exclusiveMaximum": "< {:g}",
}


@cache
def _whole() -> Schema:
    return Settings.model_json_schema()


def json_schema() -> Schema:
    """Return the JSON schema of the settings file, for editors and other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_whole()}


def forms(schema: Schema) -> Iterator[Schema]:
    """Yield the alternative forms of a value: references resolved, null left out."""
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            for form in schema[several]:
                yield from forms(form)
            return
    if "$ref" in schema:
        yield from forms(_whole()["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
    elif schema.get("type") != "null":
        yield schema


def own_sections(schema: Schema) -> list[Schema]:
    """Return the forms of a value that are sections of keys, not lists of such."""
    return [form for form in forms(schema) if "properties" in form]


def children(schema: Schema) -> dict[str, Schema]:
    """Return the keys that are known in a section, with their schemas."""
    return {
        name: child
        for form in forms(schema)
        for name, child in form.get("properties", {}).items()
    }


def find(path: KeyPath) -> Schema | None:
    """Return the schema of the value at ``path``, or None where none is allowed."""
    candidates = [_whole()]
    for key in path:
        candidates = [
            child
            for schema in candidates
            for form in forms(schema)
            if (child := _child(form, key)) is not None
        ]
    return {"anyOf": candidates} if candidates else None


def _child(form: Schema, key: str | int) -> Schema | None:
    if isinstance(key, int):
        child = form.get("items")
    else:
        child = form.get("properties", {}).get(key) or form.get("additionalProperties")
    return child if isinstance(child, dict) else None


def choices(schema: Schema) -> list[str]:
    """Return the words that are allowed as value."""
    return [str(w) for form in forms(schema) for w in _words(form)]


def _words(form: Schema) -> list[Any]:
    if "const" in form:
        return [form["const"]]
    words: list[Any] = form.get("enum", [])
    return words


def describe(schema: Schema) -> str:
    """Return what is allowed as value in words, such as 'an integer >= 1'."""
    descriptions = [_describe(form) for form in forms(schema)]
    return " or ".join(dict.fromkeys(descriptions))


def _describe(form: Schema) -> str:
    words = _words(form)
    if words:
        quoted = ", ".join(f"'{word}'" for word in words)
        return quoted if len(words) == 1 else f"one of {quoted}"
    match form.get("type"):
        case "integer" | "number" as kind:
            bounds = [text.format(form[b]) for b, text in _BOUNDS.items() if b in form]
            noun = "an integer" if kind == "integer" else "a number"
            return f"{noun} {' and '.join(bounds)}".strip()
        case "boolean":
            return "true or false"
        case "array":
            noun = "a non-empty list" if form.get("minItems") else "a list"
            return f"{noun} (each: {describe(form['items'])})"
        case "object" if "properties" in form:
            return "a section of keys"
        case "object":
            return f"a mapping (symbol: {describe(form['additionalProperties'])})"
        case "string" if "examples" in form:
            return "a text such as " + " or ".join(f"'{e}'" for e in form["examples"])
        case "string":
            if form.get("format") == "path":
                return "a path"
            return "a non-empty text" if form.get("minLength") else "a text"
    return "another value"
