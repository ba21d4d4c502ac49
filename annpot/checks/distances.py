"""Distances that tell wrong geometries and wrong units of length."""

from __future__ import annotations

import numpy as np

from annpot.checks.findings import Finding, Severity, places
from annpot.checks.subject import Subject
from annpot.structures.structure import Array, Batch
from annpot.units import LENGTHS

SHORT, COLLIDING = 0.5, 0.35
"""Distances in sums of covalent radii. In sets from the literature, with compressed
and liquid structures, the shortest was 0.59."""
USUAL = 0.6, 1.4
"""Range of the median distance to the nearest neighbour, in the same unit: 0.85 in
metals and oxides, 1 in molecules."""
GAP = 2.0
"""How much wider the empty part of a cell is than the gaps between atoms."""
FILLED = 0.02
"""How far from a fraction the filled part of a cell may be."""


def check_short_distances(subject: Subject) -> list[Finding]:
    """Find atoms that are too close.

    Method: distances to nearest neighbours over the sum of covalent radii (Cordero et
    al., DOI 10.1039/b801115j); below `SHORT` a warning, below `COLLIDING` an error.
    """
    batch, near = subject.sample.batch, subject.surroundings
    least_s = np.minimum.reduceat(near.nearest_n, batch.first_s[:-1])
    found = np.flatnonzero(least_s < SHORT)
    if not len(found):
        return []
    texts = []
    for s in found:
        first, last = batch.first_s[s : s + 2]
        n = first + int(near.nearest_n[first:last].argmin())
        pair = f"{batch.species[batch.species_n[n]]}-{batch.species[near.partner_n[n]]}"
        texts.append(f"{pair} {near.distance_n[n]:.3f} angstrom")
    return [
        Finding(
            "short distances",
            Severity.ERROR if (least_s < COLLIDING).any() else Severity.WARNING,
            float(SHORT / least_s.min()),
            f"{len(found)} structures have atoms closer than {SHORT} times the sum of "
            "their covalent radii",
            "check cells, positions and units; leave out collisions that do not matter",
            places(found, -least_s[found], texts),
        )
    ]


def check_units_of_length(subject: Subject) -> list[Finding]:
    """Find lengths that are not in angstrom.

    Method: the median over the atoms of the distance to the nearest neighbour, in sums
    of covalent radii, is outside `USUAL`: a warning; an error if bohr or nm as the unit
    would put it inside. Structures of one kind that differ from the rest are listed.
    """
    batch, near = subject.sample.batch, subject.surroundings
    bonded_n = np.isfinite(near.nearest_n)
    if not bonded_n.any():
        return []
    median_s = _medians(batch, np.where(bonded_n, near.nearest_n, np.nan))
    strange = np.flatnonzero((median_s < USUAL[0]) | (median_s > USUAL[1]))
    if not len(strange):
        return []
    typical = float(np.median(median_s[strange]))
    units = [
        unit
        for unit, length in LENGTHS.items()
        if unit != "angstrom" and 0.8 < typical * length < 1.15
    ]
    many = len(strange) > 0.01 * batch.n_structures
    text = f" as if positions were in {units[0]}" if units else ""
    return [
        Finding(
            "units of length",
            Severity.ERROR if units and many else Severity.WARNING,
            float(max(typical / USUAL[1], USUAL[0] / typical)),
            f"in {len(strange)} of {batch.n_structures} structures atoms are "
            f"{typical:.2g} times the sum of their covalent radii apart{text}",
            "check the units of positions and cells; annpot expects angstrom",
            places(
                strange,
                np.abs(np.log(median_s[strange])),
                [f"{median_s[s]:.2f} times" for s in strange],
            ),
        )
    ]


def _medians(batch: Batch, values_n: Array) -> Array:
    """Return the median of each structure; 1 for those without a value."""
    order = np.lexsort((values_n, batch.structure_n))
    count_s = np.add.reduceat(np.isfinite(values_n).astype(int), batch.first_s[:-1])
    middle_s = batch.first_s[:-1] + np.maximum(count_s - 1, 0) // 2
    return np.where(count_s > 0, values_n[order][middle_s], 1.0)


def check_cells(subject: Subject) -> list[Finding]:
    """Find cells in bohr around positions in angstrom.

    Method: in crystals that fill their cell, the largest gap between atoms along a cell
    vector is a few angstrom. If atoms fill the same fraction of all three vectors and
    it is that of bohr and angstrom (to the gap between neighbours): a warning.
    """
    batch = subject.sample.batch
    fraction = LENGTHS["bohr"]
    found, texts = [], []
    for s in np.flatnonzero(batch.pbc_sc.all(axis=1) & (batch.atoms_s > 1)):
        atoms = slice(batch.first_s[s], batch.first_s[s + 1])
        cell_cc = batch.cells_scc[s]
        filled_c, spacing_c = _filled(batch.positions_nc[atoms], cell_cc)
        # the true cell reaches from the first atom to the image of it
        low_c, high_c = filled_c - FILLED, filled_c + spacing_c + FILLED
        fits_c = (low_c < fraction) & (fraction < high_c)
        if (fits_c & (1 - filled_c > GAP * spacing_c)).all():
            found.append(int(s))
            texts.append(f"filled to {', '.join(f'{100 * f:.0f} %' for f in filled_c)}")
    if not found:
        return []
    return [
        Finding(
            "cells in bohr",
            Severity.WARNING,
            1.0 + len(found) / batch.n_structures,
            f"in {len(found)} of {batch.n_structures} structures the atoms fill about "
            "half of each cell vector, as if the cell were in bohr",
            "check the cells; nothing is wrong with molecules in boxes",
            places(found, np.zeros(len(found)), texts),
        )
    ]


def _filled(R_nc: Array, cell_cc: Array) -> tuple[Array, Array]:
    """Return which fraction of each cell vector atoms fill, and their widest spacing.

    The largest gap is empty, the second largest is the spacing.
    """
    S_nc = np.sort(np.linalg.solve(cell_cc.T, R_nc.T).T % 1.0, axis=0)
    gaps_nc = np.diff(np.concatenate([S_nc, S_nc[:1] + 1.0]), axis=0)
    gaps_nc.sort(axis=0)
    return 1.0 - gaps_nc[-1], gaps_nc[-2]


def check_isolated(subject: Subject) -> list[Finding]:
    """Find atoms without any neighbour within the cutoff.

    Method: in structures of more than one atom they are a warning, if these are at most
    half of the structures; free atoms by themselves are a note.
    """
    batch = subject.sample.batch
    lonely_n = ~np.isfinite(subject.surroundings.nearest_n)
    count_s = np.add.reduceat(lonely_n.astype(int), batch.first_s[:-1])
    findings = []
    for kind_s, severity, what, advice in (
        (
            batch.atoms_s > 1,
            Severity.WARNING,
            "structures hold",
            "check the geometry",
        ),
        (batch.atoms_s == 1, Severity.NOTE, "structures are", "nothing, if intended"),
    ):
        found = np.flatnonzero(kind_s & (count_s > 0))
        if len(found):
            findings.append(
                Finding(
                    "isolated atoms",
                    severity,
                    1.0,
                    f"{len(found)} {what} atoms without a neighbour within the cutoff",
                    advice,
                    places(
                        found, count_s[found], [f"{count_s[s]} atoms" for s in found]
                    ),
                )
            )
    return findings
