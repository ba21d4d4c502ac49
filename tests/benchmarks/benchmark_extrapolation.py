"""How often structures are flagged: those like the training set, and strange ones.

    python tests/benchmarks/benchmark_extrapolation.py SET.h5 ... [--by COMMITTEE.h5]

SET.h5 has structures labelled test. Shares are per cent of structures / of atoms. A
committee, trained on the set, also tells the median of the force errors on the
test atoms that each test flags and does not flag, eV/angstrom.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from annpot.committee import Committee
from annpot.dataset import references, split
from annpot.extrapolation import assess, fit_domain
from annpot.fingerprints import load_set
from annpot.pairs import find_nearest


def make_cases(batch, rng):
    """Return the batch, and what it becomes by a bit of pressure or noise."""
    cases = {"test": batch}
    for factor in (0.9, 0.95, 1.05, 1.1):
        cases[f"lengths x {factor}"] = replace(
            batch,
            positions_nc=factor * batch.positions_nc,
            cells_scc=factor * batch.cells_scc,
        )
    for size in (0.05, 0.1, 0.2, 0.4):
        noise_nc = rng.normal(scale=size, size=batch.positions_nc.shape)
        moved_nc = batch.positions_nc + noise_nc
        cases[f"noise {size} A"] = replace(batch, positions_nc=moved_nc)
    return cases


def report(name):
    fingerprints = load_set(Path(name))
    parts = split(fingerprints, 0.1, 0.1, np.random.default_rng(0))
    descriptor, batch = fingerprints.descriptor, fingerprints.batch
    training = descriptor.compute_features(batch.take(parts.train))
    domains = [fit_domain(G_nf, 1e-4) for G_nf in training.blocks(training.G_f)]
    nearest_nt = find_nearest(training.neighbours)
    shortest_st = np.full((len(batch.species),) * 2, np.inf)
    np.minimum.at(shortest_st, training.batch.species_n, nearest_nt)
    cases = {"train": batch.take(parts.train)}
    cases["validation"] = batch.take(parts.validation)
    cases |= make_cases(batch.take(parts.test), np.random.default_rng(1))
    print(f"# {name}")
    print("# case: low or high, high | by kind, each structures/atoms in per cent")
    for case, structures in cases.items():
        features = descriptor.compute_features(structures)
        report_shares(
            case, structures, assess(descriptor, domains, shortest_st, features)
        )


def report_committee(name, committee_name):
    committee, fingerprints = Committee.load(committee_name), load_set(Path(name))
    test = np.flatnonzero(np.array(fingerprints.labels.sets) == "test")
    cases = make_cases(fingerprints.batch.take(test), np.random.default_rng(1))
    print(f"# {name} by {committee_name}: {committee.deviation_limits_s}")
    for case, structures in cases.items():
        result = committee.evaluate(structures)
        found = committee.assess(result.features, result.F_std_n)
        report_shares(case, structures, found)
        if case == "test":
            report_errors(references(fingerprints, test).F_nc - result.F_nc, found)


def report_errors(F_error_nc, found):
    error_n = np.linalg.norm(F_error_nc, axis=1)
    for test, excess_n in zip(found.tests, found.excess_kn, strict=True):
        flagged_n = excess_n > 0
        median = np.median(error_n[flagged_n]) if flagged_n.any() else np.nan
        rest = np.median(error_n[~flagged_n])
        print(
            f"    median force error, {test.kind}: {median:.3f}, not flagged {rest:.3f}"
        )


def report_shares(case, structures, found):
    words = [
        f"low+ {share(found.level_n > 0, structures)}",
        f"high {share(found.level_n > 1, structures)} |",
    ]
    for test, excess_n in zip(found.tests, found.excess_kn, strict=True):
        low, high = share(excess_n > 0, structures), share(excess_n > 1, structures)
        words.append(f"{test.kind} {low}, {high}")
    print(f"{case:14s}", "  ".join(words))


def share(flagged_n, batch):
    flagged_s = np.maximum.reduceat(flagged_n, batch.first_s[:-1])
    return f"{100 * flagged_s.mean():5.1f}/{100 * flagged_n.mean():5.2f}"


if __name__ == "__main__":
    *names, last = sys.argv[1:]
    if names[-1:] == ["--by"]:
        report_committee(names[-2], last)
        names = names[:-1]
    else:
        names.append(last)
    for name in names:
        report(name)
