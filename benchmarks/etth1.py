"""Test error of SAMoVARForecaster on ETTh1 in the protocol of the paper.

The splits are 12, 4 and 4 months of 30 days for training, validation and test; series
are standardised by the training part, and errors are over every test window.

    python benchmarks/etth1.py ETTh1.csv --preset paper
"""

import argparse
import time

import numpy as np
import pandas as pd

from skvar import SAMoVARForecaster

MONTH = 30 * 24
PRESETS = {
    "paper": {
        "static_path": None,
        "learning_rate": 6e-4,
        "max_epochs": 100,
        "n_iter_no_change": 12,
    },
    "short": {"max_epochs": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", help="ETTh1.csv as published, with a column 'date'")
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--lags", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=2024)
    args = parser.parse_args()

    table = pd.read_csv(args.csv, index_col="date", parse_dates=True).asfreq("h")
    training = table.iloc[: 12 * MONTH]
    table = (table - training.mean()) / training.std(ddof=0)
    known, test = table.iloc[: 16 * MONTH], table.iloc[16 * MONTH - args.lags :]
    test = test.iloc[: 4 * MONTH + args.lags]

    forecaster = SAMoVARForecaster(
        args.lags,
        horizon=args.horizon,
        validation_fraction=4 / 16,
        random_state=args.seed,
        verbose=1,
        **PRESETS[args.preset],
    )
    start = time.perf_counter()
    forecaster.fit(known)
    seconds = time.perf_counter() - start
    forecasts = forecaster.rolling_forecast(test.iloc[: -args.horizon])
    truth = np.lib.stride_tricks.sliding_window_view(
        test.iloc[args.lags :].to_numpy(), args.horizon, axis=0
    ).swapaxes(1, 2)
    errors = forecasts - truth
    print(
        f"ETTh1, horizon {args.horizon}, lags {args.lags}, preset {args.preset}, "
        f"seed {args.seed}: test MSE {np.square(errors).mean():.4f}, "
        f"MAE {np.abs(errors).mean():.4f} over {len(errors)} windows; best of "
        f"{forecaster.n_epochs_} epochs {np.argmax(forecaster.validation_scores_)}, "
        f"{seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
