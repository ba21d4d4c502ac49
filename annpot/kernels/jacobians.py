"""Products with stored derivatives of features, merged over images of a neighbour.

Atom n has the rows ``first_row_n[n]:first_row_n[n + 1]``, one for each distinct atom
that its features depend on, itself included. With F features, the derivatives by the
position of atom ``j_r[r]`` are F numbers for x, then for y, then for z, from

    first_n[n] + 3 F (r - first_row_n[n])

on; behind those of all rows come, if wanted, those by the 9 components of the strain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annpot.kernels.compilation import compiled

Integers = NDArray[np.int64]

kernel = compiled(fastmath={"contract", "reassoc"}, nogil=True, _nrt=False)


class Jacobian(NamedTuple):
    """Derivatives of the features of consecutive atoms, from ``first_atom`` on."""

    first_atom: int
    has_strain: bool
    first_n: Integers
    first_row_n: Integers
    j_r: NDArray[np.int32]
    values: NDArray[Any]
    """Of float64 or float32."""


@kernel
def contract(
    first: int,
    last: int,
    jacobian: Any,
    features: Any,
    feature_n: Any,
    species_n: Any,
    shift: int,
    dEdG_f: Any,
    F_nc: Any,
    virial_ncc: Any,
) -> None:
    """Add the forces and virials of atoms ``first`` to ``last``.

    ``features``: first entry of each species, and the numbers of its features.
    """
    first_f, number_f = features
    values = jacobian.values
    for n in range(first, last):
        m = n - jacobian.first_atom
        start = first_f[species_n[n]]
        size = first_f[species_n[n] + 1] - start
        at, f = jacobian.first_n[m], feature_n[n]
        for r in range(jacobian.first_row_n[m], jacobian.first_row_n[m + 1]):
            for c in range(3):
                total = 0.0
                for k in range(size):
                    total += dEdG_f[f + number_f[start + k]] * values[at + k]
                F_nc[jacobian.j_r[r] + shift, c] -= total
                at += size
        if len(virial_ncc) > 0:
            for i in range(9):
                total = 0.0
                for k in range(size):
                    total += dEdG_f[f + number_f[start + k]] * values[at + k]
                virial_ncc[n, i // 3, i % 3] -= total
                at += size


@kernel
def apply(
    first: int,
    last: int,
    jacobian: Any,
    features: Any,
    feature_n: Any,
    species_n: Any,
    V_nc: Any,
    structure_n: Any,
    strain_scc: Any,
    Gdot_f: Any,
) -> None:
    """Add the tangents of the features of atoms ``first`` to ``last``."""
    first_f, number_f = features
    values = jacobian.values
    for n in range(first, last):
        m = n - jacobian.first_atom
        start = first_f[species_n[n]]
        size = first_f[species_n[n] + 1] - start
        at, f = jacobian.first_n[m], feature_n[n]
        for r in range(jacobian.first_row_n[m], jacobian.first_row_n[m + 1]):
            j = jacobian.j_r[r]
            for c in range(3):
                v = V_nc[j, c]
                for k in range(size):
                    Gdot_f[f + number_f[start + k]] += v * values[at + k]
                at += size
        if len(strain_scc) > 0:
            for i in range(9):
                rate = strain_scc[structure_n[n], i // 3, i % 3]
                for k in range(size):
                    Gdot_f[f + number_f[start + k]] += rate * values[at + k]
                at += size
