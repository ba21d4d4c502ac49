"""Commands that are given a committee."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from commands import run

from annpot import Calculator
from annpot.calibration import Calibration, Scale
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
    assert lines[1] == (f"{plain[1]} energy(eV) force_std(eV/angstrom)")
    words, n_atoms = lines[2].split(), record["n_atoms"]
    assert len(words) == len(plain[2].split()) + 2
    assert words[-2] == f"{1000 * record['energy_std'] / n_atoms:.3f}"
    assert words[-1] == f"{1000 * max(record['forces_std']):.3f}"
    for line, energy, std in zip(
        lines[3 : 3 + n_atoms],
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
    lines = result.stdout.splitlines()
    first = lines.index("members:")
    assert lines[first + 1 : first + 5] == [
        *("  member 0", "  member 1", "  member 2"),
        "each member:",
    ]
    assert lines.count("  networks:") == 1
    told = json.loads(run("info", "--json", committee).stdout)
    assert [member["species"] for member in told["members"]] == [["Ti", "O"]] * 3


def test_info_tells_in_a_line_what_is_a_members_own(members, tmp_path):
    one = members[0]
    other = replace(
        one,
        provenance=one.provenance | {"settings": {"seed": 5}, "notes": [*range(20)]},
        test_vectors=None,
    )
    Committee((one, other)).save(tmp_path / "c.h5")
    lines = run("info", tmp_path / "c.h5").stdout.splitlines()
    first, second = lines[lines.index("members:") + 1 :][:2]
    assert first.startswith("  member 0, n_test_vectors 3, provenance.settings.input ")
    assert "provenance.settings.seed 0" in first
    assert second == (
        "  member 1, n_test_vectors 0, provenance.settings.seed 5, "
        "provenance.notes 20 entries"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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


# What training makes by default, with calibration.

CALIBRATION = Calibration(
    0.9, Scale(2.5, 1e-4, 30), (Scale(3.0, 0.01, 70), Scale(4.0, 0.02, 90))
)


@pytest.fixture(scope="module")
def calibrated(members, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrated") / "potential.h5"
    Committee(tuple(members), CALIBRATION).save(path)
    return path


def evaluate(file, path):
    (structure,) = read_structures(path)
    return Committee.load(file).evaluate(stack([structure], ("Ti", "O")))


def test_json_has_the_bounds(made, calibrated, path):
    result = run("predict", "-p", calibrated, "--json", path, folder=made)
    record, expected = json.loads(result.stdout), evaluate(calibrated, path)
    assert record["energy_error"] == pytest.approx(expected.E_error_s[0], rel=1e-6)
    np.testing.assert_allclose(record["forces_error"], expected.F_error_n, rtol=1e-6)
    assert record["energy_std"] == pytest.approx(expected.E_std_s[0], rel=1e-6)


def test_the_table_has_the_bounds(made, calibrated, path):
    result = run("predict", "-p", calibrated, "--forces", path, folder=made)
    head, of_atoms, row, *atoms = result.stdout.splitlines()
    assert of_atoms.split()[-1] == "force_error(eV/angstrom)"
    expected = evaluate(calibrated, path)
    bound_n, n_atoms = expected.F_error_n, len(expected.F_error_n)
    assert head.split()[-2:] == [
        "energy_error(meV/atom)",
        "max_force_error(meV/angstrom)",
    ]
    assert row.split()[-2:] == [
        f"{1000 * expected.E_error_s[0] / n_atoms:.3f}",
        f"{1000 * bound_n.max():.3f}",
    ]
    for line, bound in zip(atoms, bound_n, strict=False):
        assert line.split()[-1] == f"{bound:.8f}"


def test_the_extxyz_has_the_bounds(made, calibrated, path, tmp_path):
    out = tmp_path / "out.extxyz"
    result = run("predict", "-p", calibrated, path, "-o", out, folder=made)
    assert result.exit_code == 0, result.stderr
    atoms, expected = ase.io.read(out), evaluate(calibrated, path)
    assert atoms.info["energy_error"] == pytest.approx(expected.E_error_s[0], rel=1e-6)
    np.testing.assert_allclose(
        atoms.arrays["forces_error"], expected.F_error_n, atol=1e-7
    )


def test_the_calculator_has_the_bounds(calibrated, committee, path):
    atoms, expected = ase.io.read(path), evaluate(calibrated, path)
    atoms.calc = Calculator(calibrated, on_extrapolation="ignore")
    bound = atoms.calc.get_property("energy_error", atoms)
    assert bound == pytest.approx(expected.E_error_s[0], rel=1e-9)
    bound_n = atoms.calc.get_property("forces_error", atoms)
    np.testing.assert_allclose(bound_n, expected.F_error_n, rtol=1e-9)
    atoms.calc = Calculator(committee, on_extrapolation="ignore")
    atoms.get_potential_energy()
    assert "forces_std" in atoms.calc.results
    assert "forces_error" not in atoms.calc.results


def test_info_tells_the_calibration(calibrated, committee):
    assert "calibration: none" in run("info", committee).stdout
    told = json.loads(run("info", "--json", calibrated).stdout)["calibration"]
    assert told["level"] == 0.9
    assert told["energy_per_atom"] == {"factor": 2.5, "floor": 1e-4, "count": 30}
    assert told["forces"]["O"] == {"factor": 4.0, "floor": 0.02, "count": 90}


def test_the_mean_is_a_potential_of_the_same_energies(made, calibrated, path, tmp_path):
    mean = tmp_path / "mean.h5"
    result = run("convert", calibrated, mean, "--mean")
    assert result.exit_code == 0, result.stderr
    one, all_ = (
        json.loads(run("predict", "-p", file, "--json", path, folder=made).stdout)
        for file in (mean, calibrated)
    )
    assert one["energy"] == pytest.approx(all_["energy"], rel=1e-12)
    np.testing.assert_allclose(one["forces"], all_["forces"], atol=1e-9)
    assert "energy_std" not in one
    assert run("info", "--verify", mean).exit_code == 0


def test_converting_keeps_the_calibration(calibrated, members, tmp_path):
    text, back = tmp_path / "text.json", tmp_path / "back.h5"
    for source, target in ((calibrated, text), (text, back)):
        result = run("convert", source, target)
        assert result.exit_code == 0, result.stderr
    assert Committee.load(text).calibration == CALIBRATION
    assert Committee.load(back).calibration == CALIBRATION
    assert back.read_bytes() == calibrated.read_bytes()
    # other members have other errors
    members[0].save(tmp_path / "one.h5")
    both = tmp_path / "both.h5"
    run("convert", calibrated, tmp_path / "one.h5", both)
    assert len(Committee.load(both).members) == 4
    assert Committee.load(both).calibration is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("plot", "basis"),
        ("plot", "correlation", "fingerprints.h5", "-p"),
    ],
)
def test_pictures_of_a_committee(work, calibrated, arguments):
    result = run(*arguments, calibrated, "-o", "picture.png", folder=work)
    assert result.exit_code == 0, result.stderr
    assert (work / "picture.png").stat().st_size > 1000


def test_train_makes_a_calibrated_committee(work):
    options = ["members=3", "epochs=3", "validation_fraction=0.5", "bootstrap=true"]
    settings = [word for o in options for word in ("--set", f"train.{o}")]
    result = run("train", *settings, "-o", "new.h5", folder=work)
    assert result.exit_code == 0, result.stderr
    assert "calibrated: 90 % of the errors of forces are below" in result.stderr
    committee = Committee.load(work / "new.h5")
    assert [m.provenance["member"] for m in committee.members] == [0, 1, 2]
    assert json.loads(committee.settings)["train"]["bootstrap"]
    assert all(m.settings == committee.settings for m in committee.members)
    result = run("info", "--verify", "new.h5", folder=work)
    assert result.exit_code == 0, result.stderr
    result = run(
        "train", "--set", "train.members=2", "--set", "train.validation_fraction=0",
        "--epochs", 2, "-o", "none.h5", folder=work,
    )  # fmt: skip
    assert "not calibrated: too few validation structures" in result.stderr
    assert Committee.load(work / "none.h5").calibration is None
