"""A scorer of forecasters for scikit-learn's searches."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ._data.tables import as_frame
from ._data.units import nonzero
from ._forecasting.forecaster import Forecaster, single_state
from ._typing import Table

__all__ = ["rolling_score"]


def rolling_score(
    estimator: Forecaster | Pipeline,
    Y: Table,
    y: Table | None = None,
    *,
    by_scale: bool = False,
) -> float:
    """Score a forecaster on every window of a table, for scikit-learn's searches.

    Parameters
    ----------
    estimator : forecaster of skvar, or Pipeline that ends in one
        Fitted. Errors are in the units of ``Y``: forecasts are transformed back.
    Y : Series, DataFrame or array of shape (n_rows, n_series)
        At least ``lags + horizon`` rows.
    y : Series, DataFrame or array, optional
        Covariates of these rows, for a forecaster that was fitted with some: searches
        pass on those of ``fit(Y, X)``.
    by_scale : bool, default=False
        Whether each series' errors are divided by its variance in ``Y``, so that one in
        large units does not decide alone. Where the transformers of a pipeline cannot
        be inverted, errors and variances are those of what the forecaster sees. In a
        search pass ``functools.partial(rolling_score, by_scale=True)``.

    Returns
    -------
    float
        Minus the mean squared error over every window of ``Y`` that holds ``lags_``
        rows of context and ``horizon`` rows of truth, all series, all steps.

    Raises
    ------
    TypeError
        If ``estimator`` does not end in a forecaster of skvar.
    ValueError
        If ``Y`` holds no such window, or none with a value to score against, is not a
        table that the forecaster accepts, or transformers cannot be inverted and
        ``by_scale`` is False.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
    >>> from sktime.datasets import load_longley
    >>> from skvar import LinearAttentionVAR, rolling_score
    >>> _, series = load_longley()
    >>> search = GridSearchCV(
    ...     LinearAttentionVAR(lags=1, n_layers=0),
    ...     {"alpha": [0.01, 1.0]},
    ...     cv=TimeSeriesSplit(2),
    ...     scoring=rolling_score,
    ... )
    >>> search.fit(series).best_params_
    {'alpha': 0.01}
    """
    transformers, forecaster = _split_pipeline(estimator)
    state = single_state(forecaster)
    transformed = transformers.transform(Y)
    table = state.history.join_past(transformed, "Y", y)
    # Checks all rows, also those without a window.
    state.frame(table, "Y", y)
    invertible = _can_invert(transformers, Y, transformed)
    if not (invertible or by_scale):
        raise ValueError(_not_inverted(transformers))
    truth = as_frame(Y if invertible else transformed, "Y", missing=True).to_numpy()
    if truth.shape[1] == state.history.schema.n_series:
        truth = truth[:, state.history.schema.shown]
    lags, horizon = state.model.window_rows, state.model.horizon
    if len(truth) < lags + horizon:
        raise ValueError(
            f"Y has {len(truth)} rows, too few for a window of lags={lags} and "
            f"horizon={horizon}; pass at least {lags + horizon} rows, for instance "
            "with a larger test_size in TimeSeriesSplit."
        )
    targets = np.lib.stride_tricks.sliding_window_view(truth[lags:], horizon, axis=0)
    targets = targets.swapaxes(1, 2)
    if not np.isfinite(targets).any():
        raise ValueError("Y has no value after its first window to score against.")
    weight = 1 / _variances(truth) if by_scale else 1.0
    total, done = 0.0, 0
    for forecasts in forecaster.rolling_batches(table[:-horizon], y):
        part = targets[done : done + len(forecasts)]
        rows = forecasts.reshape(-1, forecasts.shape[-1])
        if invertible:
            rows = np.asarray(transformers.inverse_transform(rows))
        total += np.nansum(weight * np.square(rows.reshape(part.shape) - part))
        done += len(forecasts)
    return -float(total / np.isfinite(targets).sum())


def _variances(rows: np.ndarray) -> np.ndarray:
    """Variance of each series; 1 where it is zero."""
    return nonzero(np.nanvar(rows, axis=0))


def _split_pipeline(estimator: Forecaster | Pipeline) -> tuple[Pipeline, Forecaster]:
    """The transformers, perhaps none, and the forecaster of a pipeline."""
    steps = []
    while isinstance(estimator, Pipeline):
        *before, (_, estimator) = estimator.steps
        steps += before
    if not isinstance(estimator, Forecaster):
        raise TypeError(
            "rolling_score takes a forecaster of skvar or a Pipeline that ends in "
            f"one, not a {type(estimator).__name__}."
        )
    return Pipeline(steps or [("none", "passthrough")]), estimator


def _not_inverted(transformers: Pipeline) -> str:
    """What is wrong with transformers that forecasts cannot be taken back through."""
    steps = [step for _, step in transformers.steps]
    without = [step for step in steps if not hasattr(step, "inverse_transform")]
    names = ", ".join(type(step).__name__ for step in without or steps)
    return (
        f"Forecasts cannot be taken back through {names}: their errors in the units of "
        "Y are not known. Leave it out (forecasters scale tables and fill gaps by "
        "themselves), give it an inverse, or pass by_scale=True to compare errors "
        "relative to the variance of what the forecaster sees."
    )


def _can_invert(transformers: Pipeline, Y: Table, table: Table) -> bool:
    """Whether inverting undoes transforming, up to a projection as in PCA."""
    try:
        table = as_frame(table, "Y", missing=True).to_numpy()
        once = np.asarray(transformers.inverse_transform(table))
        back = once
        if isinstance(Y, pd.DataFrame):
            back = pd.DataFrame(once, Y.index, Y.columns)
        again = transformers.transform(back)
        again = as_frame(again, "Y", missing=True).to_numpy()
        twice = np.asarray(transformers.inverse_transform(again))
    except (AttributeError, TypeError, ValueError):
        return False
    scale = np.nanmax(np.abs(once))
    return once.shape == twice.shape and np.allclose(
        once, twice, atol=1e-6 * scale, equal_nan=True
    )
