"""The memory that predictions need does not grow with the number of structures."""

import os
import subprocess
import sys

import pytest

MEASURE = """
import sys
from annpot import memory
from annpot.cli.main import annpot
from annpot.structures import pieces, portions
pieces.PIECE_BYTES = 1 << 14
portions.iterate_portions.__defaults__ = (1 << 14, True)
annpot(sys.argv[1:], standalone_mode=False)
print(memory.peak() / 2**20, file=sys.stderr)
"""
"""Portions are of 250 structures, of which the fewest of the test are more."""


def measure(folder, *arguments):
    """Return the peak of the memory of a run, MB."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, "predict", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "ANNPOT_NUM_THREADS": "1"},
    )
    assert process.returncode == 0, process.stderr
    return float(process.stderr.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere in other units")
@pytest.mark.parametrize("as_list", [False, True])
def test_ten_times_as_many(work, as_list):
    frame = "2\nProperties=species:S:1:pos:R:3 energy=-1.0\nTi 0 0 0\nO 0 0 1.{:04}\n"
    (work / "one.xyz").write_text(frame.format(7000))
    outputs = ("--results", "r.jsonl", "-o", "o.xyz", "--warnings", "w.jsonl")
    peaks = []
    for n in (300, 3000):
        if as_list:
            (work / "names").write_text("one.xyz\n" * n)
            peaks.append(measure(work, "--files-from", "names", *outputs))
        else:
            text = "".join(frame.format(7000 + k % 999) for k in range(n))
            (work / "all.xyz").write_text(text)
            peaks.append(measure(work, "all.xyz", *outputs))
        assert (work / "r.jsonl").read_text().count("\n") == n
    assert peaks[1] < peaks[0] + 15.0
