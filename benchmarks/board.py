"""Tasks of fev-bench whose tables are public: long tables, the quantiles of a board.

The windows, the scale and the loss are those of the board (Shchur et al. 2025,
"fev-bench: a realistic benchmark for time series forecasting", arXiv:2509.26468), which
takes ETTh1 with ETTh2 and ETTm1 with ETTm2; here each table stands alone. MASE, SQL
(levels 0.1 to 0.9) and the median seconds of a fit with its quantiles, as by
``everyday.py``; published figures where SKVAR_REFERENCE_DIR names the folder with
them. ETTh2 and ETTm2 are fetched when they are asked for.

    python benchmarks/board.py
    python benchmarks/board.py --tasks "ETTh1, 168 hours" --only "closed form"
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import torch
from everyday import Table, measure, reference

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import fetch_ett, fetch_weather

N_WINDOWS = 20


def windows(rows: pd.DataFrame, sp: int, horizon: int) -> Table:
    """The last windows of a table, one after the other."""
    first = len(rows) - N_WINDOWS * horizon
    return Table(rows, sp, horizon, n_origins=N_WINDOWS, first=first)


def hourly(name: str) -> Table:
    return windows(fetch_ett(name).series, 24, 168)


def quarter_hourly(name: str) -> Table:
    return windows(fetch_ett(name).series, 96, 96)


def weather() -> Table:
    """Rows every ten minutes, as if none were missing; -9999 stands for some."""
    rows = fetch_weather().series.reset_index(drop=True)
    times = pd.date_range("2020-01-01", periods=len(rows), freq="10min")
    return windows(rows.set_index(times), 144, 144)


# By task: what makes its table, rows of history, and its name on the board.
TASKS: dict[str, tuple[Callable[[], Table], int, str]] = {
    "ETTh1, 168 hours": (lambda: hourly("ETTh1"), 336, "ETT_1H"),
    "ETTh2, 168 hours": (lambda: hourly("ETTh2"), 336, "ETT_1H"),
    "ETTm1, 96 steps": (lambda: quarter_hourly("ETTm1"), 672, "ETT_15T"),
    "ETTm2, 96 steps": (lambda: quarter_hourly("ETTm2"), 672, "ETT_15T"),
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
    board = pd.read_csv(path).query("task.str.contains(@task)").sort_values("SQL")
    best = board.head(3)
    figures = zip(best["model"], best["SQL"], best["MASE"], strict=True)
    return "; ".join(f"{name} {sql:.3f} / {mase:.3f}" for name, sql, mase in figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=AT_HAND)
    parser.add_argument("--only", nargs="+", help="labels of forecasters")
    parser.add_argument("--windows", type=int, help="at most so many, evenly spaced")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.tasks:
        make, lags, task = TASKS[name]
        table = make()
        if arguments.windows:
            table = replace(table, n_origins=arguments.windows)
        print(f"{name}; best published SQL / MASE: {published(task)}", flush=True)
        for label, forecaster in forecasters(lags).items():
            if not arguments.only or label in arguments.only:
                mase, sql, seconds = measure(forecaster, table)
                print(f"  {label:20} SQL {sql:.4f} MASE {mase:.4f} {seconds:.1f} s")


if __name__ == "__main__":
    main()
