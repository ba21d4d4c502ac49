"""Whatever stands in the file: settings or one InputError, never another exception."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annpot.errors import InputError
from annpot.settings import load_settings, read_override
from annpot.settings.problems import key_paths


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "in.yaml"


def load_or_refuse(path: Path, data: bytes, overrides: dict[str, Any]) -> None:
    path.write_bytes(data)
    try:
        load_settings(path, overrides)
    except InputError as error:
        lines = str(error).splitlines()
        assert lines
        assert (
            len(lines) == 1
            or lines[0].endswith(f"{len(lines) - 1} problems")
            or (lines[-1].endswith(" more"))
        )


KEYS = [
    *sorted({name for path in key_paths() for name in path}),
    "files", "names", "index", "format", "group", "set", "weight", "energy",
    "Ti", "O", "No", "Xx", "*", "[key]", "",
]  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*KEYS, "fit", "aenet", "lbfgs", "1h", "1:2", "1.2.3s", "::0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner)
    ),
    max_leaves=20,
)
SECTIONS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "structures": VALUES | st.lists(SECTIONS, max_size=3),
        "species": VALUES,
        "descriptor": SECTIONS,
        "train": SECTIONS,
        "generate": SECTIONS,
        "predict": SECTIONS,
    },
)
PIECES = """
    train species structures : - [ ] { } , &a *a !!int !x ! ? | > ' " # % %TAG --- ...
    << \\ \\x ~ 0o 0x 0b1 1_ .inf -.inf . + 1e = @ ` \u00e9
""".split()
SPACES = [" ", "\n", "\n  ", "\t", ": ", "- ", "%YAML 1.1\n", ""]
YAML_TEXT = st.lists(st.sampled_from(PIECES) | st.sampled_from(SPACES)).map("".join)


@given(st.binary())
def test_any_bytes(path: Path, data: bytes) -> None:
    load_or_refuse(path, data, {})


@settings(max_examples=500)
@given(YAML_TEXT | st.text())
def test_any_text(path: Path, text: str) -> None:
    load_or_refuse(path, text.encode("utf-8", "surrogatepass"), {})


@settings(max_examples=150)
@given(VALUES | NEARLY)
def test_any_values(path: Path, values: Any) -> None:
    load_or_refuse(path, json.dumps(values).encode(), {})


@given(NEARLY, st.dictionaries(st.sampled_from(KEYS) | st.text(), VALUES, max_size=3))
def test_any_options(path: Path, values: Any, overrides: dict[str, Any]) -> None:
    load_or_refuse(path, json.dumps(values).encode(), overrides)


@given(st.text() | YAML_TEXT)
def test_any_option_text(text: str) -> None:
    try:
        read_override("train.seed=" + text)
        read_override(text)
    except InputError:
        pass
