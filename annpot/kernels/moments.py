"""The moments kernel: features of atomic environments in O(neighbours).

The angular sum over pairs of neighbours factorises by the addition theorem of
spherical harmonics (``annpot/descriptors/README.md``). For each central atom, with
``t`` the species of a neighbour and ``s_ct`` its weight in channel ``c``:

    R_ca  = sum_j s_ct fc(r_j; Rr) T_a(x_j)           radial features
    A_clm = sum_j s_ct fc(r_j; Ra) C_lm(u_j)          moments
    S_cl  = (sum_m A_clm^2 - sum_j s_ct^2 fc^2) / 2   = sum_{j<k} w_j w_k P_l(cos jik)
    Q_ca  = sum_l M_al S_cl                           angular features

The features of an atom are [R_0a, Q_0a, R_1a, Q_1a, ...]. Three operations, each one
pass over the neighbours, side by side: `compute_features`, `add_forces` (the product
of a vector with the features' derivatives) and `compute_tangents` (of the derivatives
with a vector). Nothing that grows with neighbours x features is stored.

Atoms are dealt to threads in chunks that do not depend on the number of threads, and
each sum has a fixed order: results are the same bits on any number of threads.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import (
    add_self,
    add_to_channels,
    clear,
    count_pairs,
    load_block,
)
from annpot.kernels.harmonics import (
    add_harmonic_tangents,
    add_harmonics,
    contract_harmonics,
    set_contraction,
)
from annpot.kernels.lanes import WIDTH, load, splat, store, total
from annpot.kernels.radial import (
    add_chebyshev,
    add_chebyshev_pair,
    contract_chebyshev,
    cosine_cutoff,
    inline,
    set_derivative_coefficients,
)

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@kernel
def _sum_neighbours(n: int, neighbours: Any, recipe: Any, work: Any) -> None:
    """Sum radial functions, moments and squares over the neighbours of atom ``n``."""
    s = neighbours.species_n[n]
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    n_moments = (l_max + 1) ** 2
    r_cut, a_cut = recipe.radial_cutoff_s[s], recipe.angular_cutoff_s[s]
    weights_ct = recipe.weights_sct[s]
    r_far = max(r_cut, a_cut) + 1.0
    clear(work.radial_channels, len(weights_ct) * n_radial)
    clear(work.moment_channels, len(weights_ct) * n_moments)
    work.self_c[:] = 0.0

    for t in range(neighbours.n_species):
        first, radial, angular = count_pairs(neighbours, recipe, n, s, t)
        count = max(radial, angular)
        if count == 0:
            continue
        squares = splat(0.0)
        for b in range(0, count, WIDTH):
            u, r, _ = load_block(neighbours.D_cp, first + b, count - b, r_far)
            if b < radial:
                f, _ = cosine_cutoff(r, r_cut)
                x = (2.0 / r_cut) * r - 1.0
                add_chebyshev(x, f, n_radial - 1, work.radial_group)
            if b < angular:
                f, _ = cosine_cutoff(r, a_cut)
                squares = squares + f * f
                add_harmonics(u, f, l_max, recipe.harmonics, work.moment_group)
        add_to_channels(
            work.radial_group, n_radial, weights_ct, t, work.radial_channels
        )
        add_to_channels(
            work.moment_group, n_moments, weights_ct, t, work.moment_channels
        )
        add_self(weights_ct, t, total(squares), work.self_c)


@kernel
def _set_features(recipe: Any, s: int, work: Any, G_f: Any, A_cm: Any, f: int) -> None:
    """Set the features from ``f`` on, and the moments, of an atom of species ``s``."""
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    n_moments = (l_max + 1) ** 2
    for c in range(len(A_cm)):
        for a in range(n_radial):
            G_f[f] = total(load(work.radial_channels, (c * n_radial + a) * WIDTH))
            f += 1
        for m in range(n_moments):
            A_cm[c, m] = total(load(work.moment_channels, (c * n_moments + m) * WIDTH))
        G_f[f : f + l_max + 1] = 0.0
        for l in range(l_max + 1):  # noqa: E741
            power = -work.self_c[c]
            for m in range(l * l, (l + 1) ** 2):
                power += A_cm[c, m] ** 2
            for a in range(l, l_max + 1, 2):
                G_f[f + a] += 0.5 * recipe.legendre_al[a, l] * power
        f += l_max + 1


@kernel
def compute_features(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    G_f: Any,
    A_ncm: Any,
) -> None:
    """Set the features and moments of the atoms of some chunks.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`.
    G_f
        All features; those of atom n from ``feature_n[n]`` on.
    A_ncm
        Moments; shape=(n_atoms, n_channels, (largest angular order + 1)^2).
    """
    for k in range(len(chunk_ki)):
        for n in range(chunk_ki[k, 0], chunk_ki[k, 1]):
            _sum_neighbours(n, neighbours, recipe, work)
            s = neighbours.species_n[n]
            _set_features(recipe, s, work, G_f, A_ncm[n], feature_n[n])


@kernel
def _set_contraction_of_atom(
    recipe: Any, s: int, work: Any, dEdG_f: Any, f: int, A_cm: Any
) -> None:
    """Set ``B_clm = h_cl A_clm`` and ``sum_l h_cl``, ``h_cl = sum_a M_al dE/dQ_ca``."""
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    for c in range(len(A_cm)):
        f += n_radial
        work.self_c[c] = 0.0
        for l in range(l_max + 1):  # noqa: E741
            h = 0.0
            for a in range(l, l_max + 1, 2):
                h += recipe.legendre_al[a, l] * dEdG_f[f + a]
            work.self_c[c] += h
            for m in range(l * l, (l + 1) ** 2):
                work.B_cm[c, m] = h * A_cm[c, m]
        f += l_max + 1


@inline
def _set_contraction_of_group(
    recipe: Any, s: int, t: int, work: Any, dEdG_f: Any, f: int
) -> Any:
    """Set what neighbours of species ``t`` contract with; return the self term."""
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    weights_ct = recipe.weights_sct[s]
    work.radial_ak[:, 0] = 0.0
    work.B_m[:] = 0.0
    self_term = 0.0
    for c in range(len(weights_ct)):
        weight = weights_ct[c, t]
        for a in range(n_radial):
            work.radial_ak[a, 0] += weight * dEdG_f[f + a]
        for m in range((l_max + 1) ** 2):
            work.B_m[m] += weight * work.B_cm[c, m]
        self_term += weight**2 * work.self_c[c]
        f += n_radial + l_max + 1
    if n_radial > 0:
        set_derivative_coefficients(n_radial - 1, work.radial_ak)
    set_contraction(l_max, recipe.harmonics, work.B_m, work.B_mlk)
    return self_term


@inline
def _pair_gradient(
    u: Any, r: Any, r_inverse: Any, parts: Any, recipe: Any, s: int, work: Any
) -> Any:
    """Return dE/dD of eight pairs; ``parts``: is there a radial, an angular part."""
    radial, angular, self_term = parts
    dEdr = splat(0.0)
    gx, gy, gz = dEdr, dEdr, dEdr
    if radial:
        r_cut = recipe.radial_cutoff_s[s]
        f, dfdr = cosine_cutoff(r, r_cut)
        value, slope = contract_chebyshev(
            (2.0 / r_cut) * r - 1.0, recipe.radial_order_s[s], work.radial_ak
        )
        dEdr = dfdr * value + (2.0 / r_cut) * f * slope
    if angular:
        x, y, z = u
        f, dfdr = cosine_cutoff(r, recipe.angular_cutoff_s[s])
        value, (dx, dy, dz) = contract_harmonics(
            u, recipe.angular_order_s[s], recipe.harmonics, work.B_mlk
        )
        scale = f * r_inverse
        gx, gy, gz = scale * dx, scale * dy, scale * dz
        along = x * gx + y * gy + z * gz
        dEdr = dEdr + dfdr * (value - self_term * f) - along
    x, y, z = u
    return gx + dEdr * x, gy + dEdr * y, gz + dEdr * z


@inline
def _add_virial(u: Any, r: Any, gradient: Any, virial: Any) -> None:
    """Subtract ``D_a dE/dD_b`` from accumulator ``3 a + b``."""
    x, y, z = u
    gx, gy, gz = gradient
    _subtract(r * x * gx, 0, virial)
    _subtract(r * x * gy, 1, virial)
    _subtract(r * x * gz, 2, virial)
    _subtract(r * y * gx, 3, virial)
    _subtract(r * y * gy, 4, virial)
    _subtract(r * y * gz, 5, virial)
    _subtract(r * z * gx, 6, virial)
    _subtract(r * z * gy, 7, virial)
    _subtract(r * z * gz, 8, virial)


@inline
def _subtract(value: Any, i: int, sums: Any) -> None:
    store(sums, i * WIDTH, load(sums, i * WIDTH) - value)


@kernel
def _add_forces_of_atom(
    n: int,
    neighbours: Any,
    recipe: Any,
    work: Any,
    dEdG_f: Any,
    f: int,
    F_nc: Any,
    shift: int,
    virial_cc: Any,
) -> None:
    """Add the forces on atom ``n`` and its neighbours to rows ``n + shift`` etc."""
    s = neighbours.species_n[n]
    r_far = max(recipe.radial_cutoff_s[s], recipe.angular_cutoff_s[s]) + 1.0
    zero = splat(0.0)
    own_x, own_y, own_z = zero, zero, zero
    clear(work.virial, virial_cc.size)
    for t in range(neighbours.n_species):
        first, radial, angular = count_pairs(neighbours, recipe, n, s, t)
        count = max(radial, angular)
        if count == 0:
            continue
        self_term = _set_contraction_of_group(recipe, s, t, work, dEdG_f, f)
        for b in range(0, count, WIDTH):
            u, r, r_inverse = load_block(neighbours.D_cp, first + b, count - b, r_far)
            parts = (b < radial, b < angular, self_term)
            gx, gy, gz = _pair_gradient(u, r, r_inverse, parts, recipe, s, work)
            own_x, own_y, own_z = own_x + gx, own_y + gy, own_z + gz
            store(work.block, 0, gx)
            store(work.block, WIDTH, gy)
            store(work.block, 2 * WIDTH, gz)
            for p in range(min(WIDTH, count - b)):
                j = neighbours.j_p[first + b + p] + shift
                for c in range(3):
                    F_nc[j, c] -= work.block[c * WIDTH + p]
            if len(virial_cc) > 0:
                _add_virial(u, r, (gx, gy, gz), work.virial)
    F_nc[n + shift, 0] += total(own_x)
    F_nc[n + shift, 1] += total(own_y)
    F_nc[n + shift, 2] += total(own_z)
    for i in range(virial_cc.size):
        virial_cc[i // 3, i % 3] = total(load(work.virial, i * WIDTH))


@kernel
def add_forces(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    A_ncm: Any,
    dEdG_f: Any,
    F_nc: Any,
    virial_ncc: Any,
) -> None:
    """Add the forces that the environments of the atoms of some chunks exert.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`; they say which rows of ``F_nc`` to add to.
    A_ncm
        Moments from `compute_features`.
    dEdG_f
        Derivatives of the energy by the features, laid out as those.
    F_nc
        Buffer to which ``-sum_f dE/dG_f dG_f/dR`` is added.
    virial_ncc
        Set to ``-sum_p D_p dE/dD_p`` over the pairs of each central atom; minus their
        sum is the derivative of the energy by a strain of the cell. Empty,
        shape=(0, 3, 3), if not wanted.
    """
    for k in range(len(chunk_ki)):
        shift = chunk_ki[k, 4] - chunk_ki[k, 2]
        for n in range(chunk_ki[k, 0], chunk_ki[k, 1]):
            s, f = neighbours.species_n[n], feature_n[n]
            virial_cc = virial_ncc[n] if len(virial_ncc) > 0 else work.nothing_cc
            _set_contraction_of_atom(recipe, s, work, dEdG_f, f, A_ncm[n])
            _add_forces_of_atom(
                n, neighbours, recipe, work, dEdG_f, f, F_nc, shift, virial_cc
            )


@inline
def _pair_tangent(
    u: Any, r: Any, n: int, p: int, count: int, j_p: Any, motion: Any, block: Any
) -> Any:
    """Return dr/dt and the tangential part of du/dt of eight pairs, times r."""
    V_nc, strain_cc = motion
    for c in range(3):
        for i in range(WIDTH):
            block[c * WIDTH + i] = 0.0
        for i in range(min(WIDTH, count)):
            block[c * WIDTH + i] = V_nc[j_p[p + i], c] - V_nc[n, c]
    x, y, z = u
    vx, vy, vz = load(block, 0), load(block, WIDTH), load(block, 2 * WIDTH)
    if len(strain_cc) > 0:
        e = strain_cc
        vx = vx + r * (x * e[0, 0] + y * e[1, 0] + z * e[2, 0])
        vy = vy + r * (x * e[0, 1] + y * e[1, 1] + z * e[2, 1])
        vz = vz + r * (x * e[0, 2] + y * e[1, 2] + z * e[2, 2])
    rdot = x * vx + y * vy + z * vz
    return rdot, (vx - rdot * x, vy - rdot * y, vz - rdot * z)


@kernel
def _sum_tangents(n: int, neighbours: Any, recipe: Any, motion: Any, work: Any) -> None:
    """Sum the tangents of radial functions, moments and squares of atom ``n``."""
    s = neighbours.species_n[n]
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    n_moments = (l_max + 1) ** 2
    r_cut, a_cut = recipe.radial_cutoff_s[s], recipe.angular_cutoff_s[s]
    r_far = max(r_cut, a_cut) + 1.0
    weights_ct = recipe.weights_sct[s]
    clear(work.radial_channels, len(weights_ct) * 2 * n_radial)
    clear(work.moment_channels, len(weights_ct) * n_moments)
    work.self_c[:] = 0.0
    for t in range(neighbours.n_species):
        first, radial, angular = count_pairs(neighbours, recipe, n, s, t)
        count = max(radial, angular)
        if count == 0:
            continue
        squares = splat(0.0)
        for b in range(0, count, WIDTH):
            p = first + b
            u, r, r_inverse = load_block(neighbours.D_cp, p, count - b, r_far)
            rdot, (vx, vy, vz) = _pair_tangent(
                u, r, n, p, count - b, neighbours.j_p, motion, work.block
            )
            if b < radial:
                f, dfdr = cosine_cutoff(r, r_cut)
                x = (2.0 / r_cut) * r - 1.0
                add_chebyshev_pair(
                    x,
                    dfdr * rdot,
                    (2.0 / r_cut) * f * rdot,
                    n_radial - 1,
                    work.radial_group,
                )
            if b < angular:
                f, dfdr = cosine_cutoff(r, a_cut)
                squares = squares + f * dfdr * rdot
                udot = (vx * r_inverse, vy * r_inverse, vz * r_inverse)
                add_harmonic_tangents(
                    u, udot, f, dfdr * rdot, l_max, recipe.harmonics, work.moment_group
                )
        add_to_channels(
            work.radial_group, 2 * n_radial, weights_ct, t, work.radial_channels
        )
        add_to_channels(
            work.moment_group, n_moments, weights_ct, t, work.moment_channels
        )
        add_self(weights_ct, t, total(squares), work.self_c)


@kernel
def _set_tangents(
    recipe: Any, s: int, work: Any, A_cm: Any, Gdot_f: Any, f: int
) -> None:
    """Set the tangents of the features from ``f`` on of an atom of species ``s``."""
    n_radial, l_max = recipe.radial_order_s[s] + 1, recipe.angular_order_s[s]
    n_moments = (l_max + 1) ** 2
    for c in range(len(A_cm)):
        # dT_a/dx = a (2 T_a-1 + 2 T_a-3 + ...), the last term T_0 halved
        odd, even = 0.0, 0.0
        for a in range(n_radial):
            i = 2 * (c * n_radial + a) * WIDTH
            Gdot_f[f] = total(load(work.radial_channels, i)) + a * odd
            slope = total(load(work.radial_channels, i + WIDTH))
            odd, even = even + (2.0 if a > 0 else 1.0) * slope, odd
            f += 1
        Gdot_f[f : f + l_max + 1] = 0.0
        for l in range(l_max + 1):  # noqa: E741
            power = -work.self_c[c]
            for m in range(l * l, (l + 1) ** 2):
                moment = total(load(work.moment_channels, (c * n_moments + m) * WIDTH))
                power += A_cm[c, m] * moment
            for a in range(l, l_max + 1, 2):
                Gdot_f[f + a] += recipe.legendre_al[a, l] * power
        f += l_max + 1


@kernel
def compute_tangents(
    chunk_ki: Any,
    neighbours: Any,
    recipe: Any,
    feature_n: Any,
    work: Any,
    A_ncm: Any,
    V_nc: Any,
    structure_n: Any,
    strain_scc: Any,
    Gdot_f: Any,
) -> None:
    """Set the directional derivatives of the features of the atoms of some chunks.

    Parameters
    ----------
    chunk_ki
        Rows of `annpot.pairs.plan_chunks`.
    A_ncm
        Moments from `compute_features`.
    V_nc
        Velocities of the atoms, the direction.
    structure_n, strain_scc
        Structure of each atom, and strain rates: a pair moves by
        ``V_j - V_i + D @ strain``. Empty, shape=(0, 3, 3), for none.
    Gdot_f
        ``sum dG_f/dR V + dG_f/dstrain strain``, laid out as the features.
    """
    for k in range(len(chunk_ki)):
        for n in range(chunk_ki[k, 0], chunk_ki[k, 1]):
            strain_cc = work.nothing_cc
            if len(strain_scc) > 0:
                strain_cc = strain_scc[structure_n[n]]
            _sum_tangents(n, neighbours, recipe, (V_nc, strain_cc), work)
            s, f = neighbours.species_n[n], feature_n[n]
            _set_tangents(recipe, s, work, A_ncm[n], Gdot_f, f)
