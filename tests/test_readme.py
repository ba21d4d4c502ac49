"""The README's shell blocks run, and print what the README says."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name):
    """Return the code block that follows the comment ``<!-- name -->``."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return what the three commands print, run in a copy of the example."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(
        ROOT / "examples",
        folder / "examples",
        ignore=shutil.ignore_patterns("*.h5", "*.log"),
    )
    scripts = Path(sys.executable).parent
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("tested")],
        cwd=folder,
        env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_commands_print_the_lines_that_are_shown(printed):
    lines = printed.splitlines()
    for shown in block("output").splitlines():
        if shown == "...":
            continue
        words = [word for word in shown.split() if not numbers(word)]
        same = [
            line
            for line in lines
            if [word for word in line.split() if not numbers(word)] == words
        ]
        assert same, shown
        # other processors round otherwise, and a fit amplifies that
        assert any(
            numbers(line) == pytest.approx(numbers(shown), rel=1.0, abs=1.0)
            for line in same
        ), shown


def test_the_set_up_commands_are_those_of_the_example():
    commands = [line.split("#")[0].strip() for line in block("tested").splitlines()]
    one_line = block("install-and-run").replace("../../.venv/bin/", "")
    for command in commands:
        assert command in one_line
    assert "pytest" in block("install-and-test")


def test_python_blocks_compile():
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        compile(textwrap.dedent(code), "README.md", "exec")
