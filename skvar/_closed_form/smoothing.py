"""Exponential smoothing of each series, as the autoregression that it is.

The innovations form with additive errors, damped trend and season (Hyndman, Koehler,
Ord and Snyder 2008, "Forecasting with Exponential Smoothing", section 3.4):

    y[t] = level + damping * trend + season[t - m] + e[t]

after which each state moves by its own share of e[t]. Errors are linear in the values
and in the first states, so that these are a regression and the forecast is linear in
the rows. Parameters are averaged over a grid by their marginal likelihood.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Segments = Sequence[np.ndarray]

# Shares of an error that move the level; of these, those that move the trend, with its
# damping; of what is left, those that move the season.
_LEVELS = 0.02, 0.1, 0.3, 0.6, 0.95
_TRENDS = (0, 0), (0.03, 0.9), (0.1, 0.98), (0.3, 0.9), (0, 1)
_SEASONS = 0.05, 0.3, 0.9
# Variances of errors over those of the first level, trend and seasons; values are in
# units of the mean squared change.
_FIRST_LEVEL, _FIRST_TREND, _FIRST_SEASON = 1e-4, 1.0, 0.01
# Rows, or seasons, that parameters are estimated on.
_MOST_ROWS, _MOST_SEASONS = 600, 4
# Parameters of less weight than this are left out of the forecast.
_LEAST_WEIGHT = 0.01
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Smoothing:
    """Exponential smoothing of each of some series.

    Parameters
    ----------
    season : int
        Rows of a season; 1 for none.
    shares : ndarray of shape (n_parameters, n_series)
        Weight of each element of the grid of parameters.
    """

    season: int
    shares: np.ndarray

    def weights(self, rows: int) -> np.ndarray:
        """Weights (rows, n_series) of the last rows in the next forecast, lag 1 first.

        They sum to one: series are extrapolated from any level alike.
        """
        return np.einsum("cr,cs->rs", self._weights_of_each(rows), self.shares)

    def draws(
        self, rows: int, n_draws: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Weights (rows, n_series) of parameters drawn for each series."""
        weights = self._weights_of_each(rows)
        drawn = [rng.choice(len(share), n_draws, p=share) for share in self.shares.T]
        for elements in zip(*drawn, strict=True):
            yield weights[list(elements)].T

    def _weights_of_each(self, rows: int) -> np.ndarray:
        """Of each element of the grid, (n_parameters, rows); zero where none has it."""
        found = np.zeros((len(self.shares), rows))
        for part in self._parts(rows, rows):
            regression = _Regression(np.eye(rows), self.season, part)
            found[part] = regression.forecasts()
            found[part, 0] += 1 - found[part].sum(axis=1)
        return found[:, ::-1]

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Errors on rows (n_rows, n_series), each left out of the first states."""
        values = values - values[0]
        found = 0.0
        for part in self._parts(*values.shape):
            regression = _Regression(values, self.season, part)
            found = found + np.einsum(
                "tcs,cs->ts", regression.errors(), self.shares[part]
            )
        return found

    def _parts(self, n_rows: int, n_series: int) -> Iterator[np.ndarray]:
        used = np.flatnonzero(self.shares.max(axis=1) > 0)
        return _chunks(used, n_rows * (self.season + 2 + n_series))


def exponential_smoothing(segments: Segments, season: int) -> Smoothing:
    """Weigh the parameters of each series by their marginal likelihood.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series)
        Tables without gaps, in units of the root mean squared change.
    season : int
        Rows of a season; 1 for none.
    """
    most = max(_MOST_ROWS, _MOST_SEASONS * season)
    used, n_rows = [], 0
    for values in sorted(segments, key=len, reverse=True):
        if n_rows < most:
            used.append(values[-(most - n_rows) :])
            n_rows += len(used[-1])
    every = np.arange(len(_grid(season)))
    logs, squares = np.zeros(len(every)), np.zeros((len(every), used[0].shape[1]))
    for values in used:
        size = len(values) * (season + 2 + values.shape[1])
        for part in _chunks(every, size):
            regression = _Regression(values - values[0], season, part)
            logs[part] += regression.log_determinants()
            squares[part] += regression.squares()
    # Not less than rounding: its logarithm would mean nothing.
    likelihood = -n_rows / 2 * np.log(np.maximum(squares, 1e-10 * n_rows))
    likelihood -= logs[:, np.newaxis] / 2
    shares = np.exp(likelihood - likelihood.max(axis=0))
    shares /= shares.sum(axis=0)
    shares[shares < _LEAST_WEIGHT * shares.max(axis=0)] = 0.0
    return Smoothing(season, shares / shares.sum(axis=0))


def _grid(season: int) -> np.ndarray:
    """Shares of errors that move level, trend and season, and dampings: (n, 4)."""
    seasons = _SEASONS if season > 1 else (0,)
    return np.array(
        [
            (level, level * trend, (1 - level) * seasonal, damping)
            for level, (trend, damping), seasonal in itertools.product(
                _LEVELS, _TRENDS, seasons
            )
        ]
    )


def _chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    step = max(1, _CHUNK // size)
    for start in range(0, len(indices), step):
        yield indices[start : start + step]


class _Regression:
    """Errors of values as a regression on the first states, for some parameters.

    Errors of a row are those from first states of zero, less what first states of one
    take from them.
    """

    def __init__(self, values: np.ndarray, season: int, part: np.ndarray):
        self.n_states = 2 + (season if season > 1 else 0)
        errors = _errors(values, season, _grid(season)[part], self.n_states)
        by_parameters = errors.transpose(1, 0, 2)
        self.inputs = -by_parameters[:, :-1, : self.n_states]
        self.targets = by_parameters[:, :-1, self.n_states :]
        self.next = -by_parameters[:, -1]
        prior = np.full(self.n_states, _FIRST_SEASON)
        prior[:2] = _FIRST_LEVEL, _FIRST_TREND
        turned = self.inputs.transpose(0, 2, 1)
        self.gram = turned @ self.inputs + np.diag(prior)
        self.cross = turned @ self.targets
        self.states = np.linalg.solve(self.gram, self.cross)

    def log_determinants(self) -> np.ndarray:
        """Of the precisions of the first states, (n_parameters,)."""
        return np.linalg.slogdet(self.gram)[1]

    def squares(self) -> np.ndarray:
        """Sums of squared errors and of the prior, (n_parameters, n_series)."""
        explained = np.einsum("cks,cks->cs", self.cross, self.states)
        return np.square(self.targets).sum(axis=1) - explained

    def errors(self) -> np.ndarray:
        """Errors (n_rows, n_parameters, n_series), each row left out of the states."""
        errors = self.targets - self.inputs @ self.states
        turned = np.linalg.solve(self.gram, self.inputs.transpose(0, 2, 1))
        leverage = np.einsum("ctk,ckt->ct", self.inputs, turned)
        return (errors / (1 - leverage)[..., np.newaxis]).transpose(1, 0, 2)

    def forecasts(self) -> np.ndarray:
        """Of the row after the last, (n_parameters, n_series)."""
        of_states = self.next[:, np.newaxis, : self.n_states] @ self.states
        return self.next[:, self.n_states :] + of_states[:, 0]


def _errors(
    values: np.ndarray, season: int, parameters: np.ndarray, n_states: int
) -> np.ndarray:
    """Errors (n_rows + 1, n_parameters, n_states + n_series), the next value zero.

    The first columns have one first state of one and values of zero each, the others
    first states of zero.
    """
    n_rows, n_series = values.shape
    size = len(parameters), n_states + n_series
    of_level, of_trend, of_season, damping = parameters.T[..., np.newaxis]
    level, trend = np.zeros(size), np.zeros(size)
    level[:, 0] = trend[:, 1] = 1.0
    seasons = np.zeros((max(season, 1), *size))
    for place in range(n_states - 2):
        seasons[place, :, 2 + place] = 1.0
    padded = np.zeros((n_rows + 1, size[1]))
    padded[:n_rows, n_states:] = values
    errors = np.empty((n_rows + 1, *size))
    for row in range(n_rows + 1):
        trend = damping * trend
        level = level + trend
        error = padded[row] - level - seasons[row % season]
        errors[row] = error
        level = level + of_level * error
        trend = trend + of_trend * error
        seasons[row % season] += of_season * error
    return errors
