"""All attacks: how to make the file, and the commands that read it."""

from __future__ import annotations

import json
import shutil
from typing import NamedTuple

from hostile import hdf5_attacks as hdf5
from hostile import text_attacks as text


class Attack(NamedTuple):
    """A hostile file and a command that meets it."""

    kind: str
    name: str
    make: object
    """Function of a folder with what `conftest.made` made."""
    words: tuple[str, ...]


def in_yaml(content):
    def make(folder):
        raw = content() if callable(content) else content
        raw = raw.encode() if isinstance(raw, str) else raw
        (folder / "in.yaml").write_bytes(raw)

    return make


def in_json(change):
    """Return a maker of a text form of the potential, changed."""

    def make(folder):
        from annpot.format import copying

        copying.copy(folder / "potential.h5", folder / "potential.json")
        path = folder / "potential.json"
        path.write_text(change(path.read_text()))

    return make


def _insert(inner):
    return lambda content: content.replace("{", '{"x": ' + inner() + ",", 1)


JSON = {
    "10^5 levels of lists": _insert(lambda: "[" * 100_000 + "]" * 100_000),
    "10^5 levels of objects": _insert(lambda: '{"a":' * 100_000 + "1" + "}" * 100_000),
    "a number of 10^6 digits": _insert(lambda: "9" * 10**6),
    "10^400": _insert(lambda: "1e400"),
    "NaN": _insert(lambda: "NaN"),
    "a key twice": lambda content: content.replace("{", '{"format": "annpot",', 1),
    "10^6 keys": _insert(
        lambda: "{" + ",".join(f'"k{i}": 1' for i in range(10**6)) + "}"
    ),
    "rows of different length": _insert(lambda: "[[1.0], [1.0, 2.0]]"),
    "lists of nothing": _insert(lambda: "[" + "[]," * 10**5 + "[]]"),
    "10^6 escapes": _insert(lambda: '"' + "\\ud800" * 10**6 + '"'),
    "a name out of the folder": _insert(lambda: '{"../../x": 1}'),
    "cut off": lambda content: content[: len(content) // 2],
    "300 MB": lambda content: content + " " * 300_000_000,
}

PREDICT = "predict", "--files-from", "names"
UNITS = "--units", "bohr,hartree"


def _listed(make):
    """Return a maker that also lists all that it made for predict."""

    def make_all(folder):
        before = set(folder.iterdir())
        make(folder)
        new = sorted(set(folder.iterdir()) - before)
        (folder / "names").write_text("".join(f"{path.name}\n" for path in new))

    return make_all


def _of_hdf5():
    for name, command in (
        (hdf5.SET, ("train", "--epochs", "1")),
        (hdf5.POTENTIAL, ("predict", "test/structure0195.xsf")),
    ):
        for what, make in (hdf5.ATTACKS | hdf5.CONTENT).items():
            if what == "big endian" and name == hdf5.SET:
                continue

            def bound(folder, make=make, name=name):
                make(folder, name)

            yield Attack(f"HDF5, {name}", what, bound, command)
    for what, make in hdf5.SET_ONLY.items():
        yield Attack(f"HDF5, {hdf5.SET}", what, make, ("train", "--epochs", "1"))


def _of_structures():
    for kind, makers in text.STRUCTURES.items():
        for what, make in makers.items():
            words = PREDICT + (UNITS if kind == "input.data" else ())
            yield Attack(kind, what, _listed(make), words)


def _of_convert():
    shapes = {
        "a record of 2 GB": (0x7FFFFFF0).to_bytes(4, "little") * 3,
        "10^12 of everything": b"1000000000000 " * 100,
        "negative": b"-1 " * 100,
        "zeros": bytes(10**6),
    }
    start = (4).to_bytes(4, "little") + (2).to_bytes(4, "little") + bytes([4, 0, 0, 0])
    for what, tail in shapes.items():
        for suffix, head in (
            ("nn", start), ("nn.ascii", b"2\n"),
            ("train", start), ("train.ascii", b"2\n"),
        ):  # fmt: skip
            yield Attack(
                "aenet",
                f".{suffix}, {what}",
                text.write(f"a.{suffix}", head + tail),
                ("convert", f"a.{suffix}", "out.h5", "--from", _NAMES[suffix]),
            )
    lines = {
        "input.nn": "number_of_elements 1000000000000\nelements H\n",
        "input.nn, layers": "number_of_elements 1\nelements H\n"
        "global_hidden_layers_short 1000000000\n",
        "input.nn, 10^5 functions": "number_of_elements 1\nelements H\n"
        + "symfunction_short H 2 H 1.0 0.0 1e300\n" * 100_000,
        "generate.in": "OUTPUT a.train\nTYPES\n1000000000000\nTi -1 \n",
        "train.in": "TRAININGSET a\nNETWORKS\n" + "Ti a 1000000000000 1:x\n",
    }
    for what, content in lines.items():
        name = what.partition(",")[0]
        kind = "n2p2" if name == "input.nn" else "aenet"
        yield Attack(
            kind, what, text.write(name, content), ("convert", name, "out.yaml")
        )


_NAMES = {
    "nn": "aenet",
    "nn.ascii": "aenet-ascii",
    "train": "aenet-train",
    "train.ascii": "aenet-train-ascii",
}


def _names_file(content):
    def make(folder):
        path = folder / "list"
        if isinstance(content, str) and content.startswith("/"):
            path.symlink_to(content)
        else:
            path.write_bytes(content())
        (folder / "in.yaml").write_text(
            "structures: [{files: train, names: list}]\nspecies: [Ti, O]\n"
        )

    return make


def _others():
    generate = ("generate",)
    for what, content in text.YAML.items():
        yield Attack("in.yaml", what, in_yaml(content), generate)
    for what, option in {
        "10^5 levels": "train.hidden=" + "[" * 100_000,
        "aliases": "train.hidden=[&a [1], *a, *a]",
        "10^5 digits": "train.seed=" + "9" * 100_000,
        "a Python object": "train.seed=!!python/name:os.system",
    }.items():
        yield Attack("--set", what, lambda folder: None, ("train", "--set", option))
    for what, change in JSON.items():
        yield Attack(
            "JSON text form",
            what,
            in_json(change),
            ("predict", "-p", "potential.json", "test/structure0195.xsf"),
        )
    for what, content in {
        "/dev/zero": "/dev/zero",
        "10^6 names": lambda: b"".join(b"%d.xsf\n" % i for i in range(10**6)),
        "a name of 50 MB": lambda: b"a" * 50_000_000,
        "a path of 10^5 folders": lambda: b"a/" * 100_000,
    }.items():
        yield Attack("names", what, _names_file(content), generate)
    for what, content in {
        "no character": "a\0b\n",
        "a line of 10^6 letters": "a" * 10**6,
    }.items():
        yield Attack("--files-from", what, text.write("names", content), PREDICT)
    yield Attack(
        "--files-from",
        "/dev/zero",
        lambda folder: (folder / "names").symlink_to("/dev/zero"),
        PREDICT,
    )
    for what, content in {
        "10^5 digits": "# epoch loss\n1 " + "9" * 100_000 + "\n",
        "infinite": "# epoch loss\n" + "1 inf\n" * 3,
        "zeros": "\0" * 10**6,
        "10^6 columns": "# epoch loss" + " x" * 10**6 + "\n1 1\n",
    }.items():
        yield Attack(
            "train.log",
            what,
            text.write("train.log", content),
            ("plot", "learning", "train.log"),
        )
    yield Attack(
        "train.log",
        "/dev/zero",
        lambda folder: _replace_by_link(folder / "train.log", "/dev/zero"),
        ("plot", "learning", "train.log"),
    )
    parity = {
        "10^12 atoms": f"{10**12}\n\nH 0 0 0\n",
        "infinite": "1\nProperties=species:S:1:pos:R:3 energy=inf REF_energy=1\n"
        "H 0 0 0\n",
    }
    for what, content in parity.items():
        yield Attack(
            "predictions",
            what,
            text.write("a.xyz", content),
            ("plot", "parity", "a.xyz"),
        )
    for command in ("check", "info", "convert"):
        words = (command, "fingerprints.h5") + (("x.h5",) * (command == "convert"))
        yield Attack(
            f"HDF5, {command}",
            "external link",
            lambda folder: hdf5.replaced(hdf5.external_link)(folder, hdf5.SET),
            words,
        )


def _replace_by_link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def all_attacks():
    """Yield all attacks."""
    yield from _of_hdf5()
    yield from _others()
    yield from _of_structures()
    yield from _of_convert()


def prepare(made, folder):
    """Copy what a maker starts from."""
    for path in made.iterdir():
        if path.is_dir():
            shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, folder / path.name)


def as_json(outcome):
    """Return an outcome as one line, for tables that are compared."""
    return json.dumps(outcome.__dict__)
