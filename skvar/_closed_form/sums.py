"""Sums over the rows of a table that closed forms are made of, without the table.

Products of rows with those some rows later are sums over pairs of rows. Sums of two
stretches of a table join to those of both: what is missing are pairs across the border,
which the last rows of the one and the first rows of the other make. Joining is
associative, so that stretches may be summed anywhere and joined in any grouping that
keeps their order. Deviations are from the mean of each stretch, which moves in a join
as in Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
from sklearn.preprocessing import StandardScaler

from .._data.lazy import Recomputable, lazy
from .._data.units import divisors, scaler_of

_CHUNK = 8_192

# Squared changes below this part of the squared deviations are none.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Sums:
    """Products of deviations from the mean, summed over a stretch of rows.

    Parameters
    ----------
    n_rows : int
    mean : ndarray of shape (n_series,)
    own : ndarray of shape (n_own, n_series)
        Of each row with that so many rows later, series by series.
    pairs : ndarray of shape (n_pairs, n_series, n_series)
        Of the series of a row with all series of that so many rows later.
    head, tail : ndarray of shape (n, n_series)
        The first and the last rows, as many as the longest lag, or all.
    """

    n_rows: int
    mean: np.ndarray
    own: np.ndarray
    pairs: np.ndarray
    head: np.ndarray
    tail: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, n_own: int, n_pairs: int) -> "Sums":
        """Of rows (n_rows, n_series), at least one, with lags 0, 1 ... so many."""
        n_rows, n_series = values.shape
        mean = values.mean(axis=0)
        deviations = values - mean
        # The mean itself is rounded.
        rounding = deviations.mean(axis=0)
        mean += rounding
        deviations -= rounding
        own, pairs = np.zeros((n_own, n_series)), np.zeros((n_pairs, *2 * (n_series,)))
        for first in range(0, n_rows, _CHUNK):
            n = min(_CHUNK, n_rows - first)
            _add_products(own, pairs, deviations[first:], n)
        reach = max(n_own, n_pairs) - 1
        head, tail = values[:reach].copy(), values[max(n_rows - reach, 0) :].copy()
        return cls(n_rows, mean, own, pairs, head, tail)

    def __add__(self, later: "Sums") -> "Sums":
        """Of this stretch and the one that follows it."""
        n_rows = self.n_rows + later.n_rows
        mean = self.mean + (later.mean - self.mean) * (later.n_rows / n_rows)
        ours, theirs = self.about(mean), later.about(mean)
        own, pairs = ours.own + theirs.own, ours.pairs + theirs.pairs
        border = np.concatenate([self.tail, later.head]) - mean
        _add_products(own, pairs, border, len(self.tail), across=True)
        reach = max(len(own), len(pairs)) - 1
        head = np.concatenate([self.head, later.head])[:reach]
        tail = np.concatenate([self.tail, later.tail])
        tail = tail[max(len(tail) - reach, 0) :]
        return Sums(n_rows, mean, own, pairs, head, tail)

    def about(self, origin: np.ndarray) -> "Sums":
        """The same with products of deviations from elsewhere."""
        shift = self.mean - origin
        # Deviations sum to zero: those of all rows but the last ones are minus theirs.
        early = -_sums_of_first(self.tail[::-1] - self.mean)
        late = -_sums_of_first(self.head - self.mean)
        parts = []
        for products, outer in ((self.own, np.multiply), (self.pairs, _outer)):
            lags = np.arange(len(products))
            count = np.maximum(self.n_rows - lags, 0).reshape(
                -1, *(1,) * (products.ndim - 1)
            )
            at = np.minimum(lags, self.n_rows)
            moved = outer(early[at], shift) + outer(shift, late[at])
            parts.append(products + moved + count * outer(shift, shift))
        return replace(self, own=parts[0], pairs=parts[1])

    def in_units(self, scaler: StandardScaler) -> "Sums":
        """Of the standardised rows; zeros in columns whose variance is 0."""
        scale = divisors(scaler)

        def standardised(rows: np.ndarray) -> np.ndarray:
            return (rows - scaler.mean_) / scale

        return Sums(
            self.n_rows,
            standardised(self.mean),
            self.own / scale**2,
            self.pairs / scale[:, np.newaxis] / scale,
            standardised(self.head),
            standardised(self.tail),
        )

    @lazy
    def about_zero(self) -> "Sums":
        """With products of the rows themselves."""
        return self.about(np.zeros_like(self.mean))

    def edges(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last rows (width - 1, n_series)."""
        return self.head[: width - 1], self.tail[len(self.tail) - width + 1 :]

    def own_products(self, width: int) -> np.ndarray:
        """Sums (width, n_series) over the first rows of windows, with later ones."""
        _, end = self.edges(width)
        found = self.about_zero.own[:width].copy()
        for lag in range(width - 1):
            found[lag] -= np.einsum("tc,tc->c", end[: width - 1 - lag], end[lag:])
        return found

    def pair_products(self, width: int) -> np.ndarray:
        """Sums (width, n_series, n_series) as of `own_products`, between series."""
        _, end = self.edges(width)
        found = self.about_zero.pairs[:width].copy()
        for lag in range(width - 1):
            found[lag] -= end[: width - 1 - lag].T @ end[lag:]
        return found

    def window_sums(self, width: int) -> np.ndarray:
        """Sums (width, n_series) of each row of the windows."""
        start, end = self.edges(width)
        first = self.n_rows * self.mean - end.sum(axis=0)
        return np.vstack([first, first + (end - start).cumsum(axis=0)])


@dataclass(frozen=True, eq=False)
class SummedTable(Recomputable):
    """A table that is known by sums over its stretches.

    It has a length and a shape, and slices that begin and end where stretches do.

    Parameters
    ----------
    stretches : sequence of Sums
    n_series : int
    """

    stretches: Sequence[Sums]
    n_series: int

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and series."""
        return len(self), self.n_series

    @lazy
    def starts(self) -> np.ndarray:
        """The first row of each stretch, and the end of the last one."""
        return np.cumsum([0, *(one.n_rows for one in self.stretches)])

    def __getitem__(self, rows: slice) -> "SummedTable":
        start, stop, _ = rows.indices(len(self))
        stop = max(start, stop)
        first, last = np.searchsorted(self.starts, [start, stop])
        if [self.starts[first], self.starts[last]] != [start, stop]:
            raise ValueError(f"Rows {start} to {stop} were not summed by themselves.")
        return SummedTable(self.stretches[first:last], self.n_series)

    @lazy
    def total(self) -> Sums:
        """Of all rows."""
        return reduce(add, self.stretches)

    def joined(self) -> "SummedTable":
        """The same rows as one stretch, which is smaller."""
        return SummedTable([self.total], self.n_series)

    def scaler(self) -> StandardScaler:
        """Means and standard deviations of the columns, as of `units_of`."""
        total = self.total
        return scaler_of(
            total.n_rows, total.mean, total.own[0] / total.n_rows, total.head[0]
        )

    def in_units(self, scaler: StandardScaler) -> "SummedTable":
        """Of the standardised rows."""
        return replace(self, stretches=[x.in_units(scaler) for x in self.stretches])

    def squared_changes(self) -> np.ndarray:
        """Sums (n_series,) of squared changes from row to row; rounding is none."""
        total = self.total
        squares, followed = total.own[:2]
        ends = np.square(np.stack([total.head[0], total.tail[-1]]) - total.mean)
        found = 2 * (squares - followed) - ends.sum(axis=0)
        return np.where(found > _ROUNDING * squares, found, 0.0)


def are_summed(segments: Sequence) -> bool:
    """Whether segments are known by their sums."""
    return isinstance(segments[0], SummedTable)


def cut(values: np.ndarray, first: int, cuts: Sequence[int]) -> list[tuple[int, slice]]:
    """Stretches that rows, of which the first has a number, have a part in.

    ``cuts`` are the numbers of the first rows of the stretches after the first one.
    Returned are the number of each stretch and the rows in it.
    """
    end = first + len(values)
    inner = [row for row in cuts if first < row < end]
    edges = [first, *inner, end]
    numbers = np.searchsorted(cuts, edges[:-1], side="right")
    return [
        (int(number), slice(begin - first, stop - first))
        for number, (begin, stop) in zip(numbers, pairwise(edges), strict=True)
    ]


def _add_products(
    own: np.ndarray,
    pairs: np.ndarray,
    rows: np.ndarray,
    n: int,
    *,
    across: bool = False,
) -> None:
    """Add products of the first n rows with later ones, or with those after them."""
    for lag in range(max(len(own), len(pairs))):
        start, stop = max(0, n - lag) if across else 0, min(n, len(rows) - lag)
        if stop <= start:
            continue
        early, late = rows[start:stop], rows[start + lag : stop + lag]
        if lag < len(own):
            own[lag] += np.einsum("tc,tc->c", early, late)
        if lag < len(pairs):
            pairs[lag] += early.T @ late


def _sums_of_first(rows: np.ndarray) -> np.ndarray:
    """Sums of no rows, of the first one, of two ..."""
    return np.vstack([np.zeros((1, rows.shape[1])), rows.cumsum(axis=0)])


def _outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., :, np.newaxis] * b[..., np.newaxis, :]
