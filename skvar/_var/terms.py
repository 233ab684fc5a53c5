"""Terms of a vector autoregression beside its lags: covariates, trends and dummies."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .._data.tables import as_frame
from . import checks
from .process import moving_average


@dataclass(frozen=True, eq=False)
class Terms:
    """Deterministic and exogenous terms of a VAR beside its intercept.

    ``y_t = intercept + sum_l matrices[l - 1] y_{t-l} + sum_k coefficients[k] x_{t-k}
    + u_t`` in original units.

    Parameters
    ----------
    coefficients : array-like of shape (n_lags, n_series, n_columns)
        Those of the same row first, then of earlier rows; rows respond, columns act.
    table : DataFrame of shape (n_rows, n_columns)
        The columns x in the rows of the history, the last row of both being the same,
        and in the ``n_lags - 1 - order`` rows before it, if that many act. Names are
        different.
    deterministic : callable, optional
        ``deterministic(times)`` has the last columns at any times: trends and dummies.
        By default, all columns are covariates, which forecasts need for later times.

    Raises
    ------
    ValueError
        If shapes do not fit or numbers are not finite.

    Examples
    --------
    An oil price that moves inflation in the same quarter and in the next one:

    >>> import pandas as pd
    >>> from skvar import VARCoefficients
    >>> from skvar.analysis import Terms
    >>> terms = Terms([[[0.2]], [[0.1]]], pd.DataFrame({"oil": [0.0, 1.0, 0.0]}))
    >>> var = VARCoefficients(
    ...     [[[0.5]]], [0], [[1]], names=["inflation"], terms=terms
    ... )
    >>> var.multipliers(2)
       horizon   response covariate  value
    0        0  inflation       oil    0.2
    1        1  inflation       oil    0.2
    2        2  inflation       oil    0.1
    """

    coefficients: np.ndarray
    table: pd.DataFrame
    deterministic: Callable | None = None

    def __post_init__(self) -> None:
        table = pd.DataFrame(self.table)
        coefficients = np.array(self.coefficients, dtype=float)
        shape = coefficients.shape
        if len(shape) != 3 or not shape[0] or shape[2] != table.shape[1]:
            raise ValueError(
                f"coefficients of terms have shape {shape}; pass (n_lags, n_series, "
                f"{table.shape[1]}), as the table has {table.shape[1]} column(s)."
            )
        if not np.isfinite(coefficients).all():
            raise ValueError("coefficients of terms hold NaN or inf.")
        if not table.columns.is_unique:
            raise ValueError(
                f"The table of terms has columns {[*table.columns]}; rename those "
                "that are there twice."
            )
        coefficients.flags.writeable = False
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "table", table)

    @property
    def n_lags(self) -> int:
        """Rows that act on a row, itself included."""
        return len(self.coefficients)

    @property
    def acting(self) -> np.ndarray:
        """Which columns act at which lags (n_lags, n_columns), on any series."""
        return np.any(self.coefficients, axis=1)

    @property
    def covariates(self) -> list:
        """Names of the columns that time alone does not determine."""
        columns = [*self.table.columns]
        if self.deterministic is None:
            return columns
        n_deterministic = self.deterministic(self.table.index[-1:]).shape[1]
        return columns[: len(columns) - n_deterministic]

    def without_rows(self) -> "Terms":
        """The same with the last row alone, for files.

        Returns
        -------
        Terms
        """
        return replace(self, table=self.table[-1:])

    def on_rows(self, n_rows: int, order: int) -> np.ndarray:
        """What acts on the rows of a history after its start.

        Parameters
        ----------
        n_rows : int
            Rows of the history, whose last one is that of the table.
        order : int
            How many of these are its start.

        Returns
        -------
        ndarray of shape (n_rows - order, n_lags, n_columns)

        Raises
        ------
        ValueError
            If the table has too few rows, or misses values in these.
        """
        n_needed = n_rows - order + self.n_lags - 1
        if len(self.table) < n_needed:
            raise ValueError(
                f"The table of terms has {len(self.table)} row(s), but {n_needed} act "
                f"on the {n_rows} rows of the history after its first {order}; pass "
                "them all."
            )
        table = self.table[-n_needed:]
        if table.shape[1]:
            table = as_frame(table, "The table of terms")
        return _lagged(table.to_numpy(dtype=float), self.n_lags)

    def ahead(
        self,
        times: pd.Index,
        X: pd.DataFrame | np.ndarray | None,
        n_lags: int | None = None,
    ) -> np.ndarray:
        """What acts on the rows after the history.

        Parameters
        ----------
        times : Index
            Of these rows, one step apart.
        X : DataFrame, or array of shape (len(times), n_covariates), or None
            The covariates at these times, where there are some.
        n_lags : int, optional
            As many as the coefficients have by default.

        Returns
        -------
        ndarray of shape (len(times), n_lags, n_columns)

        Raises
        ------
        ValueError
            If X lacks covariates or is passed where there are none, or the table has
            too few rows.
        """
        parts, names = [], self.covariates
        if names:
            parts.append(_future(X, names, times))
        else:
            check_left_out(X)
        if self.deterministic is not None:
            parts.append(self.deterministic(times))
        later = pd.concat(parts, axis=1).to_numpy(dtype=float)
        n_lags = self.n_lags if n_lags is None else n_lags
        n_before = n_lags - 1
        if len(self.table) < n_before:
            raise ValueError(
                f"The table of terms has {len(self.table)} row(s), but the last "
                f"{n_before} act on the next row; pass them."
            )
        before = self.table.to_numpy(dtype=float)[len(self.table) - n_before :]
        return _lagged(np.concatenate([before, later]), n_lags)


def _lagged(values: np.ndarray, n_lags: int) -> np.ndarray:
    """Each row and those before it (n_rows - n_lags + 1, n_lags, n), newest first."""
    windows = np.lib.stride_tricks.sliding_window_view(values, n_lags, axis=0)
    return windows.swapaxes(1, 2)[:, ::-1]


def _future(
    X: pd.DataFrame | np.ndarray | None, names: list, times: pd.Index
) -> pd.DataFrame:
    """Covariates at some times, which X must have."""
    span = f"from {times[0]} to {times[-1]}" if len(times) > 1 else f"of {times[0]}"
    if X is None:
        raise ValueError(
            f"X is missing: these matrices stand beside covariates {names}. Pass "
            f"their rows {span} as X."
        )
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.shape[1] != len(names):
            raise ValueError(
                f"X has shape {X.shape}; pass ({len(times)}, {len(names)}), the "
                f"covariates {names}."
            )
        X = pd.DataFrame(X[: len(times)], times[: len(X)], names)
    frame = as_frame(X, "X", missing=True)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"X lacks the covariates {missing}; pass all of {names}.")
    frame = frame.reindex(times)[names]
    gaps = frame.isna().any(axis=1)
    if gaps.any():
        raise ValueError(
            f"X lacks values at {gaps.sum()} time(s), the first at "
            f"{times[gaps.argmax()]}; pass the rows {span}."
        )
    return frame


def check_left_out(X: pd.DataFrame | np.ndarray | None) -> None:
    """Refuse covariates where none act."""
    if X is not None:
        raise ValueError(
            "X is passed, but these matrices have no covariates: leave X out."
        )


def inflow(coefficients: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What rows (n, n_lags, n_columns) bring to the series (..., n, n_series)."""
    by_lag = np.moveaxis(coefficients, -3, 0).swapaxes(-1, -2)
    return sum(rows[:, lag] @ one for lag, one in enumerate(by_lag))


def coefficients_of_effect(matrices: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Coefficients (..., order + n_lags, n_series, n) of what acts on all of a row.

    Where a VAR is that of a series less an effect (n_lags, n_series, n), its lags take
    away the effect on earlier rows.
    """
    order, n_lags = matrices.shape[-3], len(effect)
    shape = (*matrices.shape[:-3], order + n_lags, *effect.shape[1:])
    found = np.zeros(shape)
    found[..., :n_lags, :, :] = effect
    for lag in range(1, order + 1):
        found[..., lag : lag + n_lags, :, :] -= (
            matrices[..., lag - 1, np.newaxis, :, :] @ effect
        )
    return found


def multipliers(
    matrices: np.ndarray, coefficients: np.ndarray, periods: int, *, cumulative: bool
) -> np.ndarray:
    """Responses (..., periods + 1, n_series, n_columns) to a unit move of a column.

    In one row, or cumulated in that and all later ones. Lütkepohl (2005), section
    10.2.2.
    """
    effects = moving_average(matrices, periods)
    found = effects @ coefficients[..., :1, :, :]
    for lag in range(1, min(coefficients.shape[-3] - 1, periods) + 1):
        later = effects[..., : periods + 1 - lag, :, :]
        found[..., lag:, :, :] += later @ coefficients[..., lag, np.newaxis, :, :]
    return found.cumsum(axis=-3) if cumulative else found


def long_run_multipliers(
    long_run_effects: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Responses (..., n_series, n_columns) in the end to a lasting unit move."""
    return long_run_effects @ coefficients.sum(axis=-3)


def checked_terms(terms: Terms | None, n_series: int) -> Terms | None:
    """Terms that fit so many series, if there are any."""
    if terms is None:
        return None
    if not isinstance(terms, Terms):
        raise TypeError(
            f"terms is a {type(terms).__name__}; pass skvar.analysis.Terms."
        )
    n_lags, _, n_columns = terms.coefficients.shape
    checks.of_shape(
        terms.coefficients, "coefficients of terms", n_lags, n_series, n_columns
    )
    return terms
