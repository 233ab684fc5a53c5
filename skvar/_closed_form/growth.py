"""Autoregressions that grow no faster than the rows that they were estimated on."""

from collections.abc import Sequence

import numpy as np

from .ridge import Segments
from .sums import SummedTable

# Impulse responses of a linear trend are 7 ** 0.5 times as large in the second half.
_LINEAR = 3.0
_LEAST_STEPS, _BISECTIONS, _MOST_IMPULSES = 100, 20, 32


def restrained(
    matrices: np.ndarray, intercept: np.ndarray, segments: Segments
) -> tuple[np.ndarray, np.ndarray]:
    """The same VAR, or one whose roots are shrunk until it does not explode.

    Responses to impulses may grow like those of a trend, or exponentially as fast as
    the changes of the rows do. Otherwise the matrix at lag l is multiplied by the l-th
    power of the largest factor that suffices, by which this multiplies every root of
    the VAR, and the intercept makes the mean error zero again.

    Parameters
    ----------
    matrices : ndarray of shape (lags, n_series, n_series)
        Lag 1 first.
    intercept : ndarray of shape (n_series,)
    segments : sequence of ndarray of shape (n_rows, n_series)
        The rows of the estimation.
    """
    n_steps = max(_LEAST_STEPS, 2 * len(matrices))
    growth = _growth(matrices, n_steps)
    # Those of rows that hardly grow.
    if growth <= _LINEAR:
        return matrices, intercept
    allowed = _LINEAR * growth_of(segments) ** n_steps
    if growth <= allowed:
        return matrices, intercept
    powers = np.arange(1, len(matrices) + 1)[:, np.newaxis, np.newaxis]
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        factor = (low + high) / 2
        if _growth(matrices * factor**powers, n_steps) <= allowed:
            low = factor
        else:
            high = factor
    matrices = matrices * low**powers
    return matrices, _mean_error(matrices, segments, otherwise=intercept)


def growth_of(segments: Segments) -> float:
    """Factor by which changes grow at every row; 1 where they hardly do.

    The root mean square of the changes in the second half over that in the first, of
    the longest segment and the series where it is largest.
    """
    first, second = halves(max(segments, key=len))
    n_changes = len(first) - 1
    if n_changes < 4:
        return 1.0
    first, second = _size_of_changes(first), _size_of_changes(second)
    ratio = (second / np.where(first > 0, first, np.inf)).max()
    return float(ratio ** (1 / n_changes)) if ratio > 2 else 1.0


def halves(values: Sequence) -> tuple[Sequence, Sequence]:
    """The rows whose changes are compared: one row is in both."""
    half = (len(values) - 1) // 2
    return values[: half + 1], values[half:]


def _size_of_changes(values: np.ndarray | SummedTable) -> np.ndarray:
    """Their root mean square, by column."""
    if isinstance(values, SummedTable):
        return np.sqrt(values.squared_changes() / (len(values) - 1))
    changes = np.diff(values, axis=0)
    return np.sqrt(np.square(changes, out=changes).mean(axis=0))


def _growth(matrices: np.ndarray, n_steps: int) -> float:
    """Size of the responses to impulses in a second stretch of steps over the first."""
    n_lags, n_series, _ = matrices.shape
    own = np.diagonal(matrices, axis1=1, axis2=2)
    are_alone = np.count_nonzero(own) == np.count_nonzero(matrices)
    impulses = np.ones((n_series, 1)) if are_alone else _impulses(n_series)
    # Newest first, so that a row times the matrices is one product.
    past = np.zeros((n_lags, *impulses.shape))
    past[0] = impulses
    flat = matrices.transpose(1, 0, 2).reshape(n_series, -1) if not are_alone else None
    sizes = np.empty(2 * n_steps)
    for step in range(2 * n_steps):
        if are_alone:
            response = (own[..., np.newaxis] * past).sum(axis=0)
        else:
            response = flat @ past.reshape(-1, impulses.shape[1])
        past = np.concatenate([response[np.newaxis], past[:-1]])
        sizes[step] = np.square(response).sum()
        if not sizes[step] < 1e100:
            return np.inf
    first, second = sizes[:n_steps].sum(), sizes[n_steps:].sum()
    return float(np.sqrt(second / first)) if first > 0 else 0.0


def _impulses(n_series: int) -> np.ndarray:
    """One to each series, or to many series some of random signs to all at once.

    The squared responses to these have the same sum on average (Hutchinson 1990), with
    few products of large matrices.
    """
    if n_series <= _MOST_IMPULSES:
        return np.eye(n_series)
    shape = n_series, _MOST_IMPULSES
    return np.random.default_rng(0).choice([-1.0, 1.0], size=shape)


def _mean_error(
    matrices: np.ndarray, segments: Segments, otherwise: np.ndarray
) -> np.ndarray:
    """Mean of rows less what the matrices make of the rows before them.

    Where no row has enough of these before it, something else.
    """
    n_lags, total, count = len(matrices), 0.0, 0
    for values in segments:
        n_rows = len(values) - n_lags
        if n_rows > 0:
            windows = _window_sums(values, n_lags + 1)[::-1]
            total = total + windows[0] - np.einsum("lij,lj->i", matrices, windows[1:])
            count += n_rows
    return total / count if count else otherwise


def _window_sums(values: np.ndarray | SummedTable, width: int) -> np.ndarray:
    """Sums (width, n_series) of each row of the windows, the oldest first."""
    if isinstance(values, SummedTable):
        return values.total.window_sums(width)
    sums = np.vstack([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    n_windows = len(values) - width + 1
    return sums[n_windows : len(values) + 1] - sums[:width]
