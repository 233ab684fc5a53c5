"""What known covariates are worth on simulated series, and what noise costs.

python benchmarks/covariates.py

A series follows a VAR of two, driven by a covariate that is known over the horizon: in
the same row, after three rows, or spread over five. Means of squared errors over every
test window and 12 steps, as ratios to those of the oracle, which knows the VAR and the
effect; then the cost of covariates that are noise, as ratios to errors without them.
Means over five tables.
"""

import argparse

import numpy as np
import pandas as pd

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import make_var

_HORIZON = 12
_EFFECTS = {
    "same row": [1.5],
    "after 3 rows": [0, 0, 0, 1.5],
    "over 5 rows": [0.6, 0.6, 0.6, 0.6, 0.6],
}


def driven(weights: list[float], n_rows: int, seed: int):
    """Series of a VAR plus the effect of a covariate, and the oracle's errors."""
    var, rng = make_var(n_rows, 2, random_state=seed), np.random.default_rng(seed)
    x = np.zeros(n_rows)
    for row in range(1, n_rows):
        x[row] = 0.8 * x[row - 1] + 0.6 * rng.standard_normal()
    effect = np.convolve(x, weights)[:n_rows] * var.series.std().mean()
    y = var.series.add(effect, axis=0)
    path, errors = var.series.to_numpy()[:, np.newaxis], []
    for step in range(1, _HORIZON + 1):
        path = var.intercept + path @ var.matrices[0, 0].T
        errors.append(var.series.to_numpy()[step:] - path[:-step, 0])
    return y, pd.DataFrame({"x": x}), errors


def noise(n_rows: int, n_columns: int, seed: int) -> pd.DataFrame:
    """Autoregressive covariates that have nothing to do with the series."""
    rng, values = np.random.default_rng(100 + seed), np.zeros((n_rows, n_columns))
    for row in range(1, n_rows):
        values[row] = 0.8 * values[row - 1] + rng.standard_normal(n_columns)
    return pd.DataFrame(values).add_prefix("noise")


def test_error(forecaster, y: pd.DataFrame, X: pd.DataFrame | None, end: int) -> float:
    """Mean squared error over every window after a fit to the first rows."""
    forecaster = forecaster.clone().fit(y[:end], X=None if X is None else X[:end])
    first = end - forecaster.lags
    later = None if X is None else X[first:]
    forecasts = forecaster.rolling_forecast(y[first:-_HORIZON], later)
    truth = np.lib.stride_tricks.sliding_window_view(y[end:], _HORIZON, axis=0)
    return np.square(forecasts - truth.swapaxes(1, 2)).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000, help="to train on")
    parser.add_argument("--tables", type=int, default=5)
    args = parser.parse_args()
    end, n_rows = args.rows, args.rows + 2000
    forecasters = [
        LinearAttentionVAR(4, n_layers=0, horizon=_HORIZON),
        LinearAttentionVAR(4, horizon=_HORIZON, random_state=0),
        SAMoVARForecaster(24, horizon=_HORIZON, random_state=0),
    ]
    found = []
    for seed in range(args.tables):
        for effect, weights in _EFFECTS.items():
            y, X, errors = driven(weights, n_rows, seed)
            oracle = np.mean([np.square(e[end - 1 :]).mean() for e in errors])
            for forecaster in forecasters:
                for covariates in (None, X):
                    error = test_error(forecaster, y, covariates, end) / oracle
                    kind = "without" if covariates is None else "with covariate"
                    found.append((_label(forecaster), effect, kind, error))
        y = make_var(n_rows, 2, random_state=seed).series
        for forecaster in forecasters:
            without = test_error(forecaster, y, None, end)
            for n_columns in (1, 10):
                X = noise(n_rows, n_columns, seed)
                known = test_error(forecaster, y, X, end) / without
                past = forecaster.clone().set_params(past_covariates=[*X])
                found.append((_label(forecaster), f"{n_columns} noise", "known", known))
                cost = test_error(past, y, X, end) / without
                found.append((_label(forecaster), f"{n_columns} noise", "past", cost))
    table = pd.DataFrame(found, columns=["forecaster", "covariates", "kind", "ratio"])
    table = table.pivot_table("ratio", ["covariates", "kind"], "forecaster", sort=False)
    print(table.round(3).to_markdown())


def _label(forecaster) -> str:
    name = type(forecaster).__name__
    return name if forecaster.n_layers else f"{name}, n_layers=0"


if __name__ == "__main__":
    main()
