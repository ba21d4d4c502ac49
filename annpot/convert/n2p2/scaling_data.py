"""scaling.data: what values the symmetry functions have in a training set.

A row for each function, elements by atomic number, functions in n2p2's order:

    element  function  least  largest  mean  standard deviation

both counted from 1. n2p2 puts a header of ``#`` lines before; RuNNer leaves out the
last column, and adds a line of two numbers, the range of the energies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annpot.convert.n2p2.setup import ScalingMode
from annpot.convert.plain_text import (
    check_ended,
    parse_count,
    parse_number,
    read_lines,
)
from annpot.errors import FileFormatError
from annpot.extrapolation import Domain
from annpot.scaling import Statistics
from annpot.structures.structure import Array

WIDE = 1e99
"""Stands for ranges that nobody knows: from minus this to this."""

LARGEST = 1e100
"""Limit of sense; squares of larger numbers might be infinite."""

MAX_COVARIANCES = 20_000_000
"""Beyond that many elements of covariance matrices, ranges are not kept."""

HEADER = """\
################################################################################
# Values of the symmetry functions in the training set
################################################################################
# Column  Content
# 1       element, by atomic number, counted from 1
# 2       symmetry function of the element, counted from 1
# 3       least value
# 4       largest value
# 5       mean
# 6       standard deviation
################################################################################
"""


@dataclass(frozen=True)
class Ranges:
    """The values of the functions of one element."""

    min_f: Array
    max_f: Array
    mean_f: Array
    sigma_f: Array
    """0 where the file has none."""

    @property
    def domain(self) -> Domain | None:
        """Where the training atoms lie; ``None`` if nobody knows."""
        if np.all(self.min_f <= -WIDE) and np.all(self.max_f >= WIDE):
            return None
        covariance_ff = np.diag(self.sigma_f**2)
        statistics = Statistics(0, self.min_f, self.max_f, self.mean_f, covariance_ff)
        return Domain(statistics)


def ranges_of(domain: Domain) -> Ranges:
    """Return the values of the functions in a training set."""
    statistics = domain.statistics
    return Ranges(
        statistics.min_f,
        statistics.max_f,
        statistics.mean_f,
        np.sqrt(np.diag(statistics.covariance_ff)),
    )


def compute_scaling(mode: ScalingMode, ranges: Ranges) -> tuple[Array, Array]:
    """Return shift and scale of the inputs ``(G - shift) scale``, as n2p2 has them.

    Raises
    ------
    ValueError
        If there are none: the message tells the number of the function, and why.
    """
    one_f = np.ones_like(ranges.mean_f)
    if mode.name == "none":
        return 0.0 * one_f, one_f
    if mode.name == "center":
        return ranges.mean_f, one_f
    if mode.name == "sigma":
        width_f, what = ranges.sigma_f, "the standard deviation"
    else:
        width_f, what = ranges.max_f - ranges.min_f, "the range"
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scale_f = (mode.high - mode.low) / width_f
        centre_f = ranges.min_f if mode.name == "scale" else ranges.mean_f
        shift_f = centre_f - mode.low / scale_f
    wrong_f = ~(width_f > 0.0) | ~np.isfinite(scale_f) | ~np.isfinite(shift_f)
    if wrong_f.any():
        f = int(wrong_f.argmax())
        raise ValueError(
            f"function {f + 1}: {what} is {width_f[f]:g}, by which n2p2 divides"
        )
    return shift_f, scale_f


def read_scaling_data(
    path: Path, species: Sequence[str], n_functions_s: Sequence[int]
) -> tuple[Ranges, ...]:
    """Return the ranges of the functions of each element.

    Raises
    ------
    FileFormatError
        If the rows are not those of the elements and functions, or hold no numbers.
    """
    expected = sum(n_functions_s)
    rows = _read_rows(path, expected)
    if len(rows) != expected:
        counts = ", ".join(
            f"{n} of {s}" for s, n in zip(species, n_functions_s, strict=True)
        )
        raise FileFormatError(
            f"'{path}': {_number(len(rows), expected)} rows, expected one for each of "
            f"{expected} symmetry functions ({counts})"
        )
    return tuple(
        Ranges(*values_kf) for values_kf in _blocks(path, rows, species, n_functions_s)
    )


def _number(found: int, expected: int) -> str:
    return f"{found}" if found <= expected else f"more than {expected}"


Row = tuple[int, list[str]]
"""Number and words of a line."""


def _read_rows(path: Path, expected: int) -> list[Row]:
    """Return the rows, or more than expected if there are more."""
    rows: list[Row] = []
    for number, text in read_lines(path):
        words = text.split()
        if words and not words[0].startswith("#"):
            check_ended(path, number, text)
            rows.append((number, words))
        if len(rows) > expected + 1:
            break
    if rows and len(rows[-1][1]) == 2:
        rows.pop()
    return rows


def _blocks(
    path: Path, rows: list[Row], species: Sequence[str], n_functions_s: Sequence[int]
) -> Iterator[Array]:
    """Yield least, largest, mean and standard deviation of the functions of elements.

    n2p2 accepts rows in a wrong order if only one of both numbers is wrong: this is not
    done here.
    """
    remaining = iter(rows)
    n_columns = len(rows[0][1])
    if n_columns not in (5, 6):
        raise FileFormatError(
            f"'{path}', line {rows[0][0]}: {n_columns} columns, expected 5 or 6: "
            "element, function, least, largest, mean and, from n2p2, standard deviation"
        )
    for e, (symbol, n_functions) in enumerate(
        zip(species, n_functions_s, strict=True), 1
    ):
        values_fk = np.zeros((n_functions, 4))
        for f in range(1, n_functions + 1):
            number, words = next(remaining)
            place = f"'{path}', line {number}"
            found = [parse_count(word, 10**9) for word in words[:2]]
            if found != [e, f]:
                raise FileFormatError(
                    f"{place}: row {' '.join(words[:2])!a:.40}, expected '{e} {f}': "
                    f"function {f} of {symbol}, elements by atomic number"
                )
            if len(words) != n_columns:
                raise FileFormatError(
                    f"{place}: {len(words)} columns, but {n_columns} in the first row"
                )
            values_fk[f - 1] = _parse_values(place, words[2:])
        yield values_fk.T.copy()


def _parse_values(place: str, words: list[str]) -> list[float]:
    # n2p2 writes NaN for the standard deviation of what does not vary
    if len(words) == 4 and words[3].lower().lstrip("-") == "nan":
        words = words[:3]
    values = []
    for word in words:
        value = parse_number(word)
        if value is None or abs(value) > LARGEST:
            raise FileFormatError(
                f"{place}: {word!a:.40}, expected a number, at most {LARGEST:g}"
            )
        values.append(value)
    if values[0] > values[1]:
        raise FileFormatError(
            f"{place}: least value {words[0]} and largest {words[1]}, expected the "
            "least first"
        )
    return [*values, *[0.0] * (4 - len(values))]


def format_scaling_data(ranges_s: Sequence[Ranges]) -> str:
    """Return the content of a scaling.data; numbers are exact."""
    lines = [HEADER]
    for e, ranges in enumerate(ranges_s, 1):
        columns = zip(
            ranges.min_f, ranges.max_f, ranges.mean_f, ranges.sigma_f, strict=True
        )
        for f, values in enumerate(columns, 1):
            numbers = " ".join(f"{value:24.16E}" for value in values)
            lines.append(f"{e:10d} {f:10d} {numbers}\n")
    return "".join(lines)
