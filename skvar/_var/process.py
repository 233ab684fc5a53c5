"""Algebra of vector autoregressions, by statsmodels, and their bootstrap."""

import numpy as np

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
