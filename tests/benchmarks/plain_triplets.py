"""The plain way: each symmetry function by itself for each triplet of atoms."""

import math

import numba
import numpy as np

from annpot.descriptors.triplets import CORES


def table(functions_s):
    """Return the parameters of all functions, and the first of each species."""
    rows = []
    for functions in functions_s:
        for f in functions:
            if f.compact is None:
                rows.append(
                    (*f.pair, f.r_jk, 0, f.eta, f.lambda_, f.zeta, f.cutoff.radius)
                )
            else:
                c = f.compact
                angles = np.radians([c.theta_low, c.theta_high])
                assert CORES[c.core] == CORES["p2"]
                rows.append((*f.pair, f.r_jk, 1, c.r_high, *angles, c.r_high))
    first_s = np.cumsum([0, *(len(functions) for functions in functions_s)])
    return np.array(rows, dtype=float), first_s


@numba.njit(error_model="numpy")
def bell(x, low, high):
    """Return the compact function p2 and its slope."""
    half = 0.5 * (high - low)
    y = (x - 0.5 * (low + high)) / half
    a = abs(y)
    if a >= 1.0:
        return 0.0, 0.0
    slope = -30.0 * a * a * (1.0 - a) ** 2 / half
    return ((15.0 - 6.0 * a) * a - 10.0) * a**3 + 1.0, slope if y > 0 else -slope


@numba.njit(error_model="numpy")
def radial(row, r):
    """Return the radial factor of a function and its slope."""
    if row[3] == 1:
        return bell(r, -row[4], row[4])
    if r >= row[7]:
        return 0.0, 0.0
    t = math.tanh(1.0 - r / row[7])
    f, dfdr = t**3, -3.0 * t * t * (1.0 - t * t) / row[7]
    e = math.exp(-row[4] * r * r)
    return f * e, (dfdr - 2.0 * row[4] * r * f) * e


@numba.njit(error_model="numpy")
def angular(row, c):
    """Return the angular factor of a function and its slope by the cosine."""
    if row[3] == 1:
        f, slope = bell(math.acos(c), row[5], row[6])
        return f, -slope / math.sqrt(1.0 - c * c)
    x = 1.0 + row[5] * c
    scale = 2.0 ** (1.0 - row[6])
    zeta = int(row[6])
    return scale * x**zeta, scale * row[6] * row[5] * x ** (zeta - 1)


@numba.njit(error_model="numpy")
def add_triplet(row, g, D, E, out_D, out_E):
    """Return a function of a triplet, and add g times its gradients."""
    r, q = math.sqrt((D * D).sum()), math.sqrt((E * E).sum())
    f, df = radial(row, r)
    h, dh = radial(row, q)
    side = math.sqrt(((D - E) ** 2).sum())
    s, ds = radial(row, side) if row[2] else (1.0, 0.0)
    if f * h * s == 0.0:
        return 0.0
    c = (D * E).sum() / (r * q)
    a, da = angular(row, c)
    for i in range(3):
        u, v, w = D[i] / r, E[i] / q, (D[i] - E[i]) / side
        across = f * h * s * da
        out_D[i] += g * (df * h * s * a * u + across * (v - c * u) / r)
        out_D[i] += g * f * h * ds * a * w
        out_E[i] += g * (f * dh * s * a * v + across * (u - c * v) / q)
        out_E[i] -= g * f * h * ds * a * w
    return f * h * s * a


@numba.njit(error_model="numpy")
def add_atom(n, pairs, species_p, j_p, D_pc, rows, dEdG_f, G_f, F_nc):
    """Add features of an atom and the forces that they exert."""
    first, last = pairs
    gradient_D, gradient_E = np.zeros(3), np.zeros(3)
    for p in range(first, last):
        for q in range(p + 1, last):
            gradient_D[:] = gradient_E[:] = 0.0
            for f in range(len(rows)):
                t, v = species_p[p], species_p[q]
                row = rows[f]
                if not ((row[0] == t and row[1] == v) or (row[0] == v and row[1] == t)):
                    continue
                G_f[f] += add_triplet(
                    row, dEdG_f[f], D_pc[p], D_pc[q], gradient_D, gradient_E
                )
            F_nc[j_p[p]] -= gradient_D
            F_nc[j_p[q]] -= gradient_E
            F_nc[n] += gradient_D + gradient_E


def features_and_forces(neighbours, feature_n, functions, dEdG_f, atoms):
    """Return the features of some atoms, and the forces that these exert."""
    rows, first_s = functions
    species_n = neighbours.species_n
    starts = neighbours.first_g[:: neighbours.n_species * neighbours.n_shells]
    D_pc = np.ascontiguousarray(neighbours.D_cp.T)
    G_f, F_nc = np.zeros_like(dEdG_f), np.zeros((len(species_n), 3))
    species_p = species_n[neighbours.j_p]
    for n in atoms:
        s = species_n[n]
        block = slice(feature_n[n], feature_n[n] + first_s[s + 1] - first_s[s])
        add_atom(
            n,
            (starts[n], starts[n + 1]),
            species_p,
            neighbours.j_p,
            D_pc,
            rows[first_s[s] : first_s[s + 1]],
            dEdG_f[block],
            G_f[block],
            F_nc,
        )
    return G_f, F_nc
