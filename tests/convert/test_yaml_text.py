"""Settings written as YAML with comments."""

from __future__ import annotations

import pytest

from annpot.convert.yaml_text import Section, write_settings
from annpot.errors import FileFormatError

EXPECTED = """\
# What this is.

structures:
  # all of them
  - files: a/*.xsf
    set: test  # never trained on
  - files:
      - "b c.xsf"
      - ../d.xsf
    weight: 2.0

# Energies of atoms.
species:
  Ti: -1.5
  # what follows has quite a long remark, which does not fit behind the value that it is
  # about
  O: fit

# alone

predict:
  forces: true
"""


def example():
    root = Section()
    groups = root.items("structures")
    groups.say("all of them")
    group = groups.section()
    group.put("files", "a/*.xsf")
    group.put("set", "test", "never trained on")
    group = groups.section()
    files = group.items("files")
    files.put("b c.xsf")
    files.put("../d.xsf")
    group.put("weight", 2.0)
    root.say("Energies of atoms.")
    species = root.section("species")
    species.put("Ti", -1.5)
    species.put(
        "O",
        "fit",
        "what follows has quite a long remark, which does not fit behind the value "
        "that it is about",
    )
    root.section("train").say("alone")
    root.section("predict").put("forces", True)
    return root


def test_text():
    text = write_settings("What this is.", example(), "'x'")
    assert text == EXPECTED.replace("# alone\n\n", "# alone\n").replace(
        "../d.xsf", '"../d.xsf"'
    )


def test_values():
    root = example()
    assert root.values()["structures"][1] == {
        "files": ["b c.xsf", "../d.xsf"],
        "weight": 2.0,
    }
    assert "train" not in root.values()


def test_an_empty_list_of_weights_is_kept():
    root = Section()
    root.section("descriptor").put("weights", [])
    assert "weights: []" in write_settings("head", root, "'x'")


def test_values_beyond_the_settings_are_told():
    root = Section()
    root.section("train").put("epochs", -1)
    expected = r"^'x': .*beyond annpot's settings: .*epochs: expected .*found -1$"
    with pytest.raises(FileFormatError, match=expected):
        write_settings("head", root, "'x'")
    root.section("predict").put("forces", 3)
    with pytest.raises(FileFormatError, match=expected):
        write_settings("head", root, "'x'")


def test_comments_cannot_become_keys():
    root = Section()
    section = root.section("train")
    section.put("epochs", 3, "one\ntrain: {epochs: 4}\x07")
    section.say("\u2028 epochs: 5\n\nx: [")
    text = write_settings("head\nstructures: 5", root, "'x'")
    assert [line for line in text.splitlines() if line and "#" not in line] == [
        "train:"
    ]
