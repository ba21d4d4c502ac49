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


def chebyshev_features(structure, i, radial, angular, weights):
    """Return aenet's features of atom i by the triple loop; a part: (order, cutoff)."""
    near = [
        (structure.symbols[j], D, math.hypot(*D))
        for j, D in neighbours_of(
            i,
            structure.positions_nc,
            structure.cell_cc,
            structure.pbc_c,
            max(radial[1], angular[1]),
        )
    ]
    channels = [lambda symbol: 1.0]
    if len(weights) > 1:
        channels.append(lambda symbol: weights[symbol])
    G_f = []
    for s in channels:
        sums = np.zeros(radial[0] + 1)
        for t, _, r in near:
            if r < radial[1]:
                x = 2 * r / radial[1] - 1
                sums += s(t) * cutoff(r, radial[1]) * chebyshev(radial[0], x)
        G_f.extend(sums)
        sums = np.zeros(angular[0] + 1)
        for (tj, Dj, rj), (tk, Dk, rk) in itertools.combinations(near, 2):
            w = s(tj) * s(tk) * cutoff(rj, angular[1]) * cutoff(rk, angular[1])
            if w:
                sums += w * chebyshev(angular[0], Dj @ Dk / (rj * rk))
        G_f.extend(sums)
    return np.array(G_f)


def descriptor_features(descriptor, structure, i):
    """Return the features of atom i that a Chebyshev descriptor describes."""
    s = descriptor.species.index(structure.symbols[i])
    radial, angular = descriptor.radial_s[s], descriptor.angular_s[s]
    return chebyshev_features(
        structure,
        i,
        (radial.order, radial.cutoff),
        (angular.order, angular.cutoff),
        dict(zip(descriptor.species, descriptor.weights_st[s], strict=True)),
    )
