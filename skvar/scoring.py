"""A scorer of forecasters for scikit-learn's searches."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ._data.tables import as_frame
from ._forecasting.forecaster import Forecaster, single_state


def rolling_score(estimator, Y, y=None) -> float:
    """Score a forecaster on every window of a table, for scikit-learn's searches.

    Parameters
    ----------
    estimator : forecaster of skvar, or Pipeline that ends in one
        Fitted. In a pipeline whose transformers can be inverted the errors are in the
        units of ``Y``, else in those of the transformed table, which compare only
        candidates that share their transformers.
    Y : Series, DataFrame or array of shape (n_rows, n_series)
        At least ``lags + horizon`` rows.
    y : Series, DataFrame or array, optional
        Covariates of these rows, for a forecaster that was fitted with some: searches
        pass on those of ``fit(Y, X)``.

    Returns
    -------
    float
        Minus the mean squared error over every window of ``Y`` that holds ``lags``
        rows of context and ``horizon`` rows of truth, all series, all steps.

    Raises
    ------
    TypeError
        If ``estimator`` does not end in a forecaster of skvar.
    ValueError
        If ``Y`` holds no such window, or none with a value to score against, or is not
        a table that the forecaster accepts.

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
    truth = as_frame(Y if invertible else transformed, "Y", missing=True)
    truth = truth.to_numpy()[:, state.history.schema.shown]
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
    total, done = 0.0, 0
    for forecasts in forecaster.rolling_batches(table[:-horizon], y):
        part = targets[done : done + len(forecasts)]
        rows = forecasts.reshape(-1, forecasts.shape[-1])
        if invertible:
            rows = np.asarray(transformers.inverse_transform(rows))
        total += np.nansum(np.square(rows.reshape(part.shape) - part))
        done += len(forecasts)
    return -float(total / np.isfinite(targets).sum())


def _split_pipeline(estimator) -> tuple[Pipeline, Forecaster]:
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


def _can_invert(transformers: Pipeline, Y, table) -> bool:
    """Whether inverting undoes transforming, up to a projection as in PCA."""
    try:
        once = np.asarray(transformers.inverse_transform(np.asarray(table)))
        frame = isinstance(Y, pd.DataFrame)
        again = transformers.transform(
            pd.DataFrame(once, Y.index, Y.columns) if frame else once
        )
        twice = np.asarray(transformers.inverse_transform(np.asarray(again)))
    except (AttributeError, TypeError, ValueError):
        return False
    scale = np.nanmax(np.abs(once))
    return once.shape == twice.shape and np.allclose(
        once, twice, atol=1e-6 * scale, equal_nan=True
    )
