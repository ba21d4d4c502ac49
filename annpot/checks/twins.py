"""Structures that are nearly equal: candidates by their features, without N^2 pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.checks.sample import Progress, Sample, show_nothing
from annpot.checks.surroundings import Surroundings
from annpot.structures.structure import Array, Integers

N_NEAREST = 4
"""How many of the nearest structures are looked at for each structure."""
SAME = 1e-6
"""Vectors of features that agree to this are of the same structure."""
N_AXES, N_CANDIDATES = 6, 16
"""Principal axes along which so many candidates for the nearest are found: in more
dimensions, a tree is no faster than a look at all pairs."""
FEW = 3000
"""Structures of a group up to which that is quick enough: a second."""
AT_ONCE = 2000
"""Structures whose candidates are compared at once."""


class Twins(NamedTuple):
    """Pairs of structures of the same composition that are near in their features."""

    a_k: Integers
    b_k: Integers
    """Larger than ``a_k``."""
    distance_k: Array
    """In standard deviations of the features of one atom, times the root of the number
    of atoms: about 1 for two independent snapshots of the same material."""


def find_twins(
    sample: Sample, surroundings: Surroundings, progress: Progress = show_nothing
) -> Twins:
    """Return each structure with its nearest in the space of features.

    Method: structures are grouped by their reduced formula. Within a group, those whose
    vectors agree to `SAME` form a chain (each paired with the first of its kind), and
    one of each kind goes into a k-d tree (scipy), in groups of more than `FEW` only of
    its coordinates along the `N_AXES` principal axes. Of the `N_CANDIDATES` that are
    nearest there, the `N_NEAREST` that are nearest in all coordinates are taken.
    Distances along the axes are never larger than the true ones, so one of the nearest
    is missed only where more than that many others come closer along the axes: hardly
    ever one that is far nearer than others are.
    So there are at most ``1 + N_NEAREST`` pairs for each structure, and memory grows
    with the number of structures only. Structures that follow each other in the same
    file are paired, too: those of a molecular dynamics run.
    """
    pairs = [_follow(sample)]
    atoms_s = sample.batch.atoms_s
    groups = group_alike(sample.counts_st)
    for structures in progress(groups, "near structures", "composition"):
        if len(structures) > 1:
            weight = np.sqrt(np.median(atoms_s[structures]))
            vector_kd = surroundings.vector_sd[structures] * weight
            vector_kd /= np.sqrt(max(1, vector_kd.shape[1]))
            pairs.append(structures[_pair_up(vector_kd)])
    a_k, b_k = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0).T
    step_kd = surroundings.vector_sd[a_k] - surroundings.vector_sd[b_k]
    rms_k = np.sqrt((step_kd**2).mean(axis=1)) if step_kd.size else np.zeros(len(a_k))
    return Twins(a_k, b_k, rms_k * np.sqrt(np.minimum(atoms_s[a_k], atoms_s[b_k])))


def group_alike(counts_st: Array) -> list[Integers]:
    """Return the numbers of the structures of each reduced formula."""
    whole_st = counts_st.astype(np.int64)
    divisor_s = np.gcd.reduce(whole_st, axis=1)
    _, kind_s = np.unique(whole_st // divisor_s[:, None], axis=0, return_inverse=True)
    order = np.argsort(kind_s.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(kind_s.ravel()[order])) + 1
    return np.split(order, starts)


def _follow(sample: Sample) -> Integers:
    """Return the pairs that follow each other in a file, shape=(n_pairs, 2)."""
    files = np.array(sample.files)
    same_s = (files[1:] == files[:-1]) & (
        sample.counts_st[1:] == sample.counts_st[:-1]
    ).all(axis=1)
    a_k = np.flatnonzero(same_s)
    return np.stack([a_k, a_k + 1], axis=1)


def _pair_up(vector_kd: Array) -> NDArray[np.int64]:
    """Return pairs of near rows, shape=(n_pairs, 2), the smaller number first."""
    _, first_u, kind_k = np.unique(
        np.round(vector_kd / SAME), axis=0, return_index=True, return_inverse=True
    )
    kind_k = kind_k.ravel()
    own = np.stack([first_u[kind_k], np.arange(len(kind_k))], axis=1)
    own = own[own[:, 0] != own[:, 1]]
    i, j = _find_nearest(vector_kd[first_u])
    near = np.stack([first_u[i], first_u[j]], axis=1)[i != j]
    return np.concatenate([own, np.sort(near, axis=1)]).astype(np.int64)


def _find_nearest(X_ud: Array) -> tuple[Integers, Integers]:
    """Return pairs of each row with its nearest, of those near along the main axes."""
    from scipy.spatial import cKDTree

    D_ud = X_ud - X_ud.mean(axis=0)
    Y_ua = D_ud
    if len(X_ud) > FEW:
        _, axes_dd = np.linalg.eigh(D_ud.T @ D_ud)
        Y_ua = D_ud @ axes_dd[:, -N_AXES:]
    tree, found_i, found_j = cKDTree(Y_ua), [], []
    n_candidates = min(N_CANDIDATES + 1, len(X_ud))
    for first in range(0, len(X_ud), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        _, j_uk = tree.query(Y_ua[rows], k=n_candidates)
        j_uk = np.reshape(j_uk, (-1, n_candidates))
        i_u = np.arange(first, first + len(j_uk))
        square_uk = ((X_ud[j_uk] - X_ud[i_u][:, None]) ** 2).sum(axis=2)
        square_uk[j_uk == i_u[:, None]] = np.inf
        best_uk = np.argsort(square_uk, axis=1, kind="stable")[:, :N_NEAREST]
        found_i.append(np.repeat(i_u, best_uk.shape[1]))
        found_j.append(np.take_along_axis(j_uk, best_uk, axis=1).ravel())
    return np.concatenate(found_i), np.concatenate(found_j)
