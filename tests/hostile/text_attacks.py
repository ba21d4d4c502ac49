"""Hostile texts, archives and structure files."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
import zlib
from contextlib import closing

XSF = (
    "# total energy = -1.0 eV\nCRYSTAL\nPRIMVEC\n{cell}\nPRIMCOORD\n{count} 1\n{atoms}"
)
CELL, ATOM = "5 0 0\n0 5 0\n0 0 5", "H 0 0 0 0 0 0\n"
HUGE = 10**12
XDATCAR = "H\n1.0\n5 0 0\n0 5 0\n0 0 5\nH\n{}\nDirect configuration= 1\n0.5 0.5 0.5\n"


def xsf(cell=CELL, count="1", atoms=ATOM):
    return XSF.format(cell=cell, count=count, atoms=atoms)


def write(name, content):
    """Return an attack that writes a file."""

    def attack(folder):
        raw = content() if callable(content) else content
        (folder / name).write_bytes(raw.encode() if isinstance(raw, str) else raw)

    return attack


def packed(name, unit, times):
    """Return an attack by a packed file that unpacks to ``times`` a text."""

    def attack(folder):
        with (folder / name).open("wb") as file:
            packer = {
                ".gz": lambda: zlib.compressobj(9, wbits=31),
                "bz2": lambda: bz2.BZ2Compressor(9),
                ".xz": lambda: lzma.LZMACompressor(preset=0),
            }[name[-3:]]()
            block = unit * (10**6 // len(unit))
            for _ in range(times * len(unit) // 10**6):
                file.write(packer.compress(block))
            file.write(packer.flush())

    return attack


def tar(name, *members, mode="w:gz"):
    """Return an attack by an archive of members ``(TarInfo changes, content)``."""

    def attack(folder):
        with tarfile.open(folder / name, mode, format=tarfile.GNU_FORMAT) as archive:
            for changes, content in members:
                member = tarfile.TarInfo("a.xsf")
                for key, value in changes.items():
                    setattr(member, key, value)
                if content is not None:
                    member.size = len(content)
                archive.addfile(
                    member, None if content is None else io.BytesIO(content)
                )

    return attack


def header_bomb(kind):
    """Return an attack by a header of an archive that is 2 GB long."""

    def attack(folder):
        member = tarfile.TarInfo("././@LongLink")
        member.type, member.size = kind, 2 * 10**9
        packer = zlib.compressobj(9, wbits=31)
        with (folder / "a.tar.gz").open("wb") as file:
            file.write(packer.compress(member.tobuf(tarfile.GNU_FORMAT)))
            for _ in range(2000):
                file.write(packer.compress(b"a" * 10**6))
            file.write(packer.flush())

    return attack


def many_members(folder):
    block = tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT)
    packer = zlib.compressobj(9, wbits=31)
    with (folder / "a.tar.gz").open("wb") as file:
        for _ in range(3000):
            file.write(packer.compress(block * 1000))
        file.write(packer.flush())


def claimed(size):
    """Return an attack by a member that says it is larger than the archive."""

    def attack(folder):
        member = tarfile.TarInfo("a.xsf")
        member.size = size
        (folder / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)

    return attack


def sparse(folder):
    member = tarfile.TarInfo("a.xsf")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"00000000000\0", b"00000001000\0"
    header[483:495] = b"04000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (folder / "a.tar").write_bytes(bytes(header) + b"x" * 512 + bytes(1024))


def link(target):
    def attack(folder):
        (folder / "a.xsf").symlink_to(target)

    return attack


def fifo(folder):
    os.mkfifo(folder / "a.xsf")


def traj(header, size=1000):
    """Return an attack by a file in ASE's ULM format with such a header."""

    def attack(folder):
        text = json.dumps(header).encode()
        start = b"- of Ulm" + b"ASE-Trajectory".ljust(16)
        numbers = [3, 1, 48]
        raw = start + b"".join(n.to_bytes(8, "little") for n in numbers)
        raw += (56 + 0).to_bytes(8, "little") + len(text).to_bytes(8, "little") + text
        (folder / "a.traj").write_bytes(raw + b"\0" * size)

    return attack


def database(folder):
    """A database whose table of structures is an endless computation."""
    with closing(sqlite3.connect(folder / "a.db")) as found, found:
        found.execute(
            "create view systems as with recursive n(id) as (select 1 union all "
            "select id + 1 from n) select id from n"
        )
        found.execute("create table information (name text, value text)")
        found.execute("insert into information values ('version', '9')")


def broken_database(folder):
    """A database of which SQLite tells all that is wrong, in several lines."""
    path = folder / "a.db"
    with closing(sqlite3.connect(path)) as found, found:
        found.execute("create table systems (id, -- a number\n natoms)")
    path.write_bytes(path.read_bytes().replace(b"-- a", b'"- a'))


PICKLE = b"PickleTrajectory" + b"cos\nsystem\n(S'touch harmed'\ntR."
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    + "]><modeling>&a9;</modeling>"
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    "<modeling>&e;</modeling>"
)

STRUCTURES = {
    "XSF": {
        "10^12 atoms": write("a.xsf", xsf(count=str(HUGE))),
        "a number of 10^5 digits": write("a.xsf", xsf(count="9" * 100_000)),
        "-1 atoms": write("a.xsf", xsf(count="-1")),
        "0 atoms": write("a.xsf", xsf(count="0", atoms="")),
        "10^12 structures": write("a.xsf", f"ANIMSTEPS {HUGE}\n" + xsf()),
        "NaN cell": write("a.xsf", xsf(cell="nan 0 0\n0 5 0\n0 0 5")),
        "infinite cell": write("a.xsf", xsf(cell="inf 0 0\n0 5 0\n0 0 5")),
        "cell of 0.01 angstrom": write("a.xsf", xsf(cell=".01 0 0\n0 .01 0\n0 0 .01")),
        "needle cell": write("a.xsf", xsf(cell="1e7 0 0\n0 .2 0\n0 0 .2")),
        "skewed cell": write("a.xsf", xsf(cell="5 0 0\n1e7 5 0\n0 0 5")),
        "cells of 0.2 angstrom": write(
            "a.xsf", xsf(cell=".2 0 0\n0 .2 0\n0 0 .2")
        ),
        "NaN position": write("a.xsf", xsf(atoms="H nan 0 0\n")),
        "a line of 50 MB": write("a.xsf", lambda: xsf() + "#" + "x" * 50_000_000),
        "10^7 empty lines": write("a.xsf", lambda: "\n" * 10**7),
        "5 million keywords": write("a.xsf", lambda: "CRYSTAL\n" * 5_000_000),
        "zeros": write("a.xsf", lambda: bytes(10**7)),
        "random bytes": write("a.xsf", lambda: os.urandom(10**6)),
        "/dev/zero": link("/dev/zero"),
        "/dev/random": link("/dev/random"),
        "a pipe": fifo,
        "a link to itself": link("a.xsf"),
    },
    "packed XSF": {
        ".gz, 4 GB of zeros": packed("a.xsf.gz", b"\0", 4 * 10**9),
        ".gz, 4 GB of blanks": packed("a.xsf.gz", b" ", 4 * 10**9),
        ".gz, 2 GB of atoms": packed("a.xsf.gz", b"H 0 0 0\n", 25 * 10**7),
        ".bz2, 4 GB of zeros": packed("a.xsf.bz2", b"\0", 4 * 10**9),
        ".xz, 2 GB of zeros": packed("a.xsf.xz", b"\0", 2 * 10**9),
        ".gz in .gz": write("a.xsf.gz", lambda: gzip.compress(gzip.compress(b"x"))),
        ".gz cut off": write("a.xsf.gz", lambda: gzip.compress(b"x" * 10**6)[:500]),
    },
    "archive": {
        "a member of 8 TB": claimed(8 * 10**12),
        "a member of 900 MB, not there": claimed(9 * 10**8),
        "a member of -1 byte": claimed(-1),
        "a file with holes": sparse,
        "a symbolic link": tar(
            "a.tar.gz", ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, None)
        ),
        "a hard link": tar(
            "a.tar.gz", ({"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, None)
        ),
        "a link to itself": tar(
            "a.tar.gz", ({"type": tarfile.SYMTYPE, "linkname": "a.xsf"}, None)
        ),
        "a device": tar("a.tar.gz", ({"type": tarfile.CHRTYPE, "devmajor": 1}, None)),
        "a pipe": tar("a.tar.gz", ({"type": tarfile.FIFOTYPE}, None)),
        "a name out of the folder": tar(
            "a.tar.gz", ({"name": "../../../../tmp/harmed.xsf"}, b"x")
        ),
        "3 million members": many_members,
        "a name of 2 GB": header_bomb(tarfile.GNUTYPE_LONGNAME),
        "a PAX header of 2 GB": header_bomb(tarfile.XHDTYPE),
        "2 GB of zeros": packed("a.tar.gz", b"\0", 2 * 10**9),
        "an archive in itself": write("a.tar.gz", lambda: gzip.compress(b"\x1f\x8b")),
    },
    "extended XYZ": {
        "10^12 atoms": write("a.xyz", f"{HUGE}\n\nH 0 0 0\n"),
        "-1 atoms": write("a.xyz", "-1\n\nH 0 0 0\n"),
        "10^18 columns": write(
            "a.xyz", f"1\nProperties=species:S:1:pos:R:3:x:R:{10**18}\nH 0 0 0\n"
        ),
        "-10^9 columns": write(
            "a.xyz", f"1\nProperties=species:S:1:pos:R:3:x:R:-{10**9}\nH 0 0 0\n"
        ),
        "a Python expression": write(
            "a.xyz",
            "1\nProperties=species:S:1:pos:R:3 energy=__import__('os').system('touch "
            "harmed')\nH 0 0 0\n",
        ),
        "JSON 10^4 deep": write(
            "a.xyz",
            "1\nProperties=species:S:1:pos:R:3 energy=-1 x=_JSON "
            + "[" * 10_000 + "\nH 0 0 0\n",
        ),
        "a comment of 10^5 quotes": write(
            "a.xyz", lambda: "1\n" + '"' * 100_000 + "\nH 0 0 0\n"
        ),
        "a comment of 10^5 keys": write(
            "a.xyz", lambda: "1\n" + "a=" * 100_000 + "\nH 0 0 0\n"
        ),
        "a comment of 10^5 braces": write(
            "a.xyz", lambda: "1\nx=" + "{" * 100_000 + "\nH 0 0 0\n"
        ),
        "a comment of 10^5 backslashes": write(
            "a.xyz", lambda: '1\nx="' + "\\" * 100_000 + "\nH 0 0 0\n"
        ),
        "NaN cell": write(
            "a.xyz",
            '1\nLattice="nan 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 energy=-1'
            "\nH 0 0 0\n",
        ),
        "infinite stress": write(
            "a.xyz",
            '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 energy=-1 '
            'stress="inf 0 0 0 1 0 0 0 1"\nTi 0 0 0\n',
        ),
        "energy of 10^5 digits": write(
            "a.xyz",
            "1\nProperties=species:S:1:pos:R:3 energy=" + "9" * 100_000 + "\nH 0 0 0\n",
        ),
        ".gz, 4 GB of zeros": packed("a.xyz.gz", b"\0", 4 * 10**9),
    },
    "formats of ASE": {
        "a pickle": write("a.traj", PICKLE),
        "a pickle by another name": write("a.dat", PICKLE),
        ".traj of 10^12 numbers": traj(
            {"version": 1, "pbc": [1] * 3, "numbers.": {"ndarray": [[HUGE], "i8", 0]}}
        ),
        ".traj without end": traj({"a": "x"}, 0),
        ".db without end": database,
        ".db, wrong tables": broken_database,
        ".db, no database": write("a.db", b"SQLite format 3\0" + bytes(1000)),
        ".json 10^5 deep": write("a.json", "[" * 100_000),
        ".json of 10^12 numbers": write(
            "a.json",
            '{"1": {"numbers": {"__ndarray__": [[1000000000000], "int64", []]}}, '
            '"ids": [1], "nextid": 2}',
        ),
        "vasprun.xml, a billion laughs": write("vasprun.xml", LAUGHS),
        "vasprun.xml, another file": write("vasprun.xml", OUTSIDE),
        "POSCAR of 10^9 atoms": write(
            "POSCAR", f"H\n1.0\n5 0 0\n0 5 0\n0 0 5\nH\n{10**9}\nDirect\n0 0 0\n"
        ),
        "POSCAR.gz, 4 GB of zeros": packed("POSCAR.gz", b"\0", 4 * 10**9),
        "CIF.gz, 4 GB of blanks": packed("a.cif.gz", b" ", 4 * 10**9),
        "cube of 10^9 atoms": write("a.cube", f"\n\n{10**9} 0 0 0\n" + "1 1 0 0\n" * 3),
        "gen of 10^9 atoms": write("a.gen", f"{10**9} C\nH\n1 1 0 0 0\n"),
        "POSCAR of 1_000_000_000_000 atoms": write(
            "POSCAR", f"H\n1.0\n5 0 0\n0 5 0\n0 0 5\nH\n{HUGE:_}\nDirect\n0 0 0\n"
        ),
        "XDATCAR of 10^12 atoms": write("XDATCAR", XDATCAR.format(HUGE)),
        "XDATCAR, 10^12 atoms later": write(
            "XDATCAR", XDATCAR.format(1) + XDATCAR.format(HUGE)
        ),
        "POSCAR of 10^12 atoms": write(
            "POSCAR", f"H\n1.0\n5 0 0\n0 5 0\n0 0 5\nH\n{HUGE}\nDirect\n0 0 0\n"
        ),
        "CIF of 10^5 loops": write("a.cif", lambda: "data_x\n" + "loop_\n" * 100_000),
        "cube of 10^12 atoms": write("a.cube", f"\n\n{HUGE} 0 0 0\n" + "1 1 0 0\n" * 3),
        "a folder as bundle": write("a.bundle", "x"),
        "Python": write(
            "a.py", "import os\nos.system('touch harmed')\n"
        ),
    },
    "input.data": {
        "no end": write("input.data", lambda: "begin\n" + "comment x\n" * 500_000),
        "10^6 lattices": write(
            "input.data", lambda: "begin\n" + "lattice 1 0 0\n" * 10**6
        ),
        "NaN": write(
            "input.data", "begin\natom nan 0 0 H 0 0 0 0 0\nenergy -1\nend\n"
        ),
        "a number of 10^5 digits": write(
            "input.data", f"begin\natom {'9' * 10**5} 0 0 H 0 0 0 0 0\nenergy -1\nend\n"
        ),
        "cell of 10^-3": write(
            "input.data",
            "begin\n" + "lattice 1e-3 0 0\nlattice 0 1e-3 0\nlattice 0 0 1e-3\n"
            + "atom 0 0 0 H 0 0 0 0 0\nenergy -1\nend\n",
        ),
        "half a million structures of nothing": write(
            "input.data", lambda: "begin\nend\n" * 500_000
        ),
        ".gz, 4 GB of zeros": packed("input.data.gz", b"\0", 4 * 10**9),
    },
}  # fmt: skip
"""Functions of a folder, by kind of file and by what is special."""

ALIASES = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n"
    for i in range(1, 40)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]}}\n"
    for i in range(1, 40)
)

YAML = {
    "aliases of aliases": ALIASES,
    "merge keys of merge keys": MERGES,
    "an alias of itself": "structures: &a [*a]\n",
    "10^5 levels": lambda: "structures: " + "[" * 100_000,
    "10^5 levels of keys": lambda: "{a: " * 100_000,
    "10^4 levels of lines": lambda: "\n".join(" " * i + "a:" for i in range(10_000)),
    "a Python object": "structures: !!python/object/apply:os.system ['touch harmed']\n",
    "a Python name": "structures: !!python/name:os.system\n",
    "a tag of 10^5 letters": "structures: !" + "x" * 100_000 + " a\n",
    "an integer of 10^5 digits": "train: {seed: " + "9" * 100_000 + "}\n",
    "a float of 10^5 digits": "train: {l2: 0." + "9" * 100_000 + "}\n",
    "an integer of base 60": "train: {seed: " + "1:" * 50_000 + "1}\n",
    "epochs 10^300": "structures: '*.xsf'\ntrain: {epochs: 1" + "0" * 300 + "}\n",
    "10^6 values": lambda: "structures: [" + "a," * 10**6 + "]\n",
    "10^6 keys": lambda: "".join(f"k{i}: 1\n" for i in range(10**6)),
    "10^5 anchors": lambda: "".join(f"- &a{i} x\n" for i in range(10**5)),
    "10^5 documents": lambda: "---\na: 1\n" * 100_000,
    "10^5 comments": lambda: "#\n" * 10**6,
    "10 MB of one word": lambda: "a" * 9_999_999,
    "11 MB": lambda: "#" * 11_000_000,
    "the same key 10^5 times": lambda: "species: [H]\n" * 100_000,
    "orders of 10^12": "structures: '*.xsf'\n"
    "descriptor: {radial: {order: 1000000000000}}\n",
    "hidden layers of 10^12": "train: {hidden: [1000000000000]}\n",
    "hidden layers of 10^9, 10^6 times": lambda: "train: {hidden: ["
    + "1000000000," * 10**5 + "1]}\n",
    "memory of 10^300": "train: {memory: 1" + "0" * 300 + "G}\n",
    "a glob of 10^4 stars": "structures: '" + "*" * 10_000 + "/x'\n",
    "zeros": bytes(10**6),
    "UTF-16": "structures: a".encode("utf-16"),
    "control characters": "structures: \x1b[31m\n",
}  # fmt: skip
"""Texts of in.yaml."""
