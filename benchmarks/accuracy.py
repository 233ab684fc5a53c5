"""Test error on ETTh1 and exchange rates, against the paper's setting and closed forms.

ETTh1: 12, 4 and 4 months of 30 days for training, validation and test; exchange rates:
70, 10 and 20 % of the rows. Series are standardised by the training part, and errors
are over every test window. The forecasters are fitted on training and validation rows,
with the latter held out where they hold anything out; ``--training-only`` fits on the
training rows alone, of which a part is then held out.

    python benchmarks/accuracy.py ETTh1.csv --horizons 96 --lags 1024
    python benchmarks/accuracy.py exchange_rate.txt.gz --horizons 96 --lags 96
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from skvar import SAMoVARForecaster

MONTH = 30 * 24
# The published setting: SAMoVARForecaster(1024, horizon=96, **PAPER) on ETTh1.
PAPER = {
    "n_layers": 3,
    "n_heads": 8,
    "d_model": 64,
    "scaled": False,
    "centre": "token",
    "static_path": None,
    "learning_rate": 6e-4,
    "max_epochs": 100,
    "n_iter_no_change": 12,
    "refit": False,
}
PRESETS = {
    "default": {},
    "closed form": {"n_layers": 0},
    "one network, no refit": {"static_path": None, "refit": False},
    "paper": PAPER,
}


def read(path: str) -> tuple[np.ndarray, int, int]:
    """Rows standardised by the training part, and the ends of training and validation.

    A table whose first column is called "date" is ETTh1.
    """
    table = pd.read_csv(path, header=None, low_memory=False)
    if table.iloc[0, 0] == "date":
        values = table.iloc[1 : 20 * MONTH + 1, 1:].to_numpy(dtype=float)
        training, validation = 12 * MONTH, 16 * MONTH
    else:
        values = table.to_numpy(dtype=float)
        training, n_test = int(0.7 * len(values)), int(0.2 * len(values))
        validation = len(values) - n_test
    known = values[:training]
    return (values - known.mean(axis=0)) / known.std(axis=0), training, validation


def measure(args, preset: str, horizon: int, seed: int) -> dict:
    values, training, end = read(args.data)
    known = values[: training if args.training_only else end]
    fraction = 0.15 if args.training_only else 1 - training / end
    token = {"token_length": horizon} if preset == "paper" else {}
    forecaster = SAMoVARForecaster(
        args.lags,
        horizon=horizon,
        validation_fraction=fraction,
        random_state=seed,
        **token,
        **PRESETS[preset],
    )
    start = time.perf_counter()
    forecaster.fit(known)
    seconds = time.perf_counter() - start
    test = values[end - args.lags :]
    truth = np.lib.stride_tricks.sliding_window_view(test[args.lags :], horizon, axis=0)
    truth = truth.swapaxes(1, 2)
    errors = forecaster.rolling_forecast(test[:-horizon]) - truth
    last = test[args.lags - 1 : -horizon, np.newaxis] - truth
    return {
        "horizon": horizon,
        "lags": args.lags,
        "preset": preset,
        "MSE": np.square(errors).mean(),
        "MAE": np.abs(errors).mean(),
        "last value's MSE": np.square(last).mean(),
        "static share": float(getattr(forecaster.network_, "share", 0.0)),
        "alpha": getattr(forecaster, "alpha_", np.nan),
        "best epoch": forecaster.best_epoch_,
        "epochs": forecaster.n_epochs_,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="ETTh1.csv or exchange_rate.txt.gz, as published")
    parser.add_argument("--horizons", nargs="+", type=int, default=[96])
    parser.add_argument("--lags", type=int, default=1024)
    parser.add_argument(
        "--presets", nargs="+", choices=PRESETS, default=["closed form", "default"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--training-only", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    cases = [
        (preset, horizon, seed)
        for horizon in args.horizons
        for preset in args.presets
        for seed in range(1 if preset == "closed form" else args.seeds)
    ]
    parallel = joblib.Parallel(n_jobs=args.jobs, return_as="generator")
    done = parallel(joblib.delayed(measure)(args, *case) for case in cases)
    table = pd.DataFrame(tqdm(done, total=len(cases)))
    groups = table.groupby(["horizon", "lags", "preset"], sort=False)
    means = groups.mean()
    means.insert(2, "spread of MSE", groups["MSE"].std())
    print(means.round(5).reset_index().to_string(index=False))


if __name__ == "__main__":
    main()
