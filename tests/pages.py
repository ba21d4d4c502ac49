"""Pages in Markdown whose shell blocks run, and print what the pages show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def block(page, name):
    """Return the code block that follows the comment ``<!-- name -->``."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", page, re.DOTALL)
    assert found, name
    return found[1]


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


def run_in_copy(script, folder):
    """Return what a shell script prints, run beside a copy of the examples."""
    shutil.copytree(
        ROOT / "examples",
        folder / "examples",
        ignore=shutil.ignore_patterns("*.h5", "*.log"),
    )
    scripts = Path(sys.executable).parent
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def assert_printed(shown, printed):
    """Check that all lines that a page shows, but for ``...``, were printed."""
    lines = printed.splitlines()
    for line in shown.splitlines():
        if line == "...":
            continue
        words = [word for word in line.split() if not numbers(word)]
        same = [
            other
            for other in lines
            if [word for word in other.split() if not numbers(word)] == words
        ]
        assert same, line
        # other processors round otherwise, and a fit amplifies that
        assert any(
            numbers(other) == pytest.approx(numbers(line), rel=1.0, abs=1.0)
            for other in same
        ), line
