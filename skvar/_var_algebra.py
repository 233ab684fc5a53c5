"""Algebra of vector autoregressions, by statsmodels, and their bootstrap."""

import math
import numbers
from collections.abc import Callable

import joblib
import numpy as np
from sklearn.utils import check_random_state, check_scalar
from tqdm.auto import tqdm

from ._ridge import ridge_var

_EXPLODED = 1e6

# The matrices, the intercept and the covariance of the one-step errors.
Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]


def var_model():
    """Module of vector autoregressions in statsmodels.

    Raises
    ------
    ImportError
        If statsmodels is not installed.
    """
    try:
        from statsmodels.tsa.vector_ar import var_model
    except ImportError as error:
        raise ImportError(
            "The analysis of VAR matrices needs statsmodels: pip install "
            '"skvar[analysis]".'
        ) from error
    return var_model


def responses(
    estimate: Estimate, *, periods: int, orth: bool, cumulative: bool
) -> np.ndarray:
    """Impulse responses (periods + 1, n_responses, n_impulses)."""
    matrices, _, sigma_u = estimate
    effects = var_model().ma_rep(matrices, periods)
    if orth:
        effects = effects @ cholesky(sigma_u)
    return effects.cumsum(axis=0) if cumulative else effects


def roots(matrices: np.ndarray) -> np.ndarray:
    """Roots of the characteristic polynomial, largest modulus first."""
    order, n_series = matrices.shape[:2]
    below = np.eye(n_series * (order - 1), n_series * order)
    companion = np.vstack([np.hstack(matrices), below])
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 / np.linalg.eigvals(companion).astype(complex)
    return found[np.argsort(np.abs(found))[::-1]]


def cholesky(sigma_u: np.ndarray) -> np.ndarray:
    """Lower triangular factor: effects of orthogonal shocks in their own row."""
    try:
        return np.linalg.cholesky(sigma_u)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "sigma_u is not positive definite, so that shocks cannot be made "
            "orthogonal: drop series that others determine, or use orth=False."
        ) from error


def run(matrices: np.ndarray, start: np.ndarray, inflow: np.ndarray) -> np.ndarray:
    """The rows that matrices make of a start and of what flows in at every row.

    Parameters
    ----------
    matrices : ndarray of shape (order, n_series, n_series)
    start : ndarray of shape (order, ..., n_series)
        The rows before, oldest first.
    inflow : ndarray of shape (n_rows, ..., n_series)
        Intercept and shocks.

    Returns
    -------
    ndarray of shape (n_rows, ..., n_series)
    """
    order = len(matrices)
    side_by_side = np.hstack(matrices).T
    rows = np.concatenate([start, inflow])
    for t in range(order, len(rows)):
        newest_first = np.concatenate(list(rows[t - order : t][::-1]), axis=-1)
        rows[t] += newest_first @ side_by_side
    return rows[order:]


def least_squares(table: np.ndarray, seed: int, *, order: int) -> Estimate:
    """A classical VAR; the covariance is the mean product of its errors."""
    matrices, intercept = ridge_var([table], order, alpha=0.0)
    errors = one_step_errors(table, matrices, intercept)
    return matrices, intercept, errors.T @ errors / len(errors)


def one_step_errors(
    table: np.ndarray, matrices: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    """Rows after the first ``order`` minus what the matrices make of those before."""
    order = len(matrices)
    forecasts = intercept + sum(
        table[order - lag : len(table) - lag] @ matrix.T
        for lag, matrix in enumerate(matrices, start=1)
    )
    return table[order:] - forecasts


def bootstrap(
    statistic: Callable[[Estimate], np.ndarray],
    estimate: Estimate,
    refit: Callable[[np.ndarray, int], Estimate],
    table: np.ndarray,
    errors: np.ndarray,
    *,
    n_boot: int,
    block_length: int,
    random_state,
    n_jobs: int | None,
    verbose: int,
) -> np.ndarray:
    """A statistic of estimates on simulated tables, of shape (n_boot, ...).

    Each table starts with a stretch of the observed one and goes on with blocks of its
    errors, drawn with replacement and centred position by position [1]_.

    References
    ----------
    .. [1] Brüggemann, R., Jentsch, C. and Trenkler, C. (2016). Inference in VARs with
       conditional heteroskedasticity of unknown form. Journal of Econometrics 191.
    """
    check_scalar(n_boot, "n_boot", numbers.Integral, min_val=2)
    check_scalar(
        block_length, "block_length", numbers.Integral, min_val=1, max_val=len(errors)
    )
    matrices, intercept, _ = estimate
    starts = np.arange(len(errors) - block_length + 1)
    blocks = errors[starts[:, np.newaxis] + np.arange(block_length)]
    blocks = blocks - blocks.mean(axis=0)

    def replicate(seed: int) -> np.ndarray:
        rng = np.random.RandomState(seed)
        first = rng.randint(len(table) - len(matrices) + 1)
        start = table[first : first + len(matrices)]
        n_rows = len(table) - len(matrices)
        drawn = rng.randint(len(blocks), size=math.ceil(n_rows / block_length))
        shocks = blocks[drawn].reshape(-1, table.shape[1])[:n_rows]
        with np.errstate(over="ignore", invalid="ignore"):
            rows = run(matrices, start, intercept + shocks)
        if not np.abs(rows).max() < _EXPLODED * np.abs(table).max():
            raise ValueError(
                "bands simulates series from these matrices, which are so unstable "
                "that the series explode; leave bands at None."
            )
        return statistic(refit(np.concatenate([start, rows]), seed))

    seeds = check_random_state(random_state).randint(2**31, size=n_boot)
    replicates = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(
        joblib.delayed(replicate)(seed) for seed in seeds
    )
    bar = tqdm(replicates, total=n_boot, desc="bootstrap", disable=not verbose)
    return np.stack(list(bar))
