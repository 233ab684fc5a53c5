"""Seconds and memory of fits to tables of many series.

Simulated: levels with noise for VARs, and hours of traffic with days and weeks for
direct regressions, 168 lags and 96 steps, and for the network beside them. Each in a
process of its own; the memory is all that this takes at its peak, libraries and table
included.

    OMP_NUM_THREADS=1 python benchmarks/wide.py
    python benchmarks/wide.py --network
"""

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


FORECASTERS = {
    "VAR": LinearAttentionVAR(n_layers=0),
    "VAR, 4 lags": LinearAttentionVAR(4, n_layers=0),
    "direct ridge": SAMoVARForecaster(168, n_layers=0),
    "network": SAMoVARForecaster(168, random_state=0, verbose=1),
}


def measured(kind: str, n_rows: int, n_series: int) -> tuple[float, float]:
    """Seconds of a fit, and GB."""
    is_var = kind.startswith("VAR")
    table = (levels if is_var else traffic)(n_rows, n_series)
    start = time.perf_counter()
    FORECASTERS[kind].fit(table, fh=range(1, 2 if is_var else 97))
    return time.perf_counter() - start, peak_bytes() / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most-series", type=int, default=3000)
    parser.add_argument("--network", action="store_true", help="the network alone")
    arguments = parser.parse_args()
    cases = [
        ("VAR", 2000, 800),
        ("VAR", 2000, 3000),
        ("VAR, 4 lags", 2000, 800),
        ("VAR, 4 lags", 2000, 3000),
        ("direct ridge", HOURS, 862),
    ]
    if arguments.network:
        cases = [("network", HOURS, 862)]
    print("| fit | rows | series | seconds | GB |")
    print("|---|---:|---:|---:|---:|")
    # Spawned processes do not begin with the memory of this one.
    context = multiprocessing.get_context("spawn")
    for kind, n_rows, n_series in cases:
        if n_series <= arguments.most_series:
            with context.Pool(1) as pool:
                seconds, size = pool.apply(measured, (kind, n_rows, n_series))
            row = f"{n_rows} | {n_series} | {seconds:.0f} | {size:.1f}"
            print(f"| {kind} | {row} |")


if __name__ == "__main__":
    main()
