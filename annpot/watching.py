"""What a calculator does about extrapolation: warn, save the structure, stop."""

from __future__ import annotations

import errno
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from annpot.errors import AnnpotError
from annpot.extrapolation import LEVELS, Assessment, Finding
from annpot.format.outputs import check_writable
from annpot.potential import Evaluation
from annpot.structures.structure import Array, Integers

Action = Literal["ignore", "warn", "save", "stop"]
Policy = Action | Mapping[str, Action]
"""One action for all levels, or one for each of ``low`` and ``high``."""


class ExtrapolationWarning(UserWarning):
    """A structure is outside the data that the potential was trained on."""


class ExtrapolationError(AnnpotError):
    """The same, where it is to end a simulation."""


def read_policy(value: Policy) -> dict[str, Action]:
    """Return the action at each level.

    Raises
    ------
    ValueError
        If there is an unknown level or action.
    """
    given = {level: value for level in LEVELS[1:]} if isinstance(value, str) else value
    known = get_args(Action)
    if (
        not isinstance(given, Mapping)
        or not set(given) <= set(LEVELS[1:])
        or not all(action in known for action in given.values())
    ):
        raise ValueError(
            f"on_extrapolation: expected {', '.join(known[:-1])} or {known[-1]}, or a "
            f"dictionary of these for {' and '.join(LEVELS[1:])}, found {value!r}"
        )
    return {level: given.get(level, "warn") for level in LEVELS[1:]}


@dataclass(frozen=True)
class Rules:
    """What to do, and how often.

    Raises
    ------
    ValueError
        If a number is negative.
    AnnpotError
        If structures are to be saved where that is impossible.
    """

    actions: Mapping[str, Action]
    check_every: int = 1
    warn_seconds: float = 60.0
    save_file: Path = Path("extrapolation.extxyz")
    save_steps: int = 100
    save_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for name, least in (
            ("check_every", 1),
            ("warn_seconds", 0),
            ("save_steps", 1),
            ("save_seconds", 0),
        ):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and value >= least):
                raise ValueError(
                    f"{name}: expected a number from {least} on, found {value!r}"
                )
        if "save" in self.actions.values():
            check_writable(self.save_file)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, whatever is found."""
        return set(self.actions.values()) == {"ignore"}

    def at(self, level: int) -> set[Action]:
        """Return the actions at a level: those of lower levels, too."""
        return {self.actions[name] for name in LEVELS[1 : level + 1]}


@dataclass
class Watch:
    """Judges one calculation after the other by the rules."""

    rules: Rules
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEVELS[1:], 0))
    """Calculations at each level since `summarise`."""
    n_saved: int = 0
    """Structures that were saved."""
    n_lost: int = 0
    """Structures that could not be saved."""
    _since: dict[str, int] = field(default_factory=dict)
    """The same since the last warning, and the worst of them."""
    _worst: tuple[float, str] = (-np.inf, "")
    _told: dict[str, float] = field(default_factory=dict)
    """When there was the last warning of each sort, seconds."""
    _saved: tuple[int, float] | None = None
    """Step and time at which the last structure was saved."""
    _failed: float = -np.inf
    """When there was the last warning of a structure that could not be saved."""

    def is_due(self, step: int) -> bool:
        """Return whether the calculation ``step``, counted from 0, is to be judged."""
        return not self.rules.idle and step % self.rules.check_every == 0

    def judge(
        self, atoms: Any, result: Evaluation, assessment: Assessment, step: int
    ) -> None:
        """Do what the rules say about a calculation.

        Raises
        ------
        ExtrapolationError
            If they say so.
        """
        finding = assessment.findings[0]
        if finding is None:
            return
        level, actions = LEVELS[finding.level], self.rules.at(finding.level)
        if actions == {"ignore"}:
            return
        n_flagged = int(np.count_nonzero(assessment.level_n))
        line = finding.line(n_flagged, len(atoms), step=step)
        self.counts[level] += 1
        stops = "stop" in actions
        if "save" in actions and (stops or self._may_save(step)):
            self._save(describe_atoms(atoms, result, assessment, step), step)
        if stops:
            raise ExtrapolationError(f"extrapolation: {line}")
        self._warn(finding, line)

    def summarise(self) -> str:
        """Return how many calculations extrapolated, and start to count anew."""
        text = ", ".join(f"{n} {level}" for level, n in self.counts.items())
        self.counts = dict.fromkeys(LEVELS[1:], 0)
        self._since, self._told, self._worst = {}, {}, (-np.inf, "")
        return f"calculations outside the training data: {text}"

    def _warn(self, finding: Finding, line: str) -> None:
        """Warn of the first event of each level at once, then now and then."""
        level, now = LEVELS[finding.level], time.monotonic()
        self._since[level] = self._since.get(level, 0) + 1
        self._worst = max(self._worst, (finding.excess, line))
        first = level not in self._told
        if not first and now < max(self._told.values()) + self.rules.warn_seconds:
            return
        self._told[level] = now
        count = ", ".join(
            f"{self._since[name]} {name}" for name in LEVELS[1:] if name in self._since
        )
        text = f"extrapolation: {self._worst[1]}"
        if sum(self._since.values()) > 1:
            text += f"; this is the worst of {count} since the last warning"
        elif len(self._told) == 1:
            seconds = self.rules.warn_seconds
            text += f"; further ones are summed up, at most every {seconds:g} s"
        self._since, self._worst = {}, (-np.inf, "")
        warnings.warn(text, ExtrapolationWarning, stacklevel=6)

    def _may_save(self, step: int) -> bool:
        if self._saved is None:
            return True
        last, when = self._saved
        return (
            step - last >= self.rules.save_steps
            and time.monotonic() - when >= self.rules.save_seconds
        )

    def _save(self, text: str, step: int) -> None:
        """Append a structure; a full disk does not end the simulation."""
        now = time.monotonic()
        self._saved = step, now
        try:
            append_whole(self.rules.save_file, text.encode())
        except OSError as error:
            self.n_lost += 1
            if now < self._failed + self.rules.warn_seconds:
                return
            self._failed = now
            warnings.warn(
                f"'{self.rules.save_file}' cannot be written: {error.strerror}; the "
                f"structure of step {step} is not saved ({self.n_lost} lost so far)",
                ExtrapolationWarning,
                stacklevel=6,
            )
        else:
            self.n_saved += 1


def append_whole(path: Path, raw: bytes) -> None:
    """Append bytes to a file: all of them or none.

    Raises
    ------
    OSError
        If there is no room, or the file cannot be written.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(file).st_size
        try:
            if os.write(file, raw) < len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def describe_atoms(
    atoms: Any, result: Evaluation, assessment: Assessment, step: int
) -> str:
    """Return a structure in extxyz with what is known of each atom.

    Energy and forces are called ``annpot_energy`` and ``annpot_forces``, lest anybody
    takes them for references.
    """
    from ase.io.extxyz import write_extxyz

    finding = assessment.findings[0]
    assert finding is not None
    copy = atoms.copy()
    copy.calc = None
    values = finding.to_dict()
    copy.info |= {"step": step, "annpot_energy": float(result.E_s[0])}
    for key in ("level", "kind", "atom", "feature", "excess"):
        copy.info[f"extrapolation_{key}"] = values[key]
    arrays: dict[str, Array | Integers | None] = {
        "extrapolation_level": assessment.level_n,
        "extrapolation_distance": assessment.distance_n,
        "annpot_forces": result.F_nc,
        "forces_std": result.F_std_n,
    }
    for key, value in arrays.items():
        if value is not None:
            copy.set_array(key, value)
    text = StringIO()
    write_extxyz(text, [copy])
    return text.getvalue()
