"""Terms that enter every row of a VAR as they are ordered: trends, dummies, covariates.

``y_t = c + sum_l A_l y_{t-l} + B d_t + u_t``, where the terms d_t are known, as in
Lütkepohl (2005), "New introduction to multiple time series analysis", chapter 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._data.tables import position
from .covariates import calendar_features

# Part of a column, each of length one, that others leave unexplained: less is rounding.
_COLLINEAR = 1e-9


@dataclass(frozen=True, eq=False)
class Deterministic:
    """Terms that the time alone determines.

    Parameters
    ----------
    trend : {"n", "c", "ct"}
        No constant, a constant, or a constant and a linear trend, 1 in the first row.
    season : int
        Rows of a season, whose places have dummies; 1 for none. The place of the first
        row is in the constant, where there is one.
    calendar : sequence of str
        Of `calendar_features`.
    origin : Index
        The time of the first row, an index of one.
    step : DateOffset or int
        From one row to the next.
    """

    trend: str
    season: int
    calendar: Sequence[str]
    origin: pd.Index
    step: pd.DateOffset | int

    @property
    def has_constant(self) -> bool:
        """Whether the VAR has an intercept."""
        return self.trend != "n"

    @property
    def is_timed(self) -> bool:
        """Whether a term counts rows from the first one."""
        return self.trend == "ct" or self.season > 1

    def __call__(self, index: pd.Index) -> pd.DataFrame:
        """The terms at some times, one step after the other, but for the constant."""
        start = position(self.origin, self.step, index[0]) if len(index) else 0
        number = start + np.arange(len(index))
        columns = {}
        if self.trend == "ct":
            columns["trend"] = number + 1
        if self.season > 1:
            for place in range(int(self.has_constant), self.season):
                columns[f"season_{place + 1}"] = number % self.season == place
        terms = pd.DataFrame(columns, index, dtype=float)
        if not self.calendar:
            return terms
        return pd.concat([terms, calendar_features(index, self.calendar)], axis=1)


@dataclass(frozen=True, eq=False)
class Ordered:
    """Columns that act on every row, as a user orders them.

    Parameters
    ----------
    deterministic : Deterministic
    covariates : Index
        Columns of tables of covariates.
    lags : int
        Earlier rows of these that act as well.
    """

    deterministic: Deterministic
    covariates: pd.Index
    lags: int

    @property
    def n_lags(self) -> int:
        """Rows before a row that act on it."""
        return self.lags if len(self.covariates) else 0

    def table(self, X: pd.DataFrame | None, index: pd.Index) -> pd.DataFrame:
        """Columns of X at some times, then deterministic terms."""
        terms = self.deterministic(index)
        if not len(self.covariates):
            return terms
        return pd.concat([X.loc[index, self.covariates], terms], axis=1)

    def design(self, table: pd.DataFrame) -> np.ndarray:
        """Numbers (n_rows, n_terms) that act on the rows of a `table`.

        Those of the same row, then earlier rows of covariates; NaN in the first rows,
        of which these are not known.
        """
        values, n = table.to_numpy(dtype=float), len(self.covariates)
        parts = [values]
        for lag in range(1, self.n_lags + 1):
            earlier = np.full((len(values), n), np.nan)
            earlier[lag:] = values[:-lag, :n]
            parts.append(earlier)
        return np.hstack(parts)

    def names(self, table: pd.DataFrame) -> list[str]:
        """What errors call the columns of `design`."""
        lagged = [
            f"{name} {lag} rows before"
            for lag in range(1, self.n_lags + 1)
            for name in self.covariates
        ]
        return [*map(str, table.columns), *lagged]

    def by_lag(self, weights: np.ndarray) -> np.ndarray:
        """Effects (..., n_lags + 1, n_series, n_columns) of the columns of a `table`.

        From those (..., n_series, n_terms) of the columns of `design`.
        """
        n = len(self.covariates)
        n_columns = weights.shape[-1] - n * self.n_lags
        shape = (*weights.shape[:-2], self.n_lags + 1, weights.shape[-2], n_columns)
        effects = np.zeros(shape)
        effects[..., 0, :, :] = weights[..., :n_columns]
        for lag in range(1, self.n_lags + 1):
            start = n_columns + (lag - 1) * n
            effects[..., lag, :, :n] = weights[..., start : start + n]
        return effects


@dataclass(frozen=True, eq=False)
class FittedTerms:
    """Ordered columns and what they do to standardised series.

    Parameters
    ----------
    ordered : Ordered
    weights : ndarray of shape (n_series, n_terms)
        Of the columns of `Ordered.design`.
    """

    ordered: Ordered
    weights: np.ndarray

    def inflow(self, X: pd.DataFrame | None, index: pd.Index) -> np.ndarray:
        """What flows into rows (n_rows, n_series); NaN where it is not known."""
        return self.ordered.design(self.ordered.table(X, index)) @ self.weights.T


@dataclass(frozen=True, eq=False)
class Design:
    """Terms of the rows of some tables, for a regression.

    Parameters
    ----------
    tables : sequence of ndarray of shape (n_rows, n_terms)
        NaN where they are not known; without the constant.
    zero : ndarray of shape (n_series,), optional
        Where zero is in the units of the series, for regressions through it; None for
        those with a constant.
    """

    tables: Sequence[np.ndarray]
    zero: np.ndarray | None = None

    def split(self, lengths: Sequence[tuple[int, int] | None]) -> tuple:
        """Designs of the first rows, and of those that are held out with their past.

        ``lengths`` are the number of the first, and where the others begin; None for
        tables that serve training alone.
        """
        pairs = list(zip(self.tables, lengths, strict=True))
        first = [x if cut is None else x[: cut[0]] for x, cut in pairs]
        held_out = [x[cut[1] :] for x, cut in pairs if cut is not None]
        return Design(first, self.zero), Design(held_out, self.zero)

    def windows(self, segments: Sequence[np.ndarray], order: int) -> tuple:
        """Windows (n, (order + 1) * n_series) and their terms (n, n_terms).

        Those whose last row has known terms; with a constant, that is the first term.
        """
        rows, terms = [], []
        for values, table in zip(segments, self.tables, strict=True):
            n_windows = len(values) - order
            if n_windows <= 0:
                continue
            if self.zero is not None:
                values = values - self.zero
            views = [values[i : n_windows + i] for i in range(order + 1)]
            known = np.isfinite(table[order:]).all(axis=1)
            rows.append(np.hstack(views)[known])
            terms.append(table[order:][known])
        rows, terms = np.concatenate(rows), np.concatenate(terms)
        if self.zero is None:
            terms = np.hstack([np.ones((len(terms), 1)), terms])
        return rows, terms


def collinear(terms: np.ndarray, names: Sequence[str]) -> list[str]:
    """Names of terms (n_rows, n_terms) that earlier ones determine."""
    found, basis = [], np.empty((len(terms), 0))
    for name, column in zip(names, terms.T, strict=True):
        size = np.linalg.norm(column)
        rest = column / size if size else column
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        left = np.linalg.norm(rest)
        if left <= _COLLINEAR:
            found.append(name)
        else:
            basis = np.column_stack([basis, rest / left])
    return found
