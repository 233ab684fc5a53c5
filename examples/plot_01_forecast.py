"""
Forecast a season after a crisis, read the matrices
===================================================

Monthly turnover of electrical equipment in Europe, with a season and the crisis of
2008: a forecast with intervals, and a backtest against the usual baselines. Then three
series of the US economy, and which drives which. Both tables ship with statsmodels or
sktime; all settings are the defaults.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sktime.datasets import load_macroeconomic
from statsmodels.datasets import elec_equip
from statsmodels.tsa.api import ExponentialSmoothing
from tqdm import tqdm

from skvar import LinearAttentionVAR, SAMoVARForecaster, plots

# %%
# One column, months in rows. Lags, season and penalties are chosen from the rows, and
# ``summary`` says what was chosen.
turnover = elec_equip.load_pandas().data.set_axis(["turnover"], axis=1).to_period("M")
steps = range(1, 13)
forecaster = LinearAttentionVAR(random_state=0).fit(turnover, fh=steps)
print(forecaster.summary())

# %%
# The next year, with intervals from the errors of earlier forecasts.
forecast = forecaster.predict()
intervals = forecaster.predict_interval(coverage=[0.5, 0.9])
print("\n", pd.concat([forecast, intervals["turnover"][0.9]], axis=1).round(1), sep="")
_, ax = plt.subplots(figsize=(8, 3), layout="constrained")
plots.plot_forecast(turnover, forecast, intervals, n_history=132, ax=ax)
plt.savefig("forecast.png", dpi=120)


# %%
# A backtest: at every origin each forecaster is fitted on the past alone. Errors are
# relative to the mean difference between the same months of consecutive years.
def last_value(past):
    return np.repeat(past.to_numpy()[-1:], 12)


def seasonal_naive(past):
    return past.to_numpy()[-12:].ravel()


def exponential_smoothing(past):
    values = past.to_numpy().ravel()
    model = ExponentialSmoothing(
        values, trend="add", seasonal="add", seasonal_periods=12
    )
    return model.fit().forecast(12)


def defaults_of(forecaster):
    fresh = forecaster(random_state=0)
    return lambda past: fresh.fit(past, fh=steps).predict().to_numpy().ravel()


candidates = {
    "last value": last_value,
    "seasonal naive": seasonal_naive,
    "exponential smoothing": exponential_smoothing,
    "LinearAttentionVAR": defaults_of(LinearAttentionVAR),
    "SAMoVARForecaster": defaults_of(SAMoVARForecaster),
}
errors = {name: [] for name in candidates}
for origin in tqdm(range(120, len(turnover) - 12, 24), "backtest", disable=None):
    past, truth = turnover[:origin], turnover[origin : origin + 12].to_numpy().ravel()
    scale = past.diff(12).abs().mean().item()
    for name, candidate in candidates.items():
        errors[name].append(np.abs(candidate(past) - truth).mean() / scale)
print("\nMean absolute scaled error, 12 months ahead:\n")
print(pd.Series(errors).map(np.mean).round(3).to_string())

# %%
# Several series: rows respond, columns cause. In typical moves of each series, so that
# the entries can be compared.
economy = load_macroeconomic()[["infl", "unemp", "tbilrate"]]
model = LinearAttentionVAR(random_state=0).fit(economy, fh=range(1, 9))
matrices = model.var_coefficients()
print("\nShares of the error variance of rows, 8 quarters ahead, due to columns:\n")
print(matrices.connectedness(8).pairwise.round(2))
matrices.plot_matrices(max_lags=4)
plt.savefig("matrices.png", dpi=120)
print("\nSaved forecast.png and matrices.png")
