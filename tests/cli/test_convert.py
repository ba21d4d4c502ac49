"""The command convert: every format in and out, and what it says when it cannot."""

import json
import lzma
import shutil
from dataclasses import replace

import n2p2_files
import numpy as np
import pytest
from aenet_files import DATA
from commands import run

from annpot import Potential
from annpot.convert import sets
from annpot.convert.structure_files import write_structures
from annpot.descriptors.chebyshev import Chebyshev
from annpot.structures.reading import read_structures

AENET = [DATA / f"{symbol}.15t-15t.nn" for symbol in ("Ti", "O")]
CRYSTAL = DATA / "structures" / "structure1067.xsf"
E_COSINE, E_LEGACY = -47.2204829, -47.9050711
"""Cohesive energies of the crystal in eV: of predict.x, and with the old argument."""


def convert(*arguments, folder, exit_code=0):
    """Return the result of a conversion that ends with an exit code."""
    result = run("convert", *arguments, folder=folder)
    assert result.exit_code == exit_code, result.stderr
    assert not list(folder.glob(".annpot-*"))
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with a potential of aenet, one of n2p2, and a committee."""
    folder = tmp_path_factory.mktemp("work")
    convert(*AENET, "potential.h5", folder=folder)
    cases = n2p2_files.read_archive(n2p2_files.DATA)
    n2p2_files.write_files(cases["norm_atom_energy"], folder / "nnp")
    convert("nnp", "n2p2.h5", "--units", "bohr,hartree", folder=folder)
    convert("potential.h5", *AENET, "committee.h5", folder=folder)
    shutil.copy(folder / "potential.h5", folder / "potential2.h5")
    return folder


def test_there_and_back(work):
    convert("potential.h5", "potential.json", folder=work)
    convert("potential.json", "again.h5", folder=work)
    assert (work / "again.h5").read_bytes() == (work / "potential.h5").read_bytes()
    result = convert("potential.json", "new.nn", folder=work)
    assert "Ti.new.nn, O.new.nn" in result.stdout
    assert "read back and compared on 3 structures" in result.stdout
    for path in AENET:
        new = work / f"{path.name.split('.')[0]}.new.nn"
        assert new.read_bytes() == path.read_bytes()
    convert("potential.h5", "new.nn.ascii", folder=work)
    assert (work / "Ti.new.nn.ascii").read_text().split()[:2] == ["4", "44"]


def test_other_records(work):
    convert("potential.h5", "big.nn", "--records", "big8", folder=work)
    assert (work / "O.big.nn").read_bytes()[:12] == bytes([*7 * [0], 4, 0, 0, 0, 4])
    convert("Ti.big.nn", "O.big.nn", "from_big.h5", folder=work)
    convert("from_big.h5", "little.nn", folder=work)
    assert (work / "O.little.nn").read_bytes() == AENET[1].read_bytes()


def test_json_report(work):
    result = convert(
        "potential.h5", "x.json", "--check", CRYSTAL, "--json", folder=work
    )
    record = json.loads(result.stdout)
    assert record["source"] == "annpot"
    assert record["target"] == "json"
    assert record["files"] == ["x.json"]
    assert record["difference"] == {"n_structures": 4, "energy": 0.0, "force": 0.0}
    assert record["published"] is None


def test_published_energies_of_predict_x(work):
    output = work / "predict.out"
    output.write_bytes(lzma.decompress((DATA / "15t-15t.predict.out.xz").read_bytes()))
    result = convert(*AENET, "x.h5", "--check", "predict.out", "--json", folder=work)
    record = json.loads(result.stdout)
    assert record["published"]["energy"] < 1e-11
    assert record["published"]["force"] < 1e-10
    assert record["difference"]["n_structures"] == 23


def is_legacy(path):
    (part,) = Potential.load(path).descriptor.parts
    assert isinstance(part, Chebyshev)
    return part.angular_s[0].legacy


def test_a_published_energy_tells_the_angular_argument(work):
    check = "--check", f"{CRYSTAL}={E_COSINE}"
    result = convert(*AENET, "cosine.h5", *check, folder=work)
    assert "published energies differ by up to" in result.stdout
    assert not is_legacy(work / "cosine.h5")
    check = "--check", f"{CRYSTAL}={E_LEGACY}"
    result = convert(*AENET, "legacy.h5", *check, folder=work)
    assert "note: the published energies are those of the angular arg" in result.stderr
    assert is_legacy(work / "legacy.h5")
    argument = "--aenet-angular", "legacy"
    convert(*AENET, "given.h5", *argument, folder=work)
    assert is_legacy(work / "given.h5")
    result = convert("legacy.h5", "x.nn", folder=work, exit_code=1)
    assert "please give --aenet-angular legacy" in result.stderr
    convert("legacy.h5", "x.nn", *argument, folder=work)
    assert (work / "Ti.x.nn").read_bytes() == AENET[0].read_bytes()


def test_reference_energies_make_an_old_potential_suspicious(work):
    reference = next(read_structures(CRYSTAL))
    free = 2 * -1604.604515075 + 4 * -432.503149303
    text = CRYSTAL.read_text()
    near = text.replace(repr(reference.energy)[:12], f"{free + E_LEGACY + 0.01:.6f}")
    assert near != text
    (work / "near.xsf").write_text(near)
    result = convert(*AENET, "x.h5", "--check", "near.xsf", folder=work)
    assert "is this potential that old?" in result.stderr


def test_n2p2_there_and_back(work):
    units = "--units", "bohr,hartree"
    convert("n2p2.h5", "out", "--to", "n2p2", *units, folder=work)
    convert("out", "n2p2.json", *units, folder=work)
    convert("n2p2.json", "out2", "--to", "n2p2", *units, folder=work)
    names = {path.name for path in (work / "out").iterdir()}
    assert names > {"input.nn", "scaling.data", "weights.001.data"}
    for name in names:
        assert (work / "out" / name).read_text() == (work / "out2" / name).read_text()


def test_units_that_annpot_wrote_need_not_be_given(work):
    units = "--units", "bohr,hartree"
    convert("n2p2.h5", "stated", "--to", "n2p2", *units, folder=work)
    convert("stated", "given.json", *units, folder=work)
    convert("stated", "stated.json", folder=work)
    given, stated = (
        json.loads((work / f"{name}.json").read_text()) for name in ("given", "stated")
    )
    assert given["sha256"] == stated["sha256"]
    other = "--units", "angstrom,ev"
    result = convert("stated", "x.json", *other, folder=work, exit_code=2)
    assert "says that its units are bohr,hartree" in result.stderr
    path = work / "stated" / "input.nn"
    path.write_text(path.read_text().replace("bohr,hartree", "parsec,ev", 1))
    result = convert("stated", "x.json", folder=work, exit_code=1)
    assert "input.nn', '# Units:': units: 'parsec' is unknown" in result.stderr


def test_many_structures_to_check(work):
    pattern = DATA / "structures" / "structure1*.xsf"
    for where, count in ((pattern, 5), (DATA / "structures", 20)):
        result = convert(
            "potential.h5", "x.json", "--check", where, "--json", folder=work
        )
        record = json.loads(result.stdout)
        assert record["difference"]["n_structures"] == 3 + count
        assert record["published"] is None


def test_committee_and_its_members(work):
    convert("committee.h5", "member.h5", "--member", 0, folder=work)
    assert run("info", "member.h5", "--verify", folder=work).exit_code == 0
    original, member = (
        json.loads(run("info", name, "--json", folder=work).stdout)["sha256"]
        for name in ("potential.h5", "member.h5")
    )
    assert original == member
    convert("committee.h5", "committee.json", folder=work)
    convert("committee.json", "x.h5", folder=work)
    assert (work / "x.h5").read_bytes() == (work / "committee.h5").read_bytes()
    convert("committee.h5", "x.nn", "--member", 1, folder=work)
    assert (work / "O.x.nn").read_bytes() == AENET[1].read_bytes()


def test_structures_there_and_back(made, tmp_path):
    units = "--units", "bohr,hartree"
    files = sorted((made / "test").glob("*.xsf"))
    convert(*files, "all.data", *units, folder=tmp_path)
    convert("all.data", "all.extxyz", *units, folder=tmp_path)
    result = convert("all.data", "xsf", "--to", "xsf", *units, folder=tmp_path)
    assert "xsf" in result.stdout
    for found in (
        list(read_structures(tmp_path / "all.extxyz")),
        [next(read_structures(p)) for p in sorted((tmp_path / "xsf").iterdir())],
    ):
        for path, structure in zip(files, found, strict=True):
            original = next(read_structures(path))
            assert structure.symbols == original.symbols
            assert structure.energy == pytest.approx(original.energy, rel=1e-14)
            np.testing.assert_allclose(
                structure.positions_nc, original.positions_nc, rtol=0, atol=1e-13
            )
            np.testing.assert_allclose(
                structure.forces_nc, original.forces_nc, rtol=1e-13, atol=1e-15
            )


def test_structures_that_are_written_wrong_are_not_left(made, tmp_path, monkeypatch):
    def write(structures, *arguments):
        moved = (replace(s, positions_nc=s.positions_nc + 1e-6) for s in structures)
        return write_structures(moved, *arguments)

    monkeypatch.setattr(sets, "write_structures", write)
    files = sorted((made / "test").glob("*.xsf"))
    for source in (files, [made / "fingerprints.h5"]):
        result = convert(*source, "x.extxyz", folder=tmp_path, exit_code=1)
        assert "'x.extxyz', structure 0: read back, numbers differ" in result.stderr
        assert not list(tmp_path.iterdir())


def test_sets_there_and_back(work, tmp_path):
    shutil.copytree(DATA / "structures", tmp_path / "structures")
    (tmp_path / "in.yaml").write_text(
        "structures: structures/*.xsf\nspecies: {Ti: -1604.6, O: -432.5}\n"
        "descriptor: {weights: aenet, radial: {order: 3, cutoff: 5},\n"
        "  angular: {order: 2, cutoff: 4, radial_order: none}}\n"
    )
    assert run("generate", folder=tmp_path).exit_code == 0
    convert("fingerprints.h5", "set.train", folder=tmp_path)
    convert("set.train", "again.h5", folder=tmp_path)
    convert("again.h5", "again.train", folder=tmp_path)
    first = (tmp_path / "set.train").read_bytes()
    assert (tmp_path / "again.train").read_bytes() == first
    convert("fingerprints.h5", "set.train.ascii", folder=tmp_path)
    convert("fingerprints.h5", "set.extxyz", folder=tmp_path)
    assert len(list(read_structures(tmp_path / "set.extxyz"))) == 20
    (tmp_path / "structures").rename(tmp_path / "elsewhere")
    result = convert("set.train", "x.h5", folder=tmp_path, exit_code=1)
    assert "please give --structures" in result.stderr
    where = "--structures", "elsewhere"
    result = convert("set.train", "x.h5", *where, folder=tmp_path)
    assert "features differ from those in 'set.train' by up to" in result.stderr


def test_inputs_become_settings(work):
    result = convert("nnp/input.nn", "n.yaml", "--units", "bohr,hartree", folder=work)
    assert (
        "an input.nn of n2p2 or RuNNer -> settings of annpot: n.yaml" in result.stdout
    )
    assert "type: behler" in (work / "n.yaml").read_text()


WRONG = {
    "one name": ("potential.h5", 2, "IN... and OUT expected"),
    "no such file": ("none.h5 x.json", 2, "'none.h5' cannot be read: No such file"),
    "OUT is IN": ("potential.h5 potential.h5", 2, "output 'potential.h5'"),
    "no format": ("potential.h5 x", 2, "please give --to annpot, json, aenet"),
    "unknown --to": ("potential.h5 x --to aenett", 2, "did you mean 'aenet'?"),
    "unknown --from": ("potential.h5 x.h5 --from hdf", 2, "--from 'hdf': expected one"),
    "wrong --from": ("potential.h5 x.h5 --from aenet", 1, "'potential.h5'"),
    "no units": ("nnp x.h5", 2, "'nnp' does not say its units"),
    "no units to write": ("n2p2.h5 x --to n2p2", 2, "'x' does not say its units"),
    "unknown units": ("nnp x.h5 --units bohr,ha", 2, "units: 'ha' is unknown"),
    "no units of inputs": ("nnp/input.nn x.yaml", 2, "does not say its units"),
    "other species": ("potential.h5 n2p2.h5 x.h5", 1, "member 1 of the committee"),
    "no member": ("committee.h5 x.h5 --member 2", 2, "there are members 0 to 1"),
    "a single one": ("potential.h5 x.h5 --member 1", 2, "a single potential"),
    "committee": ("committee.h5 x.nn", 1, "please give --mean"),
    "the mean of one": ("potential.h5 x.h5 --mean", 2, "a single potential"),
    "mean and member": ("committee.h5 x.h5 --mean --member 0", 2, "exclude each"),
    "not expressible": ("potential.h5 x --to n2p2 --units bohr,hartree", 1, "behler"),
    "not of a kind": ("potential.h5 nnp/input.nn x.h5", 2, "do not belong together"),
    "no settings": ("nnp/input.nn x.h5 --units bohr,ev", 2, "expected yaml"),
    "no potential": (f"{CRYSTAL} x.nn", 2, "is no potential, training set or"),
    "no folder": ("potential.h5 none/x.json", 1, "please make the folder first"),
    "text suffix": ("potential.h5 x.txt --to json", 2, "expected a name with .json"),
    "published": (f"potential.h5 x.json --check {CRYSTAL}=3a", 2, "'3a' is no number"),
    "idle check": (f"{CRYSTAL} x.xyz --check a", 2, "--check has no effect when"),
    "idle member": (f"{CRYSTAL} x.xyz --member 0", 2, "--member has no effect when"),
    "idle mean": (f"{CRYSTAL} x.xyz --mean", 2, "--mean has no effect when"),
    "idle argument": ("n2p2.h5 x.json --aenet-angular legacy", 2, "--aenet-angular"),
    "idle folder": ("potential.h5 x.json --structures .", 2, "--structures has no"),
    "idle records": ("potential.h5 x.json --records big8", 2, "--records has no"),
    "one file of two": (f"{AENET[0]} x.h5", 1, "species, then OUT"),
    "a potential as settings": ("potential.h5 x.yaml", 2, "a potential becomes a pot"),
    "a potential as a set": ("potential.h5 x.train", 2, "a potential becomes a pot"),
    "a potential as structures": (
        "nnp x.xyz --units bohr,ev",
        2,
        "becomes a potential",
    ),
    "OUT forgotten": (
        "potential.h5 committee.h5 potential2.h5",
        2,
        "'potential2.h5' is a potential, which would be replaced: please choose",
    ),
}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"), WRONG.values(), ids=WRONG
)
def test_errors(work, arguments, exit_code, message):
    before = set(work.rglob("*"))
    result = convert(*arguments.split(), folder=work, exit_code=exit_code)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1 or "Usage" in result.stderr
    assert set(work.rglob("*")) == before


def test_names_of_files_for_aenet(work):
    result = convert("potential.h5", "O.named.nn", folder=work)
    assert "Ti.named.nn, O.named.nn" in result.stdout
    (work / "folder").mkdir()
    convert("potential.h5", "folder", "--to", "aenet", folder=work)
    convert("potential.h5", "folder", "--to", "aenet-ascii", folder=work)
    names = {path.name for path in (work / "folder").iterdir()}
    assert names == {"Ti.nn", "O.nn", "Ti.nn.ascii", "O.nn.ascii"}
    assert (work / "folder" / "Ti.nn").read_bytes() == AENET[0].read_bytes()


def test_a_committee_replaces_a_committee(work):
    shutil.copy(work / "committee.h5", work / "old.h5")
    convert("potential.h5", "potential2.h5", "old.h5", folder=work)
    convert("potential.h5", "potential2.h5", "old.h5", folder=work)


def test_energies_of_another_potential_are_noted(work):
    check = "--check", f"{CRYSTAL}={E_COSINE}", "--aenet-angular", "legacy"
    result = convert(*AENET, "x3.h5", *check, folder=work)
    assert "note: the published energies are not those of this" in result.stderr


def test_weights_of_a_training_are_named(work):
    folder = work / "trained"
    shutil.copytree(work / "nnp", folder)
    (folder / "weights.001.data").rename(folder / "weights.001.000010.out")
    shutil.copy(folder / "weights.001.000010.out", folder / "weights.001.000002.out")
    units = "--units", "bohr,hartree"
    result = convert("trained", "x4.h5", *units, folder=work, exit_code=1)
    assert "one of weights.001.000002.out to weights.001.000010.out" in result.stderr


def test_energies_that_tell_nothing(work):
    check = "--check", f"{CRYSTAL}=-50"
    result = convert(*AENET, "x2.h5", *check, folder=work, exit_code=2)
    assert "do not tell the argument of the angular polynomials" in result.stderr
    assert not (work / "x2.h5").exists()
