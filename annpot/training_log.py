"""The table of errors that ``annpot train`` writes, read back and cut to go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annpot.convert.plain_text import read_lines
from annpot.errors import FileFormatError
from annpot.structures.structure import Array


def read_log(path: Path) -> dict[str, Array]:
    """Return the columns of a log by their name; NaN where an epoch has no value.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is none that ``annpot train`` wrote.
    """
    lines = [line for _, line in read_lines(path)]
    names = lines[0].lstrip("# ").split() if lines else []
    if names[:2] != ["epoch", "loss"]:
        raise FileFormatError(
            f"'{path}', line 1: expected '# epoch loss ...', as 'annpot train' writes"
        )
    rows = []
    for number, line in enumerate(lines[1:], 2):
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            rows.append([])
        if len(rows[-1]) != len(names):
            raise FileFormatError(
                f"'{path}', line {number}: {len(names)} numbers expected"
            )
    if not rows:
        raise FileFormatError(f"'{path}': no epochs, expected one at least")
    return dict(zip(names, np.array(rows).T, strict=True))


def cut_log(path: Path, header: str, n_epochs: int) -> bool:
    """Remove the epochs after the first ``n_epochs``, and a line cut short.

    Returns
    -------
    Whether it is a log with this ``header``.
    """
    try:
        with path.open("rb+") as log:
            if log.readline() != header.encode():
                return False
            end = log.tell()
            while (line := log.readline()).endswith(b"\n"):
                number = line.split(b" ", 1)[0]  # of any length
                if not number[:19].isdigit() or int(number[:19]) > n_epochs:
                    break
                end = log.tell()
            log.truncate(end)
    except FileNotFoundError:
        return False
    return True
