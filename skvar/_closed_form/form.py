"""Functions of the last rows that explain the next change of a series.

All of them are linear, so that an equation in them is an autoregression of levels: the
error-correction form of a VAR (Engle and Granger 1987), with seasons and gaps.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Form:
    """Which functions of the last rows explain the next change.

    Parameters
    ----------
    own_lags : int
        Lagged changes of the series itself.
    cross_lags : int, optional
        Lagged changes of every other series, beside its level; None leaves other
        series out.
    gaps : tuple of int
        Rows of the means whose distances from the last level count.
    seasons : tuple of int
        Rows of a season, of each one that there is.
    n_seasons : tuple of int
        How many earlier seasons are averaged, of each one.
    adjusted : bool
        Whether levels count less the seasonal pattern, that of the longest season.
    smoothed_rows : int
        Rows of exponential smoothing, the mean with which is the forecast; 0 for the
        equation alone.
    """

    own_lags: int
    cross_lags: int | None = None
    gaps: tuple[int, ...] = ()
    seasons: tuple[int, ...] = ()
    n_seasons: tuple[int, ...] = ()
    adjusted: bool = False
    smoothed_rows: int = 0

    @property
    def rows(self) -> int:
        """Rows of history that enter a forecast."""
        reach = max([self.own_lags, *(width - 1 for width in self.gaps)])
        spans = [s * n for s, n in zip(self.seasons, self.n_seasons, strict=True)]
        return max(self.smoothed_rows, 1 + max([reach + sum(spans[-1:]), *spans]))

    @property
    def first(self) -> int:
        """The first row that is regressed: one season and all lags are before it."""
        return max([self.own_lags, *self.seasons]) + 1

    @cached_property
    def kinds(self) -> list[tuple[str, float]]:
        """Kind of each function of a series itself, and its relative penalty."""
        kinds = [("level", 1.0)]
        kinds += [("lag", lag**2) for lag in range(1, self.own_lags + 1)]
        kinds += [("gap", 1.0) for _ in self.gaps]
        return kinds + [("season", 1.0) for _ in self.seasons]

    @cached_property
    def cross_kinds(self) -> list[tuple[str, float]]:
        """The same of the functions of other series, the first of these."""
        if self.cross_lags is None:
            return []
        return [(f"cross {kind}", size) for kind, size in self.kinds][
            : 1 + self.cross_lags
        ]

    def functions(self, values: np.ndarray) -> np.ndarray:
        """Functions of the rows before each row from ``first`` on, and after the last.

        Seasons and means that begin before the first row are those of fewer rows.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_series)

        Returns
        -------
        ndarray of shape (n_rows - first + 1, n_series, n_functions)
        """
        n_rows = len(values)
        at = np.arange(self.first, n_rows + 1)
        changes = np.diff(values, axis=0, prepend=values[:1])
        means = [
            _seasonal_means(changes, season, n)
            for season, n in zip(self.seasons, self.n_seasons, strict=True)
        ]
        regular = changes - means[-1][:-1] if means else changes
        lagged = [regular[at - lag] for lag in range(1, self.own_lags + 1)]
        gaps = [_gap(regular, width)[at - 1] for width in self.gaps]
        seasonal = [mean[at] for mean in means]
        return np.stack([self._levels(values)[at - 1], *lagged, *gaps, *seasonal], -1)

    def _levels(self, values: np.ndarray) -> np.ndarray:
        """Levels, perhaps less the mean pattern of earlier seasons."""
        if not self.adjusted:
            return values
        season, most = self.seasons[-1], self.n_seasons[-1]
        at = np.arange(len(values))
        sums = np.vstack([np.zeros_like(values[:1]), values.cumsum(axis=0)])
        whole = np.minimum(most, at // season) * season
        overall = (sums[at] - sums[at - whole]) / np.maximum(whole, 1)[:, np.newaxis]
        pattern = _seasonal_means(values, season, most, first=0)[:-1] - overall
        return np.where(whole[:, np.newaxis] > 0, values - pattern, values)

    @cached_property
    def weights(self) -> np.ndarray:
        """The functions as weights (n_functions, rows) of rows, the oldest first."""
        # Each row of the window is 1 in a series of its own.
        return self.functions(np.eye(self.rows))[-1].T


def _seasonal_means(
    values: np.ndarray, season: int, most: int, first: int = 1
) -> np.ndarray:
    """Mean of the values one season, two seasons ... before each row, and the next.

    Rows before ``first`` do not count, and where no others are, the mean is zero.
    """
    totals = np.zeros((len(values) + 1, values.shape[1]))
    counts = np.zeros((len(values) + 1, 1))
    for rows in range(season, min(most * season, len(values) - first) + 1, season):
        totals[rows + first :] += values[first : len(values) + 1 - rows]
        counts[rows + first :] += 1
    return totals / np.maximum(counts, 1)


def _gap(changes: np.ndarray, width: int) -> np.ndarray:
    """Distance of the level of each row from the mean of the last ``width`` levels."""
    gap = np.zeros_like(changes)
    for lag in range(min(width - 1, len(changes))):
        weight = 1 - (lag + 1) / width
        gap[lag:] += weight * changes[: len(changes) - lag]
    return gap
