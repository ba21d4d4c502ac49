"""The job scripts in examples/slurm, with a Slurm that is only played."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from commands import PATIENCE

FOLDER = Path(__file__).parent.parent / "examples" / "slurm"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)

SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
SAY = """#!/bin/bash
echo "$(basename "$0") $*" >> calls
"""


def play(script, folder, code=0, **environment):
    """Run a script where annpot ends with ``code``; return its code and the calls."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {
        "srun": SRUN,
        "scontrol": SAY,
        "annpot": f"{SAY}exit {code}\n",
    }.items():
        path = programs / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    result = subprocess.run(
        ["bash", str(script)],
        cwd=folder,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "SLURM_JOB_ID": "4711",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return result, (folder / "calls").read_text().splitlines()


@each_script
def test_scripts_are_bash_and_are_explained(script):
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n# ")
    # sbatch stops reading its options at the first command
    first = re.search(r"^[^#\n]", text, re.MULTILINE).start()
    assert "#SBATCH" not in text[first:]
    assert f"[{script.name}]({script.name})" in (FOLDER / "README.md").read_text()


def test_commands_of_the_scripts_exist():
    from annpot.cli.main import annpot

    for script in SCRIPTS:
        text = script.read_text().replace("\\\n", " ")
        for name, rest in re.findall(r"srun annpot (\w+)(.*)", text):
            options = {o for p in annpot.commands[name].params for o in p.opts}
            assert set(re.findall(r"--[\w-]+", rest)) <= options


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (75, True)])
def test_a_training_that_stopped_goes_back_to_the_queue(tmp_path, code, requeued):
    result, calls = play(FOLDER / "train-requeue.sh", tmp_path, code)
    assert calls[0] == "annpot train --resume auto"
    assert calls[1:] == (["scontrol requeue 4711"] if requeued else [])
    assert result.returncode == (0 if requeued else code)


def test_no_training_without_its_set(tmp_path):
    result, calls = play(FOLDER / "generate-and-train.sh", tmp_path, 1)
    assert result.returncode == 1
    assert calls == ["annpot generate in.yaml --resume auto"]


def test_a_job_that_starts_again_may_go_on_with_either(tmp_path):
    _, calls = play(FOLDER / "generate-and-train.sh", tmp_path)
    assert calls == [
        "annpot generate in.yaml --resume auto",
        "annpot train --resume auto",
    ]


def test_an_array_predicts_each_file_once(tmp_path):
    names = [f"{k}.xsf" for k in range(25)]
    (tmp_path / "files.txt").write_text("\n".join(names) + "\n")
    found = []
    for task in range(10):
        environment = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MAX": "9"}
        _, calls = play(FOLDER / "predict-array.sh", tmp_path, **environment)
        assert f"--files-from files-{task}.txt" in calls[-1]
        found += (tmp_path / f"files-{task}.txt").read_text().split()
        for path in (tmp_path / "bin").iterdir():
            path.unlink()
        (tmp_path / "bin").rmdir()
    assert sorted(found) == sorted(names)
