"""Angular symmetry functions that do not factorise, computed triplet by triplet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annpot.descriptors.base import Motion, Task
from annpot.descriptors.bells import Bells, plan_bells
from annpot.descriptors.tables import firsts, integers
from annpot.kernels import triplet_forces, triplet_tangents, triplets
from annpot.kernels.cutoffs import EXPONENTIAL, POLY1, POLY2, POLY3, POLY4
from annpot.kernels.triplet_recipe import (
    COMPACT,
    GAUSSIANS,
    POWER,
    REAL_POWER,
    WINDOW,
    AngularFunctions,
    RadialRows,
    TripletRecipe,
    make_triplet_workspace,
)
from annpot.structures.structure import Array, Integers

CORES = {"e": EXPONENTIAL, "p1": POLY1, "p2": POLY2, "p3": POLY3, "p4": POLY4}
"""The cores of compact functions, by n2p2's name."""

MAX_INTEGER_ZETA = 1024


class Cutoff(NamedTuple):
    """A cutoff function: n2p2's number 0-8, radius in angstrom, inner fraction."""

    shape: int
    radius: float
    alpha: float = 0.0


@dataclass(frozen=True)
class Compact:
    """Windows of a compact function: radii in angstrom, angles in degrees."""

    r_low: float
    r_high: float
    theta_low: float
    theta_high: float
    core: str
    """One of ``e``, ``p1``, ``p2``, ``p3``, ``p4``."""
    asymmetric: bool = False
    """Whether the radial window is bent; the angular one never is."""


@dataclass(frozen=True)
class TripletFunction:
    """One angular symmetry function of one central species, a sum over j < k.

    Either ``2^(1-zeta) (1 + lambda cos)^zeta`` times
    ``exp(-eta (r - rs)^2) fc(r)`` of r_ij, r_ik and, if ``r_jk``, of the third side;
    or, with ``compact``, an angular window times radial windows of the same sides.
    """

    feature: int
    """Number of the feature within the part."""
    pair: tuple[int, int] | None
    """Neighbour species, unordered; None: all, each weighted by its own weight."""
    r_jk: bool
    eta: float = 0.0
    rs: float = 0.0
    lambda_: float = 1.0
    zeta: float = 1.0
    cutoff: Cutoff | None = None
    compact: Compact | None = None


class TripletsOperator:
    """Computes angular symmetry functions triplet by triplet.

    Parameters
    ----------
    functions_s
        Functions of each central species.
    weights_t
        Weight of each neighbour species in functions of all pairs of species.
    shells
        Ascending cutoffs of the pair list, angstrom.
    """

    def __init__(
        self,
        functions_s: Sequence[Sequence[TripletFunction]],
        weights_t: Sequence[float],
        shells: tuple[float, ...],
    ) -> None:
        self.recipe = make_recipe(functions_s, weights_t, shells)

    def make_state(self, n_atoms: int) -> tuple[()]:
        """Return nothing: derivatives visit the triplets again."""
        return ()

    def add_features(self, task: Task, state: tuple[()], G_f: Array) -> None:
        """Add the features of some chunks."""
        triplets.add_features(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_triplet_workspace(self.recipe, task.neighbours),
            G_f,
        )

    def add_forces(
        self,
        task: Task,
        state: tuple[()],
        dEdG_kf: Array,
        F_knc: Array,
        virial_kncc: Array,
    ) -> None:
        """Add forces and virials."""
        triplet_forces.add_forces(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_triplet_workspace(self.recipe, task.neighbours),
            dEdG_kf,
            F_knc,
            virial_kncc,
        )

    def add_tangents(
        self, task: Task, state: tuple[()], motion: Motion, Gdot_f: Array
    ) -> None:
        """Add the tangents of the features."""
        triplet_tangents.add_tangents(
            task.chunk_ki,
            task.neighbours,
            self.recipe,
            task.feature_n,
            make_triplet_workspace(self.recipe, task.neighbours),
            motion.V_nc,
            motion.structure_n,
            motion.strain_scc,
            Gdot_f,
        )


class _Radial(NamedTuple):
    """A radial function: what it shares with others in a row, and its own numbers."""

    kind: int
    shape: int
    shared: tuple[float, ...]
    own: tuple[float, float] | tuple[()]
    reach: float


class _Angular(NamedTuple):
    """An angular function, as the kernel takes it."""

    kind: int
    power: int
    parameters: tuple[float, float]


def _radial(function: TripletFunction) -> _Radial:
    if (window := function.compact) is not None:
        ends = (window.r_low, window.r_high, float(window.asymmetric))
        return _Radial(COMPACT, CORES[window.core], ends, (), window.r_high)
    cutoff = function.cutoff
    if cutoff is None:
        raise ValueError("neither a cutoff function nor a compact function")
    own = (function.eta, function.rs) if function.eta != 0.0 else (0.0, 0.0)
    shared = (cutoff.radius, cutoff.alpha)
    return _Radial(GAUSSIANS, cutoff.shape, shared, own, cutoff.radius)


def _angular(function: TripletFunction) -> tuple[_Angular, float]:
    """Return the angular function and the factor in front of it."""
    if (window := function.compact) is not None:
        low, high = math.radians(window.theta_low), math.radians(window.theta_high)
        middle = (0.5 * (low + high), 0.5 * (high - low))
        return _Angular(WINDOW, CORES[window.core], middle), 1.0
    zeta, factor = function.zeta, 2.0 ** (1.0 - function.zeta)
    parameters = (function.lambda_, zeta)
    if zeta == int(zeta) and 1 <= zeta <= MAX_INTEGER_ZETA:
        return _Angular(POWER, int(zeta), parameters), factor
    return _Angular(REAL_POWER, 0, parameters), factor


class _Product(NamedTuple):
    """Radial functions of the sides; with r_jk, bells of all three are one."""

    radial: _Radial
    """Without its bell where that is computed with those of the other sides."""
    r_jk: bool
    rs: float


_Terms = dict[float, list[tuple[int, int, float]]]
"""For each eta of bells the entries: angular function, feature and weight."""


class _Group:
    """The functions of a central species with neighbours of two species."""

    def __init__(self, pair: tuple[int, int]) -> None:
        self.pair = pair
        self.angular: dict[_Angular, int] = {}
        self.products: dict[_Product, _Terms] = {}

    def add(self, function: TripletFunction, weight: float) -> None:
        """Add a function."""
        angular, factor = _angular(function)
        q = self.angular.setdefault(angular, len(self.angular))
        radial, eta, rs = _radial(function), 0.0, 0.0
        if function.r_jk and radial.own:
            eta, rs = radial.own
            radial = radial._replace(own=(0.0, 0.0))
        terms = self.products.setdefault(_Product(radial, function.r_jk, rs), {})
        terms.setdefault(eta, []).append((q, function.feature, factor * weight))

    @property
    def sides(self) -> list[_Radial]:
        """Functions of r_jk, in the order of the kernel."""
        return _sorted([product.radial for product in self.products if product.r_jk])

    @property
    def has_window(self) -> bool:
        """Whether an angular function is zero but for some angles."""
        return any(function.kind == WINDOW for function in self.angular)

    @property
    def reach(self) -> float:
        """Longest r_jk with a contribution."""
        if not all(product.r_jk for product in self.products):
            return math.inf
        return max(product.radial.reach for product in self.products)


def _sorted(radials: Sequence[_Radial]) -> list[_Radial]:
    """Return the distinct functions, those of a row together."""
    return sorted(set(radials))


def _groups(
    functions: Sequence[TripletFunction], weights_t: Sequence[float]
) -> list[_Group]:
    """Return the groups of one central species."""
    groups: dict[tuple[int, int], _Group] = {}
    n_species = len(weights_t)
    for function in functions:
        if function.pair is None:
            pairs = [
                ((t, v), weights_t[t] * weights_t[v])
                for t, v in itertools.combinations_with_replacement(range(n_species), 2)
            ]
        else:
            t, v = sorted(function.pair)
            pairs = [((t, v), 1.0)]
        for pair, weight in pairs:
            groups.setdefault(pair, _Group(pair)).add(function, weight)
    return [groups[pair] for pair in sorted(groups)]


def _rows(sets: Sequence[Sequence[_Radial]]) -> RadialRows:
    """Return the rows of sets of sorted radial functions."""
    rows_g = [
        [list(row) for _, row in itertools.groupby(radials, lambda r: r[:3])]
        for radials in sets
    ]
    rows = [row for rows in rows_g for row in rows]
    numbers = [
        [*row[0].shared, *itertools.chain(*(r.own for r in row))] for row in rows
    ]
    bells_i = [
        plan_bells([r.own for r in row if r.own])
        if any(r.own and r.own[0] for r in row)
        else Bells()
        for row in rows
    ]
    first_step_i, powers_sk, exponents_sk = _steps(bells_i)
    return RadialRows(
        first_g=firsts(rows_g),
        kind_i=integers(row[0].kind for row in rows),
        shape_i=integers(row[0].shape for row in rows),
        first_i=integers(n for rows_ in rows_g for n in firsts(rows_)[:-1]),
        count_i=integers(map(len, rows)),
        start_i=firsts(numbers)[:-1],
        parameters=np.array(list(itertools.chain(*numbers)), dtype=float),
        first_step_i=first_step_i,
        powers_sk=powers_sk,
        exponents_sk=exponents_sk,
        bell_i=integers(k for bells in bells_i for k in bells.steps),
        first_bell_i=firsts([bells.steps for bells in bells_i])[:-1],
    )


def _steps(plans: Sequence[Bells]) -> tuple[Integers, Integers, Array]:
    """Return the first step of each plan, and the powers and exponents of all steps."""
    powers = [pair for bells in plans for pair in bells.powers]
    exponents = [pair for bells in plans for pair in bells.exponents]
    return (
        firsts([bells.powers for bells in plans]),
        np.array(powers, dtype=np.int64).reshape(-1, 2),
        np.array(exponents, dtype=float).reshape(-1, 2),
    )


def _angular_table(groups: Sequence[_Group]) -> AngularFunctions:
    functions = [function for group in groups for function in group.angular]
    return AngularFunctions(
        kind_q=integers(f.kind for f in functions),
        power_q=integers(f.power for f in functions),
        parameters_qk=np.array([f.parameters for f in functions]).reshape(-1, 2),
    )


def make_recipe(
    functions_s: Sequence[Sequence[TripletFunction]],
    weights_t: Sequence[float],
    shells: tuple[float, ...],
) -> TripletRecipe:
    """Return what the kernel reads, for pair lists with the given shells."""
    groups_s = [_groups(functions, weights_t) for functions in functions_s]
    groups = list(itertools.chain(*groups_s))
    radials_s = [
        _sorted([p.radial for group in central for p in group.products])
        for central in groups_s
    ]
    products = _list_products(groups_s, radials_s)
    terms_p = [terms for *_, terms in products]
    terms = [term for part in terms_p for term in part.items()]
    entries = [entry for _, part in terms for entry in part]
    bells_p = [
        plan_bells([(eta, rs) for eta in part if eta != 0.0])
        for *_, rs, part in products
    ]
    first_step_p, powers_sk, exponents_sk = _steps(bells_p)
    return TripletRecipe(
        rows=_rows([*radials_s, *(group.sides for group in groups)]),
        angular=_angular_table(groups),
        n_radial_s=integers(map(len, radials_s)),
        shell_s=np.array([_shell(radials, shells) for radials in radials_s]),
        r_far=max(shells) + 1.0,
        first_group_s=firsts(groups_s),
        species_hk=np.array([g.pair for g in groups], dtype=np.int64).reshape(-1, 2),
        reach_h=np.array([group.reach**2 for group in groups], dtype=float),
        has_side_h=np.array([bool(group.sides) for group in groups], dtype=bool),
        has_window_h=np.array([group.has_window for group in groups], dtype=bool),
        first_angular_h=firsts([group.angular for group in groups]),
        first_product_h=firsts([group.products for group in groups]),
        radial_p=integers(a for a, *_ in products),
        side_p=integers(c for _, c, *_ in products),
        rs_p=np.array([rs for *_, rs, _ in products], dtype=float),
        first_step_p=first_step_p,
        powers_sk=powers_sk,
        eta_s=exponents_sk[:, 0].copy(),
        first_term_p=firsts(terms_p),
        eta_i=np.array([eta for eta, _ in terms], dtype=float),
        bell_i=integers(itertools.chain(*map(_bell_numbers, terms_p, bells_p))),
        first_entry_i=firsts([part for _, part in terms]),
        first_entry_p=firsts([[*itertools.chain(*t.values())] for t in terms_p]),
        angular_e=integers(q for q, *_ in entries),
        feature_e=integers(feature for _, feature, _ in entries),
        weight_e=np.array([weight for *_, weight in entries], dtype=float),
    )


def _list_products(
    groups_s: Sequence[Sequence[_Group]], radials_s: Sequence[Sequence[_Radial]]
) -> list[tuple[int, int, float, _Terms]]:
    """Return numbers of the functions of the sides and of r_jk, rs, and the terms."""
    return [
        (
            radials.index(product.radial),
            group.sides.index(product.radial) if product.r_jk else -1,
            product.rs,
            terms,
        )
        for radials, central in zip(radials_s, groups_s, strict=True)
        for group in central
        for product, terms in group.products.items()
    ]


def _bell_numbers(etas: Iterable[float], bells: Bells) -> list[int]:
    """Return the step of each term; -1: no bell."""
    steps = iter(bells.steps)
    return [next(steps) if eta != 0.0 else -1 for eta in etas]


def _shell(radials: Sequence[_Radial], shells: tuple[float, ...]) -> int:
    """Return the shell that holds all pairs that some functions see."""
    reach = max((radial.reach for radial in radials), default=0.0)
    return next(k for k, shell in enumerate(shells) if shell >= reach)
