"""Print the table of all attacks and what they got: python -m hostile.table."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from hostile.arena import attack
from hostile.attacks import all_attacks, prepare


def main(pattern=""):
    """Print a row for each attack whose kind and name match a pattern."""
    from commands import run
    from conftest import EXAMPLE, SETTINGS

    with tempfile.TemporaryDirectory() as top:
        made = Path(top) / "made"
        made.mkdir()
        for name, count in (("train", 12), ("test", 4)):
            (made / name).mkdir()
            for path in sorted((EXAMPLE / name).glob("*.xsf"))[:count]:
                (made / name / path.name).write_bytes(path.read_bytes())
        (made / "in.yaml").write_text(SETTINGS)
        for command in ("generate", "train"):
            assert run(command, folder=made).exit_code == 0
        print("| file | attack | command | exit code | peak (MB) | s | message |")
        print("|---|---|---|---|---|---|---|")
        for i, one in enumerate(all_attacks()):
            if not re.search(pattern, f"{one.kind} {one.name}"):
                continue
            folder = Path(top) / f"w{i}"
            folder.mkdir()
            prepare(made, folder)
            one.make(folder)
            print(_row(one, attack(one.words, folder), folder), flush=True)
            for path in sorted(folder.rglob("*"), reverse=True):
                folder_ = path.is_dir() and not path.is_symlink()
                path.rmdir() if folder_ else path.unlink()


def _row(one, outcome, folder):
    lines = [line for line in outcome.message.splitlines() if line.strip()]
    message = next((line for line in lines if line.startswith("Error")), "")
    message = message or (lines[-1] if lines else "")
    message = re.sub(r"/\S*/" + folder.name + "/", "", message)
    message = re.sub(r"[^ -~]", "?", message).replace("|", "/")[:110]
    cells = [
        one.kind,
        one.name,
        one.words[0],
        str(outcome.exit_code),
        f"{outcome.peak / 1e6:.0f}",
        f"{outcome.seconds:.1f}",
        message,
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
