"""Conformal calibration: from errors of forecasts to quantiles around the next one.

Arrays of errors (n_origins, n_steps, n_series) hold the error of each step ahead after
each origin; NaN where the truth is not known.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.stats

_ONE = 1 - 1e-9

# The most that a quantile moves after an error, in root mean square errors: on ETTh1
# coverage is within 5 points of the nominal one from 0.01 to 0.05. And the part of a
# new error in their mean square.
_RATE, _FORGETTING = 0.02, 0.05


class CalibrationErrors:
    """Errors with what is made of them at first use."""

    def __init__(self, errors: np.ndarray):
        self.errors, self._quantiles = errors, {}

    @cached_property
    def scale(self) -> np.ndarray:
        """Root mean square errors (n_steps, n_series)."""
        return _root_mean_square(self.errors)

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """As of `error_quantiles`."""
        key = tuple(levels)
        if key not in self._quantiles:
            self._quantiles[key] = error_quantiles(self.errors, levels)
        return self._quantiles[key]


def error_quantiles(errors: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles (n_levels, n_steps, n_series) of what the next error will be.

    Of n exchangeable errors the next one is below the i-th smallest with probability
    ``i / (n + 1)`` (Vovk et al. 2005, "Algorithmic learning in a random world");
    between these the quantile is interpolated. Levels beyond the first and the last
    come from Student's distribution with n degrees of freedom and the mean square of
    the errors, but not inside the range of the errors.

    Raises
    ------
    ValueError
        If there is no error at some step of a series.
    """
    count = np.isfinite(errors).sum(axis=0)
    if not count.all():
        raise ValueError("No error is known at some step.")
    inside = np.nanquantile(errors, levels, axis=0, method="weibull")
    level = np.reshape(levels, (-1, 1, 1))
    beyond = _root_mean_square(errors) * scipy.stats.t.ppf(level, count)
    # Less rounding: 0.5 - 0.9 / 2 is below 0.05.
    low, high = level * (count + 1) < _ONE, (1 - level) * (count + 1) < _ONE
    inside = np.where(low, np.minimum(inside, beyond), inside)
    return np.where(high, np.maximum(inside, beyond), inside)


def _root_mean_square(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.nanmean(np.square(errors), axis=0))


def track(
    quantiles: np.ndarray, errors: np.ndarray, levels: np.ndarray, scale: np.ndarray
) -> Iterator[np.ndarray]:
    """Quantiles that follow the errors of one origin after the other.

    Each error beyond a quantile moves it away and each one within draws it in, so that
    in the long run the share of errors below comes to the level, whatever the errors
    are (quantile tracking: Angelopoulos, Candes and Tibshirani 2023, "Conformal PID
    control for time series prediction", arXiv:2307.16895). Moves are a part of the root
    mean square of the errors, which follows them as well.

    Parameters
    ----------
    quantiles : ndarray of shape (n_levels, n_steps, n_series)
        At the start.
    errors : ndarray of shape (n_origins, n_steps, n_series)
    levels : ndarray of shape (n_levels,)
    scale : ndarray of shape (n_steps, n_series)
        Root mean square of the errors at the start.

    Yields
    ------
    ndarray of shape (n_levels, n_steps, n_series)
        Before the first origin, then after each.
    """
    level, squares = np.reshape(levels, (-1, 1, 1)), np.square(scale)
    yield quantiles
    for error in errors:
        known = np.isfinite(error)
        squares = squares + _FORGETTING * np.where(known, error**2 - squares, 0.0)
        move = np.where(known, level - (error <= quantiles), 0.0)
        quantiles = quantiles + _RATE * np.sqrt(squares) * move
        yield quantiles


def around_forecast(offsets: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Offsets (n_levels, ...) of quantiles, ascending, that hold the forecast.

    Those of levels up to 0.4 are not above it, those from 0.6 on not below.
    """
    level = np.reshape(levels, (-1, *[1] * (offsets.ndim - 1)))
    offsets = np.where(level <= 0.4, np.minimum(offsets, 0.0), offsets)
    offsets = np.where(level >= 0.6, np.maximum(offsets, 0.0), offsets)
    return np.sort(offsets, axis=0)


def completed(errors: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Errors whose unknown ones are drawn from the known of the same step and series.

    Of origins whose last step is known of any series; NaN stays where none is known.
    """
    errors, kept = errors.copy(), np.isfinite(errors[:, -1]).any(axis=-1)
    for step, series in zip(*np.nonzero(np.isnan(errors).any(axis=0)), strict=True):
        some = errors[:, step, series]
        known = some[np.isfinite(some)]
        if len(known):
            holes = np.isnan(some)
            some[holes] = known[rng.randint(len(known), size=holes.sum())]
    return errors[kept]
