"""All settings: each key with its type, default, unit and meaning, in one place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from annpot.settings.behler import BehlerSettings
from annpot.settings.chebyshev import ChebyshevSettings
from annpot.settings.section import Section
from annpot.settings.values import (
    Bytes,
    Count,
    FileName,
    Float,
    Index,
    Natural,
    Nodes,
    NonNegative,
    Pattern,
    Positive,
    Ratio,
    Share,
    Symbol,
    UnitsName,
    Weight,
    as_bytes,
    as_groups,
    as_list,
    as_parts,
    as_seconds,
    as_species,
    as_text,
    as_units,
)


class StructureGroup(Section):
    """Structure files that are treated alike."""

    files: Annotated[tuple[Pattern, ...], as_list] = Field(
        min_length=1, examples=["structures/*.xsf"]
    )
    """Files: paths, glob patterns, directories or .tar.gz archives, one or a list,
    relative to the folder of the settings file."""
    names: FileName | None = Field(default=None, examples=["names.txt"])
    """Text file that lists, one a line, the names of the files to take; null: all."""
    index: Index = Field(default=":", examples=["::10"])
    """Which structures of a file with many: ':' all, -1 the last, '::10' each tenth."""
    format: str | None = Field(default=None, min_length=1, examples=["extxyz"])
    """Format of the files: xsf, runner (input.data of RuNNer and n2p2) or a name that
    ASE knows; null: recognised from the file."""
    units: Annotated[UnitsName | None, as_units] = Field(
        default=None, examples=["bohr,hartree"]
    )
    """Units of length and energy of the files, needed for format runner, which does not
    tell them, and only there: angstrom, bohr or nm, and ev, hartree, rydberg, kcal/mol
    or kj/mol."""
    group: Annotated[str | None, as_text] = Field(default=None, examples=["surfaces"])
    """Name under which the errors of these structures are listed; null: none."""
    set: Literal["train", "validation", "test"] | None = Field(
        default=None, examples=["test"]
    )
    """Use all these structures for training, validation or testing; null: they are
    split at random, unless the file says it (set=train, set=test in input.data)."""
    weight: Positive = 1.0
    """Factor on what these structures contribute to the loss, without unit."""


class SpeciesSettings(Section):
    """One chemical species."""

    energy: Float | Literal["fit"] = "fit"
    """Reference energy of one atom in eV, subtracted from the total energies; 'fit':
    fitted to the structures by least squares."""


DescriptorSettings = Annotated[
    ChebyshevSettings | BehlerSettings, Field(discriminator="type")
]


class GenerateSettings(Section):
    """What 'annpot generate' does: from structure files to a set of fingerprints."""

    output: FileName = Path("fingerprints.h5")
    """File to write, relative to the working directory."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about a structure that cannot be used."""
    batch_atoms: Count = 2000
    """Number of atoms that are worked on at once: more need more memory."""


class LbfgsSettings(Section):
    """The optimiser L-BFGS, which sees all structures in each step."""

    memory: Count = 30
    """Number of past steps from which the curvature is estimated."""


class AdamSettings(Section):
    """The optimiser Adam, which sees a few structures in each step."""

    learning_rate: Positive = 3e-3
    """Length of a step, without unit, at the start of the training."""
    batch: Count = 4
    """Number of structures in each step."""
    schedule: Literal["cosine", "constant", "exponential"] = "cosine"
    """How the learning rate falls during the training."""
    averaging: Share = 0.99
    """Decay per step of the moving average of the weights that is kept; 0: none."""


Layers = tuple[Nodes, ...]
Activation = Literal[
    "linear", "tanh", "sigmoid", "softplus", "silu", "gaussian", "mtanh", "twist",
    "relu", "cosine", "exponential", "square",
]  # fmt: skip


class TrainSettings(Section):
    """What 'annpot train' does: from a set of fingerprints to a potential.

    The loss is energy_weight * mean((dE/N)^2 / eV^2) + force_weight *
    mean(dF^2 / (eV/angstrom)^2) + stress_weight * mean(dS^2 / (eV/angstrom^3)^2), with
    dE, dF, dS: potential minus reference, N: number of atoms.
    """

    input: FileName = Path("fingerprints.h5")
    """The set of fingerprints to read, relative to the working directory."""
    output: FileName = Path("potential.h5")
    """The potential to write, relative to the working directory; *.json: as text."""
    log: FileName = Path("train.log")
    """The table of errors to write, one line per epoch."""
    seed: Natural = 0
    """Seed of all random numbers: same seed, same potential."""
    hidden: Layers | Mapping[Symbol, Layers] = (30, 30)
    """Number of nodes of each hidden layer, or a mapping from symbol to such lists."""
    activation: Activation = "silu"
    """Activation function of the hidden layers."""
    members: Count = Field(default=4, le=100)
    """Number of trainings from different random weights, one after the other. The
    potential is the committee of all: its mean errs less than each of them, and their
    deviations tell by how much it errs."""
    bootstrap: bool = False
    """Whether each member is trained on structures drawn from the training set at
    random, as many as there are, some of them several times."""
    method: Literal["lbfgs", "adam"] = "lbfgs"
    """Optimiser."""
    epochs: Count | None = Field(default=None, examples=[500])
    """Largest number of passes through the training set for each member; null:
    300 with lbfgs, 100 with adam."""
    energy_weight: Weight = 30.0
    """Weight of the energies per atom in the loss, for errors in eV."""
    force_weight: Weight = 1.0
    """Weight of the forces in the loss, for errors in eV/angstrom; 0: not used."""
    stress_weight: Weight = 0.0
    """Weight of the stress in the loss, for errors in eV/angstrom^3; 0: not used."""
    l2: NonNegative = 1e-4
    """Factor of the sum of squared network weights in the loss, without unit."""
    scaling: Literal["whitening", "zscore"] = "whitening"
    """How fingerprints are scaled: decorrelated, or each feature for itself."""
    whitening_floor: Ratio = 1e-3
    """Smallest variance that whitening scales to one, relative to the largest."""
    test_fraction: Share = 0.1
    """Share of the structures without 'set' that only test the result, unless some
    are labelled 'set: test'."""
    validation_fraction: Share = 0.05
    """Share of the structures without 'set' that only decide which epoch is kept,
    unless some are labelled 'set: validation'."""
    patience: Count | None = Field(default=None, examples=[50])
    """Number of epochs without a better validation error after which to stop; null:
    never."""
    time_limit: Annotated[Positive | None, as_seconds] = Field(
        default=None, examples=["1h30m"]
    )
    """Time of training after which to keep the potential so far, in seconds or as
    '90s', '3m', '1h30m', '2d'; 'annpot train --resume' goes on, for the same time
    again; null: never."""
    memory: Annotated[Bytes | None, as_bytes] = Field(default=None, examples=["8G"])
    """Most memory that the process may use, with MPI all ranks of a machine together,
    in bytes or e.g. 8G or 500MiB; what does not fit is computed again in each epoch;
    null: 60 % of what is free."""
    checkpoint_every: Annotated[Positive, as_seconds] = Field(
        default=300.0, examples=["10m"]
    )
    """Time between checkpoints, from which 'annpot train --resume' goes on, in seconds
    or as '90s', '5m', '1h'."""
    lbfgs: LbfgsSettings = LbfgsSettings()
    """Settings of method lbfgs."""
    adam: AdamSettings = AdamSettings()
    """Settings of method adam."""

    @model_validator(mode="after")
    def _check_sums(self) -> TrainSettings:
        total = self.test_fraction + self.validation_fraction
        if total >= 1:
            raise ValueError(
                "test_fraction + validation_fraction must be less than 1, "
                f"found {total:g}"
            )
        if self.energy_weight == self.force_weight == self.stress_weight == 0:
            raise ValueError(
                "energy_weight, force_weight and stress_weight are all 0, "
                "expected at least one > 0"
            )
        files = [os.path.realpath(path) for path in (self.input, self.output, self.log)]
        if len(set(files)) < len(files):
            raise ValueError(
                "input, output and log must be three different files, "
                f"found {self.input}, {self.output}, {self.log}"
            )
        return self


class PredictSettings(Section):
    """What 'annpot predict' does: from structure files to energies."""

    potential: FileName = Path("potential.h5")
    """The potential or committee to read, relative to the working directory."""
    forces: bool = False
    """Also give the forces, eV/angstrom."""
    stress: bool = False
    """Also give the stress, eV/angstrom^3."""
    atomic_energies: bool = False
    """Also give the energy of each atom, eV."""
    fail_on: Literal["extrapolation"] | None = Field(
        default=None, examples=["extrapolation"]
    )
    """What makes the command fail after the last structure; null: nothing."""
    batch_atoms: Count = 2000
    """Number of atoms that are worked on at once: more need more memory."""


class Settings(Section):
    """The settings file of annpot, in.yaml."""

    structures: Annotated[tuple[StructureGroup, ...], as_groups] = ()
    """The structures to learn from: groups of files; a pattern alone, or a list of
    patterns, is a group with defaults. Needed by 'annpot generate'."""
    species: Annotated[Mapping[Symbol, SpeciesSettings] | None, as_species] = Field(
        default=None, examples=[{"Ti": {"energy": "fit"}, "O": {"energy": -432.1}}]
    )
    """The chemical species, as mapping from symbol to their settings or their energy in
    eV, or as list of symbols; null: those of the structures, with fitted energies."""
    descriptor: Annotated[tuple[DescriptorSettings, ...], as_parts] = Field(
        default=(ChebyshevSettings(),), min_length=1, max_length=20
    )
    """How the surroundings of an atom become numbers: a section of type chebyshev or
    behler, or a list of such sections, whose features are put together."""
    generate: GenerateSettings = GenerateSettings()
    """What 'annpot generate' does."""
    train: TrainSettings = TrainSettings()
    """What 'annpot train' does."""
    predict: PredictSettings = PredictSettings()
    """What 'annpot predict' does."""

    def to_json(self) -> str:
        """Return the text that files keep: all keys, as `json.dumps` writes them."""
        return json.dumps(self.model_dump(mode="json"))
