"""The bootstrap of vector autoregressions, and bands from its replicates."""

import math
import numbers
import warnings
from collections.abc import Callable

import joblib
import numpy as np
from sklearn.utils import check_random_state, check_scalar
from tqdm.auto import tqdm

from .process import Estimate, run

_EXPLODED = 1e6

# Beyond these, moved bands cover too little of simulated VARs, by irf_bands.py in
# benchmarks: standard errors of a bias, and a penalty per row.
_LARGE_BIAS, _NOTABLE_PENALTY = 0.5, 0.005


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
    blocks = _centred_blocks(errors, block_length)

    def replicate(seed: int) -> np.ndarray:
        table = _simulated(estimate, history, blocks, n_rows, seed)
        return statistic(refit(table, seed))

    seeds = check_random_state(random_state).randint(2**31, size=n_boot)
    replicates = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(
        joblib.delayed(replicate)(seed) for seed in seeds
    )
    bar = tqdm(replicates, total=n_boot, desc="bootstrap", disable=not verbose)
    return np.stack(list(bar))


def _centred_blocks(errors: np.ndarray, block_length: int) -> np.ndarray:
    """All blocks of neighbouring errors (n_blocks, block_length, n_series)."""
    longest = max(1, len(errors) // 4)
    if block_length > longest:
        raise ValueError(
            f"block_length={block_length} leaves too few blocks to draw from "
            f"{len(errors)} errors; take at most {longest}."
        )
    offsets = np.arange(len(errors) - block_length + 1)
    blocks = errors[offsets[:, np.newaxis] + np.arange(block_length)]
    return blocks - blocks.mean(axis=0)


def _simulated(
    estimate: Estimate, history: np.ndarray, blocks: np.ndarray, n_rows: int, seed: int
) -> np.ndarray:
    """A table (n_rows, n_series) from a stretch of the history and drawn blocks."""
    matrices, intercept, _ = estimate
    order, block_length = len(matrices), blocks.shape[1]
    rng = np.random.RandomState(seed)
    first = rng.randint(len(history) - order + 1)
    start = history[first : first + order]
    drawn = rng.randint(len(blocks), size=math.ceil((n_rows - order) / block_length))
    shocks = blocks[drawn].reshape(-1, history.shape[1])[: n_rows - order]
    with np.errstate(over="ignore", invalid="ignore"):
        rows = run(matrices, start, intercept + shocks)
    # Of shocks and of what they start from; neither may be passed by far.
    size = np.abs(history).max() + np.abs(blocks).max()
    if not np.abs(rows).max() <= _EXPLODED * size:
        raise ValueError(
            "bands simulates series from these matrices, which are so unstable that "
            "the series explode; leave bands at None."
        )
    return np.concatenate([start, rows])


def bands(
    value: np.ndarray, replicates: np.ndarray, coverage: float, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of percentile bands of a statistic.

    They are moved by twice the mean error of the replicates, once for their bias and
    once for that of the value itself. Whoever calls the caller is warned where they
    need not cover: ``alpha`` is the penalty of the estimate.
    """
    bias = replicates.mean(axis=0) - value
    _warn_of_bias(bias, replicates.std(axis=0), len(replicates), alpha)
    edges = 0.5 - coverage / 2, 0.5 + coverage / 2
    lower, upper = np.quantile(replicates, edges, axis=0) - 2 * bias
    return lower, upper


def _warn_of_bias(
    bias: np.ndarray, error: np.ndarray, n_boot: int, alpha: float
) -> None:
    """Warn where bands need not cover; replicates tell biases up to their own noise."""
    estimated = error > 1e-8 * error.max()
    share = np.abs(bias[estimated] / error[estimated]).mean() if estimated.any() else 0
    if alpha > _NOTABLE_PENALTY:
        reason = (
            f"the penalty alpha={alpha:.2g} biases the matrices. For inference fit "
            "with alpha=0"
        )
    elif share > _LARGE_BIAS + 1 / np.sqrt(n_boot):
        reason = (
            "estimates on simulated series are off by "
            f"{share:.1f} of their standard errors on average, as with a unit root or "
            "few rows. Take shorter horizons, more rows or differences"
        )
    else:
        return
    message = f"Bands need not cover the true response: {reason}."
    warnings.warn(message, UserWarning, stacklevel=4)
