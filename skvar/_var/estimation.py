"""Least squares, and what one-step errors say."""

from importlib import import_module

import numpy as np
from scipy.signal import lfilter

from .._closed_form.ridge_var import ridge_var, ridge_var_with_terms
from .._closed_form.terms import Design
from .._data.units import nonzero
from .process import Estimate
from .terms import inflow

# Of weights of errors by age, and errors that are likely under one of them or not.
_DECAYS = 0.9, 0.94, 0.97, 0.98, 0.99, 0.995
_MOST_ERRORS = 2000


def statsmodels(module: str):
    """A module of statsmodels, such as "tsa.vector_ar.vecm".

    Raises
    ------
    ImportError
        If statsmodels is not installed.
    """
    try:
        return import_module(f"statsmodels.{module}")
    except ImportError as error:
        raise ImportError(
            "The analysis of VAR matrices needs statsmodels: pip install "
            '"skvar[analysis]".'
        ) from error


def least_squares(table: np.ndarray, seed: int, *, order: int) -> Estimate:
    """A classical VAR and the covariance of its errors, as statsmodels estimates them.

    On standardised series: those far from zero or of mixed units lose no digits.

    Raises
    ------
    ValueError
        If the solution is not unique.
    """
    mean, scale = table.mean(axis=0), nonzero(table.std(axis=0))
    try:
        matrices, intercept, _ = ridge_var([(table - mean) / scale], order, alpha=0.0)
    except ValueError as error:
        raise no_solution(order, len(table)) from error
    matrices = matrices * scale[:, np.newaxis] / scale
    intercept = mean + scale * intercept - matrices.sum(axis=0) @ mean
    errors = one_step_errors(table, matrices, intercept)
    return matrices, intercept, covariance(errors, order * table.shape[1] + 1)


def no_solution(order: int, n_rows: int) -> ValueError:
    """What to raise where least squares is not unique."""
    return ValueError(
        f"Least squares of order {order} has no unique solution on these {n_rows} "
        "rows: series are constant or collinear, or rows are few. Drop such series, "
        "lower the lags or pass more rows."
    )


def least_squares_with_terms(
    table: np.ndarray, seed: int, *, order: int, rows: np.ndarray, acting: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same, and coefficients (n_lags, n_series, n_columns) of terms.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_series)
    seed : int
    order : int
    rows : ndarray of shape (n_rows - order, n_lags, n_columns)
        What acts on the rows after the first ones.
    acting : ndarray of bool of shape (n_lags, n_columns)
        Which columns act at which lags.
    """
    terms = np.full((len(table), np.count_nonzero(acting)), np.nan)
    terms[order:] = rows[:, acting]
    scale = nonzero(table.std(axis=0))
    matrices, intercept, weights, evidence = ridge_var_with_terms(
        [table / scale], order, 0.0, Design([terms])
    )
    matrices = matrices * scale[:, np.newaxis] / scale
    coefficients = np.zeros((*acting.shape, table.shape[1]))
    coefficients[acting] = (weights * scale[:, np.newaxis]).T
    coefficients = coefficients.swapaxes(1, 2)
    errors = one_step_errors(table, matrices, scale * intercept)
    errors = errors - inflow(coefficients, rows)
    sigma_u = covariance(errors, evidence.n_coefficients)
    return matrices, scale * intercept, sigma_u, coefficients


def covariance(errors: np.ndarray, df_model: float) -> np.ndarray:
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


def moving_covariance(errors: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Covariance of errors after the last of them, by exponential weights.

    ``S_t = decay S_{t-1} + (1 - decay) e_t e_t'`` from a start, as in RiskMetrics (J.P.
    Morgan 1996), with the decay under which normal errors are likeliest; the start
    itself where none is likelier than that. Rows with a missing error change nothing.
    """
    errors = errors[np.isfinite(errors).all(axis=1)]
    if not len(errors):
        return start
    fits = [(_log_likelihood(start[np.newaxis], errors), start)]
    for decay in _DECAYS:
        path = _weighted_products(errors, start, decay)
        fits.append((_log_likelihood(path[:-1], errors), path[-1]))
    return max(fits, key=lambda fit: fit[0])[1]


def _weighted_products(
    errors: np.ndarray, start: np.ndarray, decay: float
) -> np.ndarray:
    """Moving covariances (1 + n_errors, n, n): the start, then after each error."""
    products = (1 - decay) * errors[:, :, np.newaxis] * errors[:, np.newaxis]
    return lfilter(
        [1.0], [1.0, -decay], np.concatenate([start[np.newaxis], products]), 0
    )


def _log_likelihood(covariances: np.ndarray, errors: np.ndarray) -> float:
    """Mean over normal errors, up to a constant; over the last ones, to save time."""
    errors, covariances = errors[-_MOST_ERRORS:], covariances[-_MOST_ERRORS:]
    # Constants and sums of others have a covariance, too.
    least = 1e-10 * np.trace(covariances[0]) * np.eye(errors.shape[1])
    roots = np.linalg.cholesky(covariances + least)
    shocks = np.linalg.solve(roots, errors[..., np.newaxis])
    logarithms = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    return -logarithms.mean() - np.square(shocks).sum() / (2 * len(errors))


def degrees_of_freedom(n_errors: int, df_model: float) -> float:
    """Errors less coefficients, but one at least."""
    return max(n_errors - df_model, min(n_errors, 1))


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
