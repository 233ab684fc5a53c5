"""Futures of a vector autoregression, free or under conditions.

The rows ahead are jointly normal: a path, plus responses to the shocks of every row.
Conditions fix cells of these rows or bound them (Waggoner and Zha 1999). Draws of the
matrices, along leading axes, count by the density of the conditions under each: draws
from a posterior become draws from the posterior that knows the conditions as well.
"""

import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import log_ndtr, ndtr, ndtri_exp
from scipy.stats import norm

from .._data.units import nonzero
from .caution import warn_user
from .process import Estimate, forecast, moving_average

# A standard deviation below such a part of what it was without other conditions, or of
# the scale of the series, is none; a value off by ten times as much is another value.
_NONE_LEFT, _NONE_OF_SCALE = 1e-5, 1e-7

# Draws of what lies in ranges, and passes of Gibbs sampling that move each.
N_DRAWS, _N_PASSES = 2000, 10

# Newton's steps to a quantile.
_MOST_STEPS = 50

# Draws that must count, lest a warning; numbers in what is computed of draws at once.
_FEWEST, _MOST_NUMBERS = 50, 5_000_000


@dataclass(frozen=True)
class Conditions:
    """Bounds on cells of the rows ahead, equal where a value is given.

    Given values come first: ranges are sampled under them.

    Parameters
    ----------
    cells : ndarray of int of shape (n_conditions,)
        ``row * n_series + series``.
    lower, upper : ndarray of shape (n_conditions,)
    labels : ndarray of str of shape (n_conditions,)
        What errors call the cells.
    """

    cells: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    labels: np.ndarray

    @classmethod
    def read(
        cls, given: pd.DataFrame | None, names: list, times: pd.Index
    ) -> "Conditions":
        """From a table of values and ranges, by times or else positions from 1 on."""
        found = []
        if given is not None:
            rows, series = _places(given, names, times)
            for (i, j), cell in np.ndenumerate(given.to_numpy(dtype=object)):
                label = f"{names[series[j]]!r} at {times[rows[i]]}"
                low, high = _bounds(cell, label)
                if low > -np.inf or high < np.inf:
                    place = int(rows[i]) * len(names) + int(series[j])
                    found.append((low < high, place, low, high, label))
        _, *columns = zip(*sorted(found), strict=True) if found else [()] * 5
        kinds = int, float, float, object
        return cls(*map(np.array, columns, kinds))

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, chosen: np.ndarray) -> "Conditions":
        columns = self.cells, self.lower, self.upper, self.labels
        return Conditions(*(column[chosen] for column in columns))

    @property
    def are_fixed(self) -> np.ndarray:
        """Where a value is given (n_conditions,)."""
        return self.lower == self.upper

    def independent(self, ahead: np.ndarray, scale: np.ndarray) -> "Conditions":
        """Without those that hold already, by given values or for want of variance.

        Parameters
        ----------
        ahead : ndarray of shape (steps, n_series, n_series + 1)
            As of `rows_ahead`.
        scale : ndarray of shape (n_series,)
            Typical size of a move of every series.

        Raises
        ------
        ValueError
            If one cannot hold.
        """
        mean = ahead[..., -1].ravel()[self.cells]
        # Products of these rows are covariances, of what earlier conditions leave free.
        factor = _stacked(_loadings(ahead[..., :-1], self.cells)).T
        deviation = np.linalg.norm(factor, axis=1)
        least = _NONE_OF_SCALE * scale[self.cells % len(scale)]
        slack = np.maximum(_NONE_LEFT * deviation, least)
        kept = np.zeros(len(self), dtype=bool)
        for i, is_fixed in enumerate(self.are_fixed):
            variance, margin = factor[i] @ factor[i], 10 * slack[i]
            kept[i] = variance > slack[i] ** 2
            if kept[i] and is_fixed:
                gain = factor @ factor[i] / variance
                mean = mean + gain * (self.lower[i] - mean[i])
                factor = factor - np.outer(gain, factor[i])
            elif not (
                kept[i] or self.lower[i] - margin <= mean[i] <= self.upper[i] + margin
            ):
                varies = deviation[i] > least[i]
                raise ValueError(self._contradiction(i, mean[i], varies))
        return self[kept]

    def _contradiction(self, i: int, implied: float, varies: bool) -> str:
        asked = f"{self.lower[i]:.6g}"
        if not self.are_fixed[i]:
            asked = f"from {asked} to {self.upper[i]:.6g}"
        if varies:
            reason, remedy = "the other values imply", "Drop one of these conditions"
        else:
            reason, remedy = "it has no variance and is", "Leave it free"
        return (
            f"given: {self.labels[i]} is to be {asked}, but {reason} {implied:.6g}. "
            f"{remedy}."
        )


@dataclass(frozen=True)
class Scenario:
    """Draws of the distribution of the rows ahead, under conditions.

    Parameters
    ----------
    ahead : ndarray of shape (n_draws, steps, n_series, n_series + 1)
        As of `rows_ahead`; one draw where matrices are known.
    asked : Conditions
    conditions : Conditions
        Those asked for that are independent.
    n_simulated : int
        Draws of cells that meet ranges, from which paths are chosen as well.
    """

    ahead: np.ndarray
    asked: Conditions
    conditions: Conditions
    n_simulated: int

    def mixture(
        self, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal distributions whose mixture is that of each cell.

        Exact under given values; with ranges, those of draws of the cells in these.

        Returns
        -------
        paths, deviations : ndarray of shape (n, steps, n_series)
        weights : ndarray of shape (n,)
        """
        if self.conditions.are_fixed.all():
            draws = np.arange(len(self.ahead))
            values, log_weights = self._within(draws, rng)
            weights = _weights(log_weights)
        else:
            draws, values = self._drawn(self.n_simulated, rng)
            weights = np.full(len(draws), 1 / len(draws))
        parts = [
            _moments(ahead, self.conditions.cells, part)
            for ahead, part in self._parts(draws, values)
        ]
        paths, deviations = map(np.concatenate, zip(*parts, strict=True))
        deviations[:, self._fixed_cells] = 0.0
        shape = len(paths), *self.ahead.shape[1:3]
        return self._held(paths).reshape(shape), deviations.reshape(shape), weights

    def paths(self, n_paths: int, rng: np.random.Generator) -> np.ndarray:
        """Draws (n_paths, steps, n_series) of the rows ahead."""
        parts = [
            _sample(ahead, self.conditions.cells, part, rng)
            for ahead, part in self._parts(*self._drawn(n_paths, rng))
        ]
        paths = self._held(np.concatenate(parts))
        return paths.reshape(n_paths, *self.ahead.shape[1:3])

    def _drawn(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n,) of draws, and values (n, n_conditions) that meet the conditions.

        Chosen by weight among more; Gibbs sampling parts those that are chosen twice.
        """
        draws = np.arange(max(n, self.n_simulated)) % len(self.ahead)
        values, log_weights = self._within(draws, rng)
        chosen = _resampled(_weights(log_weights), n, rng)
        draws = draws[chosen]
        moments = self._at_conditions(draws)
        return draws, _moved(values[chosen], *moments, self.conditions, rng)

    def _within(
        self, draws: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (n, n_conditions) that meet the conditions, and their log weights."""
        mean, covariance = self._at_conditions(draws)
        mean = np.broadcast_to(mean, (len(draws), len(self.conditions)))
        return _within(mean, covariance, self.conditions, rng)

    def _at_conditions(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and covariances of the cells with conditions, as draws have them."""
        moments = self._of_conditions
        return moments if len(self.ahead) == 1 else tuple(m[draws] for m in moments)

    @cached_property
    def _of_conditions(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and covariances of the cells with conditions, of every draw."""
        cells = self.conditions.cells
        covariances = []
        for part in self._slices(len(self.ahead)):
            loadings = _stacked(_loadings(self.ahead[part, ..., :-1], cells))
            covariances.append(loadings.swapaxes(-1, -2) @ loadings)
        mean = _stacked(self.ahead[..., -1:])[:, cells, 0]
        return mean, np.concatenate(covariances)

    def _parts(
        self, draws: np.ndarray, values: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Distributions of the rows ahead and values of conditions, some at a time."""
        if len(self.ahead) == 1:
            yield self.ahead, values
            return
        for part in self._slices(len(draws)):
            yield self.ahead[draws[part]], values[part]

    def _slices(self, n: int) -> Iterator[slice]:
        each = self.ahead[0].size + self.ahead[0, ..., -1].size * len(self.conditions)
        step = max(1, _MOST_NUMBERS // each)
        return (slice(begin, begin + step) for begin in range(0, n, step))

    @property
    def _fixed_cells(self) -> np.ndarray:
        return self.asked.cells[self.asked.are_fixed]

    def _held(self, rows: np.ndarray) -> np.ndarray:
        """Stacked rows with the given values, which they had up to rounding."""
        rows[:, self._fixed_cells] = self.asked.lower[self.asked.are_fixed]
        return rows


def quantiles_of_mixture(
    paths: np.ndarray,
    deviations: np.ndarray,
    weights: np.ndarray,
    levels: Sequence[float],
) -> np.ndarray:
    """Quantiles (n_levels, ...) of a mixture of normal distributions (n, ...).

    Where all deviations are zero, those of the points.
    """
    points = (deviations == 0).all(axis=0)
    quantiles = np.empty((len(levels), *points.shape))
    for at_level, level in zip(quantiles, levels, strict=True):
        at_level[points] = _quantile_of_points(paths[:, points], weights, level)
        at_level[~points] = _quantile_of_normals(
            paths[:, ~points], deviations[:, ~points], weights, level
        )
    return quantiles


def _quantile_of_points(
    points: np.ndarray, weights: np.ndarray, level: float
) -> np.ndarray:
    """Of columns (n, n_columns): the lowest point that has the level below it."""
    order = points.argsort(axis=0)
    n_below = (weights[order].cumsum(axis=0) < level).sum(axis=0, keepdims=True)
    chosen = np.take_along_axis(order, n_below.clip(max=len(points) - 1), axis=0)
    return np.take_along_axis(points, chosen, axis=0)[0]


def _quantile_of_normals(
    means: np.ndarray, deviations: np.ndarray, weights: np.ndarray, level: float
) -> np.ndarray:
    """Of columns (n, n_columns), by Newton's steps in a bracket that is halved."""
    low = (means - 10 * deviations).min(axis=0)
    high = (means + 10 * deviations).max(axis=0)
    precision = 1e-13 * (high - low) + np.finfo(float).tiny
    deviations = np.maximum(deviations, precision)
    guess = weights @ means
    for _ in range(_MOST_STEPS):
        scaled = (guess - means) / deviations
        missed = weights @ ndtr(scaled) - level
        low, high = np.where(missed < 0, guess, low), np.where(missed < 0, high, guess)
        slope = weights @ (np.exp(-np.square(scaled) / 2) / deviations)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = guess - np.sqrt(2 * np.pi) * missed / slope
        last, middle = guess, (low + high) / 2
        guess = np.where((low <= step) & (step <= high), step, middle)
        if (np.abs(guess - last) <= precision).all():
            break
    return guess


def rows_ahead(
    estimate: Estimate,
    recent: np.ndarray,
    steps: int,
    inflow: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Distribution (..., steps, n_series, n_series + 1) of the rows after recent ones.

    The last column is their forecast. Those before are responses to independent shocks
    of variance one, so many steps before. The root that makes these shocks is the
    symmetric one of the correlations: there is one whatever the covariance, so that
    such arrays have means over draws. ``inflow`` is what terms bring, as of `forecast`.
    """
    matrices, _, sigma_u = estimate
    path = forecast(estimate, recent, steps, inflow)[..., np.newaxis]
    root = _root(sigma_u)[..., np.newaxis, :, :]
    return np.concatenate([moving_average(matrices, steps - 1) @ root, path], axis=-1)


def _root(covariance: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1).clip(0))
    deviation = deviation[..., np.newaxis]
    unit = nonzero(deviation)
    values, vectors = np.linalg.eigh(covariance / unit / unit.swapaxes(-1, -2))
    roots = np.sqrt(values.clip(0))[..., np.newaxis, :]
    return deviation * (vectors * roots) @ vectors.swapaxes(-1, -2)


def _loadings(responses: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Shocks (..., n_rows, n_series, n_cells) by which cells move, of rows up to them.

    They are as well the shocks whose effects are covariances with these cells.
    """
    *draws, _, n_series, _ = responses.shape
    n_rows = cells.max(initial=0) // n_series + 1
    loadings = np.zeros((*draws, n_rows, n_series, len(cells)))
    for i, cell in enumerate(cells):
        row, series = divmod(cell, n_series)
        loadings[..., : row + 1, :, i] = responses[..., row::-1, series, :]
    return loadings


def _effects(responses: np.ndarray, shocks: np.ndarray) -> np.ndarray:
    """What shocks (..., n_rows, n_series, n) do to all rows (..., cells, n)."""
    draws = np.broadcast_shapes(responses.shape[:-3], shocks.shape[:-3])
    effects = np.zeros((*draws, *responses.shape[-3:-1], shocks.shape[-1]))
    for row in range(shocks.shape[-3]):
        moved = responses[..., : responses.shape[-3] - row, :, :]
        effects[..., row:, :, :] += moved @ shocks[..., row : row + 1, :, :]
    return _stacked(effects)


def _stacked(rows: np.ndarray) -> np.ndarray:
    """Rows (..., steps, n_series, n) below each other (..., cells, n)."""
    *draws, steps, n_series, n = rows.shape
    return rows.reshape(*draws, steps * n_series, n)


def _moments(
    ahead: np.ndarray, cells: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations (n, n_cells) of the stacked rows, given values of some."""
    responses, path = ahead[..., :-1], _stacked(ahead[..., -1:])
    covariances, root = _covariances(responses, cells)
    mean = path + covariances @ _over(root, values[..., np.newaxis] - path[:, cells])
    variance = np.square(responses).sum(axis=-1, keepdims=True).cumsum(axis=-3)
    variance = _stacked(variance)[..., 0] - np.square(covariances).sum(axis=-1)
    variance[:, cells] = 0.0
    deviation = np.sqrt(variance.clip(0))
    return mean[..., 0], np.broadcast_to(deviation, mean.shape[:-1])


def _sample(
    ahead: np.ndarray, cells: np.ndarray, values: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Stacked rows (n, n_cells), given values of some.

    Free ones, moved by what their own errors at the given cells tell: these are normal
    with the conditional mean and covariance (Hoffman and Ribak 1991).
    """
    responses, path = ahead[..., :-1], _stacked(ahead[..., -1:])
    covariances, root = _covariances(responses, cells)
    shocks = rng.standard_normal((len(values), *responses.shape[1:3], 1))
    free = path + _effects(responses, shocks)
    missed = values[..., np.newaxis] - free[:, cells]
    return (free + covariances @ _over(root, missed))[..., 0]


def _covariances(
    responses: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances (..., all cells, n) with white combinations of n cells, and a root.

    The root turns these combinations to the cells.
    """
    covariances = _effects(responses, _loadings(responses, cells))
    root = _cholesky(covariances[..., cells, :])
    return _over(root, covariances.swapaxes(-1, -2)).swapaxes(-1, -2), root


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    """Lower triangular root, of conditions that do not determine each other."""
    deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    try:
        root = np.linalg.cholesky(covariance)
        left = np.diagonal(root, axis1=-2, axis2=-1)
        if (left >= _NONE_LEFT / 10 * deviation).all():
            return root
    except np.linalg.LinAlgError:
        pass
    raise ValueError(
        "given: some cells with conditions determine others, as series do of which one "
        "is the sum of others. Leave one of them free."
    )


def _over(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve with a triangular root, in units of its rows, whatever those of series."""
    unit = np.linalg.norm(root, axis=-1, keepdims=True)
    return np.linalg.solve(root / unit, values / unit)


def _within(
    mean: np.ndarray,
    covariance: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, n_conditions) within bounds, one after the other, and log weights.

    The density of given values times an estimate without bias of the probability of the
    ranges under them: the sampler of Geweke, Hajivassiliou and Keane [1]_.

    References
    ----------
    .. [1] Hajivassiliou, V., McFadden, D. and Ruud, P. (1996). Simulation of
       multivariate normal rectangle probabilities and their derivatives. Journal of
       Econometrics 72, 85-134.
    """
    root = _cholesky(covariance)
    shocks, log_weights = np.zeros_like(mean), np.zeros(len(mean))
    for i, is_fixed in enumerate(conditions.are_fixed):
        centre = mean[:, i] + (root[:, i, :i] * shocks[:, :i]).sum(axis=1)
        unit = root[:, i, i]
        bounds = conditions.lower[i], conditions.upper[i]
        low, high = ((bound - centre) / unit for bound in bounds)
        if is_fixed:
            shocks[:, i], log_weight = low, norm.logpdf(low) - np.log(unit)
        else:
            shocks[:, i], log_weight = _truncated(low, high, rng)
        log_weights += log_weight
    values = mean + (root @ shocks[..., np.newaxis])[..., 0]
    return values.clip(conditions.lower, conditions.upper), log_weights


def _moved(
    values: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
) -> np.ndarray:
    """Values moved by Gibbs sampling, which keeps their distribution in the ranges."""
    ranges = np.flatnonzero(~conditions.are_fixed)
    if not len(ranges):
        return values
    inverse_root = _over(_cholesky(covariance), np.eye(len(conditions)))
    precision = inverse_root.swapaxes(-1, -2) @ inverse_root
    values = values.copy()
    for i in np.tile(ranges, _N_PASSES):
        pull = (precision[:, i] * (values - mean)).sum(axis=1)
        unit = 1 / np.sqrt(precision[:, i, i])
        centre = values[:, i] - pull * unit**2
        bounds = conditions.lower[i], conditions.upper[i]
        low, high = ((bound - centre) / unit for bound in bounds)
        moved = centre + unit * _truncated(low, high, rng)[0]
        values[:, i] = moved.clip(*bounds)
    return values


def _truncated(
    low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of standard normal variables in bounds, and log probabilities of these.

    By logarithms of probabilities, on the side of zero where these are small.
    """
    right = np.abs(low) < np.abs(high)
    low, high = np.where(right, -high, low), np.where(right, -low, high)
    below, up_to = log_ndtr(low), log_ndtr(high)
    with np.errstate(divide="ignore"):
        log_probability = up_to + np.log(-np.expm1(below - up_to))
    share = rng.uniform(np.finfo(float).tiny, 1.0, size=low.shape)
    drawn = ndtri_exp(np.logaddexp(below, log_probability + np.log(share)))
    drawn = drawn.clip(low, high)
    return np.where(right, -drawn, drawn), log_probability


def _weights(log_weights: np.ndarray) -> np.ndarray:
    """Weights of sum one, with a warning where few draws have nearly all of it."""
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    n_counting = 1 / np.square(weights).sum()
    if n_counting < min(_FEWEST, len(weights) / 10):
        warn_user(
            f"The conditions of given are unlikely: {n_counting:.0f} of "
            f"{len(weights)} draws count. Take more n_draws, or milder conditions."
        )
    return weights


def _resampled(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers (n,) of draws by weight, in any order, each as often as it should be."""
    places = (rng.random() + np.arange(n)) / n
    chosen = np.searchsorted(weights.cumsum(), places).clip(max=len(weights) - 1)
    return rng.permutation(chosen)


def _places(
    given: pd.DataFrame, names: list, times: pd.Index
) -> tuple[np.ndarray, np.ndarray]:
    """Rows ahead and series that a table of conditions is on."""
    if not isinstance(given, pd.DataFrame):
        raise TypeError(
            "given must be a DataFrame: columns are series, rows times of the forecast "
            f"or positions from 1 on; got {type(given).__name__}."
        )
    for axis, labels in (("columns", given.columns), ("rows", given.index)):
        if not labels.is_unique:
            twice = labels[labels.duplicated()].unique().tolist()
            raise ValueError(f"given has duplicate {axis} {twice}; keep one of each.")
    unknown = [name for name in given.columns if name not in names]
    if unknown:
        raise ValueError(
            f"given has columns {unknown}, which are no series; choose from {names}."
        )
    rows = times.get_indexer(given.index)
    if (rows < 0).any() and pd.api.types.is_integer_dtype(given.index):
        positions = given.index.to_numpy()
        rows = np.where(positions <= len(times), positions - 1, -1)
    if (rows < 0).any():
        raise ValueError(
            f"given has rows {given.index[rows < 0].tolist()}, which are not ahead: "
            f"index it by times from {times[0]} to {times[-1]}, as forecast(steps) is, "
            f"or by positions from 1 to {len(times)}."
        )
    return rows, np.array([names.index(name) for name in given.columns], dtype=int)


def _bounds(cell, label: str) -> tuple[float, float]:
    """Ends of the range that a cell of a table asks for, infinite where it is free."""
    if isinstance(cell, pd.Interval):
        cell = cell.left, cell.right
    if not pd.api.types.is_list_like(cell):
        value = _number(cell, label, np.nan)
        if np.isinf(value):
            raise ValueError(f"given: {label} is {value}; pass NaN where it is free.")
        return (-np.inf, np.inf) if np.isnan(value) else (value, value)
    if len(cell) != 2:
        raise ValueError(f"given: {label} is {cell}; a range is a pair (low, high).")
    low, high = _number(cell[0], label, -np.inf), _number(cell[1], label, np.inf)
    if low > high or low == np.inf or high == -np.inf:
        raise ValueError(f"given: {label} is to lie from {low} to {high}; swap these.")
    return low, high


def _number(value, label: str, missing: float) -> float:
    if value is None or value is pd.NA or value != value:
        return missing
    if not isinstance(value, (numbers.Real, Decimal, np.bool_)):
        raise TypeError(
            f"given: {label} holds {value!r}; pass a number, a pair (low, high), or "
            "NaN where it is free."
        )
    return float(value)
