"""The one referee for derivatives: central differences of fourth order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np


def differentiate(function, step=1e-4):
    """Return the derivative at 0 of a function from a number to a number or array."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def gradient(function, x, step=1e-4):
    """Return the derivatives by each component of the array ``x``, in its shape."""
    slopes = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        unit = np.zeros(x.shape)
        unit[index] = 1.0
        slopes[index] = differentiate(lambda t, e=unit: function(x + t * e), step)
    return slopes


def move(structure, V_nc, strain_cc, t):
    """Return the structure after time ``t``: R -> (R + t V) (1 + t strain)."""
    deformation_cc = np.eye(3) + t * strain_cc
    return replace(
        structure,
        positions_nc=(structure.positions_nc + t * V_nc) @ deformation_cc,
        cell_cc=structure.cell_cc @ deformation_cc,
    )
