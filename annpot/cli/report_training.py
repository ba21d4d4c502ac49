"""What ``annpot train`` prints: the table of epochs, and the errors at the end."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import IO

import click
import numpy as np

from annpot.accuracy import Errors
from annpot.checkpoints.progress import Epoch
from annpot.cli.report import print_json, say
from annpot.committee import Committee
from annpot.errors import AnnpotError
from annpot.memory import peak, say_size
from annpot.planning import MemoryPlan
from annpot.runs.records import try_lock
from annpot.runs.run import Run
from annpot.settings import TrainSettings
from annpot.training import Plan, Result
from annpot.training_log import cut_log

COLUMNS = (
    "epoch",
    "loss",
    "train_E_rmse",
    "train_E_mae",
    "train_F_rmse",
    "train_F_mae",
    "validation_E_rmse",
    "validation_E_mae",
    "validation_F_rmse",
    "validation_F_mae",
    "seconds",
    "member",
)
"""Of ``train.log``; energies in meV/atom, components of forces in meV/angstrom."""


def _milli(errors: Errors) -> list[float]:
    return [1000 * value for value in asdict(errors).values()]


class EpochTable:
    """The table of epochs: in ``train.log``, on stderr, and the last in the record.

    Parameters
    ----------
    n_before
        Epochs of an earlier run, which stay in the log; ``None``: it begins anew.
    """

    def __init__(self, settings: TrainSettings, run: Run, n_before: int | None) -> None:
        self._path, self._run, self._n_before = settings.log, run, n_before
        self._log: IO[str] | None = None
        self._n_total = 0
        self._members = settings.members

    def __enter__(self) -> EpochTable:
        """Open the log, and keep it from other trainings; `plan` empties or cuts it.

        Raises
        ------
        AnnpotError
            If it cannot be written, or another training writes it.
        """
        advice = "please choose another log: --set train.log=FILE"
        try:
            self._log = open(self._path, "a", encoding="utf-8")
        except OSError as error:
            raise AnnpotError(
                f"'{self._path}' cannot be written: {error.strerror}, {advice}"
            ) from None
        if self._path.is_file():
            with contextlib.suppress(OSError):  # there may be no locks here
                if not try_lock(self._log.fileno(), exclusive=True):
                    self._log.close()
                    raise AnnpotError(
                        f"'{self._path}': another training is writing it, {advice}"
                    )
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _begin_log(self) -> None:
        """Go to the end of what an earlier run has done, or begin anew."""
        header = "# " + " ".join(COLUMNS) + "\n"
        if self._n_before is not None and cut_log(self._path, header, self._n_before):
            return
        if self._log is not None and self._path.is_file():
            self._log.truncate(0)
        self._write(header)

    def _write(self, line: str) -> None:
        """Write to the log; a full disk ends the log but not the training."""
        if self._log is None:
            return
        try:
            self._log.write(line)
            self._log.flush()
        except OSError as error:
            say(f"'{self._path}' cannot be written any more: {error.strerror}")
            with contextlib.suppress(OSError):
                self._log.close()
            self._log = None

    def plan(self, plan: Plan) -> None:
        """Begin the log, and say what is about to be trained."""
        # Not earlier: what cannot be trained must not cost the log of the last run.
        self._begin_log()
        self._n_total = plan.epochs * plan.members
        counts = ", ".join(f"{n} {name}" for name, n in plan.n_structures.items() if n)
        layers = ", ".join(
            f"{symbol} {'-'.join(map(str, sizes))}"
            for symbol, sizes in plan.layers.items()
        )
        say(f"structures: {counts}; {plan.n_atoms} atoms to train on")
        known = ", ".join(f"{n} with {what}" for what, n in plan.n_references.items())
        say(f"references to train on: {known}")
        if not plan.n_structures["validation"]:
            say("no validation structures: the epoch with the smallest loss is kept")
        members = f" for each of {plan.members} members" if plan.members > 1 else ""
        epochs = f"{plan.epochs} epochs{members}"
        say(f"networks: {layers}; {plan.n_weights} weights; {epochs}")
        say(f"memory: {_word_memory(plan.memory)}")
        say("energies in meV/atom, forces in meV/angstrom: RMSE (MAE); * best so far")
        say(
            "epoch       loss   train E            train F"
            "            validation E       validation F          time"
        )

    def epoch(self, epoch: Epoch) -> None:
        """Log an epoch, and show it."""
        train, held = _milli(epoch.train), _milli(epoch.validation)
        numbers = [epoch.loss, *train, *held, epoch.seconds, epoch.member]
        row = " ".join(f"{number:.6g}" for number in numbers)
        self._write(f"{epoch.number} {row}\n")
        errors = " ".join(
            f"{f'{rmse:.2f} ({mae:.2f})' if rmse == rmse else '-':<18}"
            for rmse, mae in zip((train + held)[::2], (train + held)[1::2], strict=True)
        )
        star = "*" if epoch.best else " "
        head = f"{epoch.number:5d} {epoch.loss:10.4g}{star}"
        say(f"{head}  {errors} {epoch.seconds:6.1f}s")
        self._report(epoch)

    def _report(self, epoch: Epoch) -> None:
        """Tell in the record how far the training is."""
        errors, kind = epoch.validation, "validation"
        if np.isnan(errors.energy_rmse):
            errors, kind = epoch.train, "train"
        self._run.report(
            epoch.number,
            self._n_total,
            "epochs",
            member=epoch.member,
            members=self._members,
            loss=epoch.loss,
            **{f"{kind}_energy_rmse": errors.energy_rmse},
            **{f"{kind}_force_rmse": errors.force_rmse},
        )


INGREDIENTS = {
    "packed": "pairs",
    "vectors": "pair vectors",
    "inputs": "features and moments",
    "derivatives": "derivatives of triplet functions",
}
"""What may be kept of the shards."""


def _word_memory(plan: MemoryPlan) -> str:
    """Return what is kept in RAM, what is not, and how much that is."""
    names = dict(INGREDIENTS) if plan.forces else {"inputs": "features"}
    if not plan.derivatives:
        names.pop("derivatives", None)
    keeps, recomputes = [], []
    for key, name in names.items():
        n, n_bytes = plan.kept[key]
        if n:
            some = "" if n == plan.n_shards else f" of {n} of {plan.n_shards} shards"
            keeps.append(f"{name}{some} ({say_size(n_bytes)})")
        if n < plan.n_shards:
            recomputes.append(
                f"{name} of {plan.n_shards - n} of {plan.n_shards} shards"
                if n
                else name
            )
    words = [
        "keeps " + (", ".join([*keeps, "double precision"]) if keeps else "nothing"),
        "recomputes "
        + (", ".join([*recomputes, "each time"]) if recomputes else "nothing"),
        f"expected peak {say_size(plan.expected)}",
        f"budget {say_size(plan.budget.bytes)}, {plan.budget.reason}",
    ]
    if plan.expected > plan.budget.bytes and not keeps:
        words.append("less is not possible")
    return "; ".join(words)


def report_training(
    result: Result, settings: TrainSettings, saved: Path, as_json: bool
) -> None:
    """Print the errors of the finished potential, saved in the file ``saved``."""
    best = [epoch.number for epoch in result.best]
    kept = ", ".join(map(str, best))
    say(f"{result.reason}; kept epoch {kept} of {result.n_epochs}")
    say(f"memory: peak {say_size(peak())}")
    if isinstance(result.potential, Committee):
        say(_word_calibration(result.potential))
    if as_json:
        print_json(
            {
                "potential": str(saved),
                "n_epochs": result.n_epochs,
                "best_epochs": best,
                "ended": result.reason,
                "errors": [asdict(row) for row in result.table],
            }
        )
    else:
        _print_errors(result)
    say(f"wrote {saved} and {settings.log}")


def _word_calibration(committee: Committee) -> str:
    """Return what the deviations of a committee mean."""
    known = committee.calibration
    if known is None or known.forces is None:
        return (
            "deviations of the committee are not calibrated: too few validation "
            "structures"
        )
    factors = ", ".join(
        f"{scale.factor:.2g} ({symbol})"
        for symbol, scale in zip(committee.species, known.forces, strict=True)
    )
    return (
        f"calibrated: {100 * known.level:.0f} % of the errors of forces are below "
        f"{factors} times their deviation"
    )


def _print_errors(result: Result) -> None:
    click.echo("                                     energy (meV/atom)  force (meV/A)")
    click.echo(
        "set        part      structures   atoms     RMSE     MAE    RMSE     MAE"
    )
    for row in result.table:
        errors = " ".join(
            f"{value:7.2f}" if np.isfinite(value) else "      -"
            for value in _milli(row.errors)
        )
        click.echo(
            f"{row.set:<10} {row.part:<10} {row.n_structures:9d} {row.n_atoms:7d}"
            f"  {errors}"
        )
