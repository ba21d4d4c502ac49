"""What is generated from the models: JSON schema, reference, commented in.yaml."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from annpot.cli.schema import schema
from annpot.settings import (
    ChebyshevSettings,
    Settings,
    StructureGroup,
    commented_yaml,
    json_schema,
    load_settings,
    settings_reference,
)
from annpot.settings.document import parse_value
from annpot.settings.flow import comment_lines, yaml_of
from annpot.settings.problems import key_paths
from annpot.settings.schema import describe, find


def test_commented_yaml_holds_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_text(commented_yaml())
    group = StructureGroup(files=("structures/*.xsf",))
    assert load_settings(path) == Settings(structures=(group,))


def test_commented_yaml_loads_with_all_examples(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_text(re.sub(r"^( *)#(?=\w)", r"\1", commented_yaml(), flags=re.M))
    settings = load_settings(path)
    assert settings.structures[0].set == "test"
    assert settings.train.time_limit == 5400
    assert settings.descriptor[0].parts("O")[0].cutoff == 5.0
    assert settings.species is not None


def test_commented_yaml_and_reference_name_each_key() -> None:
    commented = commented_yaml()
    reference = settings_reference()
    for path in key_paths():
        assert f"| `{path[-1]}` |" in reference
        # the commented file holds one kind of descriptor
        if path[0] != "descriptor":
            assert re.search(rf"^[ #-]*{path[-1]}:", commented, flags=re.M)
    for name in ChebyshevSettings.model_fields:
        assert re.search(rf"^  #?{name}:", commented, flags=re.M)
    assert max(map(len, commented.splitlines())) <= 88


@pytest.mark.parametrize(
    "value",
    [
        *(
            "Ti",
            "a/*.xsf",
            "../a b.xsf",
            "null",
            "True",
            "1",
            "",
            "é\u2028\x07\U0001f600",
        ),
        *('"a\\b"', "N", 1, -1.5e-300, True, None, 1e22, 0.1),
        [1, "x", ["y: z", {}], {}],
        {"N": {"null": [1.0, None]}, "a b": "#c"},
    ],
)
def test_values_in_one_line_are_read_back(value: object) -> None:
    assert parse_value(yaml_of(value)) == value


def test_comments_are_lines_that_yaml_skips() -> None:
    lines = comment_lines("one\ntwo\x00 " + "three " * 30, "  ")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 88
    assert parse_value("\n".join(lines)) is None


def test_each_key_is_documented() -> None:
    definitions = [json_schema(), *json_schema()["$defs"].values()]
    for definition in definitions:
        assert definition["description"]
        for name, key in definition["properties"].items():
            assert key.get("description"), f"{definition['title']}.{name}"


@pytest.mark.parametrize("path", list(key_paths()))
def test_each_value_has_a_description(path: tuple[str, ...]) -> None:
    found = find(path)
    assert found is not None
    assert "another value" not in describe(found)


def test_find_nothing() -> None:
    assert find(("train", "seed", 3)) is None
    assert find(("nothing",)) is None


def test_epochs_of_the_methods_are_told() -> None:
    from annpot.training import EPOCHS

    told = ", ".join(f"{number} with {method}" for method, number in EPOCHS.items())
    assert told in settings_reference()


def test_command_prints_json_schema() -> None:
    result = CliRunner().invoke(schema, [])
    assert result.exit_code == 0
    assert json.loads(result.output) == json_schema()


@pytest.mark.parametrize(
    ("option", "start"), [("--yaml", "# Settings of annpot"), ("--reference", "# Set")]
)
def test_command_options(option: str, start: str) -> None:
    result = CliRunner().invoke(schema, [option])
    assert result.exit_code == 0
    assert result.output.startswith(start)


def test_command_options_exclude_each_other() -> None:
    result = CliRunner().invoke(schema, ["--yaml", "--reference"])
    assert result.exit_code == 2
    assert "exclude each other" in result.output
