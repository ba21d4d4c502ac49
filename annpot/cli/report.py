"""How annpot prints: results to stdout, all that is said about a run to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click
import numpy as np
from tqdm import tqdm

from annpot.kernels import compilation

Item = TypeVar("Item")


def say(text: str) -> None:
    """Say something about the run, on stderr, without breaking a progress bar.

    Nobody need listen: a full disk or closed pipe there does not end the run.
    """
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)


MAX_SKIPPED = 20
"""Lines about what was skipped."""


def say_skipped(messages: Sequence[str], n_skipped: int | None = None) -> None:
    """Say what was skipped, and how much, if there is more than the first messages."""
    for message in messages[:MAX_SKIPPED]:
        say(f"skipped: {message}")
    if messages:
        say(f"{n_skipped or len(messages)} structures or files were skipped")


def progress(items: Iterable[Item], what: str, unit: str = "file") -> Iterator[Item]:
    """Yield ``items`` with a progress bar on stderr, if that is a terminal."""
    yield from tqdm(items, desc=what, unit=unit, disable=None, leave=False)


def announce_compilation() -> None:
    """Say so if kernels have to be compiled."""
    compilation.announce_compilation(
        lambda: say(
            "compiling kernels for this processor, up to 20 s; the next run has them"
        )
    )


def print_json(value: Any) -> None:
    """Print a value as JSON; what is not finite becomes null."""
    click.echo(to_json(value))


def to_json(value: Any) -> str:
    """Return a value as JSON; what is not finite becomes null."""
    try:
        return json.dumps(value, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _plain(value: Any) -> Any:
    """Return arrays and numbers of numpy as lists and numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
