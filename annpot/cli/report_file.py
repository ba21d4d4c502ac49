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
    for line in _lines(values, ""):
        click.echo(line)


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
        return "-".join(map(str, value))
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
