"""Closed-form ridge regressions on windows, without building the windows.

The penalty ``alpha`` counts per window: the solutions minimise the mean squared error
plus ``alpha`` times the sum of squared coefficients, whatever the number of rows.
"""

from collections.abc import Sequence

import numpy as np
import scipy.linalg

_CHUNK = 8_192


def ridge_var(
    segments: Sequence[np.ndarray],
    order: int,
    alpha: float,
    n_inputs: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Vector autoregression with an unpenalised intercept.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_columns)
        Tables without gaps.
    order : int
        Number of lags p.
    alpha : float
        Penalty; towards 0 the solution is that of ordinary least squares.
    n_inputs : int, optional
        The first columns cause, the others respond; by default all do both.

    Returns
    -------
    matrices : ndarray of shape (p, n_targets, n_inputs)
        ``matrices[l - 1]`` is the matrix at lag l; rows respond, columns cause.
    intercept : ndarray of shape (n_targets,)
    """
    n_columns = segments[0].shape[1]
    moments = [
        window_moments(values[:, np.newaxis], order + 1)
        for values in segments
        if len(values) > order
    ]
    second, first, count = (sum(parts) for parts in zip(*moments, strict=True))
    mean = first / count
    covariance = second / count - np.outer(mean, mean)
    causes = np.arange(n_columns if n_inputs is None else n_inputs)
    responses = np.arange(0 if n_inputs is None else n_inputs, n_columns)
    inputs = (n_columns * np.arange(order)[:, np.newaxis] + causes).ravel()
    outputs = n_columns * order + responses
    coef = _solve(
        covariance[np.ix_(inputs, inputs)], covariance[np.ix_(inputs, outputs)], alpha
    )
    intercept = mean[outputs] - coef @ mean[inputs]
    blocks = coef.reshape(len(responses), order, len(causes))
    return blocks[:, ::-1].transpose(1, 0, 2).copy(), intercept


def ridge_direct(
    segments: Sequence[np.ndarray], lags: int, horizon: int, alpha: float
) -> np.ndarray:
    """Direct regression of the next ``horizon`` rows on the last ``lags``.

    One matrix for all series, on windows minus their own mean.

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
        Maps a centred window, oldest row first, to the centred forecast.
    """
    moments = [
        window_moments(values[..., np.newaxis], lags + horizon)
        for values in segments
        if len(values) >= lags + horizon
    ]
    second, _, count = (sum(parts) for parts in zip(*moments, strict=True))
    centring = np.eye(lags + horizon)
    centring[:, :lags] -= 1 / lags
    centred = centring @ (second / count) @ centring.T
    return _solve(centred[:lags, :lags], centred[:lags, lags:], alpha)


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


def _solve(gram: np.ndarray, cross: np.ndarray, alpha: float) -> np.ndarray:
    """Coefficients (n_outputs, n_inputs) from moments (n_inputs, ...) of inputs."""
    gram = gram + alpha * np.eye(len(gram))
    try:
        return scipy.linalg.solve(gram, cross, assume_a="pos").T
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            f"alpha={alpha} leaves the regression without a unique solution: series "
            "are constant or collinear, or there are fewer rows than coefficients. "
            "Raise alpha or drop series."
        ) from error
