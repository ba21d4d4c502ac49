"""Each parser of annpot as a function of a file, with valid files to start from."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import tarfile
import tempfile
from pathlib import Path

import ase.io
import h5py
import numpy as np
from commands import run
from convert import n2p2_folder

from fuzz.interrupted import of_interrupted
from fuzz.target import Target, command

TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "examples"

XSF = """\
# total energy = -7.5 eV
CRYSTAL
PRIMVEC
 4.0 0.0 0.0
 0.0 4.0 0.0
 0.5 0.0 4.0
PRIMCOORD
3 1
Ti 0.0 0.0 0.0  0.1 0.0 0.0
O  1.9 0.0 0.1 -0.1 0.0 0.1
O  0.0 1.9 0.0  0.0 0.0 -0.1
"""
RUNNER = """\
begin set=train
comment a
lattice 8.0 0.0 0.0
lattice 0.0 8.0 0.0
lattice 0.0 0.0 8.0
atom 0.0 0.0 0.0 Ti 0.0 0.0 0.1 0.0 0.0
atom 3.6 0.0 0.0 O 0.0 0.0 -0.1 0.0 0.0
energy -1.5
charge 0.0
end
"""
PREDICT = """\
TYPES
2
Ti
O

NETWORKS
Ti Ti.nn
O  O.nn
FORCES
FILES
1
a.xsf
"""
SETTINGS = """\
structures:
  - {files: '*.xsf', group: a, weight: 1.5}
species: {Ti: -1.0, O: fit}
descriptor:
  - {radial: {order: 2, cutoff: 3.0}, angular: {order: 1, cutoff: 2.5}}
  - {type: behler, functions: [{type: G2, eta: 0.1, r_s: 1.0, cutoff: 3.0}]}
train: {hidden: [2], members: 2, epochs: 2, time_limit: 1h, memory: 8G}
"""


def structures(**options):
    def read(path):
        from annpot.structures.reading import read_structures

        for _ in read_structures(path, **options):
            pass

    return read


def fingerprints(path):
    """Load a set, its features, and use its geometry."""
    from annpot.checks.sample import load_sample
    from annpot.checks.surroundings import compute_surroundings
    from annpot.fingerprints import load_features

    load_features(path)
    compute_surroundings(load_sample(path))


def settings(path):
    from annpot.settings import load_settings

    load_settings(path, {})


def override(path):
    from annpot.settings import load_settings, read_override

    key, value = read_override(path.read_bytes().decode("utf-8", "replace"))
    load_settings(None, {key: value})


def names(path):
    from annpot.structures.sources import Source, find_files

    (path.parent / "x").mkdir(exist_ok=True)
    for file in ("a.xsf", "x/c.xsf"):
        (path.parent / file).touch()
    find_files(Source(("*.xsf", "x/*.xsf"), names=Path(path.name)), path.parent)


def make_targets(folder):
    """Return the targets; their valid files are made in ``folder``."""
    return [
        *_of_structures(),
        *_of_annpot(folder),
        *_of_aenet(folder),
        *_of_n2p2(folder),
        *_of_predictions(),
        *of_interrupted(folder),
    ]


def _archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for i in range(2):
            member = tarfile.TarInfo(f"folder/{i}.xsf")
            member.size = len(XSF)
            archive.addfile(member, io.BytesIO(XSF.encode()))
    return out.getvalue()


def _written(name, ase_format):
    atoms = ase.Atoms("TiO", [[0, 0, 0], [1.9, 0, 0]], cell=[4, 4, 4], pbc=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        ase.io.write(path, atoms, format=ase_format)
        return path.read_bytes()


def _of_structures():
    from annpot.units import parse_units

    plain, packed = XSF.encode(), gzip.compress(XSF.encode(), mtime=0)
    first, second = plain.partition(b"PRIMVEC")[2], plain.partition(b"PRIMCOORD")[2]
    animated = (
        b"ANIMSTEPS 2\nCRYSTAL\nPRIMVEC"
        + first.replace(b"PRIMCOORD", b"PRIMCOORD 1")
        + b"PRIMCOORD 2"
        + second
    )
    extxyz = (
        b'2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:REF_forces:R:3 '
        b'REF_energy=-1.5 REF_stress="1 0 0 0 1 0 0 0 1" pbc="T T T" note="a b"\n'
        b"Ti 0 0 0 0.1 0 0\nO 1.9 0 0 -0.1 0 0\n"
    )
    units = parse_units("bohr,hartree")
    yield Target("a.xsf", structures(), (plain, animated))
    yield Target("a.xsf.gz", structures(), (packed,))
    yield Target("a.xsf.bz2", structures(), (bz2.compress(XSF.encode()),))
    yield Target("a.xsf.xz", structures(), (lzma.compress(XSF.encode()),))
    yield Target("a.tar", structures(), (_archive(),))
    yield Target("a.tar.gz", structures(), (gzip.compress(_archive(), mtime=0),))
    yield Target("input.data", structures(units=units), (RUNNER.encode() * 2,))
    yield Target("a.xyz", structures(), (extxyz * 2, b"1\n\nH 0 0 0\n"))
    yield Target("a.traj", structures(), (_written("a.traj", "traj"),))
    yield Target("POSCAR", structures(), (_written("POSCAR", "vasp"),))
    yield Target("a.json", structures(format="json"), (_written("a.json", "json"),))
    for name, ase_format in {
        "a.db": "db",
        "a.cif": "cif",
        "a.gen": "gen",
        "a.cfg": "cfg",
        "XDATCAR": "vasp-xdatcar",
    }.items():
        yield Target(name, structures(), (_written(name, ase_format),))
    yield Target("names", names, (b"a.xsf\n# b\nx/c.xsf\n",))


def _of_annpot(folder):
    for i in range(8):
        text = XSF.replace("1.9", f"{1.9 + 0.02 * i:.2f}").replace("7.5", f"7.{i}")
        (folder / f"{i}.xsf").write_text(text)
    (folder / "in.yaml").write_text(
        "structures: '*.xsf'\n"
        "descriptor: {radial: {order: 2, cutoff: 3.0}, weights: aenet,\n"
        "  angular: {order: 1, cutoff: 2.5, radial_order: none}}\n"
        "train: {hidden: [2], members: 1, epochs: 2}\n"
    )
    for words in (
        ("generate",),
        ("train",),
        ("convert", "potential.h5", "potential.json"),
        ("convert", "potential.h5", "potential.h5", "committee.h5"),
        ("convert", "fingerprints.h5", "a.train"),
        ("convert", "fingerprints.h5", "a.train.ascii"),
        ("predict", "-o", "out.xyz", "0.xsf", "1.xsf"),
    ):
        result = run(*words, folder=folder)
        assert result.exit_code == 0, (words, result.stderr)
    predicted = run(
        "predict", "--json", "--set", "predict.forces=true", "0.xsf", folder=folder
    )
    (folder / "out.jsonl").write_text(predicted.stdout)

    def content(name):
        return (folder / name).read_bytes()

    verify = command("info", "--verify", "FILE")
    yield Target("in.yaml", settings, (SETTINGS.encode(), content("in.yaml")))
    yield Target("option", override, (b"train.hidden=[3, 2]", b"species={Ti: -1.0}"))
    yield Target(
        "set.h5", fingerprints, (unlocked(content("fingerprints.h5"), folder),)
    )
    yield Target(
        "p.h5", verify, (unlocked(content("potential.h5"), folder),), slow=True
    )
    yield Target("c.h5", verify, (content("committee.h5"),), slow=True)
    yield Target(
        "p.json", verify, (without_digest(content("potential.json")),), slow=True
    )
    yield Target(
        "train.log",
        command("plot", "learning", "FILE"),
        (content("train.log"),),
        slow=True,
    )
    yield Target(
        "o.xyz", command("plot", "parity", "FILE"), (content("out.xyz"),), slow=True
    )
    yield Target(
        "o.jsonl", command("plot", "parity", "FILE"), (content("out.jsonl"),), slow=True
    )


def without_digest(text):
    """Return a text form without the digest, which would find each change."""
    record = json.loads(text)
    record.pop("sha256", None)
    return json.dumps(record, indent=1).encode()


def unlocked(raw, folder):
    """Return an HDF5 file whose chunks have no checksums, which find each change."""
    path, copy = folder / "locked.h5", folder / "unlocked.h5"
    path.write_bytes(raw)
    with h5py.File(path) as source, h5py.File(copy, "w") as target:
        for key, value in source.attrs.items():
            target.attrs.create(key, value, dtype=source.attrs.get_id(key).dtype)

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                new = target.create_dataset(name, data=np.asarray(item[()]))
            else:
                new = target.require_group(name)
            for key, value in item.attrs.items():
                new.attrs.create(key, value, dtype=item.attrs.get_id(key).dtype)

        source.visititems(visit)
    return copy.read_bytes()


def _convert(source, output):
    return command("convert", "FILE", output, "--from", source)


def _of_aenet(folder):
    for source, name in (
        ("aenet-train", "a.train"),
        ("aenet-train-ascii", "a.train.ascii"),
    ):
        raw = (folder / name).read_bytes()
        yield Target(name, _convert(source, "out.h5"), (raw,), slow=True)
    data = TESTS / "data" / "aenet"
    for name, kind in (("Ti.nn", "2t.nn"), ("Ti.nn.ascii", "pytorch.nn.ascii")):
        other = data / f"O.{kind}"

        def read(path, other=other):
            shutil.copy(other, path.parent / "O.nn")
            command("convert", "FILE", "O.nn", "out.h5")(path)

        yield Target(name, read, ((data / f"Ti.{kind}").read_bytes(),), slow=True)
    known = _convert_all(folder, *data.glob("*.2t.nn"))
    back = command("convert", "FILE", "out.nn", "--from", "json")
    yield Target("from-aenet.json", back, (known,), slow=True)
    inputs = EXAMPLES / "from-aenet"
    to = command("convert", "FILE", "out.yaml", "--from", "aenet-input")
    for name in ("generate.in", "train.in", "Ti.stp"):
        yield Target(name, to, ((inputs / name).read_bytes(),))
    yield Target("predict.in", to, (PREDICT.encode(),))


def _convert_all(folder, *words):
    """Return what annpot makes of a potential of others, as text without a digest."""
    result = run("convert", *words, "known.json", folder=folder)
    assert result.exit_code == 0, result.stderr
    return without_digest((folder / "known.json").read_bytes())


def _of_n2p2(folder):
    example = (EXAMPLES / "from-n2p2" / "input.nn").read_bytes()
    to = command("convert", "FILE", "out.yaml", "--from", "n2p2-input")
    yield Target("input.nn", to, (example, n2p2_folder.INPUT.encode()))
    for name, raw in {
        "weights.001.data": n2p2_folder.weights_text(3, seed=1),
        "scaling.data": n2p2_folder.scaling_text(energies=True),
        "nnp.input": n2p2_folder.INPUT,
    }.items():
        yield Target(name, _potential_folder, (raw.encode(),), slow=True)

    units = ("--units", "bohr,hartree")
    made = n2p2_folder.make_folder(folder / "nnp")
    known = _convert_all(folder, made, *units)
    back = command("convert", "FILE", "out", "--to", "n2p2", "--from", "json", *units)
    yield Target("from-n2p2.json", back, (known,), slow=True)


def _potential_folder(path):
    """Read the file as part of a folder of n2p2."""
    folder = n2p2_folder.make_folder(path.parent / "nnp")
    shutil.copy(path, folder / {"nnp.input": "input.nn"}.get(path.name, path.name))
    command("convert", "nnp", "out.h5", "--units", "bohr,hartree")(path)


def _of_predictions():
    found = sorted((TESTS / "data" / "aenet").glob("*predict*"))
    if found:
        raw = found[0].read_bytes()
        raw = lzma.decompress(raw) if found[0].suffix == ".xz" else raw

        def read(path):
            from annpot.convert.aenet.predictions import read_predictions

            read_predictions(path)

        yield Target("predict.out", read, (raw,))
