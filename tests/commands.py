"""The commands of annpot, run in this process."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner


def run(*arguments, folder=None):
    """Run annpot and return click's result, stdout and stderr apart."""
    from annpot.cli.main import annpot

    before = Path.cwd()
    try:
        if folder is not None:
            os.chdir(folder)
        return CliRunner().invoke(annpot, [str(a) for a in arguments])
    finally:
        os.chdir(before)
