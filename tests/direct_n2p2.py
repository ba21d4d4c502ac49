"""Energies of a folder of n2p2 by its formulas, in its order of operations; slow.

Written without annpot's readers: line by line, atom by atom, node by node.
"""

from __future__ import annotations

import math
import re

from direct_sum import neighbours_of
from direct_symmetry import symmetry_function

from annpot.descriptors.symmetry_functions import CUTOFF_FUNCTIONS, SymmetryFunction
from annpot.elements import SYMBOLS

LETTERS = {
    "l": lambda x: x,
    "t": math.tanh,
    "s": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "p": lambda x: math.log(1.0 + math.exp(x)),
    "r": lambda x: max(x, 0.0),
    "g": lambda x: math.exp(-0.5 * x * x),
    "c": math.cos,
    "S": lambda x: 1.0 - 1.0 / (1.0 + math.exp(-x)),
    "e": lambda x: math.exp(-x),
    "h": lambda x: x * x,
}


class DirectPotential:
    """The files in a folder; structures and energies are in their units."""

    def __init__(self, folder):
        lines = (folder / "input.nn").read_text().splitlines()
        words = [re.sub("[#!].*", "", line).split() for line in lines]
        self.words = [w for w in words if w]
        self.one = {w[0]: w[1:] for w in self.words}
        self.elements = sorted(self.one["elements"], key=SYMBOLS.index)
        self.functions = {s: self._functions(s) for s in self.elements}
        self.rows = {s: [] for s in self.elements}
        for line in (folder / "scaling.data").read_text().splitlines():
            if line[0] != "#":
                e, _, *row = line.split()
                self.rows[self.elements[int(e) - 1]].append([float(x) for x in row])
        self.weights = {
            s: [
                float(line.split()[0])
                for line in (folder / f"weights.{SYMBOLS.index(s):03d}.data")
                .read_text()
                .splitlines()
                if line[0] != "#"
            ]
            for s in self.elements
        }

    def _functions(self, element):
        """Return the functions of an element with the keys that sort them."""
        found = []
        for w in self.words:
            if w[:2] == ["symfunction_short", element]:
                found.append(self._function(int(w[2]), w[3:]))
        return [f for _, f in sorted(found, key=lambda pair: pair[0])]

    def _function(self, number, w):
        kind, alpha = (float(x) for x in [*self.one["cutoff_type"], "0"][:2])
        names = {
            2: "G2", 3: "G4", 9: "G5", 12: "G12", 13: "G13", 20: "G20", 21: "G21",
            22: "G22", 23: "G23", 24: "G24", 25: "G25",
        }  # fmt: skip
        n = {2: 1, 20: 1, 3: 2, 9: 2, 21: 2, 22: 2}.get(number, 0)
        pair = sorted(w[:n], key=SYMBOLS.index)
        charges = [SYMBOLS.index(symbol) for symbol in pair]
        w = w[n:]
        if number >= 20:
            core, x = w[-1], [float(word) for word in w[:-1]]
            low, cut, *angles = x
            values = {"r_low": low, "cutoff": cut, "core": core}
            values |= dict(zip(("theta_low", "theta_high"), angles, strict=False))
            key = (number, core, charges, cut, low, *angles)
            return key, SymmetryFunction(names[number], tuple(pair), **values)
        x = [float(word) for word in w]
        if number in (2, 12):
            eta, rs, cut = x
            lambda_, zeta = 0.0, 1.0
        elif number == 13:
            eta, rs, lambda_, zeta, cut = x
        else:
            eta, lambda_, zeta, cut, rs = (*x, 0.0)[:5]
        key = (number, cut, eta, rs, zeta, lambda_, charges)
        return key, SymmetryFunction(
            names[number],
            tuple(pair),
            cutoff=cut,
            cutoff_function=CUTOFF_FUNCTIONS[int(kind)],
            alpha=alpha,
            eta=eta,
            r_s=rs,
            lambda_=lambda_,
            zeta=zeta,
        )

    @property
    def cutoff(self):
        return max(f.cutoff for fs in self.functions.values() for f in fs)

    def scale(self, G, row):
        """Return the input of the network."""
        least, largest, mean, sigma = row
        low = float(self.one.get("scale_min_short", ["0"])[0])
        high = float(self.one.get("scale_max_short", ["1"])[0])
        wide, central = "scale_symmetry_functions", "center_symmetry_functions"
        if wide in self.one:
            centre = mean if central in self.one else least
            return low + (high - low) * (G - centre) / (largest - least)
        if central in self.one:
            return G - mean
        if "scale_symmetry_functions_sigma" in self.one:
            return low + (high - low) * (G - mean) / sigma
        return G

    def network(self, element, values):
        depth = int(self.one["global_hidden_layers_short"][0])
        nodes = [int(n) for n in self.one["global_nodes_short"]]
        for w in self.words:
            if w[:2] == ["element_nodes_short", element]:
                nodes[int(w[2]) - 1] = int(w[3])
        letters = [*self.one["global_activation_short"][:depth], "l"]
        weights = iter(self.weights[element])
        for n, letter in zip([*nodes, 1], letters, strict=True):
            rows = [[next(weights) for _ in range(n)] for _ in values]
            sums = [next(weights) for _ in range(n)]
            for value, row in zip(values, rows, strict=True):
                sums = [x + value * w for x, w in zip(sums, row, strict=True)]
            if "normalize_nodes" in self.one:
                sums = [x / len(values) for x in sums]
            values = [LETTERS[letter](x) for x in sums]
        assert next(weights, None) is None
        return values[0]

    def energy(self, symbols, positions_nc, cell_cc, pbc_c):
        total = 0.0
        for i, symbol in enumerate(symbols):
            found = neighbours_of(i, positions_nc, cell_cc, pbc_c, self.cutoff)
            near = [(symbols[j], D) for j, D in found]
            values = [
                self.scale(symmetry_function(f, near), row)
                for f, row in zip(
                    self.functions[symbol], self.rows[symbol], strict=True
                )
            ]
            total += self.network(symbol, values)
        total /= float(self.one.get("conv_energy", ["1"])[0])
        total += len(symbols) * float(self.one.get("mean_energy", ["0"])[0])
        energies = {w[1]: float(w[2]) for w in self.words if w[0] == "atom_energy"}
        return total + sum(energies.get(symbol, 0.0) for symbol in symbols)
