"""What ``annpot generate`` prints: what went into the set."""

from __future__ import annotations

from dataclasses import asdict

import click
import numpy as np

from annpot.cli.report import print_json, say, say_skipped
from annpot.descriptors.labels import group_labels
from annpot.tally import Summary


def report_set(summary: Summary, as_json: bool) -> None:
    """Print what went into a fingerprint set."""
    say_skipped(summary.skipped)
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
    click.echo(
        f"energy   {low:.4f} to {high:.4f} eV/atom, reference energies subtracted"
    )
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
    _print_features(summary)
    for symbol, names in summary.constant.items():
        click.echo(f"constant features of {symbol}: {', '.join(names)}")


def _print_features(summary: Summary) -> None:
    """Print the range of the features of each kind."""
    rows = [
        (symbol, kind, values, [f for f, _ in features])
        for symbol, values in zip(summary.species, summary.statistics, strict=True)
        if values.n_atoms
        for kind, features in group_labels(summary.labels[symbol]).items()
    ]
    width = max([17, *(len(kind) for _, kind, _, _ in rows)])
    head = f"{'features':<{width + 3}} {'least':>10} {'largest':>10}  deviations"
    click.echo(f"\n{head}")
    for symbol, kind, values, f in rows:
        deviation_f = np.sqrt(np.diag(values.covariance_ff))[f]
        click.echo(
            f"{symbol:<2} {kind:<{width}} {values.min_f[f].min():10.4g} "
            f"{values.max_f[f].max():10.4g} "
            f"{deviation_f.min():10.4g} to {deviation_f.max():.4g}"
        )
