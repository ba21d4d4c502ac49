"""Whatever a file is made to do: one line, in bounded time and memory, and no harm.

``ANNPOT_HOSTILE=all`` adds those that take long to make; ``python -m hostile.table``
prints what each gets, as in README.md here.
"""

from __future__ import annotations

import os
import re
import sys

import pytest

from hostile.arena import attack
from hostile.attacks import all_attacks, prepare

HEAVY = re.compile(r"GB|MB|million|10\^6|10\^7|/dev/|10\^5 (doc|anch|com)|same key")
"""Names of attacks by files that take seconds to make or to refuse."""
HARMLESS = {
    "endless format",
    "settings 10^5 deep",  # kept as a text, which is not looked into
    "no end of names",
    "aliases",
    "10^5 digits",
    "infinite",
}
"""Names of those that may be read after all."""
MOST_MEMORY = 450 * 10**6

ATTACKS = [
    one
    for one in all_attacks()
    if os.environ.get("ANNPOT_HOSTILE") == "all" or not HEAVY.search(one.name)
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")
@pytest.mark.parametrize("one", ATTACKS, ids=[f"{a.kind}: {a.name}" for a in ATTACKS])
def test_one_line_and_no_harm(made, tmp_path, one):
    prepare(made, tmp_path)
    one.make(tmp_path)
    outcome = attack(one.words, tmp_path)
    allowed = {1, 2} | ({0} if one.name in HARMLESS else set())
    assert outcome.exit_code in allowed, outcome
    assert "Traceback" not in outcome.message
    assert outcome.peak < MOST_MEMORY
    assert not (tmp_path / "harmed").exists()
    if outcome.exit_code:
        error = outcome.message[outcome.message.index("Error: ") :].strip()
        assert len(error.splitlines()) == 1 or "problems" in error
        assert len(error) < 2000
        assert error.isprintable() or "problems" in error
