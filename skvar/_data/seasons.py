"""Seasons that the step of a time index suggests."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BusinessDay
from scipy.special import fdtrc

# Of the F test of a season, over all series: rarely seen where there is none.
_SIGNIFICANCE = 1e-6

_DAY = pd.Timedelta("1D")
_BY_MONTHS = {1: 12, 2: 6, 3: 4, 4: 3, 6: 2}


def seasons_of(sp: int | Iterable[int] | str, step: pd.DateOffset | int) -> tuple:
    """Rows of each season, ascending.

    Parameters
    ----------
    sp : int, iterable of int or "auto"
        Rows of the seasons; "auto" takes those of the step.
    step : DateOffset or int
        From one row to the next.

    Returns
    -------
    tuple of int
        Without those of a single row.
    """
    if isinstance(sp, str):
        seasons = _of_step(step)
    else:
        seasons = sp if isinstance(sp, Iterable) else [sp]
    return tuple(sorted({int(season) for season in seasons} - {1}))


def season_strength(segments: Sequence[np.ndarray], season: int) -> float:
    """Part of the variance of changes that their mean at each place explains.

    Corrected for the number of places, of the series where it is largest; 0 for tables
    of less than three seasons, and where it may be chance.
    """
    n_series = segments[0].shape[1]
    left = total = np.zeros(n_series)
    n_left = n_places = 0
    for values in segments:
        n_rows = len(values)
        if n_rows < 3 * season:
            continue
        changes = np.diff(values, axis=0)
        changes = changes - changes.mean(axis=0)
        place = np.arange(len(changes)) % season
        sums = np.zeros((season, changes.shape[1]))
        np.add.at(sums, place, changes)
        means = sums / np.bincount(place)[:, np.newaxis]
        left = left + np.square(changes - means[place]).sum(axis=0)
        total = total + np.square(changes).sum(axis=0)
        n_left += len(changes) - season
        n_places += season - 1
    within = np.divide(left, total, out=np.ones_like(total), where=total > 0)
    if not n_left:
        return 0.0
    ratio = (1 - within) / n_places / np.maximum(within / n_left, np.finfo(float).tiny)
    sure = fdtrc(n_places, n_left, ratio) < _SIGNIFICANCE / n_series
    # A variance of changes left over, against one of all changes.
    shares = 1 - within * (n_left + n_places) / n_left
    return float(np.max(shares, initial=0.0, where=sure))


def _of_step(step: pd.DateOffset | int) -> list[int]:
    """Months, quarters ... of a year, days of a week, and rows of a day and a week."""
    if not isinstance(step, pd.DateOffset):
        return []
    start = pd.Timestamp("2001-01-01") + step
    if isinstance(step, BusinessDay):
        return [5 // step.n] if 5 % step.n == 0 else []
    # Long enough to be about the same whatever the start.
    span = (start + 12 * step) - start
    if span >= 300 * _DAY:
        months = round(span / (12 * 30.4369 * _DAY))
        return [_BY_MONTHS[months]] if months in _BY_MONTHS else []
    length = span / 12
    if length >= 7 * _DAY:
        return [round(365.25 * _DAY / length)]
    if length >= _DAY:
        return [7] if length == _DAY else []
    per_day = round(_DAY / length)
    return [per_day, 7 * per_day]
