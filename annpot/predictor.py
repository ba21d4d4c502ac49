"""What gives energies and forces, whatever it is: a potential or a committee."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from annpot.committee import Committee, read_committee
from annpot.descriptors import Features
from annpot.extrapolation import Assessment
from annpot.format import container, reading
from annpot.kernels.environment import Neighbours
from annpot.potential import Evaluation, Potential, read_potential
from annpot.structures.structure import Array, Batch


class Predictor(Protocol):
    """A potential or a committee, as predictions and the calculator see it."""

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species that it knows."""

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii in angstrom: the shells of the pair list."""

    @property
    def reference_energies(self) -> Array:
        """Energy of the isolated atom of each species, eV."""

    def evaluate(
        self,
        batch: Batch,
        neighbours: Neighbours | None = None,
        *,
        forces: bool = True,
        stress: bool = False,
    ) -> Evaluation:
        """Return energies, forces and stresses of all structures of ``batch``.

        Parameters
        ----------
        neighbours
            `annpot.pairs.find_pairs` of ``cutoffs``; searched for if not given.
        """

    def assess(
        self, features: Features, deviation_n: Array | None = None
    ) -> Assessment | None:
        """Return how far atoms are outside the training data, if those are known.

        Parameters
        ----------
        features, deviation_n
            ``features`` and ``F_std_n`` of `evaluate`.
        """

    @property
    def guard(self) -> Potential:
        """The potential whose training data `assess` compares with."""


def load_predictor(path: Path | str) -> Potential | Committee:
    """Return the potential or the committee in a file.

    Raises
    ------
    FileFormatError
        If the file is damaged, of another kind or of a newer version.
    """
    kinds = container.POTENTIAL, container.COMMITTEE
    with reading.open_checked(Path(path), *kinds) as file:
        kind = reading.read_attribute(file, container.KIND, str)
        return read_committee(file) if kind == kinds[1] else read_potential(file)
