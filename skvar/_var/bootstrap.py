"""Estimates of a vector autoregression on series that are simulated from it."""

import math
from collections.abc import Callable, Sequence

import joblib
import numpy as np
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from .._parallel import results_of
from .._typing import Seed
from .process import Estimate, run

_EXPLODED = 1e6


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
