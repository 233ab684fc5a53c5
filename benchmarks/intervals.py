"""Intervals and quantiles, beside those of a Gaussian VAR.

python benchmarks/intervals.py
python benchmarks/intervals.py --few-rows
python benchmarks/intervals.py --few-rows --only LinearAttentionVAR "Gaussian VAR"

Every test window of ETTh1 and exchange rates (96 steps ahead) and of three kinds of
simulated tables (12 steps ahead, means over ten tables each), all series.
"calibrated" are intervals of the forecaster as fitted, "adaptive" those that follow the
errors of earlier test windows, and "Gaussian VAR" those of a VAR fitted by least
squares, whose order has the least criterion of Schwarz, as if it were the truth. Widths
are mean ratios to the Gaussian ones.

With ``--few-rows``, quarterly tables: every second origin from 120 rows on, a fit at
each, 1 to 8 steps ahead, in standard deviations of the series. The continuous ranked
probability score (CRPS, by 39 quantiles), the scaled quantile loss (SQL, levels 0.1 to
0.9, over the mean absolute change of the rows before), the score of Winkler (1972) of
90 % intervals, their coverage and width. "ConformalIntervals" are sktime's around the
forecasts of LinearAttentionVAR.
"""

import argparse
from functools import partial

import numpy as np
import pandas as pd
import sktime.datasets
from scipy.stats import norm
from sklearn.utils import check_random_state
from sktime.forecasting.conformal import ConformalIntervals
from statsmodels.tsa.api import VAR

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import SplitSeries, fetch_ett, fetch_exchange_rate, make_var

COVERAGES = [0.5, 0.8, 0.9, 0.95]
LEVELS = np.arange(1, 40) / 40
STEPS = np.arange(1, 9)


def simulated(noise: str, n_rows: int = 6000, seed: int = 0) -> SplitSeries:
    """A VAR(1) of three series with shocks of one kind."""
    rng, var = check_random_state(seed), make_var(100, random_state=seed)
    shocks = rng.standard_normal((n_rows, 3))
    if noise == "heteroscedastic":
        log_scale = np.zeros(n_rows)
        for row in range(1, n_rows):
            log_scale[row] = 0.95 * log_scale[row - 1] + 0.2 * rng.standard_normal()
        shocks *= np.exp(log_scale)[:, np.newaxis]
    if noise == "skewed":
        shocks = rng.exponential(size=shocks.shape) - 1
    series = np.zeros((n_rows, 3))
    for row in range(1, n_rows):
        series[row] = var.matrices[0, 0] @ series[row - 1] + var.impact @ shocks[row]
    table = pd.DataFrame(series[n_rows // 3 :])
    n = len(table)
    return SplitSeries(noise, table, n // 4, n // 2, n)


def windows_of(rows: np.ndarray, lags: int, horizon: int) -> np.ndarray:
    """What follows every window of ``lags`` rows that has a future."""
    view = np.lib.stride_tricks.sliding_window_view(rows[lags:], horizon, axis=0)
    return view.swapaxes(1, 2)


def gaussian(training: pd.DataFrame, rows: np.ndarray, lags: int, horizon: int):
    """Forecasts after the windows and standard deviations (horizon, n_series)."""
    results = VAR(training.to_numpy()).fit(maxlags=min(lags, 30), ic="bic")
    order = max(results.k_ar, 1)
    results = results if results.k_ar else VAR(training.to_numpy()).fit(1)
    path = windows_of(rows, lags - order, order)[: len(rows) - lags - horizon + 1]
    for _ in range(horizon):
        step = results.intercept + sum(
            path[:, -lag] @ matrix.T for lag, matrix in enumerate(results.coefs, 1)
        )
        path = np.concatenate([path, step[:, np.newaxis]], axis=1)
    deviations = np.sqrt(np.diagonal(results.mse(horizon), axis1=1, axis2=2))
    return path[:, order:], deviations


def measured(forecaster, data: SplitSeries) -> pd.DataFrame:
    """Coverage and width of each kind of interval and nominal coverage."""
    training = data.series.iloc[: data.validation_end]
    forecaster.fit(training)
    lags, horizon = forecaster.lags, forecaster.horizon
    test = data.series.iloc[data.validation_end - lags : data.test_end]
    rows = test.to_numpy()
    truth, n = windows_of(rows, lags, horizon), len(rows) - lags - horizon + 1
    steps = np.arange(1, horizon + 1)
    around = forecaster.predict_interval(steps, coverage=COVERAGES)
    around = around.to_numpy().reshape(horizon, -1, len(COVERAGES), 2)
    around = around - forecaster.predict(steps).to_numpy()[..., np.newaxis, np.newaxis]
    forecasts = forecaster.rolling_forecast(test)[:n]
    of_var, deviations = gaussian(training, rows, lags, horizon)
    found = []
    for i, coverage in enumerate(COVERAGES):
        bound = norm.ppf(0.5 + coverage / 2) * deviations
        ends = {
            "calibrated": forecasts[..., np.newaxis] + around[:, :, i],
            "adaptive": forecaster.rolling_interval(test, coverage=coverage)[:n],
            "Gaussian VAR": np.stack([of_var - bound, of_var + bound], axis=-1),
        }
        scale = np.diff(ends["Gaussian VAR"], axis=-1)
        for kind, (lower, upper) in (
            (kind, np.moveaxis(both, -1, 0)) for kind, both in ends.items()
        ):
            found.append(
                {
                    "data": data.name,
                    "intervals": kind,
                    "nominal": coverage,
                    "coverage": ((lower <= truth) & (truth <= upper)).mean(),
                    "width": ((upper - lower) / scale[..., 0]).mean(),
                }
            )
    return pd.DataFrame(found)


def few_rows() -> dict[str, pd.DataFrame]:
    """Growth rates of quarterly tables, in standard deviations."""
    macro = sktime.datasets.load_macroeconomic()
    levels = ["realgdp", "realcons", "realinv", "realgovt", "realdpi"]
    growth = 100 * np.log(macro[levels]).diff()
    rates = macro[["tbilrate", "unemp"]].diff()
    consumption, others = sktime.datasets.load_uschange()
    tables = {
        "macro, 3 series": growth[levels[:3]],
        "macro, 7 series": growth.join(rates),
        "US changes": others.join(consumption),
    }
    return {
        name: ((table - table.mean()) / table.std()).dropna()
        for name, table in tables.items()
    }


def quantiles_by_sktime(forecaster, past: pd.DataFrame) -> np.ndarray:
    frame = forecaster.fit(past, fh=STEPS).predict_quantiles(alpha=[*LEVELS])
    return frame.to_numpy().reshape(len(STEPS), -1, len(LEVELS))


def quantiles_by_gauss(past: pd.DataFrame) -> np.ndarray:
    results = VAR(past.to_numpy()).fit(maxlags=4, ic="bic")
    results = results if results.k_ar else VAR(past.to_numpy()).fit(1)
    forecasts = results.forecast(past.to_numpy()[-results.k_ar :], len(STEPS))
    deviations = np.sqrt(np.diagonal(results.mse(len(STEPS)), axis1=1, axis2=2))
    return forecasts[..., np.newaxis] + deviations[..., np.newaxis] * norm.ppf(LEVELS)


def scores(quantiles: np.ndarray, truth: np.ndarray, past: pd.DataFrame) -> dict:
    """Means over steps and series."""
    errors = truth[..., np.newaxis] - quantiles
    losses = 2 * np.maximum(LEVELS * errors, (LEVELS - 1) * errors)
    [low, high], tenths = np.searchsorted(LEVELS, [0.05, 0.95]), slice(3, 36, 4)
    lower, upper = quantiles[..., low], quantiles[..., high]
    beyond = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    scale = past.diff().abs().mean().to_numpy()
    return {
        "CRPS": losses.mean(),
        "SQL": (losses[..., tenths].mean(axis=-1) / scale).mean(),
        "Winkler": (upper - lower + 2 / 0.1 * beyond).mean(),
        "coverage": (beyond == 0).mean(),
        "width": (upper - lower).mean(),
    }


def measured_on_few(table: pd.DataFrame, only: list[str] | None) -> pd.DataFrame:
    """Scores of each kind of forecaster, means over origins."""
    conformal = LinearAttentionVAR(n_layers=0)
    kinds = {
        "LinearAttentionVAR": partial(quantiles_by_sktime, LinearAttentionVAR()),
        "SAMoVARForecaster": partial(
            quantiles_by_sktime, SAMoVARForecaster(random_state=0)
        ),
        "Gaussian VAR": quantiles_by_gauss,
        "ConformalIntervals": partial(
            quantiles_by_sktime, ConformalIntervals(conformal, initial_window=110)
        ),
    }
    found = []
    for origin in range(120, len(table) - len(STEPS) + 1, 2):
        past = table[:origin]
        truth = table[origin : origin + len(STEPS)].to_numpy()
        for kind, quantiles in kinds.items():
            if only and kind not in only:
                continue
            found.append({"of": kind, **scores(quantiles(past), truth, past)})
    return pd.DataFrame(found).groupby("of", sort=False).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=None, help="names of data")
    parser.add_argument("--few-rows", action="store_true")
    parser.add_argument("--only", nargs="+", help="kinds of intervals on few rows")
    args = parser.parse_args()
    if args.few_rows:
        for name, table in few_rows().items():
            print(f"\n{name}, {len(table)} rows\n")
            print(measured_on_few(table, args.only).round(3).to_markdown(), flush=True)
        return
    fit = {"random_state": 0}
    var = LinearAttentionVAR(4, horizon=12, **fit)
    runs = {
        "ETTh1": [(SAMoVARForecaster(336, horizon=96, **fit), fetch_ett)],
        "Exchange": [(SAMoVARForecaster(96, horizon=96, **fit), fetch_exchange_rate)],
        **{
            noise: [(var, partial(simulated, noise, seed=seed)) for seed in range(10)]
            for noise in ("Gaussian", "skewed", "heteroscedastic")
        },
    }
    tables = [
        measured(forecaster, fetch())
        for name in args.data or runs
        for forecaster, fetch in runs[name]
    ]
    table = pd.concat(tables).pivot_table(
        index=["data", "intervals"], columns="nominal", sort=False
    )
    print((100 * table["coverage"]).round(1).to_markdown())
    print(table["width"].round(2).to_markdown())


if __name__ == "__main__":
    main()
