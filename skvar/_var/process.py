"""What follows from known matrices of a vector autoregression.

Matrices, intercepts and covariances may be those of many draws, along leading axes.
"""

from typing import TypeAlias

import numpy as np

# The matrices, the intercept and the covariance of the one-step errors; beside terms
# their coefficients, too.
Estimate: TypeAlias = tuple[np.ndarray, ...]

# The precision of a network: roots nearer to the unit circle are unit roots.
_PRECISION = 1e-6


def roots(matrices: np.ndarray) -> np.ndarray:
    """Roots (..., order * n_series) of the characteristic polynomial, largest first.

    By modulus.
    """
    *draws, order, n_series, _ = matrices.shape
    size = order * n_series
    companion = np.zeros((*draws, size, size))
    companion[..., :n_series, :] = np.concatenate(np.moveaxis(matrices, -3, 0), axis=-1)
    companion[..., n_series:, :-n_series] = np.eye(size - n_series)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 / np.linalg.eigvals(companion).astype(complex)
    descending = np.argsort(np.abs(found), axis=-1)[..., ::-1]
    return np.take_along_axis(found, descending, axis=-1)


def are_stable(roots: np.ndarray) -> np.ndarray:
    """Whether all roots (..., n) lie outside the unit circle, none of them on it."""
    return (np.abs(roots) > 1 + _PRECISION).all(axis=-1)


def long_run_effects(estimate: Estimate) -> np.ndarray:
    """Sum of all responses to a unit shock (..., n_responses, n_causes).

    NaN where the VAR is not stable.
    """
    matrices = estimate[0]
    total = matrices.sum(axis=-3)
    stable = are_stable(roots(matrices))[..., np.newaxis, np.newaxis]
    identity = np.eye(total.shape[-1])
    effects = np.linalg.inv(np.where(stable, identity - total, identity))
    return np.where(stable, effects, np.nan)


def relative_matrices(matrices: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Matrices (order, n_series, n_series) in units of ``scale`` of each series."""
    return matrices * scale / scale[:, np.newaxis]


def responses(
    estimate: Estimate, impact: np.ndarray, *, periods: int, cumulative: bool = False
) -> np.ndarray:
    """Responses (..., periods + 1, n_series, n_shocks) to shocks with this impact."""
    effects = moving_average(estimate[0], periods) @ impact[..., np.newaxis, :, :]
    return effects.cumsum(axis=-3) if cumulative else effects


def moving_average(matrices: np.ndarray, periods: int) -> np.ndarray:
    """Effects (..., periods + 1, n_series, n_series) of the errors of earlier rows."""
    *draws, order, n_series, _ = matrices.shape
    effects = np.zeros((periods + 1, *draws, n_series, n_series))
    effects[0] = np.eye(n_series)
    for period in range(1, periods + 1):
        for lag in range(1, min(period, order) + 1):
            effects[period] += matrices[..., lag - 1, :, :] @ effects[period - lag]
    return np.moveaxis(effects, 0, -3)


def variance_shares(
    estimate: Estimate, impact: np.ndarray, *, periods: int
) -> np.ndarray:
    """Shares of shocks in error variances (..., periods, n_series, n_shocks).

    Of shocks of variance one. They sum to one where shocks are uncorrelated and make up
    all errors. NaN where a series has no errors.
    """
    effects = moving_average(estimate[0], periods - 1)
    by_shock = np.square(effects @ impact[..., np.newaxis, :, :]).cumsum(axis=-3)
    covariance = estimate[2][..., np.newaxis, :, :]
    total = ((effects @ covariance) * effects).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return by_shock / total.cumsum(axis=-2)[..., np.newaxis]


def cholesky(sigma_u: np.ndarray) -> np.ndarray:
    """Lower triangular factor: effects of orthogonal shocks in their own row."""
    try:
        return np.linalg.cholesky(sigma_u)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "The covariance of the errors is not positive definite, so that shocks "
            "cannot be made orthogonal: drop series that are constant or that others "
            "determine."
        ) from error


def forecast(
    estimate: Estimate,
    recent: np.ndarray,
    steps: int,
    inflow: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Forecasts (..., steps, n_series) after recent rows (order, n_series).

    ``inflow`` (..., steps, n_series) is what terms bring beside the intercept.
    """
    matrices, intercept, _ = estimate
    order, n_series = recent.shape
    rows = np.empty((*intercept.shape[:-1], order + steps, n_series))
    rows[..., :order, :] = recent
    rows[..., order:, :] = intercept[..., np.newaxis, :] + inflow
    for row in range(order, order + steps):
        newest_first = rows[..., row - order : row, :][..., ::-1, :]
        effects = np.einsum("...lij,...lj->...i", matrices, newest_first)
        rows[..., row, :] += effects
    return rows[..., order:, :]


def shocks_of(
    errors: np.ndarray, impact: np.ndarray, sigma_u: np.ndarray
) -> np.ndarray:
    """Shocks (n_rows, n_shocks) with this impact in errors (n_rows, n_series).

    Fewer shocks than series are those of variance one that the errors tell, ``B'
    Sigma^-1 u``.
    """
    if impact.shape[0] == impact.shape[1]:
        return np.linalg.solve(impact, errors.T).T
    cholesky(sigma_u)
    return np.linalg.solve(sigma_u, errors.T).T @ impact


def decomposition(
    estimate: Estimate, impact: np.ndarray, start: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Split the rows after a start into the effects of shocks and of the start.

    Parameters
    ----------
    estimate : Estimate
    impact : ndarray of shape (n_series, n_shocks)
    start : ndarray of shape (order, n_series)
    errors : ndarray of shape (n_rows, n_series)
        One-step errors of the rows after it.

    Returns
    -------
    ndarray of shape (n_rows, n_shocks + 2, n_series)
        The effect of every shock, that of what they leave of the errors, and what had
        come without errors; they sum to the rows.
    """
    matrices, intercept, sigma_u = estimate
    (n_rows, n_series), n_shocks = errors.shape, impact.shape[1]
    shocks = shocks_of(errors, impact, sigma_u)
    inflow = np.zeros((n_rows, n_shocks + 2, n_series))
    inflow[:, :n_shocks] = shocks[:, :, np.newaxis] * impact.T
    inflow[:, -2] = errors - shocks @ impact.T
    inflow[:, -1] = intercept
    before = np.zeros((len(start), n_shocks + 2, n_series))
    before[:, -1] = start
    return run(matrices, before, inflow)


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
    side_by_side = np.concatenate(matrices, axis=1).T
    rows = np.concatenate([start, inflow])
    for t in range(order, len(rows)):
        newest_first = np.concatenate(list(rows[t - order : t][::-1]), axis=-1)
        rows[t] += newest_first @ side_by_side
    return rows[order:]
