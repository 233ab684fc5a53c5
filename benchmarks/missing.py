"""Test error on ETTh1, 96 steps ahead, when values are removed from all rows.

python benchmarks/missing.py

At random, or in blocks of a series' 24 rows at random places. Errors are those of every
test window, against the values that were removed as well.
"""

import argparse

import numpy as np
import pandas as pd

from skvar import SAMoVARForecaster
from skvar.datasets import fetch_ett

_BLOCK = 24


def removed(shape: tuple[int, int], share: float, block: int, seed: int) -> np.ndarray:
    """Where values are missing, in blocks that begin at random places."""
    rng, missing = np.random.default_rng(seed), np.zeros(shape, dtype=bool)
    for column in missing.T:
        while column.mean() < share:
            start = rng.integers(-block + 1, len(column))
            column[max(start, 0) : start + block] = True
    return missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lags", type=int, default=336)
    args = parser.parse_args()
    data = fetch_ett()
    complete, end = data.series.iloc[: data.test_end], data.validation_end
    first = end - args.lags
    scale = complete.iloc[: data.training_end].std(ddof=0).to_numpy()
    truth = np.lib.stride_tricks.sliding_window_view(complete[end:], 96, axis=0)
    truth, found = truth.swapaxes(1, 2), []
    for kind, share, block in [
        ("none", 0.0, 1),
        ("at random", 0.1, 1),
        ("at random", 0.4, 1),
        ("in blocks", 0.1, _BLOCK),
        ("in blocks", 0.4, _BLOCK),
    ]:
        table = complete.mask(removed(complete.shape, share, block, seed=0))
        forecaster = SAMoVARForecaster(args.lags, horizon=96, random_state=0)
        forecasts = forecaster.fit(table[:end]).rolling_forecast(table[first:-96])
        error = np.square((forecasts - truth) / scale).mean()
        growth = error / found[0]["MSE"] - 1 if found else 0.0
        found.append(
            {"missing": kind, "share": share, "MSE": error, "growth": f"{growth:+.1%}"}
        )
        print(found[-1], flush=True)
    print(pd.DataFrame(found).round(3).to_markdown(index=False))


if __name__ == "__main__":
    main()
