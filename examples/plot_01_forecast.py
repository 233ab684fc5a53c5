"""
Forecast, compare, read the matrices
====================================

Both forecasters on five US series: quarterly percentage changes from 1970 to 2016 that
ship with sktime. With their default settings they are backtested over rolling origins
against the last value, the mean and a classical VAR, and fitted on all rows to show
which series drives which.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sktime.datasets import load_uschange
from sktime.performance_metrics.forecasting import MeanAbsoluteScaledError
from sktime.split import ExpandingWindowSplitter
from statsmodels.tsa.api import VAR
from tqdm import tqdm

from skvar import LinearAttentionVAR, SAMoVARForecaster

# %%
# The data: one table, time in rows, series in columns.
consumption, others = load_uschange()
table = pd.concat([consumption, others], axis=1)
table.index = pd.period_range("1970Q1", periods=len(table), freq="Q")

# %%
# Two years ahead. By default penalties are chosen from the data, and a network has the
# part in the forecast that it deserves on rows held out: on few rows, little.
steps, first_origin = range(1, 9), 120
linear = LinearAttentionVAR(random_state=0)
samovar = SAMoVARForecaster(random_state=0)


# %%
# A backtest: at every origin each forecaster is fitted on the past alone and forecasts
# the next two years. Errors are relative to the naive one-step error of the past.
def last_value(past):
    return np.repeat(past.to_numpy()[-1:], len(steps), axis=0)


def mean(past):
    return np.repeat(past.to_numpy().mean(axis=0, keepdims=True), len(steps), axis=0)


def classical_var(past):
    return VAR(past).fit(1).forecast(past.to_numpy()[-1:], len(steps))


forecasts = {
    "last value": last_value,
    "mean": mean,
    "classical VAR(1)": classical_var,
    "LinearAttentionVAR": lambda past: linear.clone().fit(past, fh=steps).predict(),
    "SAMoVARForecaster": lambda past: samovar.clone().fit(past, fh=steps).predict(),
}
origins = ExpandingWindowSplitter(fh=steps, initial_window=first_origin, step_length=8)
folds = list(origins.split_series(table))
scaled_error = MeanAbsoluteScaledError(multioutput="raw_values")
errors = {name: [] for name in forecasts}
with tqdm(total=len(forecasts) * len(folds), desc="backtest") as progress:
    for name, forecast in forecasts.items():
        for past, future in folds:
            path = pd.DataFrame(forecast(past), future.index, table.columns)
            errors[name].append(scaled_error(future, path, y_train=past))
            progress.update()

scores = pd.DataFrame(
    {name: np.mean(folds_of, axis=0) for name, folds_of in errors.items()},
    index=table.columns,
).T
scores.insert(0, "all series", scores.mean(axis=1))
print(f"\nMean absolute scaled error, {len(folds)} origins, 8 quarters ahead:\n")
print(scores.to_string(float_format="{:.3f}".format))

# %%
# The matrices: ``coef_[l - 1]`` holds lag l; rows respond, columns cause. In units of
# each series' spread, so that the entries can be compared.
model = linear.clone().fit(table, fh=steps)
spread = table.std().to_numpy()
effects = pd.DataFrame(
    model.coef_[0] * spread / spread[:, np.newaxis], table.columns, table.columns
).stack()
print("\nStrongest entries of coef_, in standard deviations:\n")
for (response, cause), effect in effects.sort_values(key=abs, ascending=False)[
    :6
].items():
    print(f"  {cause:>12} last quarter -> {response:<12} {effect:+.2f}")

# %%
# The forecast of the next two years, with intervals from errors of earlier forecasts.
figure, axes = plt.subplots(
    len(table.columns), sharex=True, figsize=(8, 9), layout="constrained"
)
linear_forecast = model.predict()
interval = model.predict_interval(coverage=0.8)
samovar_forecast = samovar.clone().fit(table, fh=steps).predict()
for axis, name in zip(axes, table.columns, strict=True):
    recent = table[name].iloc[-40:].to_timestamp()
    axis.plot(recent, color="black", label="observed")
    for path, label, color in (
        (linear_forecast, "LinearAttentionVAR", "#0072b2"),
        (samovar_forecast, "SAMoVARForecaster", "#d55e00"),
    ):
        joined = pd.concat([recent.iloc[-1:], path[name].to_timestamp()])
        axis.plot(joined, color=color, label=label)
    ends = interval[name][0.8].to_timestamp()
    bounds = ends["lower"], ends["upper"]
    band = {"color": "#0072b2", "alpha": 0.15, "linewidth": 0}
    axis.fill_between(ends.index, *bounds, label="80 % interval", **band)
    axis.set_title(name, loc="left", fontsize="medium")
    axis.set_ylabel("% change")
    axis.axvline(recent.index[-1], color="grey", linewidth=0.5)
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
figure.align_ylabels(axes)
figure.savefig("forecast.png", dpi=120)
print("\nSaved forecast.png")
