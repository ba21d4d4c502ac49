"""Files that grow by portions: continued, they are as if nothing had happened."""

import json
import os
import stat
from contextlib import suppress

import pytest

from annpot.errors import AnnpotError
from annpot.growing import GrowingFiles, journal_of

PORTIONS = [(f"a{k}\n".encode() * (k % 3), b"b" * k) for k in range(1, 8)]


def grow(folder, portions, resume=None, identity=None, damage=None):
    paths = [folder / "one.txt", folder / "two.txt"]
    with GrowingFiles(paths, identity or {"x": 1}, resume) as files:
        done = len(files.inputs)
        if not done:
            files.write([b"head\n", b""])
        for k, parts in list(enumerate(portions))[done:]:
            files.commit(parts, k, {"count": k + 1})
        if damage:
            damage(files)
    return [path.read_bytes() for path in paths]


class CrashError(Exception):
    """What a crash is here."""


def crash(*leftover):
    def damage(files):
        files.write(leftover)
        raise CrashError

    return damage


@pytest.fixture
def expected(tmp_path):
    (tmp_path / "whole").mkdir()
    return grow(tmp_path / "whole", PORTIONS)


@pytest.mark.parametrize("n_done", [1, 3, 7])
@pytest.mark.parametrize("killed", [False, True])
def test_the_rest_is_cut_off_and_done_again(tmp_path, expected, n_done, killed):
    with pytest.raises(CrashError):
        grow(tmp_path, PORTIONS[:n_done], damage=crash(b"half", b"of it"))
    if killed:  # a process that is killed does not rename anything
        for name in ("one.txt", "two.txt"):
            (tmp_path / name).rename(tmp_path / f"{name}.partial")
    assert grow(tmp_path, PORTIONS, "yes") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.txt",
        "two.txt",
        "whole",
    ]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_journal_that_ends_in_the_middle_of_a_line(tmp_path, expected, cut):
    with pytest.raises(CrashError):
        grow(tmp_path, PORTIONS[:4], damage=crash(b"", b""))
    journal = journal_of(tmp_path / "one.txt")
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert grow(tmp_path, PORTIONS, "yes") == expected


@pytest.mark.parametrize("n_lost", [2, 7])
def test_bytes_that_the_disk_lost_are_made_again(tmp_path, expected, n_lost):
    with pytest.raises(CrashError):
        grow(tmp_path, PORTIONS[:5], damage=crash(b"", b""))
    path = tmp_path / "two.txt"
    path.write_bytes(path.read_bytes()[:-n_lost] + bytes(n_lost))
    assert grow(tmp_path, PORTIONS, "yes") == expected


def test_differences_are_named(tmp_path):
    with pytest.raises(CrashError):
        grow(tmp_path, PORTIONS[:5], damage=crash(b"", b""))
    before = (tmp_path / "one.txt").read_bytes()
    with pytest.raises(AnnpotError, match="with x 1, but now it is 2"):
        grow(tmp_path, PORTIONS, "auto", {"x": 2})
    assert (tmp_path / "one.txt").read_bytes() == before


def test_nothing_to_go_on_from(tmp_path, expected):
    with pytest.raises(AnnpotError, match=r"no '.*one.txt.journal', so there is noth"):
        grow(tmp_path, PORTIONS, "yes")
    assert grow(tmp_path, PORTIONS, "auto") == expected


def test_an_older_file_stays_if_nothing_is_written(tmp_path):
    (tmp_path / "one.txt").write_text("old")
    with (
        pytest.raises(CrashError),
        GrowingFiles([tmp_path / "one.txt"], {}, None),
    ):
        raise CrashError
    assert (tmp_path / "one.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_special_file_gets_the_rest_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    paths, parts = [tmp_path / "one.txt", pipe], [b"12", b"34"]
    with suppress(CrashError), GrowingFiles(paths, {}, None) as files:
        files.commit(parts, 1, {})
        raise CrashError
    with GrowingFiles(paths, {}, "yes") as files:
        assert files.inputs == [1]
        files.commit(parts, 2, {})
    assert paths[0].read_bytes() == b"1212"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.read(reader, 9) == b"3434"
    os.close(reader)


def test_a_hostile_journal(tmp_path, expected):
    path = journal_of(tmp_path / "one.txt")
    for text in ("", "junk\n", "[" * 10**5 + "\n", "3\n", '{"version": 9}\n'):
        path.write_text(text)
        with pytest.raises(AnnpotError):
            grow(tmp_path, PORTIONS, "yes")
    sound = {"input": 1, "sizes": [9, 9], "crcs": [1, 1], "state": {}}
    odd = [{"sizes": [-1, 0]}, {"crcs": "xy"}, {"input": None}, {"more": 1}, {}]
    odd += [{"sizes": [10**30, 0]}, {"sizes": [10**15, 0]}]
    odd += [{"sizes": [2, 0], "crcs": [0, 0]}]  # less than before
    for line in (*({**sound, **change} for change in odd), 5, []):
        with pytest.raises(CrashError):
            grow(tmp_path, PORTIONS[:1], damage=crash(b"", b""))
        path.write_text(path.read_text() + json.dumps(line) + "\n")
        assert grow(tmp_path, PORTIONS, "yes") == expected
