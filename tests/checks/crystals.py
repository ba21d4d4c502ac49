"""Clean structures with exact energies and forces: copper by Lennard-Jones."""

from __future__ import annotations

from dataclasses import replace

import ase
import ase.build
import numpy as np
from ase.calculators.lj import LennardJones

from annpot.checks.sample import make_sample
from annpot.descriptors.building import make_descriptor
from annpot.settings import ChebyshevSettings
from annpot.structures.structure import Structure

CALCULATOR = {"sigma": 2.27, "epsilon": 0.4, "rc": 5.5, "smooth": True}


def structure_of(atoms, file, index):
    """Return a structure with what the potential gives for it."""
    atoms = atoms.copy()
    atoms.calc = LennardJones(**CALCULATOR)
    periodic = atoms.pbc.all()
    return Structure(
        symbols=tuple(atoms.symbols),
        positions_nc=atoms.positions.copy(),
        cell_cc=np.array(atoms.cell),
        pbc_c=np.array(atoms.pbc),
        energy=float(atoms.get_potential_energy()),
        forces_nc=atoms.get_forces(),
        stress_v=atoms.get_stress() if periodic else None,
        file=file,
        index=index,
    )


def walk(atoms, file, n, seed, step=0.02):
    """Return structures of a random walk from ``atoms``, which keeps the cell."""
    rng = np.random.default_rng(seed)
    atoms = atoms.copy()
    found = []
    for i in range(n):
        atoms.positions += rng.normal(scale=step, size=(len(atoms), 3))
        found.append(structure_of(atoms, file, i))
    return found


def crystal(size=2, a=3.6):
    return ase.build.bulk("Cu", a=a, cubic=True) * (size, size, size)


def clean():
    """Return walks in crystals of several volumes, strained ones, and molecules."""
    rng = np.random.default_rng(0)
    found = []
    for k, a in enumerate((3.5, 3.55, 3.6, 3.65, 3.7)):
        found += walk(crystal(a=a), f"walk{k}.xyz", 8, seed=k)
    atoms = crystal()
    atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
    for i, strain in enumerate(np.linspace(-0.03, 0.03, 9)):
        strained = atoms.copy()
        strained.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
        found.append(structure_of(strained, "strain.xyz", i))
    molecule = ase.Atoms("Cu6", crystal(1).positions[[0, 1, 2, 3, 0, 1]])
    molecule.positions[4:] += 3.6 * np.array([[1, 0, 0], [0, 0, 1]])
    return found + walk(molecule, "molecule.xyz", 8, seed=9, step=0.02)


def sample_of(structures, sets=None, energies=None, **changes):
    """Return the sample of some structures, with a small descriptor."""
    species = tuple(sorted({s for x in structures for s in x.symbols}))
    section = ChebyshevSettings(
        radial={"order": 4, "cutoff": 5.0}, angular={"order": 2, "cutoff": 4.0}
    )
    sample = make_sample(
        structures,
        sets or [""] * len(structures),
        make_descriptor((section,), species),
        energies or dict.fromkeys(species, "fit"),
    )
    return replace(sample, **changes) if changes else sample
