"""Matrices that drift: one-step errors, and how often bands hold the true matrices.

Models see 4000 rows; each of the next 2000 is forecast one step ahead from the rows
before it. "error" is the mean squared error over that of the oracle, who knows every
row's matrices, "best filter" that of the forgetting filter, least squares with weights
that decay, whose decay is the best on the test rows themselves. "coverage" is the share
of entries of the true matrices at 50 test rows that 90 % bands of
``var_coefficients`` hold. Means over seeds.

    python benchmarks/drift.py
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from skvar import LinearAttentionVAR
from skvar.datasets import make_drifting_var

TRAIN, TEST, TRACKING, RADIUS = 4000, 2000, 256, 0.9
DECAYS = 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.9925, 0.995
STEPS = {3: 0.0125, 10: 0.0065}


def make(kind: str, n_series: int, seed: int):
    motion = {"period": 2000} if kind == "swing" else {"step": STEPS[n_series]}
    sizes = {"n_rows": TRAIN + TEST, "n_series": n_series, "spectral_radius": RADIUS}
    return make_drifting_var(kind=kind, **sizes, **motion, random_state=seed)


def forgetting_filter(values: np.ndarray, decay: float) -> np.ndarray:
    """Forecasts of the test rows by discounted least squares."""
    x, y = values[:-1], values[1:]
    products = [x[:, :, np.newaxis] * z[:, np.newaxis] for z in (x, y)]
    gram, cross = (lfilter([1.0], [1.0, -decay], some, axis=0) for some in products)
    rows = slice(TRAIN - 2, -1)
    small = 1e-8 * np.eye(x.shape[1])
    coef = np.linalg.solve(gram[rows] + small, cross[rows])
    return np.einsum("tio,ti->to", coef, x[TRAIN - 1 :])


def measure(kind: str, n_series: int, seed: int, n_dates: int) -> dict:
    made = make(kind, n_series, seed)
    values, truth = made.series.to_numpy(), made.series.to_numpy()[TRAIN:]
    oracle = np.square(made.mean.to_numpy()[TRAIN:] - truth).mean()
    forecaster = LinearAttentionVAR(1, tracking_rows=TRACKING, random_state=seed)
    forecaster.fit(values[:TRAIN])
    table = values[TRAIN - forecaster.network_.lags :]
    forecasts = forecaster.rolling_forecast(table[:-1])[:, 0]
    filtered = [forgetting_filter(values, decay) for decay in DECAYS]
    held = []
    for row in np.linspace(0, TEST - 1, n_dates).astype(int):
        # The matrices after a row are those of the next one.
        window = table[row : row + forecaster.network_.lags]
        var = forecaster.var_coefficients(window)
        drawn = var.draws(400, random_state=0)[0][:, 0]
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        true = made.matrices[TRAIN + row, 0]
        held.append((low <= true) & (true <= high))
    return {
        "drift": kind,
        "series": n_series,
        "error": np.square(forecasts - truth).mean() / oracle,
        "best filter": min(np.square(f - truth).mean() for f in filtered) / oracle,
        "coverage": np.mean(held),
        "epoch": forecaster.best_epoch_,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", nargs="+", default=["random_walk", "swing"])
    parser.add_argument("--series", nargs="+", type=int, default=[3, 10])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--dates", type=int, default=50)
    args = parser.parse_args()
    rows = []
    for kind in args.kind:
        for n_series in args.series:
            for seed in args.seeds:
                rows.append(measure(kind, n_series, seed, args.dates))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby(["drift", "series"], sort=False).mean()
    print(table.round(3).reset_index().to_string(index=False))


if __name__ == "__main__":
    main()
