"""What follows from known matrices of a vector autoregression, by statsmodels."""

import numpy as np

# The matrices, the intercept and the covariance of the one-step errors.
Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]

# The precision of a network: roots nearer to the unit circle are unit roots.
_PRECISION = 1e-6


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


def roots(matrices: np.ndarray) -> np.ndarray:
    """Roots of the characteristic polynomial, largest modulus first."""
    order, n_series = matrices.shape[:2]
    below = np.eye(n_series * (order - 1), n_series * order)
    companion = np.vstack([np.hstack(matrices), below])
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 / np.linalg.eigvals(companion).astype(complex)
    return found[np.argsort(np.abs(found))[::-1]]


def are_stable(roots: np.ndarray) -> bool:
    """Whether all roots lie outside the unit circle, none of them a unit root."""
    return bool((np.abs(roots) > 1 + _PRECISION).all())


def long_run_effects(estimate: Estimate) -> np.ndarray:
    """Sum of all responses to a unit shock (n_responses, n_causes), if stable."""
    return var_model().VARProcess(*estimate).long_run_effects()


def relative_matrices(matrices: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Matrices (order, n_series, n_series) in units of ``scale`` of each series."""
    return matrices * scale / scale[:, np.newaxis]


def influence(matrices: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Root of the sum over lags of squared relative matrices."""
    return np.sqrt(np.square(relative_matrices(matrices, scale)).sum(axis=0))


def responses(
    estimate: Estimate, *, periods: int, orth: bool, cumulative: bool = False
) -> np.ndarray:
    """Impulse responses (periods + 1, n_responses, n_impulses)."""
    matrices, _, sigma_u = estimate
    effects = var_model().ma_rep(matrices, periods)
    if orth:
        effects = effects @ cholesky(sigma_u)
    return effects.cumsum(axis=0) if cumulative else effects


def variance_shares(estimate: Estimate, periods: int) -> np.ndarray:
    """Shares of shocks in error variances (periods, n_responses, n_impulses)."""
    effects = responses(estimate, periods=periods - 1, orth=True)
    by_shock = np.square(effects).cumsum(axis=0)
    return by_shock / by_shock.sum(axis=2, keepdims=True)


def cholesky(sigma_u: np.ndarray) -> np.ndarray:
    """Lower triangular factor: effects of orthogonal shocks in their own row."""
    try:
        return np.linalg.cholesky(sigma_u)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "The covariance of the errors is not positive definite, so that shocks "
            "cannot be made orthogonal: drop series that others determine."
        ) from error


def forecast(estimate: Estimate, recent: np.ndarray, steps: int) -> np.ndarray:
    """Forecasts (steps, n_series) after recent rows (order, n_series)."""
    matrices, intercept, _ = estimate
    return var_model().forecast(recent, matrices, intercept, steps)


def forecast_interval(
    estimate: Estimate, recent: np.ndarray, steps: int, coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (steps, n_series) of Gaussian intervals around these."""
    _, *ends = var_model().forecast_interval(
        recent, *estimate, steps, alpha=1 - coverage
    )
    return tuple(ends)


def decomposition(
    estimate: Estimate, start: np.ndarray, errors: np.ndarray, *, orth: bool
) -> np.ndarray:
    """Split the rows after a start into the effects of shocks and of the start.

    Parameters
    ----------
    estimate : Estimate
    start : ndarray of shape (order, n_series)
    errors : ndarray of shape (n_rows, n_series)
        One-step errors of the rows after it.
    orth : bool
        Whether shocks are orthogonal or the errors of each series.

    Returns
    -------
    ndarray of shape (n_rows, n_series + 1, n_series)
        Component k < n_series is the effect of shock k, the last what had come without
        shocks; they sum to the rows.
    """
    matrices, intercept, sigma_u = estimate
    n_rows, n_series = errors.shape
    impact = cholesky(sigma_u) if orth else np.eye(n_series)
    shocks = np.linalg.solve(impact, errors.T).T
    inflow = np.zeros((n_rows, n_series + 1, n_series))
    inflow[:, :-1] = shocks[:, :, np.newaxis] * impact.T
    inflow[:, -1] = intercept
    before = np.zeros((len(start), n_series + 1, n_series))
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
    side_by_side = np.hstack(matrices).T
    rows = np.concatenate([start, inflow])
    for t in range(order, len(rows)):
        newest_first = np.concatenate(list(rows[t - order : t][::-1]), axis=-1)
        rows[t] += newest_first @ side_by_side
    return rows[order:]
