"""The ASE face of a potential or a committee."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from ase.outputs import Properties

from annpot.errors import AnnpotError, StructureError
from annpot.kernels.environment import Neighbours
from annpot.pairs import find_pairs, move_pairs
from annpot.predictor import Predictor, load_predictor
from annpot.structures.checks import check_structure
from annpot.structures.structure import Array, Batch, Structure, stack
from annpot.watching import (
    ExtrapolationError,
    ExtrapolationWarning,
    Policy,
    Rules,
    Watch,
    read_policy,
)

__all__ = ["Calculator", "ExtrapolationError", "ExtrapolationWarning"]

SPREAD = ("energy_std", "forces_std", "energy_error", "forces_error")
"""Properties that only committees have, the last two only calibrated ones."""


class Calculator(AseCalculator):  # type: ignore[misc]
    """Energy, forces and stress of a potential for ASE.

    ``energies`` are the atomic energies. Results are in ASE's units: eV, eV/angstrom,
    eV/angstrom^3; the stress has ASE's sign, ``dE/dstrain / volume``.

    A committee gives the means of its members, and their standard deviations as the
    properties ``energy_std`` (eV) and ``forces_std`` (eV/angstrom, one for each atom),
    which are in ``results`` and which ``get_property`` returns; with calibration also
    the bounds ``energy_error`` and ``forces_error``, below which 90 % of the errors
    are, for structures like those of the training.

    Parameters
    ----------
    potential
        File, potential or committee.
    skin
        Angstrom. Neighbours are searched for up to this much beyond the cutoff, and
        again only when an atom has moved by half of it or the cell has changed.
    on_extrapolation
        What to do about structures outside the training data, where energies and
        forces are guesses. One of these actions, or one for each level, as
        ``{"low": "save", "high": "stop"}`` (those not named: ``warn``); at level high
        the action of level low is taken, too.

        ``warn``: an `ExtrapolationWarning` for the first calculation of each level at
        once, then at most one every ``warn_seconds``, which tells how many there were
        since, and the worst atom of them.
        ``save``: the same, and the structure is appended to ``save_file``, an extxyz
        with the level, the distance and, of a committee, the deviation of the force of
        each atom, as input for `annpot select` or new reference calculations. The
        predicted energy and forces in it are called ``annpot_energy`` and
        ``annpot_forces``. If it cannot be written, there is a warning, and the
        simulation goes on.
        ``stop``: an `ExtrapolationError`, in place of results.
        ``ignore``: nothing.
    check_every
        Only each so many calculations are tested, the first of them included.
    warn_seconds
        Least time between two warnings, but for the first of each level.
    save_file
        Where structures are saved.
    save_steps, save_seconds
        Least number of calculations, and least time, between two that are saved; the
        one that stops is saved in any case.

    Raises
    ------
    ValueError
        If a parameter is wrong.
    AnnpotError
        If ``save_file`` cannot be written, or a potential that does not know its
        training data is to save or to stop.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        *SPREAD,
    ]
    default_parameters: ClassVar[dict[str, Any]] = {}
    nolabel = True

    def __init__(
        self,
        potential: Path | str | Predictor,
        *,
        skin: float = 0.5,
        on_extrapolation: Policy = "warn",
        check_every: int = 1,
        warn_seconds: float = 60.0,
        save_file: Path | str = "extrapolation.extxyz",
        save_steps: int = 100,
        save_seconds: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        rules = Rules(
            read_policy(on_extrapolation),
            check_every,
            warn_seconds,
            Path(save_file),
            save_steps,
            save_seconds,
        )
        if not 0.0 <= skin < np.inf:
            raise ValueError(f"skin: expected a length in angstrom, found {skin!r}")
        if isinstance(potential, Path | str):
            potential = load_predictor(potential)
        _check_knowledge(potential, rules)
        self.potential = potential
        self.skin = skin
        self.watch = Watch(rules)
        self.n_calculations = 0
        """How many there were: the number of the next one."""
        self.n_searches = 0
        """How often neighbours were searched for."""
        self._searched: tuple[Batch, Neighbours] | None = None

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute all properties of ``atoms``."""
        super().calculate(atoms, properties, system_changes)
        batch = self._batch()
        periodic = bool(batch.pbc_sc.all())
        result = self.potential.evaluate(
            batch, self._neighbours(batch), forces=True, stress=periodic
        )
        step, self.n_calculations = self.n_calculations, self.n_calculations + 1
        if self.watch.is_due(step):
            assessment = self.potential.assess(result.features, result.F_std_n)
            if assessment is not None:
                self.watch.judge(self.atoms, result, assessment, step)
        energy = float(result.E_s[0])
        if not np.isfinite(energy):
            raise StructureError(f"the energy is {energy}: are atoms on top of others?")
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": result.E_n,
            "forces": result.F_nc,
        }
        if result.stress_sv is not None:
            self.results["stress"] = result.stress_sv[0]
        if result.E_std_s is not None:
            known = result.E_error_s, result.F_error_n
            spread = (
                float(result.E_std_s[0]),
                result.F_std_n,
                None if known[0] is None else float(known[0][0]),
                known[1],
            )
            pairs = zip(SPREAD, spread, strict=True)
            self.results |= {name: x for name, x in pairs if x is not None}

    def export_properties(self) -> Properties:
        """Return the results of which ASE knows the names."""
        known = {key: x for key, x in self.results.items() if key not in SPREAD}
        return Properties(known)

    def summarise(self) -> str:
        """Return how many calculations extrapolated, and start to count anew.

        The next one outside the training data warns at once.
        """
        return self.watch.summarise()

    @property
    def extrapolations(self) -> dict[str, int]:
        """Number of calculations at each level since the last `summarise`."""
        return self.watch.counts

    def _batch(self) -> Batch:
        atoms = self.atoms
        if not len(atoms):
            raise StructureError("no atoms found, expected some")
        structure = Structure(
            symbols=tuple(atoms.get_chemical_symbols()),
            positions_nc=np.array(atoms.positions, dtype=float),
            cell_cc=np.array(atoms.cell, dtype=float),
            pbc_c=np.array(atoms.pbc, dtype=bool),
            file=atoms.get_chemical_formula(),
        )
        check_structure(structure)
        return stack([structure], self.potential.species)

    def _neighbours(self, batch: Batch) -> Neighbours:
        """Return the pairs of ``batch``: the last ones, moved, while the skin lasts."""
        cutoffs = self.potential.cutoffs
        if self._searched is not None:
            old, neighbours = self._searched
            if _is_near(old, batch, self.skin):
                shift_nc = batch.positions_nc - old.positions_nc
                return move_pairs(neighbours, shift_nc)
        self.n_searches += 1
        neighbours = find_pairs(batch, cutoffs, self.skin)
        self._searched = batch, neighbours
        return neighbours


def _check_knowledge(potential: Predictor, rules: Rules) -> None:
    """Check that there is something to judge by, if much depends on it."""
    wanted = sorted({"save", "stop"}.intersection(rules.actions.values()))
    if wanted and potential.guard.domains is None:
        raise AnnpotError(
            f"on_extrapolation: the potential does not know its training data, so "
            f"'{wanted[0]}' would never happen: expected 'ignore' or 'warn'"
        )


def _is_near(old: Batch, new: Batch, skin: float) -> bool:
    """Return whether pairs found for ``old`` with a skin hold all pairs of ``new``."""
    if (
        len(old.species_n) != len(new.species_n)
        or not np.array_equal(old.species_n, new.species_n)
        or not np.array_equal(old.cells_scc, new.cells_scc)
        or not np.array_equal(old.pbc_sc, new.pbc_sc)
    ):
        return False
    moved2_n: Array = np.sum((new.positions_nc - old.positions_nc) ** 2, axis=1)
    return bool(moved2_n.max(initial=0.0) < (0.5 * skin) ** 2)
