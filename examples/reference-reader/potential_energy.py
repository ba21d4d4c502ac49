"""Energies by an annpot potential in its text form, as annpot/format/README.md says."""

import itertools
import json
import sys

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.polynomial.legendre import legvander

ELEMENTS = """X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co
Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La
Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr
Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts
Og""".split()
ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gaussian": lambda x: np.exp(-(x**2)),
    "mtanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "twist": lambda x: 1.7159 * np.tanh(2 * x / 3) + x / 10,
    "relu": lambda x: np.maximum(x, 0),
    "cosine": np.cos,
    "exponential": lambda x: np.exp(np.minimum(-x, 300)),
    "square": lambda x: x**2,
}
DECAYS = {  # from 1 at x = 0 to 0 at x = 1
    "hard": np.ones_like,
    "cosine": lambda x: (1 + np.cos(np.pi * x)) / 2,
    "tanh": lambda x: np.tanh(1 - x) ** 3,
    "scaled tanh": lambda x: np.tanh(1 - x) ** 3 / np.tanh(1) ** 3,
    "exponential": lambda x: np.exp(1 - 1 / (1 - x**2)),
    "poly1": lambda x: (2 * x - 3) * x**2 + 1,
    "poly2": lambda x: ((15 - 6 * x) * x - 10) * x**3 + 1,
    "poly3": lambda x: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
    "poly4": lambda x: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
}
CORES = {"e": "exponential", "p1": "poly1", "p2": "poly2", "p3": "poly3", "p4": "poly4"}


def decay(name, x):
    """Return 1 up to x = 0, one of the functions from there, and 0 from x = 1 on."""
    return np.where(x < 1, DECAYS[name](np.where(x < 1, np.maximum(x, 0), 0)), 0)


def compact_function(x, low, high, core):
    """Return a function that is 1 in the middle between low and high, 0 outside."""
    y = np.abs(x - (low + high) / 2) / ((high - low) / 2)
    y = np.where(y < 1, (2 - y) * y, y) if core.endswith("a") else y
    return decay(CORES[core.strip("a")], y)


class Neighbours:
    """Of an atom, images too: species, atomic numbers Z, distances r; pairs j < k."""

    def __init__(self, atom, symbols, positions, cell, periodic, cutoff):
        repeats = cell[periodic]
        inverse = np.linalg.pinv(repeats)  # of positions: in units of the repeats
        reach = np.linalg.norm(inverse, axis=0) * cutoff
        reach = np.ceil(reach + np.ptp(positions @ inverse, axis=0)).astype(int)
        shifts = itertools.product(*(range(-n, n + 1) for n in reach))
        images = np.array([positions + np.array(n) @ repeats for n in shifts])
        D = images.reshape(-1, 3) - positions[atom]
        r = np.linalg.norm(D, axis=1)
        near = (r < cutoff) & (r > 0)
        D, self.r, self.species = D[near], r[near], np.tile(symbols, len(images))[near]
        self.Z = np.array([ELEMENTS.index(symbol) for symbol in self.species])
        self.j, self.k = j, k = np.triu_indices(len(D), 1)
        self.r_jk = np.linalg.norm(D[j] - D[k], axis=1)
        cosine = np.sum(D[j] * D[k], axis=1) / (self.r[j] * self.r[k])
        self.cosine = np.clip(cosine, -1, 1)


def features(recipe, place):
    """Return the features of an atom; place: its number, and its structure."""
    if recipe["type"] == "concatenation":
        return np.concatenate([features(part, place) for part in recipe["parts"]])
    central = recipe["central"][place[1][place[0]]]
    if recipe["type"] == "chebyshev":
        return chebyshev_features(central, recipe.get("mixed"), place)
    return [symmetry_function(f, Neighbours(*place, f["cutoff"])) for f in central]


def chebyshev_features(recipe, mixed, place):
    """Return those of an atom by what the recipe says of its species."""
    radial, angular, old = recipe["radial"], recipe["angular"], recipe.get("weights")
    near = Neighbours(*place, max(radial["cutoff"], angular["cutoff"]))
    j, k, a_max, l_max = near.j, near.k, radial["order"], angular["order"]
    channels = recipe.get("channels") or [dict.fromkeys(old, 1), old][: len(old)]
    s = [np.array([channel[t] for t in near.species]) for channel in channels]
    x = near.r / radial["cutoff"]
    T = chebvander(2 * x - 1, abs(a_max))[:, : a_max + 1]  # nothing for order -1
    radials = [(s_c * decay("cosine", x)) @ T for s_c in s]
    x = near.r / angular["cutoff"]
    if angular.get("radial_order") is None:
        y = 2 * near.cosine / np.pi - 1 if angular.get("legacy") else near.cosine
        T, fc = chebvander(y, abs(l_max))[:, : l_max + 1], decay("cosine", x)
        angulars = [((s_c * fc)[j] * (s_c * fc)[k]) @ T for s_c in s]
        return np.hstack([*map(np.append, radials, angulars)])
    phi = chebvander(2 * (1 - x) ** 2 - 1, angular["radial_order"])
    phi = phi.T * decay("cosine", x)
    P = legvander(near.cosine, abs(l_max))[:, : l_max + 1]
    psi = [(c, s_c * phi_n) for c, s_c in enumerate(s) for phi_n in phi]
    pairs = itertools.combinations_with_replacement(psi, 2)
    pairs = [(a, b) for (c, a), (d, b) in pairs if mixed or c == d]
    angulars = [(a[j] * b[k] + a[k] * b[j]) @ P / 2 for a, b in pairs]
    return np.concatenate(radials + angulars)


def symmetry_function(f, near):
    """Return a feature of Behler and Parrinello, a sum over neighbours or pairs."""
    value, weight, j, k = radial_function(f, near.r), near.Z, near.j, near.k
    seen = [near.species == symbol for symbol in f.get("neighbours", [])]
    if "lambda" not in f and "theta_low" not in f:
        return np.sum(value * (seen[0] if seen else weight))
    value, weight = value[j] * value[k], weight[j] * weight[k]
    if f["type"] in ("G4", "G13", "G21", "G24"):
        value = value * radial_function(f, near.r_jk)
    if seen:
        weight = seen[0][j] & seen[1][k] | seen[1][j] & seen[0][k]
    if "core" in f:
        theta, core = np.degrees(np.arccos(near.cosine)), f["core"].strip("a")
        h = compact_function(theta, f["theta_low"], f["theta_high"], core)
    else:
        base = np.maximum(1 + f["lambda"] * near.cosine, 0)
        h = 2 ** (1 - f["zeta"]) * base ** f["zeta"]
    return np.sum(weight * value * h)


def radial_function(f, r):
    """Return the part of a symmetry function that depends on one distance."""
    if "core" in f:
        return compact_function(r, f["r_low"], f["cutoff"], f["core"])
    alpha = 0 if "tanh" in f["cutoff_function"] else f["alpha"]
    fc = decay(f["cutoff_function"], (r / f["cutoff"] - alpha) / (1 - alpha))
    gaussian = np.exp(-f.get("eta", 0) * (r - f.get("r_s", 0)) ** 2)
    return np.cos(f.get("kappa", 0) * r) * gaussian * fc


def members(model):
    """Return the potentials of a committee, completed by the first; or it in a list."""
    first, *others = model.get("members", {"0": model}).values()
    return [first, *(first | other for other in others)]


def energy(potential, *structure):
    """Return the energy in eV of a structure: symbols, positions, cell, periodic."""
    if "members" in potential:
        return np.mean([energy(member, *structure) for member in members(potential)])
    total = 0.0
    for i, symbol in enumerate(structure[0]):
        network = potential["networks"][symbol]
        G = np.array(features(potential["descriptor"], (i, *structure)))
        a = (G - network["feature_shift"]) * network["feature_scale"]
        for k, name in enumerate([*network["activations"], "linear"]):
            a = ACTIVATIONS[name](network[f"weights {k}"] @ a + network[f"biases {k}"])
        total += potential["energy_scale"] * a[0] + potential["energy_shift"]
        total += potential["reference_energies"][potential["species"].index(symbol)]
    return total


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        potentials = members(json.load(file))
    for potential in potentials:
        v = {key: np.array(value) for key, value in potential["test_vectors"].items()}
        last, names = np.cumsum(v["n_atoms"])[:-1], np.array(potential["species"])
        for s, symbols in enumerate(np.split(names[v["species_index"]], last)):
            place = np.split(v["positions"], last)[s], v["cells"][s], v["periodic"][s]
            found = energy(potential, symbols, *place)
            print(f"{found:.9f} eV, expected {v['energy'][s]:.9f} eV")
