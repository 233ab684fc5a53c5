"""Matrices and forecasts against the truth, on simulated vector autoregressions.

Models see 4000 rows and forecast each of the next 2000 one step ahead from the rows
before it. "error" is the mean squared error over that of the oracle, who knows every
row's matrices; "matrix" is the mean over test rows of the Frobenius distance between
the model's matrices and the true ones, over the norm of the latter. Both are means over
seeds. The window of the rolling least squares, refitted at every row, is the best for
each table's error on the test rows themselves. SAMoVAR is small, to keep the table to
half an hour.

    python benchmarks/truth.py
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import make_drifting_var, make_switching_var, make_var

TRAIN, TEST, RADIUS = 4000, 2000, 0.9
WINDOWS = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1200)
DATA = {
    "static": make_var,
    "sparse": lambda **k: make_var(density=0.2, **k),
    "threshold": lambda **k: make_switching_var(switch="threshold", **k),
    "markov": lambda **k: make_switching_var(switch="markov", persistence=0.99, **k),
    "drifting": lambda **k: make_drifting_var(period=2000, **k),
    "seasonal": lambda **k: make_switching_var(switch="season", n_regimes=4, **k),
}


def ols(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (C, C) and intercept of a VAR(1) by least squares."""
    lagged = np.column_stack([values[:-1], np.ones(len(values) - 1)])
    coef = np.linalg.lstsq(lagged, values[1:], rcond=None)[0]
    return coef[:-1].T, coef[-1]


def rolling_ols(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts for every test row, from the rows before it."""
    fits = [ols(values[row - window - 1 : row]) for row in range(TRAIN, TRAIN + TEST)]
    return tuple(np.stack(parts) for parts in zip(*fits, strict=True))


def of_forecaster(forecaster, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (TEST, p, C, C) and forecasts of the test rows."""
    forecaster.fit(values[:TRAIN])
    table = values[TRAIN - forecaster.network_.lags : -1]
    return forecaster.var_matrices(table), forecaster.rolling_forecast(table)[:, 0]


def fitted(values: np.ndarray, seed: int):
    """Name, matrices and forecasts of every model."""
    before = values[TRAIN - 1 : -1]

    def static(matrix, intercept):
        forecasts = np.einsum("...ij,...j->...i", matrix, before) + intercept
        return np.broadcast_to(matrix, (TEST, *matrix.shape[-2:]))[:, None], forecasts

    yield "OLS", *static(*ols(values[:TRAIN]))
    rolled = (static(*rolling_ols(values, window)) for window in WINDOWS)
    truth = values[TRAIN:]
    best = min(rolled, key=lambda one: np.square(one[1] - truth).mean())
    yield "rolling OLS", *best
    candidates = {
        "ridge": LinearAttentionVAR(1, n_layers=0, alpha=0.01),
        "LinearAttentionVAR": LinearAttentionVAR(1, random_state=seed),
        "LinearAttentionVAR, tracking 256 rows": LinearAttentionVAR(
            1, tracking_rows=256, random_state=seed
        ),
        "SAMoVARForecaster, 1 layer": SAMoVARForecaster(
            8, n_layers=1, d_model=32, max_epochs=5, batch_size=64, random_state=seed
        ),
    }
    for name, forecaster in candidates.items():
        yield name, *of_forecaster(forecaster, values)


def measure(kind: str, n_series: int, seed: int) -> list[dict]:
    made = DATA[kind](
        n_rows=TRAIN + TEST,
        n_series=n_series,
        spectral_radius=RADIUS,
        random_state=seed,
    )
    values, true = made.series.to_numpy(), made.matrices[TRAIN:, 0]
    oracle = np.square(made.mean.to_numpy()[TRAIN:] - values[TRAIN:]).mean()
    rows = []
    for model, matrices, forecasts in fitted(values, seed):
        distance = np.array(matrices)
        distance[:, 0] -= true
        relative = np.linalg.norm(distance.reshape(TEST, -1), axis=1) / np.linalg.norm(
            true, axis=(1, 2)
        )
        error = np.square(forecasts - values[TRAIN:]).mean() / oracle
        rows.append(
            {
                "data": kind,
                "series": n_series,
                "model": model,
                "seed": seed,
                "error": error,
                "matrix": relative.mean(),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--series", nargs="+", type=int, default=[3, 10])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=-1)
    args = parser.parse_args()
    cases = [
        (kind, n_series, seed)
        for seed in range(args.seeds)
        for n_series in args.series
        for kind in args.data
    ]
    parallel = joblib.Parallel(n_jobs=args.jobs, return_as="generator")
    done = parallel(joblib.delayed(measure)(*case) for case in cases)
    table = pd.DataFrame([row for rows in tqdm(done, total=len(cases)) for row in rows])
    gap = table[table["model"] == "OLS"].set_index(["data", "series", "seed"])["error"]
    gap = gap.reindex(pd.MultiIndex.from_frame(table[["data", "series", "seed"]])) - 1
    table["gap closed"] = 1 - (table["error"].to_numpy() - 1) / gap.to_numpy()
    means = table.groupby(["data", "series", "model"], sort=False)[
        ["error", "gap closed", "matrix"]
    ].mean()
    # Where least squares is right there is no gap to close.
    still = means.index.get_level_values("data").isin(["static", "sparse"])
    means.loc[still, "gap closed"] = np.nan
    print(means.round(3).reset_index().to_string(index=False))


if __name__ == "__main__":
    main()
