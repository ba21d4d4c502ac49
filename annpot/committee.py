"""The committee: several potentials, their mean, and how far they disagree.

E = 1/K sum_k E_k,   std(E)^2   = sum_k (E_k - E)^2 / (K - 1)
F = 1/K sum_k F_k,   std(F_i)^2 = sum_k |F_ik - F_i|^2 / (K - 1)

These are estimates from K samples of what infinitely many members would give, so that
committees of different size compare. The deviation of a force does not change when the
structure rotates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from annpot.averaging import average_potentials
from annpot.calibration import Calibration, read_calibration, write_calibration
from annpot.descriptors import Descriptor, Features
from annpot.errors import FileFormatError
from annpot.extrapolation import Assessment, Limits, fit_limits
from annpot.format import container, reading, writing
from annpot.kernels.environment import Neighbours
from annpot.pairs import find_pairs
from annpot.potential import Evaluation, Potential, read_potential, write_potential
from annpot.stacks import Stack, evaluate
from annpot.structures.structure import Array, Batch, Integers


@dataclass(frozen=True)
class Committee:
    """Potentials of the same species, which may differ in all else.

    Raises
    ------
    FileFormatError
        If there are less than two, or they know different species.
    """

    members: tuple[Potential, ...]
    calibration: Calibration | None = None
    """What bounds of errors follow from deviations, if that is known."""
    settings: str = "{}"
    """JSON text of the settings that led to it."""
    deviation_limits_s: tuple[Limits, ...] = ()
    """Deviations of forces, eV/angstrom, at which atoms of each species are level low
    and high; empty: unknown."""

    def __post_init__(self) -> None:
        """Check that the members belong together."""
        if len(self.members) < 2:
            raise FileFormatError(
                f"a committee of {len(self.members)} potentials, expected at least 2"
            )
        for k, member in enumerate(self.members):
            if set(member.species) != set(self.species):
                raise FileFormatError(
                    f"member {k} of the committee knows {', '.join(member.species)}, "
                    f"expected {', '.join(self.species)} as member 0 does"
                )

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols of the species, in the order of the first member."""
        return self.members[0].species

    @cached_property
    def cutoffs(self) -> tuple[float, ...]:
        """Ascending cutoff radii of all members in angstrom."""
        return tuple(sorted({r for member in self.members for r in member.cutoffs}))

    @cached_property
    def reference_energies(self) -> Array:
        """Energy of the isolated atom of each species, eV: the mean of the members."""
        energies_ks = np.array(
            [
                member.reference_energies[self._numbers(member.species)]
                for member in self.members
            ]
        )
        return np.asarray(energies_ks.mean(axis=0))

    def evaluate(
        self,
        batch: Batch,
        neighbours: Neighbours | None = None,
        *,
        forces: bool = True,
        stress: bool = False,
    ) -> Evaluation:
        """Return means and standard deviations for all structures of ``batch``.

        Features are computed once for all members that have the same.
        """
        if neighbours is None:
            neighbours = find_pairs(batch, self.cutoffs)
        features, parts = [], []
        for clan in self._clans:
            found = self._compute_features(clan.descriptor, batch, neighbours)
            features.append(found)
            parts.append(
                evaluate(
                    clan.stacks, clan.descriptor, found, forces=forces, stress=stress
                )
            )
        E_ks = np.concatenate([part.E_ks for part in parts])
        E_std_s = E_ks.std(axis=0, ddof=1)
        F_nc, F_std_n = _spread_of_forces([part.F_knc for part in parts])
        E_error_s = F_error_n = None
        if (calibration := self.calibration) is not None:
            E_error_s = calibration.bound_energies(E_std_s, batch.atoms_s)
            F_error_n = calibration.bound_forces(F_std_n, batch.species_n)
        return Evaluation(
            E_s=E_ks.mean(axis=0),
            E_n=np.concatenate([part.E_kn for part in parts]).mean(axis=0),
            F_nc=F_nc,
            stress_sv=_mean([part.stress_ksv for part in parts]),
            features=next(
                found
                for found, clan in zip(features, self._clans, strict=True)
                if self._guard in clan.numbers
            ),
            E_std_s=E_std_s,
            F_std_n=F_std_n,
            E_error_s=E_error_s,
            F_error_n=F_error_n,
        )

    def assess(
        self, features: Features, deviation_n: Array | None = None
    ) -> Assessment | None:
        """Return how far atoms are outside the data of the first member that knows its.

        What the other members have not seen shows in the deviations.

        Parameters
        ----------
        features, deviation_n
            ``features`` and ``F_std_n`` of `evaluate`.
        """
        guard, limits_s = self.guard, self.deviation_limits_s
        if limits_s:
            limits_s = tuple(limits_s[s] for s in self._numbers_of(guard.species))
        return guard.assess(features, deviation_n, limits_s)

    @property
    def guard(self) -> Potential:
        """The potential whose training data `assess` compares with."""
        return self.members[self._guard]

    def with_deviation_limits(
        self, deviation_n: Array, species_n: Integers
    ) -> Committee:
        """Return the committee with limits from the deviations of known forces.

        Parameters
        ----------
        deviation_n, species_n
            Deviation of the force on atoms like those to come, eV/angstrom, and their
            species.
        """
        of_species = [deviation_n[species_n == s] for s in range(len(self.species))]
        # a species that is not among them: the limits of all
        limits = [fit_limits(x_n if len(x_n) else deviation_n) for x_n in of_species]
        return replace(self, deviation_limits_s=tuple(limits))

    def average(self) -> Potential:
        """Return one potential that gives the means, for the cost of one.

        Raises
        ------
        FileFormatError
            If the members have different descriptors or activation functions.
        """
        return average_potentials(self.members, self.members[self._guard])

    def verify(self) -> tuple[float, float]:
        """Return the largest deviations from the test vectors of all members.

        Raises
        ------
        FileFormatError
            If a member has none.
        """
        dE, dF = np.max([member.verify() for member in self.members], axis=0)
        return float(dE), float(dF)

    def with_settings(self, settings: str) -> Committee:
        """Return the committee and each member with the settings that led to them."""
        members = tuple(member.with_settings(settings) for member in self.members)
        return replace(self, members=members, settings=settings)

    def save(self, path: Path) -> None:
        """Write all members; the file gets its name only when it is complete.

        Names that end with ``.json`` get the text form.
        """
        with writing.create(
            path, container.COMMITTEE, self.settings, in_memory=True
        ) as file:
            if self.calibration is not None:
                write_calibration(file, self.calibration)
            if self.deviation_limits_s:
                writing.write_array(
                    file, container.DEVIATION_LIMITS, self.deviation_limits_s
                )
            members = file.create_group(container.MEMBERS)
            for k, member in enumerate(self.members):
                group = members.create_group(str(k))
                writing.write_text(group, container.SETTINGS, member.settings)
                write_potential(group, member, self.members[0] if k else None)

    @classmethod
    def load(cls, path: Path | str) -> Committee:
        """Return the committee in a file.

        Raises
        ------
        FileFormatError
            If the file is damaged, of another kind or of a newer version.
        """
        with reading.open_checked(Path(path), container.COMMITTEE) as file:
            return read_committee(file)

    @cached_property
    def _clans(self) -> list[_Clan]:
        """The members by descriptor, which reads the pair list of all."""
        numbers: dict[str, list[int]] = {}
        for k, member in enumerate(self.members):
            numbers.setdefault(member.descriptor.recipe, []).append(k)
        clans = []
        for found in numbers.values():
            members = [self.members[k] for k in found]
            stacks = [
                Stack(networks)
                for networks in zip(*(m.networks for m in members), strict=True)
            ]
            shared = replace(members[0].descriptor, more_cutoffs=self.cutoffs)
            clans.append(_Clan(found, shared, stacks))
        return clans

    @cached_property
    def _guard(self) -> int:
        """The first member that knows its training data; 0 if none does."""
        known = [member.domains is not None for member in self.members]
        return known.index(True) if True in known else 0

    def _numbers_of(self, species: tuple[str, ...]) -> list[int]:
        """Return the numbers that the species of a member have in the committee."""
        return [self.species.index(symbol) for symbol in species]

    def _numbers(self, species: tuple[str, ...]) -> Integers:
        """Return where the species of the committee stand in another table."""
        return np.array([species.index(symbol) for symbol in self.species])

    def _compute_features(
        self, descriptor: Descriptor, batch: Batch, neighbours: Neighbours
    ) -> Features:
        if descriptor.species != self.species:
            # pairs are sorted by the numbers of the species: these need their own
            return descriptor.compute_features(batch.with_species(descriptor.species))
        return descriptor.compute_features(batch, neighbours)


class _Clan(NamedTuple):
    """Members with the same descriptor."""

    numbers: list[int]
    descriptor: Descriptor
    stacks: list[Stack]


def _spread_of_forces(parts: list[Array | None]) -> tuple[Array | None, Array | None]:
    """Return the mean forces, and the standard deviation of that on each atom."""
    known = [F_knc for F_knc in parts if F_knc is not None]
    if not known:
        return None, None
    F_knc = np.concatenate(known)
    F_nc = F_knc.mean(axis=0)
    F_knc -= F_nc
    squares_n = np.einsum("knc,knc->n", F_knc, F_knc)
    return F_nc, np.sqrt(squares_n / (len(F_knc) - 1))


def _mean(parts: list[Array | None]) -> Array | None:
    known = [values for values in parts if values is not None]
    return np.concatenate(known).mean(axis=0) if known else None


def read_committee(file: h5py.File) -> Committee:
    """Return the committee in a file that was opened and checked.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    group = reading.read_group(file, container.MEMBERS)
    missing = [str(k) for k in range(len(group)) if str(k) not in group]
    if missing:
        raise FileFormatError(
            f"'{file.filename}', {group.name}: no member {missing[0]}, expected "
            f"members 0 to {len(group) - 1} as there are {len(group)}"
        )
    members: list[Potential] = []
    for k in range(len(group)):
        first = members[0] if members else None
        members.append(read_potential(reading.read_group(group, str(k)), first))
    settings = reading.read_text(file, container.SETTINGS)
    try:
        committee = Committee(tuple(members), settings=settings)
    except FileFormatError as error:
        raise FileFormatError(f"'{file.filename}': {error}") from None
    calibration = read_calibration(file, len(committee.species))
    limits_s = _read_limits(file, committee.species)
    return replace(committee, calibration=calibration, deviation_limits_s=limits_s)


def _read_limits(file: h5py.File, species: tuple[str, ...]) -> tuple[Limits, ...]:
    if container.DEVIATION_LIMITS not in file:
        return ()
    limits_sl = reading.read_array(file, container.DEVIATION_LIMITS, (len(species), 2))
    return tuple(Limits(float(low), float(high)) for low, high in limits_sl)
