"""Structures that test what they train."""

from __future__ import annotations

import numpy as np

from annpot.checks.duplicates import Pairs, find_duplicates, find_near
from annpot.checks.findings import Finding, Severity, places
from annpot.checks.subject import Subject

LIMIT = 0.02
"""Share of a test set that may be close to training structures by chance."""


def check_leakage(subject: Subject) -> list[Finding]:
    """Find structures for testing or validation that also train.

    Method: the split is that of ``annpot train`` with the same seed. Equal structures
    (`find_duplicates`) on both sides are an error where the sets are labelled and a
    warning where they are split at random; nearly equal ones (`find_near`) are a
    warning if they are more than `LIMIT` of the set, else a note.
    """
    split = subject.split
    if split is None:
        return []
    side_s = np.zeros(subject.sample.batch.n_structures, dtype=int)
    side_s[split.validation], side_s[split.test] = 1, 2
    findings = []
    for side, word, members in (
        (2, "test", split.test), (1, "validation", split.validation)
    ):  # fmt: skip
        same = _across(find_duplicates(subject), side_s, side)
        near = _across(find_near(subject), side_s, side)
        only_near = ~np.isin(near.a_k, same.a_k)
        near = Pairs(near.a_k[only_near], near.b_k[only_near])
        for pairs, kind in ((same, "equal"), (near, "nearly equal")):
            if len(pairs.a_k):
                findings.append(_report(subject, pairs, word, kind, len(members)))
    return findings


def _across(pairs: Pairs, side_s: np.ndarray, side: int) -> Pairs:
    """Return the pairs of a structure of one side, first, and one that trains."""
    a_k, b_k = np.concatenate([pairs, pairs[::-1]], axis=1)
    across_k = (side_s[a_k] == side) & (side_s[b_k] == 0)
    _, once = np.unique(a_k[across_k], return_index=True)
    return Pairs(a_k[across_k][once], b_k[across_k][once])


def _report(
    subject: Subject, pairs: Pairs, word: str, kind: str, n_members: int
) -> Finding:
    sample = subject.sample
    labelled = any(sample.sets[s] == word for s in pairs.a_k)
    share = len(pairs.a_k) / n_members
    if kind == "equal":
        severity = Severity.ERROR if labelled else Severity.WARNING
    else:
        severity = Severity.WARNING if share > LIMIT else Severity.NOTE
    texts = [f"{kind} to {sample.name(b)}" for b in pairs.b_k]
    how = "labelled" if labelled else "chosen at random"
    return Finding(
        f"{word} leakage",
        severity,
        share / LIMIT,
        f"{len(pairs.a_k)} of {n_members} {word} structures ({how}) are {kind} to "
        "training structures",
        "errors of this set look better than they are: leave them out, or label groups "
        "with 'set'",
        places(pairs.a_k, np.zeros(len(pairs.a_k)), texts),
    )
