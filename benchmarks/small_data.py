"""Small data: a backtest on quarterly changes of five US series, 120 to 176 rows.

sktime's US consumption data, an expanding window that begins with 120 rows and grows by
8, refitted at each of 8 origins, 8 quarters ahead; default settings. The error is the
mean over series and origins of the mean absolute scaled error.

    python benchmarks/small_data.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings

import numpy as np
import pandas as pd
from sktime.datasets import load_uschange
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.naive import NaiveForecaster
from sktime.forecasting.var import VAR
from sktime.performance_metrics.forecasting import MeanAbsoluteScaledError
from sktime.split import ExpandingWindowSplitter

from skvar import AarenForecaster, LinearAttentionVAR, SAMoVARForecaster

FORECASTERS = {
    "last value": NaiveForecaster("last"),
    "mean": NaiveForecaster("mean"),
    "VAR(1)": VAR(maxlags=1),
    "VAR(4)": VAR(maxlags=4),
    "LinearAttentionVAR": LinearAttentionVAR(random_state=0),
    "LinearAttentionVAR, lags=1": LinearAttentionVAR(1, random_state=0),
    "LinearAttentionVAR, lags=8": LinearAttentionVAR(8, random_state=0),
    "SAMoVARForecaster": SAMoVARForecaster(random_state=0),
    "SAMoVARForecaster, lags=12": SAMoVARForecaster(12, random_state=0),
    "SAMoVARForecaster, lags=48": SAMoVARForecaster(48, random_state=0),
    "AarenForecaster": AarenForecaster(random_state=0),
}


def backtest() -> pd.DataFrame:
    """Error and seconds of every forecaster."""
    consumption, others = load_uschange()
    table = pd.concat([consumption, others], axis=1)
    table.index = pd.period_range("1970Q1", periods=len(table), freq="Q")
    origins = ExpandingWindowSplitter(range(1, 9), initial_window=120, step_length=8)
    rows = []
    for name, forecaster in FORECASTERS.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folds = evaluate(
                forecaster,
                origins,
                table,
                scoring=MeanAbsoluteScaledError(),
                error_score="raise",
            )
        seconds = time.perf_counter() - start
        error = np.mean(folds["test_MeanAbsoluteScaledError"])
        rows.append((name, error, seconds))
    columns = ["forecaster", "scaled error", "seconds for 8 folds"]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    print(backtest().round(4).to_string(index=False))
