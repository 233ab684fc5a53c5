"""Errors of forecasts several steps ahead, drawn from those one step ahead."""

import numpy as np


def error_paths(
    matrices: np.ndarray, shocks: np.ndarray, n_steps: int, n_paths: int, seed: int = 0
) -> np.ndarray:
    """Errors of a VAR whose forecasts are fed back, from shocks drawn with replacement.

    The error at step h is ``e_h = u_h + sum_l A_l e_{h-l}``. Each path stands beside
    its negative: the mean error is zero, and quantiles are symmetric.

    Parameters
    ----------
    matrices : ndarray of shape (lags, n_series, n_series)
        Lag 1 first.
    shocks : ndarray of shape (n_shocks, n_series)
        Errors one step ahead; those of a row belong together.
    n_steps, n_paths : int
    seed : int

    Returns
    -------
    ndarray of shape (2 * n_paths, n_steps, n_series)
    """
    rng = np.random.default_rng(seed)
    errors = shocks[rng.integers(len(shocks), size=(n_paths, n_steps))]
    for step in range(1, n_steps):
        n = min(step, len(matrices))
        past = errors[:, step - n : step][:, ::-1]
        errors[:, step] += np.einsum("plj,lij->pi", past, matrices[:n], optimize=True)
    return np.concatenate([errors, -errors])
