"""The same targets for atheris, guided by coverage: an option for long runs.

``pip install atheris``, then in ``tests``:
``python -m fuzz.run_atheris a.xsf CORPUS -max_total_time=600``. What fails is left as
``crash-...`` in the working directory.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

import atheris

import annpot.kernels

# before the rest: numba cannot compile what atheris has rewritten
for kernel in pkgutil.iter_modules(annpot.kernels.__path__, "annpot.kernels."):
    importlib.import_module(kernel.name)

with atheris.instrument_imports(include=["annpot"]):
    import annpot.checks.sample
    import annpot.convert.conversion
    import annpot.generation.generating
    import annpot.plotting.comparison
    import annpot.structures.ase_reading
    import annpot.training
    from fuzz.guard import check
    from fuzz.targets import make_targets


def main():
    """Fuzz the target that the first argument names."""
    name = sys.argv.pop(1)
    folder = Path(tempfile.mkdtemp())
    (folder / "seeds").mkdir()
    target = next(t for t in make_targets(folder / "seeds") if t.name == name)
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    path = folder / target.name

    def try_one(content):
        path.write_bytes(content)
        check(lambda: target.read(path))

    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
