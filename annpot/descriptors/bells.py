"""Gaussians of the same distance, as few of them as possible by an exponential.

Widths are mostly chosen as round decimals. Then ``exp(-n a x)`` is a power of
``exp(-a x)``, and a chain of products costs less than exponentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COST = 16
"""Products that take as long as one exponential."""

MAX_POWER = 64
"""Rounding errors grow with the power."""


@dataclass
class Bells:
    """Steps that compute some Gaussians ``exp(-eta (r - rs)^2)``."""

    factors: list[tuple[int, int]] = field(default_factory=list)
    """For each step the two earlier steps whose product it is; -1: an exponential."""
    exponents: list[tuple[float, float]] = field(default_factory=list)
    """Eta and rs of each step."""
    steps: list[int] = field(default_factory=list)
    """For each Gaussian that was asked for its step."""

    def add_exponential(self, eta: float, rs: float) -> int:
        """Add a step that calls the exponential function, and return its number."""
        self.factors.append((-1, -1))
        self.exponents.append((eta, rs))
        return len(self.factors) - 1

    def add_product(self, a: int, b: int) -> int:
        """Add a step that multiplies two earlier ones, and return its number."""
        self.factors.append((a, b))
        (eta, rs), (other, _) = self.exponents[a], self.exponents[b]
        self.exponents.append((eta + other, rs))
        return len(self.factors) - 1


def plan_bells(wanted: Sequence[tuple[float, float]]) -> Bells:
    """Return the steps to the Gaussians with the given eta and rs."""
    bells = Bells()
    step_of: dict[tuple[float, float], int] = {}
    for rs in sorted({rs for _, rs in wanted}):
        etas = sorted({eta for eta, other in wanted if other == rs})
        unit = min(_units(etas), key=lambda unit: _cost(etas, unit))
        powers = {eta: _power(eta, unit) for eta in etas}
        step_of_power: dict[int, int] = {}
        for eta, n in powers.items():
            if n == 0:
                step_of[eta, rs] = bells.add_exponential(eta, rs)
        for n, a, b in addition_chain(powers.values()):
            step_of_power[n] = (
                bells.add_exponential(unit, rs)
                if n == 1
                else bells.add_product(step_of_power[a], step_of_power[b])
            )
        step_of |= {(eta, rs): step_of_power[n] for eta, n in powers.items() if n > 0}
    bells.steps = [step_of[pair] for pair in wanted]
    return bells


def _units(etas: Sequence[float]) -> Iterable[float]:
    """Return eta units to try; the last makes each Gaussian an exponential."""
    yield from (eta / k for eta in etas if eta > 0 for k in range(1, 11))
    yield 0.0


def _power(eta: float, unit: float) -> int:
    """Return n with ``eta = n unit``; 0 if there is none."""
    n = round(eta / unit) if unit > 0.0 else 0
    if 1 <= n <= MAX_POWER and abs(n * unit - eta) <= 2e-15 * eta:
        return n
    return 0


def _cost(etas: Sequence[float], unit: float) -> int:
    chain = addition_chain([_power(eta, unit) for eta in etas])
    n_alone = sum(_power(eta, unit) == 0 for eta in etas)
    return COST * (n_alone + bool(chain)) + len(chain)


def addition_chain(powers: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return numbers from 1 on that include ``powers``, each with two earlier summands.

    A greedy chain, not always the shortest.
    """
    targets = sorted({n for n in powers if n > 0})
    if not targets:
        return []
    chain = [(1, 0, 0)]
    known = {1}
    for target in targets:
        while target not in known:
            total, a, b = max(
                (a + b, a, b) for a in known for b in known if a + b <= target
            )
            chain.append((total, a, b))
            known.add(total)
    return chain
