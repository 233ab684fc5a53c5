"""What known covariates do to the series, in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.preprocessing import StandardScaler

from .._data.tables import check_observed, precede_index
from .._data.units import standardise, units_of
from .ridge import pooled_moments, solve_ridge

Segments = Sequence[np.ndarray]

_PASSES = 3
# Lags of a filter, and covariates times lags, at most.
_FILTER_LAGS, _MOST_INPUTS = 16, 512
# Rows of the longest segment per lag of filter or effect, and per coefficient.
_ROWS_PER_LAG, _ROWS_PER_COEF = 10, 10
# In mean squares of standardised covariates, and of a filtered one by itself.
_CONSTANT, _COLLINEAR = 1e-10, 1e-6
# Smallest share of a variance that is not rounding.
_LEAST = 1e-12

# Number of values of a category, and the share that is over of a longer cycle.
_CATEGORIES = {"hour": 24, "dayofweek": 7, "month": 12, "quarter": 4}
_CYCLES = {
    "minute": lambda times: times.minute / 60,
    "day": lambda times: (times.day - 1) / times.days_in_month,
    "dayofyear": lambda times: (times.dayofyear - 1) / (365 + times.is_leap_year),
}
_HARMONICS = 3
_FLAGS = [
    "is_weekend",
    "is_month_start",
    "is_month_end",
    "is_quarter_start",
    "is_quarter_end",
    "is_year_start",
    "is_year_end",
]


def covariate_effect(
    series: Segments,
    covariates: Segments,
    lags: int = 13,
    delayed: np.ndarray | None = None,
) -> np.ndarray:
    """Linear effect of covariates on series whose rest is autocorrelated.

    Feasible generalised least squares in the manner of Cochrane & Orcutt (1949): an
    autoregressive filter makes the rest of a series about white, and least squares of
    the filtered series on filtered covariates gives the effect, hence a new rest. The
    weights of a filter sum to one, so levels play no part. Which covariates act on a
    series, and at which lags, is found by forward selection.

    Parameters
    ----------
    series : sequence of ndarray of shape (n_rows, n_targets)
        Standardised tables without gaps.
    covariates : sequence of ndarray of shape (n_rows, n_covariates)
        Standardised, of the same rows.
    lags : int, default=13
        Rows of covariates that may act on a row, itself included. Fewer are used
        where there are few rows or many covariates.
    delayed : ndarray of bool of shape (n_covariates,), optional
        Whether a covariate may act on later rows than its own; all may by default.

    Returns
    -------
    ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of the covariates of the same row first, then of earlier ones.
    """
    n_targets, n_covariates = series[0].shape[1], covariates[0].shape[1]
    most = max(map(len, series)) // _ROWS_PER_LAG
    if not most:
        return np.zeros((1, n_targets, n_covariates))
    lags = max(1, min(lags, most, _MOST_INPUTS // n_covariates))
    order = min(_FILTER_LAGS, most)
    may_act = np.ones((lags, n_covariates), dtype=bool)
    if delayed is not None:
        may_act[1:] = delayed
    effects = []
    for j in range(n_targets):
        one = [values[:, [j]] for values in series]
        effects.append(_effect_on_one(one, covariates, may_act, order))
    effect = np.concatenate(effects, axis=1)
    acting = np.flatnonzero(effect.any(axis=(1, 2)))
    return effect[: acting[-1] + 1 if len(acting) else 1]


def apply_effect(weights: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Effect on every row; before the first, covariates are taken as constant.

    Parameters
    ----------
    weights : ndarray of shape (n_lags, n_targets, n_covariates)
    covariates : ndarray of shape (n_rows, n_covariates)

    Returns
    -------
    ndarray of shape (n_rows, n_targets)
    """
    n_before = len(weights) - 1
    padded = np.concatenate([np.repeat(covariates[:1], n_before, axis=0), covariates])
    return sum(
        padded[n_before - lag : len(padded) - lag] @ weight.T
        for lag, weight in enumerate(weights)
    )


def calendar_features(index: pd.Index, names: Sequence[str]) -> pd.DataFrame:
    """What the calendar says of dates, as columns for a linear effect.

    Parameters
    ----------
    index : DatetimeIndex or PeriodIndex
        Periods count from their start; timestamps in their time zone.
    names : sequence of str
        "hour", "dayofweek", "month" and "quarter" become sines and cosines of all
        harmonics, whose combinations are all profiles, the smooth ones of few waves;
        "minute" (of the hour), "day" (of the month) and "dayofyear" those of the first
        three; "is_weekend", "is_month_start", "is_month_end" and the same of quarter
        and year are 0 or 1.

    Returns
    -------
    DataFrame of shape (n_rows, n_features)
        Columns depend on ``names`` alone.

    Raises
    ------
    ValueError
        If the index holds no dates or a name is unknown.
    """
    known = [*_CATEGORIES, *_CYCLES, *_FLAGS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown calendar features {unknown}; choose from {known}.")
    if not isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        raise ValueError(
            "calendar features need dates, but the time index is of dtype "
            f"{index.dtype}; use a DatetimeIndex or a PeriodIndex."
        )
    times = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    # With a freq, some flags are those of business days.
    times = pd.DatetimeIndex(times, freq=None)
    columns = {}
    for name in names:
        columns.update(_feature(times, name))
    return pd.DataFrame(columns, index, dtype=float)


def _feature(times: pd.DatetimeIndex, name: str) -> dict[str, np.ndarray]:
    """Columns of one calendar feature."""
    if name == "is_weekend":
        return {name: times.dayofweek >= 5}
    if name in _FLAGS:
        return {name: np.asarray(getattr(times, name))}
    if name in _CYCLES:
        return _waves(name, _CYCLES[name](times), 2 * _HARMONICS)
    n_values = _CATEGORIES[name]
    return _waves(name, getattr(times, name) / n_values, n_values - 1)


def _waves(name: str, phase: pd.Index, n_waves: int) -> dict[str, np.ndarray]:
    """The longest cosines and sines of a cycle, in turn."""
    waves = {}
    for i in range(n_waves):
        wave, k = (np.cos, np.sin)[i % 2], i // 2 + 1
        waves[f"{name}_{wave.__name__}{k}"] = wave(2 * np.pi * k * np.asarray(phase))
    return waves


def _effect_on_one(
    series: Segments, covariates: Segments, may_act: np.ndarray, order: int
) -> np.ndarray:
    """Effect (lags, 1, n_covariates) on one series, of what may act (lags, ...)."""
    lags = len(may_act)
    effect = np.zeros((lags, 1, covariates[0].shape[1]))
    # What acts on the first rows is not known.
    known = [inputs[lags - 1 :] for inputs in covariates]
    for _ in range(_PASSES):
        rest = [
            (values - apply_effect(effect, inputs))[lags - 1 :]
            for values, inputs in zip(series, covariates, strict=True)
        ]
        weight = _filter(rest, known, order)
        effect = _filtered_effect(series, covariates, weight, may_act)
    return effect


def _filter(series: Segments, covariates: Segments, order: int) -> np.ndarray:
    """Weights of the last rows of a series, oldest first, in a forecast of the next.

    Estimated beside the covariates of the next row, as by Durbin (1960): alone, the
    rows would explain a cycle that is the covariates'.
    """
    tables = []
    for values, inputs in zip(series, covariates, strict=True):
        if len(values) > order:
            windows = sliding_window_view(values[:, 0], order + 1)
            rest = np.delete(windows, -2, axis=1) - windows[:, -2:-1]
            tables.append(np.hstack([inputs[order:], rest]))
    table = np.concatenate(tables)
    covariance = np.cov(table, rowvar=False, bias=True)
    scale = np.diag(covariance)[:-1].clip(_CONSTANT)
    # As much shrinkage as there are coefficients for a row.
    alpha = len(scale) / len(table)
    coef = solve_ridge(covariance[:-1, :-1], covariance[:-1, -1], alpha, scale)
    weight = coef[covariates[0].shape[1] :]
    return np.append(weight, 1 - weight.sum())


def _filtered_effect(
    series: Segments, covariates: Segments, weight: np.ndarray, may_act: np.ndarray
) -> np.ndarray:
    """Effect (lags, 1, n_covariates) by least squares on filtered rows."""
    lags = len(may_act)
    effect = np.zeros((lags, 1, covariates[0].shape[1]))
    tables = [
        _filtered(np.hstack(pair), weight)[:, np.newaxis]
        for pair in zip(covariates, series, strict=True)
        if len(pair[0]) >= len(weight) + lags
    ]
    if not tables:
        return effect
    second, first, count = pooled_moments(tables, lags)
    columns = np.arange(len(second)).reshape(lags, -1)[::-1]
    used = np.append(columns[:, :-1][may_act], columns[0, -1])
    mean = first[used] / count
    covariance = second[np.ix_(used, used)] / count - np.outer(mean, mean)
    chosen = _select(covariance, count)
    if len(chosen):
        gram = covariance[np.ix_(chosen, chosen)]
        acting = np.flatnonzero(may_act)[chosen]
        effect.reshape(-1)[acting] = solve_ridge(gram, covariance[chosen, -1], 0.0)
    return effect


def _filtered(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows minus what a filter, oldest weight first, makes of the rows before."""
    past = sliding_window_view(values[:-1], len(weight), axis=0)
    return values[len(weight) :] - past @ weight


def _select(covariance: np.ndarray, count: int) -> np.ndarray:
    """Which inputs explain the last variable, by forward selection.

    A coefficient costs 3, as in the criterion of Cavanaugh (1999), and what it takes to
    say which of m inputs enters as the k-th, ``2 log(m / k)``, as in George & Foster
    (2000), "Calibration and empirical Bayes variable selection": noise has to pass the
    largest of m draws, but where many inputs act, weak ones enter as well.
    """
    left, variance = covariance, np.diag(covariance)
    candidates = variance[:-1] > _CONSTANT
    varying = np.flatnonzero(candidates)
    n_candidates = _n_directions(covariance[np.ix_(varying, varying)], count)
    chosen, scores = [], [0.0]
    for k in range(1, min(n_candidates, count // _ROWS_PER_COEF) + 1):
        own = np.diag(left)
        candidates &= own[:-1] > _COLLINEAR * variance[:-1]
        if not candidates.any() or own[-1] <= _LEAST * variance[-1]:
            break
        shares = np.zeros(len(candidates))
        shares[candidates] = left[:-1, -1][candidates] ** 2 / own[:-1][candidates]
        best = shares.argmax()
        gain = -np.log1p(-min(shares[best] / own[-1], 1 - _LEAST))
        price = 3 + 2 * np.log(n_candidates / k)
        scores.append(scores[-1] + (count - k - 1) * gain - price)
        chosen.append(best)
        candidates[best] = False
        left = left - np.outer(left[:, best], left[best]) / own[best]
    return np.array(chosen[: np.argmax(scores)], dtype=int)


def _n_directions(covariance: np.ndarray, count: int) -> int:
    """Number of inputs, less those collinear to others: lags of a calendar, say."""
    scale = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / np.outer(scale, scale))
    rank = np.count_nonzero(values > _COLLINEAR * len(values))
    # Fewer rows than inputs make these collinear as well, but no fewer draws.
    return rank if rank < count - 1 else len(values)


@dataclass(frozen=True)
class CovariateFeatures:
    """Which covariates are known ahead: columns of a table, and the calendar.

    Parameters
    ----------
    names : Index
        Columns of tables of covariates that a user passes.
    calendar : sequence of str
        Of `calendar_features`, which come after these columns.
    step : DateOffset or int
        Of the time index.
    """

    names: pd.Index
    calendar: Sequence[str]
    step: pd.DateOffset | int

    def table(self, X: pd.DataFrame | None, index: pd.Index) -> pd.DataFrame:
        """Covariates at some times, of which X has those with names."""
        parts = [X[self.names].reindex(index)] if len(self.names) else []
        if self.calendar:
            parts.append(calendar_features(index, self.calendar))
        return pd.concat(parts, axis=1)

    @property
    def delayed(self) -> np.ndarray:
        """Whether earlier rows of a column may act: not those of its cycles.

        An earlier row of a cycle is a turn of the present one, but for the hour when
        clocks change.
        """
        of_calendar = [
            name in _FLAGS
            for name in self.calendar
            for _ in _feature(pd.DatetimeIndex(["2000"]), name)
        ]
        return np.array([*np.ones(len(self.names), dtype=bool), *of_calendar])

    def before(self, table: pd.DataFrame, n_rows: int) -> pd.DataFrame:
        """Rows before a table: X is taken as constant, but the calendar is known.

        None where there is no calendar.
        """
        if not self.calendar or not n_rows or table.empty:
            return table[:0]
        index = precede_index(table.index, self.step, n_rows)
        first = np.repeat(table.iloc[:1, : len(self.names)], n_rows, axis=0)
        values = np.hstack([first, calendar_features(index, self.calendar)])
        return pd.DataFrame(values, index, table.columns)


@dataclass(frozen=True, eq=False)
class CovariateEffect:
    """What known covariates do to standardised series.

    Parameters
    ----------
    features : CovariateFeatures
    scaler : StandardScaler
        Of the covariates.
    weights : ndarray of shape (n_lags, n_series, n_covariates)
        As of `covariate_effect`.
    """

    features: CovariateFeatures
    scaler: StandardScaler
    weights: np.ndarray

    @classmethod
    def estimate(
        cls,
        features: CovariateFeatures,
        series: Segments,
        tables: Sequence[pd.DataFrame],
    ) -> "CovariateEffect":
        """Learn units and effect from standardised series and tables of covariates."""
        check_observed(pd.concat(tables), "X")
        scaler = units_of(np.concatenate(tables))
        inputs = [_filled_inputs(table, scaler) for table in tables]
        weights = covariate_effect(series, inputs, delayed=features.delayed)
        return cls(features, scaler, weights)

    def on(self, table: pd.DataFrame) -> np.ndarray:
        """Effect (n_rows, n_series) of the rows of a table of covariates."""
        before = self.features.before(table, len(self.weights) - 1)
        inputs = _filled_inputs(pd.concat([before, table]), self.scaler)
        return apply_effect(self.weights, inputs)[len(before) :]

    @property
    def unknown(self) -> np.ndarray:
        """Where the effect on first rows (n_lags - 1, n_series) needs earlier ones."""
        acting = self.weights[1:, :, : len(self.features.names)].any(axis=2)
        return np.maximum.accumulate(acting[::-1])[::-1]

    def subtracted_from(
        self, values: np.ndarray, effects: np.ndarray, n_before: int = 0
    ) -> np.ndarray:
        """Rows of series less effects, in the units of both.

        Missing where these need rows of X earlier than the ``n_before`` that are known.
        """
        residual, unknown = values - effects, self.unknown[n_before:]
        first = residual[: len(unknown)]
        first[unknown[: len(first)]] = np.nan
        return residual


def _filled_inputs(table: pd.DataFrame, scaler: StandardScaler) -> np.ndarray:
    """Covariates in units of a scaler; the last value, else the mean, where missing."""
    values = standardise(table.to_numpy(dtype=float), scaler)
    return pd.DataFrame(values).ffill().fillna(0.0).to_numpy()
