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

import h5py
import numpy as np

from annpot.descriptors import Descriptor, Features
from annpot.errors import FileFormatError
from annpot.extrapolation import Assessment, Limits, fit_limits
from annpot.format import container, reading, writing
from annpot.kernels.environment import Neighbours
from annpot.pairs import find_pairs
from annpot.potential import Evaluation, Potential, read_potential, write_potential
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
        features = [
            self._compute_features(descriptor, batch, neighbours)
            for descriptor in self._descriptors.values()
        ]
        results = [
            member.evaluate_features(features[d], forces=forces, stress=stress)
            for member, d in zip(self._sharing, self._descriptor_k, strict=True)
        ]
        E_ks = np.array([result.E_s for result in results])
        F_nc, F_std_n = _spread_of_forces(results)
        return Evaluation(
            E_s=E_ks.mean(axis=0),
            E_n=np.mean([result.E_n for result in results], axis=0),
            F_nc=F_nc,
            stress_sv=_mean_stress(results),
            features=features[self._descriptor_k[self._guard]],
            E_std_s=E_ks.std(axis=0, ddof=1),
            F_std_n=F_std_n,
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
        return self._sharing[self._guard]

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
        limits = [
            fit_limits(deviation_n[species_n == s]) for s in range(len(self.species))
        ]
        return replace(self, deviation_limits_s=tuple(limits))

    def verify(self) -> tuple[float, float]:
        """Return the largest deviations from the test vectors of all members.

        Raises
        ------
        FileFormatError
            If a member has none.
        """
        dE, dF = np.max([member.verify() for member in self.members], axis=0)
        return float(dE), float(dF)

    def save(self, path: Path, settings: str = "{}") -> None:
        """Write all members; the file gets its name only when it is complete.

        Names that end with ``.json`` get the text form.
        """
        with writing.create(
            path, container.COMMITTEE, settings, in_memory=True
        ) as file:
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
    def _descriptors(self) -> dict[str, Descriptor]:
        """The descriptor of each recipe, which reads the pair list of all."""
        return {
            member.descriptor.recipe: replace(
                member.descriptor, more_cutoffs=self.cutoffs
            )
            for member in self.members
        }

    @cached_property
    def _descriptor_k(self) -> list[int]:
        """Number of the descriptor of each member."""
        recipes = list(self._descriptors)
        return [recipes.index(member.descriptor.recipe) for member in self.members]

    @cached_property
    def _sharing(self) -> list[Potential]:
        """The members, with the descriptors that they share."""
        return [
            replace(member, descriptor=self._descriptors[member.descriptor.recipe])
            for member in self.members
        ]

    @cached_property
    def _guard(self) -> int:
        """The first member that knows its training data; 0 if none does."""
        known = [
            all(model.domain is not None for model in member.models)
            for member in self.members
        ]
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
            batch = batch.with_species(descriptor.species)
            neighbours = find_pairs(batch, descriptor.cutoffs)
        return descriptor.compute_features(batch, neighbours)


def _spread_of_forces(results: list[Evaluation]) -> tuple[Array | None, Array | None]:
    """Return the mean forces, and the standard deviation of that on each atom."""
    known = [result.F_nc for result in results if result.F_nc is not None]
    if not known:
        return None, None
    F_knc = np.array(known)
    return F_knc.mean(axis=0), np.sqrt(F_knc.var(axis=0, ddof=1).sum(axis=1))


def _mean_stress(results: list[Evaluation]) -> Array | None:
    known = [result.stress_sv for result in results if result.stress_sv is not None]
    return np.mean(known, axis=0) if known else None


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
    try:
        committee = Committee(tuple(members))
    except FileFormatError as error:
        raise FileFormatError(f"'{file.filename}': {error}") from None
    return replace(committee, deviation_limits_s=_read_limits(file, committee.species))


def _read_limits(file: h5py.File, species: tuple[str, ...]) -> tuple[Limits, ...]:
    if container.DEVIATION_LIMITS not in file:
        return ()
    limits_sl = reading.read_array(file, container.DEVIATION_LIMITS, (len(species), 2))
    return tuple(Limits(float(low), float(high)) for low, high in limits_sl)
