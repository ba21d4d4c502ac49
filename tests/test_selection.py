"""The greedy choice, against its definition with plain determinants."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
from commands import run

from annpot.committee import Committee
from annpot.fingerprints import load_features, load_set
from annpot.potential import Potential
from annpot.scaling import fit_whitening
from annpot.selection.greedy import (
    NOISE,
    Cover,
    compute_gain,
    cover_nothing,
    cover_training,
    judge_deviation,
    judge_novelty,
    per_atom,
    select,
)
from annpot.selection.pool import SetPool, by_committee, by_descriptor
from annpot.structures.structure import stack


@pytest.fixture(scope="module")
def pool(made):
    return SetPool(load_set(made / "fingerprints.h5"))


@pytest.fixture(scope="module")
def potential(made):
    return Potential.load(made / "potential.h5")


def names(choices):
    return [choice.structure.file for choice in choices]


def features_of(pool):
    """Return the features of each structure, by species."""
    descriptor, found = pool.descriptor, []
    for structure in pool.structures():
        batch = stack([structure], descriptor.species)
        features = descriptor.compute_features(batch)
        found.append((structure, features.blocks(features.G_f), features.atoms_s))
    return found


def logdet(matrix):
    sign, value = np.linalg.slogdet(matrix)
    assert sign == 1
    return value


def choose_by_definition(found, whiten, A_s, n, divide=lambda structure: 1):
    """Return the best structures and their gains: all determinants, each time."""
    chosen, gains = [], []
    for _ in range(n):
        best = None
        for k, (structure, blocks, _) in enumerate(found):
            if k in chosen:
                continue
            gain = 0.0
            for s, G_nf in enumerate(blocks):
                X_nf = whiten(s, G_nf)
                gain += logdet(A_s[s] + X_nf.T @ X_nf) - logdet(A_s[s])
            gain /= divide(structure)
            if best is None or gain > best[0]:
                best = gain, k
        gains.append(best[0])
        chosen.append(best[1])
        for s, G_nf in enumerate(found[best[1]][1]):
            X_nf = whiten(s, G_nf)
            A_s[s] = A_s[s] + X_nf.T @ X_nf
    return [found[k][0].file for k in chosen], gains


@pytest.mark.parametrize("divided", [False, True])
def test_novelty_is_the_greedy_choice(pool, made, divided):
    found = features_of(pool)
    compute = by_descriptor(pool.descriptor)
    judge = per_atom(judge_novelty) if divided else judge_novelty
    choices = list(select(pool, compute, cover_nothing(pool, compute), judge, 8))
    maps = [fit_whitening(s, 1e-4) for s in pool.fingerprints.statistics]
    sizes = pool.descriptor.n_features_s
    expected, gains = choose_by_definition(
        found,
        lambda s, G_nf: (G_nf - maps[s].shift_f) @ maps[s].matrix_ff,
        [NOISE * np.eye(size) for size in sizes],
        8,
        len if divided else lambda structure: 1,
    )
    assert names(choices) == expected
    np.testing.assert_allclose([choice.gain for choice in choices], gains, rtol=1e-7)
    assert np.diff(gains).max() <= 1e-9  # no gain grows
    assert "is least like those known, leverage" in choices[0].reason


def test_what_a_potential_was_trained_on_counts_as_known(pool, potential, made):
    found = features_of(pool)
    compute = by_descriptor(pool.descriptor)
    choices = list(
        select(pool, compute, cover_training(potential, True), judge_novelty, 5)
    )
    # the matrix of the training atoms themselves, not of their statistics
    validation = potential.provenance["split"]["validation"]
    test = potential.provenance["split"]["test"]
    batch, A_s = pool.fingerprints.batch, []
    trained = ~np.isin(batch.structure_n, [*validation, *test])

    def whiten(s, G_nf):
        whitening = potential.models[s].domain.whitening
        return (G_nf - whitening.shift_f) @ whitening.matrix_ff

    for s, G_nf in enumerate(load_features(made / "fingerprints.h5")):
        X_nf = whiten(s, G_nf[trained[batch.species_n == s]])
        A_s.append(NOISE * np.eye(X_nf.shape[1]) + X_nf.T @ X_nf)
    expected, gains = choose_by_definition(found, whiten, A_s, 5)
    assert names(choices) == expected
    np.testing.assert_allclose([choice.gain for choice in choices], gains, rtol=1e-6)


def test_a_structure_far_outside_comes_first(pool, potential):
    strange = []
    for k, structure in enumerate(pool.structures()):
        if k == 9:
            cell_cc, R_nc = 0.8 * structure.cell_cc, 0.8 * structure.positions_nc
            structure = replace(
                structure, cell_cc=cell_cc, positions_nc=R_nc, file="strange"
            )
        strange.append(structure)
    mixed = ListPool(strange)
    compute = by_descriptor(potential.descriptor)
    first, *_ = select(
        mixed, compute, cover_training(potential, True), judge_novelty, 1
    )
    assert first.structure.file == "strange"


class ListPool:
    """Some structures; counts how often they are read."""

    def __init__(self, structures):
        self._structures, self.n_passes = list(structures), 0

    def structures(self):
        self.n_passes += 1
        return iter(self._structures)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_little_memory_changes_nothing(pool, potential, share):
    structures = list(pool.structures())
    compute = by_descriptor(potential.descriptor)
    whole = sum(len(s) for s in structures) * (48 + 8 * 40)

    def choose(memory):
        listed = ListPool(structures)
        covers = cover_training(potential, True)
        chosen = list(select(listed, compute, covers, judge_novelty, 16, memory))
        return names(chosen), listed.n_passes

    expected, n_passes = choose(1 << 30)
    assert n_passes == 1
    found, n_passes = choose(int(share * whole))
    assert found == expected
    assert n_passes == 1 if share == 1.0 else n_passes > 1
    assert sorted(found) == sorted(s.file for s in structures)


@pytest.fixture(scope="module")
def committee(potential):
    """Return members that disagree about the oxygen atoms most."""
    rng = np.random.default_rng(0)
    members = [potential]
    for _ in range(2):
        network = potential.models[1].network
        weights = tuple(
            w * (1 + 0.2 * rng.normal(size=w.shape)) for w in network.weights
        )
        model = replace(potential.models[1], network=replace(network, weights=weights))
        members.append(replace(potential, models=(potential.models[0], model)))
    return Committee(tuple(members))


def test_the_choice_of_a_committee_by_definition(pool, potential, committee):
    found = features_of(pool)
    choices = list(
        select(
            pool,
            by_committee(committee),
            cover_training(potential, False),
            judge_deviation,
            6,
        )
    )
    A_s = [NOISE * np.eye(n) for n in pool.descriptor.n_features_s]
    left, expected, values = list(range(len(found))), [], []
    for _ in range(6):
        value_k = {}
        for k in left:
            structure, blocks, atoms_s = found[k]
            result = committee.evaluate(stack([structure], ("Ti", "O")))
            for s, (G_nf, atoms) in enumerate(zip(blocks, atoms_s, strict=True)):
                for x_f, n in zip(
                    potential.models[s].domain.whitening.apply(G_nf), atoms, strict=True
                ):
                    rest = NOISE * x_f @ np.linalg.solve(A_s[s], x_f) / (x_f @ x_f)
                    value = result.F_std_n[n] * np.sqrt(rest)
                    value_k[k] = max(value_k.get(k, 0.0), value)
        best = max(left, key=value_k.get)
        left.remove(best)
        expected.append(found[best][0].file)
        values.append(value_k[best])
        for s, G_nf in enumerate(found[best][1]):
            X_nf = potential.models[s].domain.whitening.apply(G_nf)
            A_s[s] = A_s[s] + X_nf.T @ X_nf
    assert names(choices) == expected
    np.testing.assert_allclose([c.gain for c in choices], values, rtol=1e-7)
    assert choices[0].reason.startswith("force on ")
    first = committee.evaluate(stack([choices[0].structure], ("Ti", "O")))
    assert choices[0].gain == pytest.approx(first.F_std_n.max(), rel=1e-8)


def test_a_copy_of_what_is_chosen_has_little_to_add(pool, potential, committee):
    structures = list(pool.structures())
    deviations = [
        committee.evaluate(stack([s], ("Ti", "O"))).F_std_n.max() for s in structures
    ]
    worst = structures[int(np.argmax(deviations))]
    copies = [replace(worst, file=f"copy {k}") for k in range(20)]
    crowd = ListPool([*structures, *copies])
    for compute, judge, n in (
        (by_committee(committee), judge_deviation, 12),
        (by_descriptor(potential.descriptor), judge_novelty, 6),
    ):
        covers = cover_training(potential, False)
        found = names(select(crowd, compute, covers, judge, n))
        of_one = [name for name in found if name == worst.file or "copy" in name]
        assert len(of_one) <= 1


def test_gains_through_either_matrix_agree():
    rng = np.random.default_rng(0)
    for shape in ((3, 7), (7, 3), (1, 1), (5, 5)):
        Y_nf = rng.normal(size=shape)
        expected = logdet(np.eye(shape[1]) + Y_nf.T @ Y_nf)
        assert compute_gain(Y_nf) == pytest.approx(expected, rel=1e-12)
        assert compute_gain(Y_nf.copy()) == compute_gain(Y_nf)


def test_a_cover_inverts_what_it_knows(pool):
    rng = np.random.default_rng(0)
    statistics = pool.fingerprints.statistics[0]
    whitening = fit_whitening(statistics, 1e-4)
    cover = Cover(whitening)
    deviation_f = np.sqrt(np.diag(statistics.covariance_ff))
    G_nf = statistics.mean_f + 0.1 * deviation_f * rng.normal(
        size=(6, len(deviation_f))
    )
    X_nf = (G_nf - whitening.shift_f) @ whitening.matrix_ff
    np.testing.assert_allclose(cover.transform(G_nf), X_nf / NOISE**0.5)
    cover.add(G_nf[:4])
    A_ff = NOISE * np.eye(X_nf.shape[1]) + X_nf[:4].T @ X_nf[:4]
    Y_nf = cover.transform(G_nf)
    expected_nn = X_nf @ np.linalg.inv(A_ff) @ X_nf.T
    np.testing.assert_allclose(Y_nf @ Y_nf.T, expected_nn, rtol=1e-6, atol=1e-8)


# the command


def rows(result):
    assert result.exit_code == 0, result.stderr
    return [line.split(" ", 5) for line in result.stdout.splitlines()[1:]]


def test_the_command_ranks_files(made, tmp_path):
    files = sorted((made / "train").glob("*.xsf"))
    out = tmp_path / "chosen.xyz"
    result = run("select", *files, "-n", 4, "-o", out, folder=made)
    table = rows(result)
    assert result.stdout.startswith("# rank file frame atoms gain reason")
    assert [row[0] for row in table] == list("1234")
    assert {row[1] for row in table} <= {str(path) for path in files}
    assert f"wrote {out}" in result.stderr
    frames = ase.io.read(out, ":")
    assert [len(atoms) for atoms in frames] == [int(row[3]) for row in table]
    for row, atoms in zip(table, frames, strict=True):
        assert atoms.info["file"].strip("'") == row[1]
        assert np.isfinite(atoms.get_potential_energy())
    lines = run("select", *files, "-n", 4, "--json", folder=made).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["file"] for r in records] == [row[1] for row in table]
    assert set(records[0]) == {"rank", "file", "frame", "n_atoms", "gain", "reason"}


def test_the_order_of_files_and_threads_does_not_matter(made, monkeypatch):
    files = sorted((made / "train").glob("*.xsf"))
    expected = run("select", *files, "-n", 6, folder=made).stdout
    assert run("select", *files[::-1], "-n", 6, folder=made).stdout == expected
    assert run("select", made / "train", "-n", 6, folder=made).stdout == expected
    names = "annpot.kernels.threads.thread_count"
    for count in (1, 3):
        monkeypatch.setattr(names, lambda count=count: count)
        assert run("select", *files, "-n", 6, folder=made).stdout == expected


def test_a_set_as_pool_gives_what_its_files_give(made):
    files = [*sorted((made / "train").glob("*.xsf"))]
    files += sorted((made / "test").glob("*.xsf"))
    options = ["-p", "potential.h5", "-n", 5]
    of_set = rows(run("select", "fingerprints.h5", *options, folder=made))
    of_files = rows(run("select", *files, *options, folder=made))
    for one, other in zip(of_set, of_files, strict=True):
        assert other[1].endswith(one[1])
        assert float(one[4]) == pytest.approx(float(other[4]), rel=1e-5)


def test_a_committee_chooses(made, committee, tmp_path):
    committee.save(tmp_path / "committee.h5")
    options = ["-p", tmp_path / "committee.h5", "--by", "committee", "-n", 3]
    result = run("select", made / "train", *options, folder=made)
    assert "gain(eV/angstrom) reason" in result.stdout
    assert all("deviates by" in row[5] for row in rows(result))


def test_a_pool_that_is_too_small(made):
    result = run("select", made / "test", "-n", 100, folder=made)
    assert len(rows(result)) == 4
    assert "the pool holds only 4 structures: all are chosen" in result.stderr


def test_structures_that_cannot_be_used(made, tmp_path):
    for path in sorted((made / "train").glob("*.xsf"))[:3]:
        shutil.copy(path, tmp_path)
    (tmp_path / "wrong.xsf").write_text("ATOMS\nS 0 0 0\nS 0 0 2\n")
    (tmp_path / "broken.xsf").write_text("ATOMS\nTi 0 0\n")
    options = ["select", tmp_path, "-p", "potential.h5", "-n", 9]
    result = run(*options, folder=made)
    assert result.exit_code == 1
    assert "broken.xsf', line 2" in result.stderr
    result = run(*options, "--on-error", "skip", folder=made)
    assert len(rows(result)) == 3
    assert "2 structures or files were skipped" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-n", 3], 2, "no structure files given, expected some"),
        (["train", "-n", 0], 2, "-n: a number from 1 on expected, found 0"),
        (["train", "-n", "x"], 2, "'x' is not a valid integer"),
        (["train", "--by", "luck"], 2, "'luck' is not one of"),
        (["train", "--by", "committee"], 2, "--by committee needs a committee"),
        (
            ["train", "--by", "committee", "-p", "potential.h5"],
            1,
            "'potential.h5' is a potential, expected a committee",
        ),
        (["none.xsf"], 2, "'none.xsf': no such file"),
        (["train", "-p", "none.h5"], 1, "'none.h5': no such file"),
        (["train", "-p", "fingerprints.h5"], 1, "expected a potential"),
        (["potential.h5"], 1, "is a potential, expected a fingerprint set"),
        (["fingerprints.h5", "train"], 2, "structure files or one fingerprint set"),
        (["train", "--index", "x"], 2, "index 'x'"),
        (["train", "-n", 2, "-o", "no/where.xyz"], 1, "please make the folder first"),
        (["fingerprints.h5", "-o", "fingerprints.h5"], 2, "set, which would be repla"),
        (["test", "-o", "test/structure0195.xsf"], 2, "this file is read"),
    ],
)
def test_wrong_usage(work, arguments, code, message):
    result = run("select", *arguments, folder=work)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_potential_of_other_programs_is_refused(work):
    potential = Potential.load(work / "potential.h5")
    models = tuple(replace(model, domain=None) for model in potential.models)
    replace(potential, models=models).save(work / "foreign.h5")
    result = run("select", "train", "-p", "foreign.h5", folder=work)
    assert result.exit_code == 1
    assert "the potential does not say what it was trained on" in result.stderr
