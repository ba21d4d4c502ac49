"""Independent, slow implementations to compare with: loops and no tricks."""

from __future__ import annotations

import itertools
import math

import numpy as np


def cutoff(r, r_cut):
    return 0.5 * (1 + math.cos(math.pi * r / r_cut)) if r < r_cut else 0.0


def chebyshev(order, x):
    """Return T_0(x) to T_order(x)."""
    if order < 0:
        return np.zeros(0)
    return np.polynomial.chebyshev.chebvander(x, order)[0]


def neighbours_of(i, positions_nc, cell_cc, pbc_c, r_cut):
    """Return (j, r_j + S @ cell - r_i) of all neighbours, trying all images."""
    reach = [0, 0, 0]
    if any(pbc_c):
        cell = np.array(cell_cc, dtype=float)
        for c in range(3):
            if not np.any(cell[c]):
                others = [k for k in range(3) if np.any(cell[k])]
                normal = np.linalg.svd(cell[others])[2][-1] if others else np.eye(3)[c]
                cell[c] = normal
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        extent = np.ptp(positions_nc @ np.linalg.inv(cell), axis=0)
        reach = [
            math.ceil(r_cut / h + e) + 1 if p else 0
            for h, e, p in zip(heights, extent, pbc_c, strict=True)
        ]
    found = []
    for shift in itertools.product(*(range(-n, n + 1) for n in reach)):
        for j in range(len(positions_nc)):
            D = positions_nc[j] + np.array(shift) @ cell_cc - positions_nc[i]
            if not (j == i and shift == (0, 0, 0)) and math.hypot(*D) < r_cut:
                found.append((j, D))
    return found


def neighbourhood(structure, i, r_cut):
    """Return symbol, vector and distance of the neighbours of atom i."""
    found = neighbours_of(
        i, structure.positions_nc, structure.cell_cc, structure.pbc_c, r_cut
    )
    return [(structure.symbols[j], D, math.hypot(*D)) for j, D in found]


def radial_features(near, radial, weights):
    """Return ``sum_j w_j fc(r_j) T_a(x_j)``; a part: (order, cutoff)."""
    sums = np.zeros(radial.order + 1)
    for t, _, r in near:
        if r < radial.cutoff:
            x = 2 * r / radial.cutoff - 1
            sums += weights[t] * cutoff(r, radial.cutoff) * chebyshev(radial.order, x)
    return sums


def angular_features(near, angular, weights):
    """Return aenet's angular features by the triple loop."""
    sums = np.zeros(angular.order + 1)
    for (tj, Dj, rj), (tk, Dk, rk) in itertools.combinations(near, 2):
        w = weights[tj] * weights[tk]
        w *= cutoff(rj, angular.cutoff) * cutoff(rk, angular.cutoff)
        if w:
            x = Dj @ Dk / (rj * rk)
            sums += w * chebyshev(
                angular.order, 2 * x / math.pi - 1 if angular.legacy else x
            )
    return sums


def resolved_features(near, angular, channels, mixed):
    """Return the features of a resolved angular part, by all pairs j != k."""
    functions = [
        (c, weights, n)
        for c, weights in enumerate(channels)
        for n in range(angular.radial_order + 1)
    ]
    values = [
        [
            weights[t]
            * cutoff(r, angular.cutoff)
            * chebyshev(n, 2 * (1 - r / angular.cutoff) ** 2 - 1)[n]
            for t, _, r in near
        ]
        for _, weights, n in functions
    ]
    G_f = []
    for a, b in itertools.combinations_with_replacement(range(len(functions)), 2):
        if not mixed and functions[a][0] != functions[b][0]:
            continue
        sums = np.zeros(angular.order + 1)
        for j, k in itertools.permutations(range(len(near)), 2):
            w = values[a][j] * values[b][k]
            if w:
                x = near[j][1] @ near[k][1] / (near[j][2] * near[k][2])
                sums += w * np.polynomial.legendre.legvander(x, angular.order)[0]
        G_f.extend(sums / 2)
    return np.array(G_f)


def descriptor_features(descriptor, structure, i):
    """Return the features of atom i that Chebyshev parts describe."""
    return np.concatenate([part_features(p, structure, i) for p in descriptor.parts])


def part_features(part, structure, i):
    s = part.species.index(structure.symbols[i])
    radial, angular = part.radial_s[s], part.angular_s[s]
    near = neighbourhood(structure, i, max(radial.cutoff, angular.cutoff))
    channels = [dict(zip(part.species, w, strict=True)) for w in part.weights_sct[s]]
    if angular.radial_order is None:
        rows = [
            f(near, p, w)
            for w in channels
            for f, p in ((radial_features, radial), (angular_features, angular))
        ]
        return np.concatenate(rows)
    return np.concatenate(
        [
            *(radial_features(near, radial, weights) for weights in channels),
            resolved_features(near, angular, channels, part.mixed),
        ]
    )
