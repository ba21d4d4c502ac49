"""The plain way, as aenet goes it: a loop over pairs of neighbours that forms the
derivative of every feature by the position of every neighbour."""

import math

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True)
def features_and_forces(  # noqa: C901, PLR0915
    first_n, j_p, D_pc, weight_p, parameters, dEdG_nf, G_nf, F_nc
):
    """Set the features of the atoms in the order of aenet, and add their forces."""
    n_radial, r_cut, n_angular, a_cut = parameters
    n_channel = n_radial + n_angular + 2
    most = 0
    for n in range(len(first_n) - 1):
        most = max(most, first_n[n + 1] - first_n[n])
    dG_pfc = np.zeros((most, 2 * n_channel, 3))
    r_p, f_p, dfdr_p = np.zeros(most), np.zeros(most), np.zeros(most)
    T, dT = np.zeros(n_angular + 1), np.zeros(n_angular + 1)
    for n in range(len(first_n) - 1):
        start = first_n[n]
        count = first_n[n + 1] - start
        dG_pfc[:count] = 0.0
        G_f = G_nf[n]
        for p in range(count):
            x, y, z = D_pc[start + p]
            r = math.sqrt(x * x + y * y + z * z)
            r_p[p] = r
            f_p[p] = dfdr_p[p] = 0.0
            if r < a_cut:
                f_p[p] = 0.5 * (1.0 + math.cos(math.pi * r / a_cut))
                dfdr_p[p] = -0.5 * math.pi / a_cut * math.sin(math.pi * r / a_cut)
            if r < r_cut:
                fc = 0.5 * (1.0 + math.cos(math.pi * r / r_cut))
                dfc = -0.5 * math.pi / r_cut * math.sin(math.pi * r / r_cut)
                q = 2.0 * r / r_cut - 1.0
                t0, t1, d0, d1 = q, 1.0, 1.0, 0.0
                for a in range(n_radial + 1):
                    value = fc * t1
                    slope = dfc * t1 + fc * d1 * 2.0 / r_cut
                    for c in range(2):
                        w = weight_p[start + p] if c else 1.0
                        f = c * n_channel + a
                        G_f[f] += w * value
                        for k in range(3):
                            dG_pfc[p, f, k] += w * slope * D_pc[start + p, k] / r
                    t0, t1, d0, d1 = (
                        t1,
                        2.0 * q * t1 - t0,
                        d1,
                        2.0 * t1 + 2.0 * q * d1 - d0,
                    )
        for p in range(count):
            if r_p[p] >= a_cut:
                continue
            for q in range(p + 1, count):
                if r_p[q] >= a_cut:
                    continue
                D1, D2 = D_pc[start + p], D_pc[start + q]
                r1, r2 = r_p[p], r_p[q]
                x = (D1[0] * D2[0] + D1[1] * D2[1] + D1[2] * D2[2]) / (r1 * r2)
                T[0], dT[0] = 1.0, 0.0
                if n_angular > 0:
                    T[1], dT[1] = x, 1.0
                for a in range(2, n_angular + 1):
                    T[a] = 2.0 * x * T[a - 1] - T[a - 2]
                    dT[a] = 2.0 * T[a - 1] + 2.0 * x * dT[a - 1] - dT[a - 2]
                ww = weight_p[start + p] * weight_p[start + q]
                for k in range(3):
                    dx1 = (D2[k] / r2 - x * D1[k] / r1) / r1
                    dx2 = (D1[k] / r1 - x * D2[k] / r2) / r2
                    df1 = dfdr_p[p] * f_p[q] * D1[k] / r1
                    df2 = f_p[p] * dfdr_p[q] * D2[k] / r2
                    ff = f_p[p] * f_p[q]
                    for a in range(n_angular + 1):
                        f = n_radial + 1 + a
                        one = df1 * T[a] + ff * dT[a] * dx1
                        two = df2 * T[a] + ff * dT[a] * dx2
                        dG_pfc[p, f, k] += one
                        dG_pfc[q, f, k] += two
                        dG_pfc[p, f + n_channel, k] += ww * one
                        dG_pfc[q, f + n_channel, k] += ww * two
                for a in range(n_angular + 1):
                    f = n_radial + 1 + a
                    G_f[f] += f_p[p] * f_p[q] * T[a]
                    G_f[f + n_channel] += ww * f_p[p] * f_p[q] * T[a]
        for p in range(count):
            for k in range(3):
                g = 0.0
                for f in range(2 * n_channel):
                    g += dEdG_nf[n, f] * dG_pfc[p, f, k]
                F_nc[n, k] += g
                F_nc[j_p[start + p], k] -= g
