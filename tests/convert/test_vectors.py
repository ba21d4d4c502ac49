"""Made-up structures: atoms apart, and features that the networks know."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from test_potential import standard_potential

from annpot.convert.vectors import SPACINGS, make_batch, make_vectors
from annpot.pairs import find_nearest, find_pairs


@pytest.mark.parametrize("n_species", [1, 2, 11])
def test_atoms_are_apart(n_species):
    species = ("H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na")[:n_species]
    batch = make_batch(species, 1.5)
    nearest = find_nearest(find_pairs(batch, (3.0,))).min()
    # 1.5, a little less where the last atoms found no room; same numbers everywhere
    assert 1.3 < nearest < 3.0
    assert set(batch.species_n) == set(range(n_species))
    assert batch.n_structures == 3
    assert batch.pbc_sc.any(axis=1).tolist() == [False, True, True]


def test_they_are_the_same_each_time():
    for one, other in itertools.pairwise([make_batch(("Ti", "O"), 2.0)] * 2):
        np.testing.assert_array_equal(one.positions_nc, other.positions_nc)


def test_the_density_is_that_of_the_training_data():
    potential = standard_potential()
    for spacing in (1.2, 2.6):
        batch = make_batch(potential.species, spacing)
        features = potential.evaluate(batch).features
        blocks = features.blocks(features.G_f)
        models = tuple(
            replace(model, shift_f=G_nf.mean(axis=0), scale_f=1 / G_nf.std(axis=0))
            for model, G_nf in zip(potential.models, blocks, strict=True)
        )
        chosen = make_vectors(replace(potential, models=models))
        ratio = find_nearest(find_pairs(chosen, (5.0,))).min() / spacing
        assert 0.8 < ratio < 1.4
    assert {1.2, 2.6} < set(SPACINGS)
