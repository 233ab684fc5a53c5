"""How large errors of forecasts are: by step ahead, series and time of the season."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy.sparse
import scipy.stats
from sklearn.isotonic import isotonic_regression

from .._data.units import nonzero

# Steps and times of seasons are fitted in turn: the first passes do nearly all.
_PASSES = 5

# Seasons that tell how errors at one time of it vary.
_LEAST = 10

# Errors at the quietest time of a season are taken to be at least this part of the
# mean, so that one that does come there does not count without bound.
_QUIETEST = 0.01


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean absolute errors of each step and series, times factors by time of season.

    Parameters
    ----------
    of_step : ndarray of shape (n_steps, n_series)
        It does not fall with the step, as the error of the best forecast does not.
    of_phase : mapping of int to ndarray of shape (season, n_series)
        By season, and row of it; their mean is 1.
    """

    of_step: np.ndarray
    of_phase: dict[int, np.ndarray]

    @classmethod
    def estimate(
        cls, errors: np.ndarray, rows: np.ndarray | None, seasons: Sequence[int]
    ) -> "Spread":
        """From errors of forecasts, NaN where unknown.

        Parameters
        ----------
        errors : ndarray of shape (n_origins, n_steps, n_series)
        rows : ndarray of int of shape (n_origins, n_steps), optional
            Numbers of the rows that were forecast, all counted from the same time;
            without seasons they need not be known.
        seasons : sequence of int
            Rows of the seasons; those of which there are too few are left out.
        """
        known = np.isfinite(errors)
        sizes = np.where(known, np.abs(errors), 0.0)
        of_step, of_phase = _mean_where(known, sizes), {}
        if seasons:
            times, place = np.unique(rows, return_inverse=True)
            seasons = [season for season in seasons if len(times) >= _LEAST * season]
        if seasons:
            sums = _sums_by(place.ravel(), len(times))
            n_series = errors.shape[2]
            found = sums @ sizes.reshape(-1, n_series)
            of_phase = {season: np.ones((season, n_series)) for season in seasons}
            for _ in range(_PASSES):
                expected = sums @ (known * of_step).reshape(-1, n_series)
                for season in seasons:
                    others = [other for other in seasons if other != season]
                    weights = expected * _product(of_phase, others, times)
                    of_phase[season] = credible_factors(
                        found, weights, times % season, season
                    )
                of_step = _mean_where(known, sizes, _product(of_phase, seasons, rows))
        of_step = [isotonic_regression(column) for column in of_step.T]
        return cls(np.stack(of_step, axis=1), of_phase)

    def at(
        self, rows: np.ndarray | None, steps: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Scales (..., n_steps, n_series) of errors at rows (..., n_steps).

        1 where there never was an error. ``rows`` None are those of no known time.
        """
        scales = self.of_step[steps]
        if rows is not None:
            scales = scales * _product(self.of_phase, self.of_phase, rows)
        return nonzero(scales)

    def mixed_with(self, other: "Spread", share: float) -> "Spread":
        """The same times of seasons, and steps of which a share are the other's."""
        n_steps = min(len(self.of_step), len(other.of_step))
        of_step = (1 - share) * self.of_step[:n_steps] + share * other.of_step[:n_steps]
        return Spread(of_step, self.of_phase)


def credible_factors(
    found: np.ndarray, expected: np.ndarray, phases: np.ndarray, n_phases: int
) -> np.ndarray:
    """By what factor sums at each phase exceed the expected, as far as is credible.

    The logarithm of the ratio of sums at a phase is drawn to that of all, the more the
    less the phases differ from each other than times of one phase do (Buehlmann and
    Straub 1970, "Glaubwuerdigkeit fuer Schadensaetze"). Of the difference, what chance
    alone makes in 19 cases of 20 does not count.

    Parameters
    ----------
    found, expected : ndarray of shape (n_times, n_series)
    phases : ndarray of int of shape (n_times,)
    n_phases : int

    Returns
    -------
    ndarray of shape (n_phases, n_series)
    """
    at_phase = _sums_by(phases, n_phases)
    weight, total = at_phase @ expected, expected.sum(axis=0)
    ratio = _over(at_phase @ found, weight)
    # Errors that are larger vary by as much more.
    ratios = _over(_over(found, expected), ratio[phases])
    deviations = np.where(ratio[phases] > 0, expected * (ratios - 1) ** 2, 0.0)
    n_repeated = (at_phase @ (expected > 0) - 1).clip(0).sum(axis=0)
    within = _over(deviations.sum(axis=0), n_repeated)
    within *= scipy.stats.f.ppf(0.95, len(ratio) - 1, np.maximum(n_repeated, 1))
    of_all = np.maximum(_over(found.sum(axis=0), total), np.finfo(float).tiny)
    logs = np.log(np.maximum(ratio / of_all, _QUIETEST))
    logs -= _over((weight * logs).sum(axis=0), total)
    between = (weight * logs**2).sum(axis=0) - (len(ratio) - 1) * within
    between = _over(between.clip(0), total - _over((weight**2).sum(axis=0), total))
    credibility = _over(between * weight, between * weight + within)
    factors = np.exp(credibility * logs)
    return factors / factors.mean(axis=0)


def _sums_by(group: np.ndarray, n_groups: int) -> scipy.sparse.csr_array:
    """The matrix that sums rows by group."""
    n, ones = len(group), np.ones(len(group))
    return scipy.sparse.csr_array((ones, (group, np.arange(n))), shape=(n_groups, n))


def _product(
    factors: dict[int, np.ndarray], seasons: Iterable[int], rows: np.ndarray
) -> np.ndarray | float:
    at_rows = (factors[season][rows % season] for season in seasons)
    return reduce(np.multiply, at_rows, 1.0)


def _mean_where(
    known: np.ndarray, sizes: np.ndarray, factors: np.ndarray | float = 1.0
) -> np.ndarray:
    """What sizes are over factors on average over origins; 0 where none is known."""
    return _over(sizes.sum(axis=0), np.where(known, factors, 0.0).sum(axis=0))


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The ratio, 0 where there is nothing below."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(below.shape), where=below > 0)
