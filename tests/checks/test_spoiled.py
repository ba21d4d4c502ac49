"""Clean structures pass, and each way to spoil them is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from annpot.checks.checking import check
from annpot.checks.findings import Severity
from annpot.checks.subject import examine
from annpot.settings import TrainSettings
from annpot.units import ENERGIES, LENGTHS
from checks.crystals import clean, crystal, sample_of, structure_of

HARTREE, BOHR = ENERGIES["hartree"], LENGTHS["bohr"]
CLEAN = clean()


def findings(structures, sets=None, **changes):
    found = check(examine(sample_of(structures, sets, **changes), TrainSettings()))
    return {finding.check: finding for finding in found}


def every(**changes):
    """Return a function that changes all structures."""
    return lambda xs: [
        replace(x, **{key: change(x) for key, change in changes.items()}) for x in xs
    ]


def one(number, **changes):
    """Return a function that changes one structure."""

    def spoil(xs):
        xs = list(xs)
        new = {key: change(xs[number]) for key, change in changes.items()}
        xs[number] = replace(xs[number], **new)
        return xs

    return spoil


def scaled(energy=1.0, force=1.0, length=1.0):
    """Return a function that multiplies all numbers."""
    return every(
        energy=lambda x: energy * x.energy,
        forces_nc=lambda x: force * x.forces_nc,
        positions_nc=lambda x: length * x.positions_nc,
        cell_cc=lambda x: length * x.cell_cc,
        stress_v=lambda x: None,
    )


def flipped(x, atom=3):
    forces_nc = x.forces_nc.copy()
    forces_nc[atom] *= -1
    return forces_nc


def closer(x):
    positions_nc = x.positions_nc.copy()
    positions_nc[1] = positions_nc[0] + [0.8, 0.0, 0.0]
    return positions_nc


def larger(x):
    forces_nc = x.forces_nc.copy()
    forces_nc[:2] += np.array([[300.0, 0, 0], [-300.0, 0, 0]])
    return forces_nc


def twisted(x):
    forces_nc = x.forces_nc.copy()
    turn = np.cross([0.0, 0.0, 1.0], x.positions_nc - x.positions_nc.mean(axis=0))
    return forces_nc + turn - turn.mean(axis=0)


def turned(x, energy=0.0):
    """Return a copy that is turned, moved and renumbered."""
    turn = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    order = np.random.default_rng(1).permutation(len(x))
    return replace(
        x,
        positions_nc=(x.positions_nc @ turn + 1.7)[order],
        cell_cc=x.cell_cc @ turn,
        forces_nc=(x.forces_nc @ turn)[order],
        stress_v=None,
        energy=x.energy + energy,
        file="copy.xyz",
    )


def copies(noise):
    """Return a function that adds copies of some structures, noise in the energy."""
    return lambda xs: [
        *xs,
        *(
            replace(x, energy=x.energy + noise * (-1) ** i, file="copy.xyz", index=i)
            for i, x in enumerate(xs[:5])
        ),
    ]


KCAL = ENERGIES["kcal/mol"]
SPOILED = {
    "one energy in hartree": (
        one(7, energy=lambda x: x.energy / HARTREE),
        "energy outliers", Severity.ERROR, "hartree",
    ),
    "one energy is wrong": (
        one(7, energy=lambda x: x.energy + 1.0),
        "energies against forces", Severity.WARNING, "walk0.xyz', structure 7",
    ),
    "energies in hartree": (
        scaled(energy=1 / HARTREE), "units of forces", Severity.ERROR, "in hartree",
    ),
    "energies in kcal/mol": (
        scaled(energy=1 / KCAL), "units of forces", Severity.ERROR, "in kcal/mol",
    ),
    "energies in kJ/mol": (
        scaled(energy=1 / ENERGIES["kj/mol"]),
        "units of forces", Severity.ERROR, "in kj/mol",
    ),
    "forces in hartree/bohr": (
        scaled(force=BOHR / HARTREE),
        "units of forces", Severity.ERROR, "hartree/bohr",
    ),
    "energies and forces in atomic units": (
        scaled(1 / HARTREE, BOHR / HARTREE),
        "units of forces", Severity.ERROR, "bohr",
    ),
    "gradients": (scaled(force=-1), "units of forces", Severity.ERROR, "gradients"),
    "all in atomic units": (
        scaled(1 / HARTREE, BOHR / HARTREE, 1 / BOHR),
        "units of length", Severity.ERROR, "in bohr",
    ),
    "stress of the other sign": (
        every(stress_v=lambda x: None if x.stress_v is None else -x.stress_v),
        "units of stresses", Severity.ERROR, "wrong sign",
    ),
    "stress in GPa": (
        every(stress_v=lambda x: None if x.stress_v is None else 160.2177 * x.stress_v),
        "units of stresses", Severity.ERROR, "in GPa",
    ),
    "doubled with noise": (
        copies(0.3), "conflicting duplicates", Severity.ERROR, "5 pairs",
    ),
    "doubled": (copies(0.0), "duplicates", Severity.WARNING, "5 structures equal"),
    "turned copy": (
        lambda xs: [*xs, turned(xs[3])], "duplicates", Severity.WARNING, "1 struct",
    ),
    "turned copy of other energy": (
        lambda xs: [*xs, turned(xs[3], 0.5)],
        "conflicting duplicates", Severity.ERROR, "1 pairs",
    ),
    "a force of the other sign": (
        one(5, forces_nc=flipped), "net forces", Severity.WARNING, "1 of 57",
    ),
    "forces that turn a molecule": (
        one(-1, forces_nc=twisted), "torques", Severity.ERROR, "1 of 57",
    ),
    "huge forces": (one(5, forces_nc=larger), "large forces", Severity.ERROR, "1 st"),
    "atoms that collide": (
        one(5, positions_nc=closer), "short distances", Severity.ERROR, "1 struct",
    ),
    "cells in bohr": (
        one(5, cell_cc=lambda x: x.cell_cc / BOHR),
        "cells in bohr", Severity.WARNING, "1 of 57",
    ),
    "no energy": (
        one(5, energy=lambda x: None), "missing energies", Severity.ERROR, "1 struct",
    ),
    "no forces": (
        one(5, forces_nc=lambda x: None), "missing forces", Severity.NOTE, "1 of 57",
    ),
    "a free atom": (
        lambda xs: [*xs, structure_of(crystal(1)[:1] * (1, 1, 1), "atom.xyz", 0)]
        and [*xs, replace(xs[-1], symbols=("Cu",), positions_nc=np.zeros((1, 3)),
                          forces_nc=np.zeros((1, 3)), file="atom.xyz", energy=0.0)],
        "isolated atoms", Severity.NOTE, "1 struct",
    ),
    "one rare atom": (
        one(5, symbols=lambda x: ("Ag", *x.symbols[1:])),
        "rare species", Severity.WARNING, "1 Ag",
    ),
}  # fmt: skip


def test_clean_structures_pass():
    found = findings(CLEAN)
    bad = [f for f in found.values() if f.severity > Severity.NOTE]
    assert not bad


@pytest.mark.parametrize("name", SPOILED)
def test_each_is_found(name):
    spoil, kind, severity, fragment = SPOILED[name]
    found = findings(spoil(CLEAN))
    assert kind in found, found
    assert found[kind].severity >= severity
    texts = [found[kind].found, *(place.text for place in found[kind].places)]
    assert fragment in " ".join(texts), texts


def test_copies_that_test():
    copied = [replace(x, file="copy.xyz") for x in CLEAN[:4]]
    sets = ["train"] * len(CLEAN) + ["test"] * 4
    found = findings([*CLEAN, *copied], sets)["test leakage"]
    assert found.severity == Severity.ERROR
    assert [place.structure for place in found.places] == list(range(57, 61))


def test_compositions_that_are_proportional():
    def mixed(x):
        n = len(x) // 3 * 3
        return replace(
            x,
            symbols=("Cu", "Ag", "Ag") * (n // 3),
            positions_nc=x.positions_nc[:n],
            forces_nc=x.forces_nc[:n],
            stress_v=None,
        )

    found = findings([mixed(x) for x in CLEAN])["collinear compositions"]
    assert "only 1 of 2" in found.found
    assert "Ag + 0.5 Cu" in found.found
