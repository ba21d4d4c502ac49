"""The reference reader in examples/, which knows the format's page only, agrees."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_potentials import (
    POTENTIALS,
    all_symmetry_functions,
    random_potential,
    resolved,
)
from systems import SPECIES, SYSTEMS, as_species

from annpot.committee import Committee
from annpot.format.copying import copy
from annpot.networks import ACTIVATIONS
from annpot.structures.structure import stack

ROOT = Path(__file__).parent.parent
READER = ROOT / "examples" / "reference-reader" / "potential_energy.py"
DATA = Path(__file__).parent / "data" / "format"


@pytest.fixture(scope="module")
def reader():
    spec = importlib.util.spec_from_file_location(READER.stem, READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_agree(reader, potential, structures, path):
    """Check the energies of structures, which the reader gets from the text form."""
    potential.save(path)
    as_read = json.loads(path.read_text())
    expected_s = potential.evaluate(stack(structures, potential.species)).E_s
    for structure, expected in zip(structures, expected_s, strict=True):
        found = reader.energy(
            as_read,
            structure.symbols,
            structure.positions_nc,
            structure.cell_cc,
            structure.pbc_c,
        )
        assert found == pytest.approx(expected, rel=0, abs=1e-9 * len(structure))
    assert np.ptp(expected_s) > 1e-4


@pytest.mark.parametrize("name", POTENTIALS)
def test_energies_are_those_of_annpot(name, reader, tmp_path):
    potential = POTENTIALS[name]()
    names = ["molecule", "slab", "skewed cell", "one isolated atom", "wire"]
    structures = [as_species(SYSTEMS[name], potential.species) for name in names]
    assert_agree(reader, potential, structures, tmp_path / "potential.json")


def test_every_symmetry_function(reader, tmp_path):
    potential = random_potential(all_symmetry_functions())
    structures = [SYSTEMS["molecule"], SYSTEMS["cell smaller than the cutoff"]]
    assert_agree(reader, potential, structures, tmp_path / "potential.json")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, reader, tmp_path):
    potential = random_potential(resolved(SPECIES), activations=(activation, "linear"))
    structures = [SYSTEMS["molecule"], SYSTEMS["wire"]]
    assert_agree(reader, potential, structures, tmp_path / "potential.json")


def print_test_vectors(path):
    command = [sys.executable, READER, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_prints_the_energies_of_the_test_vectors(tmp_path):
    copy(DATA / "potential-v1.h5", tmp_path / "potential.json")
    printed = print_test_vectors(tmp_path / "potential.json")
    lines = [line.split() for line in printed.splitlines()]
    assert len(lines) == 2
    for found, _, _, expected, _ in lines:
        assert float(found) == pytest.approx(float(expected), rel=0, abs=6e-9)
    assert printed in (READER.parent / "README.md").read_text()


@pytest.fixture(scope="module")
def committee():
    """Return one whose second member has statistics and recipe of the first."""
    first, second = (random_potential(resolved(SPECIES), seed=n) for n in (1, 2))
    third = random_potential(all_symmetry_functions(), seed=3)
    return Committee([first, second, third])


def test_the_mean_of_a_committee(committee, reader, tmp_path):
    path, structures = (
        tmp_path / "committee.json",
        [SYSTEMS["molecule"], SYSTEMS["wire"]],
    )
    assert_agree(reader, committee, structures, path)
    members = json.loads(path.read_text())["members"]
    assert "statistics" not in members["1"]


def test_it_prints_the_test_vectors_of_all_members(committee, tmp_path):
    committee.save(tmp_path / "committee.json")
    lines = print_test_vectors(tmp_path / "committee.json").splitlines()
    assert len(lines) == sum(len(m.test_vectors.E_s) for m in committee.members)
    for line in lines:
        found, _, _, expected, _ = line.split()
        assert float(found) == pytest.approx(float(expected), rel=0, abs=2e-8)


def test_it_is_short_and_needs_numpy_only():
    source = READER.read_text()
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 150
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported == {"itertools", "json", "sys", "numpy"}
