"""The bootstrap of vector autoregressions."""

import math
import numbers
from collections.abc import Callable

import joblib
import numpy as np
from sklearn.utils import check_random_state, check_scalar
from tqdm.auto import tqdm

from .process import Estimate, run

_EXPLODED = 1e6


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
