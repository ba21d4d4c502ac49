"""The text of an input.nn that n2p2 2.1 to 2.3, LAMMPS and RuNNer read."""

from __future__ import annotations

import math

from annpot.convert.n2p2.form import Form
from annpot.convert.n2p2.functions import format_function
from annpot.convert.n2p2.input_nn import UNITS_MARK
from annpot.units import Units
from annpot.version import __version__

SCALING = {
    "scale": ["scale_symmetry_functions"],
    "center": ["center_symmetry_functions"],
    "scale center": ["scale_symmetry_functions", "center_symmetry_functions"],
    "sigma": ["scale_symmetry_functions_sigma"],
    "none": [],
}
"""Keywords of each way of scaling."""


def format_input_nn(form: Form, units: Units) -> str:
    """Return the content of an input.nn; numbers are exact."""
    number, alpha = form.cutoff_type
    lines = [
        *_header(form, units),
        f"number_of_elements {len(form.species)}",
        f"elements {' '.join(form.species)}",
        f"cutoff_type {number} {alpha!r}",
        *SCALING[form.scaling.name],
        f"scale_min_short {form.scaling.low!r}",
        f"scale_max_short {form.scaling.high!r}",
        *_layers(form),
        *_energies(form),
        "",
        *(
            f"symfunction_short {format_function(symbol, function)}"
            for symbol, functions in zip(form.species, form.functions_s, strict=True)
            for function in functions
        ),
    ]
    return "\n".join(lines) + "\n"


def _header(form: Form, units: Units) -> list[str]:
    """Return what the potential is, and how LAMMPS uses it."""
    length, energy = 1.0 / units.angstrom, 1.0 / units.ev
    cutoff = max(f.cutoff for functions in form.functions_s for f in functions)
    # LAMMPS must not look less far than this quotient, not even by round-off
    reach = math.ceil(cutoff / length * 1e4) / 1e4
    if reach < cutoff / length:
        reach += 1e-4
    return [
        f"# Potential written by annpot {__version__}",
        f"{UNITS_MARK} {units}",
        "#",
        '# In LAMMPS with "units metal", in this folder:',
        f'#   pair_style hdnnp {reach:.4f} dir "." showew no showewsum 100 resetew no '
        f"maxew 1000 cflength {length!r} cfenergy {energy!r}",
        f"#   pair_coeff * * {' '.join(form.species)}",
        "",
    ]


def _layers(form: Form) -> list[str]:
    """Return the lines of the networks, with n2p2 2's ``element_nodes_short``."""
    nodes_s = [network.sizes[1:-1] for network in form.networks]
    common = nodes_s[0]
    lines = [
        f"global_hidden_layers_short {len(common)}",
        f"global_nodes_short {' '.join(map(str, common))}",
        f"global_activation_short {' '.join(form.letters)} l",
    ]
    for symbol, nodes in zip(form.species, nodes_s, strict=True):
        lines += [
            f"element_nodes_short {symbol} {k} {number}"
            for k, number in enumerate(nodes, 1)
            if number != common[k - 1]
        ]
    return lines


def _energies(form: Form) -> list[str]:
    """Return the lines of the energies of free atoms, if there are any.

    RuNNer and CP2K add them only if told, n2p2 always.
    """
    if not any(form.atom_energies):
        return []
    return ["remove_atom_energies"] + [
        f"atom_energy {symbol} {energy!r}"
        for symbol, energy in zip(form.species, form.atom_energies, strict=True)
    ]
