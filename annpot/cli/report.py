"""What annpot prints: results to stdout, all that is said about a run to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import IO, Any, TypeVar

import click
import numpy as np
from tqdm import tqdm

from annpot.description import Verification
from annpot.generation import Summary
from annpot.kernels import compilation
from annpot.settings import TrainSettings
from annpot.training import Epoch, Errors, Plan, Result

Item = TypeVar("Item")


def say(text: str) -> None:
    """Say something about the run, on stderr, without breaking a progress bar."""
    tqdm.write(text, file=click.get_text_stream("stderr"))


def progress(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield ``items`` with a progress bar on stderr, if that is a terminal."""
    yield from tqdm(items, desc=what, unit="file", disable=None, leave=False)


def announce_compilation() -> None:
    """Say so if kernels have to be compiled."""
    compilation.announce_compilation(
        lambda: say("compiling kernels for this processor: about 20 s, only once ...")
    )


def print_json(value: Any) -> None:
    """Print a value as JSON; what is not finite becomes null."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def set_summary(summary: Summary, as_json: bool) -> None:
    """Print what went into a fingerprint set."""
    for message in summary.skipped[:20]:
        say(f"skipped: {message}")
    if summary.skipped:
        say(f"{len(summary.skipped)} structures or files were skipped")
    if summary.rank < summary.n_fitted:
        say(
            f"note: the compositions tell only {summary.rank} of {summary.n_fitted} "
            "fitted reference energies apart; energies of other compositions are not "
            "determined by this set"
        )
    if as_json:
        values = asdict(summary)
        values["path"] = str(summary.path)
        values["statistics"] = {
            symbol: {
                "n_atoms": s.n_atoms,
                "min": s.min_f,
                "max": s.max_f,
                "mean": s.mean_f,
                "deviation": np.sqrt(np.diag(s.covariance_ff)),
            }
            for symbol, s in zip(summary.species, summary.statistics, strict=True)
        }
        print_json(values)
        return
    _print_set(summary)
    say(f"wrote {summary.path}")


def _print_set(summary: Summary) -> None:
    n_atoms = int(sum(summary.n_atoms_s))
    n_structures, n_files = summary.n_structures, summary.n_files
    click.echo(f"{n_structures} structures, {n_atoms} atoms, from {n_files} files")
    low, high = summary.energy_range
    click.echo(f"energy   {low:.4f} to {high:.4f} eV/atom above the reference energies")
    if summary.n_with_forces:
        low, high = summary.force_range
        click.echo(
            f"forces   {low:.4f} to {high:.4f} eV/angstrom per atom, "
            f"of {summary.n_with_forces} structures"
        )
    if summary.n_with_stress:
        click.echo(f"stress   of {summary.n_with_stress} structures")
    click.echo("\nspecies    atoms  reference (eV)  features  neighbours (mean, range)")
    for s, symbol in enumerate(summary.species):
        low, mean, high = summary.environments.neighbours_s[s]
        click.echo(
            f"{symbol:<7} {summary.n_atoms_s[s]:8d}"
            f"  {summary.reference_energies[s]:14.6f}"
            f"  {len(summary.statistics[s].mean_f):8d}"
            f"  {mean:.1f}, {low:.0f} to {high:.0f}"
        )
    click.echo("\npair     shortest distance (angstrom)")
    shortest_st = summary.environments.shortest_st
    for s, symbol in enumerate(summary.species):
        for t in range(s, len(summary.species)):
            distance = min(shortest_st[s, t], shortest_st[t, s])
            text = f"{distance:.4f}" if np.isfinite(distance) else "none"
            click.echo(f"{symbol + '-' + summary.species[t]:<8} {text}")
    click.echo("\nfeatures   least      largest    mean       deviation")
    for symbol, values in zip(summary.species, summary.statistics, strict=True):
        if values.n_atoms:
            deviation_f = np.sqrt(np.diag(values.covariance_ff))
            click.echo(
                f"{symbol:<7} {values.min_f.min():10.4g} {values.max_f.max():10.4g} "
                f"{values.mean_f.mean():10.4g} {deviation_f.mean():10.4g}"
            )
    for symbol, names in summary.constant.items():
        click.echo(f"constant features of {symbol}: {', '.join(names)}")


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
)
"""Of ``train.log``; energies in meV/atom, components of forces in meV/angstrom."""


def _milli(errors: Errors) -> list[float]:
    return [1000 * value for value in asdict(errors).values()]


class EpochTable:
    """The table of epochs: all of them in ``train.log``, and as many on stderr."""

    def __init__(self, settings: TrainSettings) -> None:
        self._path = settings.log
        self._log: IO[str] | None = None

    def __enter__(self) -> EpochTable:
        """Open the log."""
        self._log = open(self._path, "w", encoding="utf-8")
        self._log.write("# " + " ".join(COLUMNS) + "\n")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def plan(self, plan: Plan) -> None:
        """Say what is about to be trained."""
        counts = ", ".join(f"{n} {name}" for name, n in plan.n_structures.items() if n)
        layers = ", ".join(
            f"{symbol} {'-'.join(map(str, sizes))}"
            for symbol, sizes in plan.layers.items()
        )
        say(f"structures: {counts}; {plan.n_atoms} atoms to train on")
        say(f"networks: {layers}; {plan.n_weights} weights; {plan.epochs} epochs")
        say("energies in meV/atom, forces in meV/angstrom: RMSE (MAE); * best so far")
        say(
            "epoch       loss   train E            train F"
            "            validation E       validation F          time"
        )

    def epoch(self, epoch: Epoch) -> None:
        """Log an epoch, and show it."""
        assert self._log is not None
        train, held = _milli(epoch.train), _milli(epoch.validation)
        numbers = [epoch.loss, *train, *held, epoch.seconds]
        row = " ".join(f"{number:.6g}" for number in numbers)
        self._log.write(f"{epoch.number} {row}\n")
        self._log.flush()
        errors = " ".join(
            f"{f'{rmse:.2f} ({mae:.2f})':<18}"
            for rmse, mae in zip((train + held)[::2], (train + held)[1::2], strict=True)
        )
        star = "*" if epoch.best else " "
        head = f"{epoch.number:5d} {epoch.loss:10.4g}{star}"
        say(f"{head}  {errors} {epoch.seconds:6.1f}s")


def training(result: Result, settings: TrainSettings, as_json: bool) -> None:
    """Print the errors of the finished potential."""
    best = result.best
    assert best is not None
    say(f"{result.reason}; kept epoch {best.number} of {result.n_epochs}")
    if as_json:
        print_json(
            {
                "potential": str(settings.output),
                "n_epochs": result.n_epochs,
                "best_epoch": best.number,
                "ended": result.reason,
                "errors": [asdict(row) for row in result.table],
            }
        )
    else:
        _print_errors(result)
    say(f"wrote {settings.output} and {settings.log}")


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


def description(values: dict[str, Any], as_json: bool) -> None:
    """Print what is in a file."""
    if as_json:
        print_json(values)
        return
    for line in _lines(values, ""):
        click.echo(line)


def _lines(values: dict[str, Any], indent: str) -> Iterable[str]:
    """Yield nested values as lines; long lists only by their length."""
    for key, value in values.items():
        if isinstance(value, dict):
            if value:
                yield f"{indent}{key}:"
                yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and len(value) > 12:
            yield f"{indent}{key}: {len(value)} entries"
        elif isinstance(value, list):
            yield f"{indent}{key}: {', '.join(map(str, value))}"
        else:
            yield f"{indent}{key}: {value}"


def verification(result: Verification) -> None:
    """Print what was checked of a file."""
    say(f"checksum is right: {result.checksum}")
    if result.energy_deviation is not None:
        say(
            "test vectors are reproduced: largest deviations "
            f"{result.energy_deviation:.1e} eV/atom, "
            f"{result.force_deviation:.1e} eV/angstrom"
        )
