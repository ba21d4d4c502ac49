"""A command that several ranks of MPI run: rank 0 speaks, and all end together."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
import traceback
from typing import IO, TYPE_CHECKING, Any

import click

from annpot.errors import InputError
from annpot.launch import launched
from annpot.runs.interruption import GOES_ON, INTERRUPTED, ignore

if TYPE_CHECKING:
    from annpot.parallel import Ranks

PARALLEL = ("generate", "predict", "train")
"""Commands that all ranks work on; others are rank 0's."""

PATIENCE = {1: 2.0, 2: 2.0, GOES_ON: 20.0, INTERRUPTED: 20.0}
"""Seconds for which a rank with this exit code waits for the others to end, too; they
may be waiting for it. With other codes it has done its part."""
MOMENT = 0.5
"""Seconds in which the launcher passes on what was told, before it kills all."""


def is_idle(command: str) -> bool:
    """Return whether this rank has nothing to do for a command."""
    return launched().rank > 0 and command not in PARALLEL


def idle() -> click.Command:
    """Return a command that takes any arguments and does nothing."""
    return click.Command(
        "idle",
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        callback=lambda rest: None,
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )


def run(command: click.Group) -> int:
    """Run the command on this rank; return the exit code of all of them."""
    stderr = sys.stderr
    if launched().rank > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")

    from annpot.kernels import threads
    from annpot.parallel import share_cores, world

    try:
        ranks = world()
        n_cores = share_cores(ranks)  # by all: the others would wait for ever
        if not threads.is_granted():
            os.environ[threads.VARIABLES[0]] = str(n_cores)
        n_threads = threads.thread_count()
    except InputError as error:  # all of them have it
        click.echo(f"Error: {error}", err=True)
        return 2
    if sys.argv[1:2] and sys.argv[1] in PARALLEL:
        click.echo(f"{ranks.size} ranks of MPI, threads of each: {n_threads}", err=True)
    return _end(ranks, *_run(command), stderr)


def _run(command: click.Group) -> tuple[int, str]:
    """Return the exit code of this rank, and what went wrong."""
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        return error.exit_code, text.getvalue()
    except SystemExit as end:
        code = end.code
    except BaseException:  # whatever it is, other ranks must not wait for this one
        return 1, traceback.format_exc()
    return (code if isinstance(code, int) else 0), ""


def _end(ranks: Ranks, code: int, message: str, stderr: IO[str]) -> int:
    """Wait for the other ranks; return the exit code of all.

    A rank that failed ends the others if they do not come to an end themselves.
    """
    ignore()  # launchers repeat signals; those who are not at their end answer them
    patience = PATIENCE.get(code, math.inf)
    if ranks.rank == 0:  # it is the one to tell what went wrong everywhere
        patience /= 2
    found = ranks.farewell(json.dumps([code, message]).encode(), patience)
    sys.stdout.flush()
    if found is None:
        message = message or "asked to end, and others are not\n"
        _tell(stderr, f"rank {ranks.rank}: {message}")
        time.sleep(MOMENT)
        ranks.abort(code)
    ends: list[Any] = [json.loads(data) for data in found or []]
    if ranks.rank == 0:
        told = {""}
        for rank, (_, text) in enumerate(ends):
            if text not in told:
                _tell(stderr, f"rank {rank}: {text}" if rank else text)
            told.add(text)
    ranks.finalize()
    failures = [code for code, _ in ends if code in (1, 2)]
    return next((code for code in failures + [code for code, _ in ends] if code), 0)


def _tell(stderr: IO[str], text: str) -> None:
    stderr.write(text)
    stderr.flush()
