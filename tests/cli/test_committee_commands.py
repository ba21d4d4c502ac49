"""Commands that are given a committee."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from commands import run

from annpot.committee import Committee
from annpot.potential import Potential
from annpot.structures.reading import read_structures
from annpot.structures.structure import stack


@pytest.fixture(scope="module")
def members(made):
    """Return three potentials of the same descriptor."""
    potential = Potential.load(made / "potential.h5")
    batch = potential.test_vectors.batch
    return [
        replace(
            potential, energy_scale=scale * potential.energy_scale
        ).with_test_vectors(batch)
        for scale in (1.0, 1.01, 0.98)
    ]


@pytest.fixture(scope="module")
def committee(members, tmp_path_factory):
    """Return the file of a committee of them."""
    path = tmp_path_factory.mktemp("committee") / "committee.h5"
    Committee(tuple(members)).save(path)
    return path


@pytest.fixture
def path(made):
    """Return the file of a structure."""
    return sorted((made / "test").glob("*.xsf"))[0]


def predictions(members, made, path, tmp_path):
    """Return what predict tells of the same structure with each member."""
    records = []
    for k, member in enumerate(members):
        member.save(tmp_path / f"{k}.h5")
        options = ["-p", tmp_path / f"{k}.h5", "--json"]
        records.append(json.loads(run("predict", *options, path, folder=made).stdout))
    return records


def test_json_has_means_and_deviations(made, members, committee, path, tmp_path):
    result = run("predict", "-p", committee, "--json", path, folder=made)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    alone = predictions(members, made, path, tmp_path)
    E_k = [one["energy"] for one in alone]
    F_knc = np.array([one["forces"] for one in alone])
    assert record["energy"] == pytest.approx(np.mean(E_k), abs=1e-8)
    assert record["energy_std"] == pytest.approx(np.std(E_k, ddof=1), rel=1e-6)
    np.testing.assert_allclose(record["forces"], F_knc.mean(axis=0), atol=1e-10)
    expected_n = np.sqrt(np.sum(np.var(F_knc, axis=0, ddof=1), axis=1))
    np.testing.assert_allclose(record["forces_std"], expected_n, rtol=1e-8)
    assert not {"energy_std", "forces_std"} & set(alone[0])


def test_the_table_has_two_more_columns(made, committee, path):
    record = json.loads(
        run("predict", "-p", committee, "--json", path, folder=made).stdout
    )
    options = ["-p", committee, "--forces", "--atomic-energies"]
    lines = run("predict", *options, path, folder=made).stdout.splitlines()
    plain = run("predict", "--forces", path, folder=made).stdout.splitlines()
    assert lines[0] == (f"{plain[0]} energy_std(meV/atom) max_force_std(meV/angstrom)")
    words, n_atoms = lines[1].split(), record["n_atoms"]
    assert len(words) == len(plain[1].split()) + 2
    assert words[-2] == f"{1000 * record['energy_std'] / n_atoms:.3f}"
    assert words[-1] == f"{1000 * max(record['forces_std']):.3f}"
    for line, energy, std in zip(
        lines[2 : 2 + n_atoms],
        record["atomic_energies"],
        record["forces_std"],
        strict=True,
    ):
        assert line.split()[5:] == [f"{energy:.8f}", f"{std:.8f}"]


def test_the_extxyz_has_the_deviations(made, committee, path, tmp_path):
    out = tmp_path / "out.extxyz"
    result = run("predict", "-p", committee, path, "-o", out, folder=made)
    assert result.exit_code == 0, result.stderr
    atoms = ase.io.read(out)
    (structure,) = read_structures(path)
    found = Committee.load(committee).evaluate(stack([structure], ("Ti", "O")))
    assert atoms.info["energy_std"] == pytest.approx(found.E_std_s[0], rel=1e-6)
    np.testing.assert_allclose(atoms.arrays["forces_std"], found.F_std_n, atol=1e-7)
    np.testing.assert_allclose(atoms.get_forces(), found.F_nc, atol=1e-7)
    assert atoms.info["REF_energy"] == structure.energy


def test_info_tells_and_verifies_the_members(committee):
    result = run("info", "--verify", committee)
    assert result.exit_code == 0, result.stderr
    assert "test vectors are reproduced" in result.stderr
    assert "kind: committee" in result.stdout
    assert "n_members: 3" in result.stdout
    assert result.stdout.count("    networks:") == 3
    told = json.loads(run("info", "--json", committee).stdout)
    assert [member["species"] for member in told["members"]] == [["Ti", "O"]] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("plot", "correlation", "fingerprints.h5", "-p"),
            "is a committee of potentials, expected a potential: "
            "'annpot convert COMMITTEE --member 0 OUT' takes one out",
        ),
        (
            ("plot", "basis"),
            "is a committee of potentials, expected a potential: "
            "'annpot convert COMMITTEE --member 0 OUT' takes one out",
        ),
        (
            ("plot", "features"),
            "is a committee of potentials, expected a fingerprint set: "
            "'annpot generate' makes one",
        ),
        (
            ("train", "--input"),
            "is a committee of potentials, expected a fingerprint set: "
            "'annpot generate' makes one",
        ),
    ],
)
def test_commands_that_cannot_use_one_say_so(work, committee, arguments, message):
    result = run(*arguments, committee, folder=work)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: '{committee}' {message}"


def test_predict_names_what_it_cannot_use(made):
    result = run("predict", "-p", "fingerprints.h5", "x.xsf", folder=made)
    assert result.exit_code == 1
    assert "is a fingerprint set, expected a potential: 'annpot train' makes one" in (
        result.stderr
    )
