import json
import shlex
import shutil

import ase.io
import numpy as np
import pytest
from commands import run

from annpot import Calculator
from annpot.structures import reading_ahead
from annpot.structures.reading import read_structures


def test_table_and_errors(made):
    files = sorted((made / "test").glob("*.xsf"))
    result = run("predict", *files, folder=made)
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if line[0] != "#"]
    assert [row[0] for row in rows] == [str(path) for path in files]
    assert {row[6] for row in rows} <= {"none", "low", "high"}
    assert "# errors of 4 energies" in result.stdout
    errors = np.array([row[7:] for row in rows], dtype=float)
    rmse = np.sqrt(np.mean(errors[:, 0] ** 2))
    assert f"RMSE {rmse:.3f}"[:-1] in result.stdout
    for row in rows:
        assert float(row[3]) / int(row[2]) == pytest.approx(float(row[4]), abs=1e-7)


def test_json_holds_everything(made):
    path = sorted((made / "test").glob("*.xsf"))[0]
    result = run("predict", "--json", path, folder=made)
    record = json.loads(result.stdout)
    assert record["file"] == str(path)
    assert record["frame"] == 0
    assert sum(record["atomic_energies"]) == pytest.approx(record["energy"], abs=1e-8)
    assert np.shape(record["forces"]) == (record["n_atoms"], 3)
    np.testing.assert_allclose(np.sum(record["forces"], axis=0), 0.0, atol=1e-9)
    assert len(record["stress"]) == 6
    (structure,) = read_structures(path)
    assert record["reference"]["energy"] == structure.energy
    assert record["extrapolation"]["level"] in ("none", "low", "high")


def test_extxyz_agrees_with_the_calculator(made, tmp_path):
    path = sorted((made / "test").glob("*.xsf"))[0]
    out = tmp_path / "out.extxyz"
    assert run("predict", path, "-o", out, folder=made).exit_code == 0
    atoms = ase.io.read(out)
    reference = atoms.copy()
    reference.calc = Calculator(made / "potential.h5", on_extrapolation="ignore")
    assert atoms.get_potential_energy() == pytest.approx(
        reference.get_potential_energy(), abs=1e-6
    )
    np.testing.assert_allclose(atoms.get_forces(), reference.get_forces(), atol=1e-7)
    np.testing.assert_allclose(atoms.get_stress(), reference.get_stress(), atol=1e-7)
    assert "REF_energy" in atoms.info
    assert "REF_forces" in atoms.arrays


def test_optional_blocks(made):
    path = sorted((made / "test").glob("*.xsf"))[0]
    options = ["--forces", "--stress", "--atomic-energies"]
    lines = run("predict", path, *options, folder=made).stdout.splitlines()
    assert lines[1:3] == [
        "#   stress xx yy zz yz xz xy(eV/angstrom^3)",
        "#   atom species force_x force_y force_z(eV/angstrom) energy(eV)",
    ]
    n_atoms = int(lines[3].split()[2])
    assert lines[4].startswith("  stress ")
    assert len(lines[4].split()) == len(lines[1].split()) - 1 == 7
    assert len(lines[5].split()) == len(lines[2].split()) - 1 == 2 + 3 + 1
    assert len(lines) == 3 + 1 + 1 + n_atoms + 2


@pytest.mark.parametrize("option", ["--forces", "--atomic-energies"])
def test_each_column_of_atoms_has_a_name(made, option):
    path = sorted((made / "test").glob("*.xsf"))[0]
    lines = run("predict", path, option, folder=made).stdout.splitlines()
    assert lines[1].startswith("#   atom species ")
    assert len(lines[3].split()) == len(lines[1].split()) - 1


def test_a_name_of_two_lines_is_one_row(made, tmp_path):
    path = sorted((made / "test").glob("*.xsf"))[0]
    name = tmp_path / "a\nb.xsf 0 6 -1\x1b[1m"
    name.write_bytes(path.read_bytes())
    options = ["--format", "xsf"]
    _, row, *_ = run("predict", name, *options, folder=made).stdout.splitlines()
    assert row.startswith(f"{tmp_path}/a\\nb.xsf 0 6 -1\\x1b[1m 0 ")
    _, row = run("select", name, *options, folder=made).stdout.splitlines()
    assert row.startswith(f"1 {tmp_path}/a\\nb.xsf 0 6 -1\\x1b[1m 0 ")


def test_lists_of_files(made, tmp_path):
    files = sorted((made / "test").glob("*.xsf"))
    names = tmp_path / "names.txt"
    names.write_text("\n".join(map(str, files)) + "\n")
    table = run("predict", *files, folder=made).stdout
    assert run("predict", "--files-from", names, folder=made).stdout == table


@pytest.mark.parametrize("name", ["test", "t[eE]st/*.xsf"])
def test_folders_and_patterns(made, name):
    files = sorted((made / "test").glob("*.xsf"))
    names = [path.relative_to(made) for path in files]
    expected = run("predict", "--json", *names, folder=made).stdout
    assert run("predict", "--json", name, folder=made).stdout == expected


def test_an_output_in_a_folder_that_is_read_stays(made, tmp_path):
    shutil.copytree(made / "test", tmp_path / "test")
    potential = ["-p", made / "potential.h5"]
    arguments = ["predict", "test", "-o", "test/out.extxyz", *potential]
    assert run(*arguments, folder=tmp_path).exit_code == 0
    before = (tmp_path / "test/out.extxyz").read_bytes()
    result = run(*arguments, folder=tmp_path)
    assert result.exit_code == 2
    assert "'test/out.extxyz': this file is read" in result.stderr
    assert (tmp_path / "test/out.extxyz").read_bytes() == before


def test_many_structures_in_one_file(made, tmp_path):
    files = sorted((made / "test").glob("*.xsf"))
    frames = [
        ase.Atoms(s.symbols, s.positions_nc, cell=s.cell_cc, pbc=s.pbc_c)
        for path in files
        for s in read_structures(path)
    ]
    ase.io.write(tmp_path / "all.traj", frames)
    separate = run("predict", *files, folder=made).stdout.splitlines()
    together = run("predict", tmp_path / "all.traj", folder=made).stdout.splitlines()
    assert [line.split()[1] for line in together[1:5]] == list("0123")
    for one, other in zip(separate[1:5], together[1:5], strict=True):
        assert one.split()[2:7] == other.split()[2:7]


def squeezed(made, tmp_path):
    (structure,) = read_structures(sorted((made / "train").glob("*.xsf"))[0])
    atoms = ase.Atoms(structure.symbols, structure.positions_nc, cell=structure.cell_cc)
    atoms.pbc = True
    atoms.set_cell(atoms.cell * 0.8, scale_atoms=True)
    ase.io.write(tmp_path / "squeezed.extxyz", atoms)
    return tmp_path / "squeezed.extxyz"


def test_extrapolation_is_told_and_can_fail(made, tmp_path):
    path = squeezed(made, tmp_path)
    result = run("predict", path, folder=made)
    assert result.exit_code == 0
    *_, warning, summary = result.stderr.splitlines()  # first: compilation
    assert warning.startswith("annpot-warning: extrapolation level=high file=")
    words = dict(word.split("=", 1) for word in shlex.split(warning)[2:])
    assert words["n_atoms"] == "24/24"
    assert summary == (
        "annpot-summary: structures=1 extrapolating=1 high=1 percent=100.0 "
        f"worst={path} frame=0 excess={words['excess']}"
    )
    assert result.stdout.splitlines()[1].split()[6] == "high"
    assert (
        run("predict", path, "--fail-on", "extrapolation", folder=made).exit_code == 3
    )


def test_all_findings_go_to_a_file(made, tmp_path):
    path, out = squeezed(made, tmp_path), tmp_path / "w.jsonl"
    quiet = sorted((made / "train").glob("*.xsf"))[1]
    result = run("predict", "--json", "--warnings", out, quiet, path, folder=made)
    assert result.exit_code == 0, result.stderr
    assert f"wrote {out}" in result.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    told = json.loads(result.stdout.splitlines()[1])["extrapolation"]
    where = {"file": str(path), "frame": 0}
    assert lines == [where | finding for finding in told["findings"]]
    assert told["worst"] == max(told["findings"], key=lambda f: f["excess"])
    assert {line["atom"] for line in lines} == set(told["atoms"])
    keys = {"file", "frame", "level", "atom", "species", "kind", "feature", "value"}
    assert set(lines[0]) == keys | {"limit", "min", "max", "excess"}
    # the same without --json, and not a word of those inside
    run("predict", "--warnings", tmp_path / "v.jsonl", quiet, path, folder=made)
    assert (tmp_path / "v.jsonl").read_text() == out.read_text()


def test_lines_on_stderr_are_capped_but_not_in_the_file(made, tmp_path):
    path, out = squeezed(made, tmp_path), tmp_path / "w.jsonl"
    frames = [ase.io.read(path)] * 25
    ase.io.write(tmp_path / "many.extxyz", frames)
    result = run(
        "predict", tmp_path / "many.extxyz", "--warnings", out, folder=made
    ).stderr.splitlines()
    told = [line for line in result if line.startswith("annpot-warning: extrapolation")]
    assert len(told) == 20
    assert "annpot-warning: more structures extrapolate" in result[20]
    assert result[21].startswith(
        "annpot-summary: structures=25 extrapolating=25 high=25 percent=100.0 worst="
    )
    frames = [json.loads(line)["frame"] for line in out.read_text().splitlines()]
    assert sorted(set(frames)) == list(range(25))


def test_what_was_found_before_an_error_is_in_the_file(made, tmp_path):
    path, out = squeezed(made, tmp_path), tmp_path / "w.jsonl"
    out.write_text("old\n")
    options = ["--warnings", out, "--set", "predict.batch_atoms=1"]
    result = run("predict", path, tmp_path / "none.xyz", *options, folder=made)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["file"] for line in lines} == {str(path)}


def test_findings_are_continued_like_the_rest(made, tmp_path):
    path = squeezed(made, tmp_path)
    files = [tmp_path / f"{k}.extxyz" for k in range(3)]
    for file in files:
        shutil.copy(path, file)
    names = "results.txt", "w.jsonl"
    options = ["predict", *files, "--results", names[0], "--warnings", names[1], "-p"]
    options.append(made / "potential.h5")
    assert run(*options, folder=tmp_path).exit_code == 0
    expected = [(tmp_path / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / name).unlink()
    saved = files[2].read_bytes()
    files[2].write_text("not a structure")
    assert run(*options, folder=tmp_path).exit_code == 1
    files[2].write_bytes(saved)
    result = run(*options, "--resume", "auto", folder=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert [(tmp_path / name).read_bytes() for name in names] == expected
    frames = [json.loads(line)["file"] for line in expected[1].splitlines()]
    assert sorted(set(frames)) == [str(file) for file in files]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--warnings", "no/where.jsonl"], 1, "please make the folder first"),
        (["--warnings", "potential.h5"], 2, "'potential.h5': this file is read"),
        (["--warnings", "a.xyz", "-o", "a.xyz"], 2, "need files of their own"),
        (["--training-set", "none.h5"], 1, "'none.h5', the set that 'potential.h5'"),
        (["--training-set", "in.yaml"], 1, "'in.yaml' is not an annpot file"),
    ],
)
def test_wrong_options_about_warnings(made, options, code, message):
    path = sorted((made / "test").glob("*.xsf"))[0]
    result = run("predict", path, *options, folder=made)
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]


def test_a_full_disk_is_named(made, tmp_path):
    path = squeezed(made, tmp_path)
    result = run("predict", path, "--warnings", "/dev/full", folder=made)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(
        "Error: '/dev/full' cannot be written: No space left on device"
    )


def test_training_structures_do_not_extrapolate(made):
    files = sorted((made / "train").glob("*.xsf"))
    levels = [
        json.loads(line)["extrapolation"]["level"]
        for line in run("predict", "--json", *files, folder=made).stdout.splitlines()
    ]
    # all but those that validate
    assert levels.count("none") >= 11


def test_an_unknown_species_is_refused(made, tmp_path):
    path = tmp_path / "s.xsf"
    path.write_text("ATOMS\nTi 0 0 0\nS 0 0 2\n")
    result = run("predict", path, folder=made)
    assert result.exit_code == 1
    assert "atom 1 is S, expected one of Ti, O" in result.stderr


def test_what_other_processes_read_is_the_same(made, monkeypatch):
    files = sorted((made / "test").glob("*.xsf")) * 3
    expected = run("predict", "--json", *files, folder=made).stdout
    monkeypatch.setattr(reading_ahead, "PATIENCE", 0.0)
    monkeypatch.setattr(reading_ahead, "thread_count", lambda: 2)
    assert run("predict", "--json", *files, folder=made).stdout == expected
    bad = run("predict", *files, "bad.xsf", folder=made)
    assert bad.exit_code == 1
    assert "'bad.xsf': no such file" in bad.stderr
    assert bad.stdout.count(".xsf") == len(files)
