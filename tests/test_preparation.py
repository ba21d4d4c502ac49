"""What the training set is like, shard by shard, against all its atoms at once."""

from __future__ import annotations

import numpy as np
import pytest
from systems import DESCRIPTOR, SPECIES, STRUCTURES

from annpot.pairs import find_nearest
from annpot.parallel import ALONE
from annpot.preparation import Survey
from annpot.structures.structure import stack


def compute(structures):
    batch = stack(structures, SPECIES)
    return DESCRIPTOR.compute_features(batch)


@pytest.mark.parametrize("step", [1, -1])
def test_statistics_of_shards_are_those_of_all_atoms(step):
    survey = Survey(DESCRIPTOR.n_features_s)
    for structure in STRUCTURES[::step]:
        survey.look(compute([structure]))
    found = survey.statistics(ALONE)
    whole = compute(STRUCTURES)
    for s, G_nf in enumerate(whole.blocks(whole.G_f)):
        assert found[s].n_atoms == len(G_nf)
        assert (found[s].min_f == G_nf.min(axis=0)).all()
        assert (found[s].max_f == G_nf.max(axis=0)).all()
        np.testing.assert_allclose(found[s].mean_f, G_nf.mean(axis=0), rtol=1e-12)
        expected_ff = np.cov(G_nf.T, bias=True)
        size = np.abs(expected_ff).max()
        np.testing.assert_allclose(
            found[s].covariance_ff, expected_ff, atol=1e-12 * size
        )
        nearest_nt = find_nearest(whole.neighbours)[whole.atoms_s[s]]
        assert (survey.shortest_st[s] == nearest_nt.min(axis=0)).all()
