"""Converted files get their names when all is well, or not at all."""

from __future__ import annotations

import pytest

from annpot.convert.staging import staged
from annpot.errors import AnnpotError


def listing(folder):
    """Return names and contents of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_appear_beside_the_output(tmp_path):
    (tmp_path / "other").write_text("stays")
    with staged(tmp_path / "x.nn") as path:
        assert path.name == "x.nn"
        path.with_name("Ti.x.nn").write_text("Ti")
        path.with_name("O.x.nn").write_text("O")
        assert set(listing(tmp_path)) > {"other"}
        assert not (tmp_path / "Ti.x.nn").exists()
    assert listing(tmp_path) == {"other": "stays", "Ti.x.nn": "Ti", "O.x.nn": "O"}
    assert not list(tmp_path.glob(".annpot-*"))


def test_files_of_a_folder_replace_those_of_the_same_name(tmp_path):
    (tmp_path / "nnp").mkdir()
    (tmp_path / "nnp" / "input.nn").write_text("old")
    (tmp_path / "nnp" / "input.data").write_text("stays")
    with staged(tmp_path / "nnp") as path:
        path.mkdir()
        (path / "input.nn").write_text("new")
    assert listing(tmp_path) == {"nnp/input.nn": "new", "nnp/input.data": "stays"}


def fail(output):
    with staged(output) as path:
        path.write_text("half")
        raise ValueError("by chance")


def test_nothing_is_left_of_what_fails(tmp_path):
    output = tmp_path / "x"
    output.write_text("old")
    with pytest.raises(ValueError, match="by chance"):
        fail(output)
    assert listing(tmp_path) == {"x": "old"}


def test_a_folder_that_does_not_exist(tmp_path):
    with (
        pytest.raises(AnnpotError, match="please make the folder first"),
        staged(tmp_path / "none" / "x"),
    ):
        pass


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "nnp").write_text("a file")
    with pytest.raises(AnnpotError, match="expected a folder"):
        make_folder(tmp_path / "nnp")


def make_folder(output):
    with staged(output) as path:
        path.mkdir()
        (path / "input.nn").write_text("new")
