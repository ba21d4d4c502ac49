"""Settings as YAML with comments, written key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from annpot.convert.plain_text import FileLine
from annpot.descriptors.building import make_descriptor
from annpot.errors import FileFormatError, InputError, SettingsError
from annpot.settings import Settings, read_settings
from annpot.settings.flow import comment_lines, yaml_of

WIDTH = 88
STEP = "  "


class Section:
    """Keys of a mapping with their values and comments, in the order they are put."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, Any, str]] = []
        """Key, value, comment; without a key, only a comment."""

    def say(self, text: str) -> None:
        """Add a comment that stands for itself."""
        self._parts.append(("", None, text))

    def tell(self, line: FileLine, text: str, notes: list[str]) -> None:
        """Say something of a line of an input, both in a comment and in a note."""
        self.say(line.comment(text))
        notes.append(line.note(text))

    def put(self, key: str, value: Any, remark: str = "") -> None:
        """Add a key whose value stands in one line, and a remark on it."""
        self._parts.append((key, value, remark))

    def section(self, key: str, remark: str = "") -> Section:
        """Add a key whose value is a section, and return that."""
        inner = Section()
        self._parts.append((key, inner, remark))
        return inner

    def items(self, key: str) -> Items:
        """Add a key whose value is a list, an item a line, and return that."""
        inner = Items()
        self._parts.append((key, inner, ""))
        return inner

    def values(self) -> dict[str, Any]:
        """Return the keys and their values; those without content are left out."""
        found = ((key, _plain(value)) for key, value, _ in self._parts if key)
        return {key: value for key, value in found if value not in ({}, None)}

    def lines(self, pad: str = "") -> Iterator[str]:
        """Yield the lines of the section, which begin with ``pad``."""
        for key, value, remark in self._parts:
            if not key:
                yield from comment_lines(remark, pad)
            elif not isinstance(value, Section | Items):
                yield from _with_remark(f"{key}: {yaml_of(value)}", remark, pad)
            elif value.values():
                yield from _with_remark(f"{key}:", remark, pad)
                yield from value.lines(pad + STEP)
            else:
                yield from value.lines(pad)


class Items:
    """Items of a list with comments: sections, or values in one line."""

    def __init__(self) -> None:
        self._parts: list[tuple[bool, Any, str]] = []
        """Whether it is an item, its value, and the comment."""

    def say(self, text: str) -> None:
        """Add a comment that stands for itself."""
        self._parts.append((False, None, text))

    def put(self, value: Any, remark: str = "") -> None:
        """Add an item that stands in one line, and a remark on it."""
        self._parts.append((True, value, remark))

    def section(self) -> Section:
        """Add an item that is a section, and return that."""
        inner = Section()
        self._parts.append((True, inner, ""))
        return inner

    def values(self) -> list[Any]:
        """Return the values of all items."""
        return [_plain(value) for is_item, value, _ in self._parts if is_item]

    def lines(self, pad: str = "") -> Iterator[str]:
        """Yield the lines of the list, which begin with ``pad``."""
        for is_item, value, remark in self._parts:
            if not is_item:
                yield from comment_lines(remark, pad)
            elif isinstance(value, Section):
                yield from _dashed(list(value.lines(pad + STEP)), pad)
            else:
                yield from _with_remark(f"- {yaml_of(value)}", remark, pad)


def _plain(value: Any) -> Any:
    return value.values() if isinstance(value, Section | Items) else value


def _dashed(lines: list[str], pad: str) -> list[str]:
    """Return the lines of an item, the first of which that is no comment has a dash."""
    for n, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            lines[n] = f"{pad}- {line.lstrip()}"
            break
    return lines


def _with_remark(text: str, remark: str, pad: str) -> list[str]:
    """Return a line with a remark behind it if there is room, else above it."""
    whole = comment_lines(remark)
    if not whole:
        return [pad + text]
    line = f"{pad}{text}  {whole[0]}"
    if len(whole) == 1 and len(line) <= WIDTH:
        return [line]
    return [*comment_lines(remark, pad), pad + text]


def write_settings(head: str, root: Section, source: str) -> str:
    """Return the YAML text of settings, which was read back and found the same.

    Parameters
    ----------
    head
        Comment at the beginning.
    source
        What the settings were made from, for messages.

    Raises
    ------
    FileFormatError
        If a value is none that the settings allow.
    """
    lines = [*comment_lines(head), "", *_spaced(root)]
    text = "\n".join(lines) + "\n"
    try:
        found = read_settings(text, "settings")
    except InputError as error:
        *_, problem = str(error).split("\n")[:2]
        raise FileFormatError(
            f"{source}: what it says is beyond annpot's settings: {problem}"
        ) from None
    expected = Settings.model_validate(_lists(root.values()))
    if found != expected:  # our own mistake
        raise RuntimeError(f"settings changed on writing: {found!r}, {expected!r}")
    return text


def check_descriptor(text: str, species: tuple[str, ...], source: str) -> None:
    """Check that annpot can make the descriptor of settings.

    Raises
    ------
    FileFormatError
        If not; ``source`` is what they were made from.
    """
    try:
        make_descriptor(read_settings(text, "settings").descriptor, species)
    except SettingsError as error:
        raise FileFormatError(
            f"{source}: annpot cannot make this descriptor: {error}"
        ) from None


def _lists(value: Any) -> Any:
    """Return values with lists instead of tuples, as files have them."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(x) for x in value] if isinstance(value, list | tuple) else value


def _spaced(root: Section) -> Iterator[str]:
    """Yield the lines, with an empty one before each section of the top level."""
    previous = "#"
    for line in root.lines():
        # comments belong to what follows
        if line[0] != " " and previous[0] != "#":
            yield ""
        yield line
        previous = line
