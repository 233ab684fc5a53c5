"""Closed-form ridge regressions on windows, without building the windows.

The penalty ``alpha`` counts per window: the solutions minimise the mean squared error
plus ``alpha`` times the penalised squares, whatever the number of rows.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import scipy.linalg

from .sums import SummedTable, are_summed

# Tables, or sums of tables.
Segments = Sequence[np.ndarray | SummedTable]

_CHUNK = 8_192

# Numbers of a table that is not joined with others.
_LONG = 2**18


def segment_moments(
    segments: Segments, width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of `window_moments` over segments (n_rows, n_variables)."""
    if not are_summed(segments):
        return pooled_moments([values[:, np.newaxis] for values in segments], width)
    long = [table for table in segments if len(table) >= width]
    found = [_moments_of_sums(table, width) for table in long]
    return tuple(sum(parts) for parts in zip(*found, strict=True))


def segment_windows(segments: Sequence[np.ndarray], width: int) -> np.ndarray:
    """All windows (n, width * n_variables) of tables, the oldest row first."""
    rows = [
        np.hstack([values[i : len(values) - width + 1 + i] for i in range(width)])
        for values in segments
        if len(values) >= width
    ]
    return np.concatenate(rows)


def _moments_of_sums(
    table: SummedTable, width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    sums, n_windows = table.total, len(table) - width + 1
    edges = [rows[:, np.newaxis] for rows in sums.edges(width)]
    second = _second_moments(sums.pair_products(width), *edges)
    return second, sums.window_sums(width).ravel(), n_windows


def pooled_moments(
    tables: Sequence[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of `window_moments` over the tables that hold a window."""
    return pooled(tables, width, partial(window_moments, width=width))


def pooled(
    tables: Sequence[np.ndarray], width: int, sums_of: Callable[[np.ndarray], tuple]
) -> tuple:
    """Sums of what a function finds in the tables that hold a window.

    Tables of the same length are groups of one, as many short ones cost no more time;
    copies of long ones would save none.

    Parameters
    ----------
    tables : sequence of ndarray of shape (n_rows, n_groups, n_variables)
    width : int
        Rows of a window.
    sums_of : callable
        Sums over the windows of all groups of a table.

    Returns
    -------
    tuple
    """
    alike = defaultdict(list)
    for place, table in enumerate(tables):
        if len(table) >= width:
            alike[len(table), place if table.size > _LONG else None].append(table)
    found = [
        sums_of(np.concatenate(some, axis=1) if len(some) > 1 else some[0])
        for some in alike.values()
    ]
    return tuple(sum(parts) for parts in zip(*found, strict=True))


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
    second = _second_moments(_lagged_products(values, width), start, end)
    first = np.empty((width, n_variables))
    first[0] = values[:n_windows].sum(axis=(0, 1), dtype=float)
    first[1:] = first[0] + (end - start).sum(axis=1).cumsum(axis=0)
    return second, first.ravel(), n_windows * n_groups


def _second_moments(
    products: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Of windows, from products of their first rows with later ones.

    And from the first and the last rows of the table, one less than a window has.
    """
    width, n_variables, _ = products.shape
    second = np.empty((width, n_variables, width, n_variables))
    for lag, block in enumerate(products):
        edge = width - 1 - lag
        steps = _outer(end[:edge], end[lag:]) - _outer(start[:edge], start[lag:])
        blocks = block + np.concatenate([np.zeros_like(block)[None], steps]).cumsum(0)
        index = np.arange(width - lag)
        second[index, :, index + lag] = blocks
        second[index + lag, :, index] = blocks.swapaxes(1, 2)
    size = width * n_variables
    return second.reshape(size, size)


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
        raise ValueError(without_solution(alpha)) from error


def without_solution(alpha: float) -> str:
    """What is wrong where a penalty leaves coefficients undetermined."""
    return (
        f"alpha={alpha} leaves the regression without a unique solution: series "
        "are constant or collinear, or there are fewer rows than coefficients. "
        "Raise alpha or drop series."
    )
