"""All keys for people: as a Markdown reference and as a commented in.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from annpot.settings.document import KeyPath
from annpot.settings.flow import comment_lines, yaml_of
from annpot.settings.problems import dotted
from annpot.settings.schema import Schema, children, describe, find, forms, own_sections

_HEAD = """\
# Settings of annpot, with all keys and their defaults: delete what you do not change.
# Lines such as '#key: value' are examples of keys that are not set by default.
"""


def settings_reference() -> str:
    """Return a Markdown reference: one table of keys for each section."""
    blocks = [
        "# Settings",
        "Lengths are in angstrom, energies in eV, forces in eV/angstrom, stress in "
        "eV/angstrom^3. A value 'null' means 'not set'. In headings, `[0]` stands "
        "for each item of a list, `Ti` for each chemical symbol.",
    ]
    for path, schema, kind in _sections(find(()) or {}, (), ""):
        blocks.append(f"## `{dotted(path)}`{kind}" if path else "## Top level")
        if path:
            blocks.append(_about(schema))
        blocks.append(_table(path, schema))
    return "\n\n".join(blocks) + "\n"


def _sections(
    schema: Schema, path: KeyPath, kind: str
) -> Iterator[tuple[KeyPath, Schema, str]]:
    """Yield the sections, outer ones first, with their schemas and their kind."""
    if name := _kind_of(schema):
        kind = f" of type `{name}`"
    yield path, schema, kind
    for name, child in children(schema).items():
        here = (*path, name)
        alone = own_sections(child)
        for form in alone:
            yield from _sections(form, here, kind)
        for form in forms(child) if not alone else ():
            # a list of sections, or a mapping from symbol to sections
            inner = form.get("items") or form.get("additionalProperties") or {}
            if isinstance(inner, dict) and children(inner):
                last = "Ti" if "additionalProperties" in form else 0
                yield from _sections(inner, (*here, last), kind)


def _kind_of(section: Schema) -> str:
    """Return the type that a section is for, if it is for one."""
    return str(children(section).get("type", {}).get("const", ""))


def _about(schema: Schema) -> str:
    """Return the description of a section: that of its model."""
    described = [form["description"] for form in forms(schema) if "properties" in form]
    return "\n\n".join(described)


def _doc(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _table(path: KeyPath, section: Schema) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, schema in children(section).items():
        default = f"`{yaml_of(schema['default'])}`" if "default" in schema else "needed"
        if own_sections(schema):
            default = "see below"
        cells = [f"`{name}`", describe(schema), default, _doc(schema)]
        rows.append(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        )
    return "\n".join(rows)


def commented_yaml() -> str:
    """Return an ``in.yaml`` with all keys, their defaults and their documentation."""
    lines = [_HEAD.rstrip()]
    for name, schema in children(find(()) or {}).items():
        lines += ["", *_entry(name, schema, 0)]
    return "\n".join(lines) + "\n"


def _entry(name: str, schema: Schema, indent: int) -> Iterator[str]:
    """Yield the lines of one key: what it means, then its default or an example."""
    pad = " " * indent
    yield from comment_lines(_doc(schema), pad)
    sections = own_sections(schema)
    for other in sections[1:]:
        kind = _kind_of(other)
        yield f"{pad}# Keys of type {kind} are in 'annpot schema --reference'."
    groups = {} if sections else _list_of_sections(schema)
    if sections or groups:
        yield f"{pad}{name}:"
        for child_name, child in children({"anyOf": sections[:1]}).items():
            yield from _entry(child_name, child, indent + 2)
        yield from _as_list_item(groups, indent + 2)
    elif schema.get("default") in (None, {}):
        example = schema["examples"][0]
        mark = "" if "default" not in schema else "#"
        yield f"{pad}{mark}{name}: {yaml_of(example)}"
    else:
        yield f"{pad}{name}: {yaml_of(schema['default'])}"


def _list_of_sections(schema: Schema) -> dict[str, Schema]:
    """Return the keys of the list's items, where the value is a list of sections."""
    items: dict[str, Schema] = {}
    for form in forms(schema):
        items |= children(form.get("items", {}))
    return items


def _as_list_item(keys: dict[str, Schema], indent: int) -> Iterator[str]:
    """Yield one item; its first key is one that is needed, so it takes the dash."""
    lines = [
        line
        for name, schema in keys.items()
        for line in _entry(name, schema, indent + 2)
    ]
    for n, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            lines[n] = " " * indent + "- " + line.lstrip()
            break
    return iter(lines)
