"""Mutations of valid files: bytes, lengths, pieces, words and numbers."""

from __future__ import annotations

import re

from hypothesis import strategies as st

NUMBER = re.compile(rb"[+-]?\d+\.?\d*(?:[eEdD][+-]?\d+)?")
WORD = re.compile(rb"[A-Za-z_][\w.]*")
EXTREME = [
    b"0", b"-1", b"1", b"2", b"1e300", b"-1e300", b"1e400", b"nan", b"inf", b"-inf",
    b"1e-320", b"999999999999", b"9223372036854775808", b"-9223372036854775809",
    b"4294967296", b"65536", b"0.0", b"1.0D+05", b"9" * 5000, b"0x10", b"1_0",
    b"+", b"",
]  # fmt: skip
SPECIAL = [
    b"\0", b"\n", b"\r", b"\t", b"\"", b"'", b"{", b"}", b"[", b"]", b":", b"-", b"#",
    b"=", b"\\", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1b[31m",
    b"!!python",
    b"&a *a", b"<<:", b"%", b"/", b"../", b"null", b"true", b"[" * 200, b"{a: " * 60,
]  # fmt: skip
EXTREME_BYTES = [
    n.to_bytes(size, "little", signed=True)
    for size in (4, 8)
    for n in (0, 1, -1, 2**31 - 1, -(2**31), 10**9)
]

_POSITION = st.floats(0, 1, exclude_max=True, width=32)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), _POSITION, st.integers(0, 7)),
        st.tuples(st.just("cut"), _POSITION, st.just(0)),
        st.tuples(st.just("drop"), _POSITION, st.integers(1, 400)),
        st.tuples(st.just("double"), _POSITION, st.integers(1, 400)),
        st.tuples(st.just("splice"), _POSITION, _POSITION),
        st.tuples(st.just("insert"), _POSITION, st.sampled_from(SPECIAL)),
        st.tuples(st.just("bytes"), _POSITION, st.sampled_from(EXTREME_BYTES)),
        st.tuples(st.just("number"), _POSITION, st.sampled_from(EXTREME)),
        st.tuples(st.just("word"), _POSITION, _POSITION),
        st.tuples(st.just("line"), _POSITION, _POSITION),
    ),
    min_size=1,
    max_size=4,
)
"""What to do to a file: kind, where (as a fraction), and what."""


def mutate(content, edits):
    """Return a file after some edits."""
    for kind, where, what in edits:
        content = _OF_KIND[kind](content, int(where * max(1, len(content))), what)
    return content


def _flip(content, at, bit):
    changed = bytearray(content)
    if changed:
        changed[at] ^= 1 << bit
    return bytes(changed)


def _splice(content, at, source):
    start = int(source * len(content))
    return content[:at] + content[start : start + 200] + content[at:]


def _replace(pattern, content, at, new):
    """Return the content with another text for the next match, or the first."""
    found = pattern.search(content, at) or pattern.search(content)
    if found is None:
        return content
    return content[: found.start()] + new + content[found.end() :]


def _word(content, at, source):
    found = WORD.search(content, int(source * len(content))) or WORD.search(content)
    return content if found is None else _replace(WORD, content, at, found[0])


def _line(content, at, source):
    """Swap, or double, lines."""
    lines = content.split(b"\n")
    i = content.count(b"\n", 0, at)
    j = int(source * len(lines))
    if at % 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines.insert(j, lines[i])
    return b"\n".join(lines)


_OF_KIND = {
    "flip": _flip,
    "cut": lambda content, at, _: content[:at],
    "drop": lambda content, at, n: content[:at] + content[at + n :],
    "double": lambda content, at, n: content[: at + n] + content[at:],
    "splice": _splice,
    "insert": lambda content, at, new: content[:at] + new + content[at:],
    "bytes": lambda content, at, new: content[:at] + new + content[at + len(new) :],
    "number": lambda content, at, new: _replace(NUMBER, content, at, new),
    "word": _word,
    "line": _line,
}
