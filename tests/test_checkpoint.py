"""Checkpoints: a training that goes on from one ends as if nothing had happened."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import assert_ends_well, flips, truncations

from annpot.checkpoints import file as checkpoint_file
from annpot.checkpoints import keeper
from annpot.checkpoints.keeper import Keeper, exist, find, names, remove, take
from annpot.committee import Committee
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import load_set
from annpot.format import container, writing
from annpot.runs.interruption import Stopped
from annpot.settings import TrainSettings
from annpot.trainer import Trainer
from annpot.training import train

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture(scope="module")
def fingerprints(made):
    return load_set(made / "fingerprints.h5")


@pytest.fixture(scope="module")
def undisturbed(fingerprints):
    """Return a function that trains without interruption, once with some settings."""
    known = {}

    def train_once(chosen):
        key = chosen.model_dump_json()
        if key not in known:
            known[key] = train(fingerprints, chosen)
        return known[key]

    return train_once


@pytest.fixture
def output(tmp_path):
    return tmp_path / "potential.h5"


def settings(**changes):
    return TrainSettings(**{"hidden": (4,), "epochs": 6, "members": 2, **changes})


ADAM = {"method": "adam", "adam": {"batch": 4}}
CASES = {
    "lbfgs": {"lbfgs": {"memory": 3}},
    "adam": ADAM,
    "no validation": {"validation_fraction": 0},
    "patience": {"patience": 2, "epochs": 20, "hidden": (2,)},
}
each_case = pytest.mark.parametrize("changes", CASES.values(), ids=CASES)


class Interrupt:
    """Keeps checkpoints, and stops the training at the ``n``-th step."""

    def __init__(self, keeper_, n, number=signal.SIGTERM):
        self.keeper, self.left, self.number = keeper_, n, number

    def offer(self, progress):
        self.left -= 1
        if not self.left:
            raise Stopped(self.number)

    def save_last(self, progress):
        self.keeper.save_last(progress)


def stop_after(n, fingerprints, chosen, output, begun=None, said=()):
    """Train until the ``n``-th step, and return the checkpoint that this leaves."""
    patient = Keeper(output, fingerprints, chosen, list(said).append)
    with pytest.raises(Stopped):
        train(fingerprints, chosen, keeper=Interrupt(patient, n), begun=begun)
    return take(output, print)


def assert_same(one, other, fingerprints):
    """Check that two results are the same to the last bit."""
    assert one.n_epochs == other.n_epochs
    assert one.reason == other.reason
    for a, b in zip(one.best, other.best, strict=True):
        a, b = replace(a, seconds=0.0), replace(b, seconds=0.0)
        assert repr(a) == repr(b)  # NaN is the same as NaN, too
    a, b = (r.potential.evaluate(fingerprints.batch) for r in (one, other))
    np.testing.assert_array_equal(a.E_s, b.E_s)
    np.testing.assert_array_equal(a.F_nc, b.F_nc)
    for a, b in zip(members(one), members(other), strict=True):
        assert a.provenance == b.provenance


def members(result):
    """Return the potential of each member."""
    found = result.potential
    return found.members if isinstance(found, Committee) else [found]


@each_case
@pytest.mark.parametrize("n", [1, 5, 7, 8])
def test_a_training_goes_on_as_if_nothing_had_happened(
    fingerprints, undisturbed, output, changes, n
):
    chosen = settings(**changes)
    whole = undisturbed(chosen)
    begun = stop_after(n, fingerprints, chosen, output)
    assert_same(whole, train(fingerprints, chosen, begun=begun), fingerprints)


@pytest.mark.parametrize("changes", [CASES["lbfgs"], ADAM])
def test_one_that_is_stopped_at_each_step(fingerprints, output, changes):
    chosen = settings(**changes, epochs=3)
    whole, begun = train(fingerprints, chosen), None
    for n in (1, 2, 1, 1, 2):
        begun = stop_after(n, fingerprints, chosen, output, begun)
    assert_same(whole, train(fingerprints, chosen, begun=begun), fingerprints)


def test_fifty_epochs_and_fifty_are_a_hundred(fingerprints, output):
    """Adam, of which each step depends on all that it remembers."""
    chosen = settings(**ADAM, epochs=100, members=1, hidden=(2,))
    n_steps = -(-16 // 4) * 50  # more structures do not train
    begun = stop_after(n_steps, fingerprints, chosen, output)
    assert 0 < begun.progress.n_epochs < 100
    again = train(fingerprints, chosen, begun=begun)
    assert_same(train(fingerprints, chosen), again, fingerprints)


def test_lbfgs_does_not_forget_its_curvature(fingerprints, output):
    chosen = settings(members=1, epochs=12)
    begun = stop_after(6, fingerprints, chosen, output)
    state = begun.progress.state
    assert len(state.curvature.steps) == 6
    forgetful = replace(state, curvature=replace(state.curvature, steps=(), changes=()))
    cold = replace(begun, progress=replace(begun.progress, state=forgetful))
    results = [train(fingerprints, chosen, begun=b) for b in (begun, cold)]
    assert results[0].best[0].loss != results[1].best[0].loss


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_user_gets_the_potential_so_far(fingerprints, undisturbed, output, number):
    chosen = settings()
    patient = Keeper(output, fingerprints, chosen, print)
    result = train(fingerprints, chosen, keeper=Interrupt(patient, 4, number))
    assert (result.reason, result.n_epochs) == ("interrupted", 4)
    again = train(fingerprints, chosen, begun=take(output, print))
    assert_same(undisturbed(chosen), again, fingerprints)


def test_nothing_is_saved_before_the_first_step(fingerprints, output):
    chosen = settings()
    patient = Keeper(output, fingerprints, chosen, print)

    def interrupt(_):
        raise Stopped(signal.SIGINT)

    with pytest.raises(Stopped):
        train(fingerprints, chosen, on_plan=interrupt, keeper=patient)
    with pytest.raises(Stopped):
        train(fingerprints, chosen, on_epoch=interrupt, keeper=patient)
    assert not exist(output)
    assert take(output, print) is None


# When checkpoints are written ---------------------------------------------------------


def test_checkpoints_come_in_intervals_and_after_members(
    fingerprints, output, monkeypatch
):
    epochs, clock = [], [0.0]
    real = checkpoint_file.save

    def save(*arguments):
        epochs.append(arguments[-1].progress.n_epochs)
        real(*arguments)

    monkeypatch.setattr(keeper.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(checkpoint_file, "save", save)
    chosen = settings(epochs=5, checkpoint_every=3.0)

    def count(_):
        clock[0] += 1.0

    patient = Keeper(output, fingerprints, chosen, print)
    train(fingerprints, chosen, on_epoch=count, keeper=patient)
    assert epochs == [3, 5, 8, 10]
    assert take(output, print).progress.n_done == 2


def test_the_one_before_is_kept(fingerprints, output):
    chosen = settings()
    begun = None
    for n_epochs in (1, 2, 3):
        begun = stop_after(1, fingerprints, chosen, output, begun)
        newest, previous = names(output)
        assert checkpoint_file.load(newest).progress.n_epochs == n_epochs
        assert previous.exists() == (n_epochs > 1)
        if n_epochs > 1:
            found = checkpoint_file.load(previous).progress
            assert found.n_epochs == n_epochs - 1
    assert sorted(output.parent.iterdir()) == sorted(names(output))
    remove(output)
    assert not list(output.parent.iterdir())


def test_a_damaged_one_is_replaced_by_the_one_before(fingerprints, output):
    chosen = settings()
    begun = stop_after(2, fingerprints, chosen, output)
    stop_after(3, fingerprints, chosen, output, begun)
    newest, previous = names(output)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), content[:1000], b"", None):
        newest.unlink(missing_ok=True)
        if damaged is not None:
            newest.write_bytes(damaged)
        found = find(output)
        assert found.checkpoint.progress.n_epochs == 2
        assert found.complaint.startswith(f"'{newest}'")
        assert found.complaint.endswith(f"; taking '{previous}'")
        assert newest.exists() == (damaged is not None)
    said, sound = [], previous.read_bytes()
    assert take(output, said.append).progress.n_epochs == 2
    assert said == [found.complaint]
    # the next checkpoint must not replace the only sound one by a damaged one
    assert (newest.read_bytes(), previous.exists()) == (sound, False)
    newest.write_bytes(b"")
    previous.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"previous"):
        find(output)


@pytest.mark.parametrize("where", ["write", "rename"])
def test_a_full_disk_does_not_end_the_training(
    fingerprints, output, monkeypatch, where
):
    chosen = settings(checkpoint_every=1e-9, epochs=4)
    stop_after(1, fingerprints, chosen, output)
    before = names(output)[0].read_bytes()
    said, full = [], [True]
    patient = Keeper(output, fingerprints, chosen, said.append)
    module, name = {"write": (Path, "write_bytes"), "rename": (os, "replace")}[where]
    real = getattr(module, name)

    def fail(*arguments):
        if full:
            raise OSError(errno.ENOSPC, FULL)
        return real(*arguments)

    monkeypatch.setattr(module, name, fail)

    def make_room(epoch):
        if epoch.number == 5:
            assert take(output, print).progress.n_epochs == 1
            assert names(output)[0].read_bytes() == before
            full.clear()

    monkeypatch.setattr(keeper, "RETRY", 0.0)
    result = train(fingerprints, chosen, on_epoch=make_room, keeper=patient)
    assert result.reason == "all epochs done"
    assert len(said) == 1
    assert FULL in said[0]
    assert take(output, print).progress.n_epochs == 8


def test_a_last_checkpoint_that_fails_is_said_again(fingerprints, output):
    chosen, said = settings(), []
    begun = stop_after(2, fingerprints, chosen, output)
    patient = Keeper(output.parent / "gone" / "p.h5", fingerprints, chosen, said.append)
    for _ in range(3):
        patient.save(begun.progress)
    assert len(said) == 1
    patient.save_last(begun.progress)
    assert len(said) == 2


def test_a_folder_that_vanishes_does_not_end_the_training(fingerprints, output):
    folder = output.parent / "gone"
    folder.mkdir()
    said = []
    chosen = settings(checkpoint_every=1e-9, epochs=3)
    patient = Keeper(folder / "p.h5", fingerprints, chosen, said.append)

    def vanish(epoch):
        if epoch.number == 2:
            remove(folder / "p.h5")
            folder.rmdir()

    result = train(fingerprints, chosen, on_epoch=vanish, keeper=patient)
    assert result.n_epochs == 6
    assert len(said) == 1
    assert "No such file or directory" in said[0]


def test_what_is_not_finite_replaces_nothing(fingerprints, output):
    chosen = settings(**ADAM)
    begun = stop_after(2, fingerprints, chosen, output)
    state = begun.progress.state
    wrong = replace(state, raw_w=np.full_like(state.raw_w, np.nan))
    patient = Keeper(output, fingerprints, chosen, print)
    patient.save(replace(begun.progress, state=wrong))
    assert take(output, print).progress.state.count == 2


# What may go on -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {"l2": 1e-3}, "train.l2 was 0.0001, is 0.001"),
        ({}, {"hidden": (5,)}, "train.hidden was [4], is [5]"),
        ({}, {"hidden": (5,), "seed": 1}, "; train.seed was 0, is 1"),
        ({}, {"lbfgs": {"memory": 9}}, "train.lbfgs.memory was 30, is 9"),
        ({}, {"members": 1}, "train.members was 2, is 1"),
        ({}, {"method": "adam"}, 'train.method was "lbfgs", is "adam"'),
        (ADAM, {**ADAM, "epochs": 9}, "train.epochs was 6, is 9"),
        (ADAM, {"method": "adam", "adam": {"batch": 2}}, "train.adam.batch was 4, is"),
    ],
)
def test_other_settings_are_refused(fingerprints, output, first, second, expected):
    begun = stop_after(2, fingerprints, settings(**first), output)
    with pytest.raises(AnnpotError) as refused:
        train(fingerprints, settings(**second), begun=begun)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_set_is_refused(fingerprints, output):
    begun = stop_after(2, fingerprints, settings(), output)
    other = replace(fingerprints, sha256="f" * 64)
    with pytest.raises(AnnpotError) as refused:
        train(other, settings(), begun=begun)
    expected = (
        f"sha256 {fingerprints.sha256[:12]}...), is 'fingerprints.h5' (ffffffffffff"
    )
    assert expected in str(refused.value)
    assert "descriptor" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 9},
        {"members": 3},
        {"patience": 50},
        {"time_limit": 1e9},
        {"memory": 10**9},
        {"checkpoint_every": 1.0},
        {"output": "b.h5", "log": "b.log"},
        {"adam": {"batch": 2}},
    ],
)
def test_some_settings_may_change(fingerprints, output, changes):
    begun = stop_after(2, fingerprints, settings(), output)
    chosen = settings(**changes)
    again = train(fingerprints, chosen, begun=begun)
    whole = train(fingerprints, chosen)
    for a, b in zip(members(again), members(whole), strict=True):
        np.testing.assert_array_equal(
            a.models[0].network.flatten(), b.models[0].network.flatten()
        )


def test_time_counts_anew_but_is_summed_up(fingerprints, output, monkeypatch):
    def count(self):  # each epoch takes a second
        return self._begun.seconds + self.progress.n_epochs - self._begun.n_epochs

    monkeypatch.setattr(Trainer, "_seconds", count)
    chosen = settings(epochs=100, time_limit=5, members=1, hidden=(2,))
    begun = stop_after(2, fingerprints, chosen, output)
    late = replace(begun, progress=replace(begun.progress, seconds=1000.0))
    result = train(fingerprints, chosen, begun=late)
    assert result.reason == "time limit"
    assert 2 + 5 <= result.n_epochs <= 2 + 7
    assert result.best[0].seconds > 1000.0


@pytest.mark.parametrize(
    ("method", "expected"), [("lbfgs", [5, 11, 12]), ("adam", [4, 10, 12])]
)
def test_a_time_limit_leaves_a_checkpoint(
    fingerprints, undisturbed, output, monkeypatch, method, expected
):
    """On a clock that tells how many epochs are done."""
    monkeypatch.setattr(Trainer, "_seconds", lambda self: float(self.progress.n_epochs))
    begun, n_epochs = None, []
    for limit in (3, 5, 1e9):  # amid the first member, amid the second, never
        chosen = settings(**CASES[method], time_limit=limit)
        keeper_ = Keeper(output, fingerprints, chosen, print)
        result = train(fingerprints, chosen, keeper=keeper_, begun=begun)
        n_epochs.append(result.n_epochs)
        begun = take(output, print)
        assert begun.progress.n_epochs == result.n_epochs
    assert n_epochs == expected  # with Adam, a step of the next epoch as well
    assert_same(result, undisturbed(chosen), fingerprints)


# Hostile files ------------------------------------------------------------------------


@pytest.fixture(params=["lbfgs", "adam"])
def written(request, fingerprints, output):
    """Return the file of a checkpoint."""
    stop_after(3, fingerprints, settings(**CASES[request.param]), output)
    return names(output)[0]


def test_damage_ends_well(written):
    content = written.read_bytes()

    def read(damaged):
        written.write_bytes(damaged)
        return checkpoint_file.load(written)

    assert not assert_ends_well(read, truncations(content, 997))
    assert len(assert_ends_well(read, flips(content, 60))) < 60


def write_anew(path, change):
    """Change a file and give it the right checksum."""
    with h5py.File(path, "a") as file:
        change(file)
        del file.attrs["sha256"]
        writing.write_attribute(file, "sha256", container.compute_sha256(file))


def put(name, value):
    def change(file):
        del file[name]
        if isinstance(value, str):
            writing.write_text(file, name, value)
        else:
            writing.write_array(file, name, value)

    return change


def attribute(name, value, group="/"):
    def change(file):
        del file[group].attrs[name]
        writing.write_attribute(file[group], name, value)

    return change


PCG = (
    '{"bit_generator": "PCG64", "state": {"state": %s, "inc": 1}, '
    '"has_uint32": 0, "uinteger": 0}'
)

HOSTILE = {
    "kind": attribute("kind", "potential"),
    "digest": attribute("set_sha256", "\x1b[2J"),
    "no settings": put("settings", "{}"),
    "settings": put("settings", "[" * 100_000),
    "train": put("settings", '{"train": 3}'),
    "method": attribute("method", "genetic", "optimiser"),
    "epoch": attribute("epochs", -1, "optimiser"),
    "members": attribute("members_done", -1),
    "more members": attribute("members_done", 1),
    "epochs": attribute("epochs", 0),
    "seconds": attribute("seconds", -5.0),
    "best loss": attribute("best_loss", np.nan),
    "generator": put("random/order", "{}"),
    "generator's state": put("random/order", PCG % '"a"'),
    "generator's size": put("random/weights", PCG % (1 << 200)),
    "weights": put("kept/weights", np.zeros((2, 3))),
    "not finite": put("kept/weights", np.full((1, 3), np.inf)),
    "number": put("kept/number", np.array([99])),
    "vector": put("optimiser/weights", np.zeros(2)),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_is_refused(written, change):
    write_anew(written, change)
    with pytest.raises(FileFormatError) as refused:
        checkpoint_file.load(written)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("order", [[0, 0, 1], [-1, 0, 1], [5], np.arange(3.0)], ids=str)
def test_an_order_is_a_permutation(fingerprints, output, order):
    stop_after(1, fingerprints, settings(**ADAM), output)
    path = names(output)[0]
    write_anew(path, put("optimiser/order", np.array(order)))
    with pytest.raises(FileFormatError):
        checkpoint_file.load(path)


@pytest.mark.parametrize("changes", [{"hidden": (4,)}, ADAM])
def test_arrays_of_another_size_are_refused(fingerprints, output, changes):
    begun = stop_after(1, fingerprints, settings(**changes), output)
    state = begun.progress.state
    if "method" in changes:
        wrong = replace(state, order=np.arange(3))
    else:
        wrong = replace(state, point=replace(state.point, weights_w=np.zeros(3)))
    begun = replace(begun, progress=replace(begun.progress, state=wrong))
    with pytest.raises(FileFormatError, match="the checkpoint has"):
        train(fingerprints, settings(**changes), begun=begun)
