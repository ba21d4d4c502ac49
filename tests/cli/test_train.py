import json
import signal

import numpy as np
import pytest
from commands import PATIENCE, run, start

from annpot.fingerprints import load_set
from annpot.potential import Potential


def test_the_log_is_readable_by_numpy(made):
    log = np.genfromtxt(made / "train.log", names=True)
    assert log.dtype.names[0] == "epoch"
    assert list(log["epoch"]) == list(range(1, 16))
    assert log["loss"][-1] < log["loss"][0]
    assert np.isfinite(log["validation_F_rmse"]).all()


def test_errors_are_those_of_the_saved_potential(work):
    values = json.loads(run("train", "--json", folder=work).stdout)
    row = next(r for r in values["errors"] if r["set"] == "test" and r["part"] == "all")
    fingerprints = load_set(work / "fingerprints.h5")
    result = Potential.load(work / "potential.h5").evaluate(fingerprints.batch)
    test_n = np.repeat(
        np.array(fingerprints.labels.sets) == "test", fingerprints.batch.atoms_s
    )
    dF = (result.F_nc - fingerprints.labels.forces_nc)[test_n]
    assert row["errors"]["force_rmse"] == pytest.approx(np.sqrt(np.mean(dF**2)))
    assert row["errors"]["force_mae"] == pytest.approx(np.mean(np.abs(dF)))
    dE = (result.E_s - fingerprints.labels.energy_s) / fingerprints.batch.atoms_s
    expected = np.sqrt(np.mean(dE[12:] ** 2))
    assert row["errors"]["energy_rmse"] == pytest.approx(expected)
    parts = {(r["set"], r["part"]) for r in values["errors"]}
    assert {("train", "bulk"), ("train", "Ti"), ("test", "O")} <= parts


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_same_seed_same_potential(work, method):
    potentials = []
    for seed in (1, 1, 2):
        result = run("train", "--method", method, "--seed", seed, folder=work)
        assert result.exit_code == 0, result.stderr
        potentials.append(Potential.load(work / "potential.h5"))
    first, again, other = (p.models[0].network.flatten() for p in potentials)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_species_start_with_different_weights(work):
    run("train", "--epochs", 1, folder=work)
    ti, o = (m.network.flatten() for m in Potential.load(work / "potential.h5").models)
    assert not np.allclose(ti, o)


def test_train_works_without_settings(work):
    (work / "in.yaml").unlink()
    result = run("train", "--epochs", "3", folder=work)
    assert result.exit_code == 0, result.stderr
    assert "kept epoch" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "train.scaling=zscore"],
        ["--set", "train.hidden=[4, 3, 2]", "--set", "train.activation=twist"],
        ["--set", "train.hidden={Ti: [4], O: [3, 3]}"],
        ["--set", "train.force_weight=0"],
        ["--set", "train.hidden=[]"],
        ["--set", "train.validation_fraction=0"],
        ["--set", "train.patience=2"],
        ["--method", "adam", "--set", "train.adam.schedule=exponential"],
        ["--method", "adam", "--set", "train.adam.averaging=0"],
    ],
)
def test_variants_lower_the_loss(work, options):
    result = run("train", *options, folder=work)
    assert result.exit_code == 0, result.stderr
    loss = np.genfromtxt(work / "train.log", names=True)["loss"]
    assert loss.min() < loss[0]


def test_labels_decide_the_split(work):
    text = (
        (work / "in.yaml")
        .read_text()
        .replace(
            "    group: bulk",
            "    set: train\n  - files: test/*.xsf\n    set: validation",
        )
    )
    (work / "in.yaml").write_text(text)
    assert run("generate", folder=work).exit_code == 0
    assert run("train", folder=work).exit_code == 0
    provenance = Potential.load(work / "potential.h5").provenance
    assert provenance["split"]["n_train"] == 12
    assert provenance["split"]["validation"] == [12, 13, 14, 15]
    assert provenance["split"]["test"] == [16, 17, 18, 19]


def test_weights_of_structures_count(work):
    text = (work / "in.yaml").read_text()
    (work / "in.yaml").write_text(text.replace("group: bulk", "weight: 3.0"))
    run("generate", folder=work)
    assert set(load_set(work / "fingerprints.h5").labels.weight_s) == {1.0, 3.0}


def test_an_interrupt_keeps_the_best_potential(work):
    (work / "potential.h5").unlink()
    process = start(
        *("train", "--method", "adam", "--epochs", "100000"),
        folder=work,
        PYTHONUNBUFFERED="1",
    )
    for line in process.stderr:
        if line.strip().startswith("20 "):
            break
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, stderr
    assert "interrupted; kept epoch" in stderr
    assert "stopped by SIGINT; the same 'annpot train' with --resume goes on" in stderr
    assert Potential.load(work / "potential.h5").verify()[0] < 1e-10


def test_a_time_limit_ends_the_training(work):
    result = run("train", "--time-limit", "0.01", "--epochs", "100000", folder=work)
    assert result.exit_code == 0
    assert "time limit; kept epoch" in result.stderr
