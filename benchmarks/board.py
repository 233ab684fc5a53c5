"""Tasks of fev-bench whose tables are public: long tables, the quantiles of a board.

As `skvar.benchmark.board` measures them (Shchur et al. 2025, "fev-bench: a realistic
benchmark for time series forecasting", arXiv:2509.26468); the board takes ETTh1 with
ETTh2 and ETTm1 with ETTm2, where here each table stands alone. Published figures where
SKVAR_REFERENCE_DIR names the folder with them. ETTh2 and ETTm2 are fetched when they
are asked for.

    python benchmarks/board.py
    python benchmarks/board.py --tasks "ETTh1, 168 hours" --only "closed form"
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Callable

import pandas as pd
import torch
from everyday import reference

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.benchmark import Task, board
from skvar.datasets import fetch_ett, fetch_weather

N_WINDOWS = 20


def hourly(name: str, n_windows: int) -> Task:
    return Task(fetch_ett(name).series, 168, n_windows, season=24)


def quarter_hourly(name: str, n_windows: int) -> Task:
    return Task(fetch_ett(name).series, 96, n_windows, season=96)


def weather(n_windows: int) -> Task:
    """Rows every ten minutes, as if none were missing; -9999 stands for some."""
    rows = fetch_weather().series.reset_index(drop=True)
    times = pd.date_range("2020-01-01", periods=len(rows), freq="10min")
    return Task(rows.set_index(times), 144, n_windows, season=144)


# By task: what makes it of a number of windows, rows of history, its name on the board.
TASKS: dict[str, tuple[Callable[[int], Task], int, str]] = {
    "ETTh1, 168 hours": (lambda n: hourly("ETTh1", n), 336, "ETT_1H"),
    "ETTh2, 168 hours": (lambda n: hourly("ETTh2", n), 336, "ETT_1H"),
    "ETTm1, 96 steps": (lambda n: quarter_hourly("ETTm1", n), 672, "ETT_15T"),
    "ETTm2, 96 steps": (lambda n: quarter_hourly("ETTm2", n), 672, "ETT_15T"),
    "Weather, 144 steps": (weather, 432, "jena_weather_10T"),
}
AT_HAND = ["ETTh1, 168 hours", "ETTm1, 96 steps", "Weather, 144 steps"]


def forecasters(lags: int) -> dict:
    fit = {"random_state": 0}
    return {
        "closed form": SAMoVARForecaster(lags, n_layers=0, **fit),
        "defaults": SAMoVARForecaster(n_layers=0, **fit),
        "LinearAttentionVAR": LinearAttentionVAR(**fit),
    }


def published(task: str) -> str:
    path = reference("fev_published.csv")
    if path is None:
        return ""
    rows = pd.read_csv(path).query("task == @task").sort_values("SQL")
    best = rows.head(3)
    figures = zip(best["model"], best["SQL"], best["MASE"], strict=True)
    return "; ".join(f"{name} {sql:.3f} / {mase:.3f}" for name, sql, mase in figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=AT_HAND)
    parser.add_argument("--only", nargs="+", help="labels of forecasters")
    parser.add_argument("--windows", type=int, default=N_WINDOWS, help="the last ones")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.tasks:
        make, lags, task = TASKS[name]
        estimators = {
            label: forecaster
            for label, forecaster in forecasters(lags).items()
            if not arguments.only or label in arguments.only
        }
        print(f"{name}; best published SQL / MASE: {published(task)}", flush=True)
        for row in board(estimators, {name: make(arguments.windows)}).itertuples():
            figures = f"SQL {row.SQL:.4f} MASE {row.MASE:.4f} {row.seconds:.1f} s"
            print(f"  {row.estimator:20} {figures}", flush=True)


if __name__ == "__main__":
    main()
