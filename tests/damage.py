"""Damaged files: cut short, changed, with flipped bits; reading must end well."""

from __future__ import annotations

import resource

import numpy as np

from annpot.errors import AnnpotError

GIGABYTE = 2**30


def truncations(content, step=64):
    """Yield the beginnings of a file, ``step`` bytes longer each time."""
    for length in range(0, len(content), step):
        yield content[:length]


def flips(content, n=200, seed=0):
    """Yield ``n`` copies of a file, each with one bit of one random byte flipped."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        yield bytes(damaged)


def change(path, old, new):
    """Replace a text in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def assert_ends_well(read, damaged):
    """Check that ``read`` fails by a message in one line, or gives something.

    Returns
    -------
    The results of those that could be read after all.
    """
    before = peak()
    results, messages = [], []
    for content in damaged:
        try:
            results.append(read(content))
        except AnnpotError as error:
            messages.append(str(error))
    assert all(message and "\n" not in message for message in messages)
    assert peak() - before < GIGABYTE
    return results


def peak():
    """Return the largest memory that this process has needed, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
