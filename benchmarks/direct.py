"""The direct regression alone, fitted to the training rows of published tables.

Test MSE on standardised series over all windows: of one matrix for all series, of
matrices drawn to it, and of the mean over look-backs that forecasters use, with what
blocks of the training rows choose; of the last one the validation MSE as well. No
validation or test rows are seen. Seconds and memory on one core.

    python benchmarks/direct.py
    python benchmarks/direct.py --data Weather --horizons 96 720 --lags 720
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import resource
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np

from skvar._closed_form.direct import choose_direct_ridges, ridge_direct
from skvar.datasets.published import fetch

# Rows of history by table.
LAGS = {
    "ETTh1": 336,
    "ETTh2": 336,
    "ETTm1": 336,
    "ETTm2": 336,
    "Weather": 720,
    "ILI": 104,
    "Exchange": 96,
}
AT_HAND = ["ETTh1", "ETTm1", "Weather", "ILI", "Exchange"]
_BATCH = 512


def error(values: np.ndarray, weights: np.ndarray, lags: int) -> float:
    """Mean squared error over all windows of a table."""
    horizon = weights.shape[1]
    weights = np.broadcast_to(weights, (values.shape[1], *weights.shape[1:]))
    windows = np.lib.stride_tricks.sliding_window_view(values, lags + horizon, axis=0)
    total = 0.0
    for first in range(0, len(windows), _BATCH):
        some = windows[first : first + _BATCH]
        ahead = np.einsum("chl,ncl->nch", weights, some[..., :lags], optimize=True)
        total += np.square(ahead - some[..., lags:]).sum()
    return total / (windows.shape[0] * windows.shape[1] * horizon)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=LAGS, default=AT_HAND)
    parser.add_argument("--horizons", nargs="+", type=int)
    parser.add_argument("--lags", type=int)
    given = parser.parse_args()
    for name in given.data:
        data, lags = fetch(name), given.lags or LAGS[name]
        ends = data.training_end, data.validation_end, data.test_end
        values = data.standardised().to_numpy()
        training = values[: ends[0]]
        validation, test = (values[a - lags : b] for a, b in pairwise(ends))
        default = [24, 36, 48, 60] if name == "ILI" else [96, 192, 336, 720]
        for horizon in given.horizons or default:
            start = time.perf_counter()
            ridges, _ = choose_direct_ridges([training], lags, horizon)
            mean = ridge_direct([training], lags, horizon, ridges)
            seconds = time.perf_counter() - start
            alone = [replace(ridges[0], pull=math.inf)], ridges[:1]
            shared, own = (ridge_direct([training], lags, horizon, x) for x in alone)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            found = [f"{x.lags}, {x.alpha:.2g}, {x.pull:.2g}" for x in ridges]
            print(
                f"{name:8} {lags} lags, {horizon} steps: shared "
                f"{error(test, shared, lags):.4f}, own {error(test, own, lags):.4f}, "
                f"mean {error(test, mean, lags):.4f} "
                f"(validation {error(validation, mean, lags):.4f}), "
                f"{seconds:.1f} s, {memory:.2f} GB; lags, alpha, pull "
                f"{'; '.join(found)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
