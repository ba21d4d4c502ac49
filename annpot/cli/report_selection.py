"""What ``annpot select`` prints: a ranked table or JSON lines, and an extxyz."""

from __future__ import annotations

from pathlib import Path

import click

from annpot.cli.options import check_output
from annpot.cli.report import print_json, say, say_skipped
from annpot.convert.staging import staged
from annpot.convert.structure_files import write_structures
from annpot.logfmt import one_line
from annpot.selection.choosing import Selection


def report_selection(
    selection: Selection, by_committee: bool, output: Path | None, as_json: bool
) -> None:
    """Print what was chosen while it is being chosen, and write it."""
    check_output(output, selection.inputs)
    unit = "(eV/angstrom)" if by_committee else ""
    if not as_json:
        click.echo(f"# rank file frame atoms gain{unit} reason")
    chosen = []
    for rank, choice in enumerate(selection.choices, start=1):
        structure = choice.structure
        chosen.append(structure)
        if as_json:
            print_json(
                {
                    "rank": rank,
                    "file": structure.file,
                    "frame": structure.index,
                    "n_atoms": len(structure),
                    "gain": choice.gain,
                    "reason": choice.reason,
                }
            )
            continue
        click.echo(
            f"{rank} {one_line(structure.file)} {structure.index} {len(structure)} "
            f"{choice.gain:.6g} {choice.reason}"
        )
    say_skipped(selection.skipped)
    if len(chosen) < selection.count:
        say(f"the pool holds only {len(chosen)} structures: all are chosen")
    if output is not None:
        notes: list[str] = []
        with staged(output, notes, selection.inputs) as path:
            write_structures(chosen, path, "extxyz", None, notes)
        say(f"wrote {output}")
