"""The nearest training atoms, against all distances one by one."""

from __future__ import annotations

import json
from dataclasses import replace

import ase
import ase.io
import h5py
import numpy as np
import pytest
from commands import run

from annpot import explanation
from annpot.dataset import split
from annpot.errors import FileFormatError
from annpot.explanation import open_explainer
from annpot.fingerprints import load_features, load_set
from annpot.potential import Potential
from annpot.settings import TrainSettings
from annpot.structures.reading import read_structures
from annpot.structures.structure import stack


@pytest.fixture(scope="module")
def potential(made):
    return Potential.load(made / "potential.h5")


def strange_batch(made):
    """Return structures of the test set, shaken."""
    rng = np.random.default_rng(0)
    structures = [
        replace(
            s, positions_nc=s.positions_nc + rng.normal(scale=0.3, size=(len(s), 3))
        )
        for path in sorted((made / "test").glob("*.xsf"))[:2]
        for s in read_structures(path)
    ]
    return stack(structures, ("Ti", "O"))


def find_by_definition(made, potential, batch):
    """Return file, frame, atom and distance of the nearest training atoms."""
    fingerprints = load_set(made / "fingerprints.h5")
    settings = TrainSettings()
    rng, *_ = np.random.default_rng(settings.seed).spawn(3)
    parts = split(
        fingerprints, settings.test_fraction, settings.validation_fraction, rng
    )
    G_s = load_features(made / "fingerprints.h5")
    seen, known = [0, 0], []
    for s in range(fingerprints.batch.n_structures):
        first, last = fingerprints.batch.first_s[s : s + 2]
        for atom, t in enumerate(fingerprints.batch.species_n[first:last]):
            if s in parts.train:
                known.append((t, G_s[t][seen[t]], s, atom))
            seen[t] += 1
    features = potential.evaluate(batch).features
    found = []
    for n, t in enumerate(batch.species_n):
        start = features.feature_n[n]
        G_f = features.G_f[start : start + features.n_features_s[t]]
        W_ff = potential.models[t].domain.whitening.matrix_ff
        distance, s, atom = min(
            (np.sqrt(np.sum(((G_f - other) @ W_ff) ** 2)), s, atom)
            for species, other, s, atom in known
            if species == t
        )
        labels = fingerprints.labels
        found.append((labels.files[s], labels.index_s[s], atom, distance))
    return found, features


@pytest.mark.parametrize("block_bytes", [2**25, 3000])
def test_the_nearest_is_the_nearest(made, potential, monkeypatch, block_bytes):
    monkeypatch.setattr(explanation, "BLOCK_BYTES", block_bytes)
    batch = strange_batch(made)
    expected, features = find_by_definition(made, potential, batch)
    assessment = potential.assess(features)
    with open_explainer(potential, made / "potential.h5") as explainer:
        found = explainer.explain(assessment, features).nearest
    flagged = np.flatnonzero(assessment.level_n)
    assert sorted(found) == flagged.tolist()
    assert len(flagged) > 10
    for n in flagged:
        assert found[n][:3] == expected[n][:3]
        assert found[n].distance == pytest.approx(expected[n][3], rel=1e-9)


def test_a_training_atom_is_nearest_to_itself(made, potential):
    fingerprints = load_set(made / "fingerprints.h5")
    validation = potential.provenance["split"]["validation"]
    s = 2 if 2 not in validation else 3
    batch = fingerprints.batch.take(np.array([s]))
    features = potential.evaluate(batch).features
    assessment = potential.assess(features)
    everything = replace(assessment, level_n=np.ones(batch.n_atoms, dtype=np.int64))
    with open_explainer(potential, made / "potential.h5") as explainer:
        found = explainer.explain(everything, features).nearest
    for n, nearest in found.items():
        assert nearest.file == fingerprints.labels.files[s]
        assert nearest.atom == n
        assert nearest.distance == pytest.approx(0.0, abs=1e-9)


def squeeze(made, folder):
    path = sorted((made / "train").glob("*.xsf"))[0]
    (s,) = read_structures(path)
    atoms = ase.Atoms(s.symbols, s.positions_nc, cell=0.8 * s.cell_cc, pbc=s.pbc_c)
    atoms.positions *= 0.8
    ase.io.write(folder / "squeezed.extxyz", atoms)
    return folder / "squeezed.extxyz"


def test_the_command_names_the_nearest(made, tmp_path):
    path = squeeze(made, tmp_path)
    out = tmp_path / "w.jsonl"
    result = run("predict", "--explain", "--warnings", out, path, folder=made)
    assert result.exit_code == 0, result.stderr
    assert "nearest_file=train/" in result.stderr
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {frozenset(r["nearest"]) for r in records} == {
        frozenset({"file", "frame", "atom", "distance"})
    }
    moved = tmp_path / "elsewhere.h5"
    moved.write_bytes((made / "fingerprints.h5").read_bytes())
    again = run("predict", "--training-set", moved, path, folder=made)
    said = [line for line in result.stderr.splitlines() if "annpot-" in line]
    assert [line for line in again.stderr.splitlines() if "annpot-" in line] == said


def test_a_missing_set_is_named(work, tmp_path):
    path = squeeze(work, tmp_path)
    (work / "fingerprints.h5").unlink()
    result = run("predict", "--explain", path, folder=work)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: 'fingerprints.h5', the set that 'potential.h5' was trained on, is not "
        "there: please name the set with --training-set"
    )


def test_another_set_is_refused(work, tmp_path):
    path = squeeze(work, tmp_path)
    options = [
        "--set",
        "generate.output=other.h5",
        "--set",
        "descriptor.radial.order=3",
    ]
    assert run("generate", *options, folder=work).exit_code == 0
    result = run("predict", "--training-set", "other.h5", path, folder=work)
    assert result.exit_code == 1
    assert "'other.h5' is not the set that 'potential.h5' was trained on: sha256" in (
        result.stderr
    )
    result = run("predict", "--training-set", "potential.h5", path, folder=work)
    assert result.exit_code == 1
    assert "is a potential, expected a fingerprint set" in result.stderr


def test_a_potential_without_origin_cannot_be_explained(made, potential):
    stranger = replace(potential, provenance={})
    with (
        pytest.raises(
            FileFormatError, match=r"x\.h5' does not say what it was trained"
        ),
        open_explainer(stranger, made / "x.h5"),
    ):
        pass


def test_an_average_is_of_the_set_of_its_members(made, potential):
    batch = strange_batch(made)
    features = potential.evaluate(batch).features
    assessment = potential.assess(features)
    parts = [potential.provenance | {"member": k} for k in range(2)]
    average = replace(potential, provenance={"average_of": parts})
    found = []
    for known in (potential, average):
        with open_explainer(known, made / "potential.h5") as explainer:
            found.append(explainer.explain(assessment, features).nearest)
    assert found[0] == found[1]
    parts[1]["split"] = {"validation": [], "test": []}
    stranger = replace(potential, provenance={"average_of": parts})
    with (
        pytest.raises(FileFormatError, match="does not say what it was trained"),
        open_explainer(stranger, made / "x.h5"),
    ):
        pass


@pytest.mark.parametrize("numbers", [[99], [-1], [1.0], 5, {}, "0"])
def test_a_split_that_does_not_fit_is_refused(made, potential, numbers):
    provenance = potential.provenance | {"split": {"validation": numbers, "test": []}}
    wrong = replace(potential, provenance=provenance)
    with (
        pytest.raises(FileFormatError, match="holds 16 structures, which does not fit"),
        open_explainer(wrong, made / "potential.h5"),
    ):
        pass


def test_a_set_with_an_impossible_number_of_atoms_is_refused(work, potential):
    with h5py.File(work / "fingerprints.h5", "r+") as file:
        file["structures/n_atoms"][:2] += np.array([100, -100])
    with (
        pytest.raises(FileFormatError, match="a structure without atoms"),
        open_explainer(potential, work / "potential.h5"),
    ):
        pass


def test_a_set_with_an_impossible_species_is_refused(work, potential):
    with h5py.File(work / "fingerprints.h5", "r+") as file:
        file["structures/species_index"][3] = 7
    with (
        pytest.raises(FileFormatError, match="an index that is not of a species"),
        open_explainer(potential, work / "potential.h5"),
    ):
        pass
