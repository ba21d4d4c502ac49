"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest
from commands import run

from annpot.runs.interruption import SIGNALS

# The same examples in each run; HYPOTHESIS_PROFILE=random looks for others. How long
# they take says more about the machine than about annpot.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("same", PATIENT, derandomize=True)
hypothesis.settings.register_profile("random", PATIENT)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

EXAMPLE = Path(__file__).parent.parent / "examples" / "tio2"

SETTINGS = """\
structures:
  - files: train/*.xsf
    group: bulk
  - files: test/*.xsf
    set: test
species: [Ti, O]
descriptor:
  radial: {order: 4, cutoff: 5.0}
  angular: {order: 2, cutoff: 4.0, radial_order: 1}
train:
  hidden: [5]
  members: 1
  epochs: 15
"""


@pytest.fixture(scope="session", autouse=True)
def _no_signal_is_ignored():
    # nohup and shells let background jobs ignore some, which they hand down
    for name in SIGNALS:
        if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a folder with 16 structures, in.yaml, and what generate and train made."""
    folder = tmp_path_factory.mktemp("made")
    for name, count in (("train", 12), ("test", 4)):
        (folder / name).mkdir()
        for path in sorted((EXAMPLE / name).glob("*.xsf"))[:count]:
            shutil.copy(path, folder / name)
    (folder / "in.yaml").write_text(SETTINGS)
    for command in ("generate", "train"):
        result = run(command, folder=folder)
        assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def work(made, tmp_path):
    """Return a copy of ``made`` to change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path
