"""How well a committee knows its errors: of the test structures of its training.

    python benchmark_committee.py FINGERPRINTS COMMITTEE

prints how many errors lie below their calibrated bounds, and how well the deviation of
the force on an atom tells large errors (above the 90th percentile and 0.2 eV/angstrom)
from the others: the area under the ROC curve, beside that of the tests for
extrapolation. Then what a further member costs on one thread, with the search for
pairs and with pairs given.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ["ANNPOT_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from scipy.stats import rankdata

from annpot.committee import Committee
from annpot.dataset import references
from annpot.fingerprints import load_set
from annpot.pairs import find_pairs

LARGE = 0.2
"""Least error of a force that counts as large, eV/angstrom."""


def auroc(score_i, is_large_i):
    """Return the probability that a large error has the higher score."""
    n_large = is_large_i.sum()
    ranks = rankdata(score_i)[is_large_i].sum() - n_large * (n_large + 1) / 2
    return ranks / (n_large * (len(score_i) - n_large))


def worst_range(committee, features):
    """Return by how many widths of a feature's range each atom is outside."""
    excess_n = np.zeros(features.batch.n_atoms)
    models = committee.members[0].models
    for model, atoms, G_nf in zip(
        models, features.atoms_s, features.blocks(features.G_f), strict=True
    ):
        low_f, high_f = model.domain.statistics.min_f, model.domain.statistics.max_f
        outside_nf = np.maximum(low_f - G_nf, G_nf - high_f)
        excess_n[atoms] = (outside_nf / (high_f - low_f)).max(axis=1)
    return excess_n


def report(fingerprints, committee):
    structures = np.array(committee.members[0].provenance["split"]["test"])
    batch = fingerprints.batch.take(structures)
    known = references(fingerprints, structures)
    found = committee.evaluate(batch)
    counts_st = np.zeros((batch.n_structures, len(batch.species)))
    np.add.at(counts_st, (batch.structure_n, batch.species_n), 1.0)
    E_s = found.E_s - counts_st @ committee.reference_energies
    dE_s = np.abs(E_s - known.E_s)
    dF_n = np.linalg.norm(found.F_nc - known.F_nc, axis=1)
    print(f"{batch.n_structures} test structures, {batch.n_atoms} atoms")
    E_rmse = 1000 * np.sqrt(np.mean((dE_s / batch.atoms_s) ** 2))
    F_rmse = 1000 * np.sqrt(np.mean(dF_n**2) / 3)
    print(f"errors (rms): {E_rmse:.2f} meV/atom, {F_rmse:.1f} meV/angstrom")
    print("\nbelow their bound    share   median bound / error")
    rows = [("energies", dE_s, found.E_error_s), ("forces", dF_n, found.F_error_n)]
    for s, symbol in enumerate(batch.species):
        mask_n = batch.species_n == s
        rows.append((f"forces on {symbol}", dF_n[mask_n], found.F_error_n[mask_n]))
    for name, error_i, bound_i in rows:
        ratio = np.median(bound_i) / np.median(error_i)
        print(f"{name:<20} {100 * np.mean(error_i < bound_i):5.1f} % {ratio:10.2f}")
    large_n = (dF_n > np.quantile(dF_n, 0.9)) & (dF_n > LARGE)
    scores = {
        "deviation": found.F_std_n,
        "bound": found.F_error_n,
        "range": worst_range(committee, found.features),
        "Mahalanobis": committee.assess(found.features).distance_n,
    }
    print(f"\nAUROC of {large_n.sum()} large errors of forces")
    for name, score_n in scores.items():
        spearman = np.corrcoef(rankdata(score_n), rankdata(dF_n))[0, 1]
        area = auroc(score_n, large_n)
        print(f"{name:<20} {area:6.3f}   rank correlation {spearman:5.2f}")


def report_cost(fingerprints, committee):
    batch = fingerprints.batch.take(
        np.arange(min(100, fingerprints.batch.n_structures))
    )
    given = find_pairs(batch, committee.cutoffs)
    times = {}
    for n_members in range(1, len(committee.members) + 1):
        members = committee.members[:n_members]
        model = Committee(members) if n_members > 1 else members[0]
        for neighbours in (None, given):
            seconds = []
            for _ in range(20):
                start = time.process_time()
                model.evaluate(batch, neighbours)
                seconds.append(time.process_time() - start)
            times.setdefault(n_members, []).append(1e6 * min(seconds) / batch.n_atoms)
    print("\nmembers   us/atom   pairs given")
    for n_members, microseconds in times.items():
        print("{:7d} {:9.1f} {:13.1f}".format(n_members, *microseconds))
    first, last = np.array(times[1]), np.array(times[n_members])
    share = 100 * (last - first) / (n_members - 1) / first
    print("a further member costs {:.0f} and {:.0f} % of the first".format(*share))


if __name__ == "__main__":
    fingerprints, committee = load_set(Path(sys.argv[1])), Committee.load(sys.argv[2])
    report(fingerprints, committee)
    report_cost(fingerprints, committee)
