"""Hostile changes of a fingerprint set or a potential."""

from __future__ import annotations

import os
import zlib

import h5py
import numpy as np

SET, POTENTIAL = "fingerprints.h5", "potential.h5"
PLACE = {SET: "structures/positions", POTENTIAL: "reference_energies"}


def changed(change):
    """Return an attack that edits both files by ``change(file, name of a dataset)``."""

    def attack(folder, name):
        with h5py.File(folder / name, "a") as file:
            change(file, PLACE[name])

    return attack


def replaced(make):
    """Return an attack that puts something in place of a dataset."""

    def change(file, place):
        group, name = place.rpartition("/")[::2]
        del file[place]
        make(file[group or "/"], name)

    return changed(change)


def external_link(group, name):
    group[name] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(group, name):
    group[name] = h5py.SoftLink("/settings")


def dangling_link(group, name):
    group[name] = h5py.SoftLink("/nowhere")


def external_storage(group, name):
    group.create_dataset(name, (2,), "f8", external=[("/etc/passwd", 0, 16)])


def virtual(group, name):
    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2,))
    group.create_virtual_dataset(name, layout)


def absurd_shape(group, name):
    group.create_dataset(name, (2**40, 3), "f8", chunks=(1024, 3))


def absurd_contiguous(group, name):
    group.create_dataset(name, (2**40,), "f8")


def absurd_rank(group, name):
    group.create_dataset(name, (1,) * 30, "f8")


def absurd_chunk(group, name):
    group.create_dataset(name, (2**28,), "f8", chunks=(2**28,))


def many_small(group, name):
    for i in range(300):
        group.create_dataset(f"{name} {i}", (2**22,), "f8", chunks=(1024,))


def no_value(group, name):
    group[name] = h5py.Empty("f8")


def compound(group, name):
    group[name] = np.zeros(2, [("a", "f8"), ("b", "i4")])


def variable_length(group, name):
    rows = group.create_dataset(name, (2,), h5py.vlen_dtype("f8"))
    rows[0] = np.zeros(3)


def variable_text(group, name):
    group[name] = ["a", "bc"]


def reference(group, name):
    group.create_dataset(name, (2,), h5py.ref_dtype)


def region(group, name):
    group.create_dataset(name, (2,), h5py.regionref_dtype)


def opaque(group, name):
    group[name] = np.zeros(2, np.void(b"1234").dtype)


def enumeration(group, name):
    group.create_dataset(name, (2,), h5py.enum_dtype({"A": 1}, basetype="i4"))


def committed(group, name):
    group[name] = np.dtype("f8")


def is_group(group, name):
    group.create_group(name)


def complex_(group, name):
    group[name] = np.zeros(2, complex)


def big_endian(group, name):
    group[name] = np.zeros(2, ">f8")


def unknown_filter(group, name):
    group.create_dataset(name, (64,), "f8", chunks=(64,), compression="lzf")


def bomb(size):
    """Return an attack by a chunk that unpacks to ``size`` MB, not to 64 kB."""

    def make(group, name):
        rows = group.create_dataset(
            name, (8192,), "f8", chunks=(8192,), compression="gzip"
        )
        packer, zeros = zlib.compressobj(9), bytes(10**6)
        parts = [packer.compress(zeros) for _ in range(size)]
        rows.id.write_direct_chunk((0,), b"".join(parts) + packer.flush())

    return make


def packed_twice(group, name):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((64,))
    properties.set_deflate(9)
    properties.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
    space = h5py.h5s.create_simple((64,))
    h5py.h5d.create(
        group.id, name.encode(), h5py.h5t.IEEE_F64LE, space, dcpl=properties
    )


def cycle(file, place):
    file["again"] = file["/"]


def alias(file, place):
    file["again"] = file[place]


def deep(file, place):
    group = file
    for _ in range(3000):
        group = group.create_group("g" * 100)


def many_groups(file, place):
    for i in range(20_000):
        file.create_group(f"g{i}")


def many_attributes(file, place):
    for i in range(2000):
        file.attrs[f"a{i}"] = i


def large_attribute(file, place):
    group = file.create_group("dense", track_order=True)
    # only attributes in dense storage may exceed 64 kB
    for i in range(9):
        group.attrs[f"a{i}"] = i
    group.attrs.create("large", np.zeros(10**6))


def text_attribute(file, place):
    file.attrs["remark"] = "text of variable length"


def null_attribute(file, place):
    file.attrs["remark"] = h5py.Empty("f8")


def compound_attribute(file, place):
    file.attrs["remark"] = np.zeros(2, [("a", "f8")])


def strange_name(file, place):
    file.create_group("../../etc\n\x1b[31m")


def endless_format(file, place):
    file.attrs["format"] = np.bytes_(b"annpot" + b"x" * 60_000)


def version_list(file, place):
    file.attrs["version"] = np.arange(1000)


def holes(folder, name):
    """Make the file a terabyte long, of holes."""
    changed(lambda file, place: absurd_gigabytes(file))(folder, name)
    os.truncate(folder / name, 2**40)


def absurd_gigabytes(file):
    file.create_dataset("holes", (2**31,), "f8")


def user_block(folder, name):
    content = (folder / name).read_bytes()
    with (folder / name).open("wb") as file:
        file.write(b"#!/bin/sh\n".ljust(512, b"\0") + content)


def swapped_end(folder, name):
    raw = bytearray((folder / name).read_bytes())
    raw[-len(raw) // 2 :] = os.urandom(len(raw) // 2)
    (folder / name).write_bytes(raw)


ATTACKS = {
    **{
        make.__name__.replace("_", " ").strip(): replaced(make)
        for make in (
            external_link, soft_link, dangling_link, external_storage, virtual,
            absurd_shape, absurd_contiguous, absurd_rank, absurd_chunk, many_small,
            no_value, compound, variable_length, variable_text, reference, region,
            opaque, enumeration, committed, is_group, complex_, big_endian,
            unknown_filter, packed_twice,
        )
    },
    "chunk that unpacks to 3 GB": replaced(bomb(3000)),
    **{
        change.__name__.replace("_", " "): changed(change)
        for change in (
            cycle, alias, deep, many_groups, many_attributes, large_attribute,
            text_attribute, null_attribute, compound_attribute, strange_name,
            endless_format, version_list,
        )
    },
    "a terabyte of holes": holes,
    "second half at random": swapped_end,
}  # fmt: skip
"""Functions of a folder and the name of the file, by what is special."""


def values(**arrays):
    """Return an attack that overwrites parts of datasets of a set."""

    def attack(folder):
        with h5py.File(folder / SET, "a") as file:
            for name, value in arrays.items():
                file[f"structures/{name}"][0] = value

    return attack


def descriptor(text):
    """Return an attack by another text of the descriptor."""
    return json_text("descriptor", text)


def json_text(place, text):
    def attack(folder, name):
        with h5py.File(folder / name, "a") as file:
            del file[place]
            file[place] = np.bytes_(text)

    return attack


def recipe(**changes):
    """Return an attack by other numbers in the descriptor."""
    import json

    def attack(folder, name):
        with h5py.File(folder / name, "a") as file:
            text = file["descriptor"][()].decode()
            found = json.loads(text)
            _replace(found, changes)
            del file["descriptor"]
            file["descriptor"] = np.bytes_(json.dumps(found))

    return attack


def _replace(value, changes):
    if isinstance(value, dict):
        for key, item in value.items():
            if key in changes:
                value[key] = changes[key]
            else:
                _replace(item, changes)
    elif isinstance(value, list):
        for item in value:
            _replace(item, changes)


CONTENT = {
    "JSON 10^5 deep": descriptor("[" * 100_000 + "]" * 100_000),
    "JSON number of 10^5 digits": descriptor('{"parts": ' + "9" * 100_000 + "}"),
    "JSON NaN": descriptor('{"parts": [NaN]}'),
    "JSON of another kind": descriptor('{"type": "__import__(\'os\')"}'),
    "JSON list of 10^6": descriptor('{"parts": [' + "{}," * 10**6 + "{}]}"),
    "order 10^9": recipe(order=10**9),
    "radial_order 10^9": recipe(radial_order=10**9),
    "cutoff 10^300": recipe(cutoff=1e300),
    "cutoff 10^6": recipe(cutoff=1e6),
    "settings 10^5 deep": json_text("settings", "[" * 100_000),
}
"""The same, of what is in the texts."""

SET_ONLY = {
    "10^12 atoms in a structure": values(n_atoms=10**12),
    "a negative number of atoms": values(n_atoms=-1),
    "species 10^12": values(species_index=10**12),
    "NaN position": values(positions=np.nan),
    "position 10^300": values(positions=1e300),
    "NaN cell": values(cells=np.nan),
    "cell of 10^-5 angstrom": values(cells=1e-5 * np.eye(3)),
    "cell of 10^300 angstrom": values(cells=1e300 * np.eye(3)),
    "cell of 0.2 angstrom": values(cells=0.2 * np.eye(3)),
    "energy 10^300": values(energy=1e300),
    "force 10^300": values(forces=1e300),
    "set number 255": values(set=255),
    "no end of names": values(file=65),
}
"""Functions of a folder: of the structures of a set."""
