"""Missing values, filled from the past."""

from collections.abc import Sequence

import numpy as np

from .direct import choose_direct_ridges, ridge_direct
from .sums import are_summed

_PASSES = 2


def fill_weights(segments: Sequence[np.ndarray], lags: int) -> np.ndarray:
    """Weights of one-step forecasts for `fill`, the same for all series.

    The regression of a row on the last ones that `ridge_direct` makes of filled
    rows: at first each missing value is the last one observed, then its forecast.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series)
        Standardised tables, NaN where a value is missing; or sums of such without gaps.
    lags : int
        Most rows that a forecast may look back.

    Returns
    -------
    ndarray of shape (order,)
        Oldest row first, with a sum of one.
    """
    order = min(lags, max(map(len, segments)) - 1)
    weights = np.ones(1)
    summed = are_summed(segments)
    has_gaps = not summed and any(np.isnan(values).any() for values in segments)
    n_passes = _PASSES if has_gaps else 1
    for _ in range(n_passes if order > 0 else 0):
        filled = segments
        if not summed:
            filled = [fill(values, weights) for values in segments]
        ridges, _ = choose_direct_ridges(filled, order, 1, with_own=False)
        [[weights]] = ridge_direct(filled, order, 1, ridges)
    return weights


def fill(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardised rows with forecasts where a value is missing.

    Forecasts are fed back; so that they never explode, each stays between the least and
    the greatest of the values that it is made of. What comes before the first row is
    taken to be as that row, where a missing value is 0, the mean.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_series)
        NaN where a value is missing.
    weights : ndarray of shape (order,)
        As from `fill_weights`.

    Returns
    -------
    ndarray of shape (n_rows, n_series)
        A new array. Each row depends on itself and on earlier ones alone.
    """
    missing, order = np.isnan(values), len(weights)
    before = np.repeat(np.nan_to_num(values[:1]), order, axis=0)
    filled = np.concatenate([before, values])
    for row in np.flatnonzero(missing.any(axis=1)):
        some = missing[row]
        past = filled[row : row + order, some]
        forecast = np.clip(weights @ past, past.min(axis=0), past.max(axis=0))
        filled[row + order, some] = forecast
    return filled[order:]
