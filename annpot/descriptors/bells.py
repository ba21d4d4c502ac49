"""Gaussians of the same distance, as few of them as possible by an exponential.

Widths are mostly chosen as round decimals. Then ``exp(-n a x)`` is a power of
``exp(-a x)``, and a few products cost less than an exponential.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COST = 20
"""Products that take as long as one exponential."""

MAX_POWER = 64
"""Rounding errors grow with the power."""


@dataclass
class Bells:
    """Steps that compute some Gaussians ``exp(-eta (r - rs)^2)``."""

    powers: list[tuple[int, int]] = field(default_factory=list)
    """For each step an earlier step, and the power of it; -1: an exponential."""
    exponents: list[tuple[float, float]] = field(default_factory=list)
    """Eta and rs of each step."""
    steps: list[int] = field(default_factory=list)
    """For each Gaussian that was asked for its step."""

    def add(self, eta: float, rs: float, source: int = -1, power: int = 0) -> int:
        """Add a step, and return its number."""
        self.powers.append((source, power))
        self.exponents.append((eta, rs))
        return len(self.powers) - 1


def plan_bells(wanted: Sequence[tuple[float, float]]) -> Bells:
    """Return the steps to the Gaussians with the given eta and rs."""
    bells = Bells()
    step_of: dict[tuple[float, float], int] = {}
    for rs in sorted({rs for _, rs in wanted}):
        etas = sorted({eta for eta, other in wanted if other == rs})
        unit = min(_units(etas), key=lambda unit: _cost(etas, unit))
        base = bells.add(unit, rs) if unit > 0.0 else -1
        for eta in etas:
            n = _power(eta, unit)
            if n == 1:
                step_of[eta, rs] = base
            else:
                step_of[eta, rs] = bells.add(eta, rs, base if n else -1, n)
    bells.steps = [step_of[pair] for pair in wanted]
    return bells


def _units(etas: Sequence[float]) -> Iterable[float]:
    """Return eta units to try; the first makes each Gaussian an exponential."""
    yield 0.0
    yield from (eta / k for eta in etas if eta > 0 for k in range(1, 11))


def _power(eta: float, unit: float) -> int:
    """Return n with ``eta = n unit``; 0 if there is none."""
    n = round(eta / unit) if unit > 0.0 else 0
    if 1 <= n <= MAX_POWER and abs(n * unit - eta) <= 2e-15 * eta:
        return n
    return 0


def _cost(etas: Sequence[float], unit: float) -> int:
    """Return the number of products; powers are formed by squaring."""
    powers = [_power(eta, unit) for eta in etas]
    n_exponentials = powers.count(0) + (unit > 0.0)
    products = (n.bit_length() + n.bit_count() for n in powers if n > 1)
    return COST * n_exponentials + sum(products)
