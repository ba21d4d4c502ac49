"""The names of features, taken apart: their kind, and what is special to each."""

from __future__ import annotations

from collections.abc import Sequence


def group_labels(labels: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Return the features of each kind: their number, and the rest of their name.

    The kind is the name without its numbers: ``radial weighted`` for
    ``radial 3 weighted``, of which the rest is ``3``.
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for f, label in enumerate(labels):
        kind, name = take_apart(label)
        groups.setdefault(kind, []).append((f, name))
    return groups


def take_apart(label: str) -> tuple[str, str]:
    """Return the kind of a feature, and the rest of its name."""
    words = label.split()
    kind = [word for word in words if not _is_number(word)]
    return " ".join(kind), " ".join(filter(_is_number, words))


def _is_number(word: str) -> bool:
    return word.rstrip(",").isdecimal() or "=" in word or word == "of"
