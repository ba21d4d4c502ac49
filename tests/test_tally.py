"""What is counted part by part is what would be counted of all at once."""

from __future__ import annotations

import numpy as np
import pytest

from annpot.fingerprints import Environments
from annpot.set_writing import structure_path
from annpot.tally import Rules, Tally


def add(tally, counts_n):
    """Add a structure of one species whose atoms have so many neighbours."""
    n_atoms = len(counts_n)
    rows = {
        "n_atoms": np.array([n_atoms]),
        "species_index": np.zeros(n_atoms, dtype=int),
        "energy": np.array([-1.0 * n_atoms]),
        "forces": np.full((n_atoms, 3), np.nan),
        "stress": np.full((1, 6), np.nan),
    }
    neighbours_s = np.array([[counts_n.min(), counts_n.mean(), counts_n.max()]])
    tally.add_structures(
        {structure_path(name): values for name, values in rows.items()},
        Environments(np.array([[1.0 + n_atoms]]), neighbours_s),
    )


RANDOM = np.random.default_rng(1)
MANY = [RANDOM.integers(1, 99, size=n) for n in RANDOM.integers(1, 40, size=200)]
UNEVEN = [np.eye(49, dtype=int)[0]] * 5
"""Of each part, 49 times the mean is not 1, but for rounding."""


@pytest.mark.parametrize("parts", [MANY, MANY[::-1], UNEVEN])
def test_neighbours_are_counted_to_the_last_bit(parts):
    tally = Tally(Rules(("Ti",), ["fit"]))
    for counts_n in parts:
        add(tally, counts_n)
    counts_n = np.concatenate(parts)
    found = tally.environments()
    expected = [counts_n.min(), counts_n.sum() / len(counts_n), counts_n.max()]
    assert found.neighbours_s[0].tolist() == expected
    assert found.shortest_st == 1.0 + min(map(len, parts))
    assert tally.n_structures == len(parts)
    assert tally.fit_reference_energies() == pytest.approx([-1.0])
