import json

import h5py
import numpy as np
import pytest
from commands import run

from annpot.fingerprints import load_features, load_set
from annpot.pairs import find_pairs
from annpot.scaling import compute_statistics


def test_the_set_holds_the_structures_and_their_features(made):
    fingerprints = load_set(made / "fingerprints.h5")
    assert fingerprints.batch.n_structures == 16
    assert fingerprints.batch.species == ("Ti", "O")
    assert fingerprints.labels.sets == [""] * 12 + ["test"] * 4
    assert fingerprints.labels.groups == ["bulk"] * 12 + [""] * 4
    first = (made / "train" / "structure0001.xsf").read_text().splitlines()
    assert fingerprints.labels.energy_s[0] == float(first[0].split()[4])
    assert fingerprints.labels.forces_nc[0, 0] == float(first[9].split()[4])
    neighbours = find_pairs(fingerprints.batch, fingerprints.descriptor.cutoffs)
    features = fingerprints.descriptor.compute_features(fingerprints.batch, neighbours)
    for stored, computed, statistics in zip(
        load_features(made / "fingerprints.h5"),
        features.blocks(features.G_f),
        fingerprints.statistics,
        strict=True,
    ):
        np.testing.assert_allclose(stored, computed, rtol=1e-12)
        expected = compute_statistics(computed)
        np.testing.assert_allclose(
            statistics.covariance_ff, expected.covariance_ff, atol=1e-10
        )
        assert statistics.n_atoms == len(computed)


def test_small_batches_give_the_same_set(work):
    result = run(
        "generate", "-o", "b.h5", "--set", "generate.batch_atoms=1", folder=work
    )
    assert result.exit_code == 0, result.stderr
    one, many = load_set(work / "fingerprints.h5"), load_set(work / "b.h5")
    np.testing.assert_array_equal(one.batch.positions_nc, many.batch.positions_nc)
    for a, b in zip(
        load_features(work / "fingerprints.h5"),
        load_features(work / "b.h5"),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.statistics, many.statistics, strict=True):
        np.testing.assert_allclose(a.covariance_ff, b.covariance_ff, atol=1e-11)
    np.testing.assert_allclose(
        one.environments.shortest_st, many.environments.shortest_st
    )
    np.testing.assert_allclose(
        one.environments.neighbours_s, many.environments.neighbours_s
    )


def test_summary_names_what_went_in(work):
    result = run("generate", folder=work)
    assert "16 structures" in result.stdout
    assert "Ti-O" in result.stdout
    assert "wrote fingerprints.h5" in result.stderr
    values = json.loads(run("generate", "--json", folder=work).stdout)
    assert values["n_structures"] == 16
    assert values["n_atoms_s"][1] == sum(
        line.startswith("O ")
        for path in sorted(work.glob("t*/*.xsf"))
        for line in path.read_text().splitlines()
    )


def test_features_are_summarised_by_kind_in_columns(work):
    descriptor = "descriptor={type: behler, cutoff: 3.5, angular: {n: 1, zeta: [1]}}"
    result = run("generate", "-o", "b.h5", "--set", descriptor, folder=work)
    rows = [line.split() for line in result.stdout.splitlines() if " G" in line]
    assert [row[1:3] for row in rows if row[0] == "Ti"] == [
        ["G2", "O"],
        ["G2", "Ti"],
        ["G5", "O-O"],
        ["G5", "O-Ti"],
        ["G5", "Ti-Ti"],
    ]
    assert all(float(row[3]) <= float(row[4]) and row[6] == "to" for row in rows)


def test_species_are_found_if_not_given(work):
    text = (work / "in.yaml").read_text().replace("species: [Ti, O]\n", "")
    (work / "in.yaml").write_text(text)
    assert run("generate", folder=work).exit_code == 0
    assert load_set(work / "fingerprints.h5").batch.species == ("O", "Ti")


def test_reference_energies_are_fitted_or_given(work):
    fitted = load_set(work / "fingerprints.h5")
    counts = np.zeros((16, 2))
    np.add.at(counts, (fitted.batch.structure_n, fitted.batch.species_n), 1)
    residual = fitted.labels.energy_s - counts @ fitted.reference_energies
    assert np.abs(residual / counts.sum(axis=1)).max() < 2.0
    run("generate", "--set", "species={Ti: -1600.0, O: fit}", folder=work)
    given = load_set(work / "fingerprints.h5")
    assert given.reference_energies[0] == -1600.0
    assert given.reference_energies[1] < -430.0


def test_rank_deficiency_is_reported(work):
    (work / "in.yaml").write_text("structures: train/structure0001.xsf\n")
    result = run("generate", folder=work)
    assert result.exit_code == 0, result.stderr
    assert "tell only 1 of 2 fitted reference energies apart" in result.stderr


def test_constant_features_are_named(work):
    (work / "in.yaml").write_text(
        "structures: one.xsf\ndescriptor: {radial: {order: 1, cutoff: 3.0}}\n"
    )
    (work / "one.xsf").write_text(
        "# total energy = -1.0 eV\nATOMS\nH 0 0 0\nH 0 0 0.74\n"
    )
    result = run("generate", folder=work)
    assert "constant features of H: radial 0, radial 1" in result.stdout


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_broken_structure_stops_or_is_skipped(work, on_error):
    (work / "train" / "structure0001.xsf").write_text("nonsense\n")
    before = (work / "fingerprints.h5").read_bytes()
    result = run("generate", "--on-error", on_error, folder=work)
    if on_error == "stop":
        assert result.exit_code == 1
        assert "structure0001.xsf', line 1" in result.stderr
        assert (work / "fingerprints.h5").read_bytes() == before
    else:
        assert result.exit_code == 0
        assert "15 structures" in result.stdout
        assert "1 structures or files were skipped" in result.stderr
    assert not list(work.glob("*.partial"))


def test_a_cohesive_energy_counts_from_the_free_atoms(work):
    path = work / "train" / "structure0001.xsf"
    text = path.read_text()
    total = float(text.split()[4])
    n_ti, n_o = text.count("\nTi "), text.count("\nO ")
    cohesive = total + 1600.0 * n_ti + 430.0 * n_o
    path.write_text(
        text.replace("total energy", "cohesive energy").replace(
            text.split()[4], repr(cohesive)
        )
    )
    species = "species={Ti: -1600.0, O: -430.0}"
    assert run("generate", "--set", species, folder=work).exit_code == 0
    energy = load_set(work / "fingerprints.h5").labels.energy_s[0]
    assert energy == pytest.approx(total, abs=1e-8)
    mixed = run("generate", folder=work)
    assert mixed.exit_code == 1
    assert "give the reference energies of all species" in mixed.stderr


def test_the_file_is_what_the_specification_says(made):
    with h5py.File(made / "fingerprints.h5") as file:
        assert file.attrs["format"] == b"annpot"
        assert file.attrs["version"] == 1
        n_atoms = file["structures/n_atoms"][:]
        assert file["structures/positions"].shape == (n_atoms.sum(), 3)
        assert file["structures/positions"].fletcher32
        # 5 radial functions, 2 channels; 10 products of 2 x 2 functions, l = 0 to 2
        assert file["features/Ti"].shape[1] == 2 * 5 + 10 * 3
        assert bytes(file["species"][:]) == b"Ti\0O\0"


def test_symmetry_functions_to_a_potential(work):
    text = (work / "in.yaml").read_text().split("descriptor:")[0]
    (work / "in.yaml").write_text(
        text + "descriptor:\n  type: behler\n  cutoff: 4.5\n  functions:\n"
        "    - {type: G2, eta: 0.5, r_s: 2.0}\n"
        "    - {type: 3, neighbours: [Ti, O], eta: 0.01, lambda: -1, zeta: 4}\n"
        "    - {type: G22, theta_low: 60, theta_high: 180, core: p2}\n"
        "  central: {O: {radial: {n: 3}}}\n"
        "train: {epochs: 2, hidden: [3], members: 1}\n"
    )
    for command in ("generate", "train", "info --verify potential.h5"):
        result = run(*command.split(), folder=work)
        assert result.exit_code == 0, result.stderr
    listed = [line.strip() for line in result.stdout.splitlines()]
    assert (
        listed.count(
            "type G4, neighbours O-Ti, eta 0.01, r_s 0, lambda -1, zeta 4, cutoff 4.5, "
            "cutoff_function cosine, alpha 0"
        )
        == 2
    )
    assert sum(line.startswith("type G2, neighbours ") for line in listed) == 2 + 8
