"""Which features matter to a potential."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annpot.committee import Committee
from annpot.errors import FileFormatError
from annpot.fingerprints import FingerprintSet
from annpot.potential import Potential
from annpot.structures.structure import Array

BATCH_ATOMS = 5000


def compute_importance(
    predictor: Potential | Committee,
    fingerprints: FingerprintSet,
    blocks: Sequence[Array],
) -> list[Array]:
    """Return how much each feature of each species moves the energy of an atom, eV.

    Of a committee, the mean energy.

    ``rms(dE/dG_f) std(G_f)`` over the atoms of the set: what a change of the feature by
    its standard deviation does to first order.

    Parameters
    ----------
    blocks
        The features ``G_nf`` of each species, from `annpot.fingerprints.load_features`.

    Raises
    ------
    FileFormatError
        If the potential has other features than the set, or a committee has no
        average.
    """
    potential = predictor.average() if isinstance(predictor, Committee) else predictor
    if potential.descriptor.to_dict() != fingerprints.descriptor.to_dict():
        raise FileFormatError(
            f"'{fingerprints.path}': the features of this set are not those of the "
            "potential, expected the set that it was trained on or one like it"
        )
    importance = []
    for s, (G_nf, statistics) in enumerate(
        zip(blocks, fingerprints.statistics, strict=True)
    ):
        squares_f = np.zeros(G_nf.shape[1])
        for first in range(0, len(G_nf), BATCH_ATOMS):
            _, dEdG_nf = potential.evaluate_species(
                s, G_nf[first : first + BATCH_ATOMS]
            )
            squares_f += np.sum(dEdG_nf**2, axis=0)
        deviation_f = np.sqrt(np.diag(statistics.covariance_ff))
        importance.append(np.sqrt(squares_f / max(1, len(G_nf))) * deviation_f)
    return importance
