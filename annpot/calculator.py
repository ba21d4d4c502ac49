"""The ASE face of a potential or a committee."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from ase.outputs import Properties

from annpot.errors import AnnpotError, StructureError
from annpot.extrapolation import LEVELS, Finding
from annpot.kernels.environment import Neighbours
from annpot.pairs import find_pairs, move_pairs
from annpot.predictor import Predictor, load_predictor
from annpot.structures.checks import check_structure
from annpot.structures.structure import Array, Batch, Structure, stack

SPREAD = ("energy_std", "forces_std", "energy_error", "forces_error")
"""Properties that only committees have, the last two only calibrated ones."""


class ExtrapolationWarning(UserWarning):
    """A structure is outside the data that the potential was trained on."""


class ExtrapolationError(AnnpotError):
    """The same, with ``on_extrapolation="stop"``."""


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
        ``warn``: one `ExtrapolationWarning` for the first structure outside the
        training data, until `summarise` tells how many
        followed. ``stop``: an `ExtrapolationError`.
        ``ignore``: nothing is tested.
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
        on_extrapolation: Literal["warn", "stop", "ignore"] = "warn",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_extrapolation not in ("warn", "stop", "ignore"):
            raise ValueError(
                "on_extrapolation: expected warn, stop or ignore, "
                f"found {on_extrapolation!r}"
            )
        if not 0.0 <= skin < np.inf:
            raise ValueError(f"skin: expected a length in angstrom, found {skin!r}")
        if isinstance(potential, Path | str):
            potential = load_predictor(potential)
        self.potential = potential
        self.skin = skin
        self.on_extrapolation = on_extrapolation
        self.extrapolations = {level: 0 for level in LEVELS[1:]}
        """Number of calculations at each level since the last `summarise`."""
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
        if self.on_extrapolation != "ignore":
            assessment = self.potential.assess(result.features)
            if assessment is not None and assessment.findings[0] is not None:
                self._tell(assessment.findings[0])
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

        The next one outside the training data warns again.
        """
        counts = ", ".join(f"{n} {level}" for level, n in self.extrapolations.items())
        self.extrapolations = {level: 0 for level in LEVELS[1:]}
        return f"calculations outside the training data: {counts}"

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

    def _tell(self, finding: Finding) -> None:
        level = LEVELS[finding.level]
        first = not any(self.extrapolations.values())
        self.extrapolations[level] += 1
        text = f"extrapolation: {finding}"
        if self.on_extrapolation == "stop":
            raise ExtrapolationError(text)
        if first:
            warnings.warn(
                f"{text}; further ones are counted, see Calculator.summarise",
                ExtrapolationWarning,
                stacklevel=2,
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
