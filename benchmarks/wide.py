"""Seconds and memory of closed forms on tables of many series, on one core.

Simulated: levels with noise for VARs in error-correction form, and hours of traffic
with days and weeks for direct regressions, 168 lags and 96 steps. Each in a process of
its own; the memory is all that this takes at its peak, libraries and table included.

    python benchmarks/wide.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import multiprocessing
import time

import numpy as np
from memory import peak_bytes

from skvar import LinearAttentionVAR, SAMoVARForecaster

HOURS = 17_544


def levels(n_rows: int, n_series: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(2, n_rows, n_series))
    return 0.1 * noise[0].cumsum(axis=0) + noise[1]


def traffic(n_rows: int, n_series: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    hour = np.arange(n_rows)[:, np.newaxis]
    day = np.sin(2 * np.pi * (hour + rng.uniform(0, 24, n_series)) / 24)
    table = day * rng.uniform(0.5, 2, n_series) + 0.3 * np.sin(2 * np.pi * hour / 168)
    return (table + 0.3 * rng.normal(size=(n_rows, n_series))).clip(-1)


def measured(kind: str, n_rows: int, n_series: int) -> tuple[float, float]:
    """Seconds of a fit, and GB."""
    if kind == "VAR":
        table, forecaster = levels(n_rows, n_series), LinearAttentionVAR(n_layers=0)
    else:
        table, forecaster = (
            traffic(n_rows, n_series),
            SAMoVARForecaster(168, n_layers=0),
        )
    start = time.perf_counter()
    forecaster.fit(table, fh=range(1, 2 if kind == "VAR" else 97))
    return time.perf_counter() - start, peak_bytes() / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most-series", type=int, default=3000)
    most = parser.parse_args().most_series
    cases = [("VAR", 2000, 800), ("VAR", 2000, 3000), ("direct ridge", HOURS, 862)]
    print("| closed form | rows | series | seconds | GB |")
    print("|---|---:|---:|---:|---:|")
    # Spawned processes do not begin with the memory of this one.
    context = multiprocessing.get_context("spawn")
    for kind, n_rows, n_series in cases:
        if n_series <= most:
            with context.Pool(1) as pool:
                seconds, size = pool.apply(measured, (kind, n_rows, n_series))
            row = f"{n_rows} | {n_series} | {seconds:.0f} | {size:.1f}"
            print(f"| {kind} | {row} |")


if __name__ == "__main__":
    main()
