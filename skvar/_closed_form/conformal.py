"""Conformal calibration: from errors of forecasts to quantiles around the next one.

Arrays of errors (n_origins, n_steps, n_series) hold the error of each step ahead after
each origin; NaN where the truth is not known.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from .._data.lazy import Recomputable, lazy
from .spread import Spread

_ONE = 1 - 1e-9

# So many independent errors of a series tell as much about the shape of their
# distribution as those of all series do: half or twice as many changed the loss on
# ETTh1, ETTm1 and Weather by less than a part in 300.
_OF_ALL = 50

# The most that a quantile moves after an error, in root mean square errors: on ETTh1
# coverage is within 5 points of the nominal one from 0.01 to 0.05. And the part of a
# new error in their mean square: where it follows calm and stormy times, quantiles
# move more in these, and calm ones are covered too often.
_RATE, _FORGETTING = 0.02, 0.005


@dataclass(frozen=True, eq=False)
class CalibrationErrors(Recomputable):
    """Errors in units of their spread.

    Parameters
    ----------
    standardised : ndarray of shape (n_origins, n_steps, n_series)
    spread : Spread
    n_rows : float
        Rows that were forecast: so many independent errors one step ahead, half as many
        two steps ahead.
    """

    standardised: np.ndarray
    spread: Spread
    n_rows: float

    @classmethod
    def of(
        cls,
        errors: np.ndarray,
        n_rows: float = math.inf,
        rows: np.ndarray | None = None,
        seasons: Sequence[int] = (),
    ) -> "CalibrationErrors":
        """Of errors, and the rows (n_origins, n_steps) forecast, if they are known."""
        spread = Spread.estimate(errors, rows, seasons)
        return cls(errors / spread.at(rows), spread, n_rows)

    @property
    def n_steps(self) -> int:
        """Steps ahead of which there are errors."""
        return self.standardised.shape[1]

    @lazy
    def squares(self) -> np.ndarray:
        """Mean squares (n_steps, n_series)."""
        return np.nanmean(np.square(self.standardised), axis=0)

    @lazy
    def known_quantiles(self) -> dict:
        """Those found so far, by levels."""
        return {}

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Quantiles (n_levels, n_steps, n_series) of what the next error will be.

        The errors of steps 1, 2 to 3, 4 to 7 and so on stand together. Quantiles of a
        series are those of its own errors, drawn to those of all series the more the
        fewer they are.
        """
        key = tuple(levels)
        if key not in self.known_quantiles:
            parts, first = [], 0
            while first < self.n_steps:
                end = min(2 * first + 1, self.n_steps)
                parts.append(self._quantiles(levels, first, end))
                first = end
            found = np.concatenate(parts, axis=1)
            is_quiet = self.spread.of_step == 0
            self.known_quantiles[key] = np.where(is_quiet, 0.0, found)
        return self.known_quantiles[key]

    def _quantiles(self, levels: np.ndarray, first: int, end: int) -> np.ndarray:
        errors = self.standardised[:, first:end]
        n_series, width = errors.shape[2], end - first
        own = error_quantiles(errors.reshape(-1, 1, n_series), levels, width)
        of_all = error_quantiles(errors.reshape(-1, 1, 1), levels, width)
        weight = 1 / (1 + _OF_ALL * end / self.n_rows)
        found = weight * own + (1 - weight) * of_all
        return np.repeat(found, width, axis=1)

    def mixed_with(
        self, others: "CalibrationErrors", share: float
    ) -> "CalibrationErrors":
        """These and others, of which all together count as a share."""
        n_steps = min(self.n_steps, others.n_steps)
        errors, of_others = (one.standardised[:, :n_steps] for one in (self, others))
        times = round((1 - share) / share * len(of_others) / len(errors))
        return CalibrationErrors(
            np.concatenate([of_others, *[errors] * max(times, 1)]),
            self.spread.mixed_with(others.spread, share),
            math.inf,
        )


def error_quantiles(
    errors: np.ndarray, levels: np.ndarray, n_together: int = 1
) -> np.ndarray:
    """Quantiles (n_levels, n_steps, n_series) of what the next error will be.

    Of n exchangeable errors the next one is below the i-th smallest with probability
    ``i / (n + 1)`` (Vovk et al. 2005, "Algorithmic learning in a random world");
    between these the quantile is interpolated. Levels beyond the first and the last
    come from Student's distribution with n degrees of freedom and the mean square of
    the errors, but not inside the range of the errors. ``n_together`` errors count as
    one there, as those of one origin may.

    Raises
    ------
    ValueError
        If there is no error at some step of a series.
    """
    count = np.isfinite(errors).sum(axis=0) / n_together
    if not count.all():
        raise ValueError("No error is known at some step.")
    inside = np.nanquantile(errors, levels, axis=0, method="weibull")
    level = np.reshape(levels, (-1, 1, 1))
    squares = np.nanmean(np.square(errors), axis=0)
    beyond = np.sqrt(squares) * scipy.stats.t.ppf(level, count)
    # Less rounding: 0.5 - 0.9 / 2 is below 0.05.
    low, high = level * (count + 1) < _ONE, (1 - level) * (count + 1) < _ONE
    inside = np.where(low, np.minimum(inside, beyond), inside)
    return np.where(high, np.maximum(inside, beyond), inside)


@dataclass(frozen=True, eq=False)
class Tracked:
    """Quantiles that follow the errors of one origin after the other.

    Each error beyond a quantile moves it away and each one within draws it in, so that
    in the long run the share of errors below comes to the level, whatever the errors
    are (quantile tracking: Angelopoulos, Candes and Tibshirani 2023, "Conformal PID
    control for time series prediction", arXiv:2307.16895). Moves are a part of the root
    mean square of the errors, which follows them as well.

    Parameters
    ----------
    quantiles : ndarray of shape (n_levels, n_steps, n_series)
    squares : ndarray of shape (n_steps, n_series)
        Mean square of the errors.
    levels : ndarray of shape (n_levels,)
    """

    quantiles: np.ndarray
    squares: np.ndarray
    levels: np.ndarray

    @classmethod
    def start(
        cls,
        calibration: CalibrationErrors,
        levels: np.ndarray,
        n_steps: int,
        varies: np.ndarray | bool = True,
    ) -> "Tracked":
        """Before the first error; all 0 of series that do not vary so far."""
        quantiles = varies * calibration.quantiles(levels)[:, :n_steps]
        return cls(quantiles, varies * calibration.squares[:n_steps], levels)

    def after(self, error: np.ndarray) -> "Tracked":
        """The same after the errors (n_steps, n_series) of one origin."""
        known = np.isfinite(error)
        # The first error of a series that had none sets the scale.
        part = np.where(self.squares > 0, _FORGETTING, 1.0)
        squares = self.squares + part * np.where(known, error**2 - self.squares, 0.0)
        level = np.reshape(self.levels, (-1, 1, 1))
        move = np.where(known, level - (error <= self.quantiles), 0.0)
        quantiles = self.quantiles + _RATE * np.sqrt(squares) * move
        return Tracked(quantiles, squares, self.levels)

    def along(self, errors: np.ndarray) -> Iterator["Tracked"]:
        """Before the first origin, then after each."""
        tracked = self
        yield tracked
        for error in errors:
            tracked = tracked.after(error)
            yield tracked

    @property
    def around_forecast(self) -> np.ndarray:
        """The quantiles, ascending, so that they hold the forecast.

        Those of levels up to 0.4 are not above it, those from 0.6 on not below.
        """
        level, offsets = np.reshape(self.levels, (-1, 1, 1)), self.quantiles
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
