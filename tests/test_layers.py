"""Imports point down: each module uses only the layers below its own."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import annpot

ROOT = Path(annpot.__file__).parent

LAYERS = """
    errors version units elements launch logfmt messages
    memory
    runs
    settings
    kernels
    exact_sums parallel
    format growing
    structures rounds
    pairs
    descriptors
    networks stacks scaling
    extrapolation
    fingerprints set_writing tally
    potential_parts potential calibration averaging committee predictor
    objective model planning shards
    accuracy loss bootstrap
    dataset evaluation
    preparation posing
    optimizers
    requests
    checkpoints trainer minimisation training
    generation
    explanation prediction description finished status
    watching calculator
    checks
    convert
    selection
    training_log
    plotting
    cli
""".split()
"""From the bottom to the top; modules and folders of the package."""

COMPILERS = {"numba", "llvmlite"}
HEAVY = {"numba", "llvmlite", "ase", "scipy", "h5py", "pydantic", "matplotlib"}

MODULES = sorted(ROOT.rglob("*.py"))
each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES]
)


def layer_of(path):
    """Return the name of a module's layer; '' for the package root."""
    first = path.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


@functools.cache
def imports_of(path):
    """Return line and dotted name of all that a module imports, wherever it does."""
    return list(iterate_imports(path))


def iterate_imports(path):
    package = ("annpot", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def test_each_layer_is_in_the_list():
    found = {layer_of(path) for path in MODULES} - {""}
    assert found <= set(LAYERS), "please give new modules a place in LAYERS"


@each_module
def test_imports_point_down(path):
    layer = layer_of(path)
    allowed = LAYERS[: LAYERS.index(layer) + 1] if layer else LAYERS
    wrong = [
        f"{path}:{line}: {name}"
        for line, name in imports_of(path)
        if name.split(".")[0] == "annpot" and name.split(".")[1] not in allowed
    ]
    assert not wrong


@each_module
def test_nobody_imports_the_package_root(path):
    wrong = [
        f"{path}:{line}: {name}"
        for line, name in imports_of(path)
        if name == "annpot" or name.startswith("annpot.__")
    ]
    assert not wrong


@each_module
def test_only_kernels_are_compiled(path):
    if layer_of(path) == "kernels":
        return
    wrong = [
        f"{path}:{line}: {name}"
        for line, name in imports_of(path)
        if name.split(".")[0] in COMPILERS
    ]
    assert not wrong


@each_module
def test_only_pictures_need_matplotlib(path):
    if layer_of(path) == "plotting":
        return
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        # only mypy reads these
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()
    found = {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    } | {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "matplotlib" not in found


NAMES = {
    ".".join(["annpot", *path.relative_to(ROOT).with_suffix("").parts]): path
    for path in MODULES
}


@functools.cache
def below(path):
    """Return the modules of the package that a module imports."""
    names = [name for _, name in imports_of(path)]
    names += [name.rpartition(".")[0] for name in names]
    return [NAMES[name] for name in names if name in NAMES]


@each_module
def test_modules_of_a_layer_form_no_cycle(path):
    seen, waiting = set(), list(below(path))
    while waiting:
        module = waiting.pop()
        assert module != path
        if module not in seen:
            seen.add(module)
            waiting.extend(below(module))


@pytest.mark.parametrize("module", ["annpot", "annpot.cli.main"])
def test_the_start_is_quick(module):
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not HEAVY.intersection(loaded)
