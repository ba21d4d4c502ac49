"""The features of a Chebyshev expansion one by one, and what to call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Term(NamedTuple):
    """One feature."""

    kind: str
    """``radial`` or ``angular``."""
    order: int
    """Of the polynomial, l or a."""
    functions: tuple[tuple[int | None, int], ...]
    """Number n (``None``: there is only one) and channel of its radial functions."""


def name_term(term: Term, n_channels: int) -> str:
    """Return the short name of a feature."""
    suffixes = ["", " weighted"][:n_channels]
    if n_channels > 2:
        suffixes = ["", *(f" weighted-{c}" for c in range(1, n_channels))]
    (n, channel), *_ = term.functions
    if n is None:
        return f"{term.kind} {term.order}{suffixes[channel]}"
    of = ", ".join(f"{n}{suffixes[channel]}" for n, channel in term.functions)
    return f"{term.kind} {term.order} of {of}"


def word_term(term: Term, channels: Sequence[str]) -> str:
    """Return a feature in words; ``channels`` are those of `name_channels`."""
    names = list(dict.fromkeys(channels[c] for _, c in term.functions))
    of = f"of the {' and '.join(names)} channel{'s' * (len(names) > 1)}"
    n = ",".join(str(n) for n, _ in term.functions if n is not None)
    if n:
        return f"{term.kind} l={term.order} n={n} {of}"
    return f"{term.kind} order {term.order} {of}"


def name_channels(
    central: str, species: Sequence[str], weights_ct: Sequence[Sequence[float]]
) -> list[str]:
    """Return what each channel sees: ``Ti-O``, ``unweighted`` or ``weighted``."""
    names = []
    for weights_t in weights_ct:
        seen = [symbol for symbol, w in zip(species, weights_t, strict=True) if w]
        if len(seen) == 1:
            names.append(f"{central}-{seen[0]}")
        elif set(weights_t) == {1.0}:
            names.append("unweighted")
        else:
            names.append("weighted")
    return [
        f"{name}-{c}" if names.count(name) > 1 else name for c, name in enumerate(names)
    ]
