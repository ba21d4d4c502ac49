"""What ``annpot info`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from annpot.cli.report import print_json, say
from annpot.description import Verification


def report_file(values: dict[str, Any], as_json: bool) -> None:
    """Print what is in a file."""
    if as_json:
        print_json(values)
        return
    for key, value in values.items():
        told = _fold(value) if key == "members" else {key: value}
        for line in _lines(told, ""):
            click.echo(line)


def _fold(members: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what members share, told once, and a line for what is a member's own."""
    shared, own = _share(members)
    lines = [{"member": number} | rest for number, rest in enumerate(own)]
    return {"members": lines, "each member": shared}


def _share(
    sections: list[dict[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what all sections say alike, and what is left of each, by dotted keys."""
    shared: dict[str, Any] = {}
    own: list[dict[str, Any]] = [{} for _ in sections]
    for key in dict.fromkeys(key for section in sections for key in section):
        found = [section.get(key) for section in sections]
        if all(value == found[0] for value in found):
            shared[key] = found[0]
        elif all(isinstance(value, dict | None) for value in found):
            shared[key], inner = _share([value or {} for value in found])
            for rest, values in zip(own, inner, strict=True):
                rest |= {f"{key}.{name}": value for name, value in values.items()}
        else:
            for rest, value in zip(own, found, strict=True):
                rest[key] = value
    return shared, own


def _lines(values: dict[str, Any], indent: str) -> Iterator[str]:
    """Yield nested values as lines; long lists of numbers only by their length."""
    for key, value in values.items():
        if isinstance(value, dict):
            if value:
                yield f"{indent}{key}:"
                yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
            yield f"{indent}{key}:"
            yield from _items(value, indent + "  ")
        elif isinstance(value, list) and len(value) > 12:
            yield f"{indent}{key}: {len(value)} entries"
        elif isinstance(value, list):
            yield f"{indent}{key}: {', '.join(map(str, value))}"
        else:
            yield f"{indent}{key}: {value}"


def _items(items: list[Any], indent: str) -> Iterator[str]:
    """Yield each item of a list of sections in one line, unless it holds others."""
    for n, item in enumerate(items):
        if not isinstance(item, dict) or any(
            isinstance(v, dict) for v in item.values()
        ):
            yield from _lines({str(n): item}, indent)
        else:
            known = {key: value for key, value in item.items() if value is not None}
            yield indent + ", ".join(f"{k} {_short(v)}" for k, v in known.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        if len(value) > 12 or any(isinstance(item, dict | list) for item in value):
            return f"{len(value)} entries"
        return "-".join(map(str, value))
    if isinstance(value, dict):
        return f"{len(value)} entries"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def report_verification(result: Verification) -> None:
    """Print what was checked of a file."""
    say(f"checksum is right: {result.checksum}")
    if result.energy_deviation is not None:
        say(
            "test vectors are reproduced: largest deviations "
            f"{result.energy_deviation:.1e} eV/atom, "
            f"{result.force_deviation:.1e} eV/angstrom"
        )
