"""One command of annpot on one hostile file, in a process with limits.

Processes are forked from one that has imported everything: an attack takes as long as
annpot needs to refuse it, and not the second that Python needs to start.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY = 1 << 30
"""Bytes of address space that a command gets beyond what the imports hold."""
SECONDS = 20
"""Of processor time; six times as much by the clock."""


@dataclass(frozen=True)
class Outcome:
    """What a hostile file got."""

    exit_code: int
    """Negative: ended by that signal."""
    message: str
    output: str
    peak: int
    """Bytes beyond what the process held at its start."""
    seconds: float


def attack(words, folder, memory=MEMORY, seconds=SECONDS):
    """Return what ``annpot`` with the arguments ``words`` says in ``folder``."""
    _import_all()
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = folder / ".out", folder / ".err"
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        _run(words, folder, out, err, memory, seconds)
    try:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(6 * seconds)
        _, status = os.waitpid(child, 0)
    finally:
        signal.alarm(0)
    wall = time.perf_counter() - start
    *lines, last = err.read_text(errors="replace").splitlines() or [""]
    peak = 0
    if last.startswith("peak "):
        peak = int(last.split()[1])
    else:
        lines.append(last)
    return Outcome(
        os.waitstatus_to_exitcode(status),
        "\n".join(lines),
        out.read_text(errors="replace"),
        peak,
        wall,
    )


def _import_all():
    import scipy.optimize  # noqa: F401

    import annpot.calculator
    import annpot.checks.checking
    import annpot.cli.main
    import annpot.cli.report_set
    import annpot.convert.conversion
    import annpot.generation.generating
    import annpot.prediction
    import annpot.training  # noqa: F401


def _status(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    return 0


def _run(words, folder, out, err, memory, seconds):
    """Run the command and end the process, whatever happens."""
    code = 99
    try:
        os.chdir(folder)
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0, closefd=False)
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")
        signal.alarm(0)
        # the parent may have used more than it holds now
        Path("/proc/self/clear_refs").write_text("5")
        held = _status("VmRSS")
        limit = _status("VmSize") + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
        code = _invoke(words)
        sys.stdout.flush()
        sys.stderr.write(f"\npeak {max(0, _status('VmHWM') - held)}\n")
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def _invoke(words):
    from annpot.cli.main import annpot

    try:
        annpot([str(word) for word in words])
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0
    return 0
