"""The shell blocks of the pages run, and print what the pages say."""

import re
import textwrap

import pytest
from pages import ROOT, assert_printed, block, run_in_copy

README = (ROOT / "README.md").read_text()
MIGRATIONS = ("from-aenet", "from-n2p2")


def test_the_commands_print_the_lines_that_are_shown(tmp_path):
    result = run_in_copy(block(README, "tested"), tmp_path)
    assert_printed(block(README, "output"), result.stdout)


@pytest.mark.parametrize("name", MIGRATIONS)
def test_migrations(name, tmp_path):
    page = (ROOT / "examples" / name / "README.md").read_text()
    script = block(page, "tested")
    assert len(script.splitlines()) <= 10
    result = run_in_copy(script, tmp_path)
    assert_printed(block(page, "output"), result.stdout)
    assert_printed(block(page, "notes"), result.stderr)


def test_the_set_up_commands_are_those_of_the_example():
    script = block(README, "tested")
    commands = [line.split("#")[0].strip() for line in script.splitlines()]
    one_line = block(README, "install-and-run").replace("../../.venv/bin/", "")
    for command in commands:
        assert command in one_line
    assert "pytest" in block(README, "install-and-test")


def test_python_blocks_compile():
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        compile(textwrap.dedent(code), "README.md", "exec")
