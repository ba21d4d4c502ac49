import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from annpot.errors import FileFormatError
from annpot.format import container, reading, writing


def error_of_opening(path: Path, *kinds: str) -> str:
    with pytest.raises(FileFormatError) as caught, reading.open_checked(path, *kinds):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read_all(path: Path) -> None:
    """Read each thing of the ``saved`` file in the way the library does."""
    with reading.open_checked(path, "potential") as file:
        network = reading.read_group(reading.read_group(file, "networks"), "Ti")
        reading.read_attribute(network, "activation", str)
        reading.read_attribute(network, "nodes", int)
        reading.read_array(network, "weights_0", (3, 4))
        reading.read_array(network, "sizes", (2,), np.int64)
        reading.read_rows(reading.read_dataset(file, "G_nf", (None, 5)), 0, 5)
        reading.read_strings(file, "names")
        reading.read_strings(file, "species")
        reading.read_text(file, "settings")
        reading.verify_checksum(file)


# The header --------------------------------------------------------------------------


def test_what_is_no_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    assert error_of_opening(path) == f"'{path}': no such file"
    assert error_of_opening(tmp_path) == f"'{tmp_path}' is not a file"
    for content in (b"", b"\x89HDF", b"descriptor: chebyshev\n" * 100):
        path.write_bytes(content)
        assert error_of_opening(path) == (
            f"'{path}' is not an annpot file (HDF5 or JSON expected): 'annpot convert' "
            "reads those of other programs"
        )


def test_a_device_is_not_read() -> None:
    assert error_of_opening(Path("/dev/zero")) == "'/dev/zero' is not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(saved: Path) -> None:
    saved.chmod(0)
    assert error_of_opening(saved).endswith("cannot be read: Permission denied")


def test_hdf5_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.0"
    assert error_of_opening(path) == f"'{path}' is an HDF5 file, but not an annpot file"


def test_wrong_kind_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "fingerprints.h5"
    with writing.create(path, "fingerprints", "{}"):
        pass
    assert error_of_opening(path, "potential") == (
        f"'{path}' is a fingerprint set, expected a potential: 'annpot train' makes one"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "version",
            3,
            "was written by annpot format version 3, this annpot reads up to 1: "
            "please upgrade annpot",
        ),
        ("version", 0, "no annpot format version 0"),
        ("version", "1", "attribute version of /: int expected, found |S1"),
        ("format", "other", "is an HDF5 file, but not an annpot file"),
        ("kind", "recipe", "is of an unknown kind, 'recipe'"),
        (
            "units",
            "energy Ha, length bohr",
            "units 'energy eV, length angstrom' expected, "
            "found 'energy Ha, length bohr'",
        ),
        ("kind", None, "attribute kind of /: missing"),
        ("complete", None, "is incomplete, its writing was interrupted: please run"),
    ],
)
def test_wrong_header(saved: Path, name: str, value: Any, message: str) -> None:
    with h5py.File(saved, "r+") as file:
        del file.attrs[name]
        if value is not None:
            writing.write_attribute(file, name, value)
    assert message in error_of_opening(saved)


# The content -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            lambda file: reading.read_array(file, "networks/Ti/weights_0", (3, 5)),
            "dataset /networks/Ti/weights_0: shape (3, 5) expected, found (3, 4)",
        ),
        (
            lambda file: reading.read_array(file, "G_nf", (None, 4)),
            "dataset /G_nf: shape (any, 4) expected, found (5, 5)",
        ),
        (
            lambda file: reading.read_array(file["networks/Ti"], "sizes"),
            "dataset /networks/Ti/sizes: float64 expected, found int64",
        ),
        (
            lambda file: reading.read_array(file, "H_nf"),
            "dataset /H_nf: missing",
        ),
        (lambda file: reading.read_array(file, "networks"), "/networks: found a group"),
        (lambda file: reading.read_group(file, "G_nf"), "/G_nf: found a dataset"),
        (lambda file: reading.read_group(file, "H_nf"), "group /H_nf: missing"),
        (
            lambda file: reading.read_attribute(file["networks/Ti"], "nodes", str),
            "attribute nodes of /networks/Ti: str expected, found int64 of shape ()",
        ),
        (
            lambda file: reading.read_attribute(file["networks"], "cutoff", float),
            "attribute cutoff of /networks: missing",
        ),
        (lambda file: reading.read_array(file, "nan"), "finite numbers expected, "),
        (
            lambda file: reading.read_strings(file, "unended"),
            "dataset /unended: a NUL after the last text expected",
        ),
        (
            lambda file: reading.read_strings(file, "latin1"),
            "dataset /latin1 cannot be read: the file is damaged ('utf-8' codec",
        ),
    ],
)
def test_unexpected_content(
    saved: Path, read: Callable[[h5py.File], object], message: str
) -> None:
    with h5py.File(saved, "r+") as file:
        file["nan"] = [1.0, np.nan]
        file["unended"] = np.frombuffer(b"Ti\0O", np.uint8)
        file["latin1"] = np.frombuffer(b"Gr\xf6\xdfe\0", np.uint8)
    with reading.open_checked(saved) as file:
        with pytest.raises(FileFormatError) as caught:
            read(file)
    assert str(caught.value).startswith(f"'{saved}', ")
    assert message in str(caught.value)


def test_nan_can_be_allowed(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        file["nan"] = [1.0, np.nan]
    with reading.open_checked(saved) as file:
        assert np.isnan(reading.read_array(file, "nan", finite=False)[1])


# Damage ------------------------------------------------------------------------------


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_damaged_rows_do_not_pass_as_numbers(saved: Path) -> None:
    flip(saved, saved.read_bytes().index(np.full(15, 2.0).tobytes()))
    with reading.open_checked(saved) as file:
        with pytest.raises(FileFormatError, match="/G_nf cannot be read: the file is"):
            reading.read_array(file, "G_nf")


def test_the_checksum_finds_a_changed_number(saved: Path) -> None:
    flip(saved, saved.read_bytes().index(np.arange(12.0).tobytes()) + 70)
    with reading.open_checked(saved) as file:
        reading.read_array(file["networks/Ti"], "weights_0")
        with pytest.raises(FileFormatError, match="content has not its checksum"):
            reading.verify_checksum(file)


def test_repacking_keeps_the_checksum(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        G_nf = file["G_nf"][()]
        del file["G_nf"]
        file.create_dataset("G_nf", data=G_nf, compression="gzip", shuffle=True)
    with reading.open_checked(saved) as file:
        reading.verify_checksum(file)


def test_truncated_files_are_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for length in [*range(0, 200, 8), *range(200, len(content), 4999)]:
        saved.write_bytes(content[:length])
        error_of_opening(saved)


def test_random_damage_is_an_error_or_harmless(saved: Path) -> None:
    content = saved.read_bytes()
    # Most of the file is empty space or text: aim at what HDF5 has to understand.
    text = "Größe\n".encode()
    spaced = content.replace(text, bytes(len(text)))
    offsets = [offset for offset, byte in enumerate(spaced) if byte]
    for seed in range(150):
        rng = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 1, 4, 16])):
            offset = max(0, rng.choice(offsets) - rng.choice([0, 0, 1]))
            damaged[offset] = rng.choice([0, 255, damaged[offset] ^ 1 << seed % 8])
        saved.write_bytes(damaged)
        try:
            read_all(saved)
        except FileFormatError as error:
            assert "\n" not in str(error)  # noqa: PT017


# Attacks -----------------------------------------------------------------------------


def virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (5,))
    file.create_virtual_dataset("x", layout)


def external_storage(file: h5py.File) -> None:
    whole = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("x", (100,), "u1", external=whole)


def nested_bomb(file: h5py.File) -> None:
    for i in range(20):
        file.create_dataset(f"x{i}", (2**20,), "f8", chunks=(2**16,), compression=9)


ATTACKS: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "external link": (
        lambda file: file.update(x=h5py.ExternalLink("/etc/other.h5", "/")),
        "'x' in /: a soft or external link, which is not allowed",
    ),
    "soft link": (
        lambda file: file.update(x=h5py.SoftLink("/G_nf")),
        "'x' in /: a soft or external link, which is not allowed",
    ),
    "cycle": (lambda file: file["networks"].update(x=file["/"]), "two links to /"),
    "alias": (lambda file: file.update(x=file["G_nf"]), "two links to /"),
    "name": (lambda file: file.create_group("a\n\x1b[2J"), "not a name of the annpot"),
    "named type": (lambda file: file.update(x=np.dtype("f8")), "neither a group nor a"),
    "virtual dataset": (virtual_dataset, "dataset /x: a virtual dataset"),
    "external storage": (external_storage, "dataset /x: is in another file"),
    "lzf": (
        lambda file: file.create_dataset("x", (9,), "f8", compression="lzf"),
        "a filter that is not allowed, of [32000]",
    ),
    "scale-offset": (
        lambda file: file.create_dataset("x", (9,), "i8", scaleoffset=0),
        "a filter that is not allowed, of [6]",
    ),
    "petabytes": (
        lambda file: file.create_dataset("x", (2**50,), "f8", compression="gzip"),
        "the datasets are too large for the size of the file",
    ),
    "many large datasets": (nested_bomb, "the datasets are too large for the size of"),
    "large chunk": (
        lambda file: file.create_dataset(
            "x", (9,), "f8", chunks=2**24, maxshape=(None,)
        ),
        "dataset /x: chunks of (16777216,) are too large",
    ),
    "texts of variable length": (
        lambda file: file.create_dataset("x", (9,), h5py.string_dtype()),
        "dataset /x: type object, which is not allowed",
    ),
    "object references": (
        lambda file: file.create_dataset("x", (9,), h5py.ref_dtype),
        "dataset /x: type object, which is not allowed",
    ),
    "compound": (
        lambda file: file.create_dataset("x", (9,), "f8,i4"),
        "dataset /x: type [('f0', '<f8'), ('f1', '<i4')], which is not allowed",
    ),
    "enumeration": (
        lambda file: file.create_dataset("x", (9,), h5py.enum_dtype({"a": 1})),
        "which is not allowed",
    ),
    "big-endian": (
        lambda file: file.create_dataset("x", (9,), ">f8"),
        "dataset /x: type >f8, which is not allowed",
    ),
    "no shape": (
        lambda file: file.create_dataset("x", data=h5py.Empty("f8")),
        "dataset /x: between 0 and 8 axes expected",
    ),
    "rank": (
        lambda file: file.create_dataset("x", (1,) * 9, "f8"),
        "between 0 and 8 axes",
    ),
    "attribute of variable length": (
        lambda file: file["networks/Ti"].attrs.update(x="text"),
        "attribute 'x' of /networks/Ti: type object, which is not allowed",
    ),
    "attribute without shape": (
        lambda file: file.attrs.update(x=h5py.Empty("f8")),
        "attribute 'x' of /: no value",
    ),
    "header of variable length": (
        lambda file: file.attrs.update(format="annpot"),
        "attribute 'format' of /: type object, which is not allowed",
    ),
    "many attributes": (
        lambda file: file["networks"].attrs.update({str(i): i for i in range(101)}),
        "/networks: too many attributes",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_files_are_refused(saved: Path, attack: str) -> None:
    spoil, message = ATTACKS[attack]
    with h5py.File(saved, "r+") as file:
        spoil(file)
    assert message in error_of_opening(saved, "potential")


def test_large_attributes_are_refused(saved: Path) -> None:
    with h5py.File(saved, "w", libver="latest") as file:
        for name, value in (("format", "annpot"), ("version", 1)):
            writing.write_attribute(file, name, value)
        file.attrs["x"] = np.zeros(10_000)
    assert "attribute 'x' of /: 80000 bytes, at most" in error_of_opening(saved)


def test_very_many_groups_are_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "MAX_OBJECTS", 8)
    assert "more than 8 groups and datasets" in error_of_opening(saved)
