"""Draws of vector autoregressions, from a posterior or a bootstrap, and their bands."""

import math
import numbers
from collections.abc import Callable, Sequence

import joblib
import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_random_state, check_scalar
from tqdm.auto import tqdm

from .._parallel import results_of
from .._typing import Seed
from .caution import warn_user
from .process import Estimate, run

_EXPLODED = 1e6
# Numbers in the matrices that are drawn at once.
_MOST_NUMBERS = 20_000_000
_MOST_STEPS = 50

# Beyond these, moved bands cover too little of simulated VARs, by irf_bands.py in
# benchmarks: standard errors of a bias, and a penalty per row.
_LARGE_BIAS, _NOTABLE_PENALTY = 0.5, 0.005


def bootstrap(
    estimate: Estimate,
    refit: Callable[[np.ndarray, int], Estimate],
    history: np.ndarray,
    errors: np.ndarray,
    *,
    n_rows: int,
    n_draws: int,
    block_length: int,
    random_state: Seed,
    n_jobs: int | None,
    verbose: int,
    inflow: np.ndarray | None = None,
) -> Estimate:
    """Estimates on simulated tables, with an axis of n_draws in front.

    Each table of ``n_rows`` starts with a stretch of the history and goes on with
    blocks of the errors, drawn with replacement and centred position by position [1]_.
    With an inflow (n_rows - order, n_series) of terms it starts as the history does.

    References
    ----------
    .. [1] Brüggemann, R., Jentsch, C. and Trenkler, C. (2016). Inference in VARs with
       conditional heteroskedasticity of unknown form. Journal of Econometrics 191.
    """
    check_scalar(block_length, "block_length", numbers.Integral, min_val=1)
    means = _means_of_blocks(errors, block_length)
    seeds = check_random_state(random_state).randint(2**31, size=n_draws)
    replicate = joblib.delayed(_replicate)
    matrices, intercept, _ = estimate
    shared = refit, matrices, intercept, history, errors, means, n_rows, inflow
    replicates = results_of((replicate(*shared, seed) for seed in seeds), n_jobs)
    bar = tqdm(replicates, total=n_draws, desc="bootstrap", disable=not verbose)
    return tuple(map(_stacked, zip(*bar, strict=True)))


def _stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Parts of replicates along a first axis, with zeros for lags that some lack."""
    stacked = np.zeros((len(parts), max(map(len, parts)), *parts[0].shape[1:]))
    for replicate, part in zip(stacked, parts, strict=True):
        replicate[: len(part)] = part
    return stacked


def _replicate(refit: Callable[[np.ndarray, int], Estimate], *simulated) -> Estimate:
    """An estimate on a table that `_simulated` makes of the other arguments."""
    *_, seed = simulated
    return refit(_simulated(*simulated), seed)


def generator(random_state: Seed) -> np.random.Generator:
    """Numpy's generator from what scikit-learn takes for a seed."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31))


def of_posterior(
    statistic: Callable[[Estimate], np.ndarray],
    posterior: Callable[[int, np.random.Generator], Estimate],
    size: int,
    *,
    n_draws: int,
    random_state: Seed,
) -> np.ndarray:
    """A statistic of draws, of shape (n_draws, ...); ``size`` is that of matrices."""
    rng = generator(random_state)
    step = max(1, _MOST_NUMBERS // size)
    sizes = [min(step, n_draws - begin) for begin in range(0, n_draws, step)]
    return np.concatenate([statistic(posterior(n, rng)) for n in sizes])


def quantiles_of_mixture(
    paths: np.ndarray,
    deviations: np.ndarray,
    weights: np.ndarray,
    levels: Sequence[float],
) -> np.ndarray:
    """Quantiles (n_levels, ...) of a mixture of normal distributions (n, ...).

    Where all deviations are zero, those of the points.
    """
    points = (deviations == 0).all(axis=0)
    quantiles = np.empty((len(levels), *points.shape))
    for at_level, level in zip(quantiles, levels, strict=True):
        at_level[points] = _quantile_of_points(paths[:, points], weights, level)
        at_level[~points] = _quantile_of_normals(
            paths[:, ~points], deviations[:, ~points], weights, level
        )
    return quantiles


def _quantile_of_points(
    points: np.ndarray, weights: np.ndarray, level: float
) -> np.ndarray:
    """Of columns (n, n_columns): the lowest point that has the level below it."""
    order = points.argsort(axis=0)
    n_below = (weights[order].cumsum(axis=0) < level).sum(axis=0, keepdims=True)
    chosen = np.take_along_axis(order, n_below.clip(max=len(points) - 1), axis=0)
    return np.take_along_axis(points, chosen, axis=0)[0]


def _quantile_of_normals(
    means: np.ndarray, deviations: np.ndarray, weights: np.ndarray, level: float
) -> np.ndarray:
    """Of columns (n, n_columns), by Newton's steps in a bracket that is halved."""
    low = (means - 10 * deviations).min(axis=0)
    high = (means + 10 * deviations).max(axis=0)
    precision = 1e-13 * (high - low) + np.finfo(float).tiny
    deviations = np.maximum(deviations, precision)
    guess = weights @ means
    for _ in range(_MOST_STEPS):
        scaled = (guess - means) / deviations
        missed = weights @ ndtr(scaled) - level
        low, high = np.where(missed < 0, guess, low), np.where(missed < 0, high, guess)
        slope = weights @ (np.exp(-np.square(scaled) / 2) / deviations)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = guess - np.sqrt(2 * np.pi) * missed / slope
        last, middle = guess, (low + high) / 2
        guess = np.where((low <= step) & (step <= high), step, middle)
        if (np.abs(guess - last) <= precision).all():
            break
    return guess


def _means_of_blocks(errors: np.ndarray, block_length: int) -> np.ndarray:
    """Mean over all blocks of neighbouring errors (block_length, n_series)."""
    longest = max(1, len(errors) // 4)
    if block_length > longest:
        raise ValueError(
            f"block_length={block_length} leaves too few blocks to draw from "
            f"{len(errors)} errors; take at most {longest}."
        )
    n_blocks = len(errors) - block_length + 1
    return np.stack(
        [errors[i : i + n_blocks].mean(axis=0) for i in range(block_length)]
    )


def _simulated(
    matrices: np.ndarray,
    intercept: np.ndarray,
    history: np.ndarray,
    errors: np.ndarray,
    means: np.ndarray,
    n_rows: int,
    inflow: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """A table (n_rows, n_series) from a stretch of the history and drawn blocks."""
    order, block_length = len(matrices), len(means)
    rng = np.random.RandomState(seed)
    first = rng.randint(len(history) - order + 1) if inflow is None else 0
    start = history[first : first + order]
    n_blocks = len(errors) - block_length + 1
    drawn = rng.randint(n_blocks, size=math.ceil((n_rows - order) / block_length))
    blocks = errors[drawn[:, np.newaxis] + np.arange(block_length)] - means
    shocks = blocks.reshape(-1, history.shape[1])[: n_rows - order]
    known = intercept if inflow is None else intercept + inflow
    with np.errstate(over="ignore", invalid="ignore"):
        rows = run(matrices, start, known + shocks)
    # Of shocks and of what they start from; neither may be passed by far.
    size = np.abs(history).max() + np.abs(errors).max()
    if not np.abs(rows).max() <= _EXPLODED * size:
        raise ValueError(
            "bands simulates series from these matrices, which are so unstable that "
            "the series explode; leave bands at None."
        )
    return np.concatenate([start, rows])


def finite(draws: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Draws of a statistic that are finite where its value is; there must be some."""
    found = draws[np.isfinite(draws[:, np.isfinite(value)]).all(axis=1)]
    if not len(found):
        raise ValueError(
            "No draw of the matrices allows bands: none is stable, as long-run effects "
            "need, or has responses of the signs. Look at irf() over finite horizons, "
            "fit to changes of the series, or restrict fewer signs."
        )
    return found


def without_bias(
    value: np.ndarray, replicates: np.ndarray, alpha: float, remedy: str
) -> np.ndarray:
    """Replicates moved by twice their mean error, of which percentiles are bands.

    Once for their bias and once for that of the value itself. The user is warned where
    bands need not cover: ``alpha`` is the penalty of the estimate, and ``remedy`` what
    helps against it.
    """
    bias, error = replicates.mean(axis=0) - value, replicates.std(axis=0)
    # What does not vary beyond rounding is not estimated.
    estimated = error > 1e-8 * np.maximum(error.max(), np.abs(value))
    share = np.abs(bias[estimated] / error[estimated]).mean() if estimated.any() else 0
    _warn_of_bias(share, len(replicates), alpha, remedy)
    return replicates - 2 * bias


def _warn_of_bias(share: float, n_draws: int, alpha: float, remedy: str) -> None:
    """Warn where bands need not cover; replicates tell biases up to their own noise.

    ``share`` is the size of biases in standard errors.
    """
    if alpha > _NOTABLE_PENALTY:
        reason = f"the penalty alpha={alpha:.2g} biases the matrices; {remedy}"
    elif share > _LARGE_BIAS + 1 / np.sqrt(n_draws):
        reason = (
            "estimates on simulated series are off by "
            f"{share:.1f} of their standard errors on average, as with a unit root or "
            "few rows. Take shorter horizons, more rows or differences"
        )
    else:
        return
    warn_user(f"Bands need not cover the true response: {reason}.")
