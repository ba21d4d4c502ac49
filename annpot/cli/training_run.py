"""A run of ``annpot train``: who may write, where it begins, and what it leaves."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from annpot.checkpoints.checkpoint import Checkpoint, is_result
from annpot.checkpoints.keeper import Keeper, exist, names, remove, take
from annpot.checkpoints.progress import INTERRUPTED, TIME_LIMIT, UNFINISHED
from annpot.cli import report
from annpot.cli.report_training import EpochTable, report_training
from annpot.committee import Committee
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import FingerprintSet, load_set
from annpot.format import container
from annpot.format.outputs import check_writable
from annpot.parallel import Ranks, world
from annpot.potential import Potential
from annpot.predictor import load_predictor
from annpot.runs.interruption import Stop, Stopped, stoppable
from annpot.runs.run import Run, record
from annpot.settings import Settings, TrainSettings
from annpot.training import Plan, Result, train
from annpot.version import __version__

TRIFLE = 600.0
"""Seconds of training that are lost without asking."""
GOES_ON = "the same 'annpot train' with --resume goes on"


def run(settings: Settings, resume: str | None, restart: bool, as_json: bool) -> None:
    """Train a potential and save it; of all ranks, only the first one writes.

    Parameters
    ----------
    resume
        ``yes``: only go on from a checkpoint; ``auto``: do so if there is one.
    restart
        Start anew whatever there is.
    """
    ranks, chosen = world(), settings.train
    report.announce_compilation()
    with stoppable() as stop, _hold(chosen.output, ranks) as mine:
        fingerprints = load_set(chosen.input)
        done, begun = _find_start(fingerprints, chosen, resume, restart, ranks)
        if done:
            report.say(f"'{chosen.output}' is finished, of this set and these settings")
            return
        result = _train(fingerprints, chosen, begun, mine, stop, ranks)
        if mine is not None:
            _finish(result, settings, as_json)
        if result.reason == INTERRUPTED:
            ranks.barrier()  # none may leave while the potential is written
            raise Stopped(stop.number or signal.SIGINT)


@contextlib.contextmanager
def _hold(output: Path, ranks: Ranks) -> Iterator[Run | None]:
    """Hold the record of the run, on the first rank.

    The others only learn whether they can go on later, so that all exit alike.
    """
    if ranks.rank == 0:
        check_writable(output, container.POTENTIAL, container.COMMITTEE)
        with record(output, "train", lambda: exist(output), report.say) as mine:
            yield mine
        return
    try:
        yield None
    except Stopped as stopped:
        stopped.goes_on = GOES_ON if exist(output) else None
        raise


def _find_start(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    resume: str | None,
    restart: bool,
    ranks: Ranks,
) -> tuple[bool, Checkpoint | None]:
    """Return whether all is done already, and, on rank 0, what to go on from."""
    done, begun = False, None
    if ranks.rank == 0:
        begun = None if restart else _find_begun(settings.output, resume)
        if resume == "auto" and begun is None:
            done = _is_done(fingerprints, settings)
    return ranks.any(done), begun


def _find_begun(output: Path, resume: str | None) -> Checkpoint | None:
    """Return what to go on from, if that is wanted and there is something.

    Raises
    ------
    AnnpotError
        If --resume finds nothing, or work would be lost without it.
    """
    newest, _ = names(output)
    try:
        begun = take(output, report.say)
    except FileFormatError as error:
        raise FileFormatError(f"{error}; --restart starts anew") from None
    if begun is None:
        if resume == "yes":
            raise AnnpotError(
                f"'{newest}': no such file, so there is nothing to go on from: please "
                "leave --resume out, or say '--resume auto'"
            )
        return None
    done = f"{begun.progress.n_epochs} epochs in {begun.progress.seconds:.0f} s"
    if resume is not None:
        report.say(f"going on from '{newest}', after {done}")
        if begun.writer != f"annpot {__version__}":
            report.say(f"written by {begun.writer!a:.50}: digits may differ in the end")
        return begun
    if begun.progress.seconds < TRIFLE:
        report.say(f"starting anew; '{newest}' was of {done} only")
        return None
    raise AnnpotError(
        f"'{newest}' is of a training that did not end, after {done}: please say "
        "--resume to go on from it, or --restart to start anew"
    )


def _is_done(fingerprints: FingerprintSet, settings: TrainSettings) -> bool:
    """Return whether the potential is there already, as the training would make it."""
    try:
        found = load_predictor(settings.output)
    except FileFormatError:
        return False
    member = found.members[0] if isinstance(found, Committee) else found
    return is_result(member.provenance, fingerprints, settings)


def _train(
    fingerprints: FingerprintSet,
    settings: TrainSettings,
    begun: Checkpoint | None,
    mine: Run | None,
    stop: Stop,
    ranks: Ranks,
) -> Result:
    if mine is None:
        return train(fingerprints, settings, stop=stop, ranks=ranks)
    n_before = None if begun is None else begun.progress.n_epochs
    with EpochTable(settings, mine, n_before) as table:

        def on_plan(plan: Plan) -> None:
            # not earlier: what cannot be trained must not cost an earlier training
            if begun is None:
                remove(settings.output)
            table.plan(plan)

        keeper = Keeper(settings.output, fingerprints, settings, report.say)
        return train(
            fingerprints, settings, on_plan, table.epoch, keeper, begun, stop, ranks
        )


def _finish(result: Result, settings: Settings, as_json: bool) -> None:
    """Save the potential, and remove what led to it if that is all."""
    output = settings.train.output
    saved = _save(result.potential, settings)
    report_training(result, settings.train, saved, as_json)
    if saved != output:
        raise AnnpotError(f"the potential is in '{saved}', not in '{output}'")
    if result.reason not in UNFINISHED:
        remove(output)
    elif result.reason == TIME_LIMIT:
        report.say(f"with more time, {GOES_ON}")


def _save(potential: Potential | Committee, settings: Settings) -> Path:
    """Save the potential, in the folder for temporary files if it must be."""
    path = settings.train.output
    potential = potential.with_settings(settings.to_json())
    try:
        potential.save(path)
    except AnnpotError as error:
        report.say(f"Error: {error}; trying the folder for temporary files")
        folder = Path(tempfile.mkdtemp(prefix="annpot-"))
        path = folder / path.name
        try:
            potential.save(path)
        except AnnpotError:
            folder.rmdir()
            raise
    return path
