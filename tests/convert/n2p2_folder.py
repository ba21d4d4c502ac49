"""A small potential of n2p2 in a folder, to be changed file by file."""

from __future__ import annotations

import numpy as np

INPUT = """\
# a comment
number_of_elements 2
elements O H        ! any order
cutoff_type 1
scale_symmetry_functions
center_symmetry_functions
global_hidden_layers_short 2
global_nodes_short 3 2
global_activation_short t p l
symfunction_short O 2 H 0.1 0.0 5.0
symfunction_short H 2 O 0.3 0.5 5.0
symfunction_short H 2 H 0.3 0.5 5.0
symfunction_short H 3 O H 0.01 -1.0 2.0 5.0
"""
"""Two functions of H and one of O."""

ATOMIC_NUMBERS = {"H": 1, "O": 8}
N_FUNCTIONS = {"H": 3, "O": 1}
NODES = (3, 2)


def weights_text(n_inputs, nodes=NODES, seed=0, columns=True):
    """Return the content of a weights file."""
    rng = np.random.default_rng(seed)
    kinds = ""
    for n, m in zip((n_inputs, *nodes), (*nodes, 1), strict=True):
        kinds += "a" * (n * m) + "b" * m
    values = rng.normal(size=len(kinds))
    return "# weights\n" + "".join(
        f"{value:24.16E}" + (f" {kind} {n:9d}\n" if columns else "\n")
        for n, (kind, value) in enumerate(zip(kinds, values, strict=True), 1)
    )


def scaling_text(counts=(3, 1), sigma=True, energies=False):
    """Return the content of scaling.data, with or without what RuNNer leaves out."""
    lines = ["# e_index sf_index sf_min sf_max sf_mean sf_sigma\n"] if sigma else []
    for e, count in enumerate(counts, 1):
        for f in range(1, count + 1):
            row = f"{e:10d} {f:10d} {0.1 * f:24.16E} {1.5 + e:24.16E} {0.7 * f:24.16E}"
            lines.append(row + (f" {0.2 * f:24.16E}\n" if sigma else "\n"))
    if energies:
        lines.append("  -76.5   -75.25\n")
    return "".join(lines)


def make_folder(folder, **changed):
    """Write the files; ``changed``: other texts of input, scaling, weights_H, ..."""
    folder.mkdir(exist_ok=True)
    files = {
        "input.nn": changed.pop("input", INPUT),
        "scaling.data": changed.pop("scaling", scaling_text()),
    }
    for symbol, number in ATOMIC_NUMBERS.items():
        text = weights_text(N_FUNCTIONS[symbol], seed=number)
        name = f"weights.{number:03d}.data"
        files[name] = changed.pop(f"weights_{symbol}", text)
    assert not changed
    for name, text in files.items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def edit(text, *pairs):
    """Return a text with replacements, each of which must be there."""
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    return text
