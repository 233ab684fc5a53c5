"""Algebra of vector autoregressions, by statsmodels, and their bootstrap."""

import math
import numbers
from collections.abc import Callable

import joblib
import numpy as np
from sklearn.utils import check_random_state, check_scalar
from tqdm.auto import tqdm

from .._closed_form.ridge import ridge_var

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
    estimate: Estimate, *, periods: int, orth: bool, cumulative: bool = False
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
            "The covariance of the errors is not positive definite, so that shocks "
            "cannot be made orthogonal: drop series that others determine."
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
    """A classical VAR and the covariance of its errors, as statsmodels estimates them.

    On standardised series: those far from zero or of mixed units lose no digits.

    Raises
    ------
    ValueError
        If the solution is not unique.
    """
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    try:
        matrices, intercept = ridge_var([(table - mean) / scale], order, alpha=0.0)
    except ValueError as error:
        raise ValueError(
            f"Least squares of order {order} has no unique solution on these "
            f"{len(table)} rows: series are constant or collinear, or rows are few."
        ) from error
    matrices = matrices * scale[:, np.newaxis] / scale
    intercept = mean + scale * intercept - matrices.sum(axis=0) @ mean
    errors = one_step_errors(table, matrices, intercept)
    return matrices, intercept, covariance(errors, order * table.shape[1] + 1)


def covariance(errors: np.ndarray, df_model: int) -> np.ndarray:
    """Mean product of errors, corrected for the coefficients that shrank them.

    Where errors are NaN, over the rows that have both of a pair, and the nearest
    covariance to that.
    """
    freedom = degrees_of_freedom(len(errors), df_model)
    seen = np.isfinite(errors)
    if seen.all():
        return errors.T @ errors / freedom
    known, count = np.where(seen, errors, 0.0), seen.T.astype(float) @ seen
    mean = known.T @ known / count.clip(1)
    values, vectors = np.linalg.eigh(mean * (len(errors) / freedom))
    return (vectors * values.clip(0)) @ vectors.T


def degrees_of_freedom(n_errors: int, df_model: int) -> int:
    """Errors less coefficients; where a penalty allows more of these, the errors."""
    return n_errors - df_model if n_errors > df_model else n_errors


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
    history: np.ndarray,
    errors: np.ndarray,
    *,
    n_rows: int,
    n_boot: int,
    block_length: int,
    random_state,
    n_jobs: int | None,
    verbose: int,
) -> np.ndarray:
    """A statistic of estimates on simulated tables, of shape (n_boot, ...).

    Each table of ``n_rows`` starts with a stretch of the history and goes on with
    blocks of the errors, drawn with replacement and centred position by position [1]_.

    References
    ----------
    .. [1] Brüggemann, R., Jentsch, C. and Trenkler, C. (2016). Inference in VARs with
       conditional heteroskedasticity of unknown form. Journal of Econometrics 191.
    """
    check_scalar(n_boot, "n_boot", numbers.Integral, min_val=2)
    check_scalar(block_length, "block_length", numbers.Integral, min_val=1)
    if block_length > max(1, len(errors) // 4):
        raise ValueError(
            f"block_length={block_length} leaves too few blocks to draw from "
            f"{len(errors)} errors; take at most {max(1, len(errors) // 4)}."
        )
    matrices, intercept, _ = estimate
    order, n_series = len(matrices), history.shape[1]
    offsets = np.arange(len(errors) - block_length + 1)
    blocks = errors[offsets[:, np.newaxis] + np.arange(block_length)]
    blocks = blocks - blocks.mean(axis=0)
    # Of shocks and of what they start from; neither may be passed by far.
    size = np.abs(history).max() + np.abs(blocks).max()

    def replicate(seed: int) -> np.ndarray:
        rng = np.random.RandomState(seed)
        first = rng.randint(len(history) - order + 1)
        start = history[first : first + order]
        drawn = rng.randint(
            len(blocks), size=math.ceil((n_rows - order) / block_length)
        )
        shocks = blocks[drawn].reshape(-1, n_series)[: n_rows - order]
        with np.errstate(over="ignore", invalid="ignore"):
            rows = run(matrices, start, intercept + shocks)
        if not np.abs(rows).max() <= _EXPLODED * size:
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
