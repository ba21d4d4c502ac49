"""Features and distances of all structures, condensed to a few numbers for each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from annpot.checks.sample import Progress, Sample, show_nothing
from annpot.descriptors import Descriptor
from annpot.pairs import find_nearest
from annpot.scaling import (
    Scaling,
    Statistics,
    compute_statistics,
    fit_whitening,
    merge_statistics,
)
from annpot.structures.structure import Array, Batch, Integers

N_COMPONENTS = 8
"""Leading principal components of the features that tell structures apart."""
N_FOR_SCALING = 300
"""Structures from which the components are determined."""
PART_ATOMS = 2000
"""Atoms that are worked on at once."""
FLOOR = 1e-4


@dataclass(frozen=True)
class Surroundings:
    """What is known of the surroundings of the atoms."""

    vector_sd: Array
    """Means over the atoms of each species of their whitened features' leading
    components, then their standard deviations: equal for equal structures, however
    they are turned, moved and numbered."""
    statistics: list[Statistics]
    """Of the features of each species."""
    nearest_n: Array
    """Distance of each atom to its nearest neighbour in sums of covalent radii;
    infinite if there is none within the cutoff."""
    distance_n: Array
    """The same in angstrom."""
    partner_n: Integers
    """Species of that neighbour."""


def compute_surroundings(
    sample: Sample, progress: Progress = show_nothing
) -> Surroundings:
    """Return what the checks need to know; features are computed part by part."""
    batch, descriptor = sample.batch, sample.descriptor
    scalings = _fit_scalings(batch, descriptor)
    radius_t = covalent_radii(batch.species)
    statistics: list[Statistics] = []
    vectors, nearest, distances, partners = [], [], [], []
    for first, last in progress(_cut(batch.first_s), "surroundings", "part"):
        part = batch.part(first, last)
        features = descriptor.compute_features(part)
        blocks = features.blocks(features.G_f)
        found = [compute_statistics(G_nf) for G_nf in blocks]
        statistics = merge_statistics(statistics, found)
        vectors.append(_condense(part, blocks, scalings))
        r_nt = find_nearest(features.neighbours)
        ratio_nt = r_nt / (radius_t[part.species_n][:, None] + radius_t)
        t_n = ratio_nt.argmin(axis=1)
        atoms = np.arange(part.n_atoms)
        nearest.append(ratio_nt[atoms, t_n])
        distances.append(r_nt[atoms, t_n])
        partners.append(t_n)
    return Surroundings(
        np.concatenate(vectors),
        statistics,
        np.concatenate(nearest),
        np.concatenate(distances),
        np.concatenate(partners),
    )


def covalent_radii(species: tuple[str, ...]) -> Array:
    """Return the covalent radii in angstrom (Cordero et al., DOI 10.1039/b801115j)."""
    from ase.data import atomic_numbers, covalent_radii

    return np.array([covalent_radii[atomic_numbers[symbol]] for symbol in species])


def _cut(first_s: Integers) -> list[tuple[int, int]]:
    """Return first and last + 1 structure of parts with about `PART_ATOMS` atoms."""
    cuts = [0]
    while cuts[-1] < len(first_s) - 1:
        end = int(np.searchsorted(first_s, first_s[cuts[-1]] + PART_ATOMS, "right")) - 1
        cuts.append(max(end, cuts[-1] + 1))
    return list(itertools.pairwise(cuts))


def _fit_scalings(batch: Batch, descriptor: Descriptor) -> list[Scaling]:
    """Return the maps to principal components, from structures spread over all."""
    n = min(batch.n_structures, N_FOR_SCALING)
    chosen = np.unique(np.linspace(0, batch.n_structures - 1, n).astype(int))
    some = batch.take(chosen)
    statistics: list[Statistics] = []
    for first, last in _cut(some.first_s):
        features = descriptor.compute_features(some.part(first, last))
        found = [compute_statistics(G) for G in features.blocks(features.G_f)]
        statistics = merge_statistics(statistics, found)
    scalings = [fit_whitening(values, FLOOR) for values in statistics]
    # eigenvalues ascend
    return [Scaling(s.shift_f, s.matrix_ff[:, -N_COMPONENTS:]) for s in scalings]


def _condense(batch: Batch, blocks: list[Array], scalings: list[Scaling]) -> Array:
    """Return `Surroundings.vector_sd` of a part."""
    columns = []
    for s, (G_nf, scaling) in enumerate(zip(blocks, scalings, strict=True)):
        X_nk = scaling.apply(G_nf)
        of_n = batch.structure_n[batch.species_n == s]
        count_s = np.maximum(np.bincount(of_n, minlength=batch.n_structures), 1)
        sums_sk = np.zeros((batch.n_structures, X_nk.shape[1]))
        np.add.at(sums_sk, of_n, X_nk)
        mean_sk = sums_sk / count_s[:, None]
        squares_sk = np.zeros_like(sums_sk)
        np.add.at(squares_sk, of_n, (X_nk - mean_sk[of_n]) ** 2)
        columns += [mean_sk, np.sqrt(squares_sk / count_s[:, None])]
    return np.concatenate(columns, axis=1)
