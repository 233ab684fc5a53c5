"""Time of extracting VAR matrices, against a loop of autograd Jacobians.

python benchmarks/extraction.py
"""

import time

import pandas as pd
import torch

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import fetch_ett


def jacobian_seconds(forecaster, table: pd.DataFrame, n_windows: int) -> float:
    """Seconds per window of one Jacobian of the first step after another."""
    values = (table.to_numpy() - forecaster.scaler_.mean_) / forecaster.scaler_.scale_
    windows = torch.from_numpy(values).float().unfold(0, forecaster.lags, 1).mT
    start = time.perf_counter()
    for window in windows[:n_windows]:
        torch.autograd.functional.jacobian(
            lambda x: forecaster.network_(x)[0, 0], window.unsqueeze(0)
        )
    return (time.perf_counter() - start) / n_windows


def main() -> None:
    torch.set_num_threads(1)
    data = fetch_ett()
    table, end = data.series[: data.test_end], data.validation_end
    training, test = table.iloc[:1500], table.iloc[end:]
    fit = {"max_epochs": 1, "early_stopping": False, "random_state": 0}
    for forecaster in (
        LinearAttentionVAR(96, **fit),
        LinearAttentionVAR(96, n_layers=3, **fit),
        SAMoVARForecaster(96, horizon=96, **fit),
    ):
        forecaster.fit(training).var_matrices(training)
        start = time.perf_counter()
        matrices = forecaster.var_matrices(test.iloc[: 96 + 999])
        seconds = (time.perf_counter() - start) / len(matrices)
        loop = jacobian_seconds(forecaster, test, 100)
        print(
            f"{type(forecaster).__name__}, {forecaster.n_layers} layer(s), lags 96, "
            f"{len(matrices)} windows: {loop / seconds:.0f} x faster than a loop of "
            "Jacobians"
        )
    forecaster = SAMoVARForecaster(1024, horizon=96, **fit).fit(training)
    rows = table.iloc[end - 1024 : -96]
    start = time.perf_counter()
    matrices = forecaster.var_matrices(rows)
    print(
        f"SAMoVARForecaster, lags 1024, {len(matrices)} windows: "
        f"{time.perf_counter() - start:.0f} s on one core"
    )


if __name__ == "__main__":
    main()
