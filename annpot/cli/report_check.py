"""What ``annpot check`` prints: what was found, the worst first."""

from __future__ import annotations

from collections.abc import Sequence

import click

from annpot.checks.findings import Finding, Place, Severity
from annpot.checks.sample import Sample
from annpot.cli.report import print_json, say


def report_check(
    sample: Sample, findings: Sequence[Finding], limit: int, as_json: bool
) -> None:
    """Print the findings.

    Parameters
    ----------
    limit
        Number of structures that are named for each.
    """
    if as_json:
        print_json(
            {
                "n_structures": sample.batch.n_structures,
                "n_atoms": sample.batch.n_atoms,
                "findings": [_as_dict(sample, f, limit) for f in findings],
            }
        )
        return
    for finding in findings:
        _print_finding(sample, finding, limit)
    counts = {s: sum(f.severity == s for f in findings) for s in Severity}
    listed = ", ".join(
        f"{n} {s.word}{'s' * (n != 1)}" for s, n in sorted(counts.items(), reverse=True)
    )
    batch = sample.batch
    say(f"{batch.n_structures} structures, {batch.n_atoms} atoms: {listed}")


def _as_dict(sample: Sample, finding: Finding, limit: int) -> dict[str, object]:
    return {
        "check": finding.check,
        "severity": finding.severity.word,
        "score": finding.score,
        "found": finding.found,
        "advice": finding.advice,
        "n_places": len(finding.places),
        "places": [_place(sample, place) for place in finding.places[:limit]],
    }


def _place(sample: Sample, place: Place) -> dict[str, object]:
    s = place.structure
    return {
        "file": sample.files[s],
        "index": int(sample.index_s[s]),
        "text": place.text,
    }


def _print_finding(sample: Sample, finding: Finding, limit: int) -> None:
    click.echo(f"{finding.severity.word}: {finding.check}: {finding.found}")
    for place in finding.places[:limit]:
        click.echo(f"    {sample.name(place.structure)}: {place.text}")
    left = len(finding.places) - limit
    if left > 0:
        click.echo(f"    and {left} more")
    click.echo(f"    -> {finding.advice}")
