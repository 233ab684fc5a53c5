"""Closed-form ridge regressions on windows, without building the windows.

The penalty ``alpha`` counts per window: the solutions minimise the mean squared error
plus ``alpha`` times the penalised squares, whatever the number of rows.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import scipy.linalg

Segments = Sequence[np.ndarray]

_CHUNK = 8_192
_N_BLOCKS = 5
# In mean squares of the inputs.
_ALPHAS = 10.0 ** np.arange(-4, 2.5, 0.5)


def ridge_direct(
    segments: Segments, lags: int, horizon: int, alpha: float
) -> np.ndarray:
    """Direct regression of the next ``horizon`` rows on the last ``lags``.

    One matrix for all series, on windows minus their last row: the stronger the
    penalty, the closer the forecast is to the last value.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series)
        Tables without gaps.
    lags, horizon : int
    alpha : float
        Penalty.

    Returns
    -------
    ndarray of shape (horizon, lags)
        Maps a window, oldest row first, to the forecast; rows sum to one.
    """
    return _DirectProblem(segments, lags, horizon).weight(alpha)


def choose_direct_alpha(
    segments: Segments,
    lags: int,
    horizon: int,
    alphas: Sequence[float] | None = None,
) -> tuple[float, float]:
    """Penalty of `ridge_direct` with the least error on blocks left out.

    Returned with this error; without such blocks the strongest penalty is, whose
    forecast is about the last value, and an error of zero.
    """
    if alphas is None:
        alphas = _ALPHAS * _DirectProblem(segments, lags, horizon).size()
    errors = [
        [held_out.error(fitted.weight(alpha)) for alpha in alphas]
        for fitted, held_out in (
            [_DirectProblem(part, lags, horizon) for part in parts]
            for parts in leave_blocks_out(segments, lags, horizon)
        )
    ]
    if not errors:
        return float(alphas[-1]), 0.0
    means = np.mean(errors, axis=0)
    return float(alphas[means.argmin()]), means.min()


def direct_errors(segments: Segments, weights: Sequence[np.ndarray]) -> list[float]:
    """Mean squared errors of maps (horizon, lags) whose rows sum to one."""
    horizon, lags = weights[0].shape
    problem = _DirectProblem(segments, lags, horizon)
    return [problem.error(weight) for weight in weights]


def leave_blocks_out(
    segments: Segments, lags: int, horizon: int, order: int | None = None
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Rows to estimate on, and rows whose windows forecast a block that was left out.

    Five blocks, or fewer if they would be shorter than two horizons; none where there
    would be one. Training windows, of ``order`` rows if given, may look back into a
    block, but do not forecast it.
    """
    order = order or lags
    ends = np.cumsum([max(0, len(values) - lags) for values in segments])
    n_blocks = min(_N_BLOCKS, ends[-1] // (2 * horizon))
    edges = np.linspace(0, ends[-1], n_blocks + 1).round().astype(int)
    for begin, end in pairwise(edges) if n_blocks > 1 else ():
        training, held_out = [], []
        for values, last in zip(segments, ends, strict=True):
            n_futures = max(0, len(values) - lags)
            start, stop = np.clip([begin, end], last - n_futures, last)
            start, stop = (lags + edge - last + n_futures for edge in (start, stop))
            if start == stop:
                training.append(values)
                continue
            training += [values[:start], values[stop - order :]]
            held_out.append(values[start - lags : stop])
        width = order + horizon if order == lags else order + 1
        if _n_windows(training, width) and _n_windows(held_out, lags + horizon):
            yield training, held_out


class _DirectProblem:
    """Moments of windows minus their last row, for direct regressions."""

    def __init__(self, segments: Segments, lags: int, horizon: int):
        tables = [values[..., np.newaxis] for values in segments]
        second, _, count = pooled_moments(tables, lags + horizon)
        # (I - 1 e') second (I - 1 e')' with e the last row of the past.
        last, rounding = second[lags - 1], 1e-12 * np.diag(second).max()
        second = second - last - (last - last[lags - 1])[:, np.newaxis]
        self.second, self.lags = second / count, lags
        self.rounding = rounding / count

    def size(self) -> float:
        """Mean square of what windows hold, the scale of penalties; 1 if that is 0."""
        size = np.diag(self.second)[: self.lags].mean()
        return size if size > self.rounding else 1.0

    def weight(self, alpha: float) -> np.ndarray:
        """Map (horizon, lags) of windows to forecasts."""
        past = self.second[: self.lags, : self.lags]
        weight = solve_ridge(past, self.second[: self.lags, self.lags :], alpha)
        weight[:, -1] += 1 - weight.sum(axis=1)
        return weight

    def error(self, weight: np.ndarray) -> float:
        """Mean squared error over windows, series and steps."""
        residual = np.hstack([-weight, np.eye(len(weight))])
        return np.einsum("ij,ij->i", residual @ self.second, residual).mean()


def _n_windows(segments: Segments, width: int) -> int:
    return sum(max(0, len(values) - width + 1) for values in segments)


def pooled_moments(
    tables: Sequence[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of `window_moments` over the tables that hold a window.

    Tables of the same length are groups of one: many short ones cost no more time.
    """
    by_length = defaultdict(list)
    for table in tables:
        if len(table) >= width:
            by_length[len(table)].append(table)
    moments = [
        window_moments(
            np.concatenate(some, axis=1) if len(some) > 1 else some[0], width
        )
        for some in by_length.values()
    ]
    return tuple(sum(parts) for parts in zip(*moments, strict=True))


def window_moments(
    values: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of outer products and of values over all windows of ``width`` rows.

    Neighbouring windows share all but one row, so the block for rows (i + 1, j + 1) is
    the block for (i, j) plus one outer product at the end minus one at the start: the
    cost is linear in ``width`` for the rows and quadratic only for the edges.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_groups, n_variables)
        The windows of all groups are pooled.
    width : int

    Returns
    -------
    second : ndarray of shape (width * n_variables, width * n_variables)
    first : ndarray of shape (width * n_variables,)
    count : int
        Number of windows over all groups.
    """
    n_rows, n_groups, n_variables = values.shape
    n_windows = n_rows - width + 1
    start = values[: width - 1].astype(float)
    end = values[n_windows:].astype(float)
    second = np.empty((width, n_variables, width, n_variables))
    for lag, block in enumerate(_lagged_products(values, width)):
        edge = width - 1 - lag
        steps = _outer(end[:edge], end[lag:]) - _outer(start[:edge], start[lag:])
        blocks = block + np.concatenate([np.zeros_like(block)[None], steps]).cumsum(0)
        index = np.arange(width - lag)
        second[index, :, index + lag] = blocks
        second[index + lag, :, index] = blocks.swapaxes(1, 2)
    first = np.empty((width, n_variables))
    first[0] = values[:n_windows].sum(axis=(0, 1), dtype=float)
    first[1:] = first[0] + (end - start).sum(axis=1).cumsum(axis=0)
    size = width * n_variables
    return second.reshape(size, size), first.ravel(), n_windows * n_groups


def _lagged_products(values: np.ndarray, width: int) -> np.ndarray:
    """Sums over windows and groups of the first row times the row at each lag.

    In float64, converting a few rows at a time.
    """
    n_rows, n_groups, n_variables = values.shape
    n_windows = n_rows - width + 1
    products = np.zeros((width, n_variables, n_variables))
    for begin in range(0, n_windows, _CHUNK):
        n = min(_CHUNK, n_windows - begin) * n_groups
        rows = values[begin : begin + _CHUNK + width - 1].astype(float)
        rows = rows.reshape(-1, n_variables)
        for lag in range(width):
            offset = lag * n_groups
            products[lag] += rows[:n].T @ rows[offset : offset + n]
    return products


def _outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("tgi,tgj->tij", a, b)


def solve_ridge(
    gram: np.ndarray, cross: np.ndarray, alpha: float, penalty: np.ndarray | float = 1.0
) -> np.ndarray:
    """Coefficients (n_outputs, n_inputs) from moments (n_inputs, ...) of inputs."""
    gram = gram + np.diag(np.full(len(gram), alpha * penalty))
    try:
        return scipy.linalg.solve(gram, cross, assume_a="pos").T
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            f"alpha={alpha} leaves the regression without a unique solution: series "
            "are constant or collinear, or there are fewer rows than coefficients. "
            "Raise alpha or drop series."
        ) from error
