"""Derivatives of triplet functions one by one, which are kept if there is memory.

`annpot.kernels.jacobians` then takes the place of forces and tangents.
"""

from __future__ import annotations

from typing import Any

from annpot.kernels.compilation import compiled
from annpot.kernels.environment import clear
from annpot.kernels.lanes import WIDTH
from annpot.kernels.triplet_forces import add_gradients
from annpot.kernels.triplet_recipe import DX
from annpot.kernels.triplet_slots import place_neighbours

kernel = compiled(fastmath={"contract"}, nogil=True, _nrt=False)


@kernel
def set_jacobian(
    neighbours: Any,
    recipe: Any,
    work: Any,
    column_e: Any,
    row_p: Any,
    first_pair: int,
    jacobian: Any,
) -> None:
    """Add the derivatives of the features of some atoms to ``jacobian``, zero before.

    Parameters
    ----------
    column_e
        For each entry the number of its feature among those of the central species.
    row_p
        For each pair from ``first_pair`` on the row of its neighbour; that of the
        central atom is the first.
    jacobian
        `annpot.kernels.jacobians.Jacobian`.
    """
    for m in range(len(jacobian.first_n) - 1):
        n = m + jacobian.first_atom
        s = neighbours.species_n[n]
        if recipe.first_group_s[s] == recipe.first_group_s[s + 1]:
            continue
        n_rows = jacobian.first_row_n[m + 1] - jacobian.first_row_n[m]
        size = (jacobian.first_n[m + 1] - jacobian.first_n[m]) // (
            3 * n_rows + (9 if jacobian.has_strain else 0)
        )
        place_neighbours(n, neighbours, recipe, True, work)
        for h in range(recipe.first_group_s[s], recipe.first_group_s[s + 1]):
            first = recipe.first_entry_p[recipe.first_product_h[h]]
            last = recipe.first_entry_p[recipe.first_product_h[h + 1]]
            work.g_e[: last - first] = 0.0
            for e in range(first, last):
                clear(work.gradient, len(work.gradient) // WIDTH)
                work.g_e[e - first] = recipe.weight_e[e]
                add_gradients(h, neighbours.n_species, recipe, work)
                work.g_e[e - first] = 0.0
                at = jacobian.first_n[m] + column_e[e]
                _add_derivatives(
                    n,
                    m,
                    at,
                    (size, n_rows),
                    neighbours,
                    work,
                    (row_p, first_pair),
                    jacobian,
                )


@kernel
def _add_derivatives(
    n: int,
    m: int,
    at: int,
    shape: Any,
    neighbours: Any,
    work: Any,
    rows: Any,
    jacobian: Any,
) -> None:
    """Add the gradients by the pairs of atom ``n`` to one column of its derivatives."""
    (size, n_rows), stride, values = shape, work.stride, jacobian.values
    row_p, first_pair = rows
    for t in range(neighbours.n_species):
        g = (n * neighbours.n_species + t) * neighbours.n_shells
        first, base = neighbours.first_g[g], work.base_t[t]
        for i in range(work.count_t[t]):
            row = row_p[first + i - first_pair] - jacobian.first_row_n[m]
            for c in range(3):
                gradient = work.gradient[c * stride + base + i]
                values[at + (3 * row + c) * size] += gradient
                values[at + c * size] -= gradient
                if jacobian.has_strain:
                    for b in range(3):
                        D = work.place[(DX + b) * stride + base + i]
                        k = 3 * n_rows + 3 * b + c
                        values[at + k * size] += D * gradient
